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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::aggregate::Aggregate;
    use crate::operator::group::group;
    use crate::parse::ast::Emit;
    use crate::plan::group::{Group, GroupCall};
    use arrow_array::{Int64Array, StringArray};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Primary key; the group and the value, or nothing where the row is deleted.
    type Change = (u8, Option<(Option<u8>, i64)>);

    fn retract() -> Retract {
        let fields = vec![("K0".into(), SqlType::Varchar), ("A0".into(), SqlType::BigInt)];
        Retract::new(Plan { keys: 1, fields })
    }

    fn grouping() -> Box<dyn Operator> {
        let sum = Aggregate::SumWhole(SqlType::BigInt);
        group(Group {
            key: vec![("K0".into(), SqlType::Varchar)],
            window: None,
            calls: vec![
                GroupCall { aggregate: Aggregate::CountAll, args: vec![] },
                GroupCall { aggregate: sum, args: vec![1] },
            ],
            retracted: Some(2),
            emit: Emit::Changes,
            having: None,
        })
    }

    fn batch(changes: &[Change]) -> Batch {
        let group = |change: &Change| change.1.and_then(|(group, _)| group).map(|group| format!("g{group}"));
        let value = |change: &Change| change.1.map(|(_, value)| value);
        let groups: StringArray = changes.iter().map(group).collect();
        let values: Int64Array = changes.iter().map(value).collect();
        let keys = Int64Array::from_iter_values(changes.iter().map(|(key, _)| i64::from(*key)));
        Batch {
            columns: vec![Column::Varchar(groups), Column::BigInt(values), Column::BigInt(keys)],
            timestamps: vec![0; changes.len()].into(),
            offsets: vec![0; changes.len()].into(),
            partition: 0,
            deleted: Some(changes.iter().map(|(_, row)| row.is_none()).collect()),
            now_ms: 0,
        }
    }

    /// Both operators, each with its changelog.
    struct Run {
        operators: [Box<dyn Operator>; 2],
        changelogs: [BTreeMap<Vec<u8>, Vec<u8>>; 2],
        results: BTreeMap<String, (i64, i64)>,
    }

    impl Run {
        fn process(&mut self, changes: &[Change]) -> Vec<Batch> {
            let mut batches = vec![batch(changes)];
            for operator in &mut self.operators {
                let mut out = Output::default();
                for batch in batches {
                    operator.on_batch(0, batch, &mut out).unwrap();
                }
                batches = out.batches;
            }
            batches
        }

        fn commit(&mut self, batches: &[Batch]) {
            for (operator, changelog) in self.operators.iter_mut().zip(&mut self.changelogs) {
                let mut changes = Changes::new();
                operator.save(&mut changes);
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(changelog.insert(key, value)),
                        None => drop(changelog.remove(&key)),
                    }
                }
            }
            for batch in batches {
                for row in 0..batch.rows() {
                    let [count, sum] = [1, 2].map(|slot| batch.columns[slot].datum(row).as_i64().unwrap());
                    self.results.insert(batch.columns[0].datum(row).to_string(), (count, sum));
                }
            }
        }

        fn restore(&mut self) {
            self.operators = [Box::new(retract()), grouping()];
            for (operator, changelog) in self.operators.iter_mut().zip(&self.changelogs) {
                for (key, value) in changelog {
                    operator.load(key, value).unwrap();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn groups_of_a_table_are_those_of_its_rows_as_they_are(
            changes in proptest::collection::vec(
                (0..5_u8, proptest::option::of((proptest::option::weighted(0.9, 0..3_u8), -9..10_i64))), 0..50),
            cuts in proptest::collection::vec((1..7_usize, 0..4_u8), 1..50),
        ) {
            let mut run = Run {
                operators: [Box::new(retract()), grouping()],
                changelogs: [BTreeMap::new(), BTreeMap::new()],
                results: BTreeMap::new(),
            };
            let (mut rest, mut cuts) = (changes.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (size, death) = cuts.next().unwrap();
                let (piece, behind) = rest.split_at((*size).min(rest.len()));
                if *death == 0 {
                    drop(run.process(piece));
                    run.restore();
                }
                let batches = run.process(piece);
                run.commit(&batches);
                if *death == 1 {
                    run.restore();
                }
                rest = behind;
            }
            let rows: BTreeMap<u8, (Option<u8>, i64)> = changes.iter().fold(BTreeMap::new(), |mut rows, (key, row)| {
                match row {
                    Some(row) => drop(rows.insert(*key, *row)),
                    None => drop(rows.remove(key)),
                }
                rows
            });
            let mut expected: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            for (group, value) in rows.values() {
                if let Some(group) = group {
                    let (count, sum) = expected.entry(format!("g{group}")).or_default();
                    (*count, *sum) = (*count + 1, *sum + value);
                }
            }
            run.results.retain(|_, (count, _)| *count > 0);
            prop_assert_eq!(run.results, expected);
        }
    }

    #[test]
    fn a_row_of_nobody_is_left_out() {
        let mut operator = retract();
        let mut rows = batch(&[(1, Some((Some(1), 1)))]);
        rows.columns[2] = Column::BigInt(Int64Array::from(vec![None]));
        let mut out = Output::default();
        operator.on_batch(0, rows, &mut out).unwrap();
        assert_eq!(out.batches.iter().map(Batch::rows).sum::<usize>(), 0);
    }
}
