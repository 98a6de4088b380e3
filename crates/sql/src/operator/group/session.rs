//! Grouping by sessions: a session is as long as no two rows in it are farther apart than the gap.
//!
//! A row that meets sessions makes them one with itself: each of them is taken back, the new one is given on, as Kafka
//! Streams does. A record's time is the end of its session.

use super::calls::Calls;
use super::clock::StreamClock;
use super::{check_entries, fingerprint, give_final, refuse_time, saved, write_key};
use crate::batch::Batch;
use crate::function::aggregate::Held;
use crate::operator::filter::truths;
use crate::operator::{Operator, Output, Tick};
use crate::parse::ast::Emit;
use crate::plan::group::Group as Plan;
use crate::state::{CLOCK_KEY, Changes, ENTRY, damaged, decode};
use crate::{Column, ColumnBuilder, Datum, SqlError};
use arrow_array::{Int64Array, UInt32Array};
use arrow_buffer::BooleanBuffer;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Groups rows by key and session.
#[derive(Debug)]
pub(super) struct Sessions {
    plan: Plan,
    gap: i64,
    grace: i64,
    calls: Calls,
    /// The open sessions of each key, by start.
    keys: FxHashMap<Box<[u8]>, Vec<Session>>,
    /// End, key, start of every session, so that those that are over are found.
    ends: BTreeSet<(i64, Box<[u8]>, i64)>,
    clock: StreamClock,
    /// Sessions that came, changed or went: key, end, start.
    changed: BTreeSet<(Box<[u8]>, i64, i64)>,
}

#[derive(Debug)]
struct Session {
    start: i64,
    end: i64,
    words: Vec<u64>,
    held: Vec<Held>,
    visible: Visible,
}

/// Whether a session was given on and not taken back.
#[derive(Debug, Clone, Copy)]
enum Visible {
    Known(bool),
    /// As it will turn out for this event of the batch.
    Event(usize),
}

/// What happens to sessions in one batch, in order.
#[derive(Debug, Default)]
struct Events {
    rows: Vec<u32>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    /// Whether the session is taken back.
    gone: Vec<bool>,
    /// What the same session was before.
    before: Vec<Visible>,
}

impl Events {
    fn push(&mut self, row: usize, (start, end): (i64, i64), gone: bool, before: Visible) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "batches have some thousand rows"
        )]
        self.rows.push(row as u32);
        self.starts.push(start);
        self.ends.push(end);
        self.gone.push(gone);
        self.before.push(before);
    }
}

impl Sessions {
    pub(super) fn new(plan: Plan, gap_ms: i64) -> Self {
        Self {
            calls: Calls::new(&plan.calls),
            gap: gap_ms,
            grace: plan.window.map_or(0, |window| window.grace_ms),
            keys: FxHashMap::default(),
            ends: BTreeSet::new(),
            clock: StreamClock::default(),
            changed: BTreeSet::new(),
            plan,
        }
    }

    /// Whether a session with this end takes no rows any more.
    const fn is_closed(&self, end: i64, stream_time: i64) -> bool {
        end.saturating_add(self.gap).saturating_add(self.grace) < stream_time
    }

    /// Takes in a row.
    fn row(
        &mut self,
        batch: &Batch,
        row: usize,
        key: &[u8],
        (events, results): (&mut Events, &mut [ColumnBuilder]),
        out: &mut Output,
    ) {
        let time = batch.timestamps[row];
        let (from, to) = (time.saturating_sub(self.gap), time.saturating_add(self.gap));
        let meets = |session: &Session| session.end >= from && session.start <= to;
        let known = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let met = known.iter().filter(|session| meets(session));
        let (start, end) = met.fold((time, time), |(s, e), met| (s.min(met.start), e.max(met.end)));
        if self.is_closed(end, self.clock.of(batch.partition)) {
            out.late += 1;
            return;
        }
        let key: Box<[u8]> = key.into();
        let mut session = Session {
            start,
            end,
            words: vec![0; self.calls.words],
            held: vec![Held::new(); self.calls.lists],
            visible: Visible::Known(false),
        };
        let sessions = self.keys.entry(key.clone()).or_default();
        let (met, others): (Vec<_>, Vec<_>) = std::mem::take(sessions).into_iter().partition(meets);
        *sessions = others;
        for mut met in met {
            self.calls.merge((&mut session.words, &mut session.held), (&mut met.words, &mut met.held));
            self.ends.remove(&(met.end, key.clone(), met.start));
            self.changed.insert((key.clone(), met.end, met.start));
            if (start, end) == (time, time) {
                session.visible = met.visible;
            } else {
                events.push(row, (met.start, met.end), true, met.visible);
                results.iter_mut().for_each(ColumnBuilder::append_null);
            }
        }
        self.calls.add(batch, row, &mut session.words, &mut session.held, &mut out.faults);
        if self.plan.emit == Emit::Changes {
            let before = std::mem::replace(&mut session.visible, Visible::Event(events.rows.len()));
            events.push(row, (start, end), false, before);
            self.calls.results(&session.words, &session.held, batch.offsets[row], results, &mut out.faults);
        }
        self.changed.insert((key.clone(), end, start));
        self.ends.insert((end, key, start));
        let at = sessions.partition_point(|other| other.start < start);
        sessions.insert(at, session);
    }

    /// Gives on what happened, as far as `HAVING` lets it through or did so before.
    fn give(&mut self, batch: &Batch, events: Events, mut results: Vec<ColumnBuilder>, out: &mut Output) {
        if events.rows.is_empty() {
            return;
        }
        let rows: UInt32Array = events.rows.into();
        let mut columns: Vec<Column> =
            batch.columns.iter().take(self.plan.key.len()).map(|column| column.take(&rows)).collect();
        columns.push(Column::BigInt(Int64Array::from(events.starts)));
        columns.push(Column::BigInt(Int64Array::from(events.ends.clone())));
        columns.extend(results.iter_mut().map(ColumnBuilder::finish));
        let offsets = Column::BigInt(Int64Array::new(batch.offsets.clone(), None)).take(&rows);
        let Column::BigInt(offsets) = offsets else { return };
        let mut made = Batch {
            columns,
            timestamps: events.ends.into(),
            offsets: offsets.values().clone(),
            partition: batch.partition,
            deleted: None,
            now_ms: batch.now_ms,
        };
        let passes = match &self.plan.having {
            None => BooleanBuffer::new_set(made.rows()),
            Some(having) => truths(having, &made, &mut out.faults),
        };
        let mut visible: Vec<bool> = Vec::with_capacity(made.rows());
        let (mut keep, mut deleted) = (Vec::new(), Vec::new());
        for (event, (gone, before)) in events.gone.iter().zip(&events.before).enumerate() {
            let pass = !gone && passes.value(event);
            let was = match before {
                Visible::Known(was) => *was,
                Visible::Event(before) => visible.get(*before).copied().unwrap_or(false),
            };
            keep.push(pass || was);
            deleted.push(!pass);
            visible.push(pass);
        }
        self.settle(&visible);
        made.deleted = deleted.contains(&true).then(|| deleted.into_iter().collect());
        let keep: BooleanBuffer = keep.into_iter().collect();
        if keep.count_set_bits() == made.rows() {
            out.batches.push(made);
        } else if keep.count_set_bits() > 0 {
            out.batches.push(made.filter(&keep));
        }
    }

    /// Writes down how the batch turned out.
    fn settle(&mut self, visible: &[bool]) {
        for (key, end, start) in &self.changed {
            let sessions = self.keys.get_mut(key).map_or(&mut [][..], Vec::as_mut_slice);
            for session in
                sessions.iter_mut().filter(|session| (session.end, session.start) == (*end, *start))
            {
                if let Visible::Event(event) = session.visible {
                    session.visible = Visible::Known(visible.get(event).copied().unwrap_or(false));
                }
            }
        }
    }

    /// Removes sessions that are over, and gives their results on where only final ones are wanted.
    fn close(&mut self, tick: &Tick, out: &mut Output) {
        let Some(stream_time) = self.clock.slowest() else { return };
        let mut closed = Vec::new();
        while self.ends.first().is_some_and(|(end, _, _)| self.is_closed(*end, stream_time)) {
            let Some((end, key, start)) = self.ends.pop_first() else { break };
            let Some(sessions) = self.keys.get_mut(&key) else { continue };
            if let Some(at) = sessions.iter().position(|session| session.start == start) {
                closed.push((key.clone(), sessions.remove(at)));
            }
            if sessions.is_empty() {
                self.keys.remove(&key);
            }
            self.changed.insert((key, end, start));
        }
        if self.plan.emit == Emit::Final && !closed.is_empty() {
            let closed = self.closed(&closed, tick, out);
            give_final(&self.plan, closed, out);
        }
    }

    fn closed(&self, closed: &[(Box<[u8]>, Session)], tick: &Tick, out: &mut Output) -> Batch {
        let rows = closed.len();
        let mut keys: Vec<_> = self.plan.key.iter().map(|(_, t)| ColumnBuilder::new(*t, rows)).collect();
        let mut values = self.calls.builders(rows);
        for (key, session) in closed {
            // The key was written here: it can be read.
            let parts = decode(key).unwrap_or_default();
            keys.iter_mut()
                .enumerate()
                .for_each(|(at, key)| key.append(parts.get(at).unwrap_or(&Datum::Null)));
            self.calls.results(&session.words, &session.held, tick.offset, &mut values, &mut out.faults);
        }
        let mut columns: Vec<_> = keys.iter_mut().map(ColumnBuilder::finish).collect();
        let ends: Vec<i64> = closed.iter().map(|(_, session)| session.end).collect();
        columns
            .push(Column::BigInt(closed.iter().map(|(_, session)| session.start).collect::<Vec<_>>().into()));
        columns.push(Column::BigInt(ends.clone().into()));
        columns.extend(values.iter_mut().map(ColumnBuilder::finish));
        Batch {
            columns,
            timestamps: ends.into(),
            offsets: vec![tick.offset; rows].into(),
            partition: tick.partition,
            deleted: None,
            now_ms: tick.now_ms,
        }
    }
}

impl Operator for Sessions {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut events = Events::default();
        let mut results = self.calls.builders(batch.rows());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            if !write_key(&self.plan, &batch, row, &mut key, &mut out.faults) {
                continue;
            }
            if batch.timestamps[row] < 0 {
                refuse_time(&batch, row, &mut out.faults);
                continue;
            }
            self.clock.advance(batch.partition, batch.timestamps[row]);
            self.row(&batch, row, &key, (&mut events, &mut results), out);
        }
        if self.plan.emit == Emit::Changes {
            self.give(&batch, events, results, out);
        }
        self.close(&Tick::after(&batch), out);
        check_entries(self.ends.len())
    }

    fn state_name(&self) -> Option<String> {
        Some("Aggregate".to_owned())
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.plan)
    }

    fn save(&mut self, changes: &mut Changes) {
        for (key, end, start) in std::mem::take(&mut self.changed) {
            let sessions = self.keys.get(&key).map_or(&[][..], Vec::as_slice);
            let session = sessions.iter().find(|session| (session.end, session.start) == (end, start));
            let value = session.map(|session| {
                let visible = matches!(session.visible, Visible::Known(true));
                saved::write(session.end, visible, &session.words, &session.held)
            });
            changes.push(([&[ENTRY], &*key, &end.to_be_bytes(), &start.to_be_bytes()].concat(), value));
        }
        self.clock.save(changes);
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        if key == CLOCK_KEY {
            return self.clock.load(value);
        }
        let Some((&ENTRY, rest)) = key.split_first() else { return Err(damaged()) };
        let (rest, start) = rest.split_last_chunk::<8>().ok_or_else(damaged)?;
        let (key, end) = rest.split_last_chunk::<8>().ok_or_else(damaged)?;
        let (start, end) = (i64::from_be_bytes(*start), i64::from_be_bytes(*end));
        let saved = saved::read(value, self.calls.words, self.calls.lists)?;
        let sessions = self.keys.entry(key.into()).or_default();
        let at = sessions.partition_point(|other| other.start < start);
        let visible = Visible::Known(saved.visible);
        sessions.insert(at, Session { start, end, words: saved.words, held: saved.held, visible });
        self.ends.insert((end, key.into(), start));
        Ok(())
    }
}
