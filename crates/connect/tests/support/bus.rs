//! A bus whose appends fail, or wait, on demand.

use async_trait::async_trait;
use millstream_bus::memory::MemoryBus;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, GroupDescription, GroupReader, Isolation, OffsetRange, Position,
    Reader, Record, StartOffset, TopicDescription, TopicPartition, TopicSpec, Transaction,
    TransactionalProducer,
};
use millstream_model::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// See the module.
#[derive(Debug)]
pub struct FaultyBus {
    inner: Arc<MemoryBus>,
    faults: Arc<Mutex<Faults>>,
    /// Appends that were asked for, also those that failed.
    pub appends: AtomicUsize,
}

#[derive(Debug, Default)]
struct Faults {
    /// What appends to topics with this prefix answer.
    append: Option<(String, BusError)>,
    /// What everything answers.
    all: Option<BusError>,
    /// How long an append takes.
    delay: Duration,
    lose_commit_answers: bool,
}

impl Faults {
    fn up(&self) -> Result<(), BusError> {
        self.all.clone().map_or(Ok(()), Err)
    }
}

impl FaultyBus {
    pub fn new() -> Arc<Self> {
        Self::over(MemoryBus::new())
    }

    pub fn over(inner: Arc<MemoryBus>) -> Arc<Self> {
        Arc::new(Self { inner, faults: Arc::default(), appends: AtomicUsize::new(0) })
    }

    pub fn disk_full(&self, topic_prefix: &str) {
        self.fail_appends(topic_prefix, BusError::DiskFull("data".to_owned()));
    }

    pub fn fail_appends(&self, topic_prefix: &str, error: BusError) {
        self.faults.lock().append = Some((topic_prefix.to_owned(), error));
    }

    pub fn away(&self) {
        let retry_after = Duration::from_millis(100);
        self.fail_all(BusError::Unavailable { message: "the broker is away".to_owned(), retry_after });
    }

    pub fn fail_all(&self, error: BusError) {
        self.faults.lock().all = Some(error);
    }

    /// From now on every commit of a transaction works, and nobody learns of it.
    pub fn lose_commit_answers(&self) {
        self.faults.lock().lose_commit_answers = true;
    }

    pub fn slow(&self, delay: Duration) {
        self.faults.lock().delay = delay;
    }

    pub fn heal(&self) {
        *self.faults.lock() = Faults::default();
    }

    pub fn inner(&self) -> &Arc<MemoryBus> {
        &self.inner
    }

    pub fn append_count(&self) -> usize {
        self.appends.load(Ordering::Relaxed)
    }

    fn up(&self) -> Result<(), BusError> {
        self.faults.lock().up()
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.up()?;
        self.inner.create_topic(spec).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.up()?;
        self.inner.delete_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        self.up()?;
        self.inner.topics().await
    }

    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        self.up()?;
        self.inner.describe_topic(topic).await
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>, acks: Acks) -> Result<i64, BusError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        self.up()?;
        let (delay, fault) = {
            let faults = self.faults.lock();
            (faults.delay, faults.append.clone())
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match fault {
            Some((prefix, error)) if to.topic.starts_with(&prefix) => Err(error),
            _ => self.inner.append(to, records, acks).await,
        }
    }

    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        self.up()?;
        self.inner.offsets(of).await
    }

    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        self.up()?;
        self.inner.offset_for_time(of, time).await
    }

    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        self.up()?;
        self.inner.delete_records(of, before).await
    }

    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        self.up()?;
        self.inner.reader(from, isolation).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        self.up()?;
        self.inner.subscribe(group, topics, start, isolation).await
    }

    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        self.up()?;
        self.inner.committed(group, of).await
    }

    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        self.up()?;
        self.inner.commit(group, offsets).await
    }

    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        self.up()?;
        self.inner.groups().await
    }

    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        self.up()?;
        let inner = self.inner.transactional(id).await?;
        Ok(Box::new(FaultyProducer { inner, faults: self.faults.clone() }))
    }
}

struct FaultyProducer {
    inner: Box<dyn TransactionalProducer>,
    faults: Arc<Mutex<Faults>>,
}

#[async_trait]
impl TransactionalProducer for FaultyProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        self.faults.lock().up()?;
        Ok(Box::new(FaultyTransaction { inner: self.inner.begin().await?, faults: self.faults.clone() }))
    }
}

struct FaultyTransaction<'a> {
    inner: Box<dyn Transaction + 'a>,
    faults: Arc<Mutex<Faults>>,
}

#[async_trait]
impl Transaction for FaultyTransaction<'_> {
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError> {
        self.faults.lock().up()?;
        self.inner.append(to, records).await
    }

    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        self.faults.lock().up()?;
        self.inner.commit_offsets(group, offsets).await
    }

    async fn commit(self: Box<Self>) -> Result<(), BusError> {
        self.faults.lock().up()?;
        self.inner.commit().await?;
        if self.faults.lock().lose_commit_answers {
            return Err(BusError::Unknown("the transaction".to_owned()));
        }
        Ok(())
    }

    async fn abort(self: Box<Self>) -> Result<(), BusError> {
        self.inner.abort().await
    }
}
