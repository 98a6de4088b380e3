//! Rows of columns into JSON objects.

use super::{Column, Datum};
use arrow_array::Array;
use std::borrow::Cow;
use std::sync::Arc;

/// Writes rows as flat JSON objects with the columns' names as keys, every column, `null` where there is no value.
#[derive(Debug, Clone)]
pub struct JsonEncoder {
    /// `{"FIRST":`, `,"SECOND":`, …
    prefixes: Vec<Box<[u8]>>,
}

impl JsonEncoder {
    /// An encoder for columns of these names.
    pub fn new(names: &[Arc<str>]) -> Self {
        let prefixes = names.iter().enumerate().map(|(index, name)| {
            let mut prefix = vec![if index == 0 { b'{' } else { b',' }];
            write_json(&Datum::Varchar(Cow::Borrowed(name)), &mut prefix);
            prefix.push(b':');
            prefix.into()
        });
        Self { prefixes: prefixes.collect() }
    }

    /// Appends one row to `out`. `columns` stand in the order of the names.
    pub fn encode<'a>(&self, columns: impl IntoIterator<Item = &'a Column>, row: usize, out: &mut Vec<u8>) {
        let mut empty = true;
        for (prefix, column) in self.prefixes.iter().zip(columns) {
            empty = false;
            out.extend_from_slice(prefix);
            match column {
                Column::Double(array) if array.is_valid(row) => write_double(array.value(row), out),
                column => write_json(&column.datum(row), out),
            }
        }
        out.extend_from_slice(if empty { b"{}" } else { b"}" });
    }
}

/// Writes one value as JSON. What is no JSON number is written as ksqlDB does: `"NaN"`, `"Infinity"`.
pub(super) fn write_json(value: &Datum<'_>, out: &mut Vec<u8>) {
    match value {
        Datum::Null => out.extend_from_slice(b"null"),
        Datum::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Datum::Int(v) => write_integer(i64::from(*v), out),
        Datum::BigInt(v) => write_integer(*v, out),
        Datum::Double(v) => write_double(*v, out),
        Datum::Varchar(v) => write_text(v, out),
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

fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string to a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}
