//! Listeners: who is let in, and how many.
//!
//! The settings and the keys of `[kafka]` that set them:
//!
//! | key | field |
//! |---|---|
//! | `security_protocol = "SASL_SSL"` | `ListenerConfig::protocol` (`str::parse`) |
//! | `tls_certificate`, `tls_key` | `TlsConfig::certificate`: `Certificate::Files`; without them `Certificate::Own` in the data directory |
//! | `tls_names = ["broker.plant.local"]` | `names` of `Certificate::Own` |
//! | `tls_client_authentication = "required"` | `TlsConfig::client_authentication` (`str::parse`) |
//! | `tls_client_authorities` | `TlsConfig::client_authorities` |
//! | `principal_mapping` | `TlsConfig::principal_mapping` (`str::parse`) |
//! | `mechanisms = ["SCRAM-SHA-512"]` | `SecurityConfig::mechanisms` (`str::parse` each) |
//! | `users = { name = "password" }` | `SecurityConfig::users` |
//! | `super_users = ["User:admin"]` | `SecurityConfig::super_users` |
//! | `allow_everyone_if_no_acl_found` | `SecurityConfig::allow_everyone_if_no_acl_found` |
//! | `session_lifetime = "1h"` | `SecurityConfig::session_lifetime` |
//! | `insecure = true` | `SecurityConfig::insecure` |

use crate::Embedded;
use crate::wire::call::{Broker, Peer};
use crate::wire::access::Security;
use crate::wire::connection;
use crate::wire::fetch_session::FetchSessions;
use crate::wire::principal::Principal;
use crate::wire::sasl::Identity;
use crate::wire::security::{self, SecurityConfig, SecurityError, SecurityProtocol, TlsConfig};
use millstream_bus::BusError;
use parking_lot::Mutex;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Settings of the Kafka protocol, under Kafka's names.
#[derive(Debug, Clone, PartialEq)]
pub struct WireConfig {
    /// At least one.
    pub listeners: Vec<ListenerConfig>,
    /// Users, mechanisms, super users.
    pub security: SecurityConfig,
    /// Whether a client that asks for a topic that is not there, and may create it, gets it made (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// Partitions of a topic that is made so (`num.partitions`).
    pub partitions: i32,
}

impl Default for WireConfig {
    /// One loopback listener on a free port, without security, with Kafka's limits.
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::default()],
            auto_create_topics: true,
            partitions: 1,
            security: SecurityConfig::default(),
        }
    }
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients are told to connect to; `None` tells them the address that they came to.
    pub advertise: Option<(String, u16)>,
    /// What is spoken.
    pub protocol: SecurityProtocol,
    /// Needed for `Ssl` and `SaslSsl`.
    pub tls: Option<TlsConfig>,
}

impl Default for ListenerConfig {
    /// A free port of loopback.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            protocol: SecurityProtocol::default(),
            tls: None,
        }
    }
}

/// Why the protocol cannot be served.
#[derive(Debug, Error)]
pub enum WireError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The security settings are wrong, or would leave a door open.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// What is kept of users and ACLs cannot be read or written.
    #[error("the users and ACLs cannot be read: {0}")]
    Records(#[from] BusError),
}

/// The Kafka protocol being served. Dropping it ends every connection.
#[derive(Debug)]
pub struct Wire {
    addresses: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Wire {
    /// Serves `embedded` on the listeners of `config`, inside a tokio runtime.
    pub async fn serve(embedded: &Embedded, config: WireConfig) -> Result<Self, WireError> {
        for warning in security::check(&config)? {
            tracing::warn!("{warning}");
        }
        let listeners = config.listeners.clone();
        let inner = Arc::clone(&embedded.inner);
        let security = Security::open(&inner.cluster, &config.security).await?;
        let broker = Arc::new(Broker {
            fetch_sessions: Mutex::new(FetchSessions::new(embedded.inner.clock.now().as_millis())),
            inner,
            config,
            security,
        });
        let mut wire = Self { addresses: Vec::new(), tasks: Vec::new() };
        for listener in listeners {
            let address = listener.listen;
            let failed = |source| WireError::Listen { address, source };
            let socket = TcpListener::bind(address).await.map_err(failed)?;
            wire.addresses.push(socket.local_addr().map_err(failed)?);
            wire.tasks.push(tokio::spawn(accept(Arc::clone(&broker), Arc::new(listener), socket)));
        }
        Ok(wire)
    }

    /// Ends every connection.
    pub async fn close(&self) {
        for task in &self.tasks {
            task.abort();
        }
        while !self.tasks.iter().all(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
    }

    /// Where it listens, in the order of the listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

async fn accept(broker: Arc<Broker>, listener: Arc<ListenerConfig>, socket: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, address)) => {
                    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
                    let Ok(local) = stream.local_addr() else { continue };
                    let software = OnceLock::new();
                    let listener = Arc::clone(&listener);
                    let identity = if listener.protocol.is_sasl() {
                        Identity::default()
                    } else {
                        Identity::known(Principal::anonymous(), false)
                    };
                    let host = address.ip().to_canonical().to_string();
                    let peer = Peer { connection, address, host, identity, local, software, listener };
                    connections.spawn(run(Arc::clone(&broker), Arc::new(peer), stream));
                }
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn run(broker: Arc<Broker>, peer: Arc<Peer>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let address = peer.address;
    if let Err(close) = connection::serve(broker, peer, stream).await {
        tracing::debug!(client = %address, reason = %close, "a Kafka connection was closed");
    }
}
