//! Making batches.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::compression::Compression;
use super::control::ControlMarker;
use super::header::{BatchError, BatchHeader, HEADER_BYTES, LEADER_EPOCH};
use super::record::{Header, Record, encode_record};
use bytes::{Bytes, BytesMut};

/// Collects records and makes one batch of them.
#[derive(Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    records: Vec<u8>,
    scratch: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch. Offsets count from 0; the log gives the final ones.
    pub fn new(compression: Compression) -> Self {
        let header = BatchHeader {
            base_offset: 0,
            size_bytes: HEADER_BYTES,
            leader_epoch: LEADER_EPOCH,
            crc: 0,
            attributes: compression.attributes(),
            last_offset_delta: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        };
        Self { header, compression, records: Vec::new(), scratch: Vec::new() }
    }

    /// A batch that takes the place of an older one: same offsets, producer and flags, `header.base_timestamp` kept.
    pub(crate) fn replacing(header: BatchHeader) -> Self {
        let compression = header.compression();
        Self {
            header: BatchHeader { record_count: 0, ..header },
            compression,
            records: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Stamps the batch as an idempotent producer's; `base_sequence` belongs to its first record.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes the records part of the producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.set_flags(true, false);
        self
    }

    /// A batch that ends the transaction of a producer: one control record, uncompressed.
    pub fn control(
        marker: ControlMarker,
        producer_id: i64,
        producer_epoch: i16,
        timestamp_ms: i64,
    ) -> BytesMut {
        let mut builder = Self::new(Compression::None).producer(producer_id, producer_epoch, -1);
        builder.header.set_flags(true, true);
        builder.push(timestamp_ms, Some(marker.key()), Some(marker.value()), Vec::new());
        BytesMut::from(builder.header.encode(&builder.records).as_slice())
    }

    /// Adds a record after those already there.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<Bytes>,
        value: Option<Bytes>,
        headers: Vec<Header>,
    ) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp_ms;
        }
        self.header.last_offset_delta = self.header.last_offset_delta.saturating_add(1);
        let offset = self.header.last_offset();
        self.add(&Record { offset, timestamp: timestamp_ms, key, value, headers });
    }

    /// Adds a record that has its offset already.
    pub(crate) fn add(&mut self, record: &Record) {
        self.header.record_count = self.header.record_count.saturating_add(1);
        self.header.max_timestamp = self.header.max_timestamp.max(record.timestamp);
        encode_record(&mut self.records, &mut self.scratch, &self.header, record);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        usize::try_from(self.header.record_count).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// Bytes of the batch so far, before compression.
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES.saturating_add(self.records.len())
    }

    /// The batch, ready for [`crate::Partition::append`]. [`BatchError::Field`] where there is no record or the codec fails.
    pub fn finish(self) -> Result<BytesMut, BatchError> {
        if self.is_empty() {
            return Err(BatchError::Field("record count"));
        }
        self.encode().map(|batch| BytesMut::from(batch.as_slice()))
    }

    /// The batch, which may be empty.
    pub(crate) fn encode(self) -> Result<Vec<u8>, BatchError> {
        let records =
            self.compression.compress(self.records).map_err(|_| BatchError::Field("compressed part"))?;
        Ok(self.header.encode(&records))
    }
}
