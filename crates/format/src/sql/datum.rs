//! One value of one row.

use super::SqlType;
use std::borrow::Cow;
use std::fmt;

/// A value of a SQL type, or `NULL`. Text is borrowed where it can be.
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
    /// `DOUBLE`.
    Double(f64),
    /// `VARCHAR`.
    Varchar(Cow<'a, str>),
}

impl Datum<'_> {
    /// The type; `None` for `NULL`.
    pub const fn sql_type(&self) -> Option<SqlType> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => SqlType::Boolean,
            Self::Int(_) => SqlType::Int,
            Self::BigInt(_) => SqlType::BigInt,
            Self::Double(_) => SqlType::Double,
            Self::Varchar(_) => SqlType::Varchar,
        })
    }

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
            Self::Double(v) => Datum::Double(v),
            Self::Varchar(v) => Datum::Varchar(Cow::Owned(v.into_owned())),
        }
    }

    /// The same value with its text borrowed from here.
    pub fn as_borrowed(&self) -> Datum<'_> {
        match self {
            Self::Null => Datum::Null,
            Self::Boolean(v) => Datum::Boolean(*v),
            Self::Int(v) => Datum::Int(*v),
            Self::BigInt(v) => Datum::BigInt(*v),
            Self::Double(v) => Datum::Double(*v),
            Self::Varchar(v) => Datum::Varchar(Cow::Borrowed(v)),
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

    /// The number as a double; whole numbers beyond 2^53 lose precision, as in Java.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(f64::from(*v)),
            #[expect(clippy::cast_precision_loss, reason = "documented: as in Java")]
            Self::BigInt(v) => Some(*v as f64),
            Self::Double(v) => Some(*v),
            _ => None,
        }
    }

    /// The text, where it is a `VARCHAR`.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Varchar(v) = self { Some(v) } else { None }
    }
}

impl fmt::Display for Datum<'_> {
    /// As `CAST(… AS VARCHAR)` prints it; `NULL` as `null`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::BigInt(v) => write!(f, "{v}"),
            Self::Double(v) => f.write_str(&java_double(*v)),
            Self::Varchar(v) => f.write_str(v),
        }
    }
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
