//! How the columns of a key or a value stand in bytes: what checks that a format can hold them, and makes what reads and
//! writes them.

use super::binary::unframe;
use super::delimited::DelimitedCodec;
use super::framed::{FramedDecoder, FramedEncoder};
use super::kafka::KafkaCodec;
use super::{
    Column, ColumnBuilder, DecodeError, Decoded, Format, FormatSpec, JsonDecoder, JsonEncoder, ParsedSchema,
    SqlType, schema,
};
use crate::registry::SchemaText;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Named columns with their types, in the order of a key or a value.
pub type Columns = Vec<(Arc<str>, SqlType)>;

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
    /// nothing has been appended. [`DecodeError::UnknownSchema`] is the one error after which the same bytes may be decoded
    /// again, once the schema has been fetched.
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError>;
}

/// Writes rows.
pub trait Encoder: Send + Sync + fmt::Debug {
    /// Appends the row's bytes to `out`, one column per column of the layout. After an error, what `out` got is of no use.
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Whether the row is no bytes at all but an absent key or value: the only column is `NULL`, and stands by itself.
    fn is_absent(&self, columns: &[&Column], row: usize) -> bool {
        let _ = (columns, row);
        false
    }
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
    /// The schema cannot be written by.
    #[error("{0}")]
    Schema(Arc<str>),
}

/// Why a format cannot hold columns, or a schema not have them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct LayoutError {
    /// What is wrong, in words.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl LayoutError {
    pub(super) const fn new(message: String) -> Self {
        Self { message, help: None }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Layout {
    /// A layout of these columns.
    pub const fn new(spec: FormatSpec, columns: Columns) -> Self {
        Self { spec, columns }
    }

    /// What reads it.
    pub fn decoder(&self) -> Box<dyn Decoder> {
        match self.spec.format {
            Format::Json => Box::new(JsonDecoder::of_layout(&self.columns, self.is_wrapped())),
            Format::Delimited => Box::new(DelimitedCodec::new(&self.columns, self.spec.delimiter)),
            Format::Kafka => Box::new(KafkaCodec::new(&self.columns)),
            Format::None => Box::new(Nothing),
            Format::JsonSr | Format::Avro | Format::Protobuf | Format::ProtobufNosr => {
                Box::new(FramedDecoder::new(self))
            }
        }
    }

    /// What writes it. Where it cannot be written, each row says why.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        match self.spec.format {
            Format::Json => Box::new(JsonEncoder::of_layout(&self.columns, self.is_wrapped())),
            Format::Delimited => Box::new(DelimitedCodec::new(&self.columns, self.spec.delimiter)),
            Format::Kafka => Box::new(KafkaCodec::new(&self.columns)),
            Format::None => Box::new(Nothing),
            Format::JsonSr | Format::Avro | Format::Protobuf | Format::ProtobufNosr => {
                Box::new(FramedEncoder::new(self))
            }
        }
    }

    /// Whether the columns stand inside an object or record.
    pub const fn is_wrapped(&self) -> bool {
        self.columns.len() != 1 || self.spec.wrapped || self.spec.format.wraps_single_keys()
    }

    /// The id of the schema that a key or value names, where its decoder needs one.
    pub fn schema_id(&self, bytes: &[u8]) -> Option<i32> {
        match self.spec.format {
            Format::Avro | Format::Protobuf => unframe(bytes).ok().map(|(id, _)| id),
            _ => None,
        }
    }

    /// Whether the format can hold the columns; the error names the one that it cannot.
    pub fn check(&self) -> Result<(), LayoutError> {
        let format = self.spec.format;
        match format {
            Format::None if !self.columns.is_empty() => {
                return Err(LayoutError::new("the NONE format holds no columns".to_owned())
                    .help("give another KEY_FORMAT, or no key column"));
            }
            Format::Kafka if self.columns.len() > 1 => {
                let count = self.columns.len();
                return Err(LayoutError::new(format!("the KAFKA format holds one column, not {count}"))
                    .help("JSON, DELIMITED, AVRO and PROTOBUF hold several"));
            }
            _ => {}
        }
        for (name, sql_type) in &self.columns {
            self.holds(name, *sql_type)?;
        }
        match format.schema_kind() {
            Some(_) => self.schema().map(drop),
            None => Ok(()),
        }
    }

    fn holds(&self, name: &str, sql_type: SqlType) -> Result<(), LayoutError> {
        let format = self.spec.format;
        let refused = || {
            LayoutError::new(format!("the {format} format does not support {sql_type} of column `{name}`"))
        };
        match (format, sql_type) {
            (
                Format::Kafka,
                SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Varchar | SqlType::Bytes,
            ) => Ok(()),
            (Format::Kafka, _) => {
                Err(refused().help("it holds INT, BIGINT, DOUBLE, VARCHAR and BYTES; JSON holds every type"))
            }
            (Format::Delimited, other) if other.is_nested() => {
                Err(refused().help("it holds no type that holds others; JSON holds every type"))
            }
            (
                Format::Json | Format::JsonSr | Format::Protobuf | Format::ProtobufNosr,
                SqlType::Map(key, _),
            ) if *key != SqlType::Varchar => {
                Err(refused().help("its maps have VARCHAR keys; AVRO has maps with other ones"))
            }
            (
                Format::Protobuf | Format::ProtobufNosr,
                SqlType::Array(&SqlType::Array(_) | &SqlType::Map(..)),
            ) => Err(refused().help("an array inside an array needs a STRUCT around the inner one")),
            (_, SqlType::Array(element)) => self.holds(name, *element),
            (_, SqlType::Map(_, value)) => self.holds(name, *value),
            (_, SqlType::Struct(fields)) => fields
                .iter()
                .try_for_each(|field| self.holds(&format!("{name}->{}", field.name), field.sql_type)),
            _ => Ok(()),
        }
    }

    /// The schema of the columns as ksqlDB registers it.
    pub fn schema(&self) -> Result<SchemaText, LayoutError> {
        schema::of_layout(self)
    }

    /// Whether rows can be written by a registered schema.
    pub fn can_be_written_as(&self, schema: &ParsedSchema) -> Result<(), LayoutError> {
        schema.encoder(self).map(drop)
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

    fn is_absent(&self, _columns: &[&Column], _row: usize) -> bool {
        true
    }
}
