//! Two streams, joined within a time.
//!
//! A left row of time `l` meets the right rows of time `l - before` to `l + after`. Time is stream time: the latest row
//! time of both sides. A row is held until stream time is past the last time that it can meet plus the grace period:
//! until `l + after + grace`, or `r + before + grace` for a right row. Only then, where the join keeps rows without a
//! partner, it is given with `NULL`s: once, and never before a partner that is still in time. A row that comes when it
//! would be over already is late.

use super::{
    Joined, bytes, check_size, counted, fingerprint, kept, key_of, row as read_row, take_counted, values,
};
use crate::Datum;
use crate::SqlError;
use crate::batch::Batch;
use crate::operator::{Operator, Output};
use crate::parse::ast::JoinKind;
use crate::plan::query_plan::{Join, JoinMethod};
use crate::state::{CLOCK_KEY, Changes, ENTRY, damaged, decode, encode};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Time and number of a row: rows of one key meet in this order.
type At = (i64, u64);

/// The rows of a side by key.
type Rows = FxHashMap<Arc<[u8]>, BTreeMap<At, Held>>;

/// Joins two streams.
#[derive(Debug)]
pub(in crate::operator) struct Streams {
    join: Join,
    before_ms: i64,
    after_ms: i64,
    grace_ms: i64,
    /// Left and right rows by key.
    sides: [Rows; 2],
    /// When rows are over: the last stream time at which they are held, their side, and where they are.
    ends: BTreeMap<(i64, usize, At), Arc<[u8]>>,
    /// The latest row time by partition.
    times: BTreeMap<i32, i64>,
    next_number: u64,
    clock_changed: bool,
    changed: Vec<(usize, Arc<[u8]>, At)>,
    deleted: Vec<(usize, At)>,
}

#[derive(Debug)]
struct Held {
    row: Box<[u8]>,
    joined: bool,
    changed: bool,
    saved: bool,
}

impl Streams {
    pub(super) fn new(join: Join) -> Self {
        let (before_ms, after_ms, grace_ms) = match join.method {
            JoinMethod::Streams { before_ms, after_ms, grace_ms } => (before_ms, after_ms, grace_ms),
            _ => (0, 0, 0),
        };
        Self {
            join,
            before_ms,
            after_ms,
            grace_ms,
            sides: [FxHashMap::default(), FxHashMap::default()],
            ends: BTreeMap::new(),
            times: BTreeMap::new(),
            next_number: 0,
            clock_changed: false,
            changed: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// Whether rows of this side are kept without a partner.
    const fn keeps(&self, side: usize) -> bool {
        matches!((self.join.kind, side), (JoinKind::Full, _) | (JoinKind::Left, 0) | (JoinKind::Right, 1))
    }

    /// The first and last time of the rows that a row of `side` can meet.
    const fn reach(&self, side: usize, time: i64) -> (i64, i64) {
        let (back, ahead) =
            if side == 0 { (self.before_ms, self.after_ms) } else { (self.after_ms, self.before_ms) };
        (time.saturating_sub(back), time.saturating_add(ahead))
    }

    fn end(&self, side: usize, time: i64) -> i64 {
        self.reach(side, time).1.saturating_add(self.grace_ms)
    }

    /// Gives on what is over, and forgets it.
    fn close(&mut self, offset: i64, out: &mut Joined) {
        let Some(time) = self.times.values().min().copied() else { return };
        while let Some(first) = self.ends.first_entry() {
            let (end, side, at) = *first.key();
            if end >= time {
                break;
            }
            let key = first.remove();
            let Some(rows) = self.sides.get_mut(side).and_then(|side| side.get_mut(&key)) else { continue };
            let Some(held) = rows.remove(&at) else { continue };
            if rows.is_empty()
                && let Some(side) = self.sides.get_mut(side)
            {
                side.remove(&key);
            }
            if held.saved {
                self.deleted.push((side, at));
            }
            if self.keeps(side) && !held.joined {
                self.alone(side, &read_row(&held.row), &read_row(&key), (at.0, offset), out);
            }
        }
    }

    /// Gives a row without a partner.
    fn alone(
        &self,
        side: usize,
        row: &[Datum<'static>],
        key: &[Datum<'static>],
        (time, offset): (i64, i64),
        out: &mut Joined,
    ) {
        let (left, right) = if side == 0 { (Some(row), None) } else { (None, Some(row)) };
        out.push(values(&self.join, left, right, key), time, offset, false);
    }

    fn row(&mut self, side: usize, batch: &Batch, row: usize, key: &mut Vec<u8>, out: &mut Joined) -> bool {
        let (time, offset) = (batch.timestamps[row], batch.offsets[row]);
        let latest = self.times.entry(batch.partition).or_insert(i64::MIN);
        if time > *latest {
            *latest = time;
            self.clock_changed = true;
        }
        let now = *latest;
        self.close(offset, out);
        let plan = if side == 0 { &self.join.left } else { &self.join.right };
        let own = kept(plan, batch, row);
        if !key_of(plan, batch, row, key) {
            // NULL is equal to nothing: no partner will come.
            if self.keeps(side) {
                let key: Vec<_> =
                    super::columns(&plan.key, batch).map(|column| column.datum(row).into_owned()).collect();
                self.alone(side, &own, &key, (time, offset), out);
            }
            return true;
        }
        let end = self.end(side, time);
        if end < now {
            return false;
        }
        let joined = self.meet(side, key, &own, (time, offset), out);
        let key: Arc<[u8]> = key.as_slice().into();
        let at = (time, self.next_number);
        self.next_number += 1;
        self.clock_changed = true;
        let held = Held { row: bytes(&own), joined, changed: true, saved: false };
        if let Some(rows) = self.sides.get_mut(side) {
            rows.entry(key.clone()).or_default().insert(at, held);
        }
        self.changed.push((side, key.clone(), at));
        self.ends.insert((end, side, at), key);
        true
    }

    /// Joins a row with those of the other side; whether there is one.
    fn meet(
        &mut self,
        side: usize,
        key: &[u8],
        own: &[Datum<'static>],
        (time, offset): (i64, i64),
        out: &mut Joined,
    ) -> bool {
        let other = 1 - side;
        let (first, last) = self.reach(side, time);
        let marks = self.keeps(other);
        let Some((shared, rows)) = self.sides.get_mut(other).and_then(|rows| {
            let shared = rows.get_key_value(key)?.0.clone();
            rows.get_mut(key).map(|rows| (shared, rows))
        }) else {
            return false;
        };
        let key = read_row(key);
        let mut joined = false;
        for (at, held) in rows.range_mut((first, 0)..=(last, u64::MAX)) {
            joined = true;
            let partner = read_row(&held.row);
            let (left, right) = if side == 0 { (own, &*partner) } else { (&*partner, own) };
            out.push(values(&self.join, Some(left), Some(right), &key), time.max(at.0), offset, false);
            if marks && !held.joined {
                held.joined = true;
                if !held.changed {
                    held.changed = true;
                    self.changed.push((other, shared.clone(), *at));
                }
            }
        }
        joined
    }
}

impl Operator for Streams {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut joined = Joined::of(&self.join, batch.rows());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            if !self.row(port.min(1), &batch, row, &mut key, &mut joined) {
                out.late += 1;
            }
        }
        joined.finish(&batch, out);
        check_size(self.ends.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(self.join.name.clone())
    }

    fn fingerprint(&self) -> String {
        format!("streams {}", fingerprint(&self.join))
    }

    fn save(&mut self, changes: &mut Changes) {
        let place = |side: usize, at: At| {
            let side = u8::from(side > 0);
            [&[ENTRY, side], at.0.to_be_bytes().as_slice(), &at.1.to_be_bytes()].concat()
        };
        for (side, key, at) in self.changed.drain(..) {
            // A row that is over again was never saved.
            let rows = self.sides.get_mut(side).and_then(|side| side.get_mut(&key));
            if let Some(held) = rows.and_then(|rows| rows.get_mut(&at)) {
                (held.changed, held.saved) = (false, true);
                let mut value = vec![u8::from(held.joined)];
                counted(&key, &mut value);
                value.extend_from_slice(&held.row);
                changes.push((place(side, at), Some(value)));
            }
        }
        changes.extend(self.deleted.drain(..).map(|(side, at)| (place(side, at), None)));
        if std::mem::take(&mut self.clock_changed) {
            let mut value = self.next_number.to_be_bytes().to_vec();
            for (partition, time) in &self.times {
                encode(&[Datum::Int(*partition), Datum::BigInt(*time)], &mut value);
            }
            changes.push((CLOCK_KEY.to_vec(), Some(value)));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        if key == CLOCK_KEY {
            let (number, times) = value.split_first_chunk().ok_or_else(damaged)?;
            self.next_number = u64::from_be_bytes(*number);
            for pair in decode(times)?.chunks_exact(2) {
                let [Datum::Int(partition), Datum::BigInt(time)] = pair else { return Err(damaged()) };
                self.times.insert(*partition, *time);
            }
            return Ok(());
        }
        let [ENTRY, side, place @ ..] = key else { return Err(damaged()) };
        let (time, number) = place.split_first_chunk().ok_or_else(damaged)?;
        let number = number.try_into().map_err(|_| damaged())?;
        let at = (i64::from_be_bytes(*time), u64::from_be_bytes(number));
        let (joined, value) = value.split_first().ok_or_else(damaged)?;
        let (key, row) = take_counted(value)?;
        let (side, key): (usize, Arc<[u8]>) = (usize::from(*side > 0), key.into());
        let held = Held { row: row.into(), joined: *joined > 0, changed: false, saved: true };
        let end = self.end(side, at.0);
        if let Some(rows) = self.sides.get_mut(side) {
            rows.entry(key.clone()).or_default().insert(at, held);
        }
        self.ends.insert((end, side, at), key);
        Ok(())
    }
}
