//! The 61 bytes before the records, and the CRC over everything but the first 21.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::compression::{CODEC_BITS, Compression};
use super::cursor::Cursor;
use thiserror::Error;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the part that `batchLength` counts.
const LENGTH_PREFIX_BYTES: usize = 12;
/// Where the part under the CRC begins.
pub(super) const CRC_FROM: usize = 21;
/// The leader epoch of every batch in the log: there is one leader, for ever. Being fixed, it is checked like the CRC.
pub(crate) const LEADER_EPOCH: i32 = 0;

pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("the batch ends too early")]
    TooShort,
    /// A format other than v2.
    #[error("batch format {0} is not supported, only 2")]
    Magic(i8),
    /// The checksum does not fit the bytes.
    #[error("the checksum of the batch is wrong")]
    Crc,
    /// A field that cannot be so.
    #[error("the batch has a bad {0}")]
    Field(&'static str),
    /// The records decompress to more than [`crate::limits::DECOMPRESSED_BYTES`].
    #[error("the batch is too large when decompressed")]
    TooLarge,
}

/// The fields before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record (before compaction).
    pub base_offset: i64,
    /// Bytes of the whole batch, from the first byte of this header.
    pub size_bytes: usize,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: i32,
    /// CRC-32C of all bytes after it.
    pub crc: u32,
    /// The bits; see the methods.
    pub attributes: i16,
    /// The last record's offset less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from, in ms.
    pub base_timestamp: i64,
    /// The newest record's timestamp in ms.
    pub max_timestamp: i64,
    /// The producer's id; -1 for none.
    pub producer_id: i64,
    /// The producer's epoch; -1 for none.
    pub producer_epoch: i16,
    /// The sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// How many records there are. Fewer than offsets after compaction.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`. Checks each field by itself, but not the CRC, and not whether the
    /// records are all there.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut cursor = Cursor::new(bytes);
        let base_offset = cursor.i64()?;
        let length = cursor.i32()?;
        let leader_epoch = cursor.i32()?;
        let magic = cursor.i8()?;
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let size_bytes = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_PREFIX_BYTES))
            .filter(|size| *size >= HEADER_BYTES)
            .ok_or(BatchError::Field("length"))?;
        let header = Self {
            base_offset,
            size_bytes,
            leader_epoch,
            crc: cursor.u32()?,
            attributes: cursor.i16()?,
            last_offset_delta: cursor.i32()?,
            base_timestamp: cursor.i64()?,
            max_timestamp: cursor.i64()?,
            producer_id: cursor.i64()?,
            producer_epoch: cursor.i16()?,
            base_sequence: cursor.i32()?,
            record_count: cursor.i32()?,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        if self.base_offset < 0 || self.base_offset.checked_add(i64::from(i32::MAX)).is_none() {
            return Err(BatchError::Field("base offset"));
        }
        if self.last_offset_delta < 0 {
            return Err(BatchError::Field("last offset delta"));
        }
        if self.record_count < 0
            || i64::from(self.record_count) > i64::from(self.last_offset_delta).saturating_add(1)
        {
            return Err(BatchError::Field("record count"));
        }
        if Compression::from_attributes(self.attributes).is_none() {
            return Err(BatchError::Field("compression codec"));
        }
        Ok(())
    }

    /// The offset of the last record (before compaction).
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The first offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        Compression::from_attributes(self.attributes).unwrap_or(Compression::None)
    }

    /// Whether the records belong to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds a [`super::ControlMarker`] and no data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether every record has the time of the append, [`BatchHeader::max_timestamp`].
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// When compaction may drop the batch's tombstones, in ms; `None` before the first compaction.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Whether an idempotent or transactional producer wrote it.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    pub(crate) fn set_flags(&mut self, transactional: bool, control: bool) {
        self.attributes |= if transactional { TRANSACTIONAL } else { 0 } | if control { CONTROL } else { 0 };
    }

    pub(super) fn set_compression(&mut self, codec: Compression) {
        self.attributes = self.attributes & !CODEC_BITS | codec.attributes();
    }

    pub(crate) fn set_delete_horizon(&mut self, horizon_ms: i64) {
        self.attributes |= DELETE_HORIZON;
        self.base_timestamp = horizon_ms;
    }

    /// The header as bytes followed by `records`, with length and CRC as they must be.
    pub(crate) fn encode(&self, records: &[u8]) -> Vec<u8> {
        let after_crc = [
            &self.attributes.to_be_bytes()[..],
            &self.last_offset_delta.to_be_bytes(),
            &self.base_timestamp.to_be_bytes(),
            &self.max_timestamp.to_be_bytes(),
            &self.producer_id.to_be_bytes(),
            &self.producer_epoch.to_be_bytes(),
            &self.base_sequence.to_be_bytes(),
            &self.record_count.to_be_bytes(),
        ]
        .concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&after_crc), records);
        let size = HEADER_BYTES.saturating_add(records.len());
        let length = i32::try_from(size.saturating_sub(LENGTH_PREFIX_BYTES)).unwrap_or(i32::MAX);
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&self.base_offset.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&LEADER_EPOCH.to_be_bytes());
        out.push(2);
        out.extend_from_slice(&crc.to_be_bytes());
        out.extend_from_slice(&after_crc);
        out.extend_from_slice(records);
        out
    }
}

/// The header of the first batch in `bytes`, and its bytes, whole and with the right CRC.
pub(crate) fn split_first(bytes: &[u8]) -> Result<(BatchHeader, &[u8]), BatchError> {
    let header = BatchHeader::decode(bytes)?;
    let batch = bytes.get(..header.size_bytes).ok_or(BatchError::TooShort)?;
    let covered = batch.get(CRC_FROM..).ok_or(BatchError::TooShort)?;
    if crc32c::crc32c(covered) != header.crc {
        return Err(BatchError::Crc);
    }
    Ok((header, batch))
}

/// Writes the offset and the log's leader epoch into the front of a batch; neither is under the CRC.
pub(crate) fn give_offset(batch: &mut [u8], base_offset: i64) {
    let fields = base_offset.to_be_bytes().into_iter().zip(0..8);
    let epoch = LEADER_EPOCH.to_be_bytes().into_iter().zip(12..16);
    for (byte, at) in fields.chain(epoch) {
        if let Some(slot) = batch.get_mut(at) {
            *slot = byte;
        }
    }
}
