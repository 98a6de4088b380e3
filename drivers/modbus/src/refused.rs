//! Ranges that a device refused with exception 2: remembered, planned around, and asked for again now and then.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::address::Area;
use crate::limits::{HOLE_RETRY_MAX, HOLE_RETRY_MIN, HOLES, HOLES_TOGETHER};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// An area of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The unit id.
    pub unit: u8,
    /// The area.
    pub area: Area,
}

/// Elements of an area, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first element.
    pub start: u32,
    /// After the last element.
    pub end: u32,
}

impl Span {
    /// `len` elements from `start`.
    pub const fn new(start: u32, len: u16) -> Self {
        // Widening: `From` is not const.
        #[expect(clippy::as_conversions, reason = "lossless")]
        Self { start, end: start.saturating_add(len as u32) }
    }

    /// Whether `other` lies within.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// How many elements.
    pub fn len(self) -> u16 {
        u16::try_from(self.end.saturating_sub(self.start)).unwrap_or(u16::MAX)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    retry_at: Instant,
    pause: Duration,
    learnt_at: Instant,
}

/// What a device refused. A request that contains a refused span whole would be refused again, so no plan has one.
#[derive(Debug, Default)]
pub struct Refused {
    holes: BTreeMap<(Place, Span), Hole>,
    separate: BTreeSet<Place>,
    version: u64,
}

impl Refused {
    /// Changes whenever a plan made before may not be the best any more.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many spans are remembered.
    pub fn len(&self) -> usize {
        self.holes.len()
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    /// The refused spans of one place by start.
    pub fn spans(&self, place: Place) -> impl Iterator<Item = Span> + '_ {
        let (from, to) = (Span { start: 0, end: 0 }, Span { start: u32::MAX, end: u32::MAX });
        self.holes.range((place, from)..=(place, to)).map(|((_, span), _)| *span)
    }

    /// Whether a request for `span` would be refused, as far as is known.
    pub fn is_refused(&self, place: Place, span: Span) -> bool {
        self.spans(place).any(|refused| span.contains(refused))
    }

    /// The device refused the `span` of a tag.
    pub fn learn(&mut self, now: Instant, place: Place, span: Span) {
        self.remember(now, place, span, HOLE_RETRY_MIN);
    }

    /// The device refused what holds `span`, but both parts around it are good. No tag waits for it, so it is asked for
    /// again only after long.
    pub fn learn_gap(&mut self, now: Instant, place: Place, span: Span) {
        self.remember(now, place, span, HOLE_RETRY_MAX);
    }

    fn remember(&mut self, now: Instant, place: Place, span: Span, pause: Duration) {
        if span.is_empty() || self.is_refused(place, span) {
            return;
        }
        self.version = self.version.wrapping_add(1);
        if self.holes.len() >= HOLES {
            let oldest = self.holes.iter().min_by_key(|(_, hole)| hole.learnt_at).map(|(key, _)| *key);
            oldest.and_then(|key| self.holes.remove(&key));
        }
        // What is now known to be wider than the cause would only bar good plans.
        let wider: Vec<_> = self.spans(place).filter(|known| known.contains(span)).collect();
        for known in wider {
            self.holes.remove(&(place, known));
        }
        let hole = Hole { retry_at: after(now, pause), pause, learnt_at: now };
        self.holes.insert((place, span), hole);
    }

    /// The device refused several ranges of files in one request, and none of them alone: they are asked for one by one.
    pub fn separate(&mut self, place: Place) {
        if self.separate.insert(place) {
            self.version = self.version.wrapping_add(1);
        }
    }

    /// Whether ranges of files have to be asked for one by one.
    pub fn is_separate(&self, place: Place) -> bool {
        self.separate.contains(&place)
    }

    /// The first span whose time to be asked for again has come.
    pub fn due(&self, now: Instant) -> Option<(Place, Span)> {
        self.holes.iter().find(|(_, hole)| hole.retry_at <= now).map(|(key, _)| *key)
    }

    /// It was asked for again: and refused again, or not.
    pub fn retried(&mut self, now: Instant, place: Place, span: Span, refused: bool) {
        if !refused {
            let learnt_at = self.holes.remove(&(place, span)).map_or(now, |hole| hole.learnt_at);
            // What was refused in the same minute went with it, as when a device loses its program, and is back with it.
            let together = |hole: &Hole| {
                let (early, late) = (hole.learnt_at.min(learnt_at), hole.learnt_at.max(learnt_at));
                late.saturating_duration_since(early) < HOLES_TOGETHER
            };
            self.holes.retain(|(other, _), hole| *other != place || !together(hole));
            self.version = self.version.wrapping_add(1);
        } else if let Some(hole) = self.holes.get_mut(&(place, span)) {
            hole.pause = hole.pause.saturating_mul(2).min(HOLE_RETRY_MAX);
            hole.retry_at = after(now, hole.pause);
        }
    }

    /// It could not be asked for; later.
    pub fn postpone(&mut self, now: Instant, place: Place, span: Span) {
        if let Some(hole) = self.holes.get_mut(&(place, span)) {
            hole.retry_at = after(now, hole.pause);
        }
    }
}

fn after(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or(now)
}
