//! One partition: append, read, look up, delete.

use crate::LogError;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::watch;

/// Where appended batches went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The first offset after the last record; what to hand to [`Partition::flushed`].
    pub next_offset: i64,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first offset there is.
    pub earliest: i64,
    /// The next offset to be written.
    pub next: i64,
    /// Everything before this offset survives a power cut.
    pub durable: i64,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundByTime {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms.
    pub timestamp: i64,
}

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {}

impl Partition {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        unimplemented!()
    }

    /// The partition's number.
    pub fn number(&self) -> i32 {
        unimplemented!()
    }

    /// Appends one or more whole batches (v2) in order: checks sizes and CRCs, writes offsets into their headers in place,
    /// and hands them to the page cache. All or none of them are in the log afterwards.
    pub fn append(&self, batches: &mut [u8]) -> Result<Appended, LogError> {
        let _ = batches;
        unimplemented!()
    }

    /// Resolves when everything before `next_offset` is on disk; [`LogError::Fenced`] where the disk failed before.
    pub async fn flushed(self: &Arc<Self>, next_offset: i64) -> Result<(), LogError> {
        let _ = next_offset;
        unimplemented!()
    }

    /// Puts everything appended so far on disk, in the calling thread.
    pub fn sync(&self) -> Result<(), LogError> {
        unimplemented!()
    }

    /// Whole batches from the one that holds `from` (or the next one, where compaction removed it), CRC checked, at least one
    /// and otherwise at most `bytes_max` bytes. Empty where `from` is the next offset to be written.
    ///
    /// [`LogError::Corrupt`] where the batch at `from` is damaged; it names the offset to go on.
    pub fn read(&self, from: i64, bytes_max: usize) -> Result<Bytes, LogError> {
        let _ = (from, bytes_max);
        unimplemented!()
    }

    /// First, next and durable offset.
    pub fn range(&self) -> Range {
        unimplemented!()
    }

    /// The next offset to be written, as it changes: readers wait for it instead of polling.
    pub fn appended(&self) -> watch::Receiver<i64> {
        unimplemented!()
    }

    /// The first record whose timestamp is at least `timestamp_ms`, by the newest record of each batch; `None` where all
    /// are older.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<FoundByTime>, LogError> {
        let _ = timestamp_ms;
        unimplemented!()
    }

    /// Deletes every record before `offset`; durable when it returns. `offset` may be the next one at most.
    pub fn delete_before(&self, offset: i64) -> Result<(), LogError> {
        let _ = offset;
        unimplemented!()
    }

    /// Bytes on disk, indexes not counted.
    pub fn size_bytes(&self) -> u64 {
        unimplemented!()
    }
}
