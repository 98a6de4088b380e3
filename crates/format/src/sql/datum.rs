//! One value of one row.

use super::{Decimal, SqlType};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A value of a SQL type, or `NULL`. Text and bytes are borrowed where they can be; what holds other values is shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum<'a> {
    /// `NULL`.
    Null,
    /// `BOOLEAN`.
    Boolean(bool),
    /// `INT`.
    Int(i32),
    /// `BIGINT`.
    BigInt(i64),
    /// `DECIMAL`, with the scale of its type.
    Decimal(Decimal),
    /// `DOUBLE`.
    Double(f64),
    /// `VARCHAR`.
    Varchar(Cow<'a, str>),
    /// `BYTES`.
    Bytes(Cow<'a, [u8]>),
    /// `DATE`: days since 1970-01-01.
    Date(i32),
    /// `TIME`: milliseconds since midnight.
    Time(i32),
    /// `TIMESTAMP`: milliseconds since 1970 in UTC.
    Timestamp(i64),
    /// `ARRAY`.
    Array(Arc<[Datum<'static>]>),
    /// `MAP`: entries in the order in which they came, each key once.
    Map(Arc<[(Datum<'static>, Datum<'static>)]>),
    /// `STRUCT`: one value per field, in the order of its type's fields.
    Struct(Arc<[Datum<'static>]>),
}

impl Datum<'_> {
    /// Whether it is `NULL`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same value, owning its text.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Self::Null => Datum::Null,
            Self::Boolean(v) => Datum::Boolean(v),
            Self::Int(v) => Datum::Int(v),
            Self::BigInt(v) => Datum::BigInt(v),
            Self::Decimal(v) => Datum::Decimal(v),
            Self::Double(v) => Datum::Double(v),
            Self::Varchar(v) => Datum::Varchar(Cow::Owned(v.into_owned())),
            Self::Bytes(v) => Datum::Bytes(Cow::Owned(v.into_owned())),
            Self::Date(v) => Datum::Date(v),
            Self::Time(v) => Datum::Time(v),
            Self::Timestamp(v) => Datum::Timestamp(v),
            Self::Array(v) => Datum::Array(v),
            Self::Map(v) => Datum::Map(v),
            Self::Struct(v) => Datum::Struct(v),
        }
    }

    /// The same value with its text borrowed from here.
    pub fn as_borrowed(&self) -> Datum<'_> {
        match self {
            Self::Varchar(v) => Datum::Varchar(Cow::Borrowed(v)),
            Self::Bytes(v) => Datum::Bytes(Cow::Borrowed(v)),
            Self::Null => Datum::Null,
            Self::Boolean(v) => Datum::Boolean(*v),
            Self::Int(v) => Datum::Int(*v),
            Self::BigInt(v) => Datum::BigInt(*v),
            Self::Decimal(v) => Datum::Decimal(*v),
            Self::Double(v) => Datum::Double(*v),
            Self::Date(v) => Datum::Date(*v),
            Self::Time(v) => Datum::Time(*v),
            Self::Timestamp(v) => Datum::Timestamp(*v),
            Self::Array(v) => Datum::Array(v.clone()),
            Self::Map(v) => Datum::Map(v.clone()),
            Self::Struct(v) => Datum::Struct(v.clone()),
        }
    }

    /// The truth value, where it is a `BOOLEAN`.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(v) = self { Some(*v) } else { None }
    }

    /// The whole number, where it is an `INT` or `BIGINT`.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(i64::from(*v)),
            Self::BigInt(v) => Some(*v),
            _ => None,
        }
    }

    /// The number as a double; digits beyond its precision are lost, as in Java.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(f64::from(*v)),
            #[expect(clippy::cast_precision_loss, reason = "documented: as in Java")]
            Self::BigInt(v) => Some(*v as f64),
            Self::Decimal(v) => Some(v.to_f64()),
            Self::Double(v) => Some(*v),
            _ => None,
        }
    }

    /// The text, where it is a `VARCHAR`.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Varchar(v) = self { Some(v) } else { None }
    }

    /// The bytes, where it is `BYTES`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(v) = self { Some(v) } else { None }
    }

    /// The elements, where it is an `ARRAY`.
    pub fn as_array(&self) -> Option<&[Datum<'static>]> {
        if let Self::Array(v) = self { Some(v) } else { None }
    }

    /// The entries, where it is a `MAP`.
    pub fn as_map(&self) -> Option<&[(Datum<'static>, Datum<'static>)]> {
        if let Self::Map(v) = self { Some(v) } else { None }
    }

    /// The values of the fields, where it is a `STRUCT`.
    pub fn as_struct(&self) -> Option<&[Datum<'static>]> {
        if let Self::Struct(v) = self { Some(v) } else { None }
    }

    /// Whether it is a value of `sql_type`, or `NULL`.
    pub fn is_of(&self, sql_type: SqlType) -> bool {
        match (self, sql_type) {
            (Self::Decimal(v), SqlType::Decimal { scale, .. }) => v.scale() == scale,
            (Self::Array(values), SqlType::Array(element)) => {
                values.iter().all(|value| value.is_of(*element))
            }
            (Self::Map(entries), SqlType::Map(key, value)) => {
                entries.iter().all(|(k, v)| k.is_of(*key) && v.is_of(*value))
            }
            (Self::Struct(values), SqlType::Struct(fields)) => {
                values.len() == fields.len()
                    && values.iter().zip(fields).all(|(value, field)| value.is_of(field.sql_type))
            }
            (Self::Null, _)
            | (Self::Boolean(_), SqlType::Boolean)
            | (Self::Int(_), SqlType::Int)
            | (Self::BigInt(_), SqlType::BigInt)
            | (Self::Double(_), SqlType::Double)
            | (Self::Varchar(_), SqlType::Varchar)
            | (Self::Bytes(_), SqlType::Bytes)
            | (Self::Date(_), SqlType::Date)
            | (Self::Time(_), SqlType::Time)
            | (Self::Timestamp(_), SqlType::Timestamp) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Datum<'_> {
    /// As `CAST(… AS VARCHAR)` prints it; `NULL` as `null`, fields of a struct without their names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::BigInt(v) => write!(f, "{v}"),
            Self::Decimal(v) => write!(f, "{v}"),
            Self::Double(v) => f.write_str(&java_double(*v)),
            Self::Varchar(v) => f.write_str(v),
            Self::Bytes(v) => f.write_str(&super::calendar::base64(v)),
            Self::Date(v) => f.write_str(&super::calendar::date(*v)),
            Self::Time(v) => f.write_str(&super::calendar::time(*v)),
            Self::Timestamp(v) => f.write_str(&super::calendar::timestamp(*v)),
            Self::Array(values) => list(f, "[", values.iter(), "]"),
            Self::Struct(values) => list(f, "Struct{", values.iter(), "}"),
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}={value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

fn list<'d>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    values: impl Iterator<Item = &'d Datum<'static>>,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, value) in values.enumerate() {
        write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

/// A double as Java's `Double.toString` prints it, with the fewest digits that read back the same: `1.0`, `0.001`, `1.0E10`.
pub fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        let text = value.to_string();
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_in_java() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (71.25, "71.25"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }
}
