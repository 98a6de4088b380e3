//! One request on its way through the broker, and what it has at hand.

use crate::embedded::Inner;
use crate::wire::access::Security;
use crate::wire::fetch_session::FetchSessions;
use crate::wire::listener::{ListenerConfig, WireConfig};
use crate::wire::sasl::Identity;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use thiserror::Error;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) inner: Arc<Inner>,
    pub(crate) config: WireConfig,
    pub(crate) fetch_sessions: Mutex<FetchSessions>,
    pub(crate) security: Security,
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
}

/// An answer as a whole frame; an empty one is not sent (`acks=0`).
pub(crate) enum Reply {
    Now(Bytes),
    /// The next request of the connection may be worked on while this is awaited. Answers keep the order of the requests.
    Later(BoxFuture<'static, Result<Bytes, Close>>),
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
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
}
