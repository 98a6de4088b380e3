//! One request on its way through the broker, and what it has at hand.

use crate::embedded::Inner;
use crate::topics;
use crate::wire::access::Security;
use crate::wire::budget::{Budget, Share};
use crate::wire::fetch_session::FetchSessions;
use crate::wire::header::Header;
use crate::wire::listener::{ListenerConfig, WireConfig};
use crate::wire::metrics::WireMetrics;
use crate::wire::quota::{Kind, Meter};
use crate::wire::sasl::Identity;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FetchRequest, ProduceRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) inner: Arc<Inner>,
    pub(crate) config: WireConfig,
    pub(crate) fetch_sessions: Mutex<FetchSessions>,
    pub(crate) security: Security,
    pub(crate) budget: Arc<Budget>,
    pub(crate) quotas: Meter,
    pub(crate) metrics: WireMetrics,
    /// Whether nothing new is begun.
    pub(crate) closing: watch::Sender<bool>,
}

/// The other side of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Counts the connections of this process: a later one has a greater number.
    pub(crate) connection: u64,
    pub(crate) address: SocketAddr,
    /// Its host as ACLs write it.
    pub(crate) host: String,
    pub(crate) identity: Identity,
    /// The address of this host that it came to.
    pub(crate) local: SocketAddr,
    /// What the client says it is: name and version (KIP-511).
    pub(crate) software: OnceLock<(String, String)>,
    /// The listener it came through.
    pub(crate) listener: Arc<ListenerConfig>,
}

impl Peer {
    /// What clients of its listener are told to connect to: host and port.
    pub(crate) fn advertised(&self) -> (StrBytes, i32) {
        match &self.listener.advertise {
            Some((host, port)) => (StrBytes::from_string(host.clone()), i32::from(*port)),
            None => (StrBytes::from_string(self.local.ip().to_string()), i32::from(self.local.port())),
        }
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) broker: Arc<Broker>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Empty where the client gave none.
    pub(crate) client_id: StrBytes,
    began: Instant,
    request_bytes: usize,
    /// Its part of the memory for answers.
    room: Mutex<Share>,
    throttle_ms: AtomicU64,
}

impl Call {
    /// Whether clients may read a topic at most: only this process writes to it, changes or deletes it.
    pub(crate) fn is_protected(&self, topic: &str) -> bool {
        topics::is_protected(topic) || self.broker.config.protected_topics.iter().any(|name| name == topic)
    }

    pub(crate) fn new(
        broker: &Arc<Broker>,
        peer: &Arc<Peer>,
        header: &Header<'_>,
        client_id: StrBytes,
        request_bytes: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            broker: Arc::clone(broker),
            peer: Arc::clone(peer),
            api_key: header.api_key,
            version: header.version,
            correlation_id: header.correlation_id,
            client_id,
            began: Instant::now(),
            request_bytes,
            room: Mutex::default(),
            throttle_ms: AtomicU64::new(0),
        })
    }

    /// Takes memory for the records of the answer, as much of `wanted` bytes as there is: an eighth of what is left, so that clients
    /// that do not read what they asked for never take it all, and 64 KiB always. It is given back when the answer is written.
    pub(crate) fn take_room(&self, wanted: usize) -> usize {
        let (share, granted) = self.broker.budget.answer(wanted);
        *self.room.lock() = share;
        granted
    }

    /// Gives back what is not needed of it.
    pub(crate) fn keep_room(&self, bytes: usize) {
        self.room.lock().shrink(bytes);
    }

    /// Counts the request against the client's quotas, with an answer of this size; gives how long the client has to wait.
    pub(crate) fn charge(&self, answer_bytes: usize) -> Duration {
        let meter = &self.broker.quotas;
        if meter.is_idle() {
            return Duration::ZERO;
        }
        let user = self.peer.identity.principal().map_or("", |principal| principal.name());
        let charge = |kind, bytes| meter.charge(kind, bytes, user, &self.client_id);
        let bytes = match self.api_key {
            ProduceRequest::KEY => charge(Kind::ProduceBytes, self.request_bytes as u64),
            FetchRequest::KEY => charge(Kind::FetchBytes, answer_bytes as u64),
            _ => Duration::ZERO,
        };
        let throttle = charge(Kind::Requests, 1).max(bytes);
        let throttle_ms = u64::try_from(throttle.as_millis()).unwrap_or(u64::MAX);
        self.throttle_ms.store(throttle_ms, Ordering::Relaxed);
        throttle
    }

    /// How long the client has to wait for its next request.
    pub(crate) fn throttle(&self) -> Option<Duration> {
        let throttle_ms = self.throttle_ms.load(Ordering::Relaxed);
        (throttle_ms > 0).then(|| Duration::from_millis(throttle_ms))
    }

    /// The answer is there: gives its part of the memory for answers, to be kept until it is written.
    pub(crate) fn finish(&self) -> Share {
        self.broker.metrics.answered(self.api_key, self.began.elapsed());
        if self.throttle().is_some() {
            self.broker.metrics.throttled.increment();
        }
        std::mem::take(&mut self.room.lock())
    }
}

/// An answer as a whole frame; an empty one is not sent (`acks=0`).
pub(crate) enum Reply {
    Now(Bytes),
    /// The next request of the connection may be worked on while this is awaited. Answers keep the order of the requests.
    Later(BoxFuture<'static, Result<Bytes, Close>>),
}

/// What the second half of a request comes to: a response, none (`acks=0`), or the end of the connection.
pub(crate) trait Answered<R> {
    fn of(self) -> Result<Option<R>, Close>;
}

impl<R> Answered<R> for Option<R> {
    fn of(self) -> Result<Self, Close> {
        Ok(self)
    }
}

impl<R> Answered<R> for Result<Option<R>, Close> {
    fn of(self) -> Self {
        self
    }
}

/// Why a connection is closed. The client learns no more than that, as with Kafka.
#[derive(Debug, Error)]
pub(crate) enum Close {
    #[error("a request cannot be read: {0}")]
    Malformed(String),
    #[error("there is no API {0}")]
    UnknownApi(i16),
    #[error("API {api_key} is not served in version {version}")]
    UnknownVersion { api_key: i16, version: i16 },
    #[error("a response cannot be written: {0}")]
    Unencodable(String),
    #[error("{0}")]
    SignIn(&'static str),
    #[error("records that it wanted no answer for were refused: {0:?}")]
    Unanswered(ResponseError),
    #[error("{0} did not come in time")]
    Overdue(&'static str),
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
}
