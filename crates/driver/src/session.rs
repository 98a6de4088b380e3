//! The traits of a device protocol.

use crate::guard::Permit;
use crate::schedule::Pace;
use crate::simulate::{SimulatorHandle, SimulatorSpec};
use crate::{ConnectionString, GroupIndex, PlanSummary, ProtocolError, TagProblem, TagSpec, Target};
use async_trait::async_trait;
use millstream_model::metric::{Counter, Histogram};
use millstream_model::{Clock, Diagnostic, OptionSpec, Row, Status, TagType, Value};
use std::sync::Arc;
use thiserror::Error;

/// What a driver says about itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Protocols of connection strings, the preferred first: `modbus-tcp`.
    pub protocols: &'static [&'static str],
    /// For people: `Modbus TCP`.
    pub title: &'static str,
    /// The specification, with its version.
    pub specification: &'static str,
    /// Port where none is given.
    pub default_port: u16,
    /// Connection options.
    pub options: &'static [OptionSpec],
    /// An address that is right, for error messages.
    pub example_address: &'static str,
}

/// What a session may do at once, after negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request in bytes.
    pub request_bytes_max: usize,
    /// Largest response in bytes.
    pub response_bytes_max: usize,
    /// Requests that may be unanswered at once.
    pub in_flight_max: usize,
}

/// What a session counts, whoever opened it. One per device, kept over reconnects.
#[derive(Debug, Default)]
pub struct SessionCounters {
    /// Requests sent.
    pub requests: Counter,
    /// Requests that were not answered in time.
    pub timeouts: Counter,
    /// Answers that were an error of the protocol (a Modbus exception).
    pub exceptions: Counter,
    /// Frames dropped: late, foreign or of no request.
    pub dropped_frames: Counter,
    /// Frames that made no sense.
    pub malformed_frames: Counter,
    /// Bytes sent.
    pub bytes_sent: Counter,
    /// Bytes received.
    pub bytes_received: Counter,
    /// Time from request to answer.
    pub round_trip: Histogram,
}

/// What the house gives to a session.
#[derive(Debug, Clone)]
pub struct SessionContext {
    /// Where to count.
    pub counters: Arc<SessionCounters>,
    /// The wall clock, to stamp rows.
    pub clock: Arc<dyn Clock>,
    /// The most requests in flight, whatever the device grants (the governor's limit).
    pub in_flight_max: usize,
    /// Requests per second, kept by the pump; `None` for no limit.
    pub pace: Option<Arc<Pace>>,
}

impl SessionContext {
    /// Counters of its own and no limits but the connection string's: for the command line and tests.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { counters: Arc::default(), clock, in_flight_max: crate::limits::IN_FLIGHT, pace: None }
    }
}

/// A device protocol as the rest of the house sees it. Stateless; one value per room.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Names, specification, options.
    fn about(&self) -> &'static About;

    /// Checks a connection string of this driver. All mistakes at once, with places inside the string.
    fn target(&self, connection: ConnectionString) -> Result<Target, Vec<Diagnostic>> {
        Target::check(connection, self.about().options)
    }

    /// Checks one address and says what it yields. The place is inside `address`.
    fn tag_type(&self, address: &str) -> Result<TagType, Diagnostic>;

    /// Checks that a (right) address can be written at all, whatever the device holds there. The place is inside `address`.
    fn writable(&self, address: &str) -> Result<(), Diagnostic> {
        let _ = address;
        Ok(())
    }

    /// Offline and pure: parses every address and plans them under default limits. All mistakes at once.
    fn plan(&self, target: &Target, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>>;

    /// One attempt to connect. No retry, no back-off, no overall time-out in here: the scheduler owns them.
    async fn connect(
        &self,
        target: &Target,
        context: SessionContext,
    ) -> Result<Box<dyn Session>, SessionError>;

    /// Serves the other side of the protocol at `spec.listen`, on the same codec.
    async fn simulate(&self, spec: SimulatorSpec) -> Result<SimulatorHandle, SessionError>;
}

/// One live connection to a device. Owned by one task.
#[async_trait]
pub trait Session: Send {
    /// What this device granted.
    fn limits(&self) -> Limits;

    /// Fixes a scan group's tags and plans them under [`Session::limits`]. Asking again replaces the group.
    fn prepare(&mut self, group: GroupIndex, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>>;

    /// One scan into the caller's row: one cell per tag, `read_at` set. A tag's trouble is a [`millstream_model::Cell::Bad`];
    /// `Err` means the session is over. Cancel-safe: after a cancelled read the next one starts afresh and
    /// late answers are dropped.
    async fn read(&mut self, group: GroupIndex, row: &mut Row) -> Result<(), SessionError>;

    /// Writes what the guard has allowed, in order, and pushes one outcome per write (told apart by tag). Immediately before a write is sent its
    /// time is checked again ([`AllowedWrite::is_good`](crate::guard::AllowedWrite::is_good)); one that is no longer good is
    /// [`WriteResult::Expired`]. A refusal by the device is an outcome; `Err` means the session is over, and every write
    /// without an outcome is unknown.
    async fn write(&mut self, permit: Permit, outcomes: &mut Vec<WriteOutcome>) -> Result<(), SessionError>;

    /// Waits between scans until the session ends by itself, and says why; keeps it alive where the protocol asks for that.
    /// Cancel-safe. The default never returns: then the next scan finds out.
    async fn ended(&mut self) -> SessionError {
        std::future::pending().await
    }
}

/// What became of one allowed write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOutcome {
    /// The tag.
    pub tag: Arc<str>,
    /// What happened.
    pub result: WriteResult,
    /// What was read back, where the write asked for it and reading worked.
    pub read_back: Option<Value>,
}

/// The device's answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteResult {
    /// The device confirmed it.
    Done,
    /// The device refused it; nothing was written.
    Refused(Status, String),
    /// No answer came: it may or may not have been written. Never repeated blindly.
    Unknown(String),
    /// Its time had passed before it was sent; nothing was written.
    Expired,
    /// It was not sent, for a reason that is not its own: the answer to the write before it was lost, or the part of the
    /// device that it is for does not answer. It may be asked for again.
    NotSent(String),
}

/// A session could not be opened, or is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The connection is gone or could not be made: try again with back-off.
    #[error("{cause}")]
    Lost {
        /// In words: what happened to which peer.
        cause: String,
        /// For the cells.
        status: Status,
    },
    /// The device does not want us (wrong slot, key, route): try again slowly and say so.
    #[error("{cause}")]
    Refused {
        /// In words.
        cause: String,
        /// The remedy.
        help: String,
    },
    /// The peer broke the protocol: reconnect.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl SessionError {
    /// The status of every cell of a device that is in this trouble.
    pub fn status(&self) -> Status {
        match self {
            Self::Lost { status, .. } => *status,
            Self::Refused { .. } => Status::BadNotConnected,
            Self::Protocol(ProtocolError::Silent(_)) => Status::BadTimeout,
            Self::Protocol(ProtocolError::Closed(_)) => Status::BadConnectionClosed,
            Self::Protocol(_) => Status::BadCommunicationError,
        }
    }
}
