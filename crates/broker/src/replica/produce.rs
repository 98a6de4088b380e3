//! Appending what producers of the protocol send: one batch at a time, checked against what its producer sent before.

use super::producer_state::SequenceError;
use super::{Replica, TransactionKey};
use kafka_protocol::ResponseError;
use millstream_log::batch::BatchHeader;
use millstream_log::{Appended, LogError};
use thiserror::Error;

/// Why a batch is not taken.
#[derive(Debug, Error)]
pub(crate) enum ProduceError {
    /// It is not what a client may send.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The transaction that it belongs to is not open here.
    #[error("the partition is not part of an open transaction of producer {0}")]
    NoTransaction(i64),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ProduceError {
    /// Kafka's code.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::Invalid(_) => ResponseError::InvalidRecord,
            Self::Sequence(SequenceError::OutOfOrder { .. }) => ResponseError::OutOfOrderSequenceNumber,
            Self::Sequence(SequenceError::OldEpoch { .. }) => ResponseError::InvalidProducerEpoch,
            Self::NoTransaction(_) => ResponseError::InvalidTxnState,
            Self::Log(LogError::UnknownPartition { .. }) => ResponseError::UnknownTopicOrPartition,
            Self::Log(LogError::Invalid(_) | LogError::Corrupt { .. }) => ResponseError::CorruptMessage,
            Self::Log(_) => ResponseError::KafkaStorageError,
        }
    }
}

/// What the coordinator lets a producer write.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Admitted {
    /// Its epoch changes with each transaction, so that its first sequence number is always 0.
    epoch_per_transaction: bool,
    /// What to wait for before its transaction may be committed.
    next_offset: Option<i64>,
}

impl Replica {
    /// Appends the batch of a producer of the protocol, format v2; once, however often it comes: a repetition is answered
    /// with the offsets of the first time. `transactional` says that the coordinator has verified the request.
    pub(crate) fn produce(&self, batches: &mut [u8], transactional: bool) -> Result<Appended, ProduceError> {
        let header = check(batches)?;
        let key = (header.producer_id, header.producer_epoch);
        let mut state = self.state()?;
        let admitted = state.admitted.get(&key).copied().filter(|_| transactional);
        if header.is_transactional() && admitted.is_none() {
            return Err(ProduceError::NoTransaction(key.0));
        }
        if !header.is_transactional() && header.has_producer() && state.transactions.is_open(key.0) {
            return Err(ProduceError::NoTransaction(key.0));
        }
        if header.has_producer() {
            let known = admitted.is_some_and(|admitted| admitted.epoch_per_transaction);
            if let Some(appended) = state.producers.check(&header, known)? {
                return Ok(appended);
            }
        }
        let appended =
            self.append_next(&mut state, batches, usize::try_from(header.record_count).unwrap_or(0))?;
        if let Some(admitted) = state.admitted.get_mut(&key).filter(|_| header.is_transactional()) {
            admitted.next_offset = Some(appended.next_offset);
        }
        state.take_batch(&BatchHeader { base_offset: appended.base_offset, ..header });
        self.publish(&state);
        Ok(appended)
    }

    /// Lets batches of a transaction in, until it ends. Once more changes nothing.
    pub(crate) fn admit(&self, key: TransactionKey, epoch_per_transaction: bool) -> Result<(), LogError> {
        self.state()?.admitted.entry(key).or_default().epoch_per_transaction = epoch_per_transaction;
        Ok(())
    }

    /// Lets no more batches of a transaction in. What to wait for before it may be committed, where any came.
    pub(crate) fn dismiss(&self, key: TransactionKey) -> Option<i64> {
        self.state.lock().admitted.remove(&key)?.next_offset
    }
}

/// The header of the one batch that a client may send at a time.
fn check(batches: &[u8]) -> Result<BatchHeader, ProduceError> {
    let invalid = |what: &str| Err(ProduceError::Invalid(what.to_owned()));
    let header = match BatchHeader::decode(batches) {
        Ok(header) => header,
        Err(error) => return invalid(&error.to_string()),
    };
    if header.size_bytes != batches.len() {
        return invalid("a produce request has exactly one batch per partition");
    }
    if header.is_control() {
        return invalid("clients may not write control batches");
    }
    if header.has_producer() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return invalid("a batch of a producer has no sequence number or epoch");
    }
    if header.is_transactional() && !header.has_producer() {
        return invalid("a transactional batch has no producer id");
    }
    Ok(header)
}
