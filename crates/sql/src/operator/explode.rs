//! Table functions: one row becomes as many as the longest of their results has.

use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::limits::BATCH_ROWS_MAX;
use crate::plan::group::Explode as Plan;
use crate::{Column, ColumnBuilder, Datum, SqlError};
use arrow_array::UInt32Array;
use std::sync::Arc;

/// Appends the columns of table functions.
#[derive(Debug)]
pub(super) struct Explode {
    plan: Plan,
}

/// Rows that are being made.
struct Made {
    rows: Vec<u32>,
    builders: Vec<ColumnBuilder>,
}

impl Explode {
    pub(super) const fn new(plan: Plan) -> Self {
        Self { plan }
    }

    fn builders(&self, rows: usize) -> Vec<ColumnBuilder> {
        self.plan.calls.iter().map(|call| ColumnBuilder::new(call.returns, rows)).collect()
    }

    /// The results of all calls for a row; an empty one, and a fault, where it cannot be computed.
    fn lists(
        &self,
        batch: &Batch,
        args: &[Vec<Column>],
        row: usize,
        faults: &mut Vec<RowFault>,
    ) -> Vec<Arc<[Datum<'static>]>> {
        let list = |(call, args): (&crate::plan::group::TableCall, &Vec<Column>)| {
            let args: Vec<Datum<'_>> = args.iter().map(|arg| arg.datum(row)).collect();
            (call.function.rows)(&args).unwrap_or_else(|message| {
                let message = format!("{}: {message}", call.function.name);
                faults.push(RowFault { offset: batch.offsets[row], message });
                Arc::default()
            })
        };
        self.plan.calls.iter().zip(args).map(list).collect()
    }
}

impl Made {
    /// Gives on the rows that were made.
    fn give(&mut self, batch: &Batch, out: &mut Output) {
        if self.rows.is_empty() {
            return;
        }
        let rows: UInt32Array = std::mem::take(&mut self.rows).into();
        let mut columns: Vec<Column> = batch.columns.iter().map(|column| column.take(&rows)).collect();
        columns.extend(self.builders.iter_mut().map(ColumnBuilder::finish));
        let pick = |values: &[i64]| -> Vec<i64> {
            let place = |row: &u32| usize::try_from(*row).ok().and_then(|row| values.get(row)).copied();
            rows.values().iter().filter_map(place).collect()
        };
        out.batches.push(Batch {
            columns,
            timestamps: pick(&batch.timestamps).into(),
            offsets: pick(&batch.offsets).into(),
            partition: batch.partition,
            deleted: None,
            now_ms: batch.now_ms,
        });
    }
}

impl Operator for Explode {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let faults = &mut out.faults;
        let mut args: Vec<Vec<Column>> = Vec::with_capacity(self.plan.calls.len());
        for call in &self.plan.calls {
            let evaluated = call.args.iter().map(|arg| {
                arg.evaluate(&batch, &mut |row, fault| {
                    faults.push(RowFault { offset: batch.offsets[row], message: fault.to_string() });
                })
            });
            args.push(evaluated.collect());
        }
        let mut made = Made { rows: Vec::new(), builders: self.builders(batch.rows()) };
        for row in 0..batch.rows() {
            let lists = self.lists(&batch, &args, row, &mut out.faults);
            let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
            for index in 0..longest {
                if made.rows.len() >= BATCH_ROWS_MAX {
                    made.give(&batch, out);
                }
                for (builder, list) in made.builders.iter_mut().zip(&lists) {
                    builder.append(list.get(index).unwrap_or(&Datum::Null));
                }
                made.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
        made.give(&batch, out);
        Ok(())
    }
}
