//! The forwarder between two buses (F12): order, once each, over every kind of outage.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "a test")]

mod support;

use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, Bus, BusError, Record, TopicPartition, TopicSpec};
use millstream_connect::forward::{ForwardConfig, Forwarder, LOST};
use millstream_connect::task::{TaskHandle, TaskState, supervise};
use millstream_model::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use support::bus::FaultyBus;
use support::{bytes, eventually, records};
use tokio::time::{Instant, sleep};

const TOPIC: &str = "machine.telemetry";

fn config() -> ForwardConfig {
    ForwardConfig {
        id: "plant7".into(),
        topics: vec!["machine.*".to_owned()],
        records_per_second_max: None,
        bytes_per_second_max: None,
    }
}

fn start(local: &Arc<MemoryBus>, remote: &Arc<FaultyBus>, config: ForwardConfig) -> TaskHandle {
    let (local, remote) = (local.clone(), remote.clone());
    supervise(Forwarder::metrics(&config), move || {
        Forwarder::new(local.clone(), remote.clone(), config.clone())
    })
}

async fn local(partitions: i32) -> Arc<MemoryBus> {
    let local = MemoryBus::new();
    local.create_topic(&TopicSpec::new(TOPIC, partitions).config("retention.ms", "1000")).await.unwrap();
    local
}

async fn produce(local: &MemoryBus, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let record = Record::new(Some(bytes("press1")), Some(bytes(&number.to_string())), Timestamp(number));
        local.append(&TopicPartition::new(TOPIC, 0), vec![record], Acks::All).await.unwrap();
    }
}

async fn arrived(remote: &FaultyBus, count: usize) -> Vec<Record> {
    let arrived = eventually(async || {
        let all = records(&**remote.inner(), TOPIC).await;
        (all.len() >= count).then_some(all)
    });
    arrived.await
}

fn numbers(records: &[Record]) -> Vec<i64> {
    records.iter().map(|r| std::str::from_utf8(r.value.as_ref().unwrap()).unwrap().parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn records_arrive_in_order_with_key_headers_and_time_in_a_topic_like_the_local_one() {
    let (local, remote) = (local(3).await, FaultyBus::new());
    let record = Record::new(Some(bytes("k")), None, Timestamp(7)).header("missed", "3");
    local.append(&TopicPartition::new(TOPIC, 2), vec![record.clone()], Acks::All).await.unwrap();
    produce(&local, 0..100).await;
    let task = start(&local, &remote, config());
    let all = arrived(&remote, 101).await;
    assert_eq!(numbers(&all[..100]), (0..100).collect::<Vec<_>>());
    assert_eq!(all[100], record);
    let topic = remote.describe_topic(TOPIC).await.unwrap();
    assert_eq!((topic.partitions, topic.configs.get("retention.ms").map(String::as_str)), (3, Some("1000")));
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_comes_later_is_found_and_others_are_left_alone() {
    let (local, remote) = (MemoryBus::new(), FaultyBus::new());
    local.create_topic(&TopicSpec::new("private", 1)).await.unwrap();
    let task = start(&local, &remote, config());
    sleep(Duration::from_secs(30)).await;
    local.create_topic(&TopicSpec::new(TOPIC, 1)).await.unwrap();
    produce(&local, 0..3).await;
    arrived(&remote, 3).await;
    let topics: Vec<_> = remote.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(topics, vec![TOPIC.to_owned()]);
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_cut_for_a_second_ten_minutes_and_eight_hours_loses_and_doubles_nothing() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    let task = start(&local, &remote, config());
    let mut next = 0;
    for outage in [Duration::from_secs(1), Duration::from_mins(10), Duration::from_hours(8)] {
        produce(&local, next..next + 500).await;
        arrived(&remote, usize::try_from(next).unwrap() + 1).await;
        remote.away();
        produce(&local, next + 500..next + 1_000).await;
        sleep(outage).await;
        if outage > Duration::from_mins(1) {
            assert_eq!(task.metrics().lag.get(), 500, "the backlog is told while the remote is away");
        }
        remote.heal();
        next += 1_000;
        arrived(&remote, usize::try_from(next).unwrap()).await;
    }
    let all = records(&**remote.inner(), TOPIC).await;
    assert_eq!(numbers(&all), (0..next).collect::<Vec<_>>());
    eventually(async || (task.metrics().lag.get() == 0).then_some(())).await;
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_at_any_moment_neither_loses_nor_doubles() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    let paced = || ForwardConfig { records_per_second_max: Some(5_000.0), ..config() };
    for round in 0..20 {
        produce(&local, round * 1_000..(round + 1) * 1_000).await;
        let task = start(&local, &remote, paced());
        sleep(Duration::from_millis(50 * u64::try_from(round).unwrap())).await;
        task.stop().await;
    }
    let task = start(&local, &remote, config());
    let all = arrived(&remote, 20_000).await;
    assert_eq!(numbers(&all), (0..20_000).collect::<Vec<_>>());
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    let task = start(&local, &remote, config());
    for round in 0..10 {
        remote.lose_commit_answers();
        produce(&local, round * 100..round * 100 + 100).await;
        sleep(Duration::from_secs(40)).await;
        remote.heal();
    }
    let all = arrived(&remote, 1_000).await;
    assert_eq!(numbers(&all), (0..1_000).collect::<Vec<_>>());
    assert!(task.metrics().restarts.get() >= 10);
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_backlog_drains_at_the_configured_rate() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    produce(&local, 0..20_000).await;
    let began = Instant::now();
    let task = start(&local, &remote, ForwardConfig { records_per_second_max: Some(1_000.0), ..config() });
    sleep(Duration::from_secs(10)).await;
    let so_far = records(&**remote.inner(), TOPIC).await.len();
    assert!((8_000..=12_000).contains(&so_far), "{so_far} after 10 s");
    assert!(task.metrics().lag.get() > 0);
    arrived(&remote, 20_000).await;
    assert!(began.elapsed() >= Duration::from_secs(14), "{:?}", began.elapsed());
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_retention_took_before_it_was_forwarded_is_told() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    produce(&local, 0..10).await;
    let task = start(&local, &remote, config());
    arrived(&remote, 10).await;
    task.stop().await;
    produce(&local, 10..100).await;
    local.delete_records(&TopicPartition::new(TOPIC, 0), 60).await.unwrap();
    let task = start(&local, &remote, config());
    let all = arrived(&remote, 50).await;
    assert_eq!(numbers(&all), (0..10).chain(60..100).collect::<Vec<_>>());
    assert_eq!(all[10].find_header(LOST).map(|text| &text[..]), Some(&b"50"[..]));
    assert!(all.iter().filter(|record| record.find_header(LOST).is_some()).count() == 1);
    eventually(async || (task.metrics().lost.get() == 50).then_some(())).await;
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_by_the_next_record_whatever_else_goes_by_before_it() {
    let (local, remote) = (local(2).await, FaultyBus::new());
    produce(&local, 0..1).await;
    let task = start(&local, &remote, config());
    arrived(&remote, 1).await;
    task.stop().await;
    produce(&local, 1..10).await;
    local.delete_records(&TopicPartition::new(TOPIC, 0), 10).await.unwrap();
    // In one poll: an aborted record behind the gap, and a record of another partition.
    let mut producer = local.transactional("id").await.unwrap();
    let mut transaction = producer.begin().await.unwrap();
    let record = |number: &str| vec![Record::new(None, Some(bytes(number)), Timestamp(0))];
    transaction.append(&TopicPartition::new(TOPIC, 0), record("10")).await.unwrap();
    transaction.abort().await.unwrap();
    local.append(&TopicPartition::new(TOPIC, 1), record("12"), Acks::All).await.unwrap();
    let task = start(&local, &remote, config());
    arrived(&remote, 2).await;
    eventually(async || (task.metrics().lag.get() == 0).then_some(())).await;
    produce(&local, 13..14).await;
    let all = arrived(&remote, 3).await;
    let lost: Vec<_> = all.iter().map(|record| record.find_header(LOST).map(|text| &text[..])).collect();
    assert_eq!((numbers(&all), lost), (vec![0, 13, 12], vec![None, Some(&b"9"[..]), None]));
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_instance_takes_over_and_the_older_one_says_so() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    let older = start(&local, &remote, config());
    produce(&local, 0..10).await;
    arrived(&remote, 10).await;
    let newer = start(&local, &remote, config());
    produce(&local, 10..20).await;
    let mut state = older.watch();
    let wait = state.wait_for(|state| matches!(state, TaskState::Failed { .. }));
    produce(&local, 20..30).await;
    let failed = wait.await.unwrap().clone();
    assert!(
        matches!(&failed, TaskState::Failed { cause } if cause.contains("another instance")),
        "{failed:?}"
    );
    let all = arrived(&remote, 30).await;
    assert_eq!(numbers(&all), (0..30).collect::<Vec<_>>());
    older.stop().await;
    newer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_few_partitions_at_the_remote_are_told_and_nothing_is_mixed_up() {
    let (local, remote) = (local(3).await, FaultyBus::new());
    remote.create_topic(&TopicSpec::new(TOPIC, 2)).await.unwrap();
    let task = start(&local, &remote, config());
    let mut state = task.watch();
    let failed = state.wait_for(|state| matches!(state, TaskState::Failed { .. })).await.unwrap().clone();
    assert!(matches!(&failed, TaskState::Failed { cause } if cause.contains("2 partitions")), "{failed:?}");
    task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_fail_with_their_cause() {
    let (local, remote) = (local(1).await, FaultyBus::new());
    remote.fail_all(BusError::Fatal("authentication failed".to_owned()));
    let task = start(&local, &remote, config());
    let mut state = task.watch();
    let failed = TaskState::Failed { cause: "authentication failed".to_owned() };
    state.wait_for(|state| *state == failed).await.unwrap();
    remote.heal();
    produce(&local, 0..1).await;
    task.restart();
    arrived(&remote, 1).await;
    task.stop().await;
}
