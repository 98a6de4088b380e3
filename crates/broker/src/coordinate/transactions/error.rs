//! Why a transaction cannot go on as a client of the protocol asks.

use crate::replica::TransactionKey;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;
use thiserror::Error;

/// See the module. [`TransactionError::code`] gives Kafka's code.
#[derive(Debug, Clone, Error)]
pub(crate) enum TransactionError {
    /// The transactional id is not known, or not under this producer id.
    #[error("the transactional id does not belong to this producer id")]
    UnknownProducer,
    /// A newer producer has the transactional id.
    #[error("a newer producer has the transactional id")]
    Fenced,
    /// What is asked for does not fit the state of the transaction.
    #[error("the transaction is not in a state for this")]
    State,
    /// The partition is not part of the open transaction.
    #[error("the partition is not part of the transaction")]
    NotInTransaction,
    /// The request came late, on a connection that its producer has left.
    #[error("the request came on a connection that its producer has left")]
    OldConnection,
    #[error("the transaction's time-out is not between 1 ms and {max_ms} ms")]
    Timeout { max_ms: i64 },
    /// There are too many partitions, offsets or transactional ids.
    #[error("{0}")]
    TooMany(String),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl TransactionError {
    /// Kafka's code for a request to the transaction coordinator.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::UnknownProducer => ResponseError::InvalidProducerIdMapping,
            Self::Fenced => ResponseError::ProducerFenced,
            Self::State | Self::NotInTransaction => ResponseError::InvalidTxnState,
            Self::OldConnection => ResponseError::NotCoordinator,
            Self::Timeout { .. } => ResponseError::InvalidTransactionTimeout,
            Self::TooMany(_) => ResponseError::PolicyViolation,
            Self::Bus(BusError::UnknownTopic(_)) => ResponseError::UnknownTopicOrPartition,
            Self::Bus(BusError::Invalid(_)) => ResponseError::InvalidRequest,
            Self::Bus(_) => ResponseError::CoordinatorNotAvailable,
        }
    }

    /// The code for Produce in a version: old clients know fewer of them.
    pub(crate) fn produce_code(&self, version: i16) -> ResponseError {
        match self {
            Self::NotInTransaction if version >= 11 => ResponseError::TransactionAbortable,
            Self::Fenced => ResponseError::InvalidProducerEpoch,
            Self::OldConnection => ResponseError::NotLeaderOrFollower,
            Self::Bus(error) if error.is_retriable() => ResponseError::NotEnoughReplicas,
            other => other.code(),
        }
    }
}

/// Who a request says that it comes from, and how it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The transactional id.
    pub(crate) id: &'a str,
    pub(crate) key: TransactionKey,
    /// The number of the connection.
    pub(crate) connection: u64,
}

impl From<TransactionError> for BusError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Bus(error) => error,
            error => crate::error::unavailable(error.to_string()),
        }
    }
}
