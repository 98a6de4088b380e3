//! What becomes of a batch that a client sends: refused, or made ready to append by its topic's settings.
//!
//! Every record is looked at, though none is built: one that is not what its batch announces would stop every consumer of the
//! partition for good, and a time that is not that of any record would keep a segment from ever being deleted. The rules, and what is
//! said of each record, are those of Kafka's `LogValidator`. That the checksum fits is seen here only where the batch is rewritten
//! or refused; [`crate::Partition::append`] looks at it for all.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::batch::{Batch, BatchError, BatchHeader, Glance, glance, stamp_append_time, stamp_max_timestamp};
use crate::config::{TimestampType, TopicConfig};
use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// A batch that can be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its header.
    pub header: BatchHeader,
    /// All its bytes, the header's among them.
    pub batch: BytesMut,
    /// The time that all its records got, in ms; `None` where they keep their own.
    pub append_time_ms: Option<i64>,
}

/// Why a batch is refused, split by what a producer makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was damaged on its way: the same again may work.
    Damaged,
    /// It is over `max.message.bytes`.
    TooLarge,
    /// It is larger than a segment may be.
    LargerThanSegment,
    /// It can never be taken.
    Invalid,
    /// Records have times that the topic does not take.
    Timestamp,
}

/// A batch that cannot be appended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// Records that are to blame, by their place in the batch, and why; empty where it is the batch.
    pub records: Vec<(i32, String)>,
}

impl Refused {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), records: Vec::new() }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Self {
        let reason = match error {
            BatchError::TooShort | BatchError::Crc => Reason::Damaged,
            BatchError::Magic(_) | BatchError::Field(_) | BatchError::TooLarge => Reason::Invalid,
        };
        Self::new(reason, error.to_string())
    }
}

impl TopicConfig {
    /// Looks at what a producer sends for one partition, which must be one batch, and makes it ready to append at `now_ms`.
    pub fn take_in(&self, bytes: &Bytes, now_ms: i64) -> Result<Ready, Refused> {
        let header = self.check_header(bytes)?;
        let newest_ms = self.check_records(&header, bytes, now_ms)?;
        let mut ready = match self.compression {
            Some(codec) if codec != header.compression() => {
                let batch = Batch::decode(bytes.clone())?.recompressed(codec)?;
                let header = BatchHeader::decode(&batch)?;
                self.check_size(header.size_bytes)?;
                Ready { header, batch, append_time_ms: None }
            }
            _ => Ready { header, batch: BytesMut::from(&**bytes), append_time_ms: None },
        };
        if self.timestamp_type == TimestampType::LogAppendTime {
            stamp_append_time(&mut ready.batch, now_ms)?;
            ready.header = BatchHeader::decode(&ready.batch)?;
            ready.append_time_ms = Some(now_ms);
        } else if ready.header.max_timestamp != newest_ms {
            stamp_max_timestamp(&mut ready.batch, newest_ms)?;
            ready.header = BatchHeader::decode(&ready.batch)?;
        }
        Ok(ready)
    }

    fn check_header(&self, bytes: &[u8]) -> Result<BatchHeader, Refused> {
        let invalid = |message: &str| Refused::new(Reason::Invalid, message);
        if bytes.is_empty() {
            return Err(invalid("a producer sends one batch for each partition, and here is none"));
        }
        let header = BatchHeader::decode(bytes)?;
        if header.size_bytes > bytes.len() {
            return Err(BatchError::TooShort.into());
        }
        if header.size_bytes < bytes.len() {
            return Err(invalid("a producer sends one batch for each partition, and here are more"));
        }
        if header.base_offset != 0 {
            return Err(invalid("the offsets of a producer's batch begin with 0"));
        }
        if header.record_count < 1 || header.record_count.checked_sub(1) != Some(header.last_offset_delta) {
            return Err(invalid("the batch has a bad record count"));
        }
        if header.is_control() {
            return Err(invalid("clients cannot write control records"));
        }
        if header.has_producer() && header.base_sequence < 0 {
            return Err(invalid("the batch has a producer id and no sequence number"));
        }
        self.check_size(header.size_bytes)?;
        Ok(header)
    }

    fn check_size(&self, size_bytes: usize) -> Result<(), Refused> {
        if size_bytes > self.max_message_bytes {
            let max = self.max_message_bytes;
            let message = format!("a batch of {size_bytes} bytes is over max.message.bytes, {max}");
            return Err(Refused::new(Reason::TooLarge, message));
        }
        if u64::try_from(size_bytes).is_ok_and(|size| size > self.segment_bytes) {
            let max = self.segment_bytes;
            let message = format!("a batch of {size_bytes} bytes is larger than a segment, {max}");
            return Err(Refused::new(Reason::LargerThanSegment, message));
        }
        Ok(())
    }

    /// The rules about each record; the time of the newest one.
    fn check_records(&self, header: &BatchHeader, bytes: &Bytes, now_ms: i64) -> Result<i64, Refused> {
        let has_own_times = self.timestamp_type == TimestampType::CreateTime;
        if has_own_times && header.is_log_append_time() {
            let message = "the time of the append is the broker's to give, and the batch has it already";
            return Err(Refused::new(Reason::Timestamp, message));
        }
        let earliest = now_ms.saturating_sub(self.timestamp_before_max_ms);
        let latest = now_ms.saturating_add(self.timestamp_after_max_ms);
        let mut newest_ms = NO_TIMESTAMP;
        let mut count = 0_usize;
        let mut refused = Refused::new(Reason::Invalid, String::new());
        let looked_at = glance(header, bytes, |Glance { index, timestamp, has_key }| {
            newest_ms = newest_ms.max(timestamp);
            let is_timely =
                !has_own_times || timestamp == NO_TIMESTAMP || (earliest..=latest).contains(&timestamp);
            let has_its_key = has_key || !self.cleanup.compact;
            if is_timely && has_its_key {
                return;
            }
            count = count.saturating_add(1);
            if has_its_key {
                refused.reason = Reason::Timestamp;
            }
            // Millions of records may hide in a batch: not each can have words of its own.
            if refused.records.len() < NAMED_RECORDS {
                let message = if has_its_key {
                    format!("its timestamp {timestamp} is not within {earliest} to {latest}")
                } else {
                    "a compacted topic takes no record without a key".to_owned()
                };
                refused.records.push((index, message));
            }
        });
        if looked_at.is_err() || count > 0 {
            // Damaged on its way, or made so? The checksum tells.
            Batch::decode(bytes.clone())?;
        }
        if let Err(error) = looked_at {
            return Err(Refused::new(Reason::Invalid, error.to_string()));
        }
        let Some((index, first)) = refused.records.first() else { return Ok(newest_ms) };
        refused.message = format!("{count} records of the batch are refused; record {index}: {first}");
        Err(refused)
    }
}

/// Refused records that are named one by one.
const NAMED_RECORDS: usize = 1_000;
/// The timestamp of a record that has none.
const NO_TIMESTAMP: i64 = -1;

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests;
