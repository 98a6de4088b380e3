//! ksqlDB's formats, behind one pair of traits: bytes of a record's key or value into columns, and back.

use super::kafka::KafkaCodec;
use super::{Column, ColumnBuilder, DecodeError, Decoded, JsonDecoder, JsonEncoder, SqlType};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Named columns with their types, in the order of a key or a value.
pub type Columns = Vec<(Arc<str>, SqlType)>;

/// A format under the name that ksqlDB gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Format {
    /// `JSON`.
    #[default]
    Json,
    /// `JSON_SR`: JSON behind the id of a JSON schema in the registry.
    JsonSr,
    /// `AVRO`: behind the id of an Avro schema in the registry.
    Avro,
    /// `PROTOBUF`: behind the id of a Protobuf schema in the registry.
    Protobuf,
    /// `PROTOBUF_NOSR`: Protobuf without a registry.
    ProtobufNosr,
    /// `DELIMITED`: text with a sign between the columns.
    Delimited,
    /// `KAFKA`: one column as Kafka's own serializers write it.
    Kafka,
    /// `NONE`: nothing.
    None,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[
        Self::Json,
        Self::JsonSr,
        Self::Avro,
        Self::Protobuf,
        Self::ProtobufNosr,
        Self::Delimited,
        Self::Kafka,
        Self::None,
    ];

    /// As ksqlDB writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::JsonSr => "JSON_SR",
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::ProtobufNosr => "PROTOBUF_NOSR",
            Self::Delimited => "DELIMITED",
            Self::Kafka => "KAFKA",
            Self::None => "NONE",
        }
    }

    /// Reads a name in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Whether records name their schema by an id of the registry.
    pub const fn needs_registry(self) -> bool {
        matches!(self, Self::JsonSr | Self::Avro | Self::Protobuf)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format with its properties, as `WITH` gives them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FormatSpec {
    /// The format.
    pub format: Format,
    /// Whether a single column stands inside an object or record (`WRAP_SINGLE_VALUE`); several always do.
    pub wrapped: bool,
    /// What stands between the columns of `DELIMITED`.
    pub delimiter: char,
}

impl FormatSpec {
    /// `format` for a value: a single column stands inside an object.
    pub const fn value(format: Format) -> Self {
        Self { format, wrapped: true, delimiter: ',' }
    }

    /// `format` for a key: a single column stands by itself.
    pub const fn key(format: Format) -> Self {
        Self { format, wrapped: false, delimiter: ',' }
    }
}

/// How the columns of a key or a value stand in bytes.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The format.
    pub spec: FormatSpec,
    /// The columns.
    pub columns: Columns,
}

/// Reads rows.
pub trait Decoder: Send + fmt::Debug {
    /// Appends the row to `into`, one builder per column of the layout. After an error, and for [`Decoded::Null`],
    /// nothing has been appended.
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError>;
}

/// Writes rows.
pub trait Encoder: Send + Sync + fmt::Debug {
    /// Appends the row's bytes to `out`, one column per column of the layout. After an error, what `out` got is of no use.
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Why a row cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The format has no way to write such a value.
    #[error("column `{column}`: the format {format} cannot hold {what}")]
    Value {
        /// The column.
        column: Arc<str>,
        /// The format.
        format: Format,
        /// What it is, in words.
        what: String,
    },
}

impl Layout {
    /// A layout of these columns.
    pub const fn new(spec: FormatSpec, columns: Columns) -> Self {
        Self { spec, columns }
    }

    /// What reads it.
    pub fn decoder(&self) -> Box<dyn Decoder> {
        match self.spec.format {
            Format::Kafka => Box::new(KafkaCodec::new(&self.columns)),
            Format::None => Box::new(Nothing),
            _ => Box::new(JsonDecoder::of_layout(&self.columns, self.is_wrapped())),
        }
    }

    /// What writes it.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        match self.spec.format {
            Format::Kafka => Box::new(KafkaCodec::new(&self.columns)),
            Format::None => Box::new(Nothing),
            _ => Box::new(JsonEncoder::of_layout(&self.columns, self.is_wrapped())),
        }
    }

    /// Whether the columns stand inside an object or record.
    pub const fn is_wrapped(&self) -> bool {
        self.spec.wrapped || self.columns.len() != 1
    }
}

/// `NONE`.
#[derive(Debug)]
struct Nothing;

impl Decoder for Nothing {
    fn decode(&mut self, _bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        into.iter_mut().for_each(ColumnBuilder::append_null);
        Ok(Decoded::Row)
    }
}

impl Encoder for Nothing {
    fn encode(&self, _columns: &[&Column], _row: usize, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}
