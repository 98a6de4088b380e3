//! Values as people type and read them.

use millstream_format::json;
use millstream_model::{Cell, TagType, Value};
use serde_json::value::RawValue;

/// A value as JSON.
pub(crate) fn to_json(value: &Value) -> Box<RawValue> {
    let mut text = Vec::new();
    json::write_value(&mut text, value);
    let text = String::from_utf8(text).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A value as JSON in memory. A `REAL` is the number that its shortest decimal says.
pub(crate) fn to_json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::LReal(value) => (*value).into(),
        Value::Text(text) => (**text).into(),
        Value::Real(_) | Value::Bytes(_) | Value::List(_) => {
            serde_json::from_str(to_json(value).get()).unwrap_or_default()
        }
    }
}

/// A cell's value for a table.
pub(crate) fn shown(cell: &Cell) -> String {
    cell.value().map_or_else(|| "–".to_owned(), Value::to_string)
}

/// A cell's quality: `Good`, or the status.
pub(crate) fn quality(cell: &Cell) -> &'static str {
    cell.status().map_or("Good", millstream_model::Status::name)
}

/// What `text` means for a tag of this type. `Err` says what was expected.
pub(crate) fn parse(text: &str, tag_type: TagType) -> Result<Value, String> {
    if tag_type.count.is_none() && tag_type.data_type.is_text() {
        return Ok(Value::Text(text.into()));
    }
    let parsed = json::parse(text.as_bytes()).and_then(|json| json::to_value(&json));
    match parsed {
        Ok(Some(value)) => Ok(value),
        _ if tag_type.count.is_some() => Err(format!("an array of {tag_type}, for example [1,2,3]")),
        _ if tag_type.data_type.is_numeric() => Err(format!("a number ({tag_type})")),
        _ if tag_type.data_type == millstream_model::DataType::Bool => Err("`true` or `false`".to_owned()),
        // Dates, times and raw bytes are texts.
        _ => Ok(Value::Text(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_model::DataType;

    #[test]
    fn what_is_typed_is_read_by_the_tags_type() {
        let read = |text, data_type| parse(text, TagType::scalar(data_type));
        assert_eq!(read("42", DataType::Int), Ok(Value::Int(42)));
        assert_eq!(read("42.5", DataType::Real), Ok(Value::LReal(42.5)));
        assert_eq!(read("true", DataType::Bool), Ok(Value::Bool(true)));
        assert_eq!(read("42", DataType::String), Ok(Value::Text("42".into())));
        assert_eq!(read("on", DataType::Bool), Err("`true` or `false`".into()));
        assert_eq!(read("warm", DataType::Real), Err("a number (REAL)".into()));
        let three = TagType { data_type: DataType::Int, count: Some(3) };
        assert_eq!(
            parse("[1,2,3]", three),
            Ok(Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)]))
        );
        assert!(parse("1,2,3", three).is_err());
    }

    #[test]
    fn both_forms_of_json_say_the_same() {
        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        let text = Value::Text("a \"b\"".into());
        for value in [
            Value::Bool(true),
            Value::Int(-3),
            Value::UInt(7),
            Value::Real(71.3),
            Value::LReal(0.1),
            text,
            list,
        ] {
            assert_eq!(to_json_value(&value).to_string(), to_json(&value).get());
        }
    }

    #[test]
    fn a_real_prints_as_it_was_meant() {
        assert_eq!(to_json(&Value::Real(71.3)).get(), "71.3");
        assert_eq!(to_json(&Value::Real(f32::NAN)).get(), "null");
    }
}
