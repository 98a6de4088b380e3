//! Producers of transactions in this process.

use crate::coordinate::offsets::records_of;
use crate::coordinate::transactions::Slot;
use crate::embedded::Inner;
use crate::error::unavailable;
use async_trait::async_trait;
use millstream_bus::{
    BusError, CommittedOffset, Record, TopicPartition, Transaction, TransactionalProducer, check,
};
use std::sync::Arc;

/// A producer that holds a transactional id.
#[derive(Debug)]
pub(crate) struct EmbeddedProducer {
    inner: Arc<Inner>,
    slot: Slot,
    incarnation: u64,
}

impl EmbeddedProducer {
    pub(crate) async fn open(inner: &Arc<Inner>, id: &str) -> Result<Self, BusError> {
        check::id("transactional id", id)?;
        let (taking, id) = (Arc::clone(inner), id.to_owned());
        // In a task of its own: a transaction of a client that had the id must not be left half ended.
        let taken = tokio::spawn(async move { taking.transactions.take_over(&id).await });
        let (slot, incarnation) = taken.await.map_err(|_| unavailable("given up at shutdown"))??;
        Ok(Self { inner: Arc::clone(inner), slot, incarnation })
    }
}

#[async_trait]
impl TransactionalProducer for EmbeddedProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        let number = self.inner.transactions.begin(&self.slot, self.incarnation).await?;
        Ok(Box::new(EmbeddedTransaction { producer: self, number, ended: false }))
    }
}

#[derive(Debug)]
struct EmbeddedTransaction<'a> {
    producer: &'a EmbeddedProducer,
    number: u64,
    ended: bool,
}

impl EmbeddedTransaction<'_> {
    fn handle(&self) -> (&Slot, u64, u64) {
        (&self.producer.slot, self.producer.incarnation, self.number)
    }
}

#[async_trait]
impl Transaction for EmbeddedTransaction<'_> {
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError> {
        self.producer.inner.transactions.add_records(self.handle(), to, records).await
    }

    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::id("group", group)?;
        check::offsets(offsets)?;
        self.producer.inner.transactions.add_offsets(self.handle(), records_of(group, offsets)).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), BusError> {
        let producer = Arc::clone(&self.producer.slot).lock_owned().await;
        self.ended = true;
        let (inner, incarnation, number) =
            (Arc::clone(&self.producer.inner), self.producer.incarnation, self.number);
        // In a task of its own: a caller that is cancelled now must not leave it half decided.
        let committing =
            tokio::spawn(async move { inner.transactions.commit(producer, incarnation, number).await });
        committing.await.unwrap_or_else(|_| Err(unavailable("the commit was given up at shutdown")))
    }

    async fn abort(mut self: Box<Self>) -> Result<(), BusError> {
        self.producer.inner.transactions.abort(self.handle()).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for EmbeddedTransaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.producer.inner.transactions.abort_now(self.handle());
        }
    }
}
