//! A simulated device's addresses: which exist, and how their signals look as bits and registers.

use crate::codec::ExceptionCode;
use crate::plan::Tag;
use crate::refused::{Place, Span};
use millstream_driver::simulate::{Moment, SignalId, SimulatorContext};
use millstream_model::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
struct Entry {
    tag: Tag,
    /// As it was given, by which faults name it.
    address: Arc<str>,
    signal: SignalId,
    writable: bool,
}

/// The addresses of a simulated device.
#[derive(Debug, Default)]
pub struct Memory {
    /// By start.
    places: BTreeMap<Place, Vec<Entry>>,
}

impl Memory {
    pub(super) fn add(&mut self, tag: Tag, address: Arc<str>, signal: SignalId, writable: bool) {
        let entries = self.places.entry(tag.place).or_default();
        let at = entries.partition_point(|entry| entry.tag.span.start <= tag.span.start);
        entries.insert(at, Entry { tag, address, signal, writable });
    }

    pub(super) fn has_unit(&self, unit: u8) -> bool {
        self.places.keys().any(|place| place.unit == unit)
    }

    fn entries(&self, place: Place, span: Span) -> impl Iterator<Item = &Entry> {
        let entries = self.places.get(&place).map(Vec::as_slice).unwrap_or_default();
        // No value is wider than 2,000 elements, so what starts before that cannot reach into the span.
        let from = entries.partition_point(|entry| entry.tag.span.start + 2000 < span.start);
        entries[from..]
            .iter()
            .take_while(move |entry| entry.tag.span.start < span.end)
            .filter(move |entry| entry.tag.span.end > span.start)
    }
}

/// One request's look at the memory, at one instant.
pub(super) struct Visit<'a> {
    memory: &'a Memory,
    context: &'a SimulatorContext,
    moment: Moment<'a>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(memory: &'a Memory, context: &'a SimulatorContext, now: Instant) -> Self {
        Self { memory, context, moment: context.world.moment(now) }
    }

    /// Every element of `span` has to exist and not be refused.
    pub(super) fn check(&self, place: Place, span: Span) -> Result<(), ExceptionCode> {
        let mut exists = vec![false; span.len().into()];
        for entry in self.memory.entries(place, span) {
            if self.context.faults.is_refused(&entry.address) {
                return Err(ExceptionCode::ILLEGAL_DATA_ADDRESS);
            }
            for element in entry.tag.span.start.max(span.start)..entry.tag.span.end.min(span.end) {
                exists[(element - span.start) as usize] = true;
            }
        }
        if exists.contains(&false) { Err(ExceptionCode::ILLEGAL_DATA_ADDRESS) } else { Ok(()) }
    }

    /// Appends registers to `out`.
    pub(super) fn read_registers(
        &mut self,
        place: Place,
        span: Span,
        out: &mut Vec<u8>,
    ) -> Result<(), ExceptionCode> {
        self.check(place, span)?;
        out.extend(self.image(place, span));
        Ok(())
    }

    /// The registers of `span` as they are; zero where nothing is.
    fn image(&mut self, place: Place, span: Span) -> Vec<u8> {
        let mut image = vec![0; usize::from(span.len()) * 2];
        for entry in self.memory.entries(place, span) {
            let value = self.moment.read(entry.signal);
            if let Ok(Some(mask)) = entry.tag.encoding.mask(&value) {
                // Bits share their register with others.
                let at = (entry.tag.span.start - span.start) as usize * 2;
                if let Some(register) = image.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
                    let old = u16::from_be_bytes(*register);
                    *register = ((old & mask.and) | (mask.or & !mask.and)).to_be_bytes();
                }
                continue;
            }
            let Ok(bytes) = entry.tag.encoding.encode(&value) else { continue };
            let from = i64::from(entry.tag.span.start) - i64::from(span.start);
            for (offset, byte) in (from * 2..).zip(bytes) {
                if let Some(place) = usize::try_from(offset).ok().and_then(|offset| image.get_mut(offset)) {
                    *place = byte;
                }
            }
        }
        image
    }

    /// Bits of `span` packed into `out`.
    pub(super) fn read_bits(
        &mut self,
        place: Place,
        span: Span,
        out: &mut Vec<u8>,
    ) -> Result<(), ExceptionCode> {
        self.check(place, span)?;
        let states = self.states(place, span);
        out.extend(states.chunks(8).map(pack));
        Ok(())
    }

    fn states(&mut self, place: Place, span: Span) -> Vec<bool> {
        let mut states = vec![false; span.len().into()];
        for entry in self.memory.entries(place, span) {
            let value = self.moment.read(entry.signal);
            let Ok(bits) = entry.tag.encoding.encode_bits(&value) else { continue };
            let from = i64::from(entry.tag.span.start) - i64::from(span.start);
            for (offset, on) in (from..).zip(bits) {
                if let Some(state) = usize::try_from(offset).ok().and_then(|offset| states.get_mut(offset)) {
                    *state = on;
                }
            }
        }
        states
    }

    pub(super) fn write_registers(
        &mut self,
        place: Place,
        start: u32,
        bytes: &[u8],
    ) -> Result<(), ExceptionCode> {
        let span = Span { start, end: start + u32::try_from(bytes.len() / 2).unwrap_or(0) };
        let reach = self.writable(place, span)?;
        // A value that is only partly written keeps the rest.
        let mut image = self.image(place, reach);
        let at = (start - reach.start) as usize * 2;
        image[at..at + bytes.len()].copy_from_slice(bytes);
        self.store(place, span, |entry| {
            let from = (entry.tag.span.start - reach.start) as usize * 2;
            entry.tag.encoding.decode(&image[from..from + usize::from(entry.tag.span.len()) * 2])
        })
    }

    pub(super) fn write_bits(
        &mut self,
        place: Place,
        start: u32,
        states: &[bool],
    ) -> Result<(), ExceptionCode> {
        let span = Span { start, end: start + u32::try_from(states.len()).unwrap_or(0) };
        let reach = self.writable(place, span)?;
        let mut image = self.states(place, reach);
        let at = (start - reach.start) as usize;
        image[at..at + states.len()].copy_from_slice(states);
        let packed: Vec<u8> = image.chunks(8).map(pack).collect();
        self.store(place, span, |entry| {
            entry.tag.encoding.decode_bits(&packed, (entry.tag.span.start - reach.start) as usize)
        })
    }

    /// Checks that all of `span` may be written; returns how far the values reach that it touches.
    fn writable(&self, place: Place, span: Span) -> Result<Span, ExceptionCode> {
        self.check(place, span)?;
        let mut reach = span;
        for entry in self.memory.entries(place, span) {
            if !entry.writable {
                return Err(ExceptionCode::ILLEGAL_DATA_ADDRESS);
            }
            reach.start = reach.start.min(entry.tag.span.start);
            reach.end = reach.end.max(entry.tag.span.end);
        }
        Ok(reach)
    }

    fn store(
        &mut self,
        place: Place,
        span: Span,
        decode: impl Fn(&Entry) -> Cell,
    ) -> Result<(), ExceptionCode> {
        if self.context.faults.ignores_writes() {
            return Ok(());
        }
        let values: Vec<_> =
            self.memory.entries(place, span).map(|entry| (entry.signal, decode(entry))).collect();
        for (signal, cell) in values {
            let Cell::Good(value) = cell else { return Err(ExceptionCode::ILLEGAL_DATA_VALUE) };
            self.moment.write(signal, value).map_err(|_| ExceptionCode::ILLEGAL_DATA_ADDRESS)?;
        }
        Ok(())
    }
}

fn pack(states: &[bool]) -> u8 {
    states.iter().enumerate().fold(0, |byte, (bit, on)| byte | u8::from(*on) << bit)
}
