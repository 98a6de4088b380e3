//! What operators hand to one another: some rows of one partition, as columns.

use crate::Column;
use arrow_array::Int64Array;
use arrow_buffer::{BooleanBuffer, ScalarBuffer};

/// Rows of one partition in offset order. Every column has [`Batch::rows`] values.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// The columns; which is which was settled when the query was planned.
    pub(crate) columns: Vec<Column>,
    /// The rows' times in milliseconds since 1970.
    pub(crate) timestamps: ScalarBuffer<i64>,
    /// The offsets of the records that the rows come from.
    pub(crate) offsets: ScalarBuffer<i64>,
    /// The partition that they come from.
    pub(crate) partition: i32,
    /// Which rows delete their key (tables only); `None` where none does.
    pub(crate) deleted: Option<BooleanBuffer>,
    /// When the rows were taken up, in milliseconds since 1970: what `UNIX_TIMESTAMP()` gives.
    pub(crate) now_ms: i64,
}

impl Batch {
    /// One row without columns, for values that are written down.
    pub(crate) fn one(now_ms: i64) -> Self {
        let (timestamps, offsets) = (vec![now_ms].into(), vec![0].into());
        Self { columns: Vec::new(), timestamps, offsets, partition: 0, deleted: None, now_ms }
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether a row deletes its key.
    pub(crate) fn is_deleted(&self, row: usize) -> bool {
        self.deleted.as_ref().is_some_and(|deleted| deleted.value(row))
    }

    /// The same rows with other columns.
    pub(crate) fn with_columns(&self, columns: Vec<Column>) -> Self {
        Self {
            columns,
            timestamps: self.timestamps.clone(),
            offsets: self.offsets.clone(),
            partition: self.partition,
            deleted: self.deleted.clone(),
            now_ms: self.now_ms,
        }
    }

    /// Only the rows where `keep` is set.
    pub(crate) fn filter(&self, keep: &BooleanBuffer) -> Self {
        let pick = |values: &ScalarBuffer<i64>| -> ScalarBuffer<i64> {
            keep.set_indices().map(|row| values[row]).collect::<Vec<_>>().into()
        };
        Self {
            columns: self.columns.iter().map(|column| column.filter(keep)).collect(),
            timestamps: pick(&self.timestamps),
            offsets: pick(&self.offsets),
            partition: self.partition,
            deleted: self
                .deleted
                .as_ref()
                .map(|deleted| keep.set_indices().map(|row| deleted.value(row)).collect::<BooleanBuffer>()),
            now_ms: self.now_ms,
        }
    }

    /// Rows `start` to `start + len`.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        Self {
            columns: self.columns.iter().map(|column| column.slice(start, len)).collect(),
            timestamps: self.timestamps.slice(start, len),
            offsets: self.offsets.slice(start, len),
            partition: self.partition,
            deleted: self.deleted.as_ref().map(|deleted| deleted.slice(start, len)),
            now_ms: self.now_ms,
        }
    }

    /// The times as a column, without a copy.
    pub(crate) fn time_column(&self) -> Column {
        Column::BigInt(Int64Array::new(self.timestamps.clone(), None))
    }
}
