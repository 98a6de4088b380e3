//! Whether batches of a transaction may be written, before they are.

use super::{Claim, TransactionError, Transactions};
use crate::replica::TransactionKey;
use millstream_bus::{BusError, TopicPartition};

impl Transactions {
    /// Whether the producer of a Produce request may write to partitions as part of its open transaction. `implicit` (Produce from
    /// version 12 on) adds them to it, and opens one where none is open.
    pub(crate) async fn verify_produce(
        &self,
        claim: Claim<'_>,
        _partitions: &[TopicPartition],
        _implicit: bool,
    ) -> Result<(), TransactionError> {
        let slot = self.slot(claim.id).ok_or(TransactionError::UnknownProducer)?;
        let producer = slot.lock().await;
        producer.check_claim(claim.key)?;
        Err(TransactionError::NotInTransaction)
    }

    /// A producer id of its own for a producer without transactions.
    pub(crate) async fn idempotent_producer(&self) -> Result<TransactionKey, BusError> {
        Ok((self.producer_ids.next().await?, 0))
    }
}

impl super::Producer {
    /// Whether a request comes from who has the transactional id now.
    pub(super) fn check_claim(&self, key: TransactionKey) -> Result<(), TransactionError> {
        if self.key.0 != key.0 {
            return Err(TransactionError::UnknownProducer);
        }
        if self.key.1 == key.1 { Ok(()) } else { Err(TransactionError::Fenced) }
    }
}
