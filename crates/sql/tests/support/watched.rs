//! A bus over another one that counts who reads and writes through it, and that can be cut off: then readers give nothing,
//! and nothing is written, without an error, as behind a network that swallows everything.

use async_trait::async_trait;
use millstream_bus::*;
use millstream_model::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// See the module.
#[derive(Debug)]
pub struct WatchedBus {
    inner: Arc<dyn Bus>,
    readers: Arc<AtomicUsize>,
    /// How many readers have ever been opened.
    pub opened: AtomicUsize,
    cut: watch::Sender<Cut>,
}

/// What does not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Nothing,
    /// Readers give nothing.
    Reading,
    /// Transactions do not end.
    Writing,
    /// Nobody learns what topics there are.
    Looking,
    /// No group takes members.
    Joining,
    /// No topic is made, and that is said.
    Making,
}

impl WatchedBus {
    pub fn new(inner: Arc<dyn Bus>) -> Arc<Self> {
        let cut = watch::Sender::new(Cut::Nothing);
        Arc::new(Self { inner, readers: Arc::default(), opened: AtomicUsize::new(0), cut })
    }

    /// How many readers are open.
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::SeqCst)
    }

    pub fn cut(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }

    async fn open(&self, closed: Cut) {
        let _ = self.cut.subscribe().wait_for(|cut| *cut != closed).await;
    }
}

#[async_trait]
impl Bus for WatchedBus {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        if *self.cut.borrow() == Cut::Making {
            let (message, retry_after) = ("no topics today".to_owned(), Duration::from_secs(1));
            return Err(BusError::Unavailable { message, retry_after });
        }
        self.inner.create_topic(spec).await
    }
    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.inner.delete_topic(topic).await
    }
    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        self.inner.topics().await
    }
    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        self.open(Cut::Looking).await;
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
        self.readers.fetch_add(1, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(WatchedReader { inner, readers: self.readers.clone(), cut: self.cut.subscribe() }))
    }
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        self.open(Cut::Joining).await;
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
        let inner = self.inner.transactional(id).await?;
        Ok(Box::new(WatchedProducer { inner, cut: self.cut.subscribe() }))
    }
}

struct WatchedReader {
    inner: Box<dyn Reader>,
    readers: Arc<AtomicUsize>,
    cut: watch::Receiver<Cut>,
}

impl Drop for WatchedReader {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Reader for WatchedReader {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        tokio::select! {
            biased;
            _ = self.cut.wait_for(|cut| *cut == Cut::Reading) => {}
            fetched = self.inner.poll(limit) => return fetched,
        }
        let open = self.cut.wait_for(|cut| *cut != Cut::Reading);
        let _ = tokio::time::timeout(limit.wait_max, open).await;
        Ok(Vec::new())
    }
    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.inner.seek(to, offset).await
    }
    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.inner.positions()
    }
}

struct WatchedProducer {
    inner: Box<dyn TransactionalProducer>,
    cut: watch::Receiver<Cut>,
}

#[async_trait]
impl TransactionalProducer for WatchedProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        let _ = self.cut.wait_for(|cut| *cut != Cut::Writing).await;
        self.inner.begin().await
    }
}
