//! Listeners: who is let in, and how many.

use crate::Embedded;
use crate::embedded::Inner;
use crate::error::unavailable;
use crate::wire::accept::{Connections, accept};
use crate::wire::access::Security;
use crate::wire::budget::Budget;
use crate::wire::call::Broker;
use crate::wire::fetch_session::FetchSessions;
use crate::wire::limits;
use crate::wire::metrics::WireMetrics;
use crate::wire::quota::{Meter, Quotas};
use crate::wire::security::{self, SecurityConfig, SecurityError, SecurityProtocol, TlsConfig};
use crate::wire::threads::{Seats, Threads};
use crate::wire::tls::Tls;
use crate::wire::wire_limits::WireLimits;
use millstream_bus::BusError;
use millstream_model::metric::{Collect, Page};
use parking_lot::Mutex;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

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
    /// How much clients may take of this host.
    pub limits: WireLimits,
    /// How much they may send, fetch and ask per second.
    pub quotas: Quotas,
    /// Threads that serve clients and do nothing else, so that clients never hold up the rest of the process; with 0 the threads of
    /// the runtime that [`Wire::serve`] is called in do it (`num.network.threads` and `num.io.threads` in one).
    pub threads: usize,
    /// Topics that clients may read and neither write to, change nor delete, beside the broker's own.
    pub protected_topics: Vec<String>,
}

impl Default for WireConfig {
    /// One loopback listener on a free port, without security, with Kafka's limits.
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::default()],
            auto_create_topics: true,
            partitions: 1,
            limits: WireLimits::default(),
            quotas: Quotas::default(),
            threads: 0,
            protected_topics: Vec::new(),
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
    /// The system gives no threads.
    #[error("there are no threads to serve Kafka clients with: {0}")]
    Threads(io::Error),
}

/// The Kafka protocol being served. Dropping it ends every connection.
#[derive(Debug)]
pub struct Wire {
    addresses: Vec<SocketAddr>,
    broker: Arc<Broker>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    threads: Threads,
}

/// What is served once everything is started.
type Started = (Vec<SocketAddr>, Arc<Broker>, Vec<JoinHandle<()>>);

impl Wire {
    /// Serves `embedded` on the listeners of `config`, inside a tokio runtime. Close or drop it before the engine is closed.
    pub async fn serve(embedded: &Embedded, config: WireConfig) -> Result<Self, WireError> {
        for warning in security::check(&config)? {
            tracing::warn!("{warning}");
        }
        let threads = Threads::start(config.threads).map_err(WireError::Threads)?;
        let starting = Self::start(Arc::clone(&embedded.inner), config, threads.seats());
        let starting = threads.handle().spawn(starting);
        let started = starting.await.map_err(|_| unavailable("given up at shutdown"))?;
        let (addresses, broker, tasks) = started?;
        Ok(Self { addresses, broker, tasks: Mutex::new(tasks), threads })
    }

    /// Starts what serves, on the threads that it shall run on.
    async fn start(inner: Arc<Inner>, config: WireConfig, seats: Seats) -> Result<Started, WireError> {
        let listeners = config.listeners.clone();
        let limits = config.limits.clone();
        let security = Security::open(&inner.cluster, &config.security).await?;
        let broker = Arc::new(Broker {
            fetch_sessions: Mutex::new(FetchSessions::new(inner.clock.now().as_millis())),
            inner,
            security,
            budget: Arc::new(Budget::new(limits.request_memory_bytes, limits.answer_memory_bytes)),
            quotas: Meter::new(&config.quotas),
            metrics: WireMetrics::default(),
            closing: watch::Sender::new(false),
            config,
        });
        let counts = Arc::new(Connections::new(&broker));
        let (mut addresses, mut sockets, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for listener in listeners {
            let address = listener.listen;
            let failed = |source| WireError::Listen { address, source };
            let socket = TcpListener::bind(address).await.map_err(failed)?;
            addresses.push(socket.local_addr().map_err(failed)?);
            let tls = tls(&broker, &listener).await?;
            sockets.push((Arc::new(listener), tls, socket));
        }
        // Only when all of them can be listened on.
        for (listener, tls, socket) in sockets {
            if let Some(tls) = &tls {
                tasks.push(tokio::spawn(Arc::clone(tls).watch(broker.closing.subscribe())));
            }
            let (broker, counts, seats) = (Arc::clone(&broker), Arc::clone(&counts), seats.clone());
            tasks.push(tokio::spawn(accept(broker, counts, listener, tls, socket, seats)));
        }
        Ok((addresses, broker, tasks))
    }

    /// Takes no more connections and requests, lets those at work end, for a few seconds at most, and ends every connection. A
    /// consumer that waits for records is not waited for.
    pub async fn close(&self) {
        self.broker.closing.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let deadline = Instant::now() + limits::CLOSING;
        for mut task in tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                // It was aborted; how it ended tells nothing.
                let _ = task.await;
            }
        }
        self.threads.idle(deadline).await;
    }

    #[cfg(test)]
    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where it listens, in the order of the listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// TLS of a listener, where it speaks that.
async fn tls(broker: &Broker, listener: &ListenerConfig) -> Result<Option<Arc<Tls>>, WireError> {
    let Some(config) = listener.tls.clone().filter(|_| listener.protocol.is_tls()) else {
        return Ok(None);
    };
    let clock = Arc::clone(&broker.inner.clock);
    let opened = tokio::task::spawn_blocking(move || Tls::open(&config, clock)).await;
    Ok(Some(Arc::new(opened.map_err(|_| unavailable("given up at shutdown"))??)))
}

impl Collect for Wire {
    fn collect(&self, page: &mut Page) {
        self.broker.metrics.collect(page);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.lock().iter().for_each(JoinHandle::abort);
    }
}
