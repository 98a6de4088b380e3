//! A world of named signals: every simulated value at a given time, and the values that were written.

use super::Signal;
use super::signal::{SignalKind, number};
use crate::{Instant, Random, limits};
use millstream_model::{DataType, TagType, Value};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Named signals of one or several machines. Clones are the same world.
///
/// Values depend on the seed, the time since the start and what was written, never on who looked when: lags advance in fixed
/// ticks of [`limits::WORLD_TICK`], random walks in their own periods.
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<Inner>>);

/// One signal of a world, found once by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalId(usize);

/// The signal is not one that takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWritable;

/// The world at one instant; nothing changes while it is held, so hold it briefly.
#[derive(Debug)]
pub struct Moment<'a> {
    inner: MutexGuard<'a, Inner>,
    seconds: f64,
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    start: Option<Instant>,
    names: BTreeMap<Arc<str>, SignalId>,
    signals: Vec<Entry>,
    /// Signals with a lag, advanced together.
    lagging: Vec<usize>,
    /// Whether `lagging` and the entries' `follows` are up to date.
    linked: bool,
    ticks: u64,
}

#[derive(Debug)]
struct Entry {
    device: Arc<str>,
    signal: Signal,
    tag_type: TagType,
    writable: bool,
    written: Option<Value>,
    /// Followed signals as far as they exist; names are looked up again after every change of the world.
    follows: Vec<(usize, f64)>,
    lagged: f64,
    walk: Walk,
}

#[derive(Debug)]
struct Walk {
    random: Random,
    steps: u64,
    value: f64,
}

impl Default for World {
    fn default() -> Self {
        Self::new(1)
    }
}

impl World {
    /// An empty world. Its time starts with the first look at it.
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            seed,
            start: None,
            names: BTreeMap::new(),
            signals: Vec::new(),
            lagging: Vec::new(),
            linked: true,
            ticks: 0,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Adds a signal, or replaces the one of that name.
    pub fn add(
        &self,
        device: &str,
        tag: &str,
        tag_type: TagType,
        signal: Signal,
        writable: bool,
    ) -> SignalId {
        self.0.lock().add(device, tag, tag_type, signal, writable)
    }

    /// The signal of `tag` of `device`.
    pub fn find(&self, device: &str, tag: &str) -> Option<SignalId> {
        self.0.lock().names.get(&*full_name(device, tag)).copied()
    }

    /// Every signal's device and tag as `device/tag`.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// The world at `now`. Time does not run backwards: an earlier `now` than the last sees lags and walks as they are.
    pub fn moment(&self, now: Instant) -> Moment<'_> {
        let mut inner = self.0.lock();
        let start = *inner.start.get_or_insert(now);
        let elapsed = now.saturating_duration_since(start);
        inner.link();
        inner.advance(elapsed);
        Moment { inner, seconds: elapsed.as_secs_f64() }
    }

    /// Forgets what was written to `device`, as a machine does that loses its power.
    pub fn reset(&self, device: &str) {
        for entry in self.0.lock().signals.iter_mut().filter(|entry| &*entry.device == device) {
            entry.written = None;
        }
    }
}

impl Moment<'_> {
    /// The value of a signal, in the type of its tag.
    pub fn read(&mut self, id: SignalId) -> Value {
        let seconds = self.seconds;
        self.inner.read(id.0, seconds)
    }

    /// Writes a value; it stays until the next write or a reset.
    pub fn write(&mut self, id: SignalId, value: Value) -> Result<(), NotWritable> {
        let entry = self.inner.signals.get_mut(id.0).filter(|entry| entry.writable).ok_or(NotWritable)?;
        entry.written = Some(value);
        Ok(())
    }

    /// Writes a value whether the signal takes writes or not: for tests and demonstrations that play the machine's part.
    pub fn force(&mut self, id: SignalId, value: Value) {
        if let Some(entry) = self.inner.signals.get_mut(id.0) {
            entry.written = Some(value);
        }
    }
}

fn full_name(device: &str, tag: &str) -> Arc<str> {
    format!("{device}/{tag}").into()
}

impl Inner {
    fn add(
        &mut self,
        device: &str,
        tag: &str,
        tag_type: TagType,
        signal: Signal,
        writable: bool,
    ) -> SignalId {
        let name = full_name(device, tag);
        let random = Random::named(self.seed, &name);
        let start = signal.shape(0.0);
        let entry = Entry {
            device: device.into(),
            lagged: signal.limited(start + signal.offset),
            signal,
            tag_type,
            writable,
            written: None,
            follows: Vec::new(),
            walk: Walk { random, steps: 0, value: start },
        };
        let id = match self.names.get(&name) {
            Some(id) => *id,
            None => SignalId(self.signals.len()),
        };
        match self.signals.get_mut(id.0) {
            Some(old) => *old = entry,
            None => self.signals.push(entry),
        }
        self.names.insert(name, id);
        self.linked = false;
        id
    }

    /// Looks followed names up after signals were added.
    fn link(&mut self) {
        if std::mem::replace(&mut self.linked, true) {
            return;
        }
        self.lagging.clear();
        for (index, entry) in self.signals.iter_mut().enumerate() {
            let names = &self.names;
            let device = &entry.device;
            let find = |tag: &str| {
                let own = names.get(&*full_name(device, tag));
                own.or_else(|| names.get(tag)).map(|id| id.0)
            };
            entry.follows =
                entry.signal.follow.iter().filter_map(|f| Some((find(&f.tag)?, f.gain))).collect();
            if !entry.signal.lag.is_zero() {
                self.lagging.push(index);
            }
        }
    }

    /// Moves lags forward, in fixed ticks; after a long pause in fewer, larger ones.
    fn advance(&mut self, elapsed: Duration) {
        let tick = limits::WORLD_TICK;
        let due = u64::try_from(elapsed.as_millis() / tick.as_millis()).unwrap_or(u64::MAX);
        let behind = due.saturating_sub(self.ticks);
        if self.lagging.is_empty() || behind == 0 {
            self.ticks = self.ticks.max(due);
            return;
        }
        let stride = behind.div_ceil(limits::WORLD_TICKS_AT_ONCE);
        let mut next = Vec::with_capacity(self.lagging.len());
        while self.ticks < due {
            let ticks = stride.min(due - self.ticks);
            self.ticks += ticks;
            #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds fits a double")]
            let (step, seconds) = (tick.as_secs_f64() * ticks as f64, tick.as_secs_f64() * self.ticks as f64);
            next.clear();
            for index in 0..self.lagging.len() {
                let signal = self.lagging[index];
                let target = self.target(signal, seconds, 0);
                let entry = &self.signals[signal];
                let share = 1.0 - (-step / entry.signal.lag.as_secs_f64()).exp();
                next.push(entry.lagged + (target - entry.lagged) * share);
            }
            for (signal, value) in self.lagging.iter().zip(&next) {
                self.signals[*signal].lagged = *value;
            }
        }
    }

    fn read(&mut self, index: usize, seconds: f64) -> Value {
        let Some(entry) = self.signals.get(index) else { return Value::Int(0) };
        if let Some(written) = &entry.written {
            return written.clone();
        }
        if entry.signal.is_plain()
            && !matches!(entry.signal.value, Value::Bool(_))
            && entry.signal.value.as_f64().is_none()
        {
            return entry.signal.value.clone();
        }
        let tag_type = entry.tag_type;
        let value = self.number(index, seconds, 0);
        typed(value, tag_type)
    }

    /// A signal's value as a number, lag included.
    fn number(&mut self, index: usize, seconds: f64, depth: usize) -> f64 {
        let Some(entry) = self.signals.get(index) else { return 0.0 };
        match &entry.written {
            Some(written) => number(written),
            None if !entry.signal.lag.is_zero() => entry.lagged,
            None => self.target(index, seconds, depth),
        }
    }

    /// What a signal would be without its lag.
    fn target(&mut self, index: usize, seconds: f64, depth: usize) -> f64 {
        let shape = match self.signals[index].signal.kind {
            SignalKind::RandomWalk => self.signals[index].walk_to(seconds),
            _ => self.signals[index].signal.shape(seconds),
        };
        let mut value = shape + self.signals[index].signal.offset;
        // A circle of signals without any lag has no solution; it is cut off here.
        if depth < limits::WORLD_FOLLOW_DEPTH {
            for follow in 0..self.signals[index].follows.len() {
                let (followed, gain) = self.signals[index].follows[follow];
                value += gain * self.number(followed, seconds, depth + 1);
            }
        }
        self.signals[index].signal.limited(value)
    }
}

impl Entry {
    fn walk_to(&mut self, seconds: f64) -> f64 {
        let signal = &self.signal;
        let (min, max) = (signal.min.unwrap_or(0.0), signal.max.unwrap_or(100.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of steps, saturating"
        )]
        let due = (seconds / signal.period.as_secs_f64()).max(0.0) as u64;
        // After a long pause the last steps decide; the walk is no less random for it.
        self.walk.steps = self.walk.steps.max(due.saturating_sub(limits::WORLD_TICKS_AT_ONCE));
        while self.walk.steps < due {
            self.walk.steps += 1;
            let moved = self.walk.value + signal.step * (2.0 * self.walk.random.unit() - 1.0);
            let turned = if moved > max {
                2.0 * max - moved
            } else if moved < min {
                2.0 * min - moved
            } else {
                moved
            };
            self.walk.value = turned.max(min).min(max);
        }
        self.walk.value
    }
}

/// A number in a tag's type; what does not fit saturates. An array's elements count up from it, so that they differ.
fn typed(value: f64, tag_type: TagType) -> Value {
    match tag_type.count {
        None => element(value, tag_type.data_type),
        Some(_) if tag_type.data_type == DataType::Raw => element(value, DataType::Raw),
        Some(count) => Value::List(
            (0..count).map(|index| element(value + f64::from(index), tag_type.data_type)).collect(),
        ),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts from floating point saturate, which is what a simulated sensor does"
)]
fn element(value: f64, data_type: DataType) -> Value {
    use DataType as T;
    match data_type {
        T::Bool => Value::Bool(value >= 0.5),
        T::SInt => Value::Int(i64::from(value.round() as i8)),
        T::Int => Value::Int(i64::from(value.round() as i16)),
        T::DInt => Value::Int(i64::from(value.round() as i32)),
        T::LInt => Value::Int(value.round() as i64),
        T::Byte | T::USInt => Value::UInt(u64::from(value.round() as u8)),
        T::Word | T::UInt => Value::UInt(u64::from(value.round() as u16)),
        T::DWord | T::UDInt => Value::UInt(u64::from(value.round() as u32)),
        T::LWord | T::ULInt => Value::UInt(value.round() as u64),
        T::Real => Value::Real(value as f32),
        T::LReal => Value::LReal(value),
        T::Raw => Value::Bytes(Box::new([value.round() as u8])),
        T::Char | T::WChar | T::String | T::WString => Value::Text(format!("{value}").into()),
        T::Time | T::LTime | T::Date | T::TimeOfDay | T::DateAndTime => {
            Value::Text(format!("{}", value.round() as i64).into())
        }
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
