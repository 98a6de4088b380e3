//! Appending.

use super::ahead::Ahead;
use super::{ActiveSegment, Appended, Partition, State};
use crate::batch::{BatchHeader, give_offset, split_first};
use crate::reserve::Need;
use crate::segment::{ClosedSegment, SegmentName};
use crate::{LogError, limits};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Partition {
    /// Appends one or more whole batches (v2) in order: checks sizes and CRCs, writes offsets into their headers in place,
    /// and hands them to the page cache. All or none of them are in the log afterwards.
    pub fn append(&self, batches: &mut [u8]) -> Result<Appended, LogError> {
        self.append_at(None, batches)
    }

    /// Like [`Partition::append`], where the next offset is still `expected`: [`LogError::Fenced`] where it is not, because the disk
    /// failed since it was, and what was not durable is lost.
    pub fn append_at(&self, expected: Option<i64>, batches: &mut [u8]) -> Result<Appended, LogError> {
        let mut headers = self.check(batches)?;
        let mut state = self.state.lock();
        self.check_writable(&state)?;
        if expected.is_some_and(|expected| expected != state.active.next_offset) {
            return Err(self.fenced("it works again, and what was lost is being looked at".to_owned()));
        }
        let config = self.config();
        let size_bytes = batches.len() as u64;
        if state.active.size_bytes > 0 && state.active.size_bytes + size_bytes > config.segment_bytes {
            self.roll(&mut state)?;
        }
        let base_offset = state.active.next_offset;
        let mut next_offset = base_offset;
        let mut rest = &mut *batches;
        for header in &mut headers {
            let (batch, later) = rest.split_at_mut(header.size_bytes);
            give_offset(batch, next_offset);
            header.base_offset = next_offset;
            next_offset = header.next_offset();
            rest = later;
        }
        self.write(&mut state, batches, config.reserved)?;
        if state.active.size_bytes == 0 {
            state.active.began_at = self.shared.retention_now_ms();
        }
        let active = &mut state.active;
        for header in &headers {
            active.index.push(active.size_bytes, header);
            active.size_bytes += header.size_bytes as u64;
        }
        active.next_offset = next_offset;
        drop(state);
        self.appended_records.add((next_offset - base_offset).cast_unsigned());
        self.appended_bytes.add(size_bytes);
        self.appended.send_replace(next_offset);
        if self.shared.files.pinned() > limits::DIRTY_FILES {
            // So many partitions are dirty at once that their handles would run out: this one pays.
            self.sync()?;
        }
        Ok(Appended { base_offset, next_offset })
    }

    /// The headers of the batches, each checked.
    fn check(&self, batches: &[u8]) -> Result<Vec<BatchHeader>, LogError> {
        let invalid =
            |what: &str| LogError::Invalid(format!("append to `{}-{}`: {what}", self.topic, self.number));
        if batches.is_empty() || batches.len() > limits::APPEND_BYTES {
            return Err(invalid("there must be at least one batch, and not more than 256 MiB"));
        }
        let bytes_max = self.config().max_message_bytes;
        let mut headers = Vec::new();
        let mut rest = batches;
        while !rest.is_empty() {
            let (header, batch) = split_first(rest).map_err(|error| invalid(&error.to_string()))?;
            if batch.len() > bytes_max {
                return Err(invalid(&format!(
                    "a batch of {} bytes is over max.message.bytes, {bytes_max}",
                    batch.len()
                )));
            }
            if header.record_count < 1 || header.record_count - 1 != header.last_offset_delta {
                return Err(invalid("the batch has a bad record count"));
            }
            headers.push(header);
            rest = rest.get(header.size_bytes..).unwrap_or_default();
        }
        Ok(headers)
    }

    /// Writes behind the last batch. After a failure the file is as long as before.
    fn write(&self, state: &mut State, bytes: &[u8], reserved: bool) -> Result<(), LogError> {
        let path = state.active.name().log_path(&self.dir);
        let io = |error| LogError::io("append to", &path, error);
        if !reserved && self.shared.reserve.is_spent() {
            return Err(LogError::DiskFull { path });
        }
        let file = match &state.active.dirty {
            Some(dirty) => Arc::clone(&dirty.file),
            None => self.shared.files.open(&path).map_err(io)?,
        };
        let at = state.active.size_bytes;
        let mut written = file.write_at(at, bytes).map_err(io);
        while reserved
            && matches!(written, Err(LogError::DiskFull { .. }))
            && self.shared.reserve.give(Need::Records)
        {
            written = file.write_at(at, bytes).map_err(io);
        }
        match written {
            Ok(()) => {
                state.active.dirty.get_or_insert_with(|| self.shared.files.pin(file));
                Ok(())
            }
            Err(LogError::DiskFull { path }) => {
                self.shared.is_full.store(true, Ordering::Relaxed);
                // Where even this fails, the next append writes over the rest, and recovery would cut it off.
                let _ = file.set_len(at);
                state.active.ahead = Ahead::default();
                Err(LogError::DiskFull { path })
            }
            Err(error) => {
                self.fence(state, &error);
                Err(error)
            }
        }
    }

    /// Closes the active segment and begins the next one. Both become durable with the next sync.
    pub(super) fn roll(&self, state: &mut State) -> Result<(), LogError> {
        let next = ActiveSegment::new(state.active.next_offset);
        self.create_file(&next.name().log_path(&self.dir))?;
        self.cut_zeros(state);
        let closed = std::mem::replace(&mut state.active, next);
        state.dir_changed = true;
        state.unnoted_bytes = u64::MAX;
        state.unsynced.extend(closed.dirty);
        let name = SegmentName::first(closed.base_offset);
        let index = Arc::new(closed.index);
        self.shared.files.keep_index(&name.log_path(&self.dir), Arc::clone(&index));
        state.unwritten_indexes.push((name, Arc::clone(&index)));
        state.closed.push(ClosedSegment {
            name,
            size_bytes: closed.size_bytes,
            next_offset: closed.next_offset,
            newest_timestamp: index.newest_timestamp(),
            closed_at: self.shared.retention_now_ms(),
        });
        Ok(())
    }
}
