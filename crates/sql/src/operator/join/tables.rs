//! Two tables with the same primary key: a row for every key that both have, or the sides that are kept.

use super::{
    Joined, bytes, check_size, counted, fingerprint, kept, key_of, no_key, row as read_row, take_counted,
    values,
};
use crate::SqlError;
use crate::batch::Batch;
use crate::operator::{Operator, Output};
use crate::parse::ast::JoinKind;
use crate::plan::query_plan::Join;
use crate::state::{Changes, ENTRY, damaged};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Joins two tables.
#[derive(Debug)]
pub(in crate::operator) struct Tables {
    join: Arc<Join>,
    rows: FxHashMap<Box<[u8]>, Held>,
    changed: Vec<Box<[u8]>>,
}

/// What both sides have under a key: row and time.
#[derive(Debug, Default)]
struct Held {
    sides: [Option<(Box<[u8]>, i64)>; 2],
    changed: bool,
}

impl Held {
    /// Whether the result has a row.
    const fn shows(&self, kind: JoinKind) -> bool {
        let [left, right] = &self.sides;
        match kind {
            JoinKind::Inner => left.is_some() && right.is_some(),
            JoinKind::Left => left.is_some(),
            JoinKind::Right => right.is_some(),
            JoinKind::Full => left.is_some() || right.is_some(),
        }
    }

    fn time(&self) -> Option<i64> {
        self.sides.iter().flatten().map(|(_, time)| *time).max()
    }
}

impl Tables {
    pub(super) fn new(join: Join) -> Self {
        Self { join: Arc::new(join), rows: FxHashMap::default(), changed: Vec::new() }
    }

    fn update(&mut self, side: usize, batch: &Batch, row: usize, key: &[u8], out: &mut Joined) {
        let join = self.join.clone();
        let plan = if side == 0 { &join.left } else { &join.right };
        let time = batch.timestamps[row];
        let new = (!batch.is_deleted(row)).then(|| (bytes(&kept(plan, batch, row)), time));
        if !self.rows.contains_key(key) {
            if new.is_none() {
                return;
            }
            self.rows.insert(key.into(), Held::default());
        }
        let Some(held) = self.rows.get_mut(key) else { return };
        let shown = held.shows(join.kind);
        if let Some(own) = held.sides.get_mut(side) {
            *own = new;
        }
        if !std::mem::replace(&mut held.changed, true) {
            self.changed.push(key.into());
        }
        let shows = held.shows(join.kind);
        if shows || shown {
            let [left, right] = held.sides.each_ref().map(|side| side.as_ref().map(|(row, _)| read_row(row)));
            let time = held.time().map_or(time, |held| held.max(time));
            let key = read_row(key);
            if shows {
                let values = values(&join, left.as_deref(), right.as_deref(), &key);
                out.push(values, time, batch.offsets[row], false);
            } else {
                // The key's columns still say which row goes, also where their side is the one that is gone.
                let gone = kept(plan, batch, row);
                let (left, right) = if side == 0 {
                    (Some(gone.as_slice()), right.as_deref())
                } else {
                    (left.as_deref(), Some(gone.as_slice()))
                };
                out.push(values(&join, left, right, &key), time, batch.offsets[row], true);
            }
        }
        if held.sides.iter().all(Option::is_none) {
            self.rows.remove(key);
        }
    }
}

impl Operator for Tables {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut joined = Joined::of(&self.join, batch.rows());
        let mut key = Vec::new();
        let join = self.join.clone();
        let side = if port == 0 { &join.left } else { &join.right };
        for row in 0..batch.rows() {
            if key_of(side, &batch, row, &mut key) {
                self.update(port.min(1), &batch, row, &key, &mut joined);
            } else {
                no_key(&batch, row, out);
            }
        }
        joined.finish(&batch, out);
        check_size(self.rows.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(self.join.name.clone())
    }

    fn fingerprint(&self) -> String {
        format!("tables {}", fingerprint(&self.join))
    }

    fn save(&mut self, changes: &mut Changes) {
        // A key may stand here twice where its row came back: its state now is what counts.
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            let value = self.rows.get_mut(&key).map(|held| {
                held.changed = false;
                let mut value = Vec::new();
                for side in &held.sides {
                    if let Some((row, time)) = side {
                        value.extend_from_slice(&time.to_be_bytes());
                        counted(row, &mut value);
                    } else {
                        value.extend_from_slice(&i64::MIN.to_be_bytes());
                        counted(&[], &mut value);
                    }
                }
                value
            });
            changes.push(([&[ENTRY], &*key].concat(), value));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        let mut held = Held::default();
        let mut rest = value;
        for side in &mut held.sides {
            let (time, tail) = rest.split_first_chunk().ok_or_else(damaged)?;
            let (row, tail) = take_counted(tail)?;
            let time = i64::from_be_bytes(*time);
            *side = (time != i64::MIN).then_some((row, time));
            rest = tail;
        }
        self.rows.insert(key.into(), held);
        Ok(())
    }
}
