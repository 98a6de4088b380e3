//! What a partition consists of: file `manifest` in its directory, text (see [`crate::metafile`]), version 1.
//!
//! ```text
//! millstream-partition 1
//! start <first offset there is>
//! compacted <offset: everything before has been compacted>
//! clock <retention clock in ms>
//! segment <base offset> <generation> <bytes> <next offset> <newest timestamp> <closed at>     oldest first, all durable
//! durable <base offset> <bytes> <next offset>      the segment that is being written, and how much of it is durable
//! crc <…>
//! ```
//!
//! Recovery trusts what it names, reads the rest of the last segment and of those that follow it, and removes other files.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::metafile::{self, BadText};
use crate::segment::{ClosedSegment, SegmentName};
use std::fmt::Write as _;

/// The file's name.
pub(crate) const FILE: &str = "manifest";
const KIND: &str = "partition";
const VERSION: u32 = 1;

/// How far a partition is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DurableEnd {
    /// The segment it lies in.
    pub(crate) base_offset: i64,
    /// Bytes of that segment.
    pub(crate) size_bytes: u64,
    /// The first offset that is not durable.
    pub(crate) next_offset: i64,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    pub(crate) start_offset: i64,
    pub(crate) compacted_offset: i64,
    pub(crate) clock_ms: i64,
    pub(crate) segments: Vec<ClosedSegment>,
    pub(crate) durable: DurableEnd,
}

impl Manifest {
    pub(crate) fn encode(&self) -> String {
        let mut lines = format!(
            "start {}\ncompacted {}\nclock {}\n",
            self.start_offset, self.compacted_offset, self.clock_ms
        );
        for segment in &self.segments {
            let ClosedSegment { name, size_bytes, next_offset, newest_timestamp, closed_at } = segment;
            let SegmentName { base_offset, generation } = name;
            let _ = writeln!(
                lines,
                "segment {base_offset} {generation} {size_bytes} {next_offset} {newest_timestamp} {closed_at}"
            );
        }
        let DurableEnd { base_offset, size_bytes, next_offset } = self.durable;
        let _ = writeln!(lines, "durable {base_offset} {size_bytes} {next_offset}");
        metafile::seal(KIND, VERSION, &lines)
    }

    pub(crate) fn decode(text: &[u8]) -> Result<Self, BadText> {
        let mut manifest = Self::default();
        for line in metafile::unseal(KIND, VERSION, text)? {
            manifest
                .read_line(line)
                .ok_or_else(|| BadText::Damaged(format!("it has a bad line `{line}`")))?;
        }
        Ok(manifest)
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let word = words.next()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        match word {
            "start" => self.start_offset = number()?,
            "compacted" => self.compacted_offset = number()?,
            "clock" => self.clock_ms = number()?,
            "segment" => self.segments.push(ClosedSegment {
                name: SegmentName { base_offset: number()?, generation: u32::try_from(number()?).ok()? },
                size_bytes: u64::try_from(number()?).ok()?,
                next_offset: number()?,
                newest_timestamp: number()?,
                closed_at: number()?,
            }),
            "durable" => {
                self.durable = DurableEnd {
                    base_offset: number()?,
                    size_bytes: u64::try_from(number()?).ok()?,
                    next_offset: number()?,
                }
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back() {
        let segment = |base_offset, generation| ClosedSegment {
            name: SegmentName { base_offset, generation },
            size_bytes: 1000,
            next_offset: base_offset + 100,
            newest_timestamp: 1_732_170_000_123,
            closed_at: -1,
        };
        let manifest = Manifest {
            start_offset: 20,
            compacted_offset: 100,
            clock_ms: 1_732_170_000_124,
            segments: vec![segment(0, 3), segment(100, 0)],
            durable: DurableEnd { base_offset: 200, size_bytes: 5, next_offset: 201 },
        };
        assert_eq!(Manifest::decode(manifest.encode().as_bytes()), Ok(manifest));
    }

    #[test]
    fn a_strange_line_is_refused() {
        for line in ["start", "start 1 2", "start x", "finish 1", "segment 0 -1 0 0 0 0", "durable 0 -5 0"] {
            let text = metafile::seal(KIND, VERSION, &format!("{line}\n"));
            assert!(matches!(Manifest::decode(text.as_bytes()), Err(BadText::Damaged(_))), "{line}");
        }
    }
}
