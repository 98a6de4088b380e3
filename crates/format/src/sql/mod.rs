//! Typed columns for SQL, and the formats that turn bytes into them and back.
//!
//! Three types to know: [`Column`] (the values of one SQL type in many rows), [`Datum`] (one value), [`Layout`] (how the columns
//! of a key or a value stand in bytes: it makes the [`Decoder`] and the [`Encoder`]).

pub mod calendar;
mod column;
mod datum;
mod decimal;
mod format;
mod json_decode;
mod json_encode;
mod json_scan;
mod kafka;
mod sql_type;

pub use column::{Column, ColumnBuilder, NestedColumn};
pub use datum::{Datum, java_double};
pub use decimal::{Decimal, DecimalFault};
pub use format::{Columns, Decoder, EncodeError, Encoder, Format, FormatSpec, Layout};
pub use json_decode::{DecodeError, Decoded, JsonDecoder};
pub use json_encode::{JsonEncoder, json_value};
pub use sql_type::{Field, SqlType};


/// Limits of the decoders.
pub mod limits {
    /// How deeply a JSON value may be nested; Jackson's `StreamReadConstraints` allows 1,000, plant data needs a handful.
    pub const JSON_DEPTH_MAX: usize = 128;
    /// How many fields of a value's layout are remembered; more is no layout but an attack on memory.
    pub const LAYOUT_FIELDS_MAX: usize = 4_096;
    /// The longest value in bytes that is decoded; longer ones are refused before they are looked at.
    pub const VALUE_BYTES_MAX: usize = 16 << 20;
}
