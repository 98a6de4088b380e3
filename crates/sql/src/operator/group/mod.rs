//! `GROUP BY`: aggregates per key, and per window where there is one.
//!
//! Time is stream time: the latest row time seen in the partition. A row is late when its
//! window ended more than the grace period before it; which rows are late depends on the order of the rows alone, not on
//! how they were batched. Late rows change nothing and are counted.

mod calls;
mod clock;
mod saved;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod window;

use super::Operator;
use super::filter::truths;
use super::{Output, RowFault};
use crate::SqlError;
use crate::batch::Batch;
use crate::limits::STATE_ENTRIES_MAX;
use crate::parse::ast::WindowKind;
use crate::plan::group::Group as Plan;
use crate::state::encode;

/// The operator for a grouping.
pub(super) fn group(plan: Plan) -> Box<dyn Operator> {
    match plan.window.map(|window| window.kind) {
        Some(WindowKind::Session { gap_ms }) => Box::new(session::Sessions::new(plan, gap_ms)),
        _ => Box::new(window::Windows::new(plan)),
    }
}

/// Writes the key of a row; `false`, and a fault, where a part of it is `NULL`: the row is in no group.
fn write_key(plan: &Plan, batch: &Batch, row: usize, key: &mut Vec<u8>, faults: &mut Vec<RowFault>) -> bool {
    key.clear();
    for (index, column) in batch.columns.iter().take(plan.key.len()).enumerate() {
        if column.is_null(row) {
            let message = format!("group key {} is NULL; the row is in no group", index + 1);
            faults.push(RowFault { offset: batch.offsets[row], message });
            return false;
        }
        encode([&column.datum(row)], key);
    }
    true
}

/// What has no window: a time before 1970.
fn refuse_time(batch: &Batch, row: usize, faults: &mut Vec<RowFault>) {
    let message = format!("the row's time {} is before 1970 and has no window", batch.timestamps[row]);
    faults.push(RowFault { offset: batch.offsets[row], message });
}

/// Gives on final results that `HAVING` lets through.
fn give_final(plan: &Plan, closed: Batch, out: &mut Output) {
    match &plan.having {
        None => out.batches.push(closed),
        Some(having) => {
            let keep = truths(having, &closed, &mut out.faults);
            if keep.count_set_bits() > 0 {
                out.batches.push(closed.filter(&keep));
            }
        }
    }
}

fn check_entries(entries: usize) -> Result<(), SqlError> {
    if entries > STATE_ENTRIES_MAX {
        return Err(SqlError::Query(format!(
            "the query holds more than {STATE_ENTRIES_MAX} groups; use a window with a short GRACE PERIOD"
        )));
    }
    Ok(())
}

/// What the shape of the state depends on.
fn fingerprint(plan: &Plan) -> String {
    let types: Vec<_> = plan.key.iter().map(|(_, sql_type)| *sql_type).collect();
    let calls: Vec<_> = plan.calls.iter().map(|call| &call.aggregate).collect();
    let window = plan.window.map(|window| window.kind);
    format!("2 {types:?} {window:?} {calls:?}")
}
