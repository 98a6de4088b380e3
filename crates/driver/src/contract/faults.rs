//! What goes wrong between a device and us. Every scan holds each good cell against the device.

use super::{Bench, PATIENCE, good};
use crate::simulate::AnswerFault;
use crate::{Instant, SessionError};
use millstream_model::Cell;
use std::time::Duration;
use tokio::time::timeout;

pub async fn a_late_answer_never_becomes_another_value(bench: Bench) {
    let mut session = bench.connect().await;
    for (round, late_ms) in (0..).zip([600, 900, 1200]) {
        bench.turn(round * 2);
        bench.simulator.faults.once(AnswerFault::Late(Duration::from_millis(late_ms)));
        // An answer later than the request's time-out: the cells are bad, or the session is over.
        let read = bench.read(session.as_mut()).await;
        // By the time it arrives the device holds other values.
        bench.turn(round * 2 + 1);
        session = bench.recover(read.is_ok().then_some(session)).await;
    }
}

pub async fn foreign_and_repeated_answers_are_dropped(bench: Bench) {
    let mut session = bench.connect().await;
    let faults = [AnswerFault::WrongTransaction, AnswerFault::WrongUnit, AnswerFault::Duplicate];
    for (round, fault) in (0..).zip(faults.into_iter().cycle().take(9)) {
        bench.turn(round * 2);
        bench.simulator.faults.once(fault);
        let read = bench.read(session.as_mut()).await;
        bench.turn(round * 2 + 1);
        session = bench.recover(read.is_ok().then_some(session)).await;
    }
    let counters = &bench.counters;
    let noticed = counters.dropped_frames.get() + counters.malformed_frames.get() + counters.timeouts.get();
    assert!(noticed >= 6, "wrong answers are counted, not swallowed: {counters:?}");
}

pub async fn garbage_ends_the_session_at_most(bench: Bench) {
    bench.simulator.faults.set(|faults| faults.answers = vec![(AnswerFault::Garbage, 1.0)]);
    for round in 0..20 {
        bench.turn(round);
        let mut session = bench.connect().await;
        if let Ok(row) = bench.read(session.as_mut()).await {
            assert!(!row.cells.iter().any(Cell::is_good), "random bytes were taken for values: {row:?}");
        }
        if bench.counters.malformed_frames.get() + bench.counters.dropped_frames.get() >= 3 {
            break;
        }
    }
    let counters = &bench.counters;
    assert!(counters.malformed_frames.get() + counters.dropped_frames.get() >= 1, "{counters:?}");
    bench.simulator.faults.heal();
    bench.recover(None).await;
}

pub async fn half_an_answer_ends_the_session_at_most(bench: Bench) {
    let mut session = bench.connect().await;
    bench.simulator.faults.once(AnswerFault::Truncate);
    let read = bench.read(session.as_mut()).await;
    bench.recover(read.is_ok().then_some(session)).await;
}

pub async fn a_lost_connection_is_told_and_a_new_one_works(bench: Bench) {
    for round in 0..10 {
        bench.turn(round);
        let mut session = bench.connect().await;
        good(bench.read(session.as_mut()).await);
        bench.simulator.faults.disconnect();
        let start = Instant::now();
        let end = loop {
            match bench.read(session.as_mut()).await {
                Err(end) => break end,
                Ok(_) => assert!(start.elapsed() < PATIENCE, "reads go on over a connection that is gone"),
            }
        };
        assert!(!matches!(end, SessionError::Refused { .. }), "a loss is no refusal: {end:?}");
        assert!(!end.to_string().is_empty());
        assert!(bench.read(session.as_mut()).await.is_err(), "an ended session stays ended");
    }
    bench.recover(None).await;
}

pub async fn a_cancelled_read_does_not_spoil_the_next(bench: Bench) {
    let mut session = bench.connect().await;
    bench.simulator.faults.set(|faults| faults.delay = Duration::from_millis(30));
    for round in 0..15_i64 {
        bench.turn(round * 2);
        let wait = Duration::from_millis(round.unsigned_abs() * 5);
        let cancelled = timeout(wait, bench.read(session.as_mut())).await;
        // The answers to the cancelled read are still on their way, with the old values.
        bench.turn(round * 2 + 1);
        if matches!(cancelled, Ok(Err(_))) {
            session = bench.recover(None).await;
        }
        let row = good(bench.read(session.as_mut()).await);
        assert!(row.cells.iter().all(Cell::is_good), "after {wait:?}: {row:?}");
    }
}

pub async fn a_silent_device_does_not_hang_a_read(bench: Bench) {
    let mut session = bench.connect().await;
    good(bench.read(session.as_mut()).await);
    bench.simulator.faults.set(|faults| faults.half_open = true);
    let start = Instant::now();
    // Bad cells at first; sooner or later the session gives up.
    loop {
        match bench.read(session.as_mut()).await {
            Err(_) => break,
            Ok(row) => assert!(!row.cells.iter().any(Cell::is_good), "{row:?}"),
        }
        assert!(start.elapsed() < PATIENCE, "the session never gives a silent device up");
        tokio::task::yield_now().await;
    }
    assert!(bench.counters.timeouts.get() >= 1);
    bench.simulator.faults.heal();
    bench.recover(None).await;
}

pub async fn nobody_listening_is_an_error(bench: Bench) {
    bench.simulator.faults.set(|faults| faults.refuse_connections = true);
    let start = Instant::now();
    let end = loop {
        match bench.try_connect().await {
            Err(end) => break end,
            // The simulator has not closed its door yet.
            Ok(_) => assert!(start.elapsed() < PATIENCE),
        }
    };
    assert!(matches!(end, SessionError::Lost { .. }), "{end:?}");
    bench.simulator.faults.heal();
    bench.recover(None).await;
}

pub async fn slow_and_jittery_answers_are_right(bench: Bench) {
    let mut session = bench.connect().await;
    bench.simulator.faults.set(|faults| {
        faults.delay = Duration::from_millis(1);
        faults.delay_jitter = Duration::from_millis(20);
    });
    for round in 0..10 {
        bench.turn(round);
        let row = good(bench.read(session.as_mut()).await);
        assert!(row.cells.iter().all(Cell::is_good), "{row:?}");
    }
}

pub async fn sessions_leave_no_connection_behind(bench: Bench) {
    for _ in 0..30 {
        let mut session = bench.connect().await;
        good(bench.read(session.as_mut()).await);
    }
    let start = Instant::now();
    while bench.simulator.counters.connections_now.get() > 0 {
        assert!(start.elapsed() < PATIENCE, "connections stay open after their sessions are dropped");
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.simulator.counters.connections.get(), 30);
}
