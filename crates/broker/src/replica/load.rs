//! Where what is known of producers and transactions comes from at a start, and how it stays findable.
//!
//! It is read when the partition is first used: the snapshot beside the partition, and the headers of the batches behind it. A
//! snapshot is written after everything that it counts in is on disk, so that it never claims more than the log holds; where the
//! log holds less all the same, it is not used. The same is done after a disk that failed and took records with it.

use super::snapshot::{self, Snapshot};
use super::{Replica, State, TransactionIndex};
use crate::fetch::marker;
use crate::limits;
use millstream_log::batch::{BatchHeader, ControlKind, batches};
use millstream_log::{LogError, Scanned};
use std::ops::ControlFlow;
use tokio::time::Instant;

/// The file's name.
const FILE: &str = "producers";

impl Replica {
    /// What the disk has to say. Blocks for a moment, where the snapshot is fresh.
    pub(super) fn load(&self, now_ms: i64) -> Result<State, LogError> {
        let range = self.log.range();
        let noted = self.log.read_sidecar(FILE)?.and_then(|lines| snapshot::decode(&lines));
        // Where the log begins behind it, what was between is not known: producers may have gone on.
        let fits = |noted: &Snapshot| (range.earliest..=range.next).contains(&noted.end);
        let Snapshot { end, mut producers, mut transactions } = noted.filter(fits).unwrap_or_default();
        producers.now_ms = now_ms;
        transactions.prune(range.earliest);
        self.drop_compacted(&mut transactions)?;
        let mut state = State { loaded: true, producers, transactions, ..State::default() };
        (state.noted.end, state.end) = (end, end.max(range.earliest));
        self.log.scan(end, |scanned| {
            let header = match &scanned {
                Scanned::Header(header) => header,
                Scanned::Control(batch) => &batch.header,
            };
            state.noted.unnoted_bytes += header.size_bytes as u64;
            state.noted.has_changed |= header.has_producer();
            match &scanned {
                Scanned::Header(header) => state.take_batch(header),
                Scanned::Control(batch) => {
                    if let Some(kind) = marker(batch) {
                        state.take_marker(&batch.header, kind == ControlKind::Abort);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        state.end = range.next;
        Ok(state)
    }

    /// Takes out transactions that a snapshot knows as open, and that ended since in a way that compaction has cleared away. It never
    /// touches the records of an open one.
    fn drop_compacted(&self, transactions: &mut TransactionIndex) -> Result<(), LogError> {
        let earliest = self.log.range().earliest;
        for (key, first) in transactions.open.clone() {
            if first < earliest {
                continue;
            }
            let found = match self.log.read(first, 1) {
                Ok(bytes) => batches(bytes).next().and_then(Result::ok).map(|batch| batch.header),
                // What is damaged is not compacted.
                Err(LogError::Corrupt { .. }) => continue,
                Err(error) => return Err(error),
            };
            let is_it = |header: &BatchHeader| {
                header.base_offset == first
                    && (header.producer_id, header.producer_epoch) == key
                    && header.record_count > 0
            };
            if !found.as_ref().is_some_and(is_it) {
                transactions.open.remove(&key);
            }
        }
        Ok(())
    }

    /// Writes a snapshot where one is due: where a start would have much to read, or where retention could soon take what the last
    /// one does not count in. `always` wants one wherever anything has changed. Blocks on the disk.
    pub(crate) fn note_producers(&self, always: bool) -> Result<(), LogError> {
        let _noting = self.noting.lock();
        let (lines, end, before) = {
            let mut state = self.state.lock();
            if !state.loaded || self.log.is_fenced() || !state.noted.is_due(always, self.log.active_from()) {
                return Ok(());
            }
            state.transactions.prune(self.log.range().earliest);
            let lines = snapshot::encode(state.end, &state.producers, &state.transactions);
            let noted = Noted { end: state.end, at: Some(Instant::now()), ..Noted::default() };
            (lines, state.end, std::mem::replace(&mut state.noted, noted))
        };
        let written = self.log.write_sidecar(FILE, &lines, end);
        if written.is_err() {
            let noted = &mut self.state.lock().noted;
            (noted.end, noted.at, noted.has_changed) = (before.end, before.at, true);
            noted.unnoted_bytes += before.unnoted_bytes;
        }
        written
    }

    /// Deletes every record before `offset`; what its producers sent stays known. Blocks on the disk.
    pub(crate) fn delete_before(&self, offset: i64) -> Result<(), LogError> {
        drop(self.state()?);
        self.note_producers(true)?;
        self.log.delete_before(offset)?;
        self.publish(&*self.state()?);
        Ok(())
    }

    /// Lets time pass for producers, which are forgotten after `keep_ms` without a sign of life.
    pub(crate) fn pass_time(&self, now_ms: i64, keep_ms: i64) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let transactions = &state.transactions;
        state.producers.pass_time(now_ms, keep_ms, |id| transactions.is_open(id));
    }
}

/// How much of what is known is in the snapshot.
#[derive(Debug, Default)]
pub(super) struct Noted {
    end: i64,
    /// When it was written by this process.
    at: Option<Instant>,
    /// Bytes appended behind it.
    pub(super) unnoted_bytes: u64,
    /// Something that it would tell has changed.
    pub(super) has_changed: bool,
}

impl Noted {
    fn is_due(&self, always: bool, active_from: i64) -> bool {
        let is_old = self.at.is_none_or(|at| at.elapsed() >= limits::SNAPSHOT_INTERVAL);
        let is_much = self.unnoted_bytes >= limits::SNAPSHOT_BYTES;
        is_much || self.has_changed && (always || is_old || self.end < active_from)
    }
}
