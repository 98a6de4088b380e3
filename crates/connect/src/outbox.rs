//! Records on their way into one topic: appended in order, all that wait in one go, until the log has them.
//!
//! One append is in flight at a time, and everything that arrives meanwhile makes the next one. So the disk's flush costs a
//! scan nothing, a thousand devices share one flush, and order holds even when an append has to be made again. The
//! queue has no limit of its own: whoever pushes holds a ticket from a bounded supply, and the record carries it until
//! it is acknowledged.

use crate::ConnectorMetrics;
use crate::back_off::BackOff;
use crate::limits::{APPEND_BACK_OFF_MAX, APPEND_BYTES, APPEND_RECORDS, BACK_OFF_MIN, STOP_WAIT};
use futures_util::future::join_all;
use millstream_bus::{Acks, Bus, BusError, Record, TopicPartition, TopicSpec, partition_for_key};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Goes with a record until the log has it, or until it is certain that it never will.
pub(crate) trait Ticket: Send + Sync + 'static {
    /// The record can never be appended: it is too large, or the log refuses it for good.
    fn lost(&self, reason: &str);
}

struct Pending {
    record: Record,
    ticket: Option<Box<dyn Ticket>>,
}

/// The way into one topic. Cheap to clone; the sender behind it ends when it is closed.
#[derive(Clone)]
pub(crate) struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    spec: TopicSpec,
    queue: Mutex<Queue>,
    filled: Notify,
    /// Rings after every append, and when the sender has ended.
    drained: Notify,
    metrics: Arc<ConnectorMetrics>,
    /// Why the log does not take records at present.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    in_flight: usize,
    /// Records that were ever pushed, and that are done with. Batches are done with in order.
    pushed: u64,
    done: u64,
    closed: bool,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("topic", &self.shared.spec.name).finish_non_exhaustive()
    }
}

impl Outbox {
    /// A way into the topic of `spec`, which is created when it is missing. Needs a running tokio runtime.
    pub(crate) fn open(bus: Arc<dyn Bus>, spec: TopicSpec, metrics: Arc<ConnectorMetrics>) -> Self {
        let shared = Arc::new(Shared {
            spec,
            queue: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            metrics,
            trouble: Mutex::default(),
        });
        tokio::spawn(Sender { bus, shared: shared.clone(), partitions: None }.run());
        Self { shared }
    }

    /// Hands a record over. Never waits: the ticket is what is bounded.
    pub(crate) fn push(&self, record: Record, ticket: Option<Box<dyn Ticket>>) {
        self.shared.metrics.pending.add(1);
        {
            let mut queue = self.shared.queue.lock();
            queue.pushed += 1;
            queue.waiting.push_back(Pending { record, ticket });
        }
        self.shared.filled.notify_one();
    }

    /// Replaces the newest waiting record with the same key, where there is one. What is in flight already stays.
    pub(crate) fn replace(&self, record: Record) -> Result<(), Record> {
        let mut queue = self.shared.queue.lock();
        match queue.waiting.iter_mut().rev().find(|pending| pending.record.key == record.key) {
            Some(pending) => {
                pending.record = record;
                Ok(())
            }
            None => Err(record),
        }
    }

    /// Whether the log has everything.
    pub(crate) fn is_empty(&self) -> bool {
        let queue = self.shared.queue.lock();
        queue.done == queue.pushed
    }

    /// Why the log does not take records at present.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().clone()
    }

    /// Waits until the log has everything that was pushed before. Cancel-safe.
    pub(crate) async fn flush(&self) {
        let pushed = self.shared.queue.lock().pushed;
        loop {
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if self.shared.queue.lock().done >= pushed {
                return;
            }
            drained.await;
        }
    }

    /// Waits a while for what is left, then ends the sender.
    pub(crate) async fn close(&self) {
        let _ = timeout(STOP_WAIT, self.flush()).await;
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

struct Sender {
    bus: Arc<dyn Bus>,
    shared: Arc<Shared>,
    partitions: Option<i32>,
}

/// Why an append did not work, split by what comes next.
enum Setback {
    /// The same again, later.
    Later(String, Duration),
    /// The topic has to be found or made first.
    Topic,
    /// Never.
    Never(String),
}

impl From<BusError> for Setback {
    fn from(error: BusError) -> Self {
        match error {
            BusError::UnknownTopic(_) => Self::Topic,
            BusError::Invalid(reason) => Self::Never(reason),
            BusError::Unavailable { message, retry_after } => Self::Later(message, retry_after),
            error => Self::Later(error.to_string(), Duration::ZERO),
        }
    }
}

impl Sender {
    async fn run(mut self) {
        let mut back_off = BackOff::new(BACK_OFF_MIN, APPEND_BACK_OFF_MAX);
        while let Some(batch) = self.next_batch().await {
            let mut left = batch;
            while !left.is_empty() {
                match self.append(left).await {
                    Ok(()) => {
                        back_off.reset();
                        *self.shared.trouble.lock() = None;
                        break;
                    }
                    Err((again, message, at_least)) => {
                        left = again;
                        self.shared.metrics.retries.increment();
                        let topic = &self.shared.spec.name;
                        if back_off.attempts() == 0 {
                            tracing::warn!(%topic, "records wait for the log: {message}");
                        }
                        *self.shared.trouble.lock() = Some(message);
                        if self.shared.queue.lock().closed {
                            tracing::error!(%topic, count = left.len(), "records are lost: the log was away until the end");
                            self.shared.metrics.dropped.add(left.len() as u64);
                            break;
                        }
                        sleep(back_off.pause().max(at_least.min(APPEND_BACK_OFF_MAX))).await;
                    }
                }
            }
            {
                let mut queue = self.shared.queue.lock();
                queue.done += std::mem::take(&mut queue.in_flight) as u64;
            }
            self.shared.drained.notify_waiters();
        }
    }

    /// Everything that waits, up to the size of one append; `None` when the outbox is closed and empty.
    async fn next_batch(&self) -> Option<Vec<Pending>> {
        loop {
            {
                let mut queue = self.shared.queue.lock();
                let mut bytes = 0;
                let fits = |pending: &Pending| {
                    let fits = bytes < APPEND_BYTES;
                    bytes += pending.record.len_bytes();
                    fits
                };
                let count =
                    queue.waiting.iter().take(APPEND_RECORDS).map(fits).take_while(|fits| *fits).count();
                if count > 0 {
                    queue.in_flight = count;
                    return Some(queue.waiting.drain(..count).collect());
                }
                if queue.closed {
                    return None;
                }
            }
            self.shared.filled.notified().await;
        }
    }

    /// Appends a batch; what has to be tried again comes back in order, with the reason and the least pause.
    async fn append(&mut self, batch: Vec<Pending>) -> Result<(), (Vec<Pending>, String, Duration)> {
        let partitions = match self.partitions().await {
            Ok(partitions) => partitions,
            Err(error) => {
                let after = if let BusError::Unavailable { retry_after, .. } = error {
                    retry_after
                } else {
                    Duration::ZERO
                };
                return Err((batch, error.to_string(), after));
            }
        };
        let mut by_partition: BTreeMap<i32, Vec<Pending>> = BTreeMap::new();
        for pending in batch {
            let partition = partition_for_key(pending.record.key.as_deref(), partitions);
            by_partition.entry(partition).or_default().push(pending);
        }
        let appends = by_partition.into_iter().map(|(partition, batch)| self.append_to(partition, batch));
        let mut again = Vec::new();
        let mut trouble = (String::new(), Duration::ZERO);
        for (left, setback) in join_all(appends).await.into_iter().flatten() {
            again.extend(left);
            match setback {
                Setback::Later(message, after) => trouble = (message, after),
                Setback::Topic => {
                    self.partitions = None;
                    trouble.0 = format!("topic `{}` is gone; it is created again", self.shared.spec.name);
                }
                Setback::Never(_) => {}
            }
        }
        if again.is_empty() { Ok(()) } else { Err((again, trouble.0, trouble.1)) }
    }

    /// Appends to one partition. A record that the log will never take must not hold up the others: they are then
    /// appended one by one.
    async fn append_to(&self, partition: i32, batch: Vec<Pending>) -> Option<(Vec<Pending>, Setback)> {
        let to = TopicPartition::new(&*self.shared.spec.name, partition);
        let records = batch.iter().map(|pending| pending.record.clone()).collect();
        match self.bus.append(&to, records, Acks::All).await.map_err(Setback::from) {
            Ok(_) => {
                self.acknowledged(&batch);
                None
            }
            Err(Setback::Never(_)) if batch.len() > 1 => self.append_singly(&to, batch).await,
            Err(Setback::Never(reason)) => {
                self.give_up(batch, &reason);
                None
            }
            Err(setback) => Some((batch, setback)),
        }
    }

    async fn append_singly(
        &self,
        to: &TopicPartition,
        batch: Vec<Pending>,
    ) -> Option<(Vec<Pending>, Setback)> {
        let mut left = batch.into_iter();
        while let Some(pending) = left.next() {
            let appended = self.bus.append(to, vec![pending.record.clone()], Acks::All).await;
            match appended.map_err(Setback::from) {
                Ok(_) => self.acknowledged(&[pending]),
                Err(Setback::Never(reason)) => self.give_up(vec![pending], &reason),
                Err(setback) => return Some((std::iter::once(pending).chain(left).collect(), setback)),
            }
        }
        None
    }

    fn acknowledged(&self, batch: &[Pending]) {
        let bytes: usize = batch.iter().map(|pending| pending.record.len_bytes()).sum();
        self.shared.metrics.records.add(batch.len() as u64);
        self.shared.metrics.bytes.add(bytes as u64);
        self.shared.metrics.pending.add(-i64::try_from(batch.len()).unwrap_or(0));
    }

    fn give_up(&self, batch: Vec<Pending>, reason: &str) {
        for pending in batch {
            tracing::error!(topic = %self.shared.spec.name, "a record can never be appended: {reason}");
            self.shared.metrics.pending.add(-1);
            self.shared.metrics.dropped.increment();
            if let Some(ticket) = pending.ticket {
                ticket.lost(reason);
            }
        }
    }

    /// How many partitions the topic has; creates it when it is missing.
    async fn partitions(&mut self) -> Result<i32, BusError> {
        if let Some(partitions) = self.partitions {
            return Ok(partitions);
        }
        let partitions = ensure_topic(&*self.bus, &self.shared.spec).await?;
        self.partitions = Some(partitions);
        Ok(partitions)
    }
}

/// Creates a topic when it is missing, and says how many partitions it has.
pub(crate) async fn ensure_topic(bus: &dyn Bus, spec: &TopicSpec) -> Result<i32, BusError> {
    match bus.describe_topic(&spec.name).await {
        Err(BusError::UnknownTopic(_)) => {}
        described => return described.map(|topic| topic.partitions),
    }
    match bus.create_topic(spec).await {
        // Somebody else was faster: theirs counts.
        Ok(()) | Err(BusError::TopicExists(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(bus.describe_topic(&spec.name).await?.partitions)
}
