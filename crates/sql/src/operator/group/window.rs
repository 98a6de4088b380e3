//! Grouping without windows, and by tumbling and hopping ones.

use super::calls::{Calls, Target};
use super::clock::StreamClock;
use super::store::Store;
use super::{check_entries, fingerprint, give_final, refuse_time, saved, write_key};
use crate::batch::Batch;
use crate::operator::filter::truths;
use crate::operator::{Operator, Output, Tick};
use crate::parse::ast::{Emit, WindowKind};
use crate::plan::group::Group as Plan;
use crate::state::{CLOCK_KEY, Changes, ENTRY, damaged, decode};
use crate::{Column, ColumnBuilder, Datum, SqlError};
use arrow_array::{BooleanArray, Int64Array, UInt32Array};
use arrow_buffer::BooleanBuffer;
use std::collections::BTreeMap;

/// Groups rows by key and window.
#[derive(Debug)]
pub(super) struct Windows {
    plan: Plan,
    times: Option<Times>,
    calls: Calls,
    /// By key and, where there are windows, the 8 bytes of the window's start.
    store: Store,
    /// The groups of each open window, by its start.
    open: BTreeMap<i64, Vec<u32>>,
    clock: StreamClock,
    changed: Vec<u32>,
    deleted: Vec<Box<[u8]>>,
}

/// The windows that there are, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    size: i64,
    advance: i64,
    grace: i64,
}

impl Times {
    /// The start of the first window that a time is in; the others follow, one advance after the other, up to the time.
    const fn first(&self, time: i64) -> i64 {
        let earliest = time.saturating_sub(self.size).saturating_add(self.advance);
        let earliest = if earliest < 0 { 0 } else { earliest };
        earliest - earliest % self.advance
    }

    /// Whether a window takes no rows any more.
    const fn is_closed(&self, start: i64, stream_time: i64) -> bool {
        start.saturating_add(self.size).saturating_add(self.grace) <= stream_time
    }
}

/// Which rows go where, in order.
#[derive(Debug, Default)]
struct Placed {
    targets: Vec<Target>,
    starts: Vec<i64>,
    timestamps: Vec<i64>,
}

impl Windows {
    pub(super) fn new(plan: Plan) -> Self {
        let windows = plan.window.and_then(|window| match window.kind {
            WindowKind::Tumbling { size_ms } => Some((size_ms, size_ms, window.grace_ms)),
            WindowKind::Hopping { size_ms, advance_ms } => Some((size_ms, advance_ms, window.grace_ms)),
            WindowKind::Session { .. } => None,
        });
        let times =
            windows.map(|(size, advance, grace)| Times { size: size.max(1), advance: advance.max(1), grace });
        let calls = Calls::new(&plan.calls);
        Self {
            store: Store::new(calls.words, calls.lists),
            calls,
            times,
            open: BTreeMap::new(),
            clock: StreamClock::default(),
            changed: Vec::new(),
            deleted: Vec::new(),
            plan,
        }
    }

    /// Finds the groups of all rows.
    fn place(&mut self, batch: &Batch, out: &mut Output) -> Placed {
        let rows = batch.rows();
        let mut placed = Placed {
            targets: Vec::with_capacity(rows),
            starts: Vec::with_capacity(rows),
            timestamps: Vec::with_capacity(rows),
        };
        let mut key = Vec::new();
        let mut stream_time = self.clock.of(batch.partition);
        for row in 0..rows {
            if !write_key(&self.plan, batch, row, &mut key, &mut out.faults) {
                continue;
            }
            let time = batch.timestamps[row];
            let Some(times) = self.times else {
                self.target(row, 0, time, &key, &mut placed);
                continue;
            };
            if time < 0 {
                refuse_time(batch, row, &mut out.faults);
                continue;
            }
            stream_time = stream_time.max(time);
            let (mut start, bare) = (times.first(time), key.len());
            let mut late = false;
            while start <= time {
                if times.is_closed(start, stream_time) {
                    late = true;
                } else {
                    key.extend_from_slice(&start.to_be_bytes());
                    self.target(row, start, time, &key, &mut placed);
                    key.truncate(bare);
                }
                // The last windows of all time have none behind them.
                let Some(next) = start.checked_add(times.advance) else { break };
                start = next;
            }
            out.late += u64::from(late);
        }
        if self.times.is_some() && stream_time > i64::MIN {
            self.clock.advance(batch.partition, stream_time);
        }
        placed
    }

    fn target(&mut self, row: usize, start: i64, time: i64, key: &[u8], placed: &mut Placed) {
        let (slot, made) = self.store.slot(key);
        if made && self.times.is_some() {
            self.open.entry(start).or_default().push(slot);
        }
        let entry = self.store.entry_mut(slot);
        entry.timestamp = entry.timestamp.max(time);
        placed.timestamps.push(entry.timestamp);
        placed.starts.push(start);
        if !entry.changed {
            entry.changed = true;
            self.changed.push(slot);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "batches have some thousand rows"
        )]
        placed.targets.push(Target { slot, row: row as u32 });
    }

    /// The results after each row, with keys and windows.
    fn changes(&self, batch: &Batch, placed: Placed, results: Vec<Column>) -> Batch {
        let Placed { targets, starts, timestamps } = placed;
        let keys = batch.columns.iter().take(self.plan.key.len());
        let straight = targets.len() == batch.rows()
            && targets.iter().enumerate().all(|(index, target)| target.row() == index);
        let (mut columns, offsets): (Vec<Column>, _) = if straight {
            (keys.cloned().collect(), batch.offsets.clone())
        } else {
            let rows: UInt32Array = targets.iter().map(|target| target.row).collect::<Vec<_>>().into();
            let offsets = targets.iter().map(|target| batch.offsets[target.row()]);
            (keys.map(|column| column.take(&rows)).collect(), offsets.collect::<Vec<_>>().into())
        };
        columns.extend(self.window_columns(starts));
        columns.extend(results);
        Batch {
            columns,
            timestamps: timestamps.into(),
            offsets,
            partition: batch.partition,
            deleted: None,
            now_ms: batch.now_ms,
        }
    }

    fn window_columns(&self, starts: Vec<i64>) -> Vec<Column> {
        let Some(times) = self.times else { return Vec::new() };
        let ends = Int64Array::from_iter_values(starts.iter().map(|start| start.saturating_add(times.size)));
        vec![Column::BigInt(Int64Array::from(starts)), Column::BigInt(ends)]
    }

    /// Marks what `HAVING` lets through; groups that it no longer does are taken back once.
    fn having(&mut self, mut batch: Batch, slots: &[u32], out: &mut Output) {
        let Some(having) = &self.plan.having else {
            out.batches.push(batch);
            return;
        };
        let passes = truths(having, &batch, &mut out.faults);
        let mut keep = Vec::with_capacity(slots.len());
        for (row, slot) in slots.iter().enumerate() {
            let pass = passes.value(row);
            let was = std::mem::replace(&mut self.store.entry_mut(*slot).visible, pass);
            keep.push(pass || was);
        }
        let keep: BooleanBuffer = keep.into_iter().collect();
        batch.deleted = (passes.count_set_bits() < slots.len()).then(|| !&passes);
        if keep.count_set_bits() > 0 {
            out.batches.push(batch.filter(&keep));
        }
    }

    /// Removes windows whose grace is over, and gives their results on where only final ones are wanted.
    fn close(&mut self, tick: &Tick, out: &mut Output) {
        let (Some(times), Some(stream_time)) = (self.times, self.clock.slowest()) else { return };
        while let Some(first) = self.open.first_entry() {
            if !times.is_closed(*first.key(), stream_time) {
                break;
            }
            let (start, mut slots) = first.remove_entry();
            if self.plan.emit == Emit::Final {
                slots.sort_unstable_by(|a, b| self.store.entry(*a).key.cmp(&self.store.entry(*b).key));
                let closed = self.closed(start, &slots, tick, out);
                give_final(&self.plan, closed, out);
            }
            self.deleted.extend(slots.into_iter().map(|slot| self.store.remove(slot)));
        }
    }

    fn closed(&self, start: i64, slots: &[u32], tick: &Tick, out: &mut Output) -> Batch {
        let rows = slots.len();
        let mut keys: Vec<_> = self.plan.key.iter().map(|(_, t)| ColumnBuilder::new(*t, rows)).collect();
        let mut values = self.calls.builders(rows);
        for slot in slots {
            let key = &self.store.entry(*slot).key;
            // The key was written here: it can be read.
            let parts =
                decode(key.get(..key.len().saturating_sub(8)).unwrap_or_default()).unwrap_or_default();
            keys.iter_mut()
                .enumerate()
                .for_each(|(at, key)| key.append(parts.get(at).unwrap_or(&Datum::Null)));
            let (words, held) = self.store.state(*slot);
            self.calls.results(words, held, tick.offset, &mut values, &mut out.faults);
        }
        let mut columns: Vec<_> = keys.iter_mut().map(ColumnBuilder::finish).collect();
        columns.extend(self.window_columns(vec![start; rows]));
        columns.extend(values.iter_mut().map(ColumnBuilder::finish));
        let timestamps: Vec<i64> = slots.iter().map(|slot| self.store.entry(*slot).timestamp).collect();
        Batch {
            columns,
            timestamps: timestamps.into(),
            offsets: vec![tick.offset; rows].into(),
            partition: tick.partition,
            deleted: None,
            now_ms: tick.now_ms,
        }
    }

    fn retracted<'b>(&self, batch: &'b Batch) -> Option<&'b BooleanArray> {
        match self.plan.retracted.and_then(|slot| batch.columns.get(slot)) {
            Some(Column::Boolean(array)) => Some(array),
            _ => None,
        }
    }
}

impl Operator for Windows {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let placed = self.place(&batch, out);
        let emit = self.plan.emit == Emit::Changes;
        let retracted = self.retracted(&batch);
        let results =
            self.calls.run(&batch, &placed.targets, retracted, &mut self.store, emit, &mut out.faults);
        if emit && !placed.targets.is_empty() {
            let slots: Vec<u32> = if self.plan.having.is_some() {
                placed.targets.iter().map(|target| target.slot).collect()
            } else {
                Vec::new()
            };
            let changes = self.changes(&batch, placed, results);
            self.having(changes, &slots, out);
        }
        self.close(&Tick::after(&batch), out);
        check_entries(self.store.len())
    }

    fn state_name(&self) -> Option<String> {
        Some("Aggregate".to_owned())
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.plan)
    }

    fn save(&mut self, changes: &mut Changes) {
        for slot in self.changed.drain(..) {
            // A window that was closed in the same batch is gone: its deletion follows.
            let entry = self.store.entry_mut(slot);
            if std::mem::take(&mut entry.changed) {
                let key = [&[ENTRY], &*entry.key].concat();
                let (timestamp, visible) = (entry.timestamp, entry.visible);
                let (words, held) = self.store.state(slot);
                changes.push((key, Some(saved::write(timestamp, visible, words, held))));
            }
        }
        changes.extend(self.deleted.drain(..).map(|key| ([&[ENTRY], &*key].concat(), None)));
        self.clock.save(changes);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        if key == CLOCK_KEY {
            return self.clock.load(value);
        }
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        let saved = saved::read(value, self.calls.words, self.calls.lists)?;
        let (slot, made) = self.store.slot(key);
        if made && self.times.is_some() {
            let start = key.last_chunk().ok_or_else(damaged)?;
            self.open.entry(i64::from_be_bytes(*start)).or_default().push(slot);
        }
        let entry = self.store.entry_mut(slot);
        (entry.timestamp, entry.visible) = (saved.timestamp, saved.visible);
        let (words, held) = self.store.state_mut(slot);
        words.copy_from_slice(&saved.words);
        held.iter_mut().zip(saved.held).for_each(|(held, saved)| *held = saved);
        Ok(())
    }
}
