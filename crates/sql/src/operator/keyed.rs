//! Functions with a memory per key.

use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::limits::STATE_ENTRIES_MAX;
use crate::plan::query_plan::Keyed as Plan;
use crate::state::{Changes, ENTRY, decode, encode};
use crate::{Column, ColumnBuilder, Datum, SqlError};
use rustc_hash::FxHashMap;

/// Appends the column of one function with a memory.
#[derive(Debug)]
pub(super) struct Keyed {
    plan: Plan,
    /// Its place among the query's functions with a memory.
    index: usize,
    memories: FxHashMap<Box<[u8]>, Memory>,
    changed: Vec<Box<[u8]>>,
}

#[derive(Debug, Default)]
struct Memory {
    values: Vec<Datum<'static>>,
    changed: bool,
}

impl Keyed {
    pub(super) fn new(plan: Plan, index: usize) -> Self {
        Self { plan, index, memories: FxHashMap::default(), changed: Vec::new() }
    }

    fn step(&mut self, key: &[u8], args: &[Datum<'_>]) -> Result<Datum<'static>, String> {
        if !self.memories.contains_key(key) {
            self.memories.insert(key.into(), Memory::default());
        }
        let Some(memory) = self.memories.get_mut(key) else { return Ok(Datum::Null) };
        let before = memory.values.clone();
        let result = (self.plan.function.step)(&mut memory.values, args);
        if !memory.changed && memory.values != before {
            memory.changed = true;
            self.changed.push(key.into());
        }
        result
    }
}

impl Operator for Keyed {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let mut args: Vec<Column> = Vec::new();
        for node in &self.plan.args {
            args.push(node.evaluate(&batch, &mut |row, fault| {
                out.faults.push(RowFault { offset: batch.offsets[row], message: fault.to_string() });
            }));
        }
        let mut builder = ColumnBuilder::new(self.plan.function.returns, batch.rows());
        let mut key = Vec::new();
        for row in 0..batch.rows() {
            let columns: Vec<_> = self.plan.key.iter().map(|slot| batch.columns[*slot].datum(row)).collect();
            key.clear();
            if columns.iter().all(Datum::is_null) {
                // Nobody to remember.
                builder.append_null();
                continue;
            }
            encode(&columns, &mut key);
            let values: Vec<_> = args.iter().map(|arg| arg.datum(row)).collect();
            match self.step(&key, &values) {
                Ok(value) => builder.append(&value),
                Err(message) => {
                    let message = format!("{}: {message}", self.plan.function.name);
                    out.faults.push(RowFault { offset: batch.offsets[row], message });
                    builder.append_null();
                }
            }
        }
        if self.memories.len() > STATE_ENTRIES_MAX {
            return Err(SqlError::Query(format!("the query remembers more than {STATE_ENTRIES_MAX} keys")));
        }
        let mut columns = batch.columns.clone();
        columns.push(builder.finish());
        out.batches.push(batch.with_columns(columns));
        Ok(())
    }

    fn state_name(&self) -> Option<String> {
        Some(format!("{}-{}", self.plan.function.name, self.index))
    }

    fn fingerprint(&self) -> String {
        self.plan.function.name.to_owned()
    }

    fn save(&mut self, changes: &mut Changes) {
        for key in self.changed.drain(..) {
            if let Some(memory) = self.memories.get_mut(&key) {
                memory.changed = false;
                let mut value = Vec::new();
                encode(&memory.values, &mut value);
                changes.push(([&[ENTRY], &*key].concat(), Some(value)));
            }
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let Some((&ENTRY, key)) = key.split_first() else { return Err(crate::state::damaged()) };
        self.memories.insert(key.into(), Memory { values: decode(value)?, changed: false });
        Ok(())
    }
}
