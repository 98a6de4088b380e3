//! The newest command of each tag, in simulated time.

use super::*;
use millstream_driver::TagSpec;
use millstream_model::{DataType, TagType, Value};
use tokio::time::advance;

const TOPIC: &str = "press1.setpoints";

fn rule(tag: &str, min_interval: Option<Duration>) -> WriteRule {
    let spec = TagSpec::new(tag, "holding-register:1:INT");
    WriteRule { min_interval, ..WriteRule::new(spec, TagType::scalar(DataType::Int)) }
}

fn request(tag: &str, offset: i64) -> WriteRequest {
    WriteRequest {
        id: format!("{TOPIC}-0-{offset}").into(),
        origin: Origin::Record { topic: TOPIC.into(), partition: 0, offset },
        tag: tag.into(),
        value: Value::Int(offset),
        asked_at: Timestamp(1_000),
        expires_at: None,
    }
}

fn report(request: &WriteRequest, verdict: Verdict) -> WriteReport {
    WriteReport { request: request.clone(), verdict, old: None, at: Timestamp(1_000) }
}

fn refused(request: &WriteRequest, code: &'static str) -> WriteReport {
    report(request, Verdict::Refused { code, message: String::new() })
}

fn offsets(requests: &[WriteRequest]) -> Vec<Value> {
    requests.iter().map(|request| request.value.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_of_each_tag_waits_and_goes_in_its_turn_and_the_older_ones_come_back() {
    let mut slots = Slots::new(&[rule("a", None), rule("b", None)]);
    assert_eq!(slots.put(request("a", 1)), None);
    assert_eq!(slots.put(request("b", 2)), None);
    assert_eq!(slots.put(request("a", 3)).unwrap().value, Value::Int(1));
    let (due, too_old) = slots.take_due(Timestamp(1_000), true);
    assert_eq!((offsets(&due), too_old.len()), (vec![Value::Int(2), Value::Int(3)], 0));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_settled_up_to_the_first_open_command() {
    let at = TopicPartition::new(TOPIC, 0);
    let mut slots = Slots::new(&[rule("a", None), rule("b", None)]);
    slots.put(request("a", 1));
    slots.put(request("b", 1));
    slots.put(request("a", 2));
    assert_eq!(slots.first_unsettled(&at), Some(1));
    let (due, _) = slots.take_due(Timestamp(1_000), true);
    let written = |request: &WriteRequest| report(request, Verdict::Written { verified: false });
    let b = due.iter().find(|request| &*request.tag == "b").unwrap();
    assert!(slots.settled(b.clone(), Some(&written(b))));
    assert_eq!(slots.first_unsettled(&at), Some(2));
    let a = due.iter().find(|request| &*request.tag == "a").unwrap();
    assert!(slots.settled(a.clone(), Some(&written(a))));
    assert_eq!(slots.first_unsettled(&at), None);
}

#[tokio::test(start_paused = true)]
async fn a_tag_with_a_least_interval_writes_the_first_of_a_burst_and_then_the_newest() {
    let interval = Duration::from_secs(1);
    let mut slots = Slots::new(&[rule("a", Some(interval))]);
    slots.put(request("a", 0));
    let (first, _) = slots.take_due(Timestamp(1_000), true);
    for offset in 1..100 {
        slots.put(request("a", offset));
    }
    assert!(slots.take_due(Timestamp(1_000), true).0.is_empty(), "the first is under way");
    slots.settled(first[0].clone(), Some(&report(&first[0], Verdict::Written { verified: false })));
    assert!(slots.take_due(Timestamp(1_000), true).0.is_empty(), "too soon");
    assert_eq!(slots.next_due(), Some(Instant::now() + interval));
    advance(interval).await;
    assert_eq!(offsets(&slots.take_due(Timestamp(1_000), true).0), vec![Value::Int(99)]);
}

#[tokio::test(start_paused = true)]
async fn while_the_device_is_away_newer_commands_go_at_once_so_that_it_keeps_the_newest() {
    let mut slots = Slots::new(&[rule("a", Some(Duration::from_secs(1)))]);
    slots.put(request("a", 0));
    assert_eq!(slots.take_due(Timestamp(1_000), false).0.len(), 1);
    slots.put(request("a", 1));
    assert_eq!(slots.take_due(Timestamp(1_000), false).0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_soon_and_busy_are_offered_again_unless_something_newer_waits() {
    let at = TopicPartition::new(TOPIC, 0);
    let mut slots = Slots::new(&[rule("a", Some(Duration::from_secs(1)))]);
    slots.put(request("a", 5));
    let taken = slots.take_due(Timestamp(1_000), true).0.remove(0);
    assert!(!slots.settled(taken.clone(), Some(&refused(&taken, code::TOO_SOON))));
    assert_eq!(slots.first_unsettled(&at), Some(5), "its offset is not committed");
    advance(Duration::from_secs(1)).await;
    let again = slots.take_due(Timestamp(1_000), true).0.remove(0);
    assert_eq!(&*again.id, "press1.setpoints-0-5~2");
    slots.put(request("a", 6));
    assert!(slots.settled(again.clone(), Some(&refused(&again, code::TOO_SOON))), "a newer one waits");
    advance(Duration::from_secs(1)).await;
    let newer = slots.take_due(Timestamp(1_000), true).0.remove(0);
    assert!(!slots.settled(newer.clone(), Some(&refused(&newer, code::BUSY))));
    advance(BUSY_PAUSE).await;
    assert_eq!(slots.take_due(Timestamp(1_000), true).0[0].id, newer.id);
    assert_eq!(slots.first_unsettled(&at), Some(6));
}

#[tokio::test(start_paused = true)]
async fn what_waits_longer_than_its_age_limit_is_given_back() {
    let mut slots = Slots::new(&[rule("a", Some(Duration::from_secs(1)))]);
    slots.put(request("a", 0));
    let first = slots.take_due(Timestamp(1_000), true).0.remove(0);
    slots.put(request("a", 1));
    let late = Timestamp(1_000).plus(millstream_driver::limits::MAX_AGE + Duration::from_millis(1));
    let (due, too_old) = slots.take_due(late, true);
    assert_eq!((due.len(), offsets(&too_old)), (0, vec![Value::Int(1)]));
    assert_eq!(slots.first_unsettled(&TopicPartition::new(TOPIC, 0)), Some(0));
    slots.settled(first, None);
    assert_eq!(slots.first_unsettled(&TopicPartition::new(TOPIC, 0)), None);
}
