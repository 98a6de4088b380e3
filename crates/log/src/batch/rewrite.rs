//! Batches changed on their way in, as a topic's settings ask: another codec, the time of the append. The records themselves, the
//! producer's fields and the flags stay what they are.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::compression::Compression;
use super::header::{BatchError, CRC_FROM, HEADER_BYTES, LOG_APPEND_TIME, split_first};
use super::record::Batch;
use bytes::{Buf, BytesMut};
use std::ops::Range;

const CRC: Range<usize> = 17..21;
const ATTRIBUTES: Range<usize> = 21..23;
const MAX_TIMESTAMP: Range<usize> = 35..43;

impl Batch {
    /// The batch with its records compressed by `codec`.
    pub(crate) fn recompressed(&self, codec: Compression) -> Result<BytesMut, BatchError> {
        let mut records = self.bytes.clone();
        records.advance(HEADER_BYTES.min(records.len()));
        let plain = self.header.compression().decompress(&records)?;
        let records = codec.compress(plain.to_vec()).map_err(|_| BatchError::Field("compressed part"))?;
        let mut header = self.header;
        header.set_compression(codec);
        Ok(BytesMut::from(header.encode(&records).as_slice()))
    }
}

/// Gives all records of a whole batch the time of the append. An error where the checksum does not fit: the new one would hide it.
pub(crate) fn stamp_append_time(batch: &mut [u8], now_ms: i64) -> Result<(), BatchError> {
    let (header, _) = split_first(batch)?;
    let attributes = header.attributes | LOG_APPEND_TIME;
    put(batch, ATTRIBUTES, &attributes.to_be_bytes())?;
    put(batch, MAX_TIMESTAMP, &now_ms.to_be_bytes())?;
    seal(batch)
}

/// Says of a whole batch when its newest record is from: retention and searches by time go by it. An error as above.
pub(crate) fn stamp_max_timestamp(batch: &mut [u8], newest_ms: i64) -> Result<(), BatchError> {
    split_first(batch)?;
    put(batch, MAX_TIMESTAMP, &newest_ms.to_be_bytes())?;
    seal(batch)
}

fn seal(batch: &mut [u8]) -> Result<(), BatchError> {
    let crc = crc32c::crc32c(batch.get(CRC_FROM..).ok_or(BatchError::TooShort)?);
    put(batch, CRC, &crc.to_be_bytes())
}

fn put(batch: &mut [u8], at: Range<usize>, bytes: &[u8]) -> Result<(), BatchError> {
    batch.get_mut(at).ok_or(BatchError::TooShort)?.copy_from_slice(bytes);
    Ok(())
}
