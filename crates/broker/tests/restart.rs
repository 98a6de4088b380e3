//! What survives a restart, and what a start puts right.

mod support;

use millstream_bus::{Acks, Bus, CommittedOffset, Isolation, Position, StartOffset, TopicSpec};
use millstream_log::{OsDisk, SimDisk};
use std::path::Path;
use std::sync::Arc;
use support::{at, committed_texts, open, records};

#[tokio::test]
async fn offsets_of_groups_survive() {
    let dir = support::fresh_dir("restart");
    {
        let bus = open(Arc::new(OsDisk), &dir).await;
        bus.create_topic(&TopicSpec::new("t", 2)).await.unwrap();
        bus.append(&at("t", 0), records(["a", "b", "c"]), Acks::All).await.unwrap();
        let offset = CommittedOffset { offset: 2, metadata: "so far".to_owned() };
        bus.commit("g", &[(at("t", 0), offset)]).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        transaction.commit_offsets("h", &[(at("t", 0), CommittedOffset::new(3))]).await.unwrap();
        transaction.commit().await.unwrap();
        bus.commit("h", &[(at("t", 1), CommittedOffset::new(0))]).await.unwrap();
        drop(producer);
        bus.close().await.unwrap();
    }
    let bus = open(Arc::new(OsDisk), &dir).await;
    let of = [at("t", 0), at("t", 1)];
    let offset = CommittedOffset { offset: 2, metadata: "so far".to_owned() };
    assert_eq!(bus.committed("g", &of).await.unwrap(), [Some(offset), None]);
    let offsets = [Some(CommittedOffset::new(3)), Some(CommittedOffset::new(0))];
    assert_eq!(bus.committed("h", &of).await.unwrap(), offsets);
    let names: Vec<_> =
        bus.groups().await.unwrap().into_iter().map(|group| (group.name, group.members)).collect();
    assert_eq!(names, [("g".to_owned(), 0), ("h".to_owned(), 0)]);
}

#[tokio::test]
async fn an_open_transaction_is_aborted_by_the_start() {
    let disk = SimDisk::new(7);
    {
        let bus = open(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        transaction.append(&at("t", 0), records(["a"])).await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        transaction.append(&at("t", 0), records(["x"])).await.unwrap();
        transaction.commit_offsets("g", &[(at("t", 0), CommittedOffset::new(1))]).await.unwrap();
        // The process ends here: nothing is dropped, nothing aborted.
        std::mem::forget(transaction);
        bus.append(&at("t", 0), records(["b"]), Acks::All).await.unwrap();
    }
    let bus = open(Arc::new(disk.kill()), Path::new("/data")).await;
    assert_eq!(committed_texts(&bus, &at("t", 0)).await, ["a", "b"]);
    let range = bus.offsets(&at("t", 0)).await.unwrap();
    assert_eq!(range.stable, range.latest, "nothing is open any more");
    assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None]);
    let mut producer = bus.transactional("id").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["c"])).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(committed_texts(&bus, &at("t", 0)).await, ["a", "b", "c"], "what was left open stays aborted");
}

#[tokio::test]
async fn a_committed_transaction_survives_the_power_cut_that_follows() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let bus = open(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&TopicSpec::new("t", 5)).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        for round in 0..3 {
            let mut transaction = producer.begin().await.unwrap();
            for partition in 0..5 {
                transaction.append(&at("t", partition), records([format!("{round}")])).await.unwrap();
            }
            transaction.commit_offsets("g", &[(at("t", 0), CommittedOffset::new(round))]).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let bus = open(Arc::new(disk.crash()), Path::new("/data")).await;
        for partition in 0..5 {
            assert_eq!(committed_texts(&bus, &at("t", partition)).await, ["0", "1", "2"], "seed {seed}");
        }
        let offset = bus.committed("g", &[at("t", 0)]).await.unwrap();
        assert_eq!(offset, [Some(CommittedOffset::new(2))], "seed {seed}");
    }
}

#[tokio::test]
async fn transactions_that_ended_before_the_start_are_told_apart_wherever_reading_begins() {
    let disk = SimDisk::new(3);
    let mut expected = Vec::new();
    {
        let bus = open(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
        let (mut one, mut two) =
            (bus.transactional("1").await.unwrap(), bus.transactional("2").await.unwrap());
        for round in 0..60_u32 {
            let (mut first, mut second) = (one.begin().await.unwrap(), two.begin().await.unwrap());
            for half in ["a", "b"] {
                first.append(&at("t", 0), records([format!("1/{round}/{half}")])).await.unwrap();
                second.append(&at("t", 0), records([format!("2/{round}/{half}")])).await.unwrap();
            }
            let (keep_first, keep_second) = (round % 3 != 0, round % 4 != 1);
            let text = |keep: bool, text: String| keep.then_some(text);
            for half in ["a", "b"] {
                expected.extend(text(keep_first, format!("1/{round}/{half}")));
                expected.extend(text(keep_second, format!("2/{round}/{half}")));
            }
            let ended = if keep_second { second.commit().await } else { second.abort().await };
            ended.unwrap();
            if keep_first {
                first.commit().await.unwrap();
            } else {
                drop(first);
            }
        }
    }
    let bus = open(Arc::new(disk.kill()), Path::new("/data")).await;
    assert_eq!(committed_texts(&bus, &at("t", 0)).await, expected);
    let latest = bus.offsets(&at("t", 0)).await.unwrap().latest;
    for start in 0..latest {
        let from = vec![Position::new(at("t", 0), StartOffset::Offset(start))];
        let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
        let texts = support::drain(&mut *reader, latest).await;
        assert!(expected.ends_with(&texts), "from {start}: {texts:?}");
        assert!(
            texts.len() >= expected.len().saturating_sub(usize::try_from(start).unwrap()),
            "from {start}"
        );
    }
}

#[tokio::test]
async fn compaction_keeps_committed_values_and_no_others() {
    let disk = SimDisk::new(5);
    let mut expected = std::collections::BTreeMap::new();
    let compacted =
        TopicSpec::compacted("t", 1).config("segment.bytes", "2000").config("min.cleanable.dirty.ratio", "0");
    {
        let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&compacted).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        for round in 0..200_u32 {
            let mut transaction = producer.begin().await.unwrap();
            let (key, value) = (format!("k{}", round % 7), format!("v{round}"));
            let record = support::keyed(&key, &value);
            transaction.append(&at("t", 0), vec![record]).await.unwrap();
            if round % 5 == 4 {
                transaction.abort().await.unwrap();
            } else {
                transaction.commit().await.unwrap();
                expected.insert(key, value);
            }
            if round % 50 == 49 {
                log.maintain();
            }
        }
        assert!(bus.offsets(&at("t", 0)).await.unwrap().latest > 350, "markers take offsets");
        assert_eq!(support::newest(&bus, &at("t", 0)).await, expected);
    }
    let bus = open(Arc::new(disk.kill()), Path::new("/data")).await;
    assert_eq!(support::newest(&bus, &at("t", 0)).await, expected);
    let size = bus.describe_topic("t").await.unwrap().size_bytes.unwrap();
    assert!(size < 20_000, "{size} bytes are left of 200 records and their markers");
}

#[tokio::test]
async fn a_deleted_topics_offsets_are_gone_for_good() {
    let disk = SimDisk::new(9);
    {
        let bus = open(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
        bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
        bus.commit("g", &[(at("t", 0), CommittedOffset::new(1))]).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        transaction.append(&at("t", 0), records(["b"])).await.unwrap();
        transaction.commit_offsets("h", &[(at("t", 0), CommittedOffset::new(1))]).await.unwrap();
        transaction.commit().await.unwrap();
        bus.delete_topic("t").await.unwrap();
        assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None]);
        bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    }
    let bus = open(Arc::new(disk.crash()), Path::new("/data")).await;
    assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None]);
    assert_eq!(bus.committed("h", &[at("t", 0)]).await.unwrap(), [None]);
    assert_eq!(bus.offsets(&at("t", 0)).await.unwrap().latest, 0);
    assert_eq!(bus.groups().await.unwrap(), []);
}
