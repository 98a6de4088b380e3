//! Addresses, plans and scans of a healthy device.

use super::{Bench, GROUP, good};
use crate::{GroupIndex, TagSpec};
use millstream_model::{Cell, Row, Status, Timestamp};

pub async fn a_wrong_address_is_told_with_its_place(bench: Bench) {
    let wrong = bench.subject.wrong;
    let Err(mistake) = bench.subject.driver.tag_type(wrong) else {
        panic!("`{wrong}` was taken for an address")
    };
    let place = mistake.span.unwrap_or_else(|| panic!("the mistake has no place")).range;
    assert!(place.start <= place.end && place.end <= wrong.len(), "{place:?} is outside `{wrong}`");
    assert!(!mistake.message.is_empty());
    let mut tags = bench.tags.clone();
    tags.insert(2, TagSpec::new("wrong", wrong));
    let Err(problems) = bench.subject.driver.plan(&bench.target, &tags) else { panic!("it was planned") };
    assert_eq!(problems.iter().map(|problem| problem.tag).collect::<Vec<_>>(), [Some(2)]);
    let mut session = bench.connect().await;
    assert!(session.prepare(GroupIndex(1), &tags).is_err(), "it was prepared");
    let row = good(bench.read(session.as_mut()).await);
    assert!(row.cells.iter().all(Cell::is_good), "a mistake in one group has spoiled another");
}

pub async fn a_plan_answers_every_tag(bench: Bench) {
    let plan = good(bench.subject.driver.plan(&bench.target, &bench.tags));
    let types: Vec<_> = bench.tags.iter().map(|tag| bench.tag_type(tag)).collect();
    assert_eq!(plan.types, types);
    let mut answered: Vec<usize> = plan.requests.iter().flat_map(|request| request.tags.clone()).collect();
    answered.sort_unstable();
    answered.dedup();
    assert_eq!(answered, (0..bench.tags.len()).collect::<Vec<_>>());
    assert!(plan.requests.iter().all(|request| request.request_bytes > 0 && request.response_bytes > 0));
    let mut session = bench.connect().await;
    assert_eq!(good(session.prepare(GROUP, &bench.tags)).types, types);
    assert!(session.limits().in_flight_max >= 1);
}

pub async fn values_are_read_as_the_device_holds_them(bench: Bench) {
    let mut session = bench.connect().await;
    for round in 0..20 {
        bench.turn(round);
        let row = good(bench.read(session.as_mut()).await);
        assert!(row.cells.iter().all(Cell::is_good), "{row:?}");
        assert!(row.read_at > Timestamp::default(), "a row says when it was read");
    }
    assert!(bench.counters.requests.get() > 0);
    assert!(bench.counters.round_trip.count() > 0);
    assert!(bench.counters.bytes_sent.get() > 0 && bench.counters.bytes_received.get() > 0);
}

pub async fn a_missing_address_leaves_the_others_good(bench: Bench) {
    let mut session = bench.connect().await;
    let mut tags = bench.tags.clone();
    tags.insert(1, TagSpec::new("absent", bench.subject.absent));
    good(session.prepare(GROUP, &tags));
    // The first scans may find out how to ask.
    let mut row = Row::all_bad(Timestamp::default(), 0, Status::BadNotConnected);
    for _ in 0..10 {
        good(session.read(GROUP, &mut row).await);
        if row.cells.iter().filter(|cell| cell.is_good()).count() == 4 {
            break;
        }
    }
    assert!(matches!(row.cells.get(1), Some(Cell::Bad(_))), "{row:?}");
    row.cells.remove(1);
    let truth: Vec<Cell> = bench.truth().into_iter().map(Cell::Good).collect();
    assert_eq!(row.cells, truth);
}

pub async fn a_refused_address_leaves_the_others_good_and_comes_back(bench: Bench) {
    let mut session = bench.connect().await;
    let refused = &bench.tags[1];
    bench.simulator.faults.set(|faults| {
        faults.refused_addresses.insert(refused.address.clone());
    });
    for round in 0..10 {
        bench.turn(round);
        let row = good(bench.read(session.as_mut()).await);
        assert!(!row.cells[1].is_good(), "{row:?}");
        if round > 0 {
            assert_eq!(row.cells.iter().filter(|cell| cell.is_good()).count(), 3, "{row:?}");
        }
    }
    bench.simulator.faults.heal();
    // It is asked for again now and then by the session, or at the latest after a new connection.
    bench.recover(None).await;
}

pub async fn groups_are_kept_apart(bench: Bench) {
    let mut session = bench.connect().await;
    let backwards: Vec<TagSpec> = bench.tags.iter().rev().cloned().collect();
    let other = GroupIndex(7);
    good(session.prepare(other, &backwards));
    for round in 0..5 {
        bench.turn(round);
        let row = good(bench.read(session.as_mut()).await);
        assert!(row.cells.iter().all(Cell::is_good));
        let mut reversed = Row::all_bad(Timestamp::default(), 0, Status::BadNotConnected);
        good(session.read(other, &mut reversed).await);
        reversed.cells.reverse();
        assert_eq!(reversed.cells, row.cells);
    }
}

pub async fn a_group_that_is_prepared_again_is_replaced(bench: Bench) {
    let mut session = bench.connect().await;
    good(bench.read(session.as_mut()).await);
    good(session.prepare(GROUP, &bench.tags[2..3]));
    let mut row = Row::all_bad(Timestamp::default(), 9, Status::BadNotConnected);
    good(session.read(GROUP, &mut row).await);
    assert_eq!(row.cells, [Cell::Good(bench.value("t2"))]);
    good(session.prepare(GROUP, &[]));
    good(session.read(GROUP, &mut row).await);
    assert!(row.cells.is_empty(), "an empty group is an empty row");
}
