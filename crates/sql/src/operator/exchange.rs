//! Rows on their way between two stages of a query: a layout that keeps every value as it is. Nobody else reads it.
//!
//! ```text
//! value := flags datum*     flags: bit 0 the row deletes its key     (datum: see `state`)
//! ```
//!
//! The record's key only says the partition; its time is the row's.

use crate::batch::Batch;
use crate::state::{decode, encode};
use crate::{Column, ColumnBuilder};

/// The row deletes its key.
const DELETED: u8 = 1;

/// Appends a row.
pub(super) fn write(batch: &Batch, columns: &[&Column], row: usize, out: &mut Vec<u8>) {
    out.push(if batch.is_deleted(row) { DELETED } else { 0 });
    for column in columns {
        encode([&column.datum(row)], out);
    }
}

/// Appends a row to `into`, and says whether it deletes its key. After an error nothing has been appended.
pub(super) fn read(bytes: &[u8], into: &mut [ColumnBuilder]) -> Result<bool, String> {
    let damaged = || "this is no row of the query's repartition topic".to_owned();
    let (flags, rest) = bytes.split_first().ok_or_else(damaged)?;
    let values = decode(rest).map_err(|_| damaged())?;
    if values.len() != into.len() {
        return Err(damaged());
    }
    into.iter_mut().zip(&values).for_each(|(builder, value)| builder.append(value));
    Ok(flags & DELETED != 0)
}
