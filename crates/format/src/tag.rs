//! The Tag layout: one value per record, the payload of the United Manufacturing Hub. See DESIGN, "Records".
//!
//! `{"timestamp_ms":1732170000123,"value":71.25}`; the quality stands in the record header [`QUALITY`].

use crate::json::{kind, parse, to_value, write_int, write_value};
use crate::{FormatError, row};
use millstream_model::{Cell, Timestamp, Value};
use serde_json::Value as Json;

/// The record header with the quality: `Good`, or the name of the status.
pub const QUALITY: &str = "quality";

/// Appends the payload of one cell. A cell without a value has `null`.
pub fn encode(out: &mut Vec<u8>, read_at: Timestamp, cell: &Cell) {
    out.extend_from_slice(b"{\"timestamp_ms\":");
    write_int(out, read_at.as_millis());
    out.extend_from_slice(b",\"value\":");
    match cell.value() {
        Some(value) => {
            write_value(out, value);
        }
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// The text of the [`QUALITY`] header for a cell.
pub fn quality(cell: &Cell) -> &'static str {
    row::status(cell).map_or("Good", millstream_model::Status::name)
}

/// A payload that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct TagPayload {
    /// When the value was taken, where the payload says so.
    pub timestamp: Option<Timestamp>,
    /// The value; `None` for `null`.
    pub value: Option<Value>,
}

/// Reads a payload. A bare value without an object around it is one as well.
pub fn decode(text: &[u8]) -> Result<TagPayload, FormatError> {
    payload(&parse(text)?)
}

/// The payload in a JSON text that was read already.
pub fn payload(json: &Json) -> Result<TagPayload, FormatError> {
    let Json::Object(members) = json else {
        return Ok(TagPayload { timestamp: None, value: to_value(json)? });
    };
    let value = members.get("value").ok_or(FormatError::Unexpected {
        expected: "an object with a `value`",
        found: "an object without",
    })?;
    let timestamp = match members.get("timestamp_ms") {
        None | Some(Json::Null) => None,
        Some(stamp) => Some(stamp.as_i64().map(Timestamp).ok_or(FormatError::Unexpected {
            expected: "`timestamp_ms` in whole milliseconds",
            found: kind(stamp),
        })?),
    };
    Ok(TagPayload { timestamp, value: to_value(value)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_model::Status;
    use proptest::prelude::*;

    #[test]
    fn the_payload_is_exactly_that_of_the_united_manufacturing_hub() {
        let mut out = Vec::new();
        encode(&mut out, Timestamp(1_732_170_000_123), &Cell::Good(Value::Real(71.25)));
        assert_eq!(out, br#"{"timestamp_ms":1732170000123,"value":71.25}"#);
    }

    #[test]
    fn a_bad_cell_is_null_and_its_quality_stands_in_the_header() {
        let cell = Cell::Bad(Status::BadNodeIdUnknown);
        let mut out = Vec::new();
        encode(&mut out, Timestamp(5), &cell);
        assert_eq!(out, br#"{"timestamp_ms":5,"value":null}"#);
        assert_eq!(quality(&cell), "BadNodeIdUnknown");
        assert_eq!(quality(&Cell::Good(Value::Real(f32::NAN))), "BadOutOfRange");
        assert_eq!(quality(&Cell::Good(Value::Real(1.0))), "Good");
    }

    #[test]
    fn bare_values_are_payloads_and_other_objects_are_not() {
        assert_eq!(decode(b"42"), Ok(TagPayload { timestamp: None, value: Some(Value::Int(42)) }));
        assert!(decode(br#"{"temperature":3}"#).is_err());
        assert!(decode(br#"{"timestamp_ms":"now","value":3}"#).is_err());
    }

    proptest! {
        #[test]
        fn every_payload_reads_back(at in any::<i64>(), value in any::<i64>()) {
            let mut out = Vec::new();
            encode(&mut out, Timestamp(at), &Cell::Good(Value::Int(value)));
            prop_assert_eq!(
                decode(&out),
                Ok(TagPayload { timestamp: Some(Timestamp(at)), value: Some(Value::Int(value)) })
            );
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
