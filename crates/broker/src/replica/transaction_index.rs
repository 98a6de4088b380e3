//! The transactions of one partition: which are open since where, and which were aborted, from where to where.
//!
//! A transaction is known by producer id and epoch. In-process producers and KIP-890 give each committed one an epoch of its own; clients
//! of the older protocol keep theirs, so what counts of a transaction is always its key and its offsets together. Records of a
//! transaction never come before the marker of the one before it that has the same key: the coordinator sees to that.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::limits;
use std::collections::{BTreeMap, VecDeque};

/// A transaction, as batches and markers name it: producer id and epoch.
pub(crate) type TransactionKey = (i64, i16);

/// An aborted transaction of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) key: TransactionKey,
    /// Its first offset.
    pub(crate) first: i64,
    /// The offset of its marker; what comes from here on is not part of it.
    pub(crate) last: i64,
}

/// How a transaction ended, as far as memory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Committed,
    Aborted,
    /// Too many others were aborted since, so the log must be asked.
    BeforeMemory,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TransactionIndex {
    /// First offset of each open transaction.
    pub(crate) open: BTreeMap<TransactionKey, i64>,
    /// In the order of their markers.
    pub(crate) aborted: VecDeque<Aborted>,
    /// Transactions that were counted as aborted and whose marker is still to come, with their first offsets.
    pub(crate) written_off: BTreeMap<TransactionKey, i64>,
    /// Of transactions that ended from here on, every aborted one is in `aborted`.
    pub(crate) known_from: i64,
}

impl TransactionIndex {
    /// Where the first open transaction begins, or `next`.
    pub(crate) fn stable(&self, next: i64) -> i64 {
        self.open.values().copied().min().map_or(next, |first| first.min(next))
    }

    /// Whether a producer has an open transaction.
    pub(crate) fn is_open(&self, producer_id: i64) -> bool {
        self.open.keys().any(|key| key.0 == producer_id)
    }

    /// A batch of a transaction came.
    pub(crate) fn open(&mut self, key: TransactionKey, offset: i64) {
        if !self.written_off.contains_key(&key) {
            self.open.entry(key).or_insert(offset);
        }
    }

    /// A marker came at `offset`. Where nothing is open, it was a repetition.
    pub(crate) fn end(&mut self, key: TransactionKey, is_abort: bool, offset: i64) {
        let first = self.open.remove(&key);
        let written_off = self.written_off.remove(&key);
        if let Some(first) = first.or(written_off).filter(|_| is_abort) {
            self.remember(Aborted { key, first, last: offset });
        }
    }

    /// Counts a transaction as aborted before its marker is there.
    pub(crate) fn write_off(&mut self, key: TransactionKey) {
        if let Some(first) = self.open.remove(&key) {
            self.written_off.insert(key, first);
        }
    }

    fn remember(&mut self, aborted: Aborted) {
        self.aborted.push_back(aborted);
        if self.aborted.len() > limits::ABORTED_TRANSACTIONS
            && let Some(oldest) = self.aborted.pop_front()
        {
            self.known_from = self.known_from.max(oldest.last.saturating_add(1));
        }
    }

    /// Forgets what ended before the log begins.
    pub(crate) fn prune(&mut self, start: i64) {
        while self.aborted.front().is_some_and(|aborted| aborted.last < start) {
            self.aborted.pop_front();
        }
    }

    /// How the transaction ended that has a batch at `offset`, before the last stable offset.
    pub(crate) fn ended(&self, key: TransactionKey, offset: i64) -> Ended {
        let is_it =
            |aborted: &&Aborted| aborted.key == key && (aborted.first..aborted.last).contains(&offset);
        let written_off = self.written_off.get(&key).is_some_and(|first| offset >= *first);
        if written_off || self.aborted.iter().rev().any(|aborted| is_it(&aborted)) {
            Ended::Aborted
        } else if offset >= self.known_from {
            Ended::Committed
        } else {
            Ended::BeforeMemory
        }
    }

    /// Producer ids and first offsets of the aborted transactions that have a part in `from..to`, in the order of their first
    /// offsets: all that ended at [`TransactionIndex::known_from`] or later.
    pub(crate) fn aborted_within(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let overlaps = |first: i64, last: i64| first < to && last >= from;
        let ended = self.aborted.iter().filter(|aborted| overlaps(aborted.first, aborted.last));
        let written_off = self.written_off.iter().filter(|(_, first)| overlaps(**first, i64::MAX));
        let mut found: Vec<_> = ended
            .map(|aborted| (aborted.key.0, aborted.first))
            .chain(written_off.map(|(key, first)| (key.0, *first)))
            .collect();
        found.sort_unstable_by_key(|(id, first)| (*first, *id));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_exact_for_transactions_that_share_a_key() {
        use Ended::{Aborted, Committed};
        let mut index = TransactionIndex::default();
        let key = (7, 0);
        for (first, is_abort, last) in [(0, false, 4), (5, true, 9), (10, false, 12), (13, true, 20)] {
            index.open(key, first);
            index.open(key, first + 1);
            assert_eq!(index.stable(100), first);
            index.end(key, is_abort, last);
            index.end(key, !is_abort, last);
        }
        assert_eq!(index.stable(100), 100);
        assert_eq!(index.aborted_within(0, 100), [(7, 5), (7, 13)]);
        assert_eq!(index.aborted_within(10, 13), []);
        assert_eq!(index.aborted_within(9, 10), [(7, 5)]);
        let ended: Vec<_> = [4, 5, 8, 10, 13, 19].map(|offset| index.ended(key, offset)).into();
        assert_eq!(ended, [Committed, Aborted, Aborted, Committed, Aborted, Aborted]);
        index.prune(10);
        assert_eq!(index.aborted_within(0, 100), [(7, 13)]);
    }

    #[test]
    fn what_is_written_off_is_aborted_before_and_after_its_marker() {
        let mut index = TransactionIndex::default();
        index.open((7, 0), 3);
        index.write_off((7, 0));
        index.write_off((8, 0));
        assert_eq!((index.stable(10), index.ended((7, 0), 4)), (10, Ended::Aborted));
        assert_eq!((index.ended((7, 0), 2), index.ended((8, 0), 4)), (Ended::Committed, Ended::Committed));
        assert_eq!(index.aborted_within(4, 6), [(7, 3)]);
        index.end((7, 0), true, 10);
        index.end((8, 0), true, 11);
        assert_eq!(index.aborted_within(0, 20), [(7, 3)]);
        assert_eq!(index.ended((7, 0), 12), Ended::Committed);
    }

    #[test]
    fn more_than_memory_holds_is_known_not_to_be_known() {
        let mut index = TransactionIndex::default();
        let count = i64::try_from(limits::ABORTED_TRANSACTIONS).unwrap_or(0) + 1;
        for n in 0..count {
            index.open((n, 0), 2 * n);
            index.end((n, 0), true, 2 * n + 1);
        }
        assert_eq!((index.known_from, index.ended((0, 0), 0)), (2, Ended::BeforeMemory));
        assert_eq!(index.ended((1, 0), 2), Ended::Aborted);
    }
}
