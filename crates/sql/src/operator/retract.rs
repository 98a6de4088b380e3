//! What a table's rows become before they are grouped: the row before is taken out of its group, the new one put into its.

use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::limits::STATE_ENTRIES_MAX;
use crate::plan::group::Retract as Plan;
use crate::state::{Changes, ENTRY, damaged, decode, encode};
use crate::{Column, ColumnBuilder, SqlError, SqlType};
use arrow_array::BooleanArray;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Remembers the last row of every primary key.
#[derive(Debug)]
pub(super) struct Retract {
    plan: Plan,
    rows: FxHashMap<Box<[u8]>, Box<[u8]>>,
    changed: BTreeSet<Box<[u8]>>,
}

/// The rows that are given on.
struct Given {
    builders: Vec<ColumnBuilder>,
    retracted: Vec<bool>,
    rows: Vec<usize>,
}

impl Given {
    fn push(&mut self, fields: &[u8], row: usize, retracted: bool) -> Result<(), SqlError> {
        let fields = decode(fields)?;
        if fields.len() != self.builders.len() {
            return Err(damaged());
        }
        self.builders.iter_mut().zip(&fields).for_each(|(builder, field)| builder.append(field));
        self.retracted.push(retracted);
        self.rows.push(row);
        Ok(())
    }
}

impl Retract {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, rows: FxHashMap::default(), changed: BTreeSet::new() }
    }

    /// The row's fields; `None` where it is deleted or in no group, which is said.
    fn fields(&self, batch: &Batch, row: usize, faults: &mut Vec<RowFault>) -> Option<Box<[u8]>> {
        if batch.is_deleted(row) {
            return None;
        }
        let mut fields = Vec::new();
        for (index, column) in batch.columns.iter().take(self.plan.fields.len()).enumerate() {
            if index < self.plan.keys && column.is_null(row) {
                let message = format!("group key {} is NULL; the row is in no group", index + 1);
                faults.push(RowFault { offset: batch.offsets[row], message });
                return None;
            }
            encode([&column.datum(row)], &mut fields);
        }
        Some(fields.into())
    }

    fn row(
        &mut self,
        batch: &Batch,
        row: usize,
        given: &mut Given,
        out: &mut Output,
    ) -> Result<(), SqlError> {
        let mut key = Vec::new();
        let columns = batch.columns.iter().skip(self.plan.fields.len());
        if columns.clone().all(|column| column.is_null(row)) {
            // Nobody's row.
            return Ok(());
        }
        columns.for_each(|column| encode([&column.datum(row)], &mut key));
        let now = self.fields(batch, row, &mut out.faults);
        let before = match &now {
            Some(now) => self.rows.insert(key.as_slice().into(), now.clone()),
            None => self.rows.remove(key.as_slice()),
        };
        if before.is_some() || now.is_some() {
            self.changed.insert(key.into());
        }
        if let Some(before) = before {
            given.push(&before, row, true)?;
        }
        now.map_or(Ok(()), |now| given.push(&now, row, false))
    }
}

impl Operator for Retract {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let rows = 2 * batch.rows();
        let types = self.plan.fields.iter().map(|(_, sql_type)| *sql_type);
        let mut given = Given {
            builders: types.map(|sql_type| ColumnBuilder::new(sql_type, rows)).collect(),
            retracted: Vec::with_capacity(rows),
            rows: Vec::with_capacity(rows),
        };
        for row in 0..batch.rows() {
            self.row(&batch, row, &mut given, out)?;
        }
        if self.rows.len() > STATE_ENTRIES_MAX {
            return Err(SqlError::Query(format!("the query remembers more than {STATE_ENTRIES_MAX} rows")));
        }
        let mut columns: Vec<Column> = given.builders.iter_mut().map(ColumnBuilder::finish).collect();
        columns.push(Column::Boolean(BooleanArray::from(given.retracted)));
        out.batches.push(Batch {
            columns,
            timestamps: given.rows.iter().map(|row| batch.timestamps[*row]).collect::<Vec<_>>().into(),
            offsets: given.rows.iter().map(|row| batch.offsets[*row]).collect::<Vec<_>>().into(),
            partition: batch.partition,
            deleted: None,
            now_ms: batch.now_ms,
        });
        Ok(())
    }

    fn state_name(&self) -> Option<String> {
        Some("Retract".to_owned())
    }

    fn fingerprint(&self) -> String {
        let types: Vec<SqlType> = self.plan.fields.iter().map(|(_, sql_type)| *sql_type).collect();
        format!("{types:?}")
    }

    fn save(&mut self, changes: &mut Changes) {
        for key in std::mem::take(&mut self.changed) {
            changes.push(([&[ENTRY], &*key].concat(), self.rows.get(&key).map(|row| row.to_vec())));
        }
    }

    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let Some((&ENTRY, key)) = key.split_first() else { return Err(damaged()) };
        self.rows.insert(key.into(), value.into());
        Ok(())
    }
}
