//! The sparse index of one segment: where to begin to look for an offset or a time.
//!
//! One entry stands for a batch about every [`limits::INDEX_INTERVAL_BYTES`]: its offset, its position, and the newest
//! timestamp in all batches before it. That last column never falls, so it is searched like the other two.
//!
//! File `<segment>.index`, version 1, big-endian; nothing in it is precious, a damaged or missing one is made anew from the
//! segment, and so is one of another version:
//!
//! ```text
//!  0  magic "MSIX"        u32       24  next offset           i64   after the covered bytes
//!  4  version             u32       32  newest timestamp      i64   in the covered bytes; ms
//!  8  base offset         i64       40  entries, 20 bytes each: offset i64, position u32, newest timestamp before i64
//! 16  covered bytes       u64       last 4 bytes: CRC-32C of all before
//! ```
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::batch::BatchHeader;
use crate::limits;

const MAGIC: [u8; 4] = *b"MSIX";
const VERSION: u32 = 1;
#[expect(clippy::as_conversions, reason = "16 KiB fit")]
const INTERVAL_BYTES: u64 = limits::INDEX_INTERVAL_BYTES as u64;
/// A timestamp before all others: nothing came before.
pub(crate) const NO_TIMESTAMP: i64 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    offset: i64,
    position: u32,
    newest_before: i64,
}

/// See the module. Also knows how far it reaches and what comes next, so that recovery can go on from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    base_offset: i64,
    entries: Vec<Entry>,
    covered_bytes: u64,
    next_offset: i64,
    newest_timestamp: i64,
}

impl Index {
    /// The index of an empty segment.
    pub(crate) fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            entries: Vec::new(),
            covered_bytes: 0,
            next_offset: base_offset,
            newest_timestamp: NO_TIMESTAMP,
        }
    }

    /// Counts a batch in, which lies behind all that are covered, at `position`.
    pub(crate) fn push(&mut self, position: u64, header: &BatchHeader) {
        let due = self
            .entries
            .last()
            .is_none_or(|last| position.saturating_sub(u64::from(last.position)) >= INTERVAL_BYTES);
        if let (true, Ok(at)) = (due, u32::try_from(position)) {
            let newest_before = self.newest_timestamp;
            self.entries.push(Entry { offset: header.base_offset, position: at, newest_before });
        }
        let size = u64::try_from(header.size_bytes).unwrap_or(u64::MAX);
        self.covered_bytes = position.saturating_add(size);
        self.next_offset = header.next_offset();
        self.newest_timestamp = self.newest_timestamp.max(header.max_timestamp);
    }

    /// Forgets what lies behind `size_bytes`, where `next_offset` begins. The newest timestamp may stay too new.
    pub(crate) fn cut(&mut self, size_bytes: u64, next_offset: i64) {
        self.entries.retain(|entry| u64::from(entry.position) < size_bytes);
        self.cover(size_bytes, next_offset);
    }

    /// A position at or before the batch that holds `offset`, and the offset of the batch there.
    pub(crate) fn position_of(&self, offset: i64) -> (u64, i64) {
        self.floor(self.entries.partition_point(|entry| entry.offset <= offset))
    }

    /// A position at or before the first batch with a timestamp of at least `time_ms`, and the offset of the batch there.
    pub(crate) fn position_of_time(&self, time_ms: i64) -> (u64, i64) {
        self.floor(self.entries.partition_point(|entry| entry.newest_before < time_ms))
    }

    fn floor(&self, after: usize) -> (u64, i64) {
        let entry = after.checked_sub(1).and_then(|at| self.entries.get(at));
        entry.map_or((0, self.base_offset), |entry| (u64::from(entry.position), entry.offset))
    }

    /// Counts all of a segment as known, damaged parts among them.
    pub(crate) fn cover(&mut self, size_bytes: u64, next_offset: i64) {
        self.covered_bytes = size_bytes;
        self.next_offset = next_offset;
    }

    /// Bytes of the segment that the index knows.
    pub(crate) fn covered_bytes(&self) -> u64 {
        self.covered_bytes
    }

    /// The first offset after the covered bytes.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The newest timestamp in the covered bytes.
    pub(crate) fn newest_timestamp(&self) -> i64 {
        self.newest_timestamp
    }

    /// The file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = [
            &MAGIC[..],
            &VERSION.to_be_bytes(),
            &self.base_offset.to_be_bytes(),
            &self.covered_bytes.to_be_bytes(),
            &self.next_offset.to_be_bytes(),
            &self.newest_timestamp.to_be_bytes(),
        ]
        .concat();
        for entry in &self.entries {
            out.extend_from_slice(&entry.offset.to_be_bytes());
            out.extend_from_slice(&entry.position.to_be_bytes());
            out.extend_from_slice(&entry.newest_before.to_be_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads the file of the segment with this base offset; `None` where it is damaged or of another version.
    pub(crate) fn decode(base_offset: i64, file: &[u8]) -> Option<Self> {
        let (body, crc) = file.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
            return None;
        }
        let rest = body.strip_prefix(&MAGIC)?;
        let (version, rest) = rest.split_first_chunk()?;
        let (base, rest) = rest.split_first_chunk()?;
        if u32::from_be_bytes(*version) != VERSION || i64::from_be_bytes(*base) != base_offset {
            return None;
        }
        let (covered, rest) = rest.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (newest, rest) = rest.split_first_chunk()?;
        let (chunks, []) = rest.as_chunks::<20>() else { return None };
        Some(Self {
            base_offset,
            entries: chunks.iter().map(decode_entry).collect::<Option<_>>()?,
            covered_bytes: u64::from_be_bytes(*covered),
            next_offset: i64::from_be_bytes(*next),
            newest_timestamp: i64::from_be_bytes(*newest),
        })
    }
}

fn decode_entry(bytes: &[u8; 20]) -> Option<Entry> {
    let (offset, rest) = bytes.split_first_chunk()?;
    let (position, newest) = rest.split_first_chunk()?;
    Some(Entry {
        offset: i64::from_be_bytes(*offset),
        position: u32::from_be_bytes(*position),
        newest_before: i64::from_be_bytes(*newest.first_chunk()?),
    })
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, Compression};
    use proptest::prelude::*;

    /// Batches of these sizes and times, one record each, one after the other.
    fn indexed(batches: &[(usize, i64)]) -> (Index, Vec<(u64, BatchHeader)>) {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(0, None, None, Vec::new());
        let model = BatchHeader::decode(&builder.finish().unwrap()).unwrap();
        let (mut index, mut placed, mut position) = (Index::new(10), Vec::new(), 0);
        for (offset, (size_bytes, max_timestamp)) in (10..).zip(batches) {
            let (size_bytes, max_timestamp) = (*size_bytes, *max_timestamp);
            let header = BatchHeader { base_offset: offset, size_bytes, max_timestamp, ..model };
            index.push(position, &header);
            placed.push((position, header));
            position += u64::try_from(size_bytes).unwrap();
        }
        (index, placed)
    }

    proptest! {
        #[test]
        fn lookups_never_go_past_what_is_looked_for(
            batches in proptest::collection::vec((61_usize..20_000, 0_i64..1_000), 1..50),
            time in 0_i64..1_000,
        ) {
            let (index, placed) = indexed(&batches);
            for (position, header) in &placed {
                let (from, offset) = index.position_of(header.base_offset);
                prop_assert!(from <= *position && offset <= header.base_offset);
                prop_assert!(position - from < INTERVAL_BYTES + 20_000);
            }
            if let Some((position, _)) = placed.iter().find(|(_, header)| header.max_timestamp >= time) {
                prop_assert!(index.position_of_time(time).0 <= *position);
            }
        }

        #[test]
        fn the_file_reads_back_and_a_mutated_one_is_refused(
            batches in proptest::collection::vec((61_usize..20_000, 0_i64..1_000), 0..50),
            byte in any::<proptest::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let (index, _) = indexed(&batches);
            let mut file = index.encode();
            prop_assert_eq!(Index::decode(10, &file), Some(index));
            prop_assert_eq!(Index::decode(11, &file), None);
            let byte = byte.index(file.len());
            file[byte] ^= 1 << bit;
            prop_assert_eq!(Index::decode(10, &file), None);
            prop_assert_eq!(Index::decode(10, &file[..byte]), None);
        }
    }
}
