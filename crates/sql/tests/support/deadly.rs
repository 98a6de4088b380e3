//! A bus over another one that dies at a chosen step of a transaction, and gives records in small pieces.
//!
//! Death is a future that never ends: whoever waits for it must be dropped, as a killed process is.

use async_trait::async_trait;
use millstream_bus::*;
use millstream_model::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// See the module.
#[derive(Debug)]
pub struct DeadlyBus {
    inner: Arc<dyn Bus>,
    /// How many steps until death; negative: never.
    steps_left: Arc<AtomicI64>,
    /// Rings at death.
    pub died: Arc<Notify>,
    /// How many records a poll gives at most.
    piece: usize,
}

impl DeadlyBus {
    pub fn new(inner: Arc<dyn Bus>, steps: i64, piece: usize) -> Arc<Self> {
        Arc::new(Self { inner, steps_left: Arc::new(AtomicI64::new(steps)), died: Arc::default(), piece })
    }
}

#[derive(Clone)]
struct Death {
    steps_left: Arc<AtomicI64>,
    died: Arc<Notify>,
}

impl Death {
    async fn step(&self) {
        if self.steps_left.load(Ordering::SeqCst) >= 0 && self.steps_left.fetch_sub(1, Ordering::SeqCst) <= 0
        {
            // Everybody dies together.
            self.steps_left.store(0, Ordering::SeqCst);
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Bus for DeadlyBus {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.inner.create_topic(spec).await
    }
    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.inner.delete_topic(topic).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        self.inner.topics().await
    }
    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        self.inner.describe_topic(topic).await
    }
    async fn append(&self, to: &TopicPartition, records: Vec<Record>, acks: Acks) -> Result<i64, BusError> {
        self.inner.append(to, records, acks).await
    }
    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        self.inner.offsets(of).await
    }
    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        self.inner.offset_for_time(of, time).await
    }
    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        self.inner.delete_records(of, before).await
    }
    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        let inner = self.inner.reader(from, isolation).await?;
        Ok(Box::new(SmallReader { inner, piece: self.piece }))
    }
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        self.inner.subscribe(group, topics, start, isolation).await
    }
    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        self.inner.committed(group, of).await
    }
    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        self.inner.commit(group, offsets).await
    }
    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        self.inner.groups().await
    }
    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        let death = Death { steps_left: self.steps_left.clone(), died: self.died.clone() };
        Ok(Box::new(DeadlyProducer { inner: self.inner.transactional(id).await?, death }))
    }
}

struct SmallReader {
    inner: Box<dyn Reader>,
    piece: usize,
}

#[async_trait]
impl Reader for SmallReader {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        self.inner.poll(FetchLimit { records_max: limit.records_max.min(self.piece), ..limit }).await
    }
    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.inner.seek(to, offset).await
    }
    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.inner.positions()
    }
}

struct DeadlyProducer {
    inner: Box<dyn TransactionalProducer>,
    death: Death,
}

#[async_trait]
impl TransactionalProducer for DeadlyProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        self.death.step().await;
        let inner = self.inner.begin().await?;
        Ok(Box::new(DeadlyTransaction { inner, death: self.death.clone() }))
    }
}

struct DeadlyTransaction<'p> {
    inner: Box<dyn Transaction + 'p>,
    death: Death,
}

#[async_trait]
impl Transaction for DeadlyTransaction<'_> {
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError> {
        self.inner.append(to, records).await?;
        self.death.step().await;
        Ok(())
    }
    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        self.inner.commit_offsets(group, offsets).await?;
        self.death.step().await;
        Ok(())
    }
    async fn commit(self: Box<Self>) -> Result<(), BusError> {
        self.death.step().await;
        self.inner.commit().await?;
        // Committed, but nobody was told.
        self.death.step().await;
        Ok(())
    }
    async fn abort(self: Box<Self>) -> Result<(), BusError> {
        self.inner.abort().await
    }
}
