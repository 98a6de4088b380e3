//! The forwarder: ships local topics to a remote bus, in order, every record once.
//!
//! Records and the local offset after them are committed in one remote transaction, so that a restart at any moment goes on
//! exactly where the remote is. While the remote is away the local log keeps everything; here are one poll and one
//! transaction, whatever the backlog. The backlog drains in order, at most at the configured rate, so that it does not
//! take the link from everyone else.

mod pace;

use crate::ConnectorMetrics;
use crate::limits::{FORWARD_BYTES, FORWARD_RECORDS, TOPIC_REFRESH};
use crate::outbox::ensure_topic;
use crate::task::{Task, TaskContext, TaskError};
use async_trait::async_trait;
use millstream_bus::{
    Bus, BusError, CleanupPolicy, CommittedOffset, FetchLimit, Fetched, Header, Isolation, Position, Reader,
    Record, StartOffset, TopicDescription, TopicPartition, TopicSpec, TransactionalProducer,
};
use pace::Pace;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The header that says how many records are missing before this one because retention deleted them, or the disk damaged
/// them, before they could be forwarded. Decimal text.
pub const LOST: &str = "lost";

/// What is forwarded, and how fast.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardConfig {
    /// A lasting name, unique among all that forward to the remote: its position is kept under it.
    pub id: Arc<str>,
    /// Topic names; one that ends in `*` stands for all that begin so. Internal topics are never forwarded.
    pub topics: Vec<String>,
    /// At most this many records per second; `None` for no limit.
    pub records_per_second_max: Option<f64>,
    /// At most this many bytes per second; `None` for no limit.
    pub bytes_per_second_max: Option<f64>,
}

impl ForwardConfig {
    /// The group on the remote whose offsets are positions in the local topics; the transactional id as well.
    pub fn group(&self) -> String {
        format!("millstream-forward-{}", self.id)
    }

    fn wants(&self, topic: &str) -> bool {
        !topic.starts_with("__")
            && self.topics.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(prefix) => topic.starts_with(prefix),
                None => topic == wanted,
            })
    }
}

/// See the module. Run it under [`crate::task::supervise`].
#[derive(Debug)]
pub struct Forwarder {
    local: Arc<dyn Bus>,
    remote: Arc<dyn Bus>,
    config: ForwardConfig,
    /// Where it was at last, to tell the lag while the remote is away. Positions to go on from are the remote's alone.
    known: BTreeMap<TopicPartition, Progress>,
}

impl Forwarder {
    /// From `local` to `remote`.
    pub fn new(local: Arc<dyn Bus>, remote: Arc<dyn Bus>, config: ForwardConfig) -> Self {
        Self { local, remote, config, known: BTreeMap::new() }
    }

    /// The counters for a forwarder of this configuration.
    pub fn metrics(config: &ForwardConfig) -> Arc<ConnectorMetrics> {
        ConnectorMetrics::new(format!("forward-{}", config.id))
    }
}

#[async_trait]
impl Task for Forwarder {
    async fn run(&mut self, context: &TaskContext) -> Result<(), TaskError> {
        note_lag(&*self.local, &self.known, context).await?;
        let mut life = Life {
            forwarder: self,
            context,
            producer: self.remote.transactional(&self.config.group()).await.map_err(taken_over)?,
            partitions: BTreeMap::new(),
            reader: None,
            refresh_at: Instant::now(),
            records_pace: Pace::new(self.config.records_per_second_max),
            bytes_pace: Pace::new(self.config.bytes_per_second_max),
        };
        let result = tokio::select! {
            result = life.run() => result,
            // Dropping an open transaction aborts it; the position is with the remote.
            () = context.stopped() => Ok(()),
        };
        let known = std::mem::take(&mut life.partitions);
        drop(life);
        self.known = known;
        result
    }
}

struct Life<'a> {
    forwarder: &'a Forwarder,
    context: &'a TaskContext,
    producer: Box<dyn TransactionalProducer>,
    partitions: BTreeMap<TopicPartition, Progress>,
    reader: Option<Box<dyn Reader>>,
    refresh_at: Instant,
    records_pace: Pace,
    bytes_pace: Pace,
}

/// How far one partition is.
#[derive(Debug, Default)]
struct Progress {
    next: i64,
    /// Records that are gone before `next`, not told yet.
    lost: i64,
}

impl Life<'_> {
    async fn run(&mut self) -> Result<(), TaskError> {
        loop {
            if self.refresh_at <= Instant::now() {
                self.refresh().await?;
                self.refresh_at = Instant::now() + TOPIC_REFRESH;
            }
            let limit = FetchLimit {
                bytes_max: FORWARD_BYTES,
                records_max: FORWARD_RECORDS,
                wait_max: Duration::from_secs(1),
            };
            let Some(reader) = &mut self.reader else {
                sleep_until(self.refresh_at).await;
                continue;
            };
            let fetched = reader.poll(limit).await;
            match fetched {
                Ok(fetched) => self.ship(fetched).await?,
                Err(error) => self.skip(error).await?,
            }
            note_lag(&*self.forwarder.local, &self.partitions, self.context).await?;
        }
    }

    /// Looks for topics and partitions that are new, creates them at the remote, and reads on where the remote is.
    async fn refresh(&mut self) -> Result<(), TaskError> {
        let mut found = Vec::new();
        for topic in self.forwarder.local.topics().await? {
            if self.forwarder.config.wants(&topic.name) {
                let partitions = (0..topic.partitions).map(|p| TopicPartition::new(&*topic.name, p));
                if partitions.clone().any(|at| !self.partitions.contains_key(&at)) {
                    self.create_at_remote(&topic).await?;
                }
                found.extend(partitions);
            }
        }
        let gone = self.partitions.keys().any(|at| !found.contains(at));
        let new: Vec<_> = found.iter().filter(|at| !self.partitions.contains_key(*at)).cloned().collect();
        if new.is_empty() && !gone {
            return Ok(());
        }
        self.partitions.retain(|at, _| found.contains(at));
        let group = self.forwarder.config.group();
        let committed = self.forwarder.remote.committed(&group, &new).await?;
        for (at, committed) in new.into_iter().zip(committed) {
            let next = match committed {
                Some(committed) => committed.offset,
                None => self.forwarder.local.offsets(&at).await?.earliest,
            };
            self.partitions.insert(at, Progress { next, lost: 0 });
        }
        let positions = self
            .partitions
            .iter()
            .map(|(at, progress)| Position::new(at.clone(), StartOffset::Offset(progress.next)))
            .collect::<Vec<_>>();
        self.reader = None;
        if !positions.is_empty() {
            self.reader = Some(self.forwarder.local.reader(positions, Isolation::ReadCommitted).await?);
        }
        Ok(())
    }

    async fn create_at_remote(&mut self, topic: &TopicDescription) -> Result<(), TaskError> {
        let partitions = ensure_topic(&*self.forwarder.remote, &spec_like(topic)).await?;
        if partitions < topic.partitions {
            return Err(TaskError::Fatal(format!(
                "topic `{}` has {partitions} partitions at the remote and {} here; give it as many there",
                topic.name, topic.partitions
            )));
        }
        Ok(())
    }

    /// One remote transaction with everything that was fetched and where to go on.
    async fn ship(&mut self, fetched: Vec<Fetched>) -> Result<(), TaskError> {
        let (fetched, passed): (Vec<_>, Vec<_>) =
            fetched.into_iter().partition(|fetched| !fetched.records.is_empty());
        // Markers and aborted records are not worth a transaction, and only a record can tell what is lost before it.
        for Fetched { partition, next_offset, .. } in passed {
            self.partitions.entry(partition).or_default().next = next_offset;
        }
        if fetched.is_empty() {
            return Ok(());
        }
        let records: usize = fetched.iter().map(|fetched| fetched.records.len()).sum();
        let of_one = |fetched: &Fetched| fetched.records.iter().map(|r| r.record.len_bytes()).sum::<usize>();
        let bytes: usize = fetched.iter().map(of_one).sum();
        self.records_pace.take(records).await;
        self.bytes_pace.take(bytes).await;
        let mut offsets = Vec::new();
        let mut lost = 0;
        let mut transaction = self.producer.begin().await.map_err(taken_over)?;
        for fetched in fetched {
            let mut batch: Vec<Record> = fetched.records.into_iter().map(|r| r.record).collect();
            let gap = self.partitions.get(&fetched.partition).map_or(0, |progress| progress.lost);
            if let Some(first) = batch.first_mut().filter(|_| gap > 0) {
                first.headers.push(Header { name: LOST.into(), value: Some(gap.to_string().into()) });
                lost += gap;
            }
            transaction.append(&fetched.partition, batch).await.map_err(taken_over)?;
            offsets.push((fetched.partition, CommittedOffset::new(fetched.next_offset)));
        }
        transaction.commit_offsets(&self.forwarder.config.group(), &offsets).await.map_err(taken_over)?;
        // Where the outcome of this is unknown, the next life asks the remote how far it is.
        transaction.commit().await.map_err(taken_over)?;
        for (at, offset) in offsets {
            self.partitions.insert(at, Progress { next: offset.offset, lost: 0 });
        }
        let metrics = self.context.metrics();
        metrics.records.add(records as u64);
        metrics.bytes.add(bytes as u64);
        metrics.lost.add(u64::try_from(lost).unwrap_or(0));
        self.context.progress();
        Ok(())
    }

    /// Goes on after what is gone; the next record tells how much that was.
    async fn skip(&mut self, error: BusError) -> Result<(), TaskError> {
        let Some((at, offset)) = error.next_readable() else { return Err(error.into()) };
        tracing::error!(forwarder = %self.forwarder.config.id, "{error}; going on at {offset}");
        if let Some(progress) = self.partitions.get_mut(at) {
            // A position beyond the end means that the local log was made anew: nothing of it is lost.
            progress.lost += (offset - progress.next).max(0);
            progress.next = offset;
        }
        if let Some(reader) = &mut self.reader {
            reader.seek(at, offset).await?;
        }
        Ok(())
    }
}

/// Counts what waits here.
async fn note_lag(
    local: &dyn Bus,
    partitions: &BTreeMap<TopicPartition, Progress>,
    context: &TaskContext,
) -> Result<(), TaskError> {
    let mut lag = 0;
    for (at, progress) in partitions {
        match local.offsets(at).await {
            Ok(range) => lag += (range.stable - progress.next).max(0),
            // Deleted meanwhile; the next refresh sees it.
            Err(BusError::UnknownTopic(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    context.metrics().lag.set(lag);
    Ok(())
}

/// A newer instance with the same id ships on; two at once would be one too many.
fn taken_over(error: BusError) -> TaskError {
    match error {
        BusError::Fenced(id) => TaskError::Fatal(format!("another instance forwards as `{id}` now")),
        error => error.into(),
    }
}

/// A topic for the remote like the local one, as far as a remote should follow.
fn spec_like(topic: &TopicDescription) -> TopicSpec {
    let mut spec = TopicSpec::new(&topic.name, topic.partitions);
    spec.cleanup = match topic.configs.get("cleanup.policy").map(String::as_str) {
        Some("compact") => CleanupPolicy::Compact,
        Some("compact,delete" | "delete,compact") => CleanupPolicy::CompactDelete,
        _ => CleanupPolicy::Delete,
    };
    for name in ["retention.ms", "retention.bytes", "max.message.bytes"] {
        if let Some(value) = topic.configs.get(name) {
            spec = spec.config(name, value);
        }
    }
    spec
}
