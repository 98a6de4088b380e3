//! The second and third part of a foreign-key join: answers where the right table's rows are, and what of them counts.

use super::subscribe::{GONE, LEAVES, MOVED};
use super::{
    Joined, Key, bytes, check_size, counted, fingerprint, kept, key_of, no_key, row as read_row,
    take_counted, values,
};
use crate::batch::Batch;
use crate::operator::{Operator, Output};
use crate::parse::ast::JoinKind;
use crate::plan::query_plan::{Join, Resolve as ResolvePlan, Side};
use crate::state::{Changes, ENTRY, damaged, decode, encode};
use crate::{Datum, SqlError};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row with its time.
#[derive(Debug)]
struct Held {
    row: Box<[u8]>,
    time: i64,
}

/// Joins left rows (port 0, as [`Subscribe`](super::Subscribe) sends them) with the right table (port 1).
#[derive(Debug)]
pub(in crate::operator) struct ForeignJoin {
    join: Arc<Join>,
    /// Who asks, by foreign key and primary key.
    asking: FxHashMap<Key, BTreeMap<Key, Held>>,
    asking_count: usize,
    rights: FxHashMap<Box<[u8]>, Held>,
    changed: Vec<(Key, Option<Key>)>,
}

impl ForeignJoin {
    pub(super) fn new(join: Join) -> Self {
        Self {
            join: Arc::new(join),
            asking: FxHashMap::default(),
            asking_count: 0,
            rights: FxHashMap::default(),
            changed: Vec::new(),
        }
    }

    /// Answers with what the right table has.
    fn answer(
        &self,
        left: &[Datum<'static>],
        time: i64,
        right: Option<&Held>,
        offset: i64,
        out: &mut Joined,
    ) {
        let partner = right.map(|held| read_row(&held.row));
        let time = right.map_or(time, |held| held.time.max(time));
        let gone = partner.is_none() && self.join.kind != JoinKind::Left;
        out.push(values(&self.join, Some(left), partner.as_deref(), &[]), time, offset, gone);
    }

    fn ask(&mut self, batch: &Batch, row: usize, key: Option<&[u8]>, out: &mut Joined) {
        let (time, offset) = (batch.timestamps[row], batch.offsets[row]);
        let mut left = kept(&self.join.left, batch, row);
        let mark = match left.last() {
            Some(Datum::Int(mark)) => *mark,
            _ => 0,
        };
        let primary: Vec<_> =
            self.join.primary.iter().map(|at| left.get(*at).cloned().unwrap_or(Datum::Null)).collect();
        let primary = bytes(&primary);
        if mark & (LEAVES | GONE) != 0 {
            let asking = key.and_then(|key| self.asking.get_mut(key));
            if let (Some(key), Some(asking)) = (key, asking)
                && asking.remove(&primary).is_some()
            {
                self.asking_count -= 1;
                if asking.is_empty() {
                    self.asking.remove(key);
                }
                self.changed.push((key.into(), Some(primary)));
            }
            out.push(values(&self.join, Some(&left), None, &[]), time, offset, true);
            return;
        }
        let right = key.and_then(|key| self.rights.get(key));
        self.answer(&left, time, right, offset, out);
        if let Some(key) = key {
            // Later answers are of this change, but no news of a move.
            if let Some(mark) = left.last_mut() {
                *mark = Datum::Int(0);
            }
            let held = Held { row: bytes(&left), time };
            if self.asking.entry(key.into()).or_default().insert(primary.clone(), held).is_none() {
                self.asking_count += 1;
            }
            self.changed.push((key.into(), Some(primary)));
        }
    }

    fn update(&mut self, batch: &Batch, row: usize, key: &[u8], out: &mut Joined) {
        let (time, offset) = (batch.timestamps[row], batch.offsets[row]);
        let new =
            (!batch.is_deleted(row)).then(|| Held { row: bytes(&kept(&self.join.right, batch, row)), time });
        let known = self.rights.contains_key(key);
        if new.is_none() && !known {
            return;
        }
        for held in self.asking.get(key).into_iter().flat_map(BTreeMap::values) {
            let left = read_row(&held.row);
            self.answer(&left, held.time.max(time), new.as_ref(), offset, out);
        }
        match new {
            Some(new) => drop(self.rights.insert(key.into(), new)),
            None => drop(self.rights.remove(key)),
        }
        self.changed.push((key.into(), None));
    }
}

impl Operator for ForeignJoin {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut joined = Joined::of(&self.join, batch.rows());
        let mut key = Vec::new();
        let join = self.join.clone();
        let side: &Side = if port == 0 { &join.left } else { &join.right };
        for row in 0..batch.rows() {
            let whole = key_of(side, &batch, row, &mut key);
            match (port, whole) {
                (0, _) => self.ask(&batch, row, whole.then_some(key.as_slice()), &mut joined),
                (_, true) => self.update(&batch, row, &key, &mut joined),
                (_, false) => no_key(&batch, row, out),
            }
        }
        joined.finish(&batch, out);
        check_size(self.asking_count + self.rights.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(self.join.name.clone())
    }

    fn fingerprint(&self) -> String {
        format!("foreign {}", fingerprint(&self.join))
    }

    fn save(&mut self, changes: &mut Changes) {
        self.changed.sort_unstable();
        self.changed.dedup();
        let value = |held: &Held| [held.time.to_be_bytes().as_slice(), &held.row].concat();
        for (key, primary) in self.changed.drain(..) {
            let mut place = vec![ENTRY, u8::from(primary.is_none())];
            counted(&key, &mut place);
            let held = match &primary {
                Some(primary) => {
                    place.extend_from_slice(primary);
                    self.asking.get(&key).and_then(|asking| asking.get(primary))
                }
                None => self.rights.get(&key),
            };
            changes.push((place, held.map(value)));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let [ENTRY, side, place @ ..] = key else { return Err(damaged()) };
        let (key, primary) = take_counted(place)?;
        let (time, row) = value.split_first_chunk().ok_or_else(damaged)?;
        let held = Held { row: row.into(), time: i64::from_be_bytes(*time) };
        if *side == 0 {
            self.asking.entry(key).or_default().insert(primary.into(), held);
            self.asking_count += 1;
        } else {
            self.rights.insert(key, held);
        }
        Ok(())
    }
}

/// What is known of the answers to one left row.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    /// The newest change that was answered.
    number: i64,
    /// Moves of which only one of both places has told.
    moves: BTreeSet<i64>,
    /// Whether the result has a row.
    shows: bool,
    /// Whether the left row is deleted.
    gone: bool,
}

/// Gives on the answers that were not overtaken.
#[derive(Debug)]
pub(in crate::operator) struct Resolve {
    plan: ResolvePlan,
    primary: Side,
    known: FxHashMap<Box<[u8]>, Known>,
    changed: Vec<Box<[u8]>>,
}

impl Resolve {
    pub(in crate::operator) fn new(plan: ResolvePlan) -> Self {
        let primary = Side { key: plan.primary.clone(), keep: Vec::new(), fields: Vec::new() };
        Self { plan, primary, known: FxHashMap::default(), changed: Vec::new() }
    }

    /// Whether the row is part of the result's changes.
    fn counts(&mut self, batch: &Batch, row: usize, key: &[u8]) -> bool {
        let number = |slot: usize| {
            batch.columns.get(slot).and_then(|column| column.datum(row).as_i64()).unwrap_or_default()
        };
        let (change, mark) = (number(self.plan.number), number(self.plan.mark));
        let is = |bit: i32| mark & i64::from(bit) != 0;
        if !self.known.contains_key(key) {
            self.known.insert(key.into(), Known::default());
        }
        let Some(known) = self.known.get_mut(key) else { return false };
        self.changed.push(key.into());
        let mut counts = false;
        if (is(LEAVES) || is(MOVED)) && !known.moves.remove(&change) {
            known.moves.insert(change);
        }
        if !is(LEAVES) && change >= known.number {
            let shows = !batch.is_deleted(row);
            counts = shows || known.shows;
            (known.number, known.shows, known.gone) = (change, shows, is(GONE));
        }
        // A place tells in order: where both sides of every move are known, nobody is left who could still answer.
        if known.gone && known.moves.is_empty() {
            self.known.remove(key);
        }
        counts
    }
}

impl Operator for Resolve {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut keep = Vec::with_capacity(batch.rows());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            keep.push(key_of(&self.primary, &batch, row, &mut key) && self.counts(&batch, row, &key));
        }
        if keep.contains(&true) {
            out.batches.push(batch.filter(&keep.into_iter().collect()));
        }
        check_size(self.known.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(format!("{}-answers", self.plan.name))
    }

    fn fingerprint(&self) -> String {
        format!("resolve {:?}", self.plan.primary_types)
    }

    fn save(&mut self, changes: &mut Changes) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            let value = self.known.get(&key).map(|known| {
                let mut value = Vec::new();
                let truths = [Datum::Boolean(known.shows), Datum::Boolean(known.gone)];
                let numbers = std::iter::once(&known.number).chain(&known.moves);
                let numbers: Vec<_> = numbers.map(|number| Datum::BigInt(*number)).collect();
                encode(truths.iter().chain(&numbers), &mut value);
                value
            });
            changes.push(([&[ENTRY], &*key].concat(), value));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        let values = decode(value)?;
        let [Datum::Boolean(shows), Datum::Boolean(gone), Datum::BigInt(number), moves @ ..] =
            values.as_slice()
        else {
            return Err(damaged());
        };
        let moves = moves.iter().filter_map(Datum::as_i64).collect();
        let known = Known { number: *number, moves, shows: *shows, gone: *gone };
        self.known.insert(key.into(), known);
        Ok(())
    }
}
