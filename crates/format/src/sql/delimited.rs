//! `DELIMITED`: RFC 4180, read and written as Apache Commons CSV does it, which is what ksqlDB uses.
//!
//! An empty field is `NULL`, in quotes as well. `BYTES` is Base64, `DATE`, `TIME` and `TIMESTAMP` are counts as in JSON.
//! Of several lines the first one counts. Differs from ksqlDB: a text other than `true` and `false` is no `BOOLEAN`, where
//! Java takes it for false.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::json_nested::in_quotes;
use super::limits::VALUE_BYTES_MAX;
use super::{
    Column, ColumnBuilder, Columns, Datum, DecodeError, Decoded, Decoder, EncodeError, Encoder, SqlType,
};
use std::borrow::Cow;

/// Reads and writes delimited text.
#[derive(Debug)]
pub(super) struct DelimitedCodec {
    columns: Columns,
    delimiter: char,
}

impl DelimitedCodec {
    pub(super) fn new(columns: &Columns, delimiter: char) -> Self {
        Self { columns: columns.clone(), delimiter }
    }
}

impl Decoder for DelimitedCodec {
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::Utf8(error.valid_up_to()))?;
        let fields = first_line(text, self.delimiter, self.columns.len())?;
        let mut row = Vec::with_capacity(fields.len());
        for ((name, sql_type), field) in self.columns.iter().zip(fields) {
            row.push(value(field, *sql_type, name)?);
        }
        for (value, builder) in row.iter().zip(into) {
            builder.append(value);
        }
        Ok(Decoded::Row)
    }
}

/// The fields of the first line that is not empty; more or fewer than `wanted` are an error.
fn first_line(text: &str, delimiter: char, wanted: usize) -> Result<Vec<Cow<'_, str>>, DecodeError> {
    let text = text.trim_start_matches(['\n', '\r']);
    if text.is_empty() {
        // Nothing is the text of one column that is NULL.
        let none = DecodeError::Fields { found: 0, wanted };
        return if wanted == 1 { Ok(vec![Cow::Borrowed("")]) } else { Err(none) };
    }
    let mut fields = Vec::with_capacity(wanted);
    let mut found = 0_usize;
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            in_double_quotes(quoted, delimiter)?
        } else {
            let end = rest.find([delimiter, '\n', '\r']).unwrap_or(rest.len());
            let (field, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Cow::Borrowed(field), after)
        };
        found = found.saturating_add(1);
        if found <= wanted {
            fields.push(field);
        }
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None => break,
        }
    }
    if found == wanted { Ok(fields) } else { Err(DecodeError::Fields { found, wanted }) }
}

/// A field behind its opening quote, and what comes after its closing one.
fn in_double_quotes(text: &str, delimiter: char) -> Result<(Cow<'_, str>, &str), DecodeError> {
    let mut field: Option<String> = None;
    let mut rest = text;
    loop {
        let (part, after) =
            rest.split_once('"').ok_or(DecodeError::Delimited("a field's closing quote is missing"))?;
        if let Some(more) = after.strip_prefix('"') {
            let field = field.get_or_insert_default();
            field.push_str(part);
            field.push('"');
            rest = more;
            continue;
        }
        let after = after
            .trim_start_matches(|c: char| c.is_whitespace() && !matches!(c, '\n' | '\r') && c != delimiter);
        if !(after.is_empty() || after.starts_with([delimiter, '\n', '\r'])) {
            return Err(DecodeError::Delimited("a field goes on after its closing quote"));
        }
        let field = match field {
            Some(mut field) => {
                field.push_str(part);
                Cow::Owned(field)
            }
            None => Cow::Borrowed(part),
        };
        return Ok((field, after));
    }
}

fn value<'a>(field: Cow<'a, str>, sql_type: SqlType, name: &str) -> Result<Datum<'a>, DecodeError> {
    if field.is_empty() {
        return Ok(Datum::Null);
    }
    match sql_type {
        SqlType::Varchar => Ok(Datum::Varchar(field)),
        SqlType::Boolean if field.eq_ignore_ascii_case("true") => Ok(Datum::Boolean(true)),
        SqlType::Boolean if field.eq_ignore_ascii_case("false") => Ok(Datum::Boolean(false)),
        SqlType::Boolean => Err(DecodeError::Type {
            column: name.into(),
            sql_type,
            found: "a text that is neither true nor false",
        }),
        other => in_quotes(&field, other, name),
    }
}

impl Encoder for DelimitedCodec {
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut sign = [0; 4];
        let sign = self.delimiter.encode_utf8(&mut sign).as_bytes();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(sign);
            }
            match column.datum(row) {
                Datum::Null => {}
                Datum::Date(v) | Datum::Time(v) => self.write(&v.to_string(), index == 0, out),
                Datum::Timestamp(v) => self.write(&v.to_string(), index == 0, out),
                Datum::Varchar(v) => self.write(&v, index == 0, out),
                Datum::Array(_) | Datum::Map(_) | Datum::Struct(_) => {
                    let column_name =
                        self.columns.get(index).map_or_else(|| "?".into(), |(name, _)| name.clone());
                    let what = column.sql_type().to_string();
                    return Err(EncodeError::Value {
                        column: column_name,
                        format: super::Format::Delimited,
                        what,
                    });
                }
                other => self.write(&other.to_string(), index == 0, out),
            }
        }
        Ok(())
    }

    fn is_absent(&self, columns: &[&Column], row: usize) -> bool {
        matches!(columns, [column] if column.is_null(row))
    }
}

impl DelimitedCodec {
    /// Appends a field, in quotes where Commons CSV's `MINIMAL` mode puts them.
    fn write(&self, text: &str, first: bool, out: &mut Vec<u8>) {
        if !self.needs_quotes(text, first) {
            return out.extend_from_slice(text.as_bytes());
        }
        out.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    }

    fn needs_quotes(&self, text: &str, first: bool) -> bool {
        let (Some(start), Some(end)) = (text.chars().next(), text.chars().next_back()) else {
            // Alone on a line, an empty field must be seen.
            return first;
        };
        // RFC 4180's TEXTDATA, which the library asks for at the beginning of a line only.
        let is_text = matches!(start, ' '..='!' | '#'..='+' | '-'..='~');
        (first && !is_text)
            || start <= '#'
            || end <= ' '
            || text.contains(['\n', '\r', '"'])
            || text.contains(self.delimiter)
    }
}
