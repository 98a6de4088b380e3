//! Keys and values of records as words of case files.

use bytes::Bytes;
use millstream_sql::{Format, Relation, SqlType};

/// The bytes of a word; `None` for `-`.
pub fn bytes(word: &str) -> Option<Bytes> {
    if word == "-" {
        return None;
    }
    if let Some((inner, window)) = word.rsplit_once('@')
        && let Some(window) = window_bytes(window)
    {
        let mut key = bytes(inner).unwrap_or_default().to_vec();
        key.extend(window);
        return Some(key.into());
    }
    let (kind, text) = word.split_once(':').unwrap_or(("", word));
    Some(match kind {
        "int" => Bytes::copy_from_slice(&text.parse::<i32>().unwrap().to_be_bytes()),
        "long" => Bytes::copy_from_slice(&text.parse::<i64>().unwrap().to_be_bytes()),
        "double" => Bytes::copy_from_slice(&text.parse::<f64>().unwrap().to_be_bytes()),
        "json" => Bytes::copy_from_slice(text.as_bytes()),
        "hex" => from_hex(text),
        _ => Bytes::copy_from_slice(word.as_bytes()),
    })
}

/// `start` as 8 bytes; `start..end` as Kafka Streams writes sessions: end, then start.
fn window_bytes(text: &str) -> Option<Vec<u8>> {
    if let Some((start, end)) = text.split_once("..") {
        let (start, end) = (start.parse::<i64>().ok()?, end.parse::<i64>().ok()?);
        return Some([end.to_be_bytes(), start.to_be_bytes()].concat());
    }
    Some(text.parse::<i64>().ok()?.to_be_bytes().to_vec())
}

fn from_hex(text: &str) -> Bytes {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    format!("hex:{digits}")
}

/// A value as a case file writes it, without blanks outside of strings.
pub fn show_value(value: Option<&Bytes>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => hex(value),
    }
}

/// A key of `relation` as a case file writes it.
pub fn show_key(key: Option<&Bytes>, relation: Option<&Relation>) -> String {
    let Some(key) = key else { return "-".to_owned() };
    let Some(relation) = relation else { return show_value(Some(key)) };
    let (inner, window) = if relation.session {
        let parts = key
            .split_last_chunk::<8>()
            .and_then(|(rest, start)| Some((rest.split_last_chunk::<8>()?, start)));
        let Some(((inner, end), start)) = parts else { return hex(key) };
        (inner, format!("@{}..{}", i64::from_be_bytes(*start), i64::from_be_bytes(*end)))
    } else if relation.window_ms.is_some() {
        let Some((inner, start)) = key.split_last_chunk::<8>() else { return hex(key) };
        (inner, format!("@{}", i64::from_be_bytes(*start)))
    } else {
        (key.as_ref(), String::new())
    };
    let types: Vec<SqlType> = relation.key_columns().into_iter().map(|(_, sql_type)| sql_type).collect();
    let shown = match (relation.key.format, types.as_slice()) {
        (Format::Kafka, [SqlType::Int]) => {
            inner.try_into().map(|b| format!("int:{}", i32::from_be_bytes(b))).ok()
        }
        (Format::Kafka, [SqlType::BigInt]) => {
            inner.try_into().map(|b| format!("long:{}", i64::from_be_bytes(b))).ok()
        }
        (Format::Kafka, [SqlType::Double]) => {
            inner.try_into().map(|b| format!("double:{}", f64::from_be_bytes(b))).ok()
        }
        (Format::Json, _) => Some(format!("json:{}", show_value(Some(&Bytes::copy_from_slice(inner))))),
        _ => None,
    };
    shown.unwrap_or_else(|| show_value(Some(&Bytes::copy_from_slice(inner)))) + &window
}
