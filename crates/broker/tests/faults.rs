//! What the engine does when the disk, a member or a producer fails, and how it mends itself.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, FetchLimit, GroupReader, Isolation, StartOffset, TopicSpec,
};
use millstream_log::{Operation, SimDisk};
use millstream_model::metric::{Collect, Page};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, committed_texts, open, records};
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(30);

/// A limit that is soon over.
fn soon() -> FetchLimit {
    FetchLimit { wait_max: Duration::from_millis(20), ..FetchLimit::default() }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_lets_readers_go_on_and_mends_itself() {
    let disk = SimDisk::new(1);
    let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
    let mut producer = bus.transactional("id").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["x"])).await.unwrap();
    disk.limit(Some(0));
    let refused = bus.append(&at("t", 0), records(["b"]), Acks::All).await;
    assert!(matches!(&refused, Err(error @ BusError::DiskFull(_)) if error.is_retriable()), "{refused:?}");
    assert!(transaction.append(&at("t", 0), records(["y"])).await.is_err());
    assert!(transaction.commit().await.is_err(), "half of it is missing");
    let mut reader = support::reader(&bus, &at("t", 0), Isolation::ReadCommitted).await;
    assert_eq!(support::drain(&mut *reader, 1).await, ["a"]);
    disk.limit(None);
    log.maintain();
    bus.append(&at("t", 0), records(["b"]), Acks::All).await.unwrap();
    // The marker that found no room is written by itself, and readers go on behind it.
    let waiting = async {
        let mut texts = Vec::new();
        while texts.is_empty() {
            let fetched = reader.poll(FetchLimit::default()).await.unwrap();
            texts.extend(fetched.into_iter().flat_map(|part| part.records).map(support::text));
        }
        texts
    };
    assert_eq!(timeout(DEADLINE, waiting).await.unwrap(), ["b"]);
    let mut next = producer.begin().await.unwrap();
    next.append(&at("t", 0), records(["c"])).await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(committed_texts(&bus, &at("t", 0)).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_topic_can_be_deleted_to_make_room_on_a_full_disk() {
    let disk = SimDisk::new(1);
    let bus = open(Arc::new(disk.clone()), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let mut producer = bus.transactional("id").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["a"])).await.unwrap();
    transaction.commit_offsets("g", &[(at("t", 0), CommittedOffset::new(0))]).await.unwrap();
    transaction.commit().await.unwrap();
    disk.limit(Some(0));
    bus.delete_topic("t").await.unwrap();
    disk.limit(None);
    assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None]);
    let bus = open(Arc::new(disk.kill()), Path::new("/data")).await;
    assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None]);
    assert_eq!(bus.topics().await.unwrap(), []);
}

#[tokio::test]
async fn a_failing_sync_is_not_called_a_success_and_appends_go_on_afterwards() {
    let disk = SimDisk::new(2);
    let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
    disk.fail(Operation::Sync, "topics/t/0", 1);
    let refused = bus.append(&at("t", 0), records(["lost"]), Acks::All).await;
    assert!(matches!(refused, Err(BusError::Unavailable { .. })), "{refused:?}");
    let refused = bus.append(&at("t", 0), records(["refused"]), Acks::All).await;
    assert!(matches!(refused, Err(BusError::Unavailable { .. })), "{refused:?}");
    log.maintain();
    bus.append(&at("t", 0), records(["b"]), Acks::All).await.unwrap();
    assert_eq!(committed_texts(&bus, &at("t", 0)).await, ["a", "b"]);
}

#[tokio::test]
async fn a_failing_sync_under_a_transaction_aborts_it() {
    for part in ["topics/t/0", "topics/t/1", "__transaction_state"] {
        let disk = SimDisk::new(3);
        let (log, bus) = support::open_both(Arc::new(disk.clone()), Path::new("/data")).await;
        bus.create_topic(&TopicSpec::new("t", 2)).await.unwrap();
        let mut producer = bus.transactional("id").await.unwrap();
        let mut transaction = producer.begin().await.unwrap();
        for partition in 0..2 {
            transaction.append(&at("t", partition), records(["x"])).await.unwrap();
        }
        transaction.commit_offsets("g", &[(at("t", 0), CommittedOffset::new(0))]).await.unwrap();
        disk.fail(Operation::Sync, part, 1);
        let refused = transaction.commit().await.unwrap_err();
        assert!(
            matches!(refused, BusError::Unavailable { .. } | BusError::Unknown(_)),
            "{part}: {refused:?}"
        );
        let mended = async {
            loop {
                log.maintain();
                let Ok(mut next) = producer.begin().await else { continue };
                let mut sound = true;
                for partition in 0..2 {
                    sound &= next.append(&at("t", partition), records(["a"])).await.is_ok();
                }
                if sound && next.commit().await.is_ok() {
                    return;
                }
            }
        };
        timeout(DEADLINE, mended).await.unwrap();
        for partition in 0..2 {
            assert_eq!(committed_texts(&bus, &at("t", partition)).await, ["a"], "{part}");
        }
        assert_eq!(bus.committed("g", &[at("t", 0)]).await.unwrap(), [None], "{part}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let config =
        EmbeddedConfig { transaction_timeout: Duration::from_millis(50), ..EmbeddedConfig::default() };
    let log = support::open_log(Arc::new(SimDisk::new(4)), Path::new("/data"));
    let bus = Embedded::open(log, config, support::clock()).await.unwrap();
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let mut producer = bus.transactional("id").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    transaction.append(&at("t", 0), records(["x"])).await.unwrap();
    bus.append(&at("t", 0), records(["a"]), Acks::All).await.unwrap();
    let mut reader = support::reader(&bus, &at("t", 0), Isolation::ReadCommitted).await;
    let mut texts = Vec::new();
    let began = Instant::now();
    while texts.is_empty() {
        assert!(began.elapsed() < DEADLINE, "it holds up the others for ever");
        let fetched = reader.poll(FetchLimit::default()).await.unwrap();
        texts.extend(fetched.into_iter().flat_map(|part| part.records).map(support::text));
    }
    assert_eq!(texts, ["a"]);
    let refused = transaction.commit().await.unwrap_err();
    assert!(refused.is_retriable(), "{refused:?}");
}

async fn settle(members: &mut [(&mut Box<dyn GroupReader>, usize)]) {
    let began = Instant::now();
    while !members.iter().all(|(member, wanted)| member.assignment().len() == *wanted) {
        assert!(began.elapsed() < DEADLINE, "the group does not settle");
        for (member, _) in &mut *members {
            member.poll(soon()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_member_that_is_silent_loses_its_partitions_and_is_fenced() {
    let config = EmbeddedConfig {
        session_timeout: Duration::from_millis(300),
        rebalance_timeout: Duration::from_millis(300),
        ..EmbeddedConfig::default()
    };
    let log = support::open_log(Arc::new(SimDisk::new(5)), Path::new("/data"));
    let bus = Embedded::open(log, config, support::clock()).await.unwrap();
    bus.create_topic(&TopicSpec::new("t", 2)).await.unwrap();
    let topics = ["t".to_owned()];
    let join = || bus.subscribe("g", &topics, StartOffset::Earliest, Isolation::ReadCommitted);
    let (mut one, mut two) = (join().await.unwrap(), join().await.unwrap());
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    let held = one.assignment();
    settle(&mut [(&mut two, 2)]).await;
    let refused = one.commit(&[(held[0].clone(), CommittedOffset::new(0))]).await;
    assert!(matches!(refused, Err(BusError::Fenced(_))), "{refused:?}");
    two.commit(&[(held[0].clone(), CommittedOffset::new(0))]).await.unwrap();
    settle(&mut [(&mut one, 1), (&mut two, 1)]).await;
    assert_eq!(bus.groups().await.unwrap()[0].members, 2);
}

#[tokio::test]
async fn a_member_keeps_its_partitions_while_it_waits_for_records() {
    let config = EmbeddedConfig { session_timeout: Duration::from_millis(200), ..EmbeddedConfig::default() };
    let log = support::open_log(Arc::new(SimDisk::new(6)), Path::new("/data"));
    let bus = Embedded::open(log, config, support::clock()).await.unwrap();
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    let topics = ["t".to_owned()];
    let mut member =
        bus.subscribe("g", &topics, StartOffset::Earliest, Isolation::ReadCommitted).await.unwrap();
    settle(&mut [(&mut member, 1)]).await;
    let long = FetchLimit { wait_max: Duration::from_millis(900), ..FetchLimit::default() };
    assert_eq!(member.poll(long).await.unwrap(), []);
    member.commit(&[(at("t", 0), CommittedOffset::new(0))]).await.unwrap();
}

#[tokio::test]
async fn a_reader_of_a_deleted_topic_is_told() {
    let bus = open(Arc::new(SimDisk::new(7)), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 1)).await.unwrap();
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        bus.create_topic(&TopicSpec::new("u", 1)).await.unwrap();
        let mut reader = support::reader(&bus, &at("u", 0), isolation).await;
        let long = FetchLimit { wait_max: Duration::from_mins(10), ..FetchLimit::default() };
        let waiting = tokio::spawn(async move { reader.poll(long).await });
        tokio::task::yield_now().await;
        bus.delete_topic("u").await.unwrap();
        let told = timeout(DEADLINE, waiting).await.unwrap().unwrap();
        assert!(matches!(told, Err(BusError::UnknownTopic(_))), "{told:?}");
    }
}

#[tokio::test]
async fn the_brokers_own_topics_cannot_be_written() {
    let bus = open(Arc::new(SimDisk::new(8)), Path::new("/data")).await;
    for topic in ["__consumer_offsets", "__transaction_state", "__producer_ids"] {
        let refused = bus.append(&at(topic, 0), records(["x"]), Acks::All).await;
        assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn appends_are_counted_by_topic() {
    let bus = open(Arc::new(SimDisk::new(9)), Path::new("/data")).await;
    bus.create_topic(&TopicSpec::new("t", 2)).await.unwrap();
    bus.append(&at("t", 0), records(["a", "b"]), Acks::All).await.unwrap();
    bus.append(&at("t", 1), records(["c"]), Acks::Leader).await.unwrap();
    let mut page = Page::default();
    bus.collect(&mut page);
    let page = page.render();
    assert!(page.contains("millstream_topic_records_total{topic=\"t\"} 3\n"), "{page}");
    for name in ["millstream_topic_bytes_total{topic=\"t\"} ", "millstream_topic_size_bytes{topic=\"t\"} "] {
        let value = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(value.parse::<u64>().unwrap() > 3, "{name}{value}");
    }
    assert!(page.contains("millstream_log_disk_free_bytes "), "{page}");
}
