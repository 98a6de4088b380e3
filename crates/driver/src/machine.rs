//! One end of a conversation as a pure state machine.

use crate::wire::DecodeError;
use bytes::BytesMut;
use thiserror::Error;

/// Monotonic time, as pure code takes it and as tests can pause it.
pub use tokio::time::Instant;

/// One end of a protocol's conversation: no sockets, no clock, no randomness of its own.
///
/// The owner calls [`Machine::receive`], [`Machine::command`] or [`Machine::expire`], then drains
/// [`Machine::transmit`] and [`Machine::event`], then sleeps until [`Machine::deadline`] or the next input.
pub trait Machine: Send {
    /// What the owner can ask for.
    type Command: Send;
    /// What the owner learns.
    type Event: Send;

    /// Bytes from the peer. Consumes whole frames only and leaves the rest in `input`; `Err` ends the conversation.
    fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ProtocolError>;

    /// Something the owner wants. Refused when the in-flight limit is reached; the command comes back.
    fn command(&mut self, now: Instant, command: Self::Command) -> Result<(), Busy<Self::Command>>;

    /// Appends the bytes to send to `output`.
    fn transmit(&mut self, output: &mut BytesMut);

    /// The next event, until there is none.
    fn event(&mut self) -> Option<Self::Event>;

    /// When to call [`Machine::expire`] at the latest.
    fn deadline(&self) -> Option<Instant>;

    /// Time has passed. `Err` ends the conversation.
    fn expire(&mut self, now: Instant) -> Result<(), ProtocolError>;
}

/// The machine cannot take the command now.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy<C>(pub C);

/// The peer broke the protocol; the conversation is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A frame could not be decoded.
    #[error("the peer sent a malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// The peer did not answer several times in a row.
    #[error("the peer has not answered {0} requests in a row")]
    Silent(u32),
    /// The peer closed the connection, or the network did.
    #[error("the connection was closed: {0}")]
    Closed(String),
}
