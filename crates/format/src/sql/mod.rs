//! Typed columns for SQL, and the formats that turn bytes into them and back.
//!
//! Three types to know: [`Column`] (the values of one SQL type in many rows), [`Datum`] (one value), [`Layout`] (how the columns
//! of a key or a value stand in bytes: it makes the [`Decoder`] and the [`Encoder`]).
//!
//! A record of `AVRO`, `PROTOBUF` or `JSON_SR` names its schema by an id. A decoder looks it up in the
//! [`SchemaCache`](crate::registry::SchemaCache) that [`FormatSpec::schema`] holds; where it is not there yet, it says
//! [`DecodeError::UnknownSchema`], and whoever may wait fetches it and decodes again.

mod avro;
mod binary;
pub mod calendar;
mod column;
mod datum;
mod decimal;
mod delimited;
mod format;
mod framed;
mod json_decode;
mod json_encode;
mod json_nested;
mod json_scan;
mod json_schema;
mod kafka;
mod layout;
mod protobuf;
mod schema;
mod sql_type;

pub use column::{Column, ColumnBuilder, NestedColumn};
pub use datum::{Datum, java_double};
pub use decimal::{Decimal, DecimalFault};
pub use format::{Format, FormatSpec, Nullable};
pub use json_decode::{DecodeError, Decoded, JsonDecoder};
pub use json_encode::{JsonEncoder, json_value};
pub use layout::{Columns, Decoder, EncodeError, Encoder, Layout, LayoutError};
pub use schema::{ParsedSchema, incompatibilities};
pub use sql_type::{Field, SqlType};

/// Limits of the decoders.
pub mod limits {
    /// How deeply a JSON value may be nested; Jackson's `StreamReadConstraints` allows 1,000, plant data needs a handful.
    pub const JSON_DEPTH_MAX: usize = 128;
    /// How many fields of a value's layout are remembered; more is no layout but an attack on memory.
    pub const LAYOUT_FIELDS_MAX: usize = 4_096;
    /// How deeply types of a schema may be nested.
    pub const SCHEMA_DEPTH_MAX: usize = 64;
    /// How many types a schema may have.
    pub const SCHEMA_NODES_MAX: usize = 20_000;
    /// How many items that take no bytes an array may have: nothing else bounds their number.
    pub const EMPTY_ITEMS_MAX: usize = 65_536;
    /// How many schemas a decoder is ready for at a time.
    pub const READERS_MAX: usize = 1_000;
    /// The longest value in bytes that is decoded; longer ones are refused before they are looked at.
    pub const VALUE_BYTES_MAX: usize = 16 << 20;
}
