//! What can go wrong on the bus, split by what the caller does next.

use crate::TopicPartition;
use std::time::Duration;
use thiserror::Error;

/// An operation on the bus failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BusError {
    /// There is no such topic or partition.
    #[error("topic `{0}` does not exist")]
    UnknownTopic(String),
    /// There is a topic of that name already.
    #[error("topic `{0}` exists already")]
    TopicExists(String),
    /// What was asked can never work: a bad name, no partitions, an empty batch, a record over the size limit.
    #[error("{0}")]
    Invalid(String),
    /// The position is not in the log any more, or not yet.
    #[error("offset {offset} of `{at}` is out of range: the log holds {earliest} to {latest}")]
    OffsetOutOfRange {
        /// Where.
        at: TopicPartition,
        /// What was asked for.
        offset: i64,
        /// The first offset there is.
        earliest: i64,
        /// The next offset to be written.
        latest: i64,
    },
    /// Records are damaged on disk; they cannot be read, those after them can.
    #[error("records {first} to {last} of `{at}` are damaged on disk")]
    Corrupt {
        /// Where.
        at: TopicPartition,
        /// First damaged offset.
        first: i64,
        /// Last damaged offset; reading can go on after it.
        last: i64,
    },
    /// A newer producer or member has taken over. This one must stop.
    #[error("`{0}` was taken over by a newer instance")]
    Fenced(String),
    /// The disk is full. Nothing was written; works again when there is space.
    #[error("the disk that holds `{0}` is full; free some space and writing goes on by itself")]
    DiskFull(String),
    /// The engine cannot do it now: the broker is away, a partition is fenced after a disk error. Try again later.
    #[error("{message}")]
    Unavailable {
        /// What happened, in words.
        message: String,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The outcome of a write is not known (a time-out after sending). Only an idempotent retry is safe.
    #[error("it is not known whether `{0}` was written")]
    Unknown(String),
    /// Nothing will help: wrong credentials, an incompatible broker.
    #[error("{0}")]
    Fatal(String),
}

impl BusError {
    /// Where a reader goes on after records that are gone or damaged: the partition and the offset to seek. `None` for other errors.
    pub fn next_readable(&self) -> Option<(&TopicPartition, i64)> {
        match self {
            Self::OffsetOutOfRange { at, earliest, .. } => Some((at, *earliest)),
            Self::Corrupt { at, last, .. } => Some((at, last.saturating_add(1))),
            _ => None,
        }
    }

    /// Whether trying the same again later can work.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::DiskFull(_) | Self::Unavailable { .. } | Self::Unknown(_))
    }
}
