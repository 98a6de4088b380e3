//! SQL types under ksqlDB's names.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;

/// A SQL type. Types inside types are interned for the life of the process, so that a type is `Copy`: how many there are
/// is bounded by the statements that were ever written, not by data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SqlType {
    /// `BOOLEAN`.
    Boolean,
    /// `INT`, `INTEGER`: 32 bits.
    Int,
    /// `BIGINT`: 64 bits.
    BigInt,
    /// `DECIMAL(precision, scale)`: so many digits, so many of them behind the point.
    Decimal {
        /// Digits, 1 to [`Decimal::PRECISION_MAX`](super::Decimal::PRECISION_MAX).
        precision: u8,
        /// Digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// `DOUBLE`: IEEE 754 double precision.
    Double,
    /// `VARCHAR`, `STRING`.
    Varchar,
    /// `BYTES`.
    Bytes,
    /// `DATE`: days.
    Date,
    /// `TIME`: milliseconds of a day.
    Time,
    /// `TIMESTAMP`: milliseconds since 1970 in UTC.
    Timestamp,
    /// `ARRAY<element>`.
    Array(&'static Self),
    /// `MAP<key, value>`.
    Map(&'static Self, &'static Self),
    /// `STRUCT<name type, …>`.
    Struct(&'static [Field]),
}

/// One field of a `STRUCT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field {
    /// Its name, in the letter case that counts.
    pub name: &'static str,
    /// Its type.
    pub sql_type: SqlType,
}

/// Every type that stands inside another one, every list of fields, every name of one: each once.
#[derive(Debug)]
struct Interned {
    types: BTreeSet<&'static SqlType>,
    fields: BTreeSet<&'static [Field]>,
    names: BTreeSet<&'static str>,
}

static INTERNED: Mutex<Interned> =
    Mutex::new(Interned { types: BTreeSet::new(), fields: BTreeSet::new(), names: BTreeSet::new() });

fn interned(sql_type: SqlType) -> &'static SqlType {
    let types = &mut INTERNED.lock().types;
    if let Some(known) = types.get(&sql_type) {
        return known;
    }
    let made: &'static SqlType = Box::leak(Box::new(sql_type));
    types.insert(made);
    made
}

impl SqlType {
    /// `ARRAY<element>`.
    pub fn array(element: Self) -> Self {
        Self::Array(interned(element))
    }

    /// `MAP<key, value>`.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(interned(key), interned(value))
    }

    /// `STRUCT<name type, …>`. Names must differ.
    pub fn structure<'n>(fields: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let mut all = INTERNED.lock();
        let fields: Vec<Field> = fields
            .into_iter()
            .map(|(name, sql_type)| {
                let known = all.names.get(name).copied();
                let name = known.unwrap_or_else(|| {
                    let made: &'static str = Box::leak(name.to_owned().into_boxed_str());
                    all.names.insert(made);
                    made
                });
                Field { name, sql_type }
            })
            .collect();
        if let Some(known) = all.fields.get(fields.as_slice()) {
            return Self::Struct(known);
        }
        let made: &'static [Field] = Box::leak(fields.into_boxed_slice());
        all.fields.insert(made);
        Self::Struct(made)
    }

    /// The name of its kind as ksqlDB's REST API gives it in a schema's `type`: what stands inside is left out.
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Int => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Decimal { .. } => "DECIMAL",
            Self::Double => "DOUBLE",
            Self::Varchar => "STRING",
            Self::Bytes => "BYTES",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Array(_) => "ARRAY",
            Self::Map(..) => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }

    /// Reads the name of a type without parameters in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => Self::Boolean,
            "INT" | "INTEGER" => Self::Int,
            "BIGINT" => Self::BigInt,
            "DOUBLE" => Self::Double,
            "VARCHAR" | "STRING" => Self::Varchar,
            "BYTES" => Self::Bytes,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "TIMESTAMP" => Self::Timestamp,
            _ => return None,
        })
    }

    /// Whether it is a number.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Decimal { .. } | Self::Double)
    }

    /// Whether it is a `DATE`, `TIME` or `TIMESTAMP`.
    pub const fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Time | Self::Timestamp)
    }

    /// Whether values of it hold other values.
    pub const fn is_nested(self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }

    /// The place and type of a struct's field; names count as written.
    pub fn field(self, name: &str) -> Option<(usize, Self)> {
        let Self::Struct(fields) = self else { return None };
        let place = fields.iter().position(|field| field.name == name)?;
        fields.get(place).map(|field| (place, field.sql_type))
    }
}

impl fmt::Display for SqlType {
    /// As ksqlDB's `DESCRIBE` prints it; names of fields in backticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Varchar => f.write_str("VARCHAR"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {}", field.name, field.sql_type)?;
                }
                f.write_str(">")
            }
            simple => f.write_str(simple.base_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_types_are_the_same_when_they_say_the_same() {
        let make = || {
            let inner = SqlType::structure([("A", SqlType::Int), ("b", SqlType::array(SqlType::Double))]);
            SqlType::map(SqlType::Varchar, inner)
        };
        assert_eq!(make(), make());
        assert_eq!(make().to_string(), "MAP<VARCHAR, STRUCT<`A` INTEGER, `b` ARRAY<DOUBLE>>>");
        let SqlType::Map(_, value) = make() else { panic!("a map") };
        assert_eq!(value.field("b"), Some((1, SqlType::array(SqlType::Double))));
        assert_eq!(value.field("B"), None);
    }
}
