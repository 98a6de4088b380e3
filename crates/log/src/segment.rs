//! Segments: a partition's files of batches, one after the other with nothing between.
//!
//! File `<base offset, 20 digits>-<generation>.log`. The generation is 0 as written and counts up with each compaction,
//! so that a compacted file never takes the name of the one it replaces. In generation 0 offsets have no gaps.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::batch::{Batch, BatchError, BatchHeader, HEADER_BYTES, LEADER_EPOCH};
use crate::disk::DiskFile;
use crate::limits;
use bytes::{Bytes, BytesMut};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment's identity, which is its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// The offset it begins with; smaller ones are in segments before it.
    pub(crate) base_offset: i64,
    /// How many compactions made it.
    pub(crate) generation: u32,
}

impl SegmentName {
    /// As it is written first.
    pub(crate) fn first(base_offset: i64) -> Self {
        Self { base_offset, generation: 0 }
    }

    /// Reads a file name; `None` where it is no segment's.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (base, generation) = file_name.strip_suffix(".log")?.split_once('-')?;
        let name = Self { base_offset: base.parse().ok()?, generation: generation.parse().ok()? };
        (name.log_file() == file_name).then_some(name)
    }

    fn log_file(self) -> String {
        format!("{:020}-{}.log", self.base_offset, self.generation)
    }

    /// Where its batches are.
    pub(crate) fn log_path(self, dir: &Path) -> PathBuf {
        dir.join(self.log_file())
    }

    /// Where its index is.
    pub(crate) fn index_path(self, dir: &Path) -> PathBuf {
        self.log_path(dir).with_extension("index")
    }
}

/// A segment that takes no more batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedSegment {
    /// Which file.
    pub(crate) name: SegmentName,
    /// Bytes of its batches.
    pub(crate) size_bytes: u64,
    /// The first offset that is not in it.
    pub(crate) next_offset: i64,
    /// Its newest record's timestamp in ms.
    pub(crate) newest_timestamp: i64,
    /// When it was closed, by the retention clock in ms.
    pub(crate) closed_at: i64,
}

impl ClosedSegment {
    /// What it should hold.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            size_bytes: self.size_bytes,
            next_offset: self.next_offset,
            may_have_gaps: self.name.generation > 0,
        }
    }
}

/// Reads a segment's batches by their position, through one buffer.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: Arc<dyn DiskFile>,
    end: u64,
    chunk_bytes: usize,
    buffer: Bytes,
    buffer_at: u64,
}

impl SegmentReader {
    /// Reads up to position `end`, `chunk_bytes` at a time. A shorter file reads as if `end` were its length.
    pub(crate) fn new(file: Arc<dyn DiskFile>, end: u64, chunk_bytes: usize) -> io::Result<Self> {
        let end = end.min(file.size_bytes()?);
        Ok(Self { file, end, chunk_bytes, buffer: Bytes::new(), buffer_at: 0 })
    }

    /// Where the readable bytes end.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// `len` bytes at `at`; fewer at the end.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<Bytes> {
        let rest = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(rest);
        let buffered = |reader: &Self| {
            let from = usize::try_from(at.checked_sub(reader.buffer_at)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= reader.buffer.len()).then(|| reader.buffer.slice(from..to))
        };
        if let Some(bytes) = buffered(self) {
            return Ok(bytes);
        }
        let mut buffer = BytesMut::zeroed(self.chunk_bytes.max(len).min(rest));
        self.file.read_at(at, &mut buffer)?;
        self.buffer = buffer.freeze();
        self.buffer_at = at;
        Ok(self.buffer.slice(..len))
    }

    /// The header at `at`, its fields checked one by one.
    pub(crate) fn header(&mut self, at: u64) -> io::Result<Result<BatchHeader, BatchError>> {
        let bytes = self.bytes(at, HEADER_BYTES)?;
        Ok(BatchHeader::decode(&bytes).and_then(|header| self.check(at, &header).map(|()| header)))
    }

    fn check(&self, at: u64, header: &BatchHeader) -> Result<(), BatchError> {
        if header.leader_epoch != LEADER_EPOCH {
            return Err(BatchError::Field("leader epoch"));
        }
        let end = u64::try_from(header.size_bytes).ok().and_then(|size| at.checked_add(size));
        if header.size_bytes > limits::BATCH_BYTES_MAX || end.is_none_or(|end| end > self.end) {
            return Err(BatchError::TooShort);
        }
        Ok(())
    }

    /// The batch at `at`, CRC checked.
    pub(crate) fn batch(&mut self, at: u64) -> io::Result<Result<Batch, BatchError>> {
        match self.header(at)? {
            Ok(header) => Ok(Batch::decode(self.bytes(at, header.size_bytes)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Looks behind a damaged place for the next sound batch: its position and header. `offsets` are those it may have.
    pub(crate) fn resynchronise(
        &mut self,
        damaged_at: u64,
        offsets: std::ops::Range<i64>,
    ) -> io::Result<Option<(u64, BatchHeader)>> {
        let mut at = damaged_at.saturating_add(1);
        while at < self.end {
            if let Ok(header) = self.header(at)?
                && offsets.contains(&header.base_offset)
                && header.last_offset() < offsets.end
                && self.batch(at)?.is_ok()
            {
                return Ok(Some((at, header)));
            }
            at = at.saturating_add(1);
        }
        Ok(None)
    }

    /// Where the buffered bytes end.
    fn buffer_end(&self) -> u64 {
        self.buffer_at.saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX))
    }

    /// Bytes `from` to `to` where they are all in the buffer.
    fn buffered(&self, from: u64, to: u64) -> Option<Bytes> {
        let start = usize::try_from(from.checked_sub(self.buffer_at)?).ok()?;
        let end = usize::try_from(to.checked_sub(self.buffer_at)?).ok()?;
        (start <= end && end <= self.buffer.len()).then(|| self.buffer.slice(start..end))
    }
}

/// The position after a batch.
pub(crate) fn after(position: u64, header: &BatchHeader) -> u64 {
    position.saturating_add(u64::try_from(header.size_bytes).unwrap_or(u64::MAX))
}

/// One step of a [`Walk`].
#[derive(Debug)]
pub(crate) enum Step {
    /// A sound batch and its position.
    Batch(u64, Batch),
    /// Offsets that should be here and cannot be read.
    Damaged {
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// Nothing more.
    End,
}

/// What a segment should hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Bytes of its batches.
    pub(crate) size_bytes: u64,
    /// The first offset that is not in it.
    pub(crate) next_offset: i64,
    /// Whether compaction may have left gaps between offsets.
    pub(crate) may_have_gaps: bool,
}

impl Extent {
    /// Whether a batch can stand where `expected` is the next offset.
    fn fits(&self, expected: i64, header: &BatchHeader) -> bool {
        let follows = header.base_offset == expected || self.may_have_gaps && header.base_offset > expected;
        follows && header.last_offset() < self.next_offset && header.leader_epoch == LEADER_EPOCH
    }
}

/// Goes through a segment batch by batch, and around what is damaged.
#[derive(Debug)]
pub(crate) struct Walk {
    reader: SegmentReader,
    extent: Extent,
    at: u64,
    expected: i64,
}

impl Walk {
    /// From the batch at `position`, which should have `offset`.
    pub(crate) fn new(reader: SegmentReader, extent: Extent, (position, offset): (u64, i64)) -> Self {
        Self { reader, extent, at: position, expected: offset }
    }

    /// The next batch or damaged range.
    pub(crate) fn next(&mut self) -> io::Result<Step> {
        if self.at < self.reader.end()
            && let Ok(batch) = self.reader.batch(self.at)?
            && self.extent.fits(self.expected, &batch.header)
        {
            let position = self.at;
            self.at = after(position, &batch.header);
            self.expected = batch.header.next_offset();
            return Ok(Step::Batch(position, batch));
        }
        let whole = self.at >= self.extent.size_bytes
            && (self.extent.may_have_gaps || self.expected >= self.extent.next_offset);
        if whole || self.expected >= self.extent.next_offset {
            return Ok(Step::End);
        }
        let first = self.expected;
        let found = self.reader.resynchronise(self.at, first..self.extent.next_offset)?;
        (self.at, self.expected) = found
            .map_or((self.reader.end(), self.extent.next_offset), |(at, header)| (at, header.base_offset));
        if first < self.expected {
            return Ok(Step::Damaged { first, last: self.expected.saturating_sub(1) });
        }
        // Strange bytes between two batches whose offsets are next to each other: nothing is missing.
        self.next()
    }

    /// The header of the next batch, whose records and checksum are not looked at; `None` where [`Walk::next`] has to: at a
    /// control batch, at damage, and at the end.
    pub(crate) fn next_header(&mut self) -> io::Result<Option<BatchHeader>> {
        if self.at < self.reader.end()
            && let Ok(header) = self.reader.header(self.at)?
            && self.extent.fits(self.expected, &header)
            && !header.is_control()
        {
            (self.at, self.expected) = (after(self.at, &header), header.next_offset());
            return Ok(Some(header));
        }
        Ok(None)
    }

    /// Goes up to the batch that holds `offset`, by the headers alone. Where they do not lead there, nothing is skipped.
    pub(crate) fn skip_before(&mut self, offset: i64) -> io::Result<()> {
        let (mut at, mut expected) = (self.at, self.expected);
        while at < self.reader.end()
            && let Ok(header) = self.reader.header(at)?
            && self.extent.fits(expected, &header)
        {
            if header.last_offset() >= offset {
                (self.at, self.expected) = (at, expected);
                break;
            }
            (at, expected) = (after(at, &header), header.next_offset());
        }
        Ok(())
    }

    /// The batches from `first` on (the last one that [`Walk::next`] gave, at `position`) in one piece without copying: as many
    /// as lie in the buffer, follow one another soundly, begin before offset `end`, and stay within `bytes_max`.
    pub(crate) fn run(&self, position: u64, first: &Batch, end: i64, bytes_max: usize) -> Bytes {
        let (mut at, mut expected) = (after(position, &first.header), first.header.next_offset());
        let mut run = first.bytes.clone();
        while let Some(bytes) = self.reader.buffered(at, self.reader.buffer_end()) {
            let Ok(batch) = Batch::decode(bytes) else { break };
            let Some(longer) = self.reader.buffered(position, after(at, &batch.header)) else { break };
            let fits = self.extent.fits(expected, &batch.header) && batch.header.base_offset < end;
            if !fits || longer.len() > bytes_max {
                break;
            }
            (at, expected) = (after(at, &batch.header), batch.header.next_offset());
            run = longer;
        }
        run
    }
}
