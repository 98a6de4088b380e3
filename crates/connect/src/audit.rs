//! The audit trail: who wrote what to a machine, and what was refused.
//!
//! Two topics. [`AUDIT_TOPIC`] gets an *intent* before every write, which the write waits for until it is durable, and a *result*
//! after it, with the same `id`; and a *rearm* before a tag that was latched off takes writes again. [`REFUSED_TOPIC`] gets
//! everything that was not written, with the reason. A process that dies between intent and result leaves an intent alone: the
//! next life settles it as `unknown` before it allows any write.

mod record;
mod recover;

pub use record::Refusal;

use crate::ConnectorMetrics;
use crate::limits::{INTENT_WAIT, PENDING_REPORTS, SETTLE_WAIT, TOPIC_PARTITIONS};
use crate::outbox::{Outbox, Ticket, ensure_topic};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, Record, TopicPartition, TopicSpec, partition_for_key,
};
use millstream_driver::guard::{Origin, WriteRequest};
use millstream_driver::schedule::{AuditTrail, Verdict, WriteReport};
use millstream_model::Clock;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Intents and results of every write that the guard allowed.
pub const AUDIT_TOPIC: &str = "millstream.audit";
/// Everything that was asked for and not written, with the reason.
pub const REFUSED_TOPIC: &str = "millstream.refused";
/// The group whose offset says: every intent before it has its result.
const GROUP: &str = "millstream-audit";
/// Stands in the id of a command that is offered again, between the id that it had first and a number.
pub(crate) const AGAIN: char = '~';
/// Intents between two commits of that offset: a restart reads about as many.
const INTENTS_PER_COMMIT: u32 = 256;

/// Writes the audit trail to the bus. One for the whole plant.
#[derive(Debug)]
pub struct AuditLog {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    results: Outbox,
    refused: Outbox,
    room: Arc<Semaphore>,
    /// The number of partitions, once what an earlier life left open is settled.
    recovered: tokio::sync::Mutex<Option<i32>>,
    open: Mutex<Open>,
    metrics: Arc<ConnectorMetrics>,
}

/// The audit trail may use what the embedded log keeps aside for a full disk: a machine can be written to as long as that lasts.
fn audit_topic() -> TopicSpec {
    TopicSpec::new(AUDIT_TOPIC, TOPIC_PARTITIONS).config("millstream.reserved", "true")
}

/// A command's id and tag: what pairs an intent with its result. One command may ask for several tags.
type Pair = (Arc<str>, Arc<str>);

/// Intents without results, and those of earlier lives.
#[derive(Debug, Default)]
struct Open {
    pairs: BTreeSet<Pair>,
    earlier: BTreeSet<Pair>,
    since_commit: u32,
}

struct Room(#[expect(dead_code, reason = "held until the log has the record")] OwnedSemaphorePermit);

impl Ticket for Room {
    fn lost(&self, _: &str) {}
}

impl AuditLog {
    /// A trail on `bus`. Nothing is written yet; see [`AuditLog::recover`]. Needs a running tokio runtime.
    pub fn new(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let metrics = ConnectorMetrics::new("audit");
        metrics.state.set(1);
        let outbox = |topic| Outbox::open(bus.clone(), topic, metrics.clone());
        Arc::new(Self {
            results: outbox(audit_topic()),
            refused: outbox(TopicSpec::new(REFUSED_TOPIC, TOPIC_PARTITIONS)),
            bus,
            clock,
            room: Arc::new(Semaphore::new(PENDING_REPORTS)),
            recovered: tokio::sync::Mutex::default(),
            open: Mutex::default(),
            metrics,
        })
    }

    /// Settles as `unknown` every intent that an earlier life left without a result, and returns how many there were. Done
    /// once; the first write does it where nobody did. An error means that the log cannot be read now: try again later.
    pub async fn recover(&self) -> Result<usize, BusError> {
        let mut recovered = self.recovered.lock().await;
        if recovered.is_some() {
            return Ok(0);
        }
        let partitions = ensure_topic(&*self.bus, &audit_topic()).await?;
        let found = recover::settle_open_intents(&*self.bus, partitions, self.clock.now()).await?;
        self.open.lock().earlier = found.recent;
        *recovered = Some(partitions);
        Ok(found.settled)
    }

    /// Whether an earlier life was about to write this: then it may have been written, and must not be again. Known of the
    /// last few thousand commands, once [`AuditLog::recover`] is done.
    pub fn was_intended(&self, request: &WriteRequest) -> bool {
        self.open.lock().earlier.contains(&pair(request))
    }

    /// Hands refusals over to the log, and waits for room only. See [`AuditLog::flush`].
    pub async fn refuse(&self, refusals: &[Refusal]) {
        for refusal in refusals {
            self.metrics.refused.increment();
            let Refusal { device, reason, id, message, .. } = refusal;
            tracing::info!(%device, reason, %id, "refused: {message}");
            if let Ok(room) = self.room.clone().acquire_owned().await {
                self.refused.push(refusal.record(self.clock.now()), Some(Box::new(Room(room))));
            }
        }
    }

    /// Returns once every result and refusal until now is durable: then, and not before, may the offsets of the commands be
    /// committed. Waits as long as the log is away. Cancel-safe.
    pub async fn flush(&self) {
        self.results.flush().await;
        self.refused.flush().await;
    }

    /// Counts of intents, results and refusals.
    pub fn metrics(&self) -> &Arc<ConnectorMetrics> {
        &self.metrics
    }

    /// Why the log does not take records at present, if it does not.
    pub fn troubles(&self) -> Vec<String> {
        [&self.results, &self.refused].into_iter().filter_map(Outbox::trouble).collect()
    }

    /// Waits, at most [`crate::limits::STOP_WAIT`], for what is left, and ends. Call it after the last write.
    pub async fn stop(&self) {
        futures_util::future::join(self.results.close(), self.refused.close()).await;
        self.metrics.state.set(0);
    }

    /// Makes durable that `tag` of `device` is to take writes again, and who said so; re-arm it after that and not before. A
    /// record may stand there for one that was never done, because the process ended; never the other way round.
    pub async fn rearm(&self, device: &Arc<str>, tag: &str, origin: &Origin) -> Result<(), String> {
        let record = record::rearm(device, tag, origin, self.clock.now());
        let appended = timeout(INTENT_WAIT, self.append(device, vec![record])).await;
        match appended {
            Ok(appended) => appended.map(|_| ()).map_err(|error| error.to_string()),
            Err(_) => Err(late()),
        }
    }

    /// Makes intents durable.
    async fn append_intents(&self, device: &Arc<str>, records: Vec<Record>) -> Result<(), BusError> {
        let count = records.len();
        let (at, first) = self.append(device, records).await?;
        self.commit_settled(at, first, count);
        Ok(())
    }

    /// Makes records durable in the device's partition; says where the first one is.
    async fn append(
        &self,
        device: &Arc<str>,
        records: Vec<Record>,
    ) -> Result<(TopicPartition, i64), BusError> {
        self.recover().await?;
        let partitions = self.recovered.lock().await.unwrap_or(TOPIC_PARTITIONS);
        let at = TopicPartition::new(AUDIT_TOPIC, partition_for_key(Some(device.as_bytes()), partitions));
        let count = records.len();
        let first = match self.bus.append(&at, records.clone(), Acks::All).await {
            Err(BusError::UnknownTopic(_)) => {
                ensure_topic(&*self.bus, &audit_topic()).await?;
                self.bus.append(&at, records, Acks::All).await?
            }
            appended => appended?,
        };
        self.metrics.records.add(count as u64);
        Ok((at, first))
    }

    /// Now and then, when every intent but the `count` from `first` has its result in the log, says so, so that a restart
    /// need not look at the others. No write waits for that.
    fn commit_settled(&self, at: TopicPartition, first: i64, count: usize) {
        let mut open = self.open.lock();
        open.since_commit += 1;
        if open.since_commit < INTENTS_PER_COMMIT || open.pairs.len() != count || !self.results.is_empty() {
            return;
        }
        open.since_commit = 0;
        let bus = self.bus.clone();
        tokio::spawn(async move {
            if let Err(error) = bus.commit(GROUP, &[(at, CommittedOffset::new(first))]).await {
                tracing::debug!("a restart will read more of the audit trail: {error}");
            }
        });
    }

    /// What becomes records of one report: results for the trail, refusals for the other topic.
    fn settle_one(&self, device: &Arc<str>, report: &WriteReport) -> [Option<(&Outbox, Record)>; 2] {
        let was_open = self.open.lock().pairs.remove(&pair(&report.request));
        let is_refused = matches!(report.verdict, Verdict::Refused { .. });
        let result = (was_open || !is_refused).then(|| (&self.results, record::result(device, report)));
        let refused = Refusal::of_report(device, report).map(|refusal| {
            self.metrics.refused.increment();
            (&self.refused, refusal.record(report.at))
        });
        [result, refused]
    }
}

fn late() -> String {
    format!("not within {INTENT_WAIT:?}")
}

fn pair(request: &WriteRequest) -> Pair {
    (request.id.clone(), request.tag.clone())
}

#[async_trait]
impl AuditTrail for AuditLog {
    async fn intend(&self, device: &Arc<str>, writes: &[WriteRequest]) -> Result<(), String> {
        let now = self.clock.now();
        let records = writes.iter().map(|write| record::intent(device, write, now)).collect();
        // Open before the append, whatever comes of it: even one that is cut short may be in the log and needs its result.
        self.open.lock().pairs.extend(writes.iter().map(pair));
        let appended = timeout(INTENT_WAIT, self.append_intents(device, records)).await;
        Err(match appended {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error @ BusError::Unknown(_))) => error.to_string(),
            Ok(Err(error)) => {
                let mut open = self.open.lock();
                open.pairs.retain(|open| !writes.iter().any(|write| pair(write) == *open));
                error.to_string()
            }
            Err(_) => late(),
        })
    }

    /// Hands over and does not wait for the disk: the device goes on. A result that a power cut takes leaves its intent alone,
    /// and that is told as `unknown`.
    async fn settle(&self, device: &Arc<str>, reports: &[WriteReport]) {
        for report in reports {
            for (outbox, record) in self.settle_one(device, report).into_iter().flatten() {
                if let Ok(Ok(room)) = timeout(SETTLE_WAIT, self.room.clone().acquire_owned()).await {
                    outbox.push(record, Some(Box::new(Room(room))));
                } else {
                    // Thousands wait for the log already. What is lost here is at least said.
                    self.metrics.dropped.increment();
                    let value = record.value.unwrap_or_else(Bytes::new);
                    let value = String::from_utf8_lossy(&value);
                    tracing::error!(%device, "not in the audit trail, the log is away: {value}");
                }
            }
        }
    }
}
