//! One scan of one scan group.

use crate::{Cell, Status, Timestamp};

/// What one scan found: one cell per tag, in the scan group's tag order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When the values were read (the device's own stamp where it sends one).
    pub read_at: Timestamp,
    /// One cell per tag of the group.
    pub cells: Vec<Cell>,
}

impl Row {
    /// A row of `len` cells, all bad with `status`.
    pub fn all_bad(read_at: Timestamp, len: usize, status: Status) -> Self {
        Self { read_at, cells: vec![Cell::Bad(status); len] }
    }

    /// Sets every cell to bad with `status`, keeping the allocation.
    pub fn reset(&mut self, len: usize, status: Status) {
        self.cells.clear();
        self.cells.resize(len, Cell::Bad(status));
    }
}
