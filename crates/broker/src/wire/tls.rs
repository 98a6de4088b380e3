//! TLS of a listener: its certificate and its clients' ones, from files that may be renewed while it runs.

use crate::wire::call::{Broker, Close, Peer};
use crate::wire::limits;
use crate::wire::own_certificate;
use crate::wire::principal::Principal;
use crate::wire::security::{Certificate, ClientAuthentication, SecurityError, TlsConfig};
use crate::wire::x509;
use millstream_model::Clock;
use parking_lot::RwLock;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{Error as TlsError, ServerConfig};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Before its end, a certificate is warned of for so long, once a day.
const EXPIRES_SOON_SECONDS: i64 = 30 * 86_400;
const DAY: Duration = Duration::from_hours(24);

/// TLS of one listener.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    clock: Arc<dyn Clock>,
    current: RwLock<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    server: Arc<ServerConfig>,
    /// The files as they were when they were read.
    marks: Vec<Mark>,
    /// When the broker's certificate ends, in seconds since 1970.
    end: i64,
}

/// What changes when a file is written or replaced.
type Mark = (PathBuf, u64, u64, i64, i64);

impl Tls {
    /// Reads what the settings name, and makes the broker's own certificate where they want that. Blocks.
    pub(crate) fn open(config: &TlsConfig, clock: Arc<dyn Clock>) -> Result<Self, SecurityError> {
        if let Certificate::Own { directory, names } = &config.certificate {
            own_certificate::make(directory, names, clock.now())?;
        }
        let current = read(config, &clock)?;
        let tls = Self { config: config.clone(), clock, current: RwLock::new(current) };
        tls.warn_of_end();
        Ok(tls)
    }

    /// Takes files that have changed. Those that cannot be used are reported, and the earlier ones stay. Blocks.
    pub(crate) fn renew(&self) {
        let seen = marks(&self.config);
        if seen == self.current.read().marks {
            return;
        }
        match read(&self.config, &self.clock) {
            Ok(current) => {
                *self.current.write() = current;
                tracing::info!(files = ?paths(&self.config), "the certificates of a Kafka listener were renewed");
                self.warn_of_end();
            }
            Err(error) => {
                // Once for each change.
                self.current.write().marks = seen;
                tracing::error!(%error, "the new certificates cannot be used, the earlier ones stay");
            }
        }
    }

    fn warn_of_end(&self) {
        let left = self.current.read().end - self.clock.now().as_millis() / 1_000;
        let file = &paths(&self.config)[0];
        if left <= 0 {
            tracing::warn!(file = %file.display(), "the certificate has expired: clients will refuse it");
        } else if left < EXPIRES_SOON_SECONDS {
            tracing::warn!(file = %file.display(), days = left / 86_400, "the certificate expires soon");
        }
    }

    /// Looks after the files until the broker closes.
    pub(crate) async fn watch(self: Arc<Self>, mut closing: watch::Receiver<bool>) {
        let mut ticks = interval(limits::CERTIFICATE_CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned = Instant::now();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // An error would be a broker that is gone already.
                _ = closing.wait_for(|is_closing| *is_closing) => return,
            }
            let tls = Arc::clone(&self);
            // It fails at shutdown only.
            let _ = tokio::task::spawn_blocking(move || tls.renew()).await;
            if warned.elapsed() >= DAY {
                warned = Instant::now();
                self.warn_of_end();
            }
        }
    }

    /// Shakes hands, and signs the client in by its certificate where the listener has no other sign-in.
    pub(crate) async fn accept(
        &self,
        broker: &Broker,
        peer: &Peer,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Close> {
        let server = Arc::clone(&self.current.read().server);
        let mut closing = broker.closing.subscribe();
        let stream = tokio::select! {
            shaken = timeout(limits::TLS_HANDSHAKE, TlsAcceptor::from(server).accept(stream)) => {
                let shaken = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
                shaken.inspect_err(|error| refused(broker, peer, error))?
            }
            // An error would be a broker that is gone already.
            _ = closing.wait_for(|is_closing| *is_closing) => return Err(Close::SignIn("the broker closes")),
        };
        if !peer.listener.protocol.is_sasl() {
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let principal = match certificate {
                Some(certificate) => self.principal(certificate).ok_or_else(|| {
                    let reason = "no rule of `principal_mapping` makes a user of the client's certificate";
                    broker.metrics.sign_ins.refuse(peer.address, reason);
                    Close::SignIn(reason)
                })?,
                None => Principal::anonymous(),
            };
            tracing::debug!(%principal, "a Kafka client signed in by TLS");
            let is_super = broker.security.is_super(&principal);
            if certificate.is_some() {
                broker.metrics.sign_ins.accepted.increment();
            }
            peer.identity.know(principal, is_super);
        }
        Ok(stream)
    }

    fn principal(&self, certificate: &CertificateDer<'_>) -> Option<Principal> {
        let name = x509::subject(certificate)?;
        Principal::user(&self.config.principal_mapping.apply(&name)?)
    }
}

/// Tells of a handshake that TLS itself refused, such as for the client's certificate; not of a connection that came and went.
fn refused(broker: &Broker, peer: &Peer, error: &io::Error) {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<TlsError>) {
        broker.metrics.sign_ins.refuse(peer.address, &error.to_string());
    }
}

/// The certificate's file first.
fn paths(config: &TlsConfig) -> Vec<PathBuf> {
    let (certificate, key) = match &config.certificate {
        Certificate::Files { certificate, key } => (certificate.clone(), key.clone()),
        Certificate::Own { directory, .. } => own_certificate::paths(directory),
    };
    [certificate, key].into_iter().chain(config.client_authorities.clone()).collect()
}

fn marks(config: &TlsConfig) -> Vec<Mark> {
    let mark = |path: PathBuf| {
        let found = fs::metadata(&path).ok();
        let (inode, len) = found.as_ref().map_or((0, 0), |found| (found.ino(), found.len()));
        let (seconds, nanos) = found.map_or((0, 0), |found| (found.mtime(), found.mtime_nsec()));
        (path, inode, len, seconds, nanos)
    };
    paths(config).into_iter().map(mark).collect()
}

/// Shows the one certificate there is.
#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// The wall clock, for the validity of clients' certificates.
#[derive(Debug)]
struct WallTime(Arc<dyn Clock>);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

fn read(config: &TlsConfig, clock: &Arc<dyn Clock>) -> Result<Current, SecurityError> {
    let marks = marks(config);
    let files = paths(config);
    let (certificate, key) = (&files[0], &files[1]);
    let provider = Arc::new(default_provider());
    let chain = certificates(certificate)?;
    let end = x509::validity(&chain[0]).map_or(i64::MAX, |(_, end)| end);
    let certified =
        CertifiedKey::from_der(chain, private_key(key)?, &provider).map_err(|error| match error {
            TlsError::InconsistentKeys(_) => {
                unusable(key, format!("it is not the key of the certificate {}", certificate.display()))
            }
            error => unusable(key, format!("this private key cannot be used: {error}")),
        })?;
    let time = Arc::new(WallTime(Arc::clone(clock)));
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), time);
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable(certificate, error.to_string()))?;
    let asks = config.client_authentication != ClientAuthentication::None;
    let builder = match config.client_authorities.as_ref().filter(|_| asks) {
        Some(authorities) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider);
            let verifier = match config.client_authentication {
                ClientAuthentication::Required => verifier,
                ClientAuthentication::Requested | ClientAuthentication::None => {
                    verifier.allow_unauthenticated()
                }
            };
            let verifier = verifier.build().map_err(|error| unusable(authorities, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_cert_resolver(Arc::new(OneCertificate(Arc::new(certified))));
    if asks {
        // A resumed session would let in a client whose certificate has ended since.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    Ok(Current { server: Arc::new(server), marks, end })
}

fn unusable(file: &Path, problem: impl Into<String>) -> SecurityError {
    SecurityError::Certificate { file: file.to_owned(), problem: problem.into() }
}

fn read_file(file: &Path) -> Result<Vec<u8>, SecurityError> {
    fs::read(file).map_err(|error| unusable(file, format!("cannot be read: {error}")))
}

/// At least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let pem = read_file(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(unusable(file, "no certificate is in it: PEM is wanted, `-----BEGIN CERTIFICATE-----`"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(file, format!("is not PEM: {error}"))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, SecurityError> {
    let pem = read_file(file)?;
    if fs::metadata(file).is_ok_and(|found| found.mode() & 0o007 != 0) {
        tracing::warn!(file = %file.display(), "every user of this machine can read the private key: chmod 600");
    }
    if pem.windows(9).any(|window| window == b"ENCRYPTED") {
        let remedy = "the private key is encrypted: decrypt it with `openssl pkey`";
        return Err(unusable(file, remedy));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            unusable(file, "no private key is in it: PEM is wanted, `-----BEGIN PRIVATE KEY-----`")
        }
        error => unusable(file, format!("is not PEM: {error}")),
    })
}

fn roots(file: &Path) -> Result<RootCertStore, SecurityError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(file, format!("is no authority's certificate: {error}")))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
