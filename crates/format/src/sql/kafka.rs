//! The format `KAFKA`: one column as Kafka's own serializers write it (UTF-8 text, big-endian numbers, bytes as they are).

use super::{
    Column, ColumnBuilder, Columns, Datum, DecodeError, Decoded, Decoder, EncodeError, Encoder, Format,
    SqlType,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads and writes one column.
#[derive(Debug)]
pub(super) struct KafkaCodec {
    column: Option<(Arc<str>, SqlType)>,
}

impl KafkaCodec {
    pub(super) fn new(columns: &Columns) -> Self {
        Self { column: columns.first().cloned() }
    }
}

impl Decoder for KafkaCodec {
    fn decode(&mut self, bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<Decoded, DecodeError> {
        let (Some((name, sql_type)), [into, ..]) = (&self.column, into) else { return Ok(Decoded::Row) };
        into.append(&read(bytes, name, *sql_type)?);
        Ok(Decoded::Row)
    }
}

impl Encoder for KafkaCodec {
    fn encode(&self, columns: &[&Column], row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Some(column) = columns.first() else { return Ok(()) };
        match column.datum(row) {
            Datum::Int(v) => out.extend_from_slice(&v.to_be_bytes()),
            Datum::BigInt(v) => out.extend_from_slice(&v.to_be_bytes()),
            Datum::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
            Datum::Varchar(v) => out.extend_from_slice(v.as_bytes()),
            Datum::Bytes(v) => out.extend_from_slice(&v),
            Datum::Null => {}
            _ => {
                let name = self.column.as_ref().map_or_else(|| Arc::from("?"), |(name, _)| name.clone());
                let what = column.sql_type().to_string();
                return Err(EncodeError::Value { column: name, format: Format::Kafka, what });
            }
        }
        Ok(())
    }

    fn is_absent(&self, columns: &[&Column], row: usize) -> bool {
        columns.first().is_some_and(|column| column.is_null(row))
    }
}

fn read<'a>(bytes: &'a [u8], name: &Arc<str>, sql_type: SqlType) -> Result<Datum<'a>, DecodeError> {
    let wrong = || DecodeError::Binary { column: name.clone(), sql_type, len_bytes: bytes.len() };
    Ok(match sql_type {
        SqlType::Varchar => Datum::Varchar(Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| wrong())?)),
        SqlType::Int => Datum::Int(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        SqlType::BigInt => Datum::BigInt(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        SqlType::Double => Datum::Double(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        SqlType::Bytes => Datum::Bytes(Cow::Borrowed(bytes)),
        _ => return Err(wrong()),
    })
}
