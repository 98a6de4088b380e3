//! JSON values into columns, only those that are asked for.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::json_nested;
use super::json_scan::{Scanner, unescape};
use super::limits::{LAYOUT_FIELDS_MAX, VALUE_BYTES_MAX};
use super::{ColumnBuilder, Datum, SqlType};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// Why a key or value could not be read. The record is poison: it never can be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is no JSON.
    #[error("the value is no JSON: expected {expected} at byte {at}")]
    Syntax {
        /// Bytes from the start of the text.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// It is no UTF-8.
    #[error("the value is no UTF-8 from byte {0}")]
    Utf8(usize),
    /// It is nested too deeply.
    #[error("the value is nested more than {} deep", super::limits::JSON_DEPTH_MAX)]
    TooDeep,
    /// It is too long.
    #[error("the value has {0} bytes, more than {VALUE_BYTES_MAX}")]
    TooLong(usize),
    /// A field has the wrong kind of value.
    #[error("field `{column}` should be {sql_type}, but holds {found}")]
    Type {
        /// The column.
        column: Arc<str>,
        /// Its type.
        sql_type: SqlType,
        /// What was found, in words.
        found: &'static str,
    },
    /// A number does not fit its column.
    #[error("field `{column}`: {text} is out of range for {sql_type}")]
    Range {
        /// The column.
        column: Arc<str>,
        /// Its type.
        sql_type: SqlType,
        /// The number as it stands there.
        text: String,
    },
    /// Bytes are not what their type says.
    #[error("{len_bytes} bytes are no {sql_type} for `{column}`")]
    Binary {
        /// The column.
        column: Arc<str>,
        /// Its type.
        sql_type: SqlType,
        /// How many there are.
        len_bytes: usize,
    },
    /// A binary format does not go on as its schema says.
    #[error("byte {at} and what follows should be {expected}")]
    Malformed {
        /// Bytes from the start, without the registry's frame.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// There is no id of a schema.
    #[error(
        "it does not begin with a zero byte and the id of a schema: whoever wrote it used no schema registry"
    )]
    NoFrame,
    /// The schema is not here yet. Fetch it into the [`SchemaCache`](crate::registry::SchemaCache) and decode again.
    #[error("schema {0} has not been fetched from the registry")]
    UnknownSchema(i32),
    /// The registry's schema cannot be used.
    #[error("schema {id}: {message}")]
    Schema {
        /// Its id; 0 where it has none.
        id: i32,
        /// Why, in words.
        message: Arc<str>,
    },
    /// Delimited text has another number of fields than there are columns.
    #[error("{found} fields for {wanted} columns")]
    Fields {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Delimited text that does not follow RFC 4180.
    #[error("{0}")]
    Delimited(&'static str),
}

/// What a value was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A row; one value was appended to every column.
    Row,
    /// The JSON text `null`; nothing was appended.
    Null,
}

/// Reads flat rows from JSON objects. Fields are found by name, in the letter case of the column or any other, as
/// ksqlDB does; unknown fields are skipped, absent ones are `NULL`, and of a field that stands twice the last one counts.
#[derive(Debug)]
pub struct JsonDecoder {
    columns: Vec<(Arc<str>, SqlType)>,
    /// The fields of the last value in order with the column of each: machines send the same fields in the same order.
    layout: Vec<(Box<str>, Option<usize>)>,
    row: Vec<Slot>,
    unescaped: String,
    /// Values of this row that are neither numbers nor text.
    others: Vec<Datum<'static>>,
    /// Whether the columns are fields of an object; else the only one is the value itself.
    wrapped: bool,
}

/// A field's value before its row is known to be good.
#[derive(Debug, Clone)]
enum Slot {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Range<usize>),
    Unescaped(Range<usize>),
    /// A place in `others`.
    Other(usize),
}

impl JsonDecoder {
    /// A decoder for these columns.
    pub fn new(columns: &[(Arc<str>, SqlType)]) -> Self {
        let row = vec![Slot::Null; columns.len()];
        Self {
            columns: columns.to_vec(),
            layout: Vec::new(),
            row,
            unescaped: String::new(),
            others: Vec::new(),
            wrapped: true,
        }
    }

    pub(super) fn of_layout(columns: &[(Arc<str>, SqlType)], wrapped: bool) -> Self {
        Self { wrapped, ..Self::new(columns) }
    }

    /// The columns, in the order of the builders that [`JsonDecoder::decode`] takes.
    pub fn columns(&self) -> &[(Arc<str>, SqlType)] {
        &self.columns
    }

    /// Appends the value's row to `into`, one builder per column. After an error nothing has been appended.
    pub fn decode(&mut self, value: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(DecodeError::TooLong(value.len()));
        }
        // What JSON_SR wrote can be read as JSON: a text never begins with a zero byte.
        let value = match value {
            [0, _, _, _, _, rest @ ..] => rest,
            value => value,
        };
        let text = std::str::from_utf8(value).map_err(|error| DecodeError::Utf8(error.valid_up_to()))?;
        self.row.fill(Slot::Null);
        self.unescaped.clear();
        self.others.clear();
        let mut scanner = Scanner::new(text);
        if scanner.peek() == Some(b'n') {
            scanner.word("null")?;
            end(&mut scanner)?;
            return Ok(Decoded::Null);
        }
        if self.wrapped {
            self.object(&mut scanner, text)?;
        } else {
            self.field(0, &mut scanner, text)?;
        }
        end(&mut scanner)?;
        for (slot, builder) in self.row.iter().zip(into) {
            append(slot, text, &self.unescaped, &self.others, builder);
        }
        Ok(Decoded::Row)
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, text: &str) -> Result<(), DecodeError> {
        scanner.expect(b'{', "`{`: the value should be an object")?;
        if scanner.take(b'}') {
            return Ok(());
        }
        let mut position = 0usize;
        loop {
            let name = scanner.string()?;
            scanner.expect(b':', "`:` after a field's name")?;
            let column = match self.layout.get(position) {
                Some((known, column)) if &**known == name.raw && !name.escaped => *column,
                _ => self.look_up(position, name.raw, name.escaped),
            };
            match column {
                Some(column) => self.field(column, scanner, text)?,
                None => drop(scanner.any(1)?),
            }
            position = position.saturating_add(1);
            if !scanner.take(b',') {
                return scanner.expect(b'}', "`,` or `}`");
            }
        }
    }

    /// Finds a field's column by name and remembers it for its position.
    fn look_up(&mut self, position: usize, raw: &str, escaped: bool) -> Option<usize> {
        let mut name = Cow::Borrowed(raw);
        if escaped {
            let mut text = String::new();
            unescape(raw, &mut text);
            name = Cow::Owned(text);
        }
        let columns = &self.columns;
        let found = columns.iter().position(|(column, _)| **column == *name).or_else(|| {
            let same = |column: &str| {
                column.eq_ignore_ascii_case(&name)
                    || (!name.is_ascii() && column.to_uppercase() == name.to_uppercase())
            };
            columns.iter().position(|(column, _)| same(column))
        });
        if !escaped && position < LAYOUT_FIELDS_MAX {
            // Positions come one by one, so that the layout grows by one at most.
            match self.layout.get_mut(position) {
                Some(entry) => *entry = (raw.into(), found),
                None => self.layout.push((raw.into(), found)),
            }
        }
        found
    }

    fn field(&mut self, column: usize, scanner: &mut Scanner<'_>, text: &str) -> Result<(), DecodeError> {
        let Some((name, sql_type)) = self.columns.get(column) else { return Ok(()) };
        let (name, sql_type) = (name.clone(), *sql_type);
        let wrong = |found| DecodeError::Type { column: name.clone(), sql_type, found };
        let slot = match (scanner.peek(), sql_type) {
            (Some(_), other) if !is_plain(other) => {
                let value = json_nested::value(scanner, other, &name, 1)?;
                self.others.push(value);
                Slot::Other(self.others.len().saturating_sub(1))
            }
            (Some(b'n'), _) => {
                scanner.word("null")?;
                Slot::Null
            }
            (Some(b'"'), _) => {
                let quoted = scanner.string()?;
                if sql_type == SqlType::Varchar && !quoted.escaped {
                    Slot::Text(place(text, quoted.raw))
                } else {
                    let start = self.unescaped.len();
                    unescape(quoted.raw, &mut self.unescaped);
                    let range = start..self.unescaped.len();
                    match sql_type {
                        SqlType::Varchar => Slot::Unescaped(range),
                        SqlType::Boolean => return Err(wrong("a string")),
                        _ => number_in_text(self.unescaped.get(range).unwrap_or_default(), sql_type)
                            .ok_or_else(|| wrong("a string that is no such number"))?,
                    }
                }
            }
            (Some(_), SqlType::Varchar) => {
                let start = self.unescaped.len();
                self.unescaped.push_str(&json_nested::text(scanner, 1)?);
                Slot::Unescaped(start..self.unescaped.len())
            }
            (Some(b't'), SqlType::Boolean) => {
                scanner.word("true")?;
                Slot::Boolean(true)
            }
            (Some(b'f'), SqlType::Boolean) => {
                scanner.word("false")?;
                Slot::Boolean(false)
            }
            (Some(b'-' | b'0'..=b'9'), SqlType::Int | SqlType::BigInt | SqlType::Double) => {
                let number = scanner.number()?;
                let slot = match sql_type {
                    SqlType::Double => Some(number.to_f64()).filter(|v| v.is_finite()).map(Slot::Double),
                    SqlType::Int => number.to_i64().filter(|v| i32::try_from(*v).is_ok()).map(Slot::Integer),
                    _ => number.to_i64().map(Slot::Integer),
                };
                slot.ok_or_else(|| DecodeError::Range {
                    column: name.clone(),
                    sql_type,
                    text: cut(number.raw),
                })?
            }
            (Some(first), _) => {
                scanner.any(1)?;
                return Err(wrong(kind(first)));
            }
            (None, _) => return Err(scanner.error("a value")),
        };
        if let Some(place) = self.row.get_mut(column) {
            *place = slot;
        }
        Ok(())
    }
}

impl super::Decoder for JsonDecoder {
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        Self::decode(self, bytes, into)
    }
}

fn end(scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
    if scanner.peek().is_some() { Err(scanner.error("nothing after the value")) } else { Ok(()) }
}

/// Where `part`, a slice of `text`, stands in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}

/// Whether the flat path reads values of this type itself.
const fn is_plain(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::Boolean | SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Varchar)
}

fn append(slot: &Slot, text: &str, unescaped: &str, others: &[Datum<'static>], builder: &mut ColumnBuilder) {
    match (slot, builder) {
        (Slot::Boolean(v), ColumnBuilder::Boolean(builder)) => builder.append_value(*v),
        (Slot::Integer(v), ColumnBuilder::Int(builder)) => builder.append_option(i32::try_from(*v).ok()),
        (Slot::Integer(v), ColumnBuilder::BigInt(builder)) => builder.append_value(*v),
        (Slot::Double(v), ColumnBuilder::Double(builder)) => builder.append_value(*v),
        (Slot::Text(range), builder) => {
            let text = text.get(range.clone()).unwrap_or_default();
            builder.append(&Datum::Varchar(Cow::Borrowed(text)));
        }
        (Slot::Unescaped(range), builder) => {
            let text = unescaped.get(range.clone()).unwrap_or_default();
            builder.append(&Datum::Varchar(Cow::Borrowed(text)));
        }
        (Slot::Other(index), builder) => builder.append(others.get(*index).unwrap_or(&Datum::Null)),
        (_, builder) => builder.append_null(),
    }
}

/// A number that stands in quotes, as ksqlDB accepts it: `"12"`, and `"NaN"` for a double.
fn number_in_text(text: &str, sql_type: SqlType) -> Option<Slot> {
    Some(match sql_type {
        SqlType::Int => Slot::Integer(text.parse::<i32>().ok()?.into()),
        SqlType::BigInt => Slot::Integer(text.parse().ok()?),
        _ => Slot::Double(json_nested::double(text)?),
    })
}

pub(super) const fn kind(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a truth value",
        _ => "a number",
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
