//! What is known of producers and transactions, as text for the file `producers` beside a partition.
//!
//! ```text
//! end <offset: everything before is counted in>
//! known <offset: of transactions that ended from here on, every aborted one is named>
//! producer <id> <epoch> <heard at, ms> <1 where a transaction of it has ended, or 0>
//! batch <first sequence> <last sequence> <base offset> <last offset> <timestamp>       of the producer above, oldest first
//! open <producer id> <epoch> <first offset>
//! aborted <producer id> <epoch> <first offset> <offset of its marker>                  in the order of their markers
//! ```
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::producer_state::{ProducerState, ProducerStates, Sequenced};
use super::transaction_index::{Aborted, TransactionIndex};
use crate::limits;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Everything before this offset is counted in.
    pub(super) end: i64,
    pub(super) producers: ProducerStates,
    pub(super) transactions: TransactionIndex,
}

/// The lines for what is known up to `end`. A transaction that was written off is open as long as it has no marker.
pub(super) fn encode(end: i64, producers: &ProducerStates, transactions: &TransactionIndex) -> String {
    let mut lines = format!("end {end}\nknown {}\n", transactions.known_from);
    for (id, ProducerState { epoch, batches, heard_at_ms, has_ended }) in &producers.by_id {
        let _ = writeln!(lines, "producer {id} {epoch} {heard_at_ms} {}", u8::from(*has_ended));
        for Sequenced { first_sequence, last_sequence, base_offset, last_offset, timestamp } in batches {
            let _ = writeln!(
                lines,
                "batch {first_sequence} {last_sequence} {base_offset} {last_offset} {timestamp}"
            );
        }
    }
    for ((id, epoch), first) in transactions.open.iter().chain(&transactions.written_off) {
        let _ = writeln!(lines, "open {id} {epoch} {first}");
    }
    for Aborted { key: (id, epoch), first, last } in &transactions.aborted {
        let _ = writeln!(lines, "aborted {id} {epoch} {first} {last}");
    }
    lines
}

/// `None` where a line is not understood.
pub(super) fn decode(lines: &str) -> Option<Snapshot> {
    let mut snapshot = Snapshot::default();
    let mut producer = None;
    for line in lines.lines() {
        let mut words = line.split(' ');
        let word = words.next()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        match word {
            "end" => snapshot.end = number()?,
            "known" => snapshot.transactions.known_from = number()?,
            "producer" => {
                let id = number()?;
                let state = ProducerState {
                    epoch: i16::try_from(number()?).ok()?,
                    batches: VecDeque::new(),
                    heard_at_ms: number()?,
                    has_ended: number()? != 0,
                };
                snapshot.producers.by_id.insert(id, state);
                producer = Some(id);
            }
            "batch" => {
                let batches = &mut snapshot.producers.by_id.get_mut(&producer?)?.batches;
                batches.push_back(Sequenced {
                    first_sequence: i32::try_from(number()?).ok()?,
                    last_sequence: i32::try_from(number()?).ok()?,
                    base_offset: number()?,
                    last_offset: number()?,
                    timestamp: number()?,
                });
                if batches.len() > limits::PRODUCER_BATCHES {
                    return None;
                }
            }
            "open" => {
                let key = (number()?, i16::try_from(number()?).ok()?);
                snapshot.transactions.open.insert(key, number()?);
            }
            "aborted" => {
                let key = (number()?, i16::try_from(number()?).ok()?);
                let aborted = Aborted { key, first: number()?, last: number()? };
                snapshot.transactions.aborted.push_back(aborted);
            }
            _ => return None,
        }
        if words.next().is_some() {
            return None;
        }
    }
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch() -> impl Strategy<Value = Sequenced> {
        let numbers = (0..=i32::MAX, 0..=i32::MAX, 0..i64::MAX, 0..i64::MAX, any::<i64>());
        numbers.prop_map(|(first_sequence, last_sequence, base_offset, last_offset, timestamp)| Sequenced {
            first_sequence,
            last_sequence,
            base_offset,
            last_offset,
            timestamp,
        })
    }

    prop_compose! {
        fn producer()(
            epoch in any::<i16>(), heard_at_ms in any::<i64>(), has_ended in any::<bool>(),
            batches in prop::collection::vec_deque(batch(), 0..=limits::PRODUCER_BATCHES),
        ) -> ProducerState {
            ProducerState { epoch, batches, heard_at_ms, has_ended }
        }
    }

    prop_compose! {
        fn aborted()(key in any::<(i64, i16)>(), first in any::<i64>(), last in any::<i64>()) -> Aborted {
            Aborted { key, first, last }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            end in 0..i64::MAX, known_from in 0..i64::MAX,
            by_id in prop::collection::btree_map(0..i64::MAX, producer(), 0..5),
            open in prop::collection::btree_map(any::<(i64, i16)>(), any::<i64>(), 0..5),
            aborted in prop::collection::vec_deque(aborted(), 0..5),
        ) {
            let producers = ProducerStates { by_id, now_ms: 0 };
            let transactions =
                TransactionIndex { open, aborted, known_from, ..TransactionIndex::default() };
            let decoded = decode(&encode(end, &producers, &transactions));
            prop_assert_eq!(decoded, Some(Snapshot { end, producers, transactions }));
        }

        #[test]
        fn any_text_is_taken(text in "([a-z]{1,9}( -?[0-9]{1,4}){0,6}\n){0,8}") {
            let _ = decode(&text);
        }
    }
}
