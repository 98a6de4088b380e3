//! Writes: the functions they use, what is merged, what becomes of refusals and lost answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use millstream_driver::simulate::AnswerFault;
use millstream_driver::{Driver as _, Session as _, WriteResult};
use millstream_modbus::Modbus;
use millstream_model::{Cell, Status, Value};
use rig::{holds, registers, rig};
use std::time::Duration;
use tokio::time::sleep;

fn uint(value: u64) -> Value {
    Value::UInt(value)
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_value_uses_the_function_that_fits() {
    let bools = |states: &[bool]| Value::List(states.iter().map(|on| Value::Bool(*on)).collect());
    let tags = vec![
        holds("coil", "coil:5", Value::Bool(false)),
        holds("coils", "coil:10:BOOL[9]", bools(&[false; 9])),
        holds("word", "holding-register:1:UINT", uint(0)),
        holds("real", "holding-register:3:REAL", Value::Real(0.0)),
        holds("bit", "holding-register:10.3:BOOL", Value::Bool(false)),
        holds("other", "holding-register:10.4:BOOL", Value::Bool(true)),
        holds("file", "extended-register:9999:DINT", Value::Int(0)),
        holds("text", "holding-register:20:STRING(7)", Value::Text("".into())),
    ];
    let states = [true, false, true, true, false, false, true, false, true];
    let mut rig = rig("", tags);
    for (name, value, pdu) in [
        ("coil", Value::Bool(true), &[5, 0, 4, 0xFF, 0][..]),
        ("coil", Value::Bool(false), &[5, 0, 4, 0, 0]),
        ("coils", bools(&states), &[15, 0, 9, 0, 9, 2, 0x4D, 1]),
        ("word", uint(0x1234), &[6, 0, 0, 0x12, 0x34]),
        ("real", Value::Real(1.0), &[16, 0, 2, 0, 2, 4, 0x3F, 0x80, 0, 0]),
        ("bit", Value::Bool(true), &[22, 0, 9, 0xFF, 0xF7, 0, 8]),
        ("bit", Value::Bool(false), &[22, 0, 9, 0xFF, 0xF7, 0, 0]),
        (
            "file",
            Value::Int(0x0102_0304),
            &[21, 18, 6, 0, 1, 0x27, 0x0F, 0, 1, 1, 2, 6, 0, 2, 0, 0, 0, 1, 3, 4],
        ),
        ("text", Value::Text("abc".into()), &[16, 0, 19, 0, 4, 8, b'a', b'b', b'c', 0, 0, 0, 0, 0]),
    ] {
        let outcomes = rig.write(&[(name, value.clone(), true)]).await.unwrap();
        assert_eq!(outcomes[0].result, WriteResult::Done, "{name}");
        assert_eq!(outcomes[0].read_back, Some(value), "{name}");
        assert_eq!(rig.sent()[0], pdu, "{name}");
    }
    assert_eq!(rig.cells().await[5], Cell::Good(Value::Bool(true)), "the neighbour's bit is as it was");
}

#[tokio::test(start_paused = true)]
async fn neighbours_in_order_share_a_request_and_nothing_is_reordered() {
    let mut rig = rig("", registers([1, 2, 3, 9]));
    let write = |n: u16, value| (format!("r{n}"), uint(value), false);
    for (writes, functions) in [
        (vec![write(1, 10), write(2, 20), write(3, 30)], vec![16]),
        (vec![write(1, 11), write(9, 90), write(2, 21)], vec![6, 6, 6]),
        (vec![write(2, 22), write(1, 12)], vec![6, 6]),
    ] {
        let writes: Vec<_> =
            writes.iter().map(|(name, value, verify)| (&**name, value.clone(), *verify)).collect();
        let outcomes = rig.write(&writes).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.result == WriteResult::Done));
        let names: Vec<_> = outcomes.iter().map(|outcome| outcome.tag.to_string()).collect();
        assert_eq!(names, writes.iter().map(|write| write.0).collect::<Vec<_>>());
        assert_eq!(rig.sent().iter().map(|pdu| pdu[0]).collect::<Vec<_>>(), functions);
    }
    let many: Vec<u16> = (100..300).collect();
    let mut rig = rig::rig("", registers(many.iter().copied()));
    let names: Vec<String> = many.iter().map(|n| format!("r{n}")).collect();
    let writes: Vec<_> = names.iter().map(|name| (name.as_str(), uint(5), false)).collect();
    assert_eq!(rig.write(&writes).await.unwrap().len(), 200);
    assert_eq!(rig.sent().len(), 2, "123 and 77 registers");
}

/// PLC4X: a rejected write (exception 2) counts as success.
#[tokio::test(start_paused = true)]
async fn a_refused_write_is_refused_and_costs_its_neighbours_nothing() {
    let mut rig = rig("", registers([1, 2, 3]));
    rig.faults.set(|faults| {
        faults.refused_addresses.insert("holding-register:2:UINT".into());
    });
    let outcomes = rig
        .write(&[("r1", uint(10), false), ("r2", uint(20), false), ("r3", uint(30), false)])
        .await
        .unwrap();
    assert_eq!(outcomes[0].result, WriteResult::Done);
    assert_eq!(
        outcomes[1].result,
        WriteResult::Refused(
            Status::BadNodeIdUnknown,
            "the device answers exception 2 (illegal data address)".to_owned()
        )
    );
    assert_eq!(outcomes[2].result, WriteResult::Done);
    rig.faults.heal();
    sleep(Duration::from_secs(1)).await;
    let found = rig.cells().await;
    assert_eq!(found, [10, 2, 30].map(|value| Cell::Good(uint(value))));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_unknown_read_back_and_never_repeated_and_what_follows_is_not_sent() {
    let mut rig = rig("?request-timeout=100", registers([1, 5, 9]));
    rig.faults.once(AnswerFault::Drop);
    let outcomes = rig
        .write(&[("r1", uint(10), false), ("r5", uint(50), false), ("r9", uint(90), false)])
        .await
        .unwrap();
    assert_eq!(outcomes[0].result, WriteResult::Unknown("no answer within 100 ms".to_owned()));
    assert_eq!(outcomes[0].read_back, Some(uint(10)), "it was carried out, and reading back shows it");
    for outcome in &outcomes[1..] {
        assert_eq!(
            outcome.result,
            WriteResult::NotSent("the write before it was not answered".to_owned()),
            "it may come again"
        );
    }
    assert_eq!(rig.sent().iter().map(|pdu| pdu[0]).collect::<Vec<_>>(), [6, 3]);
    assert_eq!(rig.device.writes.get(), 1);
}

/// PLC4X: the sink hangs for ever when a PLC restarts in the middle of a write.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_in_the_middle_of_a_write_says_so_for_every_write() {
    let mut rig = rig("", registers([1, 5, 9]));
    let permit = rig.permit(&[("r1", uint(10), false), ("r5", uint(50), false), ("r9", uint(90), false)]);
    rig.faults.once(AnswerFault::Duplicate);
    rig.faults.once(AnswerFault::Disconnect);
    let mut outcomes = Vec::new();
    let ended = rig.connection.write(permit, &mut outcomes).await;
    assert!(ended.is_err());
    assert_eq!(outcomes[0].result, WriteResult::Done);
    assert!(matches!(outcomes[1].result, WriteResult::Unknown(_)), "{outcomes:?}");
    assert!(matches!(outcomes[2].result, WriteResult::NotSent(_)), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_device_answers_decides_between_refused_and_unknown() {
    for (code, unknown) in
        [(2, false), (3, false), (4, true), (5, true), (6, false), (7, false), (10, false), (11, true)]
    {
        let mut rig = rig("", registers([1]));
        rig.faults.once(AnswerFault::Exception(code));
        let outcomes = rig.write(&[("r1", uint(10), false)]).await.unwrap();
        match &outcomes[0].result {
            WriteResult::Unknown(_) => {
                assert!(unknown, "exception {code}");
                assert_eq!(
                    outcomes[0].read_back,
                    Some(uint(1)),
                    "it was not carried out, and reading back shows it"
                );
            }
            WriteResult::Refused(..) => assert!(!unknown, "exception {code}"),
            other => panic!("exception {code} counts as {other:?}"),
        }
        assert_eq!(rig.device.writes.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_without_the_single_functions_is_written_with_the_multiple_ones() {
    let mut rig = rig("", vec![holds("r", "400001:UINT", uint(0)), holds("c", "coil:1", Value::Bool(false))]);
    for (name, value, functions) in [("r", uint(3), [6, 16]), ("c", Value::Bool(true), [5, 15])] {
        rig.faults.once(AnswerFault::Exception(1));
        let outcomes = rig.write(&[(name, value, false)]).await.unwrap();
        assert_eq!(outcomes[0].result, WriteResult::Done);
        assert_eq!(rig.sent().iter().map(|pdu| pdu[0]).collect::<Vec<_>>(), functions);
    }
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_confirmed_but_not_done_are_seen_by_reading_back() {
    let mut rig = rig("", registers([1]));
    rig.faults.set(|faults| faults.ignore_writes = true);
    let outcomes = rig.write(&[("r1", uint(10), true)]).await.unwrap();
    assert_eq!((&outcomes[0].result, &outcomes[0].read_back), (&WriteResult::Done, &Some(uint(1))));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_ran_out_is_not_used() {
    let mut rig = rig("", registers([1]));
    let permit = rig.permit(&[("r1", uint(10), false)]);
    sleep(Duration::from_mins(5)).await;
    let mut outcomes = Vec::new();
    rig.connection.write(permit, &mut outcomes).await.unwrap();
    assert_eq!(outcomes[0].result, WriteResult::Expired);
    assert!(rig.sent().is_empty());
}

#[test]
fn addresses_that_cannot_be_written_are_known_before() {
    for address in
        ["coil:1", "400001:STRING(246)", "400001.3", "400001:BOOL[32]", "600001:INT[119]", "400001:BOOL"]
    {
        assert_eq!(Modbus.writable(address), Ok(()), "{address}");
    }
    for address in [
        "discrete-input:1",
        "input-register:1",
        "400001:STRING(250)",
        "coil:1[1969]",
        "600001:INT[121]",
        "600001.3:BOOL",
        "400001:BOOL[20]",
        "400001.8:BOOL[16]",
        "nonsense",
    ] {
        assert!(Modbus.writable(address).is_err(), "{address}");
    }
}
