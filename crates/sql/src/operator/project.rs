//! `SELECT` lists.

use super::{Operator, Output, RowFault};
use crate::SqlError;
use crate::batch::Batch;
use crate::expression::Node;

/// Replaces the columns by expressions over them. What cannot be computed is `NULL`, and it is reported.
#[derive(Debug)]
pub(super) struct Project {
    nodes: Vec<Node>,
}

impl Project {
    pub(super) const fn new(nodes: Vec<Node>) -> Self {
        Self { nodes }
    }
}

impl Operator for Project {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError> {
        let faults = &mut out.faults;
        let columns = self.nodes.iter().map(|node| {
            node.evaluate(&batch, &mut |row, fault| {
                faults.push(RowFault { offset: batch.offsets[row], message: fault.to_string() });
            })
        });
        let columns = columns.collect();
        out.batches.push(batch.with_columns(columns));
        Ok(())
    }
}
