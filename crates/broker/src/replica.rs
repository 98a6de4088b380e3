//! One partition as the broker sees it: the log's bytes, and what transactions make of them.
//!
//! A transaction is known by producer id and epoch; every committed one has an epoch of its own (KIP-890), so that a
//! marker says of exactly one transaction how it ended, whatever else a failing disk did to the order of things.

use crate::error::{bus_error, unavailable};
use crate::limits;
use millstream_bus::meter::TopicMeter;
use millstream_bus::{BusError, OffsetRange, TopicPartition};
use millstream_log::batch::{BatchBuilder, ControlKind, ControlMarker};
use millstream_log::{Appended, LogError, Partition};
use millstream_model::Timestamp;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A transaction, as batches and markers name it: producer id and epoch.
pub(crate) type TransactionKey = (i64, i16);

/// An aborted transaction of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) key: TransactionKey,
    /// Its first offset, or any before.
    pub(crate) first: i64,
    /// The offset of its marker.
    pub(crate) last: i64,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) at: TopicPartition,
    /// The topic's id: another topic of the same name, made later, has another one.
    pub(crate) topic_id: u64,
    log: Arc<Partition>,
    transactions: Mutex<Transactions>,
    stable: watch::Sender<i64>,
    meter: Arc<TopicMeter>,
    deleted: AtomicBool,
}

#[derive(Debug)]
struct Transactions {
    /// First offset of each open transaction.
    open: BTreeMap<TransactionKey, i64>,
    /// In the order of their markers.
    aborted: VecDeque<Aborted>,
    /// Of transactions that ended from here on, every aborted one is in `aborted`.
    known_from: i64,
}

/// How a transaction ended, as far as memory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Committed,
    Aborted,
    /// It ended before this process began, so the log must be asked.
    BeforeMemory,
}

impl Replica {
    pub(crate) fn new(
        at: TopicPartition,
        topic_id: u64,
        log: Arc<Partition>,
        meter: Arc<TopicMeter>,
    ) -> Self {
        let next = log.range().next;
        let transactions = Transactions { open: BTreeMap::new(), aborted: VecDeque::new(), known_from: next };
        let stable = watch::Sender::new(next);
        let deleted = AtomicBool::new(false);
        Self { at, topic_id, log, transactions: Mutex::new(transactions), stable, meter, deleted }
    }

    /// The log's partition.
    pub(crate) fn log(&self) -> &Arc<Partition> {
        &self.log
    }

    /// Appends batches outside any transaction.
    pub(crate) fn append(&self, batches: &mut [u8], records: usize) -> Result<Appended, LogError> {
        let transactions = self.transactions.lock();
        let appended = self.log.append(batches)?;
        self.meter.appended(records, batches.len());
        self.publish(&transactions);
        Ok(appended)
    }

    /// Appends batches of an open transaction.
    pub(crate) fn append_open(
        &self,
        batches: &mut [u8],
        records: usize,
        key: TransactionKey,
    ) -> Result<Appended, LogError> {
        let mut transactions = self.transactions.lock();
        let appended = self.log.append(batches)?;
        self.meter.appended(records, batches.len());
        transactions.open.entry(key).or_insert(appended.base_offset);
        self.publish(&transactions);
        Ok(appended)
    }

    /// Appends the marker that ends a transaction. Appending it once more changes nothing.
    pub(crate) fn append_marker(
        &self,
        key: TransactionKey,
        kind: ControlKind,
        now: Timestamp,
    ) -> Result<Appended, LogError> {
        let marker = ControlMarker { kind, coordinator_epoch: 0 };
        let mut batch = BatchBuilder::control(marker, key.0, key.1, now.0);
        let mut transactions = self.transactions.lock();
        let appended = self.log.append(&mut batch)?;
        let first = transactions.open.remove(&key);
        if kind == ControlKind::Abort {
            transactions.remember(Aborted { key, first: first.unwrap_or(0), last: appended.base_offset });
        }
        self.publish(&transactions);
        Ok(appended)
    }

    /// Counts a transaction that may have left records here as aborted, before its marker is written.
    pub(crate) fn write_off(&self, key: TransactionKey) {
        let last = self.log.range().next;
        self.transactions.lock().remember(Aborted { key, first: 0, last });
    }

    /// Readers of committed records are woken where the last stable offset moved.
    fn publish(&self, transactions: &Transactions) {
        let stable = transactions.stable(self.log.range().next);
        self.stable.send_if_modified(|last| std::mem::replace(last, stable) != stable);
    }

    /// The topic was deleted: wakes every reader to see that.
    pub(crate) fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        self.stable.send_modify(|_| {});
    }

    /// [`BusError::UnknownTopic`] where the topic was deleted.
    pub(crate) fn check_exists(&self) -> Result<(), BusError> {
        let deleted = self.deleted.load(Ordering::Acquire);
        if deleted { Err(BusError::UnknownTopic(self.at.to_string())) } else { Ok(()) }
    }

    /// Resolves when everything before `next_offset` is on disk.
    pub(crate) async fn flushed(&self, next_offset: i64) -> Result<(), BusError> {
        self.log.flushed(next_offset).await.map_err(bus_error)
    }

    /// Puts everything before an offset that a group reached on disk, so that the offset never points past the log, nor past
    /// records that were read and then lost with the disk: those come again.
    pub(crate) async fn flushed_input(&self, offset: i64) -> Result<(), BusError> {
        let was_fenced = self.log.is_fenced();
        let range = self.log.range();
        let is_behind_lost = self.log.is_lost(offset - 1) && self.log.is_lost(offset);
        if is_behind_lost || (offset > range.next && (was_fenced || self.log.is_fenced())) {
            let at = &self.at;
            return Err(unavailable(format!(
                "records of `{at}` before offset {offset} were lost with the disk"
            )));
        }
        let offset = offset.min(range.next);
        if offset <= range.durable { Ok(()) } else { self.flushed(offset).await }
    }

    pub(crate) fn range(&self) -> OffsetRange {
        let transactions = self.transactions.lock();
        let range = self.log.range();
        let stable = transactions.stable(range.next).max(range.earliest);
        OffsetRange { earliest: range.earliest, stable, latest: range.next }
    }

    /// The last stable offset, as it changes.
    pub(crate) fn stable(&self) -> watch::Receiver<i64> {
        self.stable.subscribe()
    }

    /// Whether a read at `offset` is likely to wait for the disk.
    pub(crate) fn is_cold(&self, offset: i64) -> bool {
        self.log.range().next.saturating_sub(offset) > limits::COLD_RECORDS
    }

    /// How the transaction ended that has a batch at `offset`, before the last stable offset.
    pub(crate) fn ended(&self, key: TransactionKey, offset: i64) -> Ended {
        let transactions = self.transactions.lock();
        let is_it =
            |aborted: &&Aborted| aborted.key == key && (aborted.first..aborted.last).contains(&offset);
        if transactions.aborted.iter().rev().any(|aborted| is_it(&aborted)) {
            Ended::Aborted
        } else if offset >= transactions.known_from {
            Ended::Committed
        } else {
            Ended::BeforeMemory
        }
    }

    /// Where memory of aborted transactions begins.
    pub(crate) fn known_from(&self) -> i64 {
        self.transactions.lock().known_from
    }
}

impl Transactions {
    fn stable(&self, next: i64) -> i64 {
        self.open.values().copied().min().map_or(next, |first| first.min(next))
    }

    fn remember(&mut self, aborted: Aborted) {
        self.aborted.push_back(aborted);
        if self.aborted.len() > limits::ABORTED_TRANSACTIONS
            && let Some(oldest) = self.aborted.pop_front()
        {
            self.known_from = self.known_from.max(oldest.last + 1);
        }
    }
}
