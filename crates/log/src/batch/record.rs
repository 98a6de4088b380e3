//! Records inside a batch.
//!
//! Each is: length varint, attributes i8 (0), timestamp delta varlong, offset delta varint, key and value (varint length or
//! -1, bytes), header count varint, headers (varint length, name; varint length or -1, value).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::cursor::{Cursor, put_sized, put_varlong};
use super::header::{BatchError, BatchHeader, HEADER_BYTES, split_first};
use crate::limits;
use bytes::{Buf, Bytes};

/// A record header: a name and an optional value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, UTF-8; names may repeat.
    pub name: Box<str>,
    /// The value.
    pub value: Option<Bytes>,
}

/// One record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its time in ms.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone in compacted topics.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<Header>,
}

/// One whole batch with the right CRC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The fields before the records.
    pub header: BatchHeader,
    /// All its bytes, the header's among them.
    pub bytes: Bytes,
}

/// The batches in `bytes`, one after the other, CRC checked. Ends after the first error.
pub fn batches(mut bytes: Bytes) -> impl Iterator<Item = Result<Batch, BatchError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        match split_first(&bytes) {
            Ok((header, _)) => Some(Ok(Batch { header, bytes: bytes.split_to(header.size_bytes) })),
            Err(error) => {
                bytes.clear();
                Some(Err(error))
            }
        }
    })
}

impl Batch {
    /// The first batch in `bytes`, CRC checked.
    pub fn decode(mut bytes: Bytes) -> Result<Self, BatchError> {
        let (header, _) = split_first(&bytes)?;
        bytes.truncate(header.size_bytes);
        Ok(Self { header, bytes })
    }

    /// Its records, decompressed. Keys and values are slices of one buffer, not copies.
    pub fn records(&self) -> Result<Vec<Record>, BatchError> {
        let mut records = self.bytes.clone();
        records.advance(HEADER_BYTES.min(records.len()));
        let bytes = self.header.compression().decompress(&records)?;
        let count =
            usize::try_from(self.header.record_count).map_err(|_| BatchError::Field("record count"))?;
        // A record takes at least seven bytes: a larger count is a lie, and not allocated for.
        let mut out = Vec::with_capacity(count.min(bytes.len() / 7));
        let mut cursor = Cursor::new(&bytes);
        for _ in 0..count {
            out.push(decode_record(&self.header, &bytes, &mut cursor)?);
        }
        if cursor.position() != bytes.len() {
            return Err(BatchError::Field("record count"));
        }
        Ok(out)
    }
}

fn decode_record(header: &BatchHeader, bytes: &Bytes, cursor: &mut Cursor<'_>) -> Result<Record, BatchError> {
    let length = usize::try_from(cursor.varint()?).map_err(|_| BatchError::Field("record length"))?;
    let end = cursor.position().checked_add(length).ok_or(BatchError::Field("record length"))?;
    let _attributes = cursor.i8()?;
    let timestamp_delta = cursor.varlong()?;
    let offset_delta = cursor.varint()?;
    if !(0..=header.last_offset_delta).contains(&offset_delta) {
        return Err(BatchError::Field("offset delta"));
    }
    let key = cursor.sized()?.map(|range| bytes.slice(range));
    let value = cursor.sized()?.map(|range| bytes.slice(range));
    let count = usize::try_from(cursor.varint()?)
        .ok()
        .filter(|count| *count <= limits::RECORD_HEADERS)
        .ok_or(BatchError::Field("number of record headers"))?;
    let mut headers = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        headers.push(decode_header(bytes, cursor)?);
    }
    if cursor.position() != end {
        return Err(BatchError::Field("record length"));
    }
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.saturating_add(timestamp_delta)
    };
    let offset = header.base_offset.saturating_add(i64::from(offset_delta));
    Ok(Record { offset, timestamp, key, value, headers })
}

fn decode_header(bytes: &Bytes, cursor: &mut Cursor<'_>) -> Result<Header, BatchError> {
    let name = cursor.sized()?.ok_or(BatchError::Field("record header name"))?;
    let name = std::str::from_utf8(bytes.get(name).unwrap_or_default())
        .map_err(|_| BatchError::Field("record header name"))?
        .into();
    let value = cursor.sized()?.map(|range| bytes.slice(range));
    Ok(Header { name, value })
}

/// Appends one record; `scratch` is any buffer, kept between calls to save allocations.
pub(crate) fn encode_record(out: &mut Vec<u8>, scratch: &mut Vec<u8>, header: &BatchHeader, record: &Record) {
    scratch.clear();
    scratch.push(0);
    put_varlong(scratch, record.timestamp.wrapping_sub(header.base_timestamp));
    put_varlong(scratch, record.offset.wrapping_sub(header.base_offset));
    put_sized(scratch, record.key.as_deref());
    put_sized(scratch, record.value.as_deref());
    put_varlong(scratch, i64::try_from(record.headers.len()).unwrap_or(i64::MAX));
    for header in &record.headers {
        put_sized(scratch, Some(header.name.as_bytes()));
        put_sized(scratch, header.value.as_deref());
    }
    put_sized(out, Some(scratch));
}
