//! Schemas of the registry, read: their columns, and what writes by them.

use super::avro::{self, AvroEncoder, AvroSchema};
use super::framed::Writer;
use super::json_schema::{self, JsonSchema};
use super::protobuf::{self, ProtobufEncoder, ProtobufFiles};
use super::{Columns, Format, FormatSpec, JsonEncoder, Layout, LayoutError, SqlType};
use crate::registry::{SCHEMA_BYTES_MAX, SchemaKind, SchemaText};
use std::sync::Arc;

/// A schema as it was read, or why it could not be.
#[derive(Debug)]
pub struct ParsedSchema {
    text: SchemaText,
    parsed: Result<Parsed, String>,
}

#[derive(Debug)]
enum Parsed {
    Avro(Arc<AvroSchema>),
    Protobuf(Arc<ProtobufFiles>),
    Json(JsonSchema),
}

impl ParsedSchema {
    /// Reads a schema; `used` are those that it uses, under the names that it calls them.
    pub fn new(schema: &SchemaText, used: &[(String, SchemaText)]) -> Self {
        let texts: Vec<(&str, &str)> =
            used.iter().map(|(name, schema)| (name.as_str(), &*schema.text)).collect();
        let parsed = if schema.text.len() > SCHEMA_BYTES_MAX {
            Err(format!("it has more than {SCHEMA_BYTES_MAX} bytes"))
        } else {
            match schema.kind {
                SchemaKind::Avro => {
                    let texts: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
                    AvroSchema::parse(&schema.text, &texts).map(|schema| Parsed::Avro(schema.into()))
                }
                SchemaKind::Protobuf => {
                    ProtobufFiles::parse(&schema.text, &texts).map(|files| Parsed::Protobuf(files.into()))
                }
                SchemaKind::Json => JsonSchema::parse(&schema.text, &texts).map(Parsed::Json),
            }
        };
        Self { text: schema.clone(), parsed }
    }

    /// As it is registered.
    pub const fn text(&self) -> &SchemaText {
        &self.text
    }

    /// Why it could not be read.
    pub fn error(&self) -> Option<&str> {
        self.parsed.as_ref().err().map(String::as_str)
    }

    pub(super) const fn avro(&self) -> Option<&Arc<AvroSchema>> {
        if let Ok(Parsed::Avro(schema)) = &self.parsed { Some(schema) } else { None }
    }

    pub(super) const fn protobuf(&self) -> Option<&Arc<ProtobufFiles>> {
        if let Ok(Parsed::Protobuf(files)) = &self.parsed { Some(files) } else { None }
    }

    /// Why a format cannot use it.
    pub(super) fn unusable(&self, format: Format) -> String {
        match &self.parsed {
            Err(error) => error.clone(),
            Ok(_) => format!("it is {}, but the format is {format}", self.text.kind),
        }
    }

    /// The columns that ksqlDB makes of it. Names are put into upper case, unless the statement names the schema by its id.
    pub fn columns(&self, spec: &FormatSpec, is_key: bool) -> Result<Columns, LayoutError> {
        let keep_case = spec.schema_id.is_some();
        let single = if is_key { "ROWKEY" } else { "ROWVAL" };
        let parsed = match (&self.parsed, spec.format.schema_kind()) {
            (Ok(parsed), Some(kind)) if kind == self.text.kind => parsed,
            _ => {
                return Err(LayoutError::new(format!(
                    "the schema cannot be used: {}",
                    self.unusable(spec.format)
                )));
            }
        };
        let (columns, is_record) = match parsed {
            Parsed::Avro(schema) => (avro::columns(schema, single, keep_case), schema.is_record()),
            Parsed::Protobuf(files) => {
                (files.columns(spec.schema_name.as_deref(), spec.nullable, keep_case)?, true)
            }
            Parsed::Json(schema) => (schema.columns(single, keep_case), schema.is_record()),
        };
        if columns.is_empty() {
            return Err(LayoutError::new("the schema has no column of a type that SQL has".to_owned()));
        }
        if !is_record && spec.wrapped {
            return Err(LayoutError::new("the schema is no record, but a single value".to_owned())
                .help("say WRAP_SINGLE_VALUE=false to read it as one column"));
        }
        // A key of one column stands by itself, so a record of one field is a column that holds a struct.
        if is_record && !spec.wrapped && !spec.format.wraps_single_keys() && (columns.len() == 1 || !is_key) {
            let fields = columns.iter().map(|(name, sql_type)| (&**name, *sql_type));
            return Ok(vec![(single.into(), SqlType::structure(fields))]);
        }
        Ok(columns)
    }

    /// What writes a layout by it.
    pub(super) fn encoder(&self, layout: &Layout) -> Result<Writer, LayoutError> {
        let wrapped = layout.is_wrapped();
        match (layout.spec.format, &self.parsed) {
            (Format::Avro, Ok(Parsed::Avro(schema))) => {
                AvroEncoder::new(schema, &layout.columns, wrapped).map(Writer::Avro)
            }
            (Format::Protobuf | Format::ProtobufNosr, Ok(Parsed::Protobuf(files))) => {
                ProtobufEncoder::new(files, layout).map(Writer::Protobuf)
            }
            (Format::JsonSr, Ok(Parsed::Json(schema))) => {
                schema.check(&layout.columns, wrapped)?;
                Ok(Writer::Json(JsonEncoder::of_layout(&layout.columns, wrapped)))
            }
            (format, _) => {
                Err(LayoutError::new(format!("the schema cannot be used: {}", self.unusable(format))))
            }
        }
    }
}

/// The schema of a layout's columns.
pub(super) fn of_layout(layout: &Layout) -> Result<SchemaText, LayoutError> {
    let (columns, wrapped) = (&layout.columns, layout.is_wrapped());
    let name = layout.spec.schema_name.as_deref();
    let kind = layout.spec.format.schema_kind();
    let text = match kind {
        Some(SchemaKind::Avro) => avro::schema_text(columns, wrapped, name)?,
        Some(SchemaKind::Protobuf) => protobuf::schema_text(columns, layout.spec.nullable, name)?,
        Some(SchemaKind::Json) => json_schema::schema_text(columns, wrapped, name),
        None => return Err(LayoutError::new(format!("the format {} has no schemas", layout.spec.format))),
    };
    Ok(SchemaText::new(kind.unwrap_or(SchemaKind::Json), text))
}

/// Why what `writer` wrote cannot be read by `reader`; empty where it can. Schemas that could not be read are not compatible
/// with anything.
pub fn incompatibilities(reader: &ParsedSchema, writer: &ParsedSchema) -> Vec<String> {
    match (&reader.parsed, &writer.parsed) {
        (Ok(Parsed::Avro(reader)), Ok(Parsed::Avro(writer))) => avro::incompatibilities(reader, writer),
        (Ok(Parsed::Protobuf(reader)), Ok(Parsed::Protobuf(writer))) => {
            protobuf::incompatibilities(reader, writer)
        }
        (Ok(Parsed::Json(reader)), Ok(Parsed::Json(writer))) => {
            json_schema::incompatibilities(reader, writer)
        }
        (Ok(_), Ok(_)) => vec![format!("{} cannot read {}", reader.text.kind, writer.text.kind)],
        (Err(error), _) | (_, Err(error)) => vec![error.clone()],
    }
}
