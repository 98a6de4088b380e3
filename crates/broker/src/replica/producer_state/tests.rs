//! What a partition knows of its producers, step by step.
#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use super::*;
use millstream_log::batch::{BatchBuilder, Compression};

fn batch(id: i64, epoch: i16, sequence: i32, records: i64, base_offset: i64) -> BatchHeader {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
    for record in 0..records {
        builder.push(record, None, None, Vec::new());
    }
    let header = BatchHeader::decode(&builder.finish().unwrap()).unwrap();
    BatchHeader { base_offset, ..header }
}

fn after(batches: &[BatchHeader]) -> ProducerStates {
    let mut states = ProducerStates::default();
    for header in batches {
        states.take(header);
    }
    states
}

#[test]
fn what_follows_is_taken_and_what_was_sent_before_is_found() {
    let states = after(&[batch(7, 0, 0, 3, 10), batch(7, 0, 3, 2, 20)]);
    assert_eq!(states.check(&batch(7, 0, 5, 1, 0), false), Ok(None));
    let found = states.check(&batch(7, 0, 0, 3, 0), false).unwrap().unwrap();
    assert_eq!(found, Appended { base_offset: 10, next_offset: 13 });
    let found = states.check(&batch(7, 0, 3, 2, 0), false).unwrap().unwrap();
    assert_eq!(found, Appended { base_offset: 20, next_offset: 22 });
    for sequence in [1, 2, 4, 6, 100] {
        let refused = states.check(&batch(7, 0, sequence, 1, 0), false);
        assert_eq!(refused, Err(SequenceError::OutOfOrder { last: 4, found: sequence }));
    }
}

#[test]
fn only_the_last_batches_are_remembered() {
    let sent: Vec<_> = (0..8).map(|n| batch(7, 0, n, 1, i64::from(n))).collect();
    let states = after(&sent);
    for (n, header) in sent.iter().enumerate() {
        let found = states.check(header, false);
        assert_eq!(found.is_ok(), n >= 8 - limits::PRODUCER_BATCHES, "{n}: {found:?}");
    }
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut states = after(&[batch(7, 3, 0, 4, 0)]);
    assert_eq!(states.check(&batch(7, 4, 0, 1, 0), false), Ok(None));
    let refused = states.check(&batch(7, 4, 4, 1, 0), false);
    assert_eq!(refused, Err(SequenceError::OutOfOrder { last: 3, found: 4 }));
    states.take(&batch(7, 4, 0, 1, 4));
    let refused = states.check(&batch(7, 3, 4, 1, 0), false);
    assert_eq!(refused, Err(SequenceError::OldEpoch { known: 4, found: 3 }));
}

#[test]
fn sequence_numbers_wrap() {
    let states = after(&[batch(7, 0, i32::MAX - 1, 4, 0)]);
    assert_eq!(states.by_id[&7].batches[0].last_sequence, 1);
    assert_eq!(states.check(&batch(7, 0, 2, 1, 0), false), Ok(None));
    assert!(states.check(&batch(7, 0, i32::MAX - 1, 4, 0), false).unwrap().is_some());
    let states = after(&[batch(7, 0, i32::MAX, 1, 0)]);
    assert_eq!(states.check(&batch(7, 0, 0, 1, 0), false), Ok(None));
}

#[test]
fn an_unknown_producer_starts_anywhere_unless_its_epochs_are_its_transactions() {
    let states = ProducerStates::default();
    assert_eq!(states.check(&batch(7, 2, 19, 1, 0), false), Ok(None));
    assert!(states.check(&batch(7, 2, 19, 1, 0), true).is_err());
    assert_eq!(states.check(&batch(7, 2, 0, 1, 0), true), Ok(None));
}

#[test]
fn the_idle_and_the_surplus_are_forgotten_but_not_in_a_transaction() {
    let mut states = ProducerStates::default();
    for id in 0..i64::try_from(limits::PRODUCERS).unwrap() + 10 {
        states.now_ms = id + 1;
        states.take(&batch(id, 0, 0, 1, 0));
    }
    let now = states.now_ms;
    states.pass_time(now, i64::MAX, |id| id == 0);
    assert!(states.by_id.len() <= limits::PRODUCERS + 1, "{}", states.by_id.len());
    assert!(states.by_id.contains_key(&0) && !states.by_id.contains_key(&1));
    states.pass_time(now + 10, 10, |_| false);
    assert_eq!(states.by_id.len(), 1);
}
