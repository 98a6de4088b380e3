//! Tags and limits → the fewest requests, and where each value sits in each answer.
//!
//! Within one unit and area, tags are intervals, and a request is a window of at most 125 registers or 2,000 bits (or
//! fewer where the connection string says so) that holds every value whole and no refused span. Sorted by start, the
//! window that has to cover the first interval may as well begin there, and whatever a better window could hold lies
//! in a run of intervals behind it; so the least number of runs is the least number of windows. Of all plans with that
//! number the one that reads the fewest elements is taken: gaps are read only where that saves a request.
//!
//! Extended registers differ: one request lists several ranges, so ranges are joined only over gaps that are cheaper
//! than a range of their own, and then packed into frames in order.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

mod request;

use crate::address::{Address, Area};
use crate::limits::{FILE_BYTES, FILE_READ_REGISTERS, FILE_RECORDS, READ_BITS, READ_REGISTERS};
use crate::options::Settings;
use crate::refused::{Place, Refused, Span};
use crate::value::Encoding;
use millstream_driver::{PlanSummary, PlannedRequest, TagProblem, TagSpec};
use millstream_model::{Diagnostic, TagType};
use std::collections::BTreeMap;

pub(crate) use request::file_range;
pub use request::{ReadRequest, Slot};

/// The most that one request reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimits {
    registers: u16,
    bits: u16,
}

impl PlanLimits {
    /// Limits of a device, held to those of the specification.
    pub fn new(registers: u16, bits: u16) -> Self {
        Self { registers: registers.clamp(1, READ_REGISTERS), bits: bits.clamp(1, READ_BITS) }
    }

    /// The most elements of `area` in one request.
    pub fn of(self, area: Area) -> u16 {
        match area {
            Area::Coil | Area::DiscreteInput => self.bits,
            Area::InputRegister | Area::HoldingRegister => self.registers,
            Area::ExtendedRegister => self.registers.min(FILE_READ_REGISTERS),
        }
    }
}

/// A tag with everything that reading it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Unit and area.
    pub place: Place,
    /// Its elements.
    pub span: Span,
    /// How its value lies in them.
    pub encoding: Encoding,
    /// What it yields.
    pub tag_type: TagType,
}

impl Tag {
    /// The tag at `address` of a device with these settings.
    pub fn new(address: &Address, settings: &Settings) -> Self {
        Self {
            place: Place { unit: address.unit().unwrap_or(settings.unit), area: address.area() },
            span: Span::new(address.start(), address.width()),
            encoding: Encoding::new(address, settings.byte_order),
            tag_type: address.tag_type(),
        }
    }

    /// Parses and checks tags; all mistakes at once.
    pub fn parse_all(tags: &[TagSpec], settings: &Settings) -> Result<Vec<Self>, Vec<TagProblem>> {
        let mut problems = Vec::new();
        let mut parsed = Vec::with_capacity(tags.len());
        for (index, spec) in tags.iter().enumerate() {
            let checked = spec.address.parse::<Address>().and_then(|address| {
                let tag = Self::new(&address, settings);
                fits(&tag, settings.limits, &spec.address).map(|()| tag)
            });
            match checked {
                Ok(tag) => parsed.push(tag),
                Err(diagnostic) => problems.push(TagProblem { tag: Some(index), diagnostic }),
            }
        }
        if problems.is_empty() { Ok(parsed) } else { Err(problems) }
    }
}

/// A value is never split over two requests, so a device's smaller limit bounds it too.
fn fits(tag: &Tag, limits: PlanLimits, address: &str) -> Result<(), Diagnostic> {
    let max = limits.of(tag.place.area);
    if tag.span.len() <= max {
        return Ok(());
    }
    let option = if tag.place.area.is_bits() { "max-coils-per-request" } else { "max-registers-per-request" };
    Err(Diagnostic::error("address-size", format!("the value takes {} elements", tag.span.len()))
        .at(0..address.len())
        .label(format!("the connection string's `{option}` allows {max} in one request"))
        .help("read it as several smaller arrays, or raise the limit if the device allows it"))
}

/// The requests of one scan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// By unit, area and start.
    pub requests: Vec<ReadRequest>,
    /// Tags that are in no request, because what they need was refused.
    pub unreachable: Vec<usize>,
}

impl Plan {
    /// Plans `tags` under `limits` around what was `refused`.
    pub fn new(tags: &[Tag], limits: PlanLimits, refused: &Refused) -> Self {
        let mut plan = Self::default();
        let mut places: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (index, tag) in tags.iter().enumerate() {
            if refused.is_refused(tag.place, tag.span) {
                plan.unreachable.push(index);
            } else {
                places.entry(tag.place).or_default().push(index);
            }
        }
        for (place, mut indexes) in places {
            indexes.sort_by_key(|index| tags.get(*index).map(|tag| (tag.span, *index)));
            let spans: Vec<Span> = indexes.iter().filter_map(|i| tags.get(*i)).map(|tag| tag.span).collect();
            let max = limits.of(place.area);
            let runs = if place.area == Area::ExtendedRegister {
                if refused.is_separate(place) { vec![1; spans.len()] } else { pack_files(&spans, max) }
            } else {
                fewest_runs(&spans, max, refused.spans(place))
            };
            let mut rest = indexes.as_slice();
            for run in runs {
                let (members, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
                rest = behind;
                plan.requests.push(ReadRequest::new(place, members, tags));
            }
        }
        plan
    }

    /// What the plan says about itself.
    pub fn summary(&self, tags: &[Tag]) -> PlanSummary {
        PlanSummary {
            requests: self
                .requests
                .iter()
                .map(|request| PlannedRequest {
                    text: request.to_string(),
                    request_bytes: request.frame().len(),
                    response_bytes: request.response_bytes(),
                    tags: request.slots().iter().map(|slot| slot.tag).collect(),
                })
                .collect(),
            types: tags.iter().map(|tag| tag.tag_type).collect(),
        }
    }
}

/// Splits sorted spans into the fewest runs that each fit a window of `max` elements without a refused span; of those
/// into the runs that read the fewest elements. Returns how many spans each run has.
fn fewest_runs(spans: &[Span], max: u16, refused: impl Iterator<Item = Span>) -> Vec<usize> {
    // From every refused start on, the nearest refused end: a window may not reach it.
    let mut barriers: Vec<Span> = refused.collect();
    let mut nearest = u32::MAX;
    for barrier in barriers.iter_mut().rev() {
        nearest = nearest.min(barrier.end);
        barrier.end = nearest;
    }
    let limit = |start: u32| {
        let next = barriers.partition_point(|barrier| barrier.start < start);
        let window = start.saturating_add(max.into());
        barriers.get(next).map_or(window, |barrier| window.min(barrier.end.saturating_sub(1)))
    };
    // Costs (requests, elements) of the best split from each span on, back to front, and how long its first run is.
    let mut best: Vec<((usize, u64), usize)> = vec![((0, 0), 0); spans.len().saturating_add(1)];
    for first in (0..spans.len()).rev() {
        let Some(start) = spans.get(first).map(|span| span.start) else { continue };
        let (limit, mut end) = (limit(start), 0);
        // One span alone always fits: those that do not are left out before.
        let mut choice = ((usize::MAX, u64::MAX), 1);
        for (last, span) in spans.iter().enumerate().skip(first) {
            end = span.end.max(end);
            if last > first && end > limit {
                break;
            }
            let next = last.saturating_add(1);
            let Some(((requests, elements), _)) = best.get(next) else { continue };
            let read = u64::from(end.saturating_sub(start));
            let cost = (requests.saturating_add(1), elements.saturating_add(read));
            if cost < choice.0 {
                choice = (cost, next.saturating_sub(first));
            }
        }
        if let Some(place) = best.get_mut(first) {
            *place = choice;
        }
    }
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some((_, run)) = best.get(at).filter(|_| at < spans.len()) {
        runs.push(*run);
        at = at.saturating_add((*run).max(1));
    }
    runs
}

/// Joins sorted spans of extended registers to ranges and packs the ranges into frames, in order.
fn pack_files(spans: &[Span], max: u16) -> Vec<usize> {
    let mut runs: Vec<usize> = Vec::new();
    let mut ranges: Vec<Span> = Vec::new();
    for span in spans {
        let mut with = ranges.clone();
        join(&mut with, *span, max);
        match runs.last_mut() {
            Some(run) if frame_fits(&with) => {
                *run = run.saturating_add(1);
                ranges = with;
            }
            _ => {
                runs.push(1);
                ranges.clear();
                join(&mut ranges, *span, max);
            }
        }
    }
    runs
}

/// Adds a span to sorted ranges: to the last one where no more than one record lies between (a range of its own costs
/// seven bytes to ask and two to answer), else as a range of its own, or as two where it goes on in the next file.
pub(crate) fn join(ranges: &mut Vec<Span>, span: Span, max: u16) {
    let file = |record: u32| record.checked_div(FILE_RECORDS.into()).unwrap_or(0);
    let last_record = span.end.saturating_sub(1);
    if file(span.start) != file(last_record) {
        let border = file(last_record).saturating_mul(FILE_RECORDS.into());
        join(ranges, Span { start: span.start, end: border }, max);
        ranges.push(Span { start: border, end: span.end });
        return;
    }
    if let Some(last) = ranges.last_mut() {
        let joined = Span { start: last.start, end: last.end.max(span.end) };
        let near = span.start <= last.end.saturating_add(1) && span.start >= last.start;
        if near && file(last.start) == file(last_record) && joined.len() <= max {
            *last = joined;
            return;
        }
    }
    ranges.push(span);
}

fn frame_fits(ranges: &[Span]) -> bool {
    let answer: usize =
        ranges.iter().map(|range| usize::from(range.len()).saturating_mul(2).saturating_add(2)).sum();
    answer <= FILE_BYTES && ranges.len().saturating_mul(7) <= FILE_BYTES
}
