//! ksqlDB's formats by name, with the properties that `WITH` gives them.

use crate::registry::{SchemaKind, SchemaRef};
use std::fmt;
use std::sync::Arc;

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

    /// The language of its schemas, where it has any.
    pub const fn schema_kind(self) -> Option<SchemaKind> {
        match self {
            Self::Avro => Some(SchemaKind::Avro),
            Self::JsonSr => Some(SchemaKind::Json),
            Self::Protobuf | Self::ProtobufNosr => Some(SchemaKind::Protobuf),
            Self::Json | Self::Delimited | Self::Kafka | Self::None => None,
        }
    }

    /// Whether `WRAP_SINGLE_VALUE` may be set so. What cannot be set is how the format is anyway.
    pub const fn allows_wrapping(self, wrapped: bool) -> bool {
        match self {
            Self::Json | Self::JsonSr | Self::Avro => true,
            Self::Protobuf | Self::ProtobufNosr => wrapped,
            Self::Delimited | Self::Kafka => !wrapped,
            Self::None => false,
        }
    }

    /// Whether a single key column stands inside a record; else it is the key itself.
    pub const fn wraps_single_keys(self) -> bool {
        matches!(self, Self::Protobuf | Self::ProtobufNosr)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How Protobuf tells `NULL` from 0 and the empty text (`KEY_`/`VALUE_PROTOBUF_NULLABLE_REPRESENTATION`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Nullable {
    /// Not at all: `NULL` reads back as 0, `false` or the empty text.
    #[default]
    Default,
    /// `OPTIONAL`: fields with proto3's `optional`.
    Optional,
    /// `WRAPPER`: messages such as `google.protobuf.Int32Value`.
    Wrapper,
}

impl Nullable {
    /// Reads the property's value in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "OPTIONAL" => Some(Self::Optional),
            "WRAPPER" => Some(Self::Wrapper),
            _ => None,
        }
    }
}

/// A format with its properties, as `WITH` gives them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FormatSpec {
    /// The format.
    pub format: Format,
    /// Whether a single column stands inside an object or record (`WRAP_SINGLE_VALUE`); several always do.
    pub wrapped: bool,
    /// What stands between the columns of `DELIMITED` (`KEY_DELIMITER`, `VALUE_DELIMITER`).
    pub delimiter: char,
    /// The schema that is read and written by (`KEY_SCHEMA_ID`, `VALUE_SCHEMA_ID`).
    pub schema_id: Option<i32>,
    /// The name of the record or message that is written (`KEY_SCHEMA_FULL_NAME`, `VALUE_SCHEMA_FULL_NAME`,
    /// `VALUE_AVRO_SCHEMA_FULL_NAME`), and of the message that is read where a schema has several.
    pub schema_name: Option<Arc<str>>,
    /// How Protobuf tells `NULL`.
    pub nullable: Nullable,
    /// Where the registry's schemas are. It is set when a statement has run, so that whoever makes a [`Layout`](super::Layout)
    /// of the columns has it with the format.
    pub schema: Option<SchemaRef>,
}

impl FormatSpec {
    const fn new(format: Format, wrapped: bool) -> Self {
        Self {
            format,
            wrapped,
            delimiter: ',',
            schema_id: None,
            schema_name: None,
            nullable: Nullable::Default,
            schema: None,
        }
    }

    /// `format` for a value: a single column stands inside an object.
    pub const fn value(format: Format) -> Self {
        Self::new(format, true)
    }

    /// `format` for a key: a single column stands by itself.
    pub const fn key(format: Format) -> Self {
        Self::new(format, false)
    }

    /// Reads a delimiter: one character, `SPACE` or `TAB`. The error says what is wrong.
    pub fn delimiter_from(text: &str) -> Result<char, String> {
        let mut chars = text.chars();
        match (text, chars.next(), chars.next()) {
            ("SPACE", ..) => Ok(' '),
            ("TAB", ..) => Ok('\t'),
            (_, Some('"' | '\n' | '\r'), None) => {
                Err("a quote or the end of a line cannot stand between columns; take `;` or `|`".to_owned())
            }
            (_, Some(c), None) if !c.is_whitespace() => Ok(c),
            (text, ..) if text.trim().is_empty() => {
                Err("a delimiter cannot be empty; say 'SPACE' or 'TAB' for those".to_owned())
            }
            (text, ..) => {
                Err(format!("`{text}` is no delimiter: it must be one character, 'SPACE' or 'TAB'"))
            }
        }
    }
}
