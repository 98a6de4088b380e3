//! A look at the records of a batch that builds none of them: whether they are what the header says, and what rules ask of each.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::cursor::Cursor;
use super::header::{BatchError, BatchHeader, HEADER_BYTES};
use crate::limits;
use bytes::{Buf, Bytes};

/// What is looked at of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Its place in the batch, from 0 on.
    pub(crate) index: i32,
    /// The time that its producer gave it, in ms.
    pub(crate) timestamp: i64,
    /// Whether it has a key.
    pub(crate) has_key: bool,
}

/// Looks at every record of a producer's whole batch, in order. An error where they are not those that the header announces: a consumer
/// could not read past them. The CRC is not looked at.
pub(crate) fn glance(
    header: &BatchHeader,
    batch: &Bytes,
    mut see: impl FnMut(Glance),
) -> Result<(), BatchError> {
    let mut records = batch.clone();
    records.advance(HEADER_BYTES.min(records.len()));
    let records = header.compression().decompress(&records)?;
    let mut cursor = Cursor::new(&records);
    for index in 0..header.record_count {
        see(glance_one(header, index, &mut cursor)?);
    }
    if cursor.position() == records.len() { Ok(()) } else { Err(BatchError::Field("record count")) }
}

fn glance_one(header: &BatchHeader, index: i32, cursor: &mut Cursor<'_>) -> Result<Glance, BatchError> {
    let length = usize::try_from(cursor.varint()?).map_err(|_| BatchError::Field("record length"))?;
    let end = cursor.position().checked_add(length).ok_or(BatchError::Field("record length"))?;
    let _attributes = cursor.i8()?;
    let timestamp_delta = cursor.varlong()?;
    if cursor.varint()? != index {
        return Err(BatchError::Field("offset delta"));
    }
    let has_key = cursor.sized()?.is_some();
    let _value = cursor.sized()?;
    let count = usize::try_from(cursor.varint()?)
        .ok()
        .filter(|count| *count <= limits::RECORD_HEADERS)
        .ok_or(BatchError::Field("number of record headers"))?;
    for _ in 0..count {
        cursor.sized()?.ok_or(BatchError::Field("record header name"))?;
        let _value = cursor.sized()?;
    }
    if cursor.position() != end {
        return Err(BatchError::Field("record length"));
    }
    Ok(Glance { index, timestamp: header.base_timestamp.saturating_add(timestamp_delta), has_key })
}
