//! TLS: versions, certificates of the broker and of clients, and who is known by one.

use crate::actors::{ADMIN, counted, plain, security, serve, sign_in};
use crate::support::client::{Client, Server};
use crate::support::fresh_dir;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use millstream_broker::{
    Certificate, ClientAuthentication, ListenerConfig, SecurityConfig, SecurityProtocol, TlsConfig,
    WireConfig,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// Somebody who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// A certificate and its key, as PEM.
    pub(crate) fn sign(
        &self,
        common_name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut parameters =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::OrganizationName, "Acme");
        parameters.distinguished_name.push(DnType::CommonName, common_name);
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

pub(crate) fn tls_config(directory: &Path) -> TlsConfig {
    TlsConfig {
        certificate: Certificate::Own { directory: directory.to_owned(), names: Vec::new() },
        client_authentication: ClientAuthentication::None,
        client_authorities: None,
        principal_mapping: "DEFAULT".parse().unwrap(),
    }
}

pub(crate) fn wire_config(
    protocol: SecurityProtocol,
    tls: TlsConfig,
    security: SecurityConfig,
) -> WireConfig {
    let listener = ListenerConfig { protocol, tls: Some(tls), ..ListenerConfig::default() };
    WireConfig { listeners: vec![listener], security, ..WireConfig::default() }
}

fn client_config(
    trusted: &str,
    own: Option<&(String, String)>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    match own {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

async fn connect(server: &Server, config: ClientConfig) -> io::Result<Client> {
    let stream = TcpStream::connect(server.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Client::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

/// Whether the broker serves a client over TLS. In TLS 1.3 a client learns with its first read that its certificate was refused.
async fn is_served(server: &Server, config: ClientConfig) -> bool {
    match connect(server, config).await {
        Ok(mut client) => client.try_send(12, &MetadataRequest::default().with_topics(None)).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn the_broker_makes_its_own_certificate_once_and_guards_its_key() {
    let dir = fresh_dir("wire_security");
    let config = wire_config(SecurityProtocol::Ssl, tls_config(&dir.join("tls")), SecurityConfig::default());
    let server = serve(&dir, config.clone()).await;
    let (certificate, key) = (dir.join("tls/kafka-certificate.pem"), dir.join("tls/kafka-key.pem"));
    let made = std::fs::read_to_string(&certificate).unwrap();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    for version in BOTH {
        assert!(is_served(&server, client_config(&made, None, &[version])).await, "{version:?}");
    }
    assert!(
        !is_served(&server, client_config(&Authority::new().pem, None, BOTH)).await,
        "not who it should be"
    );
    let dir = server.stop().await;
    let server = serve(&dir, config).await;
    assert_eq!(std::fs::read_to_string(&certificate).unwrap(), made);
    assert!(is_served(&server, client_config(&made, None, BOTH)).await);
}

/// Writes files beside each other, and gives their paths.
pub(crate) fn write_files(dir: &Path, files: [(&str, &str); 3]) -> [PathBuf; 3] {
    files.map(|(name, text)| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    })
}

/// A server that knows its clients by their certificates.
async fn mutual(
    authority: &Authority,
    authentication: ClientAuthentication,
    mapping: &str,
    security: SecurityConfig,
) -> Server {
    let dir = fresh_dir("wire_security");
    let (certificate, key) = authority.sign("broker", |_| {});
    let files = [("c.pem", certificate.as_str()), ("k.pem", &key), ("ca.pem", &authority.pem)];
    let [certificate, key, authorities] = write_files(&dir, files);
    let tls = TlsConfig {
        certificate: Certificate::Files { certificate, key },
        client_authentication: authentication,
        client_authorities: Some(authorities),
        principal_mapping: mapping.parse().unwrap(),
    };
    serve(&dir.join("log"), wire_config(SecurityProtocol::Ssl, tls, security)).await
}

#[tokio::test]
async fn clients_without_a_valid_certificate_are_kept_out() {
    let authority = Authority::new();
    let server =
        mutual(&authority, ClientAuthentication::Required, "DEFAULT", SecurityConfig::default()).await;
    let own = |certificate: &(String, String), version| {
        client_config(&authority.pem, Some(certificate), &[version])
    };
    for version in BOTH {
        let valid = authority.sign("press", |_| {});
        assert!(is_served(&server, own(&valid, version)).await, "{version:?}");
        assert!(!is_served(&server, client_config(&authority.pem, None, &[version])).await, "none");
        let foreign = Authority::new().sign("press", |_| {});
        assert!(!is_served(&server, own(&foreign, version)).await, "of another authority");
        let past = authority.sign("press", |parameters| parameters.not_after = date_time_ymd(2020, 1, 1));
        assert!(!is_served(&server, own(&past, version)).await, "expired");
        let early = authority.sign("press", |parameters| parameters.not_before = date_time_ymd(2030, 1, 1));
        assert!(!is_served(&server, own(&early, version)).await, "not valid yet");
    }
    let refused = || counted(&server, "millstream_kafka_sign_ins_refused_total");
    let deadline = Instant::now() + Duration::from_secs(30);
    while refused() < 8 {
        assert!(Instant::now() < deadline, "{} of 8 are counted", refused());
        tokio::task::yield_now().await;
    }
    assert_eq!(counted(&server, "millstream_kafka_sign_ins_total"), 2);
}

#[tokio::test]
async fn the_subject_of_a_certificate_is_the_user() {
    let authority = Authority::new();
    let mapping = "RULE:^CN=([^,]*),O=Acme$/$1/L";
    let security = SecurityConfig { super_users: vec!["User:admin".to_owned()], ..SecurityConfig::default() };
    let server = mutual(&authority, ClientAuthentication::Required, mapping, security).await;
    let clusters = async |common_name: &str| {
        let own = authority.sign(common_name, |_| {});
        let mut client = connect(&server, client_config(&authority.pem, Some(&own), BOTH)).await.ok()?;
        let request = kafka_protocol::messages::DescribeUserScramCredentialsRequest::default();
        Some(client.try_send(0, &request).await.ok()?.error_code)
    };
    assert_eq!(clusters("Admin").await, Some(0));
    assert_eq!(clusters("press").await, Some(31), "known, and not allowed to");
    for name in ["*", "ANONYMOUS".to_lowercase().to_uppercase().as_str(), "admin,O=Acme", ""] {
        let found = clusters(name).await;
        assert!(found != Some(0), "{name:?} {found:?}");
    }
    let default =
        mutual(&authority, ClientAuthentication::Required, mapping, SecurityConfig::default()).await;
    let unmapped = authority.sign("press", |parameters| {
        parameters.distinguished_name.push(DnType::CountryName, "DE");
    });
    let config = client_config(&authority.pem, Some(&unmapped), BOTH);
    assert!(!is_served(&default, config).await, "no rule speaks of it");
}

#[tokio::test]
async fn a_certificate_that_is_asked_for_may_be_missing_but_not_wrong() {
    let authority = Authority::new();
    let security =
        SecurityConfig { super_users: vec!["User:CN=root,O=Acme".to_owned()], ..SecurityConfig::default() };
    let server = mutual(&authority, ClientAuthentication::Requested, "DEFAULT", security).await;
    assert!(is_served(&server, client_config(&authority.pem, None, BOTH)).await, "as nobody");
    let foreign = Authority::new().sign("root", |_| {});
    assert!(!is_served(&server, client_config(&authority.pem, Some(&foreign), BOTH)).await);
    let root = authority.sign("root", |_| {});
    for (own, expected) in [(None, 31), (Some(&root), 0)] {
        let mut client = connect(&server, client_config(&authority.pem, own, BOTH)).await.unwrap();
        let request = kafka_protocol::messages::DescribeUserScramCredentialsRequest::default();
        assert_eq!(client.send(0, &request).await.error_code, expected);
    }
}

#[tokio::test]
async fn passwords_are_taken_inside_tls() {
    let dir = fresh_dir("wire_security");
    let config = wire_config(SecurityProtocol::SaslSsl, tls_config(&dir), security());
    let server = serve(&dir.join("log"), config).await;
    let trusted = std::fs::read_to_string(dir.join("kafka-certificate.pem")).unwrap();
    let mut client = connect(&server, client_config(&trusted, None, BOTH)).await.unwrap();
    assert!(client.try_send(12, &MetadataRequest::default()).await.is_err(), "TLS alone is no sign-in");
    let mut client = connect(&server, client_config(&trusted, None, BOTH)).await.unwrap();
    assert_eq!(sign_in(&mut client, ADMIN).await.error_code, 0);
    client.send(12, &MetadataRequest::default()).await;
    // Large answers and many requests on their way at once.
    for _ in 0..50 {
        client.post(3, &ApiVersionsRequest::default()).await.unwrap();
    }
    for _ in 0..50 {
        client.read_frame().await.unwrap();
    }
    assert_eq!(plain("", "a", "b"), b"\0a\0b");
}

/// The first bytes of a client: its ClientHello.
fn hello() -> Vec<u8> {
    let config = client_config(&Authority::new().pem, None, BOTH);
    let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// GHSA-6g7w-8wpp-frhj: a close_notify behind the ClientHello had servers of rustls turn in a circle.
#[tokio::test]
async fn nonsense_in_a_handshake_ends_that_connection_and_no_other() {
    let dir = fresh_dir("wire_security");
    let config = wire_config(SecurityProtocol::Ssl, tls_config(&dir), SecurityConfig::default());
    let server = serve(&dir.join("log"), config).await;
    let trusted = std::fs::read_to_string(dir.join("kafka-certificate.pem")).unwrap();
    let close_notify = [21, 3, 3, 0, 2, 1, 0];
    let hello = hello();
    let half = &hello[..hello.len() / 2];
    let plaintext = b"\0\0\0\x0e\0\x12\0\0\0\0\0\x01\0\x04test";
    let cases: [&[u8]; 5] = [
        &[&hello[..], &close_notify].concat(),
        &[half, &close_notify].concat(),
        &close_notify,
        plaintext,
        &vec![0xff; 70_000],
    ];
    for bytes in cases {
        let mut client = Client::connect(server.address()).await;
        // It may be closed before all of it is written.
        let _ = client.write(bytes).await;
        let answer = client.read_to_end().await;
        assert!(answer.len() < 10_000, "{}", answer.len());
        assert!(is_served(&server, client_config(&trusted, None, BOTH)).await);
    }
    for end in [0, 1, 5, hello.len() - 1] {
        let mut client = Client::connect(server.address()).await;
        client.write(&hello[..end]).await.unwrap();
    }
    assert!(is_served(&server, client_config(&trusted, None, BOTH)).await);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_goes_nowhere_is_given_up() {
    let dir = fresh_dir("wire_security");
    let config = wire_config(SecurityProtocol::Ssl, tls_config(&dir), SecurityConfig::default());
    let server = serve(&dir.join("log"), config).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut answer = Vec::new();
    // The paused clock goes on by itself to the next deadline, which is that of the handshake.
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() && begun.elapsed().as_secs() == 10, "{:?}", begun.elapsed());
}
