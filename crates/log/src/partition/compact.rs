//! Applying compaction: closed segments are read, what stays is written to new ones, and the manifest changes over to them.

use super::Partition;
use super::sync::Keeper;
use crate::LogError;
use crate::batch::{Batch, BatchHeader};
use crate::compact::{Compaction, NewestOffsets, Transactions, Verdict};
use crate::config::TopicConfig;
use crate::disk::{DiskFile, Open};
use crate::index::Index;
use crate::limits;
use crate::segment::{ClosedSegment, SegmentName, Step};
use std::path::PathBuf;
use std::sync::Arc;

/// Closed segments that take part, oldest first.
#[derive(Debug)]
struct Candidates {
    segments: Vec<ClosedSegment>,
    /// Everything before has been compacted before.
    compacted_offset: i64,
}

/// A segment that was written instead of others.
#[derive(Debug)]
struct Compacted {
    sources: Vec<SegmentName>,
    /// `None` where nothing stays.
    segment: Option<(ClosedSegment, Arc<Index>)>,
}

impl Partition {
    /// Compacts the partition, where its topic wants it and enough is new.
    pub(crate) fn compact(&self) -> Result<(), LogError> {
        let config = self.config();
        // One at a time; the other one does the work.
        let Some(_compacting) = self.compacting.try_lock() else { return Ok(()) };
        let Some(candidates) = self.candidates(&config) else { return Ok(()) };
        let (transactions, damaged) = self.read_transactions(&candidates)?;
        let Some((newest, mapped)) = self.read_keys(&candidates, &transactions)? else { return Ok(()) };
        let now_ms = self.shared.retention_now_ms();
        let segments = &candidates.segments[..mapped];
        let Some(last) = segments.last() else { return Ok(()) };
        let mut compaction =
            Compaction::new(transactions, newest, now_ms, config.delete_retention_ms, damaged.is_empty());
        let mut written = Vec::new();
        for group in groups(segments, &damaged, config.segment_bytes) {
            match self.rewrite(group, &mut compaction) {
                Ok(compacted) => written.extend(compacted),
                Err(error) => {
                    written.iter().filter_map(|compacted| compacted.segment.as_ref()).for_each(
                        |(segment, _)| {
                            self.remove_segment(segment.name);
                        },
                    );
                    return Err(error);
                }
            }
        }
        self.change_over(written, last.next_offset)
    }

    fn candidates(&self, config: &TopicConfig) -> Option<Candidates> {
        let state = self.state.lock();
        if !config.cleanup.compact || state.stopped.is_some() {
            return None;
        }
        let young_from = self.shared.retention_now_ms().saturating_sub(config.min_compaction_lag_ms);
        let ready = |segment: &&ClosedSegment| {
            segment.name.base_offset < state.durable.base_offset
                && (config.min_compaction_lag_ms == 0 || segment.newest_timestamp <= young_from)
        };
        let segments: Vec<_> = state.closed.iter().take_while(ready).cloned().collect();
        let bytes = |from: i64| -> u64 {
            segments.iter().filter(|segment| segment.next_offset > from).map(|s| s.size_bytes).sum()
        };
        let (dirty, all) = (bytes(state.compacted_offset), bytes(0));
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let due = dirty > 0 && dirty as f64 >= config.min_cleanable_dirty_ratio * all as f64;
        due.then_some(Candidates { segments, compacted_offset: state.compacted_offset })
    }

    fn each_batch(
        &self,
        segment: &ClosedSegment,
        mut work: impl FnMut(Batch) -> Result<(), LogError>,
    ) -> Result<bool, LogError> {
        let begin = (0, segment.name.base_offset);
        let mut walk = self.walk(segment.name, segment.extent(), begin, limits::SCAN_BYTES)?;
        let mut sound = true;
        loop {
            match self.step(&mut walk, segment.name)? {
                Step::Batch(_, batch) => work(batch)?,
                Step::Damaged { .. } => sound = false,
                Step::End => return Ok(sound),
            }
        }
    }

    /// What became of the transactions, and which segments have damage: those stay as they are, so that reading still says so.
    fn read_transactions(
        &self,
        candidates: &Candidates,
    ) -> Result<(Transactions, Vec<SegmentName>), LogError> {
        let mut transactions = Transactions::default();
        let mut damaged = Vec::new();
        for segment in &candidates.segments {
            let mut undecodable = false;
            let sound = self.each_batch(segment, |batch| {
                undecodable |= transactions.push(&batch).is_err();
                Ok(())
            })?;
            if !sound || undecodable {
                damaged.push(segment.name);
            }
        }
        Ok((transactions, damaged))
    }

    /// The newest offsets of the keys that are new, and how many segments that covers. `None` where none can be done.
    fn read_keys(
        &self,
        candidates: &Candidates,
        transactions: &Transactions,
    ) -> Result<Option<(NewestOffsets, usize)>, LogError> {
        let end = transactions.first_open().unwrap_or(i64::MAX);
        let mut newest = NewestOffsets::default();
        let mut mapped = 0;
        for segment in &candidates.segments {
            if segment.next_offset > end || newest.is_full() {
                break;
            }
            if segment.next_offset > candidates.compacted_offset {
                self.each_batch(segment, |batch| {
                    // A batch that cannot be decoded was found before; its keys cannot be known.
                    let _ = newest.push(&batch, transactions);
                    Ok(())
                })?;
            }
            mapped += 1;
        }
        let reached = candidates.segments.get(..mapped).and_then(<[_]>::last);
        let progress = reached.is_some_and(|segment| segment.next_offset > candidates.compacted_offset);
        Ok(progress.then_some((newest, mapped)))
    }

    /// Writes what stays of some segments to one new one; `None` where all of it stays.
    fn rewrite(
        &self,
        group: &[ClosedSegment],
        compaction: &mut Compaction,
    ) -> Result<Option<Compacted>, LogError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
        let generation = group.iter().map(|segment| segment.name.generation).max().unwrap_or(0) + 1;
        let name = SegmentName { base_offset: first.name.base_offset, generation };
        let mut writer = SegmentWriter::new(self, name);
        let mut changed = group.len() > 1;
        for segment in group {
            self.each_batch(segment, |batch| match compaction.judge(&batch) {
                Verdict::Keep => writer.push(&batch.header, &batch.bytes),
                Verdict::Replace(bytes) => {
                    changed = true;
                    let size_bytes = bytes.len();
                    writer.push(&BatchHeader { size_bytes, ..batch.header }, &bytes)
                }
                Verdict::Drop => {
                    changed = true;
                    Ok(())
                }
            })?;
        }
        if !changed {
            return Ok(None);
        }
        let sources = group.iter().map(|segment| segment.name).collect();
        let segment = writer.finish()?.map(|index| {
            let closed = ClosedSegment {
                name,
                size_bytes: index.covered_bytes(),
                next_offset: last.next_offset,
                newest_timestamp: index.newest_timestamp(),
                closed_at: last.closed_at,
            };
            (closed, Arc::new(index))
        });
        Ok(Some(Compacted { sources, segment }))
    }

    fn change_over(&self, written: Vec<Compacted>, compacted_offset: i64) -> Result<(), LogError> {
        let keeper: Keeper<'_> = self.keeper.lock();
        // The new files must be there for sure before the manifest names them.
        self.sync_dir()?;
        {
            let mut state = self.state.lock();
            for Compacted { sources, segment } in written {
                let at = state.closed.iter().position(|closed| Some(&closed.name) == sources.first());
                let there = at.filter(|at| {
                    let closed = state.closed[*at..].iter().map(|closed| &closed.name);
                    closed.take(sources.len()).eq(&sources)
                });
                match (there, segment) {
                    (Some(at), segment) => {
                        let count = sources.len();
                        state.closed.splice(at..at + count, segment.iter().map(|(closed, _)| closed.clone()));
                        state.obsolete.extend(sources);
                        state.unwritten_indexes.extend(segment.map(|(closed, index)| (closed.name, index)));
                    }
                    // Deleted in the meantime, and so is what was made of it.
                    (None, Some((closed, _))) => state.obsolete.push(closed.name),
                    (None, None) => {}
                }
            }
            state.compacted_offset = compacted_offset;
        }
        self.note(&keeper)
    }
}

/// Neighbours that fit into one segment together. Damaged ones are left out.
fn groups<'a>(
    segments: &'a [ClosedSegment],
    damaged: &[SegmentName],
    segment_bytes: u64,
) -> Vec<&'a [ClosedSegment]> {
    let mut groups = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, segment) in segments.iter().enumerate() {
        let skip = damaged.contains(&segment.name);
        if skip || bytes + segment.size_bytes > segment_bytes {
            groups.push(&segments[from..at]);
            (from, bytes) = (at + usize::from(skip), 0);
        }
        if !skip {
            bytes += segment.size_bytes;
        }
    }
    groups.push(&segments[from..]);
    groups.retain(|group| !group.is_empty());
    groups
}

/// Writes a segment under a name of its own, and gives it the right one when it is whole and on disk.
struct SegmentWriter<'a> {
    partition: &'a Partition,
    name: SegmentName,
    index: Index,
    size_bytes: u64,
    buffer: Vec<u8>,
    file: Option<Arc<dyn DiskFile>>,
}

impl<'a> SegmentWriter<'a> {
    fn new(partition: &'a Partition, name: SegmentName) -> Self {
        let index = Index::new(name.base_offset);
        Self { partition, name, index, size_bytes: 0, buffer: Vec::new(), file: None }
    }

    fn path(&self) -> PathBuf {
        self.name.log_path(&self.partition.dir).with_extension("new")
    }

    fn push(&mut self, header: &BatchHeader, bytes: &[u8]) -> Result<(), LogError> {
        self.index.push(self.size_bytes, header);
        self.size_bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= limits::SCAN_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), LogError> {
        let path = self.path();
        let io = |error| LogError::io("write", &path, error);
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.partition.shared.disk.open(&path, Open::Create).map_err(io)?,
        };
        self.file = Some(Arc::clone(&file));
        let written = file.write_at(self.size_bytes - self.buffer.len() as u64, &self.buffer);
        self.buffer.clear();
        written.map_err(io)
    }

    /// The index of the finished segment; `None` where nothing was pushed.
    fn finish(mut self) -> Result<Option<Index>, LogError> {
        if self.size_bytes == 0 {
            return Ok(None);
        }
        self.write()?;
        let (new, path) = (self.path(), self.name.log_path(&self.partition.dir));
        if let Some(file) = self.file.take() {
            file.sync().map_err(|error| LogError::io("sync", &new, error))?;
        }
        let renamed = self.partition.shared.disk.rename(&new, &path);
        renamed.map_err(|error| LogError::io("rename to", &path, error))?;
        let index = std::mem::replace(&mut self.index, Index::new(0));
        self.size_bytes = 0;
        Ok(Some(index))
    }
}

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // It was not finished; nobody knows it.
            let _ = self.partition.shared.disk.remove(&self.path());
        }
    }
}
