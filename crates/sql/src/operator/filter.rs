//! `WHERE`.

use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::expression::Node;
use crate::{Column, RelationKind, SqlError};
use arrow_array::Array as _;
use arrow_buffer::BooleanBuffer;

/// Keeps the rows where its condition is true; in a table, the others delete their key.
#[derive(Debug)]
pub(super) struct Filter {
    condition: Node,
    kind: RelationKind,
}

impl Filter {
    pub(super) const fn new(condition: Node, kind: RelationKind) -> Self {
        Self { condition, kind }
    }
}

impl Operator for Filter {
    fn on_batch(&mut self, _port: usize, mut batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let keep = truths(&self.condition, &batch, &mut out.faults);
        if self.kind == RelationKind::Table {
            let refused = !&keep;
            batch.deleted =
                Some(batch.deleted.as_ref().map_or_else(|| refused.clone(), |deleted| deleted | &refused));
            out.batches.push(batch);
        } else if keep.count_set_bits() == batch.rows() {
            out.batches.push(batch);
        } else if keep.count_set_bits() > 0 {
            out.batches.push(batch.filter(&keep));
        }
        Ok(())
    }
}

/// The rows where `condition` is true. Where it cannot be computed the row is not among them, and it is reported.
pub(super) fn truths(condition: &Node, batch: &Batch, faults: &mut Vec<RowFault>) -> BooleanBuffer {
    let column = condition.evaluate(batch, &mut |row, fault| {
        let message = format!("WHERE: {fault}");
        faults.push(RowFault { offset: batch.offsets[row], message });
    });
    match column {
        Column::Boolean(array) => match array.nulls() {
            Some(known) => array.values() & known.inner(),
            None => array.values().clone(),
        },
        _ => BooleanBuffer::new_unset(batch.rows()),
    }
}
