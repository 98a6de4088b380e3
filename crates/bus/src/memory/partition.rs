//! One partition in memory: records, commit markers, and which transactions are open in it.

use crate::{BusError, Isolation, OffsetRange, ReceivedRecord, Record, TopicPartition};
use millstream_model::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// What one offset holds.
#[derive(Debug)]
enum Slot {
    /// A record outside any transaction, or of a committed one.
    Plain(Record),
    /// A record of an open transaction.
    Open(Record, u64),
    /// A record of an aborted transaction: uncommitted readers see it.
    Aborted(Record),
    /// The marker that ends a transaction.
    Marker,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    first: i64,
    slots: VecDeque<Slot>,
    /// First offset of each open transaction.
    open: BTreeMap<u64, i64>,
}

/// What a read found, and where the next one continues.
pub(super) struct Read {
    pub(super) records: Vec<ReceivedRecord>,
    pub(super) bytes: usize,
    pub(super) next_offset: i64,
}

impl Partition {
    fn latest(&self) -> i64 {
        self.first + i64::try_from(self.slots.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn range(&self) -> OffsetRange {
        let latest = self.latest();
        let stable = self.open.values().copied().min().unwrap_or(latest);
        OffsetRange { earliest: self.first, stable: stable.max(self.first), latest }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        let len = |slot: &Slot| match slot {
            Slot::Plain(record) | Slot::Open(record, _) | Slot::Aborted(record) => record.len_bytes(),
            Slot::Marker => 0,
        };
        self.slots.iter().map(|slot| u64::try_from(len(slot)).unwrap_or(0)).sum()
    }

    /// Appends `records`, of an open transaction where one is given, and returns the first offset.
    pub(super) fn append(&mut self, records: Vec<Record>, transaction: Option<u64>) -> i64 {
        let base = self.latest();
        match transaction {
            Some(id) => {
                self.open.entry(id).or_insert(base);
                self.slots.extend(records.into_iter().map(|record| Slot::Open(record, id)));
            }
            None => self.slots.extend(records.into_iter().map(Slot::Plain)),
        }
        base
    }

    /// Ends a transaction with its marker.
    pub(super) fn end(&mut self, transaction: u64, committed: bool) {
        let began = self.open.remove(&transaction).unwrap_or(i64::MAX).max(self.first);
        let skip = usize::try_from(began - self.first).unwrap_or(usize::MAX);
        for slot in self.slots.iter_mut().skip(skip) {
            let ended = match std::mem::replace(slot, Slot::Marker) {
                Slot::Open(record, id) if id == transaction && committed => Slot::Plain(record),
                Slot::Open(record, id) if id == transaction => Slot::Aborted(record),
                other => other,
            };
            *slot = ended;
        }
        self.slots.push_back(Slot::Marker);
    }

    /// Records from `from` on, until one of the limits is reached. Out of range is an error.
    pub(super) fn read(
        &self,
        at: &TopicPartition,
        from: i64,
        isolation: Isolation,
        bytes_max: usize,
        records_max: usize,
    ) -> Result<Read, BusError> {
        let range = self.range();
        if from < range.earliest || from > range.latest {
            let OffsetRange { earliest, latest, .. } = range;
            return Err(BusError::OffsetOutOfRange { at: at.clone(), offset: from, earliest, latest });
        }
        let end = if isolation == Isolation::ReadCommitted { range.stable } else { range.latest };
        let mut read = Read { records: Vec::new(), bytes: 0, next_offset: from };
        let skip = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        for slot in self.slots.iter().skip(skip) {
            if read.next_offset >= end || read.bytes >= bytes_max || read.records.len() >= records_max {
                break;
            }
            let visible = match slot {
                Slot::Plain(record) => Some(record),
                Slot::Open(record, _) | Slot::Aborted(record) => {
                    (isolation == Isolation::ReadUncommitted).then_some(record)
                }
                Slot::Marker => None,
            };
            if let Some(record) = visible {
                read.bytes += record.len_bytes();
                read.records.push(ReceivedRecord { offset: read.next_offset, record: record.clone() });
            }
            read.next_offset += 1;
        }
        Ok(read)
    }

    /// The first offset whose record is at `time` or later.
    pub(super) fn offset_for_time(&self, time: Timestamp) -> Option<i64> {
        let late = |slot: &Slot| match slot {
            Slot::Plain(record) | Slot::Open(record, _) | Slot::Aborted(record) => record.timestamp >= time,
            Slot::Marker => false,
        };
        let index = self.slots.iter().position(late)?;
        Some(self.first + i64::try_from(index).ok()?)
    }

    /// Deletes every slot before `before`.
    pub(super) fn delete_before(&mut self, at: &TopicPartition, before: i64) -> Result<(), BusError> {
        let OffsetRange { earliest, latest, .. } = self.range();
        if before < 0 || before > latest {
            return Err(BusError::OffsetOutOfRange { at: at.clone(), offset: before, earliest, latest });
        }
        while self.first < before {
            self.slots.pop_front();
            self.first += 1;
        }
        Ok(())
    }
}
