//! What holds for transactions.

use super::{append, at, limit, read, read_nothing, records, topic, unique};
use crate::{
    Bus, BusError, CommittedOffset, FetchLimit, Isolation, Position, Reader, StartOffset, TopicPartition,
    Transaction,
};
use std::sync::Arc;
use std::time::Duration;

async fn reader(bus: &Arc<dyn Bus>, of: &TopicPartition, isolation: Isolation) -> Box<dyn Reader> {
    bus.reader(vec![Position::new(of.clone(), StartOffset::Earliest)], isolation).await.unwrap()
}

async fn end(transaction: Box<dyn Transaction + '_>, commit: bool) {
    let ended = if commit { transaction.commit().await } else { transaction.abort().await };
    ended.unwrap();
}

pub async fn records_are_invisible_until_commit(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["a", "b"])).await.unwrap();
    transaction.append(&to, records(["c"])).await.unwrap();
    read_nothing(&mut *committed).await;
    transaction.commit().await.unwrap();
    assert_eq!(read(&mut *committed, 3).await.of(&to), ["a", "b", "c"]);
    append(&bus, &to, &["d"]).await;
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["d"]);
}

pub async fn uncommitted_readers_see_open_records(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["a", "b"])).await.unwrap();
    let mut uncommitted = reader(&bus, &to, Isolation::ReadUncommitted).await;
    assert_eq!(read(&mut *uncommitted, 2).await.of(&to), ["a", "b"]);
    transaction.abort().await.unwrap();
    let mut late = reader(&bus, &to, Isolation::ReadUncommitted).await;
    assert_eq!(read(&mut *late, 2).await.of(&to), ["a", "b"], "aborted ones stay visible to them");
}

pub async fn aborted_records_are_passed_over(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    for (texts, commit) in [(["a", "b"], true), (["x", "y"], false), (["c", "d"], true), (["z", "z"], false)]
    {
        let mut transaction = producer.begin().await.unwrap();
        transaction.append(&to, records(texts)).await.unwrap();
        end(transaction, commit).await;
    }
    append(&bus, &to, &["e"]).await;
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    let mut seen = read(&mut *committed, 5).await;
    // The marker of the last one may come behind the last record. Reading gets past it, too, and stands at the end then.
    loop {
        let range = bus.offsets(&to).await.unwrap();
        if seen.next[&to] == range.latest && range.stable == range.latest {
            break;
        }
        seen.take(committed.poll(limit()).await.unwrap());
    }
    assert_eq!(seen.of(&to), ["a", "b", "c", "d", "e"]);
}

pub async fn a_dropped_transaction_is_aborted(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["x"])).await.unwrap();
    drop(transaction);
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["a"])).await.unwrap();
    transaction.commit().await.unwrap();
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["a"]);
}

pub async fn offsets_are_committed_with_the_records(bus: Arc<dyn Bus>) {
    let (input, output) = (at(&topic(&bus, 1).await, 0), at(&topic(&bus, 1).await, 0));
    let group = unique("group");
    let of = [input.clone()];
    bus.commit(&group, &[(input.clone(), CommittedOffset::new(1))]).await.unwrap();
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&output, records(["a"])).await.unwrap();
    let reached = CommittedOffset { offset: 8, metadata: "with it".to_owned() };
    transaction.commit_offsets(&group, &[(input.clone(), reached.clone())]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bus.committed(&group, &of).await.unwrap(), [Some(reached)]);
    let mut committed = reader(&bus, &output, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, 1).await.of(&output), ["a"]);
}

pub async fn offsets_of_an_aborted_transaction_are_dropped(bus: Arc<dyn Bus>) {
    let input = at(&topic(&bus, 1).await, 0);
    let group = unique("group");
    bus.commit(&group, &[(input.clone(), CommittedOffset::new(1))]).await.unwrap();
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&input, records(["x"])).await.unwrap();
    transaction.commit_offsets(&group, &[(input.clone(), CommittedOffset::new(8))]).await.unwrap();
    transaction.abort().await.unwrap();
    let mut next = producer.begin().await.unwrap();
    next.append(&input, records(["a"])).await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(bus.committed(&group, &[input]).await.unwrap(), [Some(CommittedOffset::new(1))]);
}

pub async fn all_partitions_commit_together(bus: Arc<dyn Bus>) {
    const PARTITIONS: i32 = 12;
    let (wide, narrow) = (topic(&bus, PARTITIONS).await, topic(&bus, 1).await);
    let mut parts: Vec<_> = (0..PARTITIONS).map(|partition| at(&wide, partition)).collect();
    parts.push(at(&narrow, 0));
    let from = parts.iter().map(|of| Position::new(of.clone(), StartOffset::Earliest)).collect();
    let mut committed = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    for part in &parts {
        transaction.append(part, records([part.to_string()])).await.unwrap();
    }
    read_nothing(&mut *committed).await;
    transaction.commit().await.unwrap();
    let seen = read(&mut *committed, parts.len()).await;
    for part in &parts {
        assert_eq!(seen.of(part), [part.to_string()]);
    }
}

pub async fn a_newer_producer_fences_an_older(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let id = unique("id");
    let mut older = bus.transactional(&id).await.unwrap();
    let mut left = older.begin().await.unwrap();
    left.append(&to, records(["x"])).await.unwrap();
    let mut newer = bus.transactional(&id).await.unwrap();
    let refused = match left.append(&to, records(["y"])).await {
        Ok(()) => left.commit().await,
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    let mut transaction = newer.begin().await.unwrap();
    transaction.append(&to, records(["a"])).await.unwrap();
    transaction.commit().await.unwrap();
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["a"]);
    read_nothing(&mut *committed).await;
}

pub async fn a_fenced_producer_cannot_begin(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let id = unique("id");
    let mut older = bus.transactional(&id).await.unwrap();
    let mut transaction = older.begin().await.unwrap();
    transaction.append(&to, records(["a"])).await.unwrap();
    transaction.commit().await.unwrap();
    let newer = bus.transactional(&id).await.unwrap();
    // An engine behind a network learns of it at the latest when it asks for anything.
    let refused = match older.begin().await {
        Ok(mut transaction) => match transaction.append(&to, records(["x"])).await {
            Ok(()) => transaction.commit().await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    drop(newer);
}

pub async fn opening_aborts_what_was_left_open(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let (id, group) = (unique("id"), unique("group"));
    let mut older = bus.transactional(&id).await.unwrap();
    let mut left = older.begin().await.unwrap();
    left.append(&to, records(["x"])).await.unwrap();
    left.commit_offsets(&group, &[(to.clone(), CommittedOffset::new(1))]).await.unwrap();
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    append(&bus, &to, &["a"]).await;
    read_nothing(&mut *committed).await;
    let _newer = bus.transactional(&id).await.unwrap();
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["a"], "what waited behind it is free");
    assert_eq!(bus.committed(&group, std::slice::from_ref(&to)).await.unwrap(), [None]);
    drop(left);
}

pub async fn an_open_transaction_holds_back_what_follows(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    append(&bus, &to, &["a"]).await;
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["b"])).await.unwrap();
    append(&bus, &to, &["c"]).await;
    let range = bus.offsets(&to).await.unwrap();
    assert_eq!((range.earliest, range.stable, range.latest), (0, 1, 3));
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["a"]);
    read_nothing(&mut *committed).await;
    transaction.commit().await.unwrap();
    assert_eq!(read(&mut *committed, 2).await.of(&to), ["b", "c"]);
}

async fn wakes_when_it_ends(bus: Arc<dyn Bus>, commit: bool) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["a"])).await.unwrap();
    append(&bus, &to, &["b"]).await;
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    let waiting = tokio::spawn(async move {
        let long = FetchLimit { wait_max: Duration::from_mins(10), ..limit() };
        let mut texts = Vec::new();
        while texts.last().is_none_or(|last| last != "b") {
            let fetched = committed.poll(long).await.unwrap();
            texts.extend(fetched.iter().flat_map(|part| part.records.iter().map(super::text)));
        }
        texts
    });
    tokio::task::yield_now().await;
    end(transaction, commit).await;
    let expected: &[&str] = if commit { &["a", "b"] } else { &["b"] };
    assert_eq!(waiting.await.unwrap(), expected);
}

pub async fn a_waiting_committed_reader_wakes_on_commit(bus: Arc<dyn Bus>) {
    wakes_when_it_ends(bus, true).await;
}

pub async fn a_waiting_committed_reader_wakes_on_abort(bus: Arc<dyn Bus>) {
    wakes_when_it_ends(bus, false).await;
}

pub async fn a_transaction_with_a_failed_append_cannot_commit(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let nowhere = at(&unique("nowhere"), 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&to, records(["x"])).await.unwrap();
    assert!(transaction.append(&nowhere, records(["x"])).await.is_err());
    assert!(transaction.commit().await.is_err(), "half of it would be missing");
    let mut next = producer.begin().await.unwrap();
    next.append(&to, records(["a"])).await.unwrap();
    next.commit().await.unwrap();
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, 1).await.of(&to), ["a"]);
}

pub async fn a_transaction_of_offsets_alone_commits(bus: Arc<dyn Bus>) {
    let (of, group) = (at(&topic(&bus, 1).await, 0), unique("group"));
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.commit_offsets(&group, &[(of.clone(), CommittedOffset::new(3))]).await.unwrap();
    transaction.commit_offsets(&group, &[(of.clone(), CommittedOffset::new(4))]).await.unwrap();
    assert_eq!(bus.committed(&group, std::slice::from_ref(&of)).await.unwrap(), [None]);
    transaction.commit().await.unwrap();
    assert_eq!(bus.committed(&group, &[of]).await.unwrap(), [Some(CommittedOffset::new(4))]);
}

pub async fn an_empty_transaction_ends_either_way(bus: Arc<dyn Bus>) {
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    producer.begin().await.unwrap().commit().await.unwrap();
    producer.begin().await.unwrap().abort().await.unwrap();
    drop(producer.begin().await.unwrap());
    producer.begin().await.unwrap().commit().await.unwrap();
}

pub async fn transactions_of_two_producers_interleave(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let (mut one, mut two) =
        (bus.transactional(&unique("id")).await.unwrap(), bus.transactional(&unique("id")).await.unwrap());
    let mut first = one.begin().await.unwrap();
    first.append(&to, records(["1a"])).await.unwrap();
    let mut second = two.begin().await.unwrap();
    second.append(&to, records(["2a"])).await.unwrap();
    first.append(&to, records(["1b"])).await.unwrap();
    second.append(&to, records(["2b"])).await.unwrap();
    second.commit().await.unwrap();
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    read_nothing(&mut *committed).await;
    first.abort().await.unwrap();
    assert_eq!(read(&mut *committed, 2).await.of(&to), ["2a", "2b"]);
}

pub async fn many_transactions_in_a_row_keep_order(bus: Arc<dyn Bus>) {
    let to = at(&topic(&bus, 1).await, 0);
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut expected = Vec::new();
    for n in 0..60 {
        let mut transaction = producer.begin().await.unwrap();
        transaction.append(&to, records([n.to_string()])).await.unwrap();
        if n % 3 == 2 {
            transaction.abort().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
            expected.push(n.to_string());
        }
    }
    let mut committed = reader(&bus, &to, Isolation::ReadCommitted).await;
    assert_eq!(read(&mut *committed, expected.len()).await.of(&to), expected);
}

pub async fn a_large_transaction_is_whole(bus: Arc<dyn Bus>) {
    let name = topic(&bus, 2).await;
    let parts = [at(&name, 0), at(&name, 1)];
    let mut producer = bus.transactional(&unique("id")).await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    for batch in 0..10 {
        let texts: Vec<String> = (0..1_000).map(|n| format!("{:0>100}", batch * 1_000 + n)).collect();
        for part in &parts {
            transaction.append(part, records(&texts)).await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    let from = parts.iter().map(|of| Position::new(of.clone(), StartOffset::Earliest)).collect();
    let mut committed = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let seen = read(&mut *committed, 20_000).await;
    let expected: Vec<String> = (0..10_000).map(|n| format!("{n:0>100}")).collect();
    for part in &parts {
        assert!(seen.of(part) == expected, "{part} is not whole");
    }
}
