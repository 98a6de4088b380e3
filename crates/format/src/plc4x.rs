//! Records of Apache PLC4X's Kafka connector, as Connect's `JsonConverter` writes them.
//!
//! Key `{"sourceName":…,"jobName":…}`, value `{"tags":{…},"timestamp":…,"expires":…}`; with `schemas.enable` both stand under
//! `payload` beside their `schema`. Connectors before 0.11 said `fields` for `tags`; both are read, `tags` is written.

use crate::FormatError;
use crate::json::{self, kind, write_int, write_string};
use crate::row::{Member, RowEncoder, members};
use millstream_model::{Cell, DataType, TagType, Timestamp};
use serde_json::Value as Json;
use std::borrow::Cow;

/// Writes keys and values of one job of one source.
#[derive(Debug, Clone)]
pub struct Plc4xEncoder {
    key: Box<[u8]>,
    /// Everything before the object of values.
    head: Box<[u8]>,
    /// Everything after `expires`.
    tail: &'static [u8],
    values: RowEncoder,
}

impl Plc4xEncoder {
    /// An encoder for records of `job` of `source`; `schemas` says for key and value whether the schema goes with every
    /// record (`key.converter.schemas.enable`, `value.converter.schemas.enable`). A tag without a type is a `double`.
    pub fn new<'a>(
        source: &str,
        job: &str,
        tags: impl IntoIterator<Item = (&'a str, Option<TagType>)>,
        schemas: (bool, bool),
    ) -> Self {
        let tags: Vec<_> = tags.into_iter().collect();
        let mut head = Vec::new();
        if schemas.1 {
            head.extend_from_slice(b"{\"schema\":");
            write_value_schema(&mut head, &tags);
            head.extend_from_slice(b",\"payload\":");
        }
        head.extend_from_slice(b"{\"tags\":");
        Self {
            key: key(source, job, schemas.0).into(),
            head: head.into(),
            tail: if schemas.1 { b"}}" } else { b"}" },
            values: RowEncoder::new(tags.iter().map(|(name, _)| *name)),
        }
    }

    /// The key of every record.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Appends one value and says whether all cells were good. Cells without a value are `null`; what they suffer from has no
    /// place in this layout, [`Plc4xEncoder::encode_statuses`] writes it for a header.
    pub fn encode<'a>(
        &self,
        out: &mut Vec<u8>,
        read_at: Timestamp,
        cell: impl Fn(usize) -> Cow<'a, Cell>,
    ) -> bool {
        out.extend_from_slice(&self.head);
        let all_good = self.values.encode_values(out, cell);
        out.extend_from_slice(b",\"timestamp\":");
        write_int(out, read_at.as_millis());
        out.extend_from_slice(b",\"expires\":null");
        out.extend_from_slice(self.tail);
        all_good
    }

    /// Appends the statuses of all cells that are not good: `{"speed":"BadTimeout"}`.
    pub fn encode_statuses<'a>(&self, out: &mut Vec<u8>, cell: impl Fn(usize) -> Cow<'a, Cell>) {
        self.values.encode_statuses(out, cell);
    }
}

fn key(source: &str, job: &str, with_schema: bool) -> Vec<u8> {
    let mut key = Vec::new();
    if with_schema {
        key.extend_from_slice(
            br#"{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"sourceName"},{"type":"string","optional":false,"field":"jobName"}],"optional":false},"payload":"#,
        );
    }
    key.extend_from_slice(b"{\"sourceName\":");
    write_string(&mut key, source);
    key.extend_from_slice(b",\"jobName\":");
    write_string(&mut key, job);
    key.extend_from_slice(if with_schema { b"}}" } else { b"}" });
    key
}

fn write_value_schema(out: &mut Vec<u8>, tags: &[(&str, Option<TagType>)]) {
    out.extend_from_slice(br#"{"type":"struct","fields":[{"type":"struct","fields":["#);
    for (index, (name, tag_type)) in tags.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let name_of_type = tag_type.map_or("double", |t| connect_type(t.data_type));
        if tag_type.is_some_and(|t| t.count.is_some()) {
            out.extend_from_slice(br#"{"type":"array","items":{"type":""#);
            out.extend_from_slice(name_of_type.as_bytes());
            out.extend_from_slice(br#"","optional":true}"#);
        } else {
            out.extend_from_slice(br#"{"type":""#);
            out.extend_from_slice(name_of_type.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(br#","optional":true,"field":"#);
        write_string(out, name);
        out.push(b'}');
    }
    out.extend_from_slice(
        br#"],"optional":false,"name":"org.apache.plc4x.kafka.schema.Tag","field":"tags"},{"type":"int64","optional":false,"field":"timestamp"},{"type":"int64","optional":true,"field":"expires"}],"optional":false,"name":"org.apache.plc4x.kafka.schema.JobResult"}"#,
    );
}

/// The Connect type that holds a PLC4X value of `data_type`: the smallest Java integer that has room for it.
fn connect_type(data_type: DataType) -> &'static str {
    use DataType as T;
    match data_type {
        T::Bool => "boolean",
        T::SInt => "int8",
        T::USInt | T::Byte | T::Int => "int16",
        T::UInt | T::Word | T::DInt => "int32",
        T::UDInt | T::DWord | T::LInt | T::ULInt | T::LWord => "int64",
        T::Real => "float",
        T::LReal => "double",
        T::Raw => "bytes",
        // Texts; dates and times are written in ISO 8601 form, which no type of Connect's has.
        _ => "string",
    }
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Plc4xRecord {
    /// The tags' values.
    pub tags: Vec<Member>,
    /// When they were taken or asked for.
    pub timestamp: Option<Timestamp>,
    /// How long after `timestamp` they hold, in milliseconds; 0 and `null` are for ever.
    pub expires_ms: Option<i64>,
}

/// What stands inside the `schema`/`payload` envelope of Connect's `JsonConverter`, or the text itself where there is none.
pub fn unwrap_envelope(json: &Json) -> &Json {
    match json {
        Json::Object(members) if members.len() == 2 && members.contains_key("schema") => {
            members.get("payload").unwrap_or(json)
        }
        _ => json,
    }
}

/// Reads a record. `None` where the JSON is something else (it has no object `tags` or `fields`).
pub fn record(json: &Json) -> Option<Result<Plc4xRecord, FormatError>> {
    let object = unwrap_envelope(json).as_object()?;
    let tags =
        ["tags", "fields"].iter().find_map(|name| object.get(*name).filter(|tags| tags.is_object()))?;
    let whole = |name: &str| match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(FormatError::Unexpected {
            expected: "`timestamp` and `expires` in whole milliseconds",
            found: kind(value),
        }),
    };
    let read = || {
        Ok(Plc4xRecord {
            tags: members(tags)?,
            timestamp: whole("timestamp")?.map(Timestamp),
            expires_ms: whole("expires")?.filter(|expires_ms| *expires_ms != 0),
        })
    };
    Some(read())
}

/// Reads the value of a record from bytes.
pub fn decode(text: &[u8]) -> Result<Plc4xRecord, FormatError> {
    record(&json::parse(text)?).unwrap_or(Err(FormatError::Unexpected {
        expected: "an object with `tags`",
        found: "something else",
    }))
}

#[cfg(test)]
#[path = "plc4x_tests.rs"]
mod tests;
