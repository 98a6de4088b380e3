//! Rows of columns into JSON objects.

use super::{Column, Columns, Datum, EncodeError, SqlType};
use arrow_array::Array;
use std::sync::Arc;

/// Writes rows as flat JSON objects with the columns' names as keys, every column, `null` where there is no value.
#[derive(Debug, Clone)]
pub struct JsonEncoder {
    /// `{"FIRST":`, `,"SECOND":`, …
    prefixes: Vec<Box<[u8]>>,
    /// Whether the columns are fields of an object; else the only one is the value itself.
    wrapped: bool,
}

impl JsonEncoder {
    /// An encoder for columns of these names.
    pub fn new(names: &[Arc<str>]) -> Self {
        let prefixes = names.iter().enumerate().map(|(index, name)| {
            let mut prefix = vec![if index == 0 { b'{' } else { b',' }];
            write_text(name, &mut prefix);
            prefix.push(b':');
            prefix.into()
        });
        Self { prefixes: prefixes.collect(), wrapped: true }
    }

    pub(super) fn of_layout(columns: &Columns, wrapped: bool) -> Self {
        let names: Vec<_> = columns.iter().map(|(name, _)| name.clone()).collect();
        Self { wrapped, ..Self::new(&names) }
    }

    /// Appends one row to `out`. `columns` stand in the order of the names.
    pub fn encode<'a>(&self, columns: impl IntoIterator<Item = &'a Column>, row: usize, out: &mut Vec<u8>) {
        let mut empty = true;
        for (prefix, column) in self.prefixes.iter().zip(columns) {
            empty = false;
            out.extend_from_slice(prefix);
            match column {
                Column::Double(array) if array.is_valid(row) => write_double(array.value(row), out),
                column => write_json(&column.datum(row), column.sql_type(), out),
            }
        }
        out.extend_from_slice(if empty { b"{}" } else { b"}" });
    }
}

impl super::Encoder for JsonEncoder {
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match columns {
            [column] if !self.wrapped => write_json(&column.datum(row), column.sql_type(), out),
            columns => Self::encode(self, columns.iter().copied(), row, out),
        }
        Ok(())
    }

    fn is_absent(&self, columns: &[&Column], row: usize) -> bool {
        !self.wrapped && columns.first().is_some_and(|column| column.is_null(row))
    }
}

/// Writes one value of `sql_type` as ksqlDB's JSON format does: what is no JSON number is `"NaN"`, `"Infinity"`; bytes are
/// Base64; dates, times and points in time are counts of days and milliseconds.
pub(super) fn write_json(value: &Datum<'_>, sql_type: SqlType, out: &mut Vec<u8>) {
    match (value, sql_type) {
        (Datum::Boolean(v), _) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        (Datum::Int(v) | Datum::Date(v) | Datum::Time(v), _) => write_integer(i64::from(*v), out),
        (Datum::BigInt(v) | Datum::Timestamp(v), _) => write_integer(*v, out),
        (Datum::Decimal(v), _) => out.extend_from_slice(v.to_string().as_bytes()),
        (Datum::Double(v), _) => write_double(*v, out),
        (Datum::Varchar(v), _) => write_text(v, out),
        (Datum::Bytes(v), _) => write_text(&super::calendar::base64(v), out),
        (Datum::Array(values), SqlType::Array(element)) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                comma(index, out);
                write_json(value, *element, out);
            }
            out.push(b']');
        }
        (Datum::Map(entries), SqlType::Map(_, of)) => {
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                comma(index, out);
                write_text(&key.to_string(), out);
                out.push(b':');
                write_json(value, *of, out);
            }
            out.push(b'}');
        }
        (Datum::Struct(values), SqlType::Struct(fields)) => {
            out.push(b'{');
            for (index, (value, field)) in values.iter().zip(fields).enumerate() {
                comma(index, out);
                write_text(field.name, out);
                out.push(b':');
                write_json(value, field.sql_type, out);
            }
            out.push(b'}');
        }
        // A value is of its column's type, so that only NULL is left.
        (Datum::Null | Datum::Array(_) | Datum::Map(_) | Datum::Struct(_), _) => {
            out.extend_from_slice(b"null");
        }
    }
}

/// A value as the JSON format writes it.
pub fn json_value(value: &Datum<'_>, sql_type: SqlType) -> serde_json::Value {
    let mut text = Vec::new();
    write_json(value, sql_type, &mut text);
    // What was written here can be read.
    serde_json::from_slice(&text).unwrap_or_default()
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = value.unsigned_abs();
    while let Some(slot) = first.checked_sub(1).and_then(|at| digits.get_mut(at)) {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        first -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        // Writing a finite number to a vector cannot fail.
        let _ = serde_json::to_writer(out, &value);
    } else {
        out.push(b'"');
        out.extend_from_slice(super::java_double(value).as_bytes());
        out.push(b'"');
    }
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string to a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}
