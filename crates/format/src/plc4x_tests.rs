//! PLC4X records as they are written and read.

use super::*;
use millstream_model::{Status, Value};
use proptest::prelude::*;

const TAGS: [(&str, Option<TagType>); 3] = [
    ("temperature", Some(TagType::scalar(DataType::Real))),
    ("running", Some(TagType::scalar(DataType::Bool))),
    ("counts", Some(TagType { data_type: DataType::UInt, count: Some(2) })),
];

fn encoded(schemas: bool, cells: &[Cell]) -> String {
    let encoder = Plc4xEncoder::new("machineA", "dashboard", TAGS, (schemas, schemas));
    let mut out = Vec::new();
    encoder.encode(&mut out, Timestamp(1_606_047_842_350), |index| Cow::Borrowed(&cells[index]));
    String::from_utf8(out).unwrap()
}

fn cells() -> [Cell; 3] {
    [
        Cell::Good(Value::Real(71.25)),
        Cell::Bad(Status::BadTimeout),
        Cell::Good(Value::List(vec![Value::UInt(1), Value::UInt(2)])),
    ]
}

#[test]
fn without_schemas_key_and_value_are_plain_objects() {
    let encoder = Plc4xEncoder::new("machineA", "dashboard", TAGS, (false, false));
    assert_eq!(encoder.key(), br#"{"sourceName":"machineA","jobName":"dashboard"}"#);
    assert_eq!(
        encoded(false, &cells()),
        r#"{"tags":{"temperature":71.25,"running":null,"counts":[1,2]},"timestamp":1606047842350,"expires":null}"#
    );
}

#[test]
fn with_schemas_every_member_has_the_type_that_the_connector_gives_it() {
    let json = json::parse(encoded(true, &cells()).as_bytes()).unwrap();
    assert_eq!(json["schema"]["name"], "org.apache.plc4x.kafka.schema.JobResult");
    let fields = &json["schema"]["fields"][0]["fields"];
    assert_eq!(fields[0]["type"], "float");
    assert_eq!(fields[1]["type"], "boolean");
    assert_eq!((&fields[2]["type"], &fields[2]["items"]["type"]), (&"array".into(), &"int32".into()));
    assert!((0..3).all(|index| fields[index]["optional"] == true));
    assert_eq!(json["payload"]["tags"]["temperature"], 71.25);
    let key = json::parse(Plc4xEncoder::new("a\"b", "c", TAGS, (true, true)).key()).unwrap();
    assert_eq!(key["payload"]["sourceName"], "a\"b");
}

#[test]
fn the_statuses_of_bad_tags_are_told_apart() {
    let encoder = Plc4xEncoder::new("machineA", "dashboard", TAGS, (false, false));
    let (mut value, mut statuses, cells) = (Vec::new(), Vec::new(), cells());
    let cell = |index: usize| Cow::Borrowed(&cells[index]);
    assert!(!encoder.encode(&mut value, Timestamp(0), cell));
    encoder.encode_statuses(&mut statuses, cell);
    assert_eq!(statuses, br#"{"running":"BadTimeout"}"#);
}

#[test]
fn records_read_back_with_and_without_schema() {
    for schemas in [false, true] {
        let record = decode(encoded(schemas, &cells()).as_bytes()).unwrap();
        assert_eq!(record.timestamp, Some(Timestamp(1_606_047_842_350)));
        assert_eq!(record.expires_ms, None);
        assert_eq!(record.tags[0], ("temperature".to_owned(), Ok(Some(Value::LReal(71.25)))));
        assert_eq!(record.tags[1].1, Ok(None));
    }
}

#[test]
fn older_connectors_say_fields() {
    let record = decode(br#"{"fields":{"running":true},"timestamp":5,"expires":100}"#).unwrap();
    assert_eq!(record.tags, vec![("running".to_owned(), Ok(Some(Value::Bool(true))))]);
    assert_eq!(record.expires_ms, Some(100));
    assert_eq!(decode(br#"{"tags":{},"timestamp":5,"expires":0}"#).unwrap().expires_ms, None);
}

#[test]
fn what_is_no_record_is_said_to_be_none() {
    assert!(record(&json::parse(br#"{"temperature":3}"#).unwrap()).is_none());
    assert!(record(&json::parse(br#"{"tags":7}"#).unwrap()).is_none());
    assert!(decode(br#"{"tags":{},"timestamp":"noon"}"#).is_err());
}

proptest! {
    #[test]
    fn every_record_reads_back(
        at in any::<i64>(),
        values in prop::collection::vec(prop::option::of(any::<i64>()), 0..10),
        schemas in any::<(bool, bool)>(),
    ) {
        let names: Vec<String> = (0..values.len()).map(|index| format!("tag|{index}#")).collect();
        let tags = names.iter().map(|name| (name.as_str(), None));
        let encoder = Plc4xEncoder::new("s", "j", tags, schemas);
        let mut out = Vec::new();
        encoder.encode(&mut out, Timestamp(at), |index| {
            Cow::Owned(values[index].map_or(Cell::Bad(Status::BadTimeout), |v| Cell::Good(Value::Int(v))))
        });
        let record = decode(&out).unwrap();
        prop_assert_eq!(record.timestamp, Some(Timestamp(at)));
        let read: Vec<_> = record.tags.into_iter().map(|(_, value)| value.unwrap()).collect();
        let written: Vec<_> = values.into_iter().map(|value| value.map(Value::Int)).collect();
        prop_assert_eq!(read, written);
        prop_assert!(json::parse(encoder.key()).is_ok());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}
