//! The embedded engine: the coordinators over one log, and the tasks that keep them going.

use crate::coordinate::cluster::ClusterRecords;
use crate::coordinate::consumer_groups::{ConsumerGroupConfig, ConsumerGroups, Loading};
use crate::coordinate::group::MemberId;
use crate::coordinate::groups::{GroupConfig, Groups, Recorded};
use crate::coordinate::offset_record::OffsetRecord;
use crate::coordinate::offsets::{self, Offsets};
use crate::coordinate::transactions::Transactions;
use crate::error::{bus_error, unavailable};
use crate::limits;
use crate::topics::Topics;
use millstream_bus::meter::TopicMeters;
use millstream_bus::{BusError, TopicPartition};
use millstream_log::{Log, Space};
use millstream_model::metric::{Collect, Page};
use millstream_model::{Clock, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// Settings of the embedded engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// A member of a group that was not heard of for so long loses its partitions (`session.timeout.ms`).
    pub session_timeout: Duration,
    /// How long members have to join again when the group changes (`max.poll.interval.ms`).
    pub rebalance_timeout: Duration,
    /// A transaction that is open for longer is aborted (`transaction.timeout.ms`).
    pub transaction_timeout: Duration,
    /// Classic groups, and the offsets of all groups.
    pub groups: GroupConfig,
    /// Groups of the next-generation protocol (KIP-848).
    pub consumer_groups: ConsumerGroupConfig,
    /// Producers of the protocol.
    pub producers: ProducerConfig,
}

/// Settings for producers of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerConfig {
    /// The longest time-out that a client may ask for its transactions (`transaction.max.timeout.ms`).
    pub transaction_max_timeout: Duration,
    /// A transactional id that was not used for so long is forgotten (`transactional.id.expiration.ms`).
    pub transactional_id_expiration: Duration,
    /// A partition forgets a producer that was not heard of for so long (`producer.id.expiration.ms`).
    pub producer_id_expiration: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            transaction_max_timeout: Duration::from_mins(15),
            transactional_id_expiration: Duration::from_hours(7 * 24),
            producer_id_expiration: Duration::from_hours(24),
        }
    }
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_mins(1),
            transaction_timeout: Duration::from_mins(1),
            groups: GroupConfig::default(),
            consumer_groups: ConsumerGroupConfig::default(),
            producers: ProducerConfig::default(),
        }
    }
}

/// What readers, members and producers share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) topics: Arc<Topics>,
    pub(crate) cluster: ClusterRecords,
    pub(crate) offsets: Arc<Offsets>,
    pub(crate) groups: Groups,
    pub(crate) consumer_groups: ConsumerGroups,
    pub(crate) transactions: Transactions,
    pub(crate) config: EmbeddedConfig,
    pub(crate) clock: Arc<dyn Clock>,
    members: AtomicU64,
}

impl Inner {
    /// Notes what partitions know of their producers where it is due, or wherever it has changed; forgets producers that were silent for
    /// long. Blocks on the disk.
    fn note_producers(&self, always: bool) {
        let keep_ms = i64::try_from(self.config.producers.producer_id_expiration.as_millis());
        let (now_ms, keep_ms) = (self.now().as_millis(), keep_ms.unwrap_or(i64::MAX));
        for replica in self.topics.replicas() {
            replica.pass_time(now_ms, keep_ms);
            if let Err(error) = replica.note_producers(always) {
                // The next start has more to read.
                tracing::warn!(partition = %replica.at, %error, "what is known of producers is not noted yet");
            }
        }
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id that no member had before, not even in an earlier process.
    pub(crate) fn member_id(&self) -> MemberId {
        let number = self.members.fetch_add(1, Ordering::Relaxed);
        format!("millstream-{}-{number}", self.clock.now().as_millis()).into()
    }

    /// Commits offsets outside any transaction.
    pub(crate) async fn commit(&self, records: Vec<OffsetRecord>) -> Result<(), BusError> {
        if records.is_empty() {
            return Ok(());
        }
        self.transactions.complete_committers(&records, None).await?;
        self.offsets.commit(&self.topics, records).await
    }

    /// Deletes a topic, and what groups have committed for it.
    pub(crate) async fn delete_topic(self: &Arc<Self>, topic: &str) -> Result<(), BusError> {
        // So that no crash brings an offset back. A disk that is too full for this must not keep a topic from being deleted.
        if let Err(error) = self.transactions.complete_all().await {
            tracing::warn!(topic, %error, "a transaction is not settled while a topic is deleted");
        }
        let (inner, name) = (Arc::clone(self), topic.to_owned());
        blocking(move || inner.topics.delete(&name)).await?;
        if let Err(error) = self.offsets.forget_topic(topic).await {
            tracing::warn!(topic, %error, "offsets of a deleted topic are forgotten with the next start");
        }
        Ok(())
    }
}

/// Runs what waits for the disk where it holds up no task.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let called = tokio::task::spawn_blocking(call).await;
    called.unwrap_or_else(|_| Err(unavailable("given up at shutdown")))
}

/// `Bus` over the embedded log.
#[derive(Debug)]
pub struct Embedded {
    pub(crate) inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the engine over `log` inside a tokio runtime: reads the coordinators' topics, finishes the transactions that were
    /// decided before the last process ended and aborts the others.
    pub async fn open(
        log: Arc<Log>,
        config: EmbeddedConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, BusError> {
        let inner = blocking(move || {
            let topics = Arc::new(Topics::new(log));
            let cluster = ClusterRecords::open(&topics, Arc::clone(&clock))?;
            let (mut loading, mut recorded) = (Loading::default(), Recorded::default());
            let offsets = Offsets::open(&topics, Arc::clone(&clock), |record| {
                loading.take(record);
                recorded.read(record);
            })?;
            let offsets = Arc::new(offsets);
            let transactions = Transactions::open(&topics, &offsets, Arc::clone(&clock), config.clone())?;
            let replica = topics.replica(&TopicPartition::new(offsets::TOPIC, 0))?;
            let group_config = config.consumer_groups.clone();
            let consumer_groups = ConsumerGroups::new(replica, Arc::clone(&clock), group_config, loading);
            let groups = Groups::new(&offsets, Arc::clone(&clock), config.groups, recorded);
            let members = AtomicU64::new(0);
            Ok(Arc::new(Inner {
                topics,
                cluster,
                offsets,
                groups,
                consumer_groups,
                transactions,
                config,
                clock,
                members,
            }))
        })
        .await?;
        inner.transactions.recover().await;
        let tasks = vec![
            tokio::spawn(maintain(Arc::clone(&inner))),
            tokio::spawn(sweep(Arc::clone(&inner))),
            tokio::spawn(expire(Arc::clone(&inner))),
            tokio::spawn(forget(Arc::clone(&inner))),
            tokio::spawn(expire_consumer_groups(Arc::clone(&inner))),
        ];
        Ok(Arc::new(Self { inner, tasks: Mutex::new(tasks) }))
    }

    /// What was appended, per topic.
    pub fn meters(&self) -> &TopicMeters {
        &self.inner.topics.meters
    }

    /// Space on the disk of the log.
    pub fn space(&self) -> Result<Space, BusError> {
        self.inner.topics.log().space().map_err(bus_error)
    }

    /// Puts everything on disk and notes it, so that the next start has nothing to recover, and ends the engine's own tasks. Stop
    /// using the engine before. The data directory is free for another process when the last handle is dropped.
    pub async fn close(&self) -> Result<(), BusError> {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // It was aborted; how it ended tells nothing.
            let _ = task.await;
        }
        let completed = self.inner.transactions.complete_all().await;
        let inner = Arc::clone(&self.inner);
        let closed = blocking(move || {
            inner.note_producers(true);
            inner.topics.log().close().map_err(bus_error)
        });
        let closed = closed.await;
        completed.and(closed)
    }
}

impl Collect for Embedded {
    fn collect(&self, page: &mut Page) {
        self.meters().collect(page);
        for topic in self.inner.topics.list() {
            let labels = [("topic", topic.name.as_str())];
            #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
            let bytes = topic.size_bytes.unwrap_or(0) as f64;
            page.gauge("millstream_topic_size_bytes", "Bytes of a topic on disk.", &labels, bytes);
        }
        self.inner.topics.log().collect(page);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.tasks.lock().iter().for_each(JoinHandle::abort);
    }
}

/// Retention, compaction and recovery of partitions, for ever.
async fn maintain(inner: Arc<Inner>) {
    let mut ticks = interval(millstream_log::limits::MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let inner = Arc::clone(&inner);
        let maintaining = tokio::task::spawn_blocking(move || {
            // Before retention takes what they were read from.
            inner.note_producers(false);
            inner.topics.log().maintain();
        });
        if maintaining.await.is_err() {
            tracing::error!("maintenance of the log failed; it goes on with the next round");
        }
    }
}

/// Settles and times out transactions, for ever.
async fn sweep(inner: Arc<Inner>) {
    let mut ticks = interval(limits::SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.transactions.sweep().await;
    }
}

/// Forgets committed offsets that nobody uses, for ever.
async fn forget(inner: Arc<Inner>) {
    let mut ticks = interval(inner.config.groups.offsets_check_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once: whoever was away with the process has time to come back.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        inner.expire_offsets().await;
    }
}

/// Expires members of groups, for ever.
async fn expire(inner: Arc<Inner>) {
    loop {
        let changed = inner.groups.changed.notified();
        match inner.groups.expire() {
            Some(deadline) => tokio::select! {
                () = changed => {}
                () = sleep_until(deadline) => {}
            },
            None => changed.await,
        }
    }
}

/// Puts silent members out of groups of the next-generation protocol, for ever.
async fn expire_consumer_groups(inner: Arc<Inner>) {
    loop {
        let changed = inner.consumer_groups.changed.notified();
        match inner.consumer_groups.expire(&inner.topics) {
            Some(deadline) => tokio::select! {
                () = changed => {}
                () = sleep_until(deadline) => {}
            },
            None => changed.await,
        }
    }
}
