//! What a partition knows of the idempotent producers that write to it (KIP-98, KIP-360), without files and clocks.
//!
//! Of each producer id: the epoch, and the last batches with their sequence numbers and offsets. A batch that is sent again is found
//! there and answered with the offsets it has. Sequence numbers grow by one with each record and wrap from [`i32::MAX`] to 0; a
//! new epoch starts at 0. A producer that is not known (retention or expiry took what was known) starts anywhere.
//! Source: `ProducerAppendInfo` and `ProducerStateEntry` of Apache Kafka 4.3.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::limits;
use millstream_log::Appended;
use millstream_log::batch::BatchHeader;
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// Why a batch cannot follow what its producer sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum SequenceError {
    #[error("sequence number {found} does not follow {last} of the producer")]
    OutOfOrder { last: i32, found: i32 },
    #[error("producer epoch {found} is older than {known}")]
    OldEpoch { known: i16, found: i16 },
}

/// A batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// The newest timestamp in it, in ms.
    pub(crate) timestamp: i64,
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerState {
    pub(crate) epoch: i16,
    /// The last ones of `epoch`, oldest first, [`limits::PRODUCER_BATCHES`] at most.
    pub(crate) batches: VecDeque<Sequenced>,
    /// When it was last heard of, in ms, by the clock of [`ProducerStates::pass_time`]; 0 where that was not read yet.
    pub(crate) heard_at_ms: i64,
    /// A transaction of it has ended here.
    pub(crate) has_ended: bool,
}

/// All producers of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerStates {
    pub(crate) by_id: BTreeMap<i64, ProducerState>,
    pub(crate) now_ms: i64,
}

/// The sequence number `count` after `sequence`.
pub(crate) fn sequence_plus(sequence: i32, count: i32) -> i32 {
    sequence
        .checked_add(count)
        .unwrap_or_else(|| count.saturating_sub(i32::MAX.saturating_sub(sequence)).saturating_sub(1))
}

impl Sequenced {
    pub(crate) fn of(header: &BatchHeader) -> Self {
        Self {
            first_sequence: header.base_sequence,
            last_sequence: sequence_plus(header.base_sequence, header.last_offset_delta),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        }
    }
}

impl ProducerStates {
    /// Whether a batch may come next. `Some` where it is in the log already. `known` says that a producer of which nothing is
    /// known has to start at 0, as one whose epoch changes with each transaction does (KIP-890).
    pub(crate) fn check(&self, header: &BatchHeader, known: bool) -> Result<Option<Appended>, SequenceError> {
        let found = header.base_sequence;
        let out_of_order = |last| Err(SequenceError::OutOfOrder { last, found });
        let Some(state) = self.by_id.get(&header.producer_id) else {
            return if known && found != 0 { out_of_order(-1) } else { Ok(None) };
        };
        if header.producer_epoch < state.epoch {
            return Err(SequenceError::OldEpoch { known: state.epoch, found: header.producer_epoch });
        }
        let last = state.batches.back().map_or(-1, |batch| batch.last_sequence);
        if header.producer_epoch > state.epoch {
            return if found == 0 { Ok(None) } else { out_of_order(last) };
        }
        let sent = Sequenced::of(header);
        let is_it = |batch: &&Sequenced| {
            (batch.first_sequence, batch.last_sequence) == (sent.first_sequence, sent.last_sequence)
        };
        if let Some(batch) = state.batches.iter().find(is_it) {
            let next_offset = batch.last_offset.saturating_add(1);
            return Ok(Some(Appended { base_offset: batch.base_offset, next_offset }));
        }
        let follows = if last < 0 { found == 0 } else { found == sequence_plus(last, 1) };
        if follows { Ok(None) } else { out_of_order(last) }
    }

    /// Takes in a batch that is in the log, whether or not it follows: the log is right.
    pub(crate) fn take(&mut self, header: &BatchHeader) {
        let now_ms = self.now_ms;
        if !header.has_producer() {
            return;
        }
        let fresh = || ProducerState {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            heard_at_ms: now_ms,
            has_ended: false,
        };
        let state = self.by_id.entry(header.producer_id).or_insert_with(fresh);
        if state.epoch != header.producer_epoch {
            state.batches.clear();
        }
        state.epoch = header.producer_epoch;
        state.heard_at_ms = now_ms;
        state.has_ended |= header.is_control();
        if !header.is_control() && header.base_sequence >= 0 {
            state.batches.push_back(Sequenced::of(header));
            if state.batches.len() > limits::PRODUCER_BATCHES {
                state.batches.pop_front();
            }
        }
    }

    /// Forgets producers that were not heard of for `keep_ms`, and the oldest where there are too many; none of those in
    /// `open`, whose transaction goes on.
    pub(crate) fn pass_time(&mut self, now_ms: i64, keep_ms: i64, open: impl Fn(i64) -> bool) {
        self.now_ms = now_ms;
        for state in self.by_id.values_mut().filter(|state| state.heard_at_ms == 0) {
            state.heard_at_ms = now_ms;
        }
        let mut oldest = now_ms.saturating_sub(keep_ms);
        if self.by_id.len() > limits::PRODUCERS {
            let mut heard: Vec<i64> = self.by_id.values().map(|state| state.heard_at_ms).collect();
            heard.sort_unstable();
            let surplus = heard.len().saturating_sub(limits::PRODUCERS);
            oldest = oldest.max(heard.get(surplus).copied().unwrap_or(oldest));
        }
        self.by_id.retain(|id, state| state.heard_at_ms >= oldest || open(*id));
    }
}

#[cfg(test)]
#[path = "producer_state/tests.rs"]
mod tests;
