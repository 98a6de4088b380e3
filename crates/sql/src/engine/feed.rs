//! Topic partitions that several tasks read: each is read and decoded once, however many queries there are.
//!
//! The newest chunks of a partition stand in a ring that its readers share. Whoever needs what is not there yet reads it
//! for all; a task that has fallen behind the ring reads by itself until it has caught up. A chunk is decoded by the first
//! task that looks at it, with all columns that any of its readers wants. What the sharing must not change: a chunk with
//! a record that cannot be decoded is decoded by each task itself, so that no query depends on the columns of another.

use super::union::{Profile, Union, Wanted, profile};
use crate::batch::Batch;
use crate::limits::{BATCH_ROWS_MAX, INPUT_QUEUE_BYTES, SHARED_CHUNKS_MAX};
use crate::plan::query_plan::Scan as ScanPlan;
use millstream_bus::{
    Bus, BusError, FetchLimit, Fetched, Isolation, Position, Reader, ReceivedRecord, StartOffset,
    TopicPartition,
};
use millstream_model::metric::Counter;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// Records of one partition that were read in one go.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The offset from which on they were read.
    start: i64,
    /// Where reading continues.
    pub(super) next: i64,
    pub(super) records: Vec<ReceivedRecord>,
    /// What its readers wanted when it was read; `None` where nobody can share it.
    union: Option<Arc<Union>>,
    /// The rows; `None` where something cannot be decoded.
    decoded: OnceLock<Option<Batch>>,
}

impl Chunk {
    fn new(start: i64, fetched: Vec<Fetched>, union: Option<Arc<Union>>) -> Self {
        let mut next = start;
        let mut records = Vec::new();
        for fetched in fetched {
            next = fetched.next_offset;
            if records.is_empty() {
                records = fetched.records;
            } else {
                records.extend(fetched.records);
            }
        }
        Self { start, next, records, union, decoded: OnceLock::new() }
    }

    /// The rows of the records from place `from` up to `to` as `plan` wants them. `None` where the task has to decode them
    /// itself.
    pub(super) fn rows(
        &self,
        plan: &ScanPlan,
        profile: Option<&Profile>,
        (from, to): (usize, usize),
        partition: i32,
        now_ms: i64,
    ) -> Option<Batch> {
        let union = self.union.as_ref().filter(|union| profile.is_some_and(|own| union.is_for(own)))?;
        let batch = self.decoded.get_or_init(|| union.decode(&self.records, partition));
        let first = self.records.get(from)?.offset;
        let last = self.records.get(to.checked_sub(1)?)?.offset;
        union.pick(batch.as_ref()?, plan, first..=last, now_ms)
    }
}

/// The partitions that are being read.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    shared: Mutex<BTreeMap<TopicPartition, Weak<Shared>>>,
    /// Records that were decoded for several tasks at once.
    pub(super) decoded: Arc<Counter>,
}

/// What the readers of one partition share.
struct Shared {
    at: TopicPartition,
    ring: Mutex<Ring>,
    /// The reader at the end of the ring; whoever holds it reads for all.
    reader: tokio::sync::Mutex<Option<Box<dyn Reader>>>,
    /// Rings when a chunk was added.
    added: watch::Sender<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("at", &self.at).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    wanted: Wanted,
}

impl Ring {
    /// The chunk that holds what stands at `offset`.
    fn find(&self, offset: i64) -> Option<Arc<Chunk>> {
        // Readers are near the end.
        self.chunks.iter().rev().find(|chunk| chunk.start <= offset && offset < chunk.next).cloned()
    }

    fn end(&self) -> Option<i64> {
        self.chunks.back().map(|chunk| chunk.next)
    }

    fn add(&mut self, chunk: Arc<Chunk>) {
        // A gap is no ring: whoever is behind it reads by itself.
        if self.end().is_some_and(|end| end != chunk.start) {
            self.chunks.clear();
        }
        while self.chunks.len() >= SHARED_CHUNKS_MAX {
            self.chunks.pop_front();
        }
        self.chunks.push_back(chunk);
    }
}

/// One task's reading of one partition.
pub(super) struct Feed {
    bus: Arc<dyn Bus>,
    shared: Arc<Shared>,
    /// What its scan has in common with those that can decode with it.
    pub(super) profile: Option<Profile>,
    /// The number of its wish.
    wish: u64,
    /// While the task is behind the ring.
    own: Option<Box<dyn Reader>>,
    /// The offset that comes next.
    pub(super) next: i64,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("at", &self.shared.at).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.ring.lock().wanted.remove(self.wish);
    }
}

impl Feeds {
    /// Reads `at` from `start` on for a task that wants the columns of `plan`. Where the topic was made anew, or retention
    /// was faster, from the beginning.
    pub(super) async fn open(
        &self,
        bus: &Arc<dyn Bus>,
        at: &TopicPartition,
        start: StartOffset,
        plan: &ScanPlan,
    ) -> Result<Feed, BusError> {
        // Whoever reads first opens a reader: a task that finds what it needs in the ring never has one.
        let range = bus.offsets(at).await?;
        let next = start.resolve(range, Isolation::ReadCommitted);
        let next = if (range.earliest..=range.latest).contains(&next) { next } else { range.earliest };
        let shared = self.shared(at);
        let profile = profile(plan);
        let wish = shared.ring.lock().wanted.add(plan, profile.clone(), &self.decoded);
        Ok(Feed { bus: bus.clone(), shared, profile, wish, own: None, next })
    }

    fn shared(&self, at: &TopicPartition) -> Arc<Shared> {
        let mut all = self.shared.lock();
        all.retain(|_, shared| shared.strong_count() > 0);
        if let Some(known) = all.get(at).and_then(Weak::upgrade) {
            return known;
        }
        let made = Arc::new(Shared {
            at: at.clone(),
            ring: Mutex::default(),
            reader: tokio::sync::Mutex::default(),
            added: watch::Sender::new(()),
        });
        all.insert(at.clone(), Arc::downgrade(&made));
        made
    }
}

async fn open(bus: &dyn Bus, at: &TopicPartition, start: StartOffset) -> Result<Box<dyn Reader>, BusError> {
    bus.reader(vec![Position::new(at.clone(), start)], Isolation::ReadCommitted).await
}

impl Feed {
    pub(super) fn at(&self) -> &TopicPartition {
        &self.shared.at
    }

    /// Goes to another offset.
    pub(super) fn seek(&mut self, offset: i64) {
        self.next = offset;
        self.own = None;
    }

    /// The chunk that holds what comes next; its first records may stand before it. Waits while there is nothing, and
    /// gives `None` when the time is over. Cancel-safe.
    pub(super) async fn poll(&mut self, wait_max: Duration) -> Result<Option<Arc<Chunk>>, BusError> {
        let until = tokio::time::Instant::now() + wait_max;
        loop {
            let mut added = self.shared.added.subscribe();
            let (found, end) = {
                let ring = self.shared.ring.lock();
                (ring.find(self.next), ring.end())
            };
            if let Some(chunk) = found {
                self.own = None;
                self.next = chunk.next;
                return Ok(Some(chunk));
            }
            if end.is_some_and(|end| self.next < end) {
                let left = until.saturating_duration_since(tokio::time::Instant::now());
                return self.read_alone(left).await;
            }
            // At the end of what all have: one reads, the others wait for it or for the right to read.
            let shared = self.shared.clone();
            let turn = tokio::select! {
                biased;
                turn = shared.reader.lock() => turn,
                _ = added.changed() => continue,
                () = tokio::time::sleep_until(until) => return Ok(None),
            };
            let moved = shared.ring.lock().end().is_some_and(|end| end > self.next);
            if !moved {
                let left = until.saturating_duration_since(tokio::time::Instant::now());
                return self.read_for_all(&shared, turn, left).await;
            }
        }
    }

    async fn read_for_all(
        &mut self,
        shared: &Shared,
        mut turn: tokio::sync::MutexGuard<'_, Option<Box<dyn Reader>>>,
        wait_max: Duration,
    ) -> Result<Option<Arc<Chunk>>, BusError> {
        if turn.is_none() {
            *turn = Some(match self.own.take() {
                Some(own) => own,
                None => open(&*self.bus, &shared.at, StartOffset::Offset(self.next)).await?,
            });
        }
        self.own = None;
        let Some(reader) = turn.as_mut() else { return Ok(None) };
        if reader.positions().first().is_none_or(|(_, position)| *position != self.next) {
            reader.seek(&shared.at, self.next).await?;
        }
        let fetched = match reader.poll(limit(wait_max)).await {
            Ok(fetched) => fetched,
            Err(error) => {
                *turn = None;
                return Err(error);
            }
        };
        let mut ring = shared.ring.lock();
        let chunk = Chunk::new(self.next, fetched, ring.wanted.union());
        if chunk.next == self.next && chunk.records.is_empty() {
            return Ok(None);
        }
        let chunk = Arc::new(chunk);
        ring.add(chunk.clone());
        drop(ring);
        self.next = chunk.next;
        shared.added.send_replace(());
        Ok(Some(chunk))
    }

    async fn read_alone(&mut self, wait_max: Duration) -> Result<Option<Arc<Chunk>>, BusError> {
        let mut own = match self.own.take() {
            Some(own) => own,
            None => open(&*self.bus, &self.shared.at, StartOffset::Offset(self.next)).await?,
        };
        let fetched = own.poll(limit(wait_max)).await?;
        let chunk = Chunk::new(self.next, fetched, None);
        self.own = Some(own);
        let nothing = chunk.next == self.next && chunk.records.is_empty();
        self.next = chunk.next;
        Ok((!nothing).then(|| Arc::new(chunk)))
    }
}

fn limit(wait_max: Duration) -> FetchLimit {
    FetchLimit { bytes_max: INPUT_QUEUE_BYTES, records_max: BATCH_ROWS_MAX, wait_max }
}
