//! JSON texts: values written straight into bytes, and texts read under limits.

use crate::{FormatError, limits};
use millstream_model::Value;
use serde_json::Value as Json;
use std::io::Write as _;

/// Reads one JSON text of at most [`limits::TEXT_BYTES`] and [`limits::DEPTH`].
pub fn parse(text: &[u8]) -> Result<Json, FormatError> {
    if text.len() > limits::TEXT_BYTES {
        return Err(FormatError::TooLarge { len_bytes: text.len(), max_bytes: limits::TEXT_BYTES });
    }
    if depth(text) > limits::DEPTH {
        return Err(FormatError::TooDeep { depth_max: limits::DEPTH });
    }
    serde_json::from_slice(text).map_err(|error| FormatError::Malformed(error.to_string()))
}

/// The deepest nesting of brackets outside strings. Works on any bytes.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What a JSON value is, for messages.
pub fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// A JSON value as a machine's value; `null` is `None`. Whole numbers become [`Value::Int`], above its range
/// [`Value::UInt`], others [`Value::LReal`]. Objects, and arrays that hold `null` or objects, are no values.
pub fn to_value(json: &Json) -> Result<Option<Value>, FormatError> {
    let unexpected = |json: &Json| FormatError::Unexpected {
        expected: "a number, text, truth value or array",
        found: kind(json),
    };
    Ok(Some(match json {
        Json::Null => return Ok(None),
        Json::Bool(v) => Value::Bool(*v),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(v), ..) => Value::Int(v),
            (_, Some(v), _) => Value::UInt(v),
            (.., Some(v)) => Value::LReal(v),
            _ => return Err(unexpected(json)),
        },
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Array(items) => {
            let value = |item| to_value(item)?.ok_or_else(|| unexpected(item));
            Value::List(items.iter().map(value).collect::<Result<_, _>>()?)
        }
        Json::Object(_) => return Err(unexpected(json)),
    }))
}

/// Appends `value` as JSON and says whether it has a form in JSON: a number that is not finite has none, and `null`
/// is written for it. `REAL` is written as the shortest decimal that reads back the same 32 bits, bytes in base64.
pub fn write_value(out: &mut Vec<u8>, value: &Value) -> bool {
    match value {
        Value::Bool(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Int(v) => print(out, format_args!("{v}")),
        Value::UInt(v) => print(out, format_args!("{v}")),
        // `Debug` keeps the fraction of whole numbers and takes an exponent for very large and small ones.
        Value::Real(v) if v.is_finite() => print(out, format_args!("{v:?}")),
        Value::LReal(v) if v.is_finite() => print(out, format_args!("{v:?}")),
        Value::Real(_) | Value::LReal(_) => {
            out.extend_from_slice(b"null");
            return false;
        }
        Value::Text(text) => write_string(out, text),
        Value::Bytes(bytes) => write_base64(out, bytes),
        Value::List(items) => {
            out.push(b'[');
            let mut whole = true;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                whole &= write_value(out, item);
            }
            out.push(b']');
            return whole;
        }
    }
    true
}

/// Appends a whole number.
pub fn write_int(out: &mut Vec<u8>, number: i64) {
    print(out, format_args!("{number}"));
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends `text` in quotes, escaped as RFC 8259, section 7 demands.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        if escape.is_empty() {
            print(out, format_args!("\\u{byte:04x}"));
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

/// Appends one object, member by member. Call [`ObjectWriter::finish`] at its end.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        write_string(self.name(name), text);
        self
    }

    /// A whole number.
    pub fn int(&mut self, name: &str, number: i64) -> &mut Self {
        write_int(self.name(name), number);
        self
    }

    /// A truth value.
    pub fn bool(&mut self, name: &str, truth: bool) -> &mut Self {
        write_value(self.name(name), &Value::Bool(truth));
        self
    }

    /// A machine's value; `null` where there is none.
    pub fn value(&mut self, name: &str, value: Option<&Value>) -> &mut Self {
        let out = self.name(name);
        match value {
            Some(value) => {
                write_value(out, value);
            }
            None => out.extend_from_slice(b"null"),
        }
        self
    }

    /// An inner object, written by `members`.
    pub fn object(&mut self, name: &str, members: impl FnOnce(&mut ObjectWriter<'_>)) -> &mut Self {
        let mut inner = ObjectWriter::new(self.name(name));
        members(&mut inner);
        inner.finish();
        self
    }

    /// Ends the object.
    pub fn finish(self) {
        self.out.push(b'}');
    }
}

/// Appends `bytes` in base64 (RFC 4648, section 4), as Connect's `JsonConverter` and ksqlDB write them.
fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4_usize {
            let index = group >> (18 - 6 * place) & 0x3f;
            out.push(if place > chunk.len() { b'=' } else { ALPHABET[index as usize] });
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_have_their_shortest_form() {
        for (value, text) in [
            (Value::Bool(true), "true"),
            (Value::Int(-42), "-42"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::Real(0.1), "0.1"),
            (Value::Real(71.25), "71.25"),
            (Value::Real(20.0), "20.0"),
            (Value::Real(1e30), "1e30"),
            (Value::LReal(0.1 + 0.2), "0.30000000000000004"),
            (Value::Real(f32::NAN), "null"),
            (Value::LReal(f64::NEG_INFINITY), "null"),
            (Value::Text("a\"b\\c\nd\u{1}é".into()), "\"a\\\"b\\\\c\\nd\\u0001é\""),
            (Value::Bytes(b"any carnal pleas".to_vec().into()), "\"YW55IGNhcm5hbCBwbGVhcw==\""),
            (Value::Bytes(b"any carnal pleasu".to_vec().into()), "\"YW55IGNhcm5hbCBwbGVhc3U=\""),
            (Value::Bytes([].into()), "\"\""),
            (Value::List(vec![Value::Int(1), Value::Int(2)]), "[1,2]"),
        ] {
            assert_eq!(written(&value), text, "{value:?}");
        }
    }

    #[test]
    fn objects_are_written_member_by_member() {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.text("a", "x\"").int("b", -1).bool("c", true).value("d", None);
        object.object("e", |inner| {
            inner.value("f", Some(&Value::Real(0.5)));
        });
        object.object("g", |_| {});
        object.finish();
        assert_eq!(out, br#"{"a":"x\"","b":-1,"c":true,"d":null,"e":{"f":0.5},"g":{}}"#);
    }

    #[test]
    fn what_cannot_be_a_value_is_refused() {
        for text in ["{\"a\":1}", "[1,null]", "[{}]"] {
            assert!(to_value(&parse(text.as_bytes()).unwrap()).is_err(), "{text}");
        }
        assert_eq!(to_value(&Json::Null), Ok(None));
    }

    #[test]
    fn depth_and_size_are_limited() {
        let deep = "[".repeat(limits::DEPTH + 1) + &"]".repeat(limits::DEPTH + 1);
        assert_eq!(parse(deep.as_bytes()), Err(FormatError::TooDeep { depth_max: limits::DEPTH }));
        let flat = "[".repeat(limits::DEPTH) + &"]".repeat(limits::DEPTH);
        assert!(parse(flat.as_bytes()).is_ok());
        assert!(parse(br#""[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \" [""#).is_ok());
        let large = vec![b' '; limits::TEXT_BYTES + 1];
        assert!(matches!(parse(&large), Err(FormatError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(parse(&out), Ok(Json::String(text)));
        }

        #[test]
        fn a_real_reads_back_bit_for_bit(value in any::<f32>().prop_filter("finite", |v| v.is_finite())) {
            let text = written(&Value::Real(value));
            let read: f32 = text.parse().unwrap();
            prop_assert_eq!(read.to_bits(), value.to_bits());
            prop_assert!(serde_json::from_str::<f64>(&text).is_ok());
        }

        #[test]
        fn a_long_real_reads_back_bit_for_bit(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = written(&Value::LReal(value));
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(json) = parse(&bytes) {
                let _ = to_value(&json);
            }
        }
    }
}
