//! One planned read: its frame, made once, and where each value sits in the answer.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{Tag, join};
use crate::address::Area;
use crate::codec::{BitRange, Expect, FileRange, FileReads, Illegal, RegisterRange, Request, adu};
use crate::limits::{FILE_READ_REGISTERS, FILE_RECORDS, HEADER_BYTES};
use crate::refused::{Place, Span};
use bytes::{Bytes, BytesMut};
use millstream_model::Cell;
use std::fmt;

/// Where one tag's value sits in an answer's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Index of the tag.
    pub tag: usize,
    /// The first byte of its registers, or its first bit.
    at: usize,
    /// Bytes of its registers; 0 for bits.
    bytes: usize,
}

/// One read of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRequest {
    place: Place,
    /// What is read: one window, or the ranges of files.
    ranges: Vec<Span>,
    slots: Vec<Slot>,
    frame: Bytes,
    expect: Expect,
    response_bytes: usize,
}

impl ReadRequest {
    /// The request for `members` of `tags`, which are sorted by span and fit in one request.
    pub(super) fn new(place: Place, members: &[usize], tags: &[Tag]) -> Self {
        let spans = || members.iter().filter_map(|index| tags.get(*index)).map(|tag| tag.span);
        let mut ranges = Vec::new();
        if place.area == Area::ExtendedRegister {
            spans().for_each(|span| join(&mut ranges, span, FILE_READ_REGISTERS));
        } else {
            let start = spans().map(|span| span.start).min().unwrap_or(0);
            ranges.push(Span { start, end: spans().map(|span| span.end).max().unwrap_or(start) });
        }
        let slots =
            members.iter().filter_map(|index| Some(slot(*index, place.area, tags.get(*index)?, &ranges)));
        let slots = slots.collect();
        Self::with_slots(place, ranges, slots)
    }

    /// A request for one tag, which is the first of its tags.
    pub fn single(tag: &Tag) -> Self {
        Self::new(tag.place, &[0], std::slice::from_ref(tag))
    }

    /// A request for a span alone, to see whether it is still refused.
    pub fn probe(place: Place, span: Span) -> Self {
        let mut ranges = Vec::new();
        if place.area == Area::ExtendedRegister {
            join(&mut ranges, span, FILE_READ_REGISTERS);
        } else {
            ranges.push(span);
        }
        Self::with_slots(place, ranges, Vec::new())
    }

    fn with_slots(place: Place, ranges: Vec<Span>, slots: Vec<Slot>) -> Self {
        let (frame, expect, data_bytes) = match encode(place, &ranges) {
            Ok(parts) => parts,
            // Plans and refused spans keep to the limits, so every one of them is a legal request.
            Err(illegal) => unreachable!("a planned request is legal: {illegal}"),
        };
        let response_bytes = HEADER_BYTES.saturating_add(2).saturating_add(data_bytes);
        Self { place, ranges, slots, frame, expect, response_bytes }
    }

    /// Unit and area.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// From the first element to the last.
    pub fn span(&self) -> Span {
        let start = self.ranges.first().map_or(0, |range| range.start);
        Span { start, end: self.ranges.iter().map(|range| range.end).max().unwrap_or(start) }
    }

    /// Where the values sit in the answer.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The frame, but for its transaction id, which is 0.
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// What the right answer looks like.
    pub const fn expect(&self) -> &Expect {
        &self.expect
    }

    /// Bytes of the answer on the wire.
    pub const fn response_bytes(&self) -> usize {
        self.response_bytes
    }

    /// Puts the values of an answer's data into the cells of their tags.
    pub fn decode(&self, data: &[u8], tags: &[Tag], cells: &mut [Cell]) {
        let bits = self.place.area.is_bits();
        for slot in &self.slots {
            let (Some(tag), Some(cell)) = (tags.get(slot.tag), cells.get_mut(slot.tag)) else { continue };
            *cell = if bits {
                tag.encoding.decode_bits(data, slot.at)
            } else {
                let registers = data.get(slot.at..slot.at.saturating_add(slot.bytes)).unwrap_or_default();
                tag.encoding.decode(registers)
            };
        }
    }

    /// Two requests for the halves of its tags, cut at the widest gap, of equal gaps at the one nearest to the middle.
    /// `None` for a single tag.
    pub fn split(&self, tags: &[Tag]) -> Option<(Self, Self)> {
        let members: Vec<usize> = self.slots.iter().map(|slot| slot.tag).collect();
        let span = |index: &usize| tags.get(*index).map(|tag| tag.span);
        let mut end = 0;
        let mut best: Option<(u32, usize, usize)> = None;
        for (cut, pair) in members.windows(2).enumerate() {
            let [before, behind] = pair else { continue };
            end = span(before)?.end.max(end);
            let cut = cut.saturating_add(1);
            let gap = span(behind)?.start.saturating_sub(end);
            let balance = cut.min(members.len().saturating_sub(cut));
            if best.is_none_or(|(widest, balanced, _)| (gap, balance) > (widest, balanced)) {
                best = Some((gap, balance, cut));
            }
        }
        let (left, right) = members.split_at_checked(best?.2)?;
        Some((Self::new(self.place, left, tags), Self::new(self.place, right, tags)))
    }
}

fn slot(tag: usize, area: Area, spec: &Tag, ranges: &[Span]) -> Slot {
    // Ranges follow one another in the answer, so a value over two files is in one piece there.
    let mut before: u32 = 0;
    for range in ranges {
        if range.start <= spec.span.start && spec.span.start < range.end {
            before = before.saturating_add(spec.span.start.saturating_sub(range.start));
            break;
        }
        before = before.saturating_add(range.len().into());
    }
    let elements = usize::try_from(before).unwrap_or(usize::MAX);
    if area.is_bits() {
        Slot { tag, at: elements, bytes: 0 }
    } else {
        let bytes = usize::from(spec.span.len()).saturating_mul(2);
        Slot { tag, at: elements.saturating_mul(2), bytes }
    }
}

/// Frame, expected answer and the answer's data bytes.
fn encode(place: Place, ranges: &[Span]) -> Result<(Bytes, Expect, usize), Illegal> {
    let window = ranges.first().copied().unwrap_or(Span { start: 0, end: 0 });
    let start = u16::try_from(window.start).map_err(|_| Illegal::Address);
    let request = match place.area {
        Area::Coil => Request::ReadCoils(BitRange::new(start?, window.len())?),
        Area::DiscreteInput => Request::ReadDiscreteInputs(BitRange::new(start?, window.len())?),
        Area::InputRegister => Request::ReadInputRegisters(RegisterRange::new(start?, window.len())?),
        Area::HoldingRegister => Request::ReadHoldingRegisters(RegisterRange::new(start?, window.len())?),
        Area::ExtendedRegister => {
            let files: Result<Vec<_>, _> = ranges.iter().map(|range| file_range(*range)).collect();
            Request::ReadFileRecord(FileReads::new(files?)?)
        }
    };
    let data = match &request {
        Request::ReadFileRecord(reads) => {
            reads.ranges().iter().map(|range| FileReads::response_bytes(range.length())).sum()
        }
        _ if place.area.is_bits() => usize::from(window.len().div_ceil(8)),
        _ => usize::from(window.len()).saturating_mul(2),
    };
    let mut frame = BytesMut::new();
    adu::encode_request(0, place.unit, &request, &mut frame);
    Ok((frame.freeze(), Expect::new(&request), data))
}

/// Extended registers as records of a file: 10,000 to a file, files counted from 1.
pub(crate) fn file_range(span: Span) -> Result<FileRange, Illegal> {
    let records = u32::from(FILE_RECORDS);
    let file = span.start.checked_div(records).unwrap_or(0).saturating_add(1);
    let record = span.start.checked_rem(records).unwrap_or(0);
    FileRange::new(
        u16::try_from(file).map_err(|_| Illegal::Address)?,
        u16::try_from(record).map_err(|_| Illegal::Address)?,
        span.len(),
    )
}

impl fmt::Display for ReadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { unit, area } = self.place;
        write!(f, "read {area}s ")?;
        for (index, range) in self.ranges.iter().enumerate() {
            let first = range.start.saturating_add(area.first());
            let last = range.end.saturating_sub(1).saturating_add(area.first());
            let comma = if index > 0 { ", " } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        write!(f, " of unit {unit}")
    }
}
