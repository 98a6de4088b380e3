//! A record as JSON, the same for the API and for `millstream topic tail`.

use millstream_bus::{Acks, Bus, BusError, Header, Record, TopicPartition, partition_for_key};
use millstream_model::{Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A record on its way out.
///
/// Key and value are text, or the JSON itself where the bytes are a JSON object or array; bytes that are no UTF-8 are
/// `{"hex":"…"}`. A name that several headers share has the last one's value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordJson {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The record's time, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The key; `null` where there is none.
    pub key: Option<Box<RawValue>>,
    /// The value; `null` for a tombstone.
    pub value: Option<Box<RawValue>>,
    /// The headers.
    pub headers: BTreeMap<String, Option<Box<RawValue>>>,
}

impl RecordJson {
    /// The record at `offset` of a partition.
    pub fn new(topic: &str, partition: i32, offset: i64, record: &Record) -> Self {
        let json = |bytes: &Option<bytes::Bytes>| bytes.as_deref().and_then(bytes_json);
        Self {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp_ms: record.timestamp.as_millis(),
            key: json(&record.key),
            value: json(&record.value),
            headers: record.headers.iter().map(|h| (h.name.to_string(), json(&h.value))).collect(),
        }
    }
}

fn bytes_json(bytes: &[u8]) -> Option<Box<RawValue>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let hex = Value::Bytes(bytes.into()).to_string();
        return to_raw_value(&BTreeMap::from([("hex", hex)])).ok();
    };
    let raw = is_json_line(text).then(|| RawValue::from_string(text.to_owned()).ok()).flatten();
    raw.or_else(|| to_raw_value(text).ok())
}

/// Whether `text` can stand as it is in a line of JSON.
fn is_json_line(text: &str) -> bool {
    text.starts_with(['{', '[']) && !text.contains(['\n', '\r'])
}

/// A record on its way in. Key and value are text, or JSON that is written as it stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// The key.
    #[serde(default)]
    pub key: Option<Box<RawValue>>,
    /// The value; absent or `null` for a tombstone.
    #[serde(default)]
    pub value: Option<Box<RawValue>>,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The partition; by the key where it is not given.
    #[serde(default)]
    pub partition: Option<i32>,
    /// The record's time in milliseconds since the epoch; now where it is not given.
    #[serde(default)]
    pub timestamp_ms: Option<i64>,
}

impl NewRecord {
    /// The record, stamped `now` where it brings no time.
    pub fn into_record(self, now: Timestamp) -> Record {
        let bytes = |json: Box<RawValue>| plain(Some(&json)).into_owned().into_bytes().into();
        Record {
            key: self.key.map(bytes),
            value: self.value.map(bytes),
            headers: self
                .headers
                .into_iter()
                .map(|(name, value)| Header { name: name.into(), value: Some(value.into_bytes().into()) })
                .collect(),
            timestamp: self.timestamp_ms.map_or(now, Timestamp),
        }
    }
}

/// Where a produced record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Appends records to `topic`, one batch per partition, and says where each went once all are on disk.
pub async fn append(
    bus: &dyn Bus,
    topic: &str,
    records: Vec<NewRecord>,
    now: Timestamp,
) -> Result<Vec<Produced>, BusError> {
    let partitions = bus.describe_topic(topic).await?.partitions;
    let mut batches: BTreeMap<i32, (Vec<usize>, Vec<Record>)> = BTreeMap::new();
    let mut produced = vec![Produced { partition: 0, offset: -1 }; records.len()];
    for (index, new) in records.into_iter().enumerate() {
        let given = new.partition;
        let record = new.into_record(now);
        let partition = given.unwrap_or_else(|| partition_for_key(record.key.as_deref(), partitions));
        let (indexes, batch) = batches.entry(partition).or_default();
        indexes.push(index);
        batch.push(record);
    }
    let topic: Arc<str> = topic.into();
    for (partition, (indexes, batch)) in batches {
        let first = bus.append(&TopicPartition::new(topic.clone(), partition), batch, Acks::All).await?;
        for (index, offset) in indexes.into_iter().zip(first..) {
            produced[index] = Produced { partition, offset };
        }
    }
    Ok(produced)
}

/// A raw JSON as a person reads it: text without its quotes.
pub fn plain(json: Option<&RawValue>) -> Cow<'_, str> {
    match json.map(RawValue::get) {
        None => Cow::Borrowed("null"),
        Some(text) if text.starts_with('"') => {
            serde_json::from_str::<String>(text).map_or(Cow::Borrowed(text), Cow::Owned)
        }
        Some(text) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn shown(value: &'static [u8]) -> String {
        let record = Record::new(Some("acme/press".into()), Some(Bytes::from_static(value)), Timestamp(5));
        serde_json::to_string(&RecordJson::new("t", 0, 7, &record).value).unwrap()
    }

    #[test]
    fn json_stays_as_it_was_written_and_everything_else_becomes_text() {
        assert_eq!(shown(br#"{"v":71.250}"#), r#"{"v":71.250}"#);
        assert_eq!(shown(b"{\"v\":\n1}"), r#""{\"v\":\n1}""#);
        assert_eq!(shown(b"{broken"), r#""{broken""#);
        assert_eq!(shown(b"71.5"), r#""71.5""#);
        assert_eq!(shown(b"\xff\x00"), r#"{"hex":"ff00"}"#);
    }

    #[test]
    fn what_goes_in_comes_out() {
        let new: NewRecord =
            serde_json::from_str(r#"{"key":"k","value":{"a":1},"headers":{"h":"x"}}"#).unwrap();
        let record = new.into_record(Timestamp(9));
        assert_eq!(record.value.as_deref(), Some(br#"{"a":1}"#.as_slice()));
        let json = serde_json::to_string(&RecordJson::new("t", 1, 2, &record)).unwrap();
        assert_eq!(
            json,
            r#"{"topic":"t","partition":1,"offset":2,"timestamp_ms":9,"key":"k","value":{"a":1},"headers":{"h":"x"}}"#
        );
    }
}
