//! Writes: what is in the device afterwards, and what the session says about it.

use super::{Bench, good, is_sure, raw};
use crate::simulate::AnswerFault;
use crate::{Instant, WriteResult, limits};
use std::time::Duration;

pub async fn what_is_written_is_in_the_device_and_is_read_back(bench: Bench) {
    let mut session = bench.connect().await;
    for round in 0..5 {
        let writes: Vec<_> = bench.tags.iter().zip((1..).map(|n| (round * 11 + n * 17) % 100)).collect();
        let permit = bench.permit(&writes, limits::MAX_AGE);
        let (outcomes, end) = bench.write(session.as_mut(), permit).await;
        good(end);
        for ((tag, number), outcome) in writes.iter().zip(&outcomes) {
            let expected = raw(bench.tag_type(tag), *number);
            assert_eq!(outcome.result, WriteResult::Done);
            assert_eq!(outcome.read_back.as_ref(), Some(&expected), "`verify` asks for it");
            assert_eq!(bench.value(&tag.name), expected);
        }
        let row = good(bench.read(session.as_mut()).await);
        assert!(row.cells.iter().all(millstream_model::Cell::is_good), "{row:?}");
    }
}

pub async fn a_refused_write_changes_nothing_and_stops_no_other(bench: Bench) {
    let mut session = bench.connect().await;
    bench.simulator.faults.set(|faults| {
        faults.refused_addresses.insert(bench.tags[1].address.clone());
    });
    let before = bench.value("t1");
    let permit =
        bench.permit(&[(&bench.tags[0], 71), (&bench.tags[1], 72), (&bench.tags[2], 73)], limits::MAX_AGE);
    let (outcomes, end) = bench.write(session.as_mut(), permit).await;
    good(end);
    assert_eq!(outcomes[0].result, WriteResult::Done);
    assert!(matches!(outcomes[1].result, WriteResult::Refused(..)), "{outcomes:?}");
    assert_eq!(outcomes[2].result, WriteResult::Done);
    assert_eq!(bench.value("t0"), raw(bench.tag_type(&bench.tags[0]), 71));
    assert_eq!(bench.value("t1"), before);
    assert_eq!(bench.value("t2"), raw(bench.tag_type(&bench.tags[2]), 73));
    assert!(bench.counters.exceptions.get() >= 1);
}

pub async fn a_write_without_an_answer_is_never_called_done(bench: Bench) {
    for fault in [AnswerFault::Drop, AnswerFault::Disconnect, AnswerFault::Truncate] {
        let mut session = bench.connect().await;
        let before = bench.simulator.counters.writes.get();
        bench.simulator.faults.once(fault);
        let permit = bench.permit(&[(&bench.tags[3], 88)], limits::MAX_AGE);
        let (outcomes, end) = bench.write(session.as_mut(), permit).await;
        match outcomes.first() {
            Some(outcome) => {
                assert!(matches!(outcome.result, WriteResult::Unknown(_)), "{fault:?}: {outcome:?}");
            }
            None => assert!(end.is_err(), "{fault:?}: no outcome, no end"),
        }
        let written = bench.simulator.counters.writes.get() - before;
        assert_eq!(written, 1, "{fault:?}: a write is never repeated");
        // A device that has lost an answer may be left alone for a while; then it is as good as before.
        bench.recover(None).await;
    }
}

pub async fn a_write_that_is_not_done_is_not_confirmed_by_reading_back(bench: Bench) {
    let mut session = bench.connect().await;
    bench.turn(1);
    bench.simulator.faults.set(|faults| faults.ignore_writes = true);
    let before = bench.value("t0");
    let permit = bench.permit(&[(&bench.tags[0], 99)], limits::MAX_AGE);
    let (outcomes, end) = bench.write(session.as_mut(), permit).await;
    good(end);
    assert!(is_sure(&outcomes[0]), "the device did confirm it");
    assert_eq!(outcomes[0].read_back.as_ref(), Some(&before), "but it holds what it held");
}

pub async fn a_write_whose_time_has_passed_is_not_sent(bench: Bench) {
    let mut session = bench.connect().await;
    let before = bench.value("t0");
    let permit = bench.permit(&[(&bench.tags[0], 99)], Duration::from_millis(1));
    let until = permit.writes()[0].good_until;
    while Instant::now() <= until {
        tokio::task::yield_now().await;
    }
    let (outcomes, end) = bench.write(session.as_mut(), permit).await;
    good(end);
    assert_eq!(outcomes[0].result, WriteResult::Expired);
    assert_eq!(bench.value("t0"), before);
    assert_eq!(bench.simulator.counters.writes.get(), 0);
}
