//! Key compaction: which records of a partition stay. The rules, without files; [`crate::partition`] applies them.
//!
//! Of each key the newest record stays, in its place and with its offset. Records of aborted transactions go, and do not count as
//! newest. A tombstone (no value), the marker that ended a transaction nothing is left of, and the emptied last batch of a producer
//! (whose sequence numbers are still needed) stay until the delete horizon that their first compaction writes into them
//! (KIP-534): so a reader that is less than `delete.retention.ms` behind sees each deletion. Records without a key stay.

use crate::batch::{Batch, BatchBuilder, BatchError, ControlKind, ControlMarker, Record};
use crate::limits;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// A transaction as batches and markers name it: producer id and epoch. The id alone is not enough: where a full or failing disk
/// held a marker up, the next transaction of the producer may have begun before it.
type TransactionKey = (i64, i16);

fn key_of(batch: &Batch) -> TransactionKey {
    (batch.header.producer_id, batch.header.producer_epoch)
}

/// What the transactions in a range of batches came to.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    open: FxHashMap<TransactionKey, i64>,
    aborted: FxHashMap<TransactionKey, Vec<Range<i64>>>,
    /// By producer id.
    last_batch: FxHashMap<i64, i64>,
}

impl Transactions {
    /// Counts the next batch in.
    pub(crate) fn push(&mut self, batch: &Batch) -> Result<(), BatchError> {
        let header = &batch.header;
        if header.has_producer() && !header.is_control() {
            self.last_batch.insert(header.producer_id, header.base_offset);
        }
        if header.is_control() {
            let record = batch.records()?.into_iter().next();
            if let Some(marker) = record.map(|record| ControlMarker::decode(&record)).transpose()?.flatten()
                && let Some(began) = self.open.remove(&key_of(batch))
                && marker.kind == ControlKind::Abort
            {
                self.aborted.entry(key_of(batch)).or_default().push(began..header.base_offset);
            }
        } else if header.is_transactional() {
            self.open.entry(key_of(batch)).or_insert(header.base_offset);
        }
        Ok(())
    }

    /// The first offset of the oldest transaction that is still open.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    fn is_aborted(&self, batch: &Batch) -> bool {
        let header = &batch.header;
        header.is_transactional()
            && !header.is_control()
            && self
                .aborted
                .get(&key_of(batch))
                .is_some_and(|ranges| ranges.iter().any(|range| range.contains(&header.base_offset)))
    }

    fn is_last_of_producer(&self, batch: &Batch) -> bool {
        self.last_batch.get(&batch.header.producer_id) == Some(&batch.header.base_offset)
    }
}

/// The newest offset of each key.
#[derive(Debug, Default)]
pub(crate) struct NewestOffsets {
    by_key: FxHashMap<Box<[u8]>, i64>,
    key_bytes: usize,
}

/// What an entry costs beside the key's bytes, roughly.
const ENTRY_BYTES: usize = 48;

impl NewestOffsets {
    /// Counts the next batch in.
    pub(crate) fn push(&mut self, batch: &Batch, transactions: &Transactions) -> Result<(), BatchError> {
        if batch.header.is_control() || transactions.is_aborted(batch) {
            return Ok(());
        }
        for Record { key, offset, .. } in batch.records()? {
            let Some(key) = key else { continue };
            if let Some(newest) = self.by_key.get_mut(&*key) {
                *newest = offset;
            } else {
                self.key_bytes += key.len() + ENTRY_BYTES;
                self.by_key.insert(Box::from(&*key), offset);
            }
        }
        Ok(())
    }

    /// Whether it has grown as large as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.key_bytes >= limits::COMPACTION_KEY_BYTES
    }

    fn has_newer(&self, record: &Record) -> bool {
        let newest = record.key.as_ref().and_then(|key| self.by_key.get(&**key));
        newest.is_some_and(|newest| *newest > record.offset)
    }
}

/// What becomes of a batch.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It stays as it is.
    Keep,
    /// These bytes take its place.
    Replace(Vec<u8>),
    /// It goes.
    Drop,
}

/// One run over the batches of a partition, in their order.
#[derive(Debug)]
pub(crate) struct Compaction {
    transactions: Transactions,
    newest: NewestOffsets,
    now_ms: i64,
    delete_retention_ms: i64,
    /// Whether deletions may be forgotten when their time has come.
    may_forget: bool,
    /// Transactions with records that stay, whose marker has not come yet.
    with_records: FxHashSet<TransactionKey>,
}

impl Compaction {
    pub(crate) fn new(
        transactions: Transactions,
        newest: NewestOffsets,
        now_ms: i64,
        delete_retention_ms: i64,
        may_forget: bool,
    ) -> Self {
        let with_records = FxHashSet::default();
        Self { transactions, newest, now_ms, delete_retention_ms, may_forget, with_records }
    }

    /// Decides over the next batch. One that cannot be decoded stays.
    pub(crate) fn judge(&mut self, batch: &Batch) -> Verdict {
        let Ok(records) = batch.records() else { return Verdict::Keep };
        let header = &batch.header;
        if header.is_control() {
            let needed = self.with_records.remove(&key_of(batch));
            return if needed { Verdict::Keep } else { self.expire(batch, &records) };
        }
        let aborted = self.transactions.is_aborted(batch);
        let expired = self.has_expired(batch);
        let count = records.len();
        let kept: Vec<Record> = records
            .into_iter()
            .filter(|record| !aborted && !self.newest.has_newer(record))
            .filter(|record| record.value.is_some() || record.key.is_none() || !expired)
            .collect();
        if kept.is_empty() {
            let last = header.has_producer() && self.transactions.is_last_of_producer(batch);
            return if last { self.expire(batch, &kept) } else { Verdict::Drop };
        }
        if header.is_transactional() {
            self.with_records.insert(key_of(batch));
        }
        let has_tombstone = kept.iter().any(|record| record.key.is_some() && record.value.is_none());
        if has_tombstone && header.delete_horizon_ms().is_none() {
            self.rewrite(batch, &kept, true)
        } else if kept.len() < count {
            self.rewrite(batch, &kept, false)
        } else {
            Verdict::Keep
        }
    }

    fn has_expired(&self, batch: &Batch) -> bool {
        self.may_forget && batch.header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now_ms)
    }

    /// Keeps a batch that is to go, until its horizon.
    fn expire(&self, batch: &Batch, records: &[Record]) -> Verdict {
        if self.has_expired(batch) {
            return Verdict::Drop;
        }
        match batch.header.delete_horizon_ms() {
            Some(_) if usize::try_from(batch.header.record_count) == Ok(records.len()) => Verdict::Keep,
            horizon => self.rewrite(batch, records, horizon.is_none()),
        }
    }

    fn rewrite(&self, batch: &Batch, records: &[Record], set_horizon: bool) -> Verdict {
        let mut header = batch.header;
        if set_horizon {
            header.set_delete_horizon(self.now_ms.saturating_add(self.delete_retention_ms));
        }
        let mut builder = BatchBuilder::replacing(header);
        for record in records {
            builder.add(record);
        }
        // The codec fails on no input; if it did, the batch would stay as it was.
        builder.encode().map_or(Verdict::Keep, Verdict::Replace)
    }
}
