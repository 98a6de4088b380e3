//! Record keys: ksqlDB's key formats `KAFKA`, `JSON` and `NONE`.

use super::json_encode::write_json;
use super::{ColumnBuilder, Datum, DecodeError, Decoded, JsonDecoder, SqlType};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// How the key columns of a relation stand in a record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyFormat {
    /// Kafka's serializers: UTF-8 text, 4 or 8 bytes big-endian. One column.
    #[default]
    Kafka,
    /// JSON: one column stands by itself, several as an object.
    Json,
    /// There is no key column.
    None,
}

impl fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "KAFKA",
            Self::Json => "JSON",
            Self::None => "NONE",
        })
    }
}

impl KeyFormat {
    /// Appends one key to its columns, or nothing where it cannot be read. An absent key is `NULL` in every column.
    pub fn decode(
        self,
        key: Option<&[u8]>,
        columns: &[(Arc<str>, SqlType)],
        json: &mut JsonDecoder,
        into: &mut [ColumnBuilder],
    ) -> Result<(), DecodeError> {
        let (Some(key), Self::Kafka | Self::Json) = (key, self) else {
            into.iter_mut().for_each(ColumnBuilder::append_null);
            return Ok(());
        };
        match (self, columns, into) {
            (Self::Kafka, [(name, sql_type), ..], [into, ..]) => {
                into.append(&kafka_datum(key, name, *sql_type)?);
                Ok(())
            }
            (Self::Json, [(name, sql_type)], [into]) => {
                let value: serde_json::Value = serde_json::from_slice(key).map_err(|error| {
                    DecodeError::Syntax { at: error.column(), expected: "a JSON value as the key" }
                })?;
                into.append(&json_datum(&value, name, *sql_type)?);
                Ok(())
            }
            (_, _, into) => match json.decode(key, into)? {
                Decoded::Row => Ok(()),
                Decoded::Null => {
                    into.iter_mut().for_each(ColumnBuilder::append_null);
                    Ok(())
                }
            },
        }
    }

    /// Writes a key. `NULL` as the only column, or as all of them, is an absent key: `false`, and nothing is written.
    pub fn encode(self, names: &[Arc<str>], values: &[Datum<'_>], out: &mut Vec<u8>) -> bool {
        if values.iter().all(Datum::is_null) {
            return false;
        }
        match (self, values) {
            (Self::None, _) | (_, []) => return false,
            (Self::Kafka, [value, ..]) => match value {
                Datum::Null => return false,
                Datum::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
                Datum::Int(v) => out.extend_from_slice(&v.to_be_bytes()),
                Datum::BigInt(v) => out.extend_from_slice(&v.to_be_bytes()),
                Datum::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
                Datum::Varchar(v) => out.extend_from_slice(v.as_bytes()),
            },
            (Self::Json, [value]) => write_json(value, out),
            (Self::Json, values) => {
                for (index, (name, value)) in names.iter().zip(values).enumerate() {
                    out.push(if index == 0 { b'{' } else { b',' });
                    write_json(&Datum::Varchar(Cow::Borrowed(name)), out);
                    out.push(b':');
                    write_json(value, out);
                }
                out.push(b'}');
            }
        }
        true
    }
}

fn kafka_datum<'a>(key: &'a [u8], name: &Arc<str>, sql_type: SqlType) -> Result<Datum<'a>, DecodeError> {
    let wrong = || DecodeError::Key { column: name.clone(), sql_type, len_bytes: key.len() };
    Ok(match sql_type {
        SqlType::Varchar => Datum::Varchar(Cow::Borrowed(std::str::from_utf8(key).map_err(|_| wrong())?)),
        SqlType::Int => Datum::Int(i32::from_be_bytes(key.try_into().map_err(|_| wrong())?)),
        SqlType::BigInt => Datum::BigInt(i64::from_be_bytes(key.try_into().map_err(|_| wrong())?)),
        SqlType::Double => Datum::Double(f64::from_be_bytes(key.try_into().map_err(|_| wrong())?)),
        SqlType::Boolean => return Err(wrong()),
    })
}

fn json_datum(
    value: &serde_json::Value,
    name: &Arc<str>,
    sql_type: SqlType,
) -> Result<Datum<'static>, DecodeError> {
    use serde_json::Value;
    let wrong = || DecodeError::Type { column: name.clone(), sql_type, found: "another kind of value" };
    Ok(match (sql_type, value) {
        (_, Value::Null) => Datum::Null,
        (SqlType::Boolean, Value::Bool(v)) => Datum::Boolean(*v),
        (SqlType::Int, Value::Number(v)) => {
            Datum::Int(v.as_i64().and_then(|v| v.try_into().ok()).ok_or_else(wrong)?)
        }
        (SqlType::BigInt, Value::Number(v)) => Datum::BigInt(v.as_i64().ok_or_else(wrong)?),
        (SqlType::Double, Value::Number(v)) => Datum::Double(v.as_f64().ok_or_else(wrong)?),
        (SqlType::Varchar, Value::String(v)) => Datum::Varchar(Cow::Owned(v.clone())),
        (SqlType::Varchar, other) => Datum::Varchar(Cow::Owned(other.to_string())),
        _ => return Err(wrong()),
    })
}
