//! A stream that looks up a table: each of its rows with the table's row of its key, as it is now.

use super::{Joined, bytes, check_size, kept, key_of, no_key, row as read_row, values};
use crate::SqlError;
use crate::batch::Batch;
use crate::operator::{Operator, Output};
use crate::parse::ast::JoinKind;
use crate::plan::query_plan::Join;
use crate::state::{Changes, ENTRY, damaged};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Joins a stream (port 0) with a table (port 1).
#[derive(Debug)]
pub(in crate::operator) struct StreamTable {
    join: Arc<Join>,
    rows: FxHashMap<Box<[u8]>, Held>,
    changed: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct Held {
    row: Box<[u8]>,
    changed: bool,
}

impl StreamTable {
    pub(super) fn new(join: Join) -> Self {
        Self { join: Arc::new(join), rows: FxHashMap::default(), changed: Vec::new() }
    }

    /// Takes a change of the table in.
    fn update(&mut self, batch: &Batch, row: usize, key: &[u8]) {
        if batch.is_deleted(row) {
            if let Some(held) = self.rows.remove(key)
                && !held.changed
            {
                self.changed.push(key.into());
            }
            return;
        }
        let new = bytes(&kept(&self.join.right, batch, row));
        if let Some(held) = self.rows.get_mut(key) {
            held.row = new;
            if !std::mem::replace(&mut held.changed, true) {
                self.changed.push(key.into());
            }
        } else {
            self.rows.insert(key.into(), Held { row: new, changed: true });
            self.changed.push(key.into());
        }
    }

    /// Gives a row of the stream with its partner.
    fn look_up(&self, batch: &Batch, row: usize, key: Option<&[u8]>, out: &mut Joined) {
        let partner = key.and_then(|key| self.rows.get(key)).map(|held| read_row(&held.row));
        if partner.is_none() && self.join.kind != JoinKind::Left {
            return;
        }
        let own = kept(&self.join.left, batch, row);
        let key: Vec<_> =
            super::columns(&self.join.left.key, batch).map(|column| column.datum(row).into_owned()).collect();
        let values = values(&self.join, Some(&own), partner.as_deref(), &key);
        out.push(values, batch.timestamps[row], batch.offsets[row], false);
    }
}

impl Operator for StreamTable {
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut joined = Joined::of(&self.join, batch.rows());
        let mut key = Vec::new();
        let join = self.join.clone();
        let side = if port == 0 { &join.left } else { &join.right };
        for row in 0..batch.rows() {
            let whole = key_of(side, &batch, row, &mut key);
            match (port, whole) {
                (0, _) => self.look_up(&batch, row, whole.then_some(key.as_slice()), &mut joined),
                (_, true) => self.update(&batch, row, &key),
                (_, false) => no_key(&batch, row, out),
            }
        }
        joined.finish(&batch, out);
        check_size(self.rows.len())
    }

    fn state_name(&self) -> Option<String> {
        Some(self.join.name.clone())
    }

    fn fingerprint(&self) -> String {
        // Nothing of the stream is remembered.
        let side = &self.join.right;
        let names: Vec<_> = side.fields.iter().map(|(name, sql_type)| format!("{name} {sql_type}")).collect();
        format!("stream-table {:?} {}", self.join.key_types, names.join(","))
    }

    fn save(&mut self, changes: &mut Changes) {
        // A key may stand here twice where its row came back: its state now is what counts.
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            let value = self.rows.get_mut(&key).map(|held| {
                held.changed = false;
                held.row.to_vec()
            });
            changes.push(([&[ENTRY], &*key].concat(), value));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        self.rows.insert(key.into(), Held { row: value.into(), changed: false });
        Ok(())
    }
}
