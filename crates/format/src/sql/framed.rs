//! The formats whose records name a schema: Confluent's frame around Avro, Protobuf and JSON; and Protobuf without it.

use super::avro::{AvroDecoder, AvroEncoder};
use super::binary::{Bytes, frame, unframe};
use super::limits::{READERS_MAX, VALUE_BYTES_MAX};
use super::protobuf::{ProtobufDecoder, ProtobufEncoder, indexes, take_indexes, write_indexes};
use super::{
    Column, ColumnBuilder, Datum, DecodeError, Decoded, Decoder, EncodeError, Encoder, Format, JsonDecoder,
    JsonEncoder, Layout, ParsedSchema,
};
use crate::registry::SchemaCache;
use std::sync::Arc;

/// Reads rows by whatever schema each of them names.
#[derive(Debug)]
pub(super) struct FramedDecoder {
    layout: Layout,
    cache: Option<SchemaCache>,
    json: Option<JsonDecoder>,
    /// What reads the values of each schema, made when the first one comes. Records of one topic name few schemas.
    readers: Vec<Known>,
    /// Which of them read the last value.
    last: usize,
}

/// What reads the values of one message of one schema.
#[derive(Debug)]
struct Known {
    id: i32,
    /// The bytes of the message's indexes.
    message: Box<[u8]>,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Avro(AvroDecoder),
    Protobuf(ProtobufDecoder),
    Unusable(Arc<str>),
}

impl FramedDecoder {
    pub(super) fn new(layout: &Layout) -> Self {
        let json = layout.spec.format == Format::JsonSr;
        let mut readers = Vec::new();
        if layout.spec.format == Format::ProtobufNosr {
            let own = layout.schema().map(|text| ParsedSchema::new(&text, &[]));
            let reader = match own {
                Ok(schema) => reader(&schema, layout, &[0]),
                Err(error) => Reader::Unusable(error.message.into()),
            };
            readers.push(Known { id: 0, message: [].into(), reader });
        }
        Self {
            json: json.then(|| JsonDecoder::of_layout(&layout.columns, layout.is_wrapped())),
            cache: layout.spec.schema.as_ref().map(|schema| schema.cache.clone()),
            layout: layout.clone(),
            readers,
            last: 0,
        }
    }

    fn row<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Vec<Datum<'a>>>, DecodeError> {
        let format = self.layout.spec.format;
        let (id, rest) = if format == Format::ProtobufNosr { (0, bytes) } else { unframe(bytes)? };
        let mut input = Bytes::new(rest);
        let message = if format == Format::Protobuf { take_indexes(&mut input)? } else { &[] };
        let rest = input.take(input.left())?;
        let is_it = |known: &Known| known.id == id && *known.message == *message;
        // Neighbours nearly always name the same schema.
        if !self.readers.get(self.last).is_some_and(is_it) {
            self.last = match self.readers.iter().position(is_it) {
                Some(known) => known,
                None => self.meet(id, message)?,
            };
        }
        match self.readers.get(self.last).map(|known| &known.reader) {
            Some(Reader::Avro(reader)) => reader.row(rest),
            Some(Reader::Protobuf(reader)) => reader.row(rest).map(Some),
            Some(Reader::Unusable(message)) => Err(DecodeError::Schema { id, message: message.clone() }),
            None => Err(DecodeError::UnknownSchema(id)),
        }
    }

    /// Makes what reads a schema that is met for the first time, and says where it is.
    fn meet(&mut self, id: i32, message: &[u8]) -> Result<usize, DecodeError> {
        let schema =
            self.cache.as_ref().and_then(|cache| cache.get(id)).ok_or(DecodeError::UnknownSchema(id))?;
        if self.readers.len() >= READERS_MAX {
            self.readers.clear();
        }
        let reader = reader(&schema, &self.layout, &indexes(message));
        self.readers.push(Known { id, message: message.into(), reader });
        Ok(self.readers.len().saturating_sub(1))
    }
}

fn reader(schema: &ParsedSchema, layout: &Layout, indexes: &[i32]) -> Reader {
    let format = layout.spec.format;
    if let (Format::Avro, Some(schema)) = (format, schema.avro()) {
        return Reader::Avro(AvroDecoder::new(schema.clone(), &layout.columns, layout.is_wrapped()));
    }
    if let (Format::Protobuf | Format::ProtobufNosr, Some(files)) = (format, schema.protobuf()) {
        return match files.message_at(indexes) {
            Some(message) => Reader::Protobuf(ProtobufDecoder::new(files, message, &layout.columns)),
            None => Reader::Unusable(format!("it has no message {indexes:?}").into()),
        };
    }
    Reader::Unusable(schema.unusable(format).into())
}

impl Decoder for FramedDecoder {
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        if let Some(json) = &mut self.json {
            let (_, text) = unframe(bytes)?;
            return json.decode(text, into);
        }
        let Some(row) = self.row(bytes)? else { return Ok(Decoded::Null) };
        for (value, builder) in row.iter().zip(into) {
            builder.append(value);
        }
        Ok(Decoded::Row)
    }
}

/// Writes rows by one schema.
#[derive(Debug)]
pub(super) struct FramedEncoder {
    /// `None` without a frame.
    id: Option<i32>,
    wrapped: bool,
    writer: Writer,
}

/// What writes rows behind the frame.
#[derive(Debug)]
pub(super) enum Writer {
    Avro(AvroEncoder),
    Protobuf(ProtobufEncoder),
    Json(JsonEncoder),
    Unusable(Arc<str>),
}

impl FramedEncoder {
    pub(super) fn new(layout: &Layout) -> Self {
        let unusable = |message: &str| Writer::Unusable(message.into());
        let mut id = None;
        let writer = if layout.spec.format == Format::ProtobufNosr {
            layout.schema().and_then(|text| ParsedSchema::new(&text, &[]).encoder(layout))
        } else {
            let schema = layout.spec.schema.as_ref();
            id = schema.and_then(|schema| schema.writer);
            match id.and_then(|id| schema?.cache.get(id)) {
                Some(schema) => schema.encoder(layout),
                None => Ok(unusable(
                    "no schema has been registered for what is to be written; is there a schema registry?",
                )),
            }
        };
        let writer = writer.unwrap_or_else(|error| unusable(&error.message));
        Self { id, wrapped: layout.is_wrapped(), writer }
    }
}

impl Encoder for FramedEncoder {
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(id) = self.id {
            frame(id, out);
        }
        match &self.writer {
            Writer::Avro(writer) => writer.encode(columns, row, self.wrapped, out),
            Writer::Protobuf(writer) => {
                if self.id.is_some() {
                    write_indexes(writer.indexes(), out);
                }
                writer.encode(columns, row, out)
            }
            Writer::Json(writer) => Encoder::encode(writer, columns, row, out),
            Writer::Unusable(message) => Err(EncodeError::Schema(message.clone())),
        }
    }

    fn is_absent(&self, columns: &[&Column], row: usize) -> bool {
        !self.wrapped && columns.first().is_some_and(|column| column.is_null(row))
    }
}
