//! Typed columns for SQL, and the formats that turn bytes into them and back.
//!
//! Three types to know: [`Column`] (an Arrow array of one SQL type), [`JsonDecoder`] (bytes of values into columns, only the
//! columns that are asked for), [`JsonEncoder`] (rows of columns into bytes). Keys go through [`KeyFormat`].

mod column;
mod datum;
mod json_decode;
mod json_encode;
mod json_scan;
mod key;

pub use column::{Column, ColumnBuilder};
pub use datum::{Datum, java_double};
pub use json_decode::{DecodeError, Decoded, JsonDecoder};
pub use json_encode::JsonEncoder;
pub use key::KeyFormat;

use std::fmt;

/// Limits of the decoders.
pub mod limits {
    /// How deeply a JSON value may be nested; Jackson's `StreamReadConstraints` allows 1,000, plant data needs a handful.
    pub const JSON_DEPTH_MAX: usize = 128;
    /// How many fields of a value's layout are remembered; more is no layout but an attack on memory.
    pub const LAYOUT_FIELDS_MAX: usize = 4_096;
    /// The longest value in bytes that is decoded; longer ones are refused before they are looked at.
    pub const VALUE_BYTES_MAX: usize = 16 << 20;
}

/// A SQL type under ksqlDB's names. Nested types are to be interned, so that a type stays `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SqlType {
    /// `BOOLEAN`.
    Boolean,
    /// `INT`, `INTEGER`: 32 bits.
    Int,
    /// `BIGINT`: 64 bits.
    BigInt,
    /// `DOUBLE`: IEEE 754 double precision.
    Double,
    /// `VARCHAR`, `STRING`.
    Varchar,
}

impl SqlType {
    /// The name as ksqlDB's `DESCRIBE` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Int => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Varchar => "VARCHAR",
        }
    }

    /// Reads a type's name in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => Self::Boolean,
            "INT" | "INTEGER" => Self::Int,
            "BIGINT" => Self::BigInt,
            "DOUBLE" => Self::Double,
            "VARCHAR" | "STRING" => Self::Varchar,
            _ => return None,
        })
    }

    /// Whether it is a number.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Double)
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
