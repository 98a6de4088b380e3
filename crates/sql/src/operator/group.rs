//! `GROUP BY`: aggregates per key, and per window where there is one.
//!
//! Time is stream time: the latest row time seen in the partition. A row is late when its window ended more than the
//! grace period before it; which rows are late depends on the order of the rows alone, not on how they were batched.

use super::filter::truths;
use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::limits::STATE_ENTRIES_MAX;
use crate::parse::ast::Emit;
use crate::plan::query_plan::{Group as Plan, NullKey};
use crate::state::{CLOCK_KEY, Changes, ENTRY, damaged, decode, encode};
use crate::{Column, ColumnBuilder, Datum, SqlError, SqlType};
use arrow_array::Int64Array;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Groups rows.
#[derive(Debug)]
pub(super) struct Group {
    plan: Plan,
    /// By the window's start; without windows there is one, at 0.
    windows: BTreeMap<i64, FxHashMap<Box<[u8]>, Entry>>,
    entries: usize,
    /// The latest row time by source partition.
    times: BTreeMap<i32, i64>,
    times_changed: bool,
    changed: Vec<(i64, Box<[u8]>)>,
    deleted: Vec<(i64, Box<[u8]>)>,
    initial: Vec<Datum<'static>>,
}

#[derive(Debug)]
struct Entry {
    /// The states of all calls, one after the other.
    state: Vec<Datum<'static>>,
    /// The latest row time of the group.
    timestamp: i64,
    /// Whether the group was emitted and not taken back since.
    visible: bool,
    changed: bool,
}

/// What is collected while the rows of one batch are taken in.
struct Emitted {
    keep: BooleanBufferBuilder,
    timestamps: Vec<i64>,
    starts: Vec<i64>,
    results: Vec<ColumnBuilder>,
}

impl Group {
    pub(super) fn new(plan: Plan) -> Self {
        let mut initial = Vec::new();
        plan.calls.iter().for_each(|call| call.aggregate.initial(&mut initial));
        Self {
            windows: BTreeMap::new(),
            entries: 0,
            times: BTreeMap::new(),
            times_changed: false,
            changed: Vec::new(),
            deleted: Vec::new(),
            initial,
            plan,
        }
    }

    /// The start of the row's window, or why the row does not count.
    fn place(&mut self, batch: &Batch, row: usize, out: &mut Output) -> Option<i64> {
        let Some(window) = self.plan.window else { return Some(0) };
        let timestamp = batch.timestamps[row];
        if timestamp < 0 {
            let message = format!("the row's time {timestamp} is before 1970 and has no window");
            out.faults.push(RowFault { offset: batch.offsets[row], message });
            return None;
        }
        let time = self.times.entry(batch.partition).or_insert(i64::MIN);
        if timestamp > *time {
            *time = timestamp;
            self.times_changed = true;
        }
        let start = timestamp - timestamp.rem_euclid(window.size_ms);
        if start.saturating_add(window.size_ms).saturating_add(window.grace_ms) <= *time {
            out.late += 1;
            return None;
        }
        Some(start)
    }

    fn row(&mut self, batch: &Batch, row: usize, key: &mut Vec<u8>, out: &mut Output) -> Option<i64> {
        key.clear();
        let columns = &batch.columns[..self.plan.key.len()];
        if let Some(column) = columns.iter().position(|column| column.is_null(row)) {
            let message = NullKey::NoGroup.message(column + 1);
            out.faults.push(RowFault { offset: batch.offsets[row], message });
            return None;
        }
        columns.iter().for_each(|column| encode([&column.datum(row)], key));
        self.place(batch, row, out)
    }

    /// Takes a row into its group, and appends the group's results where every change is emitted.
    fn update(
        &mut self,
        batch: &Batch,
        row: usize,
        start: i64,
        key: &[u8],
        emitted: &mut Emitted,
        out: &mut Output,
    ) {
        let window = self.windows.entry(start).or_default();
        if !window.contains_key(key) {
            self.entries += 1;
            let state = self.initial.clone();
            window.insert(key.into(), Entry { state, timestamp: i64::MIN, visible: false, changed: false });
        }
        let Some(entry) = window.get_mut(key) else { return };
        entry.timestamp = entry.timestamp.max(batch.timestamps[row]);
        if !entry.changed {
            entry.changed = true;
            self.changed.push((start, key.into()));
        }
        let mut state = entry.state.as_mut_slice();
        for call in &self.plan.calls {
            let (own, rest) = state.split_at_mut(call.aggregate.width());
            call.aggregate.update(own, call.arg.map(|slot| &batch.columns[slot]), row);
            state = rest;
        }
        if self.plan.emit == Emit::Changes {
            emitted.timestamps.push(entry.timestamp);
            emitted.starts.push(start);
            results(&self.plan, entry, batch.offsets[row], &mut emitted.results, &mut out.faults);
        }
    }

    /// Marks what `HAVING` lets through; groups that it no longer does are taken back once.
    fn having(&mut self, mut batch: Batch, out: &mut Output) {
        let Some(having) = self.plan.having.clone() else {
            out.batches.push(batch);
            return;
        };
        let passes = truths(&having, &batch, &mut out.faults);
        let (mut keep, mut deleted) = (Vec::new(), Vec::new());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            key.clear();
            batch.columns[..self.plan.key.len()].iter().for_each(|column| encode([&column.datum(row)], &mut key));
            let start = match (&self.plan.window, &batch.columns[self.plan.key.len()..]) {
                (Some(_), [start, ..]) => start.datum(row).as_i64().unwrap_or(0),
                _ => 0,
            };
            let pass = passes.value(row);
            let entry = self.windows.get_mut(&start).and_then(|window| window.get_mut(key.as_slice()));
            let was = entry.is_some_and(|entry| std::mem::replace(&mut entry.visible, pass));
            keep.push(pass || was);
            deleted.push(!pass);
        }
        batch.deleted = deleted.contains(&true).then(|| deleted.into_iter().collect());
        let keep: BooleanBuffer = keep.into_iter().collect();
        if keep.count_set_bits() > 0 {
            out.batches.push(batch.filter(&keep));
        }
    }

    /// Removes windows whose grace is over, and emits them where only final results are wanted.
    fn close(&mut self, batch: &Batch, out: &mut Output) {
        let (Some(window), Some(time)) = (self.plan.window, self.times.values().min().copied()) else {
            return;
        };
        let span = window.size_ms.saturating_add(window.grace_ms);
        while let Some(first) = self.windows.first_entry() {
            if first.key().saturating_add(span) > time {
                break;
            }
            let (start, groups) = first.remove_entry();
            self.entries -= groups.len();
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            if self.plan.emit == Emit::Final {
                self.emit_closed(start, &groups, batch, out);
            }
            self.deleted.extend(groups.into_iter().map(|(key, _)| (start, key)));
        }
    }

    fn emit_closed(&self, start: i64, groups: &[(Box<[u8]>, Entry)], batch: &Batch, out: &mut Output) {
        let offset = batch.offsets.last().copied().unwrap_or(0);
        let mut keys: Vec<_> =
            self.plan.key.iter().map(|(_, t)| ColumnBuilder::new(*t, groups.len())).collect();
        let mut values = self.result_builders(groups.len());
        for (key, entry) in groups {
            // The key was written here: it can be read.
            let parts = decode(key).unwrap_or_default();
            keys.iter_mut().enumerate().for_each(|(at, key)| key.append(parts.get(at).unwrap_or(&Datum::Null)));
            results(&self.plan, entry, offset, &mut values, &mut out.faults);
        }
        let mut columns: Vec<_> = keys.iter_mut().map(ColumnBuilder::finish).collect();
        columns.extend(self.window_columns(vec![start; groups.len()]));
        columns.extend(values.iter_mut().map(ColumnBuilder::finish));
        let closed = Batch {
            columns,
            timestamps: groups.iter().map(|(_, entry)| entry.timestamp).collect::<Vec<_>>().into(),
            offsets: vec![offset; groups.len()].into(),
            partition: batch.partition,
            deleted: None,
            now_ms: batch.now_ms,
        };
        match &self.plan.having {
            None => out.batches.push(closed),
            Some(having) => {
                let keep = truths(having, &closed, &mut out.faults);
                out.batches.push(closed.filter(&keep));
            }
        }
    }

    fn result_builders(&self, rows: usize) -> Vec<ColumnBuilder> {
        self.plan.calls.iter().map(|call| ColumnBuilder::new(call.aggregate.returns(), rows)).collect()
    }

    fn window_columns(&self, starts: Vec<i64>) -> Vec<Column> {
        let Some(window) = self.plan.window else { return Vec::new() };
        let ends = starts.iter().map(|start| start.saturating_add(window.size_ms));
        let ends = Column::BigInt(Int64Array::from_iter_values(ends));
        vec![Column::BigInt(Int64Array::from(starts)), ends]
    }
}

/// Appends the results of a group; what does not fit is `NULL`, and reported.
fn results(plan: &Plan, entry: &Entry, offset: i64, into: &mut [ColumnBuilder], faults: &mut Vec<RowFault>) {
    let mut state = entry.state.as_slice();
    for (call, builder) in plan.calls.iter().zip(into) {
        let (own, rest) = state.split_at(call.aggregate.width());
        match call.aggregate.result(own) {
            Ok(value) => builder.append(&value),
            Err(fault) => {
                faults.push(RowFault { offset, message: fault.to_string() });
                builder.append_null();
            }
        }
        state = rest;
    }
}

impl Operator for Group {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let rows = batch.rows();
        let mut emitted = Emitted {
            keep: BooleanBufferBuilder::new(rows),
            timestamps: Vec::with_capacity(rows),
            starts: Vec::with_capacity(rows),
            results: self.result_builders(rows),
        };
        let mut key = Vec::new();
        for row in 0..rows {
            let start = self.row(&batch, row, &mut key, out);
            emitted.keep.append(start.is_some());
            if let Some(start) = start {
                self.update(&batch, row, start, &key, &mut emitted, out);
            }
        }
        if self.plan.emit == Emit::Changes && !emitted.timestamps.is_empty() {
            let keep = emitted.keep.finish();
            let keys = batch.with_columns(batch.columns[..self.plan.key.len()].to_vec());
            let mut rows = if keep.count_set_bits() == rows { keys } else { keys.filter(&keep) };
            rows.timestamps = emitted.timestamps.into();
            rows.columns.extend(self.window_columns(emitted.starts));
            rows.columns.extend(emitted.results.iter_mut().map(ColumnBuilder::finish));
            self.having(rows, out);
        }
        self.close(&batch, out);
        if self.entries > STATE_ENTRIES_MAX {
            return Err(SqlError::Query(format!(
                "the query holds more than {STATE_ENTRIES_MAX} groups; use a window with a short GRACE PERIOD"
            )));
        }
        Ok(())
    }

    fn state_name(&self) -> Option<String> {
        Some("Aggregate".to_owned())
    }

    fn fingerprint(&self) -> String {
        let types: Vec<SqlType> = self.plan.key.iter().map(|(_, t)| *t).collect();
        let calls: Vec<_> = self.plan.calls.iter().map(|call| call.aggregate).collect();
        let size_ms = self.plan.window.map(|window| window.size_ms);
        format!("{types:?} {size_ms:?} {calls:?}")
    }

    fn save(&mut self, changes: &mut Changes) {
        let key_of = |start: i64, key: &[u8]| [&[ENTRY], key, &start.to_be_bytes()].concat();
        for (start, key) in self.changed.drain(..) {
            // A window that was closed in the same batch is gone: its deletion follows.
            if let Some(entry) = self.windows.get_mut(&start).and_then(|window| window.get_mut(&key)) {
                entry.changed = false;
                let head = [Datum::BigInt(entry.timestamp), Datum::Boolean(entry.visible)];
                let mut value = Vec::new();
                encode(head.iter().chain(&entry.state), &mut value);
                changes.push((key_of(start, &key), Some(value)));
            }
        }
        changes.extend(self.deleted.drain(..).map(|(start, key)| (key_of(start, &key), None)));
        if std::mem::take(&mut self.times_changed) {
            let mut value = Vec::new();
            for (partition, time) in &self.times {
                encode(&[Datum::Int(*partition), Datum::BigInt(*time)], &mut value);
            }
            changes.push((CLOCK_KEY.to_vec(), Some(value)));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let values = decode(value)?;
        if key == CLOCK_KEY {
            for pair in values.chunks_exact(2) {
                let [Datum::Int(partition), Datum::BigInt(time)] = pair else { return Err(damaged()) };
                self.times.insert(*partition, *time);
            }
            return Ok(());
        }
        let (Some((&ENTRY, rest)), [Datum::BigInt(timestamp), Datum::Boolean(visible), state @ ..]) =
            (key.split_first(), values.as_slice())
        else {
            return Err(damaged());
        };
        let (key, start) = rest.split_last_chunk().ok_or_else(damaged)?;
        if state.len() != self.initial.len() {
            return Err(damaged());
        }
        let entry = Entry { state: state.to_vec(), timestamp: *timestamp, visible: *visible, changed: false };
        self.windows.entry(i64::from_be_bytes(*start)).or_default().insert(key.into(), entry);
        self.entries += 1;
        Ok(())
    }
}
