//! What records ask for: layouts, keys, and everything that is refused.

use super::*;
use millstream_bus::Record;
use millstream_model::Value;
use proptest::prelude::*;

fn device(name: &str, asset: &str, topic: &str) -> SinkDevice {
    SinkDevice {
        device: name.into(),
        asset: asset.parse().unwrap(),
        topic: topic.into(),
        tags: vec!["setpoint".into(), "speed".into()],
    }
}

fn sole() -> Selector {
    let device = device("press1", "acme/press1", "setpoints");
    Selector::new(&device, std::slice::from_ref(&device))
}

fn received(key: Option<&str>, value: Option<&str>) -> ReceivedRecord {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    ReceivedRecord { offset: 17, record: Record::new(key.map(bytes), value.map(bytes), Timestamp(10_000)) }
}

fn commands(selector: &Selector, key: Option<&str>, value: Option<&str>) -> Commands {
    selector.commands(&TopicPartition::new("setpoints", 3), &received(key, value))
}

type Asked = Vec<(String, Value)>;
type Refused = Vec<(String, &'static str)>;

/// Tags and values of the requests, and tags and reasons of the refusals.
fn outcome(commands: &Commands) -> (Asked, Refused) {
    let requests = commands.requests.iter().map(|r| (r.tag.to_string(), r.value.clone()));
    let refusals = commands.refusals.iter().map(|r| (r.tag.as_deref().unwrap_or("").to_owned(), r.reason));
    (requests.collect(), refusals.collect())
}

#[test]
fn a_plain_object_without_a_schema_asks_for_its_tags() {
    let read = commands(&sole(), None, Some(r#"{"setpoint":55.5,"speed":3,"_bad":{"x":"BadTimeout"}}"#));
    let both = vec![("setpoint".to_owned(), Value::LReal(55.5)), ("speed".to_owned(), Value::Int(3))];
    assert_eq!(outcome(&read), (both, vec![]));
    let request = &read.requests[0];
    assert_eq!(&*request.id, "setpoints-3-17");
    assert_eq!(request.origin, Origin::Record { topic: "setpoints".into(), partition: 3, offset: 17 });
    assert_eq!((request.asked_at, request.expires_at), (Timestamp(10_000), None));
}

#[test]
fn names_that_sql_put_in_upper_case_are_found() {
    let read = commands(&sole(), None, Some(r#"{"SETPOINT":55.5,"EXPIRES":250}"#));
    assert_eq!(outcome(&read), (vec![("setpoint".to_owned(), Value::LReal(55.5))], vec![]));
    assert_eq!(read.requests[0].expires_at, Some(Timestamp(10_250)));
    let mut alike = device("press1", "acme/press1", "setpoints");
    alike.tags.push("Speed".into());
    let selector = Selector::new(&alike, std::slice::from_ref(&alike));
    let unclear = commands(&selector, None, Some(r#"{"SPEED":3}"#));
    assert_eq!(outcome(&unclear), (vec![], vec![("SPEED".to_owned(), code::NOT_ALLOWED)]));
}

#[test]
fn a_tag_record_asks_for_the_tag_in_its_key() {
    let value = Some(r#"{"timestamp_ms":9000,"value":42}"#);
    for key in ["acme/press1/setpoint", "anything/setpoint", "setpoint"] {
        let read = commands(&sole(), Some(key), value);
        assert_eq!(outcome(&read), (vec![("setpoint".to_owned(), Value::Int(42))], vec![]), "{key}");
        assert_eq!(read.requests[0].asked_at, Timestamp(9_000), "the older time counts");
    }
    let bare = commands(&sole(), Some("acme/press1/setpoint"), Some("7"));
    assert_eq!(outcome(&bare).0, vec![("setpoint".to_owned(), Value::Int(7))]);
    let unknown = commands(&sole(), Some("acme/press1/valve"), value);
    assert_eq!(outcome(&unknown), (vec![], vec![("valve".to_owned(), code::NOT_ALLOWED)]));
}

#[test]
fn plc4x_records_ask_with_and_without_schema() {
    let payload = r#"{"tags":{"setpoint":5,"speed":null},"timestamp":9500,"expires":1000}"#;
    let with_schema = format!(r#"{{"schema":{{"type":"struct"}},"payload":{payload}}}"#);
    for value in [payload, &with_schema] {
        let read = commands(&sole(), Some(r#"{"sourceName":"a","jobName":"b"}"#), Some(value));
        assert_eq!(outcome(&read), (vec![("setpoint".to_owned(), Value::Int(5))], vec![]));
        assert_eq!(read.requests[0].expires_at, Some(Timestamp(10_500)));
        assert_eq!(read.requests[0].asked_at, Timestamp(9_500));
    }
}

#[test]
fn commands_expire_by_member_or_header() {
    let read = commands(&sole(), None, Some(r#"{"setpoint":5,"expires":250}"#));
    assert_eq!(read.requests[0].expires_at, Some(Timestamp(10_250)));
    assert!(read.refusals.is_empty());
    let mut record = received(None, Some(r#"{"setpoint":5}"#));
    record.record = record.record.header("expires", "500");
    let read = sole().commands(&TopicPartition::new("setpoints", 0), &record);
    assert_eq!(read.requests[0].expires_at, Some(Timestamp(10_500)));
    let mut record = received(None, Some(r#"{"setpoint":5}"#));
    record.record = record.record.header("expires", "soon");
    let read = sole().commands(&TopicPartition::new("setpoints", 0), &record);
    assert_eq!(outcome(&read).1, vec![(String::new(), MALFORMED)]);
}

#[test]
fn what_is_wrong_is_refused_one_by_one_and_the_rest_goes_on() {
    let read = commands(&sole(), None, Some(r#"{"setpoint":{"a":1},"valve":1,"speed":3}"#));
    assert_eq!(
        outcome(&read),
        (
            vec![("speed".to_owned(), Value::Int(3))],
            vec![("setpoint".to_owned(), code::WRONG_TYPE), ("valve".to_owned(), code::NOT_ALLOWED)]
        )
    );
    for (value, reason) in [
        (None, TOMBSTONE),
        (Some(""), MALFORMED),
        (Some("{"), MALFORMED),
        (Some("[1,2]"), MALFORMED),
        (Some("hello"), MALFORMED),
        (Some(r#"{"tags":{"setpoint":1},"timestamp":"noon"}"#), MALFORMED),
        (Some(r#"{"setpoint":5,"expires":"soon"}"#), MALFORMED),
    ] {
        let read = commands(&sole(), None, value);
        assert_eq!(outcome(&read), (vec![], vec![(String::new(), reason)]), "{value:?}");
        assert_eq!(read.refusals[0].raw.is_some(), value.is_some());
    }
}

#[test]
fn devices_that_share_a_topic_are_told_apart_by_the_key() {
    let line = device("line", "acme/line", "setpoints");
    let press = device("press", "acme/line/press", "setpoints");
    let elsewhere = device("oven", "acme/oven", "oven.setpoints");
    let all = [line.clone(), press.clone(), elsewhere];
    let (line, press) = (Selector::new(&line, &all), Selector::new(&press, &all));
    let value = Some(r#"{"setpoint":1}"#);
    let asks = |selector: &Selector, key| !commands(selector, key, value).requests.is_empty();
    assert!(asks(&line, Some("acme/line")) && !asks(&press, Some("acme/line")));
    assert!(!asks(&line, Some("acme/line/press")) && asks(&press, Some("acme/line/press")));
    let tag = Some(r#"{"value":1}"#);
    assert_eq!(commands(&press, Some("acme/line/press/speed"), tag).requests.len(), 1);
    assert_eq!(commands(&line, Some("acme/line/press/speed"), tag), Commands::default());
    for key in [None, Some("acme/lines"), Some("other")] {
        let refusals: Vec<_> =
            [&line, &press].iter().flat_map(|selector| commands(selector, key, value).refusals).collect();
        assert_eq!(refusals.len(), 1, "exactly one device answers for {key:?}");
        assert_eq!(refusals[0].reason, NO_DEVICE);
    }
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_vanishes(
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let record = Record::new(key.map(Bytes::from), value.map(Bytes::from), Timestamp(0));
        let received = ReceivedRecord { offset: 0, record };
        let read = sole().commands(&TopicPartition::new("setpoints", 0), &received);
        let is_empty_object = received.record.value.as_deref().is_some_and(|value| json::parse(value).is_ok());
        prop_assert!(is_empty_object || !read.refusals.is_empty());
    }

    #[test]
    fn every_value_of_every_member_is_asked_for_or_refused(
        values in prop::collection::btree_map("[a-z]{1,8}", -1_000_i64..1_000, 0..10),
        setpoint in any::<i64>(),
    ) {
        let mut object: serde_json::Map<String, Json> =
            values.into_iter().map(|(name, value)| (name, value.into())).collect();
        object.remove("expires");
        object.insert("setpoint".to_owned(), setpoint.into());
        let count = object.len();
        let read = commands(&sole(), None, Some(&Json::Object(object).to_string()));
        prop_assert_eq!(read.requests.len() + read.refusals.len(), count);
        prop_assert!(read.requests.iter().any(|request| request.value == Value::Int(setpoint)));
    }
}
