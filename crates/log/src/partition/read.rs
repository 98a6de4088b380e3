//! Reading.

use super::{Partition, State, Stopped};
use crate::index::Index;
use crate::manifest::DurableEnd;
use crate::metafile;
use crate::segment::{ClosedSegment, Extent, SegmentName, SegmentReader, Step, Walk};
use crate::{LogError, limits};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// A segment to read.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: SegmentName,
    pub(super) extent: Extent,
    /// Where to look things up; `None` where the index is not in memory.
    pub(super) index: Option<(u64, i64)>,
}

impl Partition {
    /// Whole batches from the one that holds `from` (or the next one, where compaction removed it), CRC checked, at least one
    /// and otherwise at most `bytes_max` bytes. Empty where `from` is the next offset to be written.
    ///
    /// [`LogError::Corrupt`] where the batch at `from` is damaged; it names the offset to go on.
    pub fn read(&self, from: i64, bytes_max: usize) -> Result<Bytes, LogError> {
        self.read_before(from, i64::MAX, bytes_max)
    }

    /// Like [`Partition::read`], but of batches that begin before offset `end` only: empty where there is none.
    pub fn read_before(&self, from: i64, end: i64, bytes_max: usize) -> Result<Bytes, LogError> {
        let mut wanted = from;
        while let Some(place) = self.place_of(wanted, from)?
            && wanted < end
        {
            match self.read_segment(&place, wanted, end, bytes_max) {
                Ok(Some(run)) => return Ok(run),
                Ok(None) => wanted = place.extent.next_offset,
                Err(error) => self.check_read_error(&place, wanted, error)?,
            }
        }
        Ok(Bytes::new())
    }

    /// The segment that holds `offset` or the next one after it; `None` at the end. `asked` is what the caller asked for.
    pub(super) fn place_of(&self, offset: i64, asked: i64) -> Result<Option<Place>, LogError> {
        let state = self.state.lock();
        let end = state.visible_end();
        if matches!(state.stopped, Some(Stopped::Deleted)) {
            return Err(self.unknown());
        }
        if asked < state.start_offset || asked > end.next_offset {
            return Err(LogError::OffsetOutOfRange {
                topic: self.topic.clone(),
                partition: self.number,
                offset: asked,
                earliest: state.start_offset,
                next: end.next_offset,
            });
        }
        Ok((offset < end.next_offset).then(|| match state.closed_segment(offset) {
            Some(segment) => Place { name: segment.name, extent: visible_extent(segment, end), index: None },
            None => Place {
                name: state.active.name(),
                extent: Extent {
                    size_bytes: end.size_bytes,
                    next_offset: end.next_offset,
                    may_have_gaps: false,
                },
                index: Some(state.active.index.position_of(offset)),
            },
        }))
    }

    fn read_segment(
        &self,
        place: &Place,
        from: i64,
        end: i64,
        bytes_max: usize,
    ) -> Result<Option<Bytes>, LogError> {
        let mut walk = self.walk_at(place, from, bytes_max.saturating_add(limits::INDEX_INTERVAL_BYTES))?;
        loop {
            match self.step(&mut walk, place.name)? {
                Step::Batch(_, batch) if batch.header.base_offset >= end => return Ok(Some(Bytes::new())),
                Step::Batch(position, batch) if batch.header.last_offset() >= from => {
                    return Ok(Some(walk.run(position, &batch, end, bytes_max)));
                }
                Step::Damaged { first, last } if last >= from => {
                    return Err(self.corrupt(first.max(from), last));
                }
                Step::End => return Ok(None),
                Step::Batch(..) | Step::Damaged { .. } => {}
            }
        }
    }

    /// Where the batch is, or the next one, that holds `from`.
    pub(super) fn walk_at(&self, place: &Place, from: i64, chunk_bytes: usize) -> Result<Walk, LogError> {
        let begin = match place.index {
            Some(begin) => begin,
            None => self.closed_index(place)?.position_of(from),
        };
        let mut walk = self.walk(place.name, place.extent, begin, chunk_bytes)?;
        let io = |error| LogError::io("read", &place.name.log_path(&self.dir), error);
        walk.skip_before(from).map_err(io)?;
        Ok(walk)
    }

    /// The index of a closed segment: from memory, from its file, or made anew.
    pub(super) fn closed_index(&self, place: &Place) -> Result<Arc<Index>, LogError> {
        let path = place.name.log_path(&self.dir);
        if let Some(index) = self.shared.files.index(&path) {
            return Ok(index);
        }
        let file = metafile::read(&*self.shared.disk, &place.name.index_path(&self.dir)).ok().flatten();
        let index = file
            .and_then(|file| Index::decode(place.name.base_offset, &file))
            .filter(|index| index.covered_bytes() == place.extent.size_bytes);
        let index = if let Some(index) = index {
            index
        } else {
            let index = self.build_index(place.name, place.extent)?;
            self.write_index(place.name, &index.encode());
            index
        };
        let index = Arc::new(index);
        // Opened first, so that there is something to keep it with.
        self.open_segment(place.name)?;
        self.shared.files.keep_index(&path, Arc::clone(&index));
        Ok(index)
    }

    /// Reads a segment from front to back and indexes what is sound.
    pub(super) fn build_index(&self, name: SegmentName, extent: Extent) -> Result<Index, LogError> {
        let mut index = Index::new(name.base_offset);
        let mut walk = self.walk(name, extent, (0, name.base_offset), limits::SCAN_BYTES)?;
        loop {
            match self.step(&mut walk, name)? {
                Step::Batch(position, batch) => index.push(position, &batch.header),
                Step::Damaged { first, last } => {
                    tracing::error!(
                        topic = self.topic,
                        partition = self.number,
                        first,
                        last,
                        "records damaged"
                    );
                }
                Step::End => {
                    index.cover(extent.size_bytes, extent.next_offset);
                    return Ok(index);
                }
            }
        }
    }

    fn open_segment(&self, name: SegmentName) -> Result<Arc<dyn crate::DiskFile>, LogError> {
        let path = name.log_path(&self.dir);
        self.shared.files.open(&path).map_err(|error| LogError::io("open", &path, error))
    }

    pub(super) fn walk(
        &self,
        name: SegmentName,
        extent: Extent,
        begin: (u64, i64),
        chunk_bytes: usize,
    ) -> Result<Walk, LogError> {
        let reader = SegmentReader::new(self.open_segment(name)?, extent.size_bytes, chunk_bytes)
            .map_err(|error| LogError::io("read", &name.log_path(&self.dir), error))?;
        Ok(Walk::new(reader, extent, begin))
    }

    pub(super) fn step(&self, walk: &mut Walk, name: SegmentName) -> Result<Step, LogError> {
        walk.next().map_err(|error| LogError::io("read", &name.log_path(&self.dir), error))
    }

    /// What an error means: nothing, where retention or compaction removed the segment after it was looked up; damage, where its
    /// file is gone.
    pub(super) fn check_read_error(
        &self,
        place: &Place,
        wanted: i64,
        error: LogError,
    ) -> Result<(), LogError> {
        let state = self.state.lock();
        let there = state.closed.iter().any(|segment| segment.name == place.name)
            || state.active.name() == place.name;
        match error {
            _ if !there => Ok(()),
            LogError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Err(self.corrupt(wanted, place.extent.next_offset - 1))
            }
            error => Err(error),
        }
    }

    fn corrupt(&self, first: i64, last: i64) -> LogError {
        LogError::Corrupt { topic: self.topic.clone(), partition: self.number, first, last }
    }
}

/// What may be read of a closed segment.
fn visible_extent(segment: &ClosedSegment, end: DurableEnd) -> Extent {
    let extent = segment.extent();
    if segment.name.base_offset == end.base_offset {
        return Extent { size_bytes: end.size_bytes, next_offset: end.next_offset, ..extent };
    }
    extent
}

impl State {
    /// The closed segment that holds `offset`, or the next one after it.
    fn closed_segment(&self, offset: i64) -> Option<&ClosedSegment> {
        self.closed.get(self.closed.partition_point(|segment| segment.next_offset <= offset))
    }
}
