//! The first part of a foreign-key join: which row of the left table asks for which row of the right one.
//!
//! A left row goes to the partition of its foreign key, where the right table's row is, and the answer goes back to the
//! partition of its primary key. When a row changes its foreign key, the answers of both places are under way at once,
//! in any order. So every change of a left row gets a number that only grows, the place that the row leaves is told, and
//! [`Resolve`](super::Resolve) drops the answers that were overtaken.

use super::{Joined, bytes, check_size, kept, key_of, no_key, row as read_row};
use crate::batch::Batch;
use crate::operator::{Operator, Output};
use crate::plan::query_plan::{Side, Subscribe as Plan};
use crate::state::{CLOCK_KEY, Changes, ENTRY, damaged};
use crate::{Datum, SqlError, SqlType};
use rustc_hash::FxHashMap;

/// The row had another foreign key before.
pub(super) const MOVED: i32 = 1;
/// The row leaves this foreign key.
pub(super) const LEAVES: i32 = 2;
/// The row is deleted.
pub(super) const GONE: i32 = 4;

/// Appends the number of the change and a mark to the rows of the left table.
#[derive(Debug)]
pub(in crate::operator) struct Subscribe {
    plan: Plan,
    primary: Side,
    foreign: Side,
    /// The foreign key of every row by its primary key, and whether that was saved.
    rows: FxHashMap<Box<[u8]>, Box<[u8]>>,
    number: i64,
    saved_number: i64,
    changed: Vec<Box<[u8]>>,
}

impl Subscribe {
    pub(in crate::operator) fn new(plan: Plan) -> Self {
        let side = |slots: &[usize]| Side { key: slots.to_vec(), keep: slots.to_vec(), fields: Vec::new() };
        Self {
            primary: side(&plan.primary),
            foreign: side(&plan.foreign),
            plan,
            rows: FxHashMap::default(),
            number: 0,
            saved_number: 0,
            changed: Vec::new(),
        }
    }

    fn row(&mut self, batch: &Batch, row: usize, key: &[u8], out: &mut Joined) {
        let deleted = batch.is_deleted(row);
        let new = (!deleted).then(|| bytes(&kept(&self.foreign, batch, row)));
        let old = match &new {
            Some(new) => self.rows.insert(key.into(), new.clone()),
            None => self.rows.remove(key),
        };
        if new.is_none() && old.is_none() {
            return;
        }
        if new != old {
            self.changed.push(key.into());
        }
        self.number += 1;
        let old = old.filter(|old| new.as_ref() != Some(old)).map(|old| read_row(&old));
        let mut send = |mark: i32, foreign: Option<&[Datum<'static>]>, deleted: bool| {
            let value = |slot: usize| {
                let part = self.plan.foreign.iter().position(|foreign| *foreign == slot);
                match (foreign, part) {
                    (Some(foreign), Some(part)) => foreign.get(part).map_or(Datum::Null, Datum::as_borrowed),
                    _ => batch.columns.get(slot).map_or(Datum::Null, |column| column.datum(row)),
                }
            };
            let tail = [Datum::BigInt(self.number), Datum::Int(mark)];
            let values = (0..self.plan.fields.len()).map(value).chain(tail);
            out.push(values, batch.timestamps[row], batch.offsets[row], deleted);
        };
        match (deleted, &old) {
            (true, old) => send(GONE, old.as_deref(), true),
            (false, Some(old)) => {
                send(LEAVES, Some(old), false);
                send(MOVED, None, false);
            }
            (false, None) => send(0, None, false),
        }
    }
}

impl Operator for Subscribe {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let types = self.plan.fields.iter().map(|(_, sql_type)| *sql_type);
        let mut rows = Joined::new(types.chain([SqlType::BigInt, SqlType::Int]), batch.rows());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            if key_of(&self.primary, &batch, row, &mut key) {
                self.row(&batch, row, &key, &mut rows);
            } else {
                no_key(&batch, row, out);
            }
        }
        rows.finish(&batch, out);
        check_size(self.rows.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(format!("{}-left", self.plan.name))
    }

    fn fingerprint(&self) -> String {
        let types = |slots: &[usize]| {
            slots.iter().filter_map(|slot| self.plan.fields.get(*slot)).map(|(_, t)| *t).collect::<Vec<_>>()
        };
        format!("subscribe {:?} {:?}", types(&self.plan.primary), types(&self.plan.foreign))
    }

    fn save(&mut self, changes: &mut Changes) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            changes.push(([&[ENTRY], &*key].concat(), self.rows.get(&key).map(|row| row.to_vec())));
        }
        // Also a change that leaves the foreign key as it is has a number that must not come again.
        if self.saved_number != self.number {
            self.saved_number = self.number;
            changes.push((CLOCK_KEY.to_vec(), Some(self.number.to_be_bytes().to_vec())));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        if key == CLOCK_KEY {
            self.number = i64::from_be_bytes(value.try_into().map_err(|_| damaged())?);
            self.saved_number = self.number;
            return Ok(());
        }
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        self.rows.insert(key.into(), value.into());
        Ok(())
    }
}
