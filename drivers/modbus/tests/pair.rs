//! Session and simulator face to face over a pipe, in simulated time: everything that can happen to bytes and answers.
//!
//! Registers hold their own numbers, so a value that belongs to another register is seen at once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use millstream_driver::simulate::AnswerFault;
use millstream_driver::{ProtocolError, Session as _, SessionError, WriteResult};
use millstream_modbus::codec::{
    IdentificationCode, ReadWrite, RegisterBlock, RegisterRange, Request, Response,
};
use millstream_modbus::session::Outcome;
use millstream_model::{Cell, Row, Status, Timestamp, Value};
use rig::{GROUP, holds, numbers, registers, rig, rig_in_pieces};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// Good cells hold their own number; how many are bad.
fn bad_cells(cells: &[Cell], expected: &[u16]) -> usize {
    let found = numbers(cells);
    assert_eq!(found.len(), expected.len());
    for (number, cell) in expected.iter().zip(&found) {
        assert!(cell.is_none_or(|value| value == u64::from(*number)), "register {number} reads {cell:?}");
    }
    found.iter().filter(|cell| cell.is_none()).count()
}

/// F4.
#[tokio::test(start_paused = true)]
async fn fragments_of_every_size_give_identical_values() {
    let expected: Vec<u16> = (1..=200).collect();
    for piece in (1..=64).chain([100, 255, 256, 257, 1000]) {
        let mut rig = rig_in_pieces("?max-in-flight=4", registers(1..=200), piece, 1);
        assert_eq!(bad_cells(&rig.cells().await, &expected), 0, "pieces of {piece}");
        assert_eq!(rig.session.dropped_frames.get() + rig.session.malformed_frames.get(), 0);
    }
}

/// F4, F3.
#[tokio::test(start_paused = true)]
async fn coalesced_answers_are_all_taken_and_the_limit_in_flight_is_kept() {
    for in_flight in [1, 3, 16] {
        let mut rig = rig(&format!("?max-in-flight={in_flight}"), registers(1..=2500));
        rig.faults.set(|faults| faults.delay = 10 * MS);
        let start = Instant::now();
        let expected: Vec<u16> = (1..=2500).collect();
        assert_eq!(bad_cells(&rig.cells().await, &expected), 0);
        // 20 requests, each answered after 10 ms, so many at a time.
        let requests = rig.requests();
        assert_eq!(requests, 20);
        let rounds = requests.div_ceil(in_flight);
        assert_eq!(start.elapsed().as_millis(), u128::from(rounds * 10), "{in_flight} in flight");
    }
}

/// F6, judged by O4.
#[tokio::test(start_paused = true)]
async fn no_fault_of_answers_ever_gives_a_wrong_value() {
    let expected: Vec<u16> = (1..=60).map(|n| n * 130).collect();
    let (mut bad, mut dropped) = (0, 0);
    for seed in 0..60_u8 {
        let query = format!("?max-in-flight={}&request-timeout=100", 1 + seed % 8);
        let mut rig = rig_in_pieces(
            &query,
            registers(expected.iter().copied()),
            1 + 7 * (usize::from(seed) % 9),
            seed.into(),
        );
        rig.faults.set(|faults| {
            faults.delay_jitter = 30 * MS;
            faults.answers = vec![
                (AnswerFault::Duplicate, 0.1),
                (AnswerFault::Late(40 * MS), 0.1),
                (AnswerFault::Late(150 * MS), 0.05),
                (AnswerFault::WrongTransaction, 0.03),
                (AnswerFault::WrongUnit, 0.03),
                (AnswerFault::Drop, 0.03),
                (AnswerFault::Exception(4), 0.03),
            ];
        });
        for _ in 0..5 {
            match rig.read().await {
                Ok(cells) => bad += bad_cells(&cells, &expected),
                Err(SessionError::Protocol(ProtocolError::Silent(_))) => break,
                Err(error) => panic!("{error}"),
            }
        }
        dropped += rig.session.dropped_frames.get();
    }
    assert!(
        bad > 0 && dropped > 0,
        "the faults must have happened: {bad} bad cells, {dropped} dropped frames"
    );
}

/// F6.
#[tokio::test(start_paused = true)]
async fn a_late_answer_is_dropped_and_the_next_scan_is_right() {
    let mut rig = rig("?request-timeout=100", registers([1, 2, 500]));
    rig.cells().await;
    rig.faults.once(AnswerFault::Late(150 * MS));
    let cells = rig.cells().await;
    assert_eq!(cells[0], Cell::Bad(Status::BadTimeout));
    assert_eq!(rig.session.timeouts.get(), 1);
    // The answer comes while the next scan is under way.
    sleep(10 * MS).await;
    assert_eq!(bad_cells(&rig.cells().await, &[1, 2, 500]), 0);
    sleep(100 * MS).await;
    assert_eq!(bad_cells(&rig.cells().await, &[1, 2, 500]), 0);
    assert_eq!(rig.session.dropped_frames.get(), 1);
}

/// F3, F6.
#[tokio::test(start_paused = true)]
async fn a_cancelled_read_leaves_nothing_behind_and_still_only_one_request_is_in_flight() {
    let mut rig = rig("", registers([1, 200, 400]));
    rig.faults.set(|faults| faults.delay = 50 * MS);
    for _ in 0..19 {
        let cancelled = timeout(20 * MS, rig.read()).await;
        assert!(cancelled.is_err());
    }
    let start = Instant::now();
    let cells = rig.cells().await;
    assert_eq!(bad_cells(&cells, &[1, 200, 400]), 0);
    // The request of the cancelled read had to be answered first: one at a time, whoever asked.
    assert!(start.elapsed() > 150 * MS, "{:?}", start.elapsed());
    assert_eq!(rig.session.timeouts.get(), 0);
}

/// F2.
#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_declared_dead_after_three_time_outs() {
    let mut rig = rig("?request-timeout=1000&max-in-flight=4", registers((1..=900).step_by(130)));
    rig.cells().await;
    rig.faults.set(|faults| faults.answers = vec![(AnswerFault::Drop, 1.0)]);
    let start = Instant::now();
    assert!(rig.cells().await.iter().all(|cell| *cell == Cell::Bad(Status::BadTimeout)));
    assert_eq!(start.elapsed(), 1000 * MS, "the first scan says so after one time-out");
    let error = loop {
        match rig.read().await {
            Ok(cells) => assert!(cells.iter().all(|cell| *cell == Cell::Bad(Status::BadTimeout))),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SessionError::Protocol(ProtocolError::Silent(_))), "{error}");
    assert_eq!(start.elapsed(), 3000 * MS);
    assert_eq!(error.status(), Status::BadTimeout);
}

/// F5.
#[tokio::test(start_paused = true)]
async fn garbage_ends_the_connection_or_makes_cells_bad_and_never_panics() {
    let expected: Vec<u16> = (1..=40).map(|n| n * 130).collect();
    let mut ended = 0;
    for seed in 0..200 {
        let mut rig = rig_in_pieces("?request-timeout=100", registers(expected.iter().copied()), 300, seed);
        rig.faults.set(|faults| faults.answers = vec![(AnswerFault::Garbage, 0.05)]);
        match rig.read().await {
            Ok(cells) => assert!(bad_cells(&cells, &expected) <= expected.len()),
            Err(SessionError::Protocol(ProtocolError::Malformed(_))) => {
                ended += 1;
                assert_eq!(rig.session.malformed_frames.get(), 1);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(ended > 50, "{ended}");
}

/// F1, F5.
#[tokio::test(start_paused = true)]
async fn a_connection_cut_in_the_middle_of_an_answer_is_lost() {
    for fault in [AnswerFault::Truncate, AnswerFault::Disconnect] {
        let mut rig = rig("", registers([1, 2]));
        rig.faults.once(fault);
        let error = rig.read().await.unwrap_err();
        assert!(matches!(error, SessionError::Lost { .. }), "{error:?}");
        assert_eq!(error.status(), Status::BadConnectionClosed);
    }
}

/// PLC4X: one illegal register fails its whole block.
#[tokio::test(start_paused = true)]
async fn one_illegal_register_costs_no_other_its_value_and_is_not_asked_for_again() {
    let expected: Vec<u16> = (1..=1000).collect();
    let mut rig = rig("", registers(1..=1000));
    rig.faults.set(|faults| {
        faults.refused_addresses.insert("holding-register:417:UINT".into());
    });
    let cells = rig.cells().await;
    assert_eq!(bad_cells(&cells, &expected), 1);
    assert_eq!(cells[416], Cell::Bad(Status::BadNodeIdUnknown));
    assert!(rig.requests() <= 8 + 16, "{} requests to find it", rig.requests());
    let (before, exceptions) = (rig.requests(), rig.session.exceptions.get());
    for _ in 0..10 {
        assert_eq!(bad_cells(&rig.cells().await, &expected), 1);
    }
    assert_eq!(rig.session.exceptions.get(), exceptions, "it is not asked for again");
    assert_eq!(rig.requests() - before, 90, "999 registers in two runs take nine requests");
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_does_not_exist_is_learnt_and_never_read_again() {
    let mut rig = rig("", registers((1..=10).chain(30..=40)));
    let expected: Vec<u16> = (1..=10).chain(30..=40).collect();
    assert_eq!(bad_cells(&rig.cells().await, &expected), 0, "all within the first scan");
    assert_eq!((rig.requests(), rig.session.exceptions.get()), (3, 1));
    assert_eq!(bad_cells(&rig.cells().await, &expected), 0);
    assert_eq!((rig.requests(), rig.session.exceptions.get()), (5, 1));
}

/// F7.
#[tokio::test(start_paused = true)]
async fn refused_addresses_are_tried_again_and_come_back_together() {
    let expected: Vec<u16> = (1..=300).collect();
    let mut rig = rig("", registers(1..=300));
    // The device loses part of its program …
    rig.faults.set(|faults| {
        for n in 100..200 {
            faults.refused_addresses.insert(format!("holding-register:{n}:UINT").into());
        }
    });
    assert_eq!(bad_cells(&rig.cells().await, &expected), 100);
    assert_eq!(rig.connection.knowledge().refused.len(), 100);
    // … and gets it back.
    rig.faults.heal();
    assert_eq!(bad_cells(&rig.cells().await, &expected), 100);
    let start = Instant::now();
    while bad_cells(&rig.cells().await, &expected) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it must come back by itself");
        sleep(1000 * MS).await;
    }
    assert!(rig.connection.knowledge().refused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn trying_refused_addresses_again_never_loads_the_device() {
    let mut rig = rig("", registers(1..=300));
    rig.faults.set(|faults| {
        for n in 100..200 {
            faults.refused_addresses.insert(format!("holding-register:{n}:UINT").into());
        }
    });
    rig.cells().await;
    let (before, start) = (rig.requests(), Instant::now());
    let mut scans = 0;
    while start.elapsed() < Duration::from_hours(1) {
        rig.cells().await;
        scans += 1;
        sleep(1000 * MS).await;
    }
    let probes = rig.requests() - before - 2 * scans;
    assert!((200..1500).contains(&probes), "{probes} probes in {scans} scans of two requests");
}

#[tokio::test(start_paused = true)]
async fn other_exceptions_do_not_split() {
    for (code, status) in [
        (1, Status::BadNotSupported),
        (3, Status::BadOutOfRange),
        (4, Status::BadDeviceFailure),
        (5, Status::BadResourceUnavailable),
        (6, Status::BadResourceUnavailable),
        (7, Status::BadNotSupported),
        (8, Status::BadDeviceFailure),
        (99, Status::BadUnexpectedError),
    ] {
        let mut rig = rig("", registers([1, 2, 3]));
        rig.faults.once(AnswerFault::Exception(code));
        assert_eq!(rig.cells().await, vec![Cell::Bad(status); 3], "exception {code}");
        assert_eq!(rig.requests(), 1);
        assert_eq!(bad_cells(&rig.cells().await, &[1, 2, 3]), 0);
    }
}

/// PLC4X: two unit ids in one group read the wrong unit.
#[tokio::test(start_paused = true)]
async fn two_units_of_one_group_read_each_its_own() {
    let tags = vec![
        holds("a", "holding-register:1:UINT{unit-id: 1}", Value::UInt(1)),
        holds("b", "holding-register:1:UINT{unit-id: 2}", Value::UInt(2)),
        holds("c", "holding-register:2:UINT{unit-id: 1}", Value::UInt(3)),
        holds("d", "holding-register:2:UINT{unit-id: 2}", Value::UInt(4)),
    ];
    let mut rig = rig("?unit-identifier=9", tags);
    assert_eq!(numbers(&rig.cells().await), [Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(rig.requests(), 2);
}

/// PLC4X: per-tag byte order lost by merging.
#[tokio::test(start_paused = true)]
async fn a_tag_s_own_byte_order_survives_merging() {
    let value = Value::UInt(0x0102_0304);
    let tags = vec![
        holds("a", "400001:UDINT", value.clone()),
        holds("b", "400003:UDINT{byte-order: 'LITTLE_ENDIAN'}", value.clone()),
        holds("c", "400005:UDINT{byte-order: 'BIG_ENDIAN_BYTE_SWAP'}", value.clone()),
        holds("d", "400007:UDINT{byte-order: 'LITTLE_ENDIAN_BYTE_SWAP'}", value.clone()),
    ];
    let mut rig = rig("", tags);
    assert_eq!(rig.cells().await, vec![Cell::Good(value); 4]);
    assert_eq!(rig.requests(), 1);
}

/// PLC4X: register 65536 unreadable.
#[tokio::test(start_paused = true)]
async fn the_last_register_and_the_last_coil_can_be_read_and_written() {
    let tags = vec![
        holds("register", "holding-register:65536:UINT", Value::UInt(7)),
        holds("coil", "coil:65536", Value::Bool(true)),
    ];
    let mut rig = rig("", tags);
    assert_eq!(rig.cells().await, [Cell::Good(Value::UInt(7)), Cell::Good(Value::Bool(true))]);
    let outcomes = rig.write(&[("register", Value::UInt(8), true)]).await.unwrap();
    assert_eq!(outcomes[0].read_back, Some(Value::UInt(8)));
}

#[tokio::test(start_paused = true)]
async fn every_area_and_function_reads_what_the_world_holds() {
    let list = Value::List((0..20).map(|n| Value::Bool(n % 3 == 0)).collect());
    let text = Value::Text("Öl 80 °C".into());
    let tags = vec![
        holds("coils", "coil:7:BOOL[20]", list.clone()),
        holds("input", "discrete-input:3", Value::Bool(true)),
        holds("ir", "input-register:9:REAL", Value::Real(71.25)),
        holds("hr", "holding-register:9:STRING(20)", text.clone()),
        holds("bit3", "holding-register:40.3:BOOL", Value::Bool(true)),
        holds("bit4", "holding-register:40.4:BOOL", Value::Bool(false)),
        holds("file", "extended-register:9998:LINT", Value::Int(-5_000_000_000)),
        holds("file2", "extended-register:20000:INT[3]", Value::List([1, -2, 3].map(Value::Int).into())),
    ];
    let expected: Vec<Cell> = tags.iter().map(|tag| Cell::Good(tag.signal.value.clone())).collect();
    let mut rig = rig("", tags);
    assert_eq!(rig.cells().await, expected);
    // The registers between 19 and 39 do not exist: the next scan goes round them.
    assert_eq!(rig.cells().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_dead_unit_behind_a_gateway_costs_its_neighbours_nothing() {
    for in_flight in [1, 4] {
        let mut tags: Vec<_> = (1..=5)
            .map(|unit| {
                let address = format!("holding-register:1:UINT{{unit-id: {unit}}}");
                holds(&format!("u{unit}"), &address, Value::UInt(unit))
            })
            .collect();
        tags.push(holds("v3", "input-register:1:UINT{unit-id: 3}", Value::UInt(33)));
        let mut rig = rig(&format!("?request-timeout=2000&max-in-flight={in_flight}"), tags);
        rig.faults.set(|faults| faults.delay = 5 * MS);
        assert!(rig.cells().await.iter().all(Cell::is_good));
        rig.faults.set(|faults| {
            faults.silent_units.insert(3);
        });
        // One time-out tells, and it is the unit's only one, however many requests it has.
        let start = Instant::now();
        let cells = rig.cells().await;
        assert_eq!((&cells[2], &cells[5]), (&Cell::Bad(Status::BadTimeout), &Cell::Bad(Status::BadTimeout)));
        assert_eq!(cells.iter().filter(|cell| cell.is_good()).count(), 4);
        assert!(start.elapsed() < 2100 * MS, "{:?}", start.elapsed());
        // From then on it is out of service. For ten minutes the neighbours' scans stay as fast as they were but for
        // a probe of some 50 ms now and then.
        let (mut slow, mut scans) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < Duration::from_mins(10) {
            let before = Instant::now();
            let cells = rig.cells().await;
            assert_eq!(cells[2], Cell::Bad(Status::BadOutOfService));
            assert_eq!(cells.iter().filter(|cell| cell.is_good()).count(), 4);
            assert!(before.elapsed() <= 100 * MS, "{:?}", before.elapsed());
            slow += u32::from(before.elapsed() > 25 * MS);
            scans += 1;
            sleep(100 * MS).await;
        }
        assert!(slow * 100 < scans, "{slow} of {scans} scans were slower");
        // It returns by itself.
        rig.faults.heal();
        let start = Instant::now();
        while !rig.cells().await.iter().all(Cell::is_good) {
            assert!(start.elapsed() < Duration::from_secs(61));
            sleep(100 * MS).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn writes_to_a_dead_unit_cost_its_neighbours_nothing_either() {
    let unit = |unit: u64| {
        holds(&format!("u{unit}"), &format!("holding-register:1:UINT{{unit-id: {unit}}}"), Value::UInt(unit))
    };
    let mut rig = rig("?request-timeout=2000", vec![unit(1), unit(2)]);
    rig.faults.set(|faults| {
        faults.silent_units.insert(2);
    });
    rig.cells().await;
    rig.sent();
    let start = Instant::now();
    let writes = [("u2", Value::UInt(20), true), ("u1", Value::UInt(10), true)];
    let outcomes = rig.write(&writes).await.unwrap();
    assert!(matches!(&outcomes[0].result, WriteResult::NotSent(why) if why.contains("unit 2")));
    assert_eq!((&outcomes[1].result, &outcomes[1].read_back), (&WriteResult::Done, &Some(Value::UInt(10))));
    assert!(start.elapsed() < 100 * MS, "{:?}", start.elapsed());
    assert_eq!(rig.sent().len(), 2, "a write and its reading back, both for the unit that lives");
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_the_gateway_does_not_know_is_bad_and_the_others_are_not() {
    let mut rig = rig("", vec![holds("a", "400001:UINT{unit-id: 1}", Value::UInt(1))]);
    let mut tags = rig.tags.clone();
    tags.push(millstream_driver::TagSpec::new("b", "400001:UINT{unit-id: 2}"));
    rig.connection.prepare(GROUP, &tags).unwrap();
    assert_eq!(rig.cells().await, [Cell::Good(Value::UInt(1)), Cell::Bad(Status::BadResourceUnavailable)]);
    assert_eq!(rig.cells().await, [Cell::Good(Value::UInt(1)), Cell::Bad(Status::BadOutOfService)]);
}

/// F3.
#[tokio::test(start_paused = true)]
async fn a_slow_device_is_never_asked_two_things_at_once() {
    // Answers take 0.9 to 5 times the time-out.
    let mut rig = rig("?request-timeout=1000", registers([1, 300, 600]));
    for (delay, good) in [(900, true), (999, true), (1500, false), (5000, false)] {
        rig.faults.set(|faults| faults.delay = delay * MS);
        match rig.read().await {
            Ok(cells) => {
                assert_eq!(bad_cells(&cells, &[1, 300, 600]) == 0, good, "{delay} ms");
                // Late answers are dropped while nobody waits.
                sleep(10_000 * MS).await;
            }
            Err(error) => panic!("{delay} ms: {error}"),
        }
    }
    rig.faults.heal();
    assert_eq!(bad_cells(&rig.cells().await, &[1, 300, 600]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_scan_allocates_its_row_once() {
    let mut rig = rig("", registers(1..=100));
    let mut row = Row::all_bad(Timestamp(0), 0, Status::BadNotConnected);
    rig.connection.read(GROUP, &mut row).await.unwrap();
    let (capacity, place) = (row.cells.capacity(), row.cells.as_ptr());
    for _ in 0..10 {
        rig.connection.read(GROUP, &mut row).await.unwrap();
    }
    assert_eq!((row.cells.capacity(), row.cells.as_ptr()), (capacity, place));
}

#[tokio::test(start_paused = true)]
async fn transaction_ids_wrap_round_and_skip_the_buried() {
    let mut rig = rig("?request-timeout=10", registers([1]));
    for round in 0..70_000_u32 {
        if round % 30_000 == 17 {
            rig.faults.once(AnswerFault::Drop);
            assert_eq!(rig.cells().await, [Cell::Bad(Status::BadTimeout)]);
        } else {
            assert_eq!(bad_cells(&rig.cells().await, &[1]), 0);
        }
    }
    assert_eq!(rig.session.dropped_frames.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn functions_that_no_scan_uses_work_too() {
    let write = RegisterBlock::new(2, &[0, 30, 0, 40]).unwrap();
    let both = ReadWrite::new(RegisterRange::new(1, 3).unwrap(), write).unwrap();
    let identify = Request::ReadDeviceIdentification { code: IdentificationCode::Basic, object: 0 };
    let requests = [Request::ReadWriteMultipleRegisters(both), identify];
    let [swapped, event] = &rig::transact(registers(1..=9), &requests).await[..] else {
        panic!("two answers")
    };
    assert_eq!((&swapped.outcome, swapped.buffer.as_slice()), (&Outcome::Data, &[0, 2, 0, 30, 0, 40][..]));
    let Ok(Response::Identification(found)) = Response::decode(&event.buffer) else { panic!("{event:?}") };
    assert_eq!(found.objects()[0], (0, b"Millstream".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_refuses_several_file_ranges_at_once_is_asked_for_one_by_one() {
    let tags = vec![
        holds("a", "extended-register:1:UINT", Value::UInt(1)),
        holds("b", "extended-register:500:UINT", Value::UInt(500)),
    ];
    let mut rig = rig("", tags);
    rig.faults.once(AnswerFault::Exception(2));
    assert_eq!(numbers(&rig.cells().await), [Some(1), Some(500)]);
    rig.sent();
    assert_eq!(numbers(&rig.cells().await), [Some(1), Some(500)]);
    assert_eq!(rig.sent().iter().map(|pdu| pdu[1]).collect::<Vec<_>>(), [7, 7], "one range in each frame");
}

/// Three silent units are no dead connection: those behind them on the same gateway are still asked.
#[tokio::test(start_paused = true)]
async fn units_that_are_off_from_the_start_do_not_hide_their_neighbours() {
    let unit = |unit: u64| {
        holds(&format!("u{unit}"), &format!("holding-register:1:UINT{{unit-id: {unit}}}"), Value::UInt(unit))
    };
    let mut rig = rig("?request-timeout=500", (1..=6).map(unit).collect());
    rig.faults.set(|faults| faults.silent_units.extend(1..=5));
    let cells = rig.cells().await;
    assert_eq!(cells[5], Cell::Good(Value::UInt(6)));
    assert!(cells[..5].iter().all(|cell| *cell == Cell::Bad(Status::BadTimeout)), "{cells:?}");
    let start = Instant::now();
    rig.cells().await;
    assert!(start.elapsed() < 100 * MS, "now they are known");
    // Where nobody answers at all, that is found out: every unit once, and one of them again.
    let mut dead = rig_in_pieces("?request-timeout=500", (1..=4).map(unit).collect(), 4096, 1);
    dead.faults.set(|faults| faults.silent_units.extend(1..=4));
    dead.cells().await;
    assert!(matches!(dead.read().await, Err(SessionError::Protocol(ProtocolError::Silent(5)))));
}
