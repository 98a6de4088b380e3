//! Joins: what the four kinds of them share.
//!
//! Every join keeps its rows under the bytes of the join key, and only the columns that are wanted behind it. A row of
//! the result has the left side's columns, then the right side's, then the key's where [`Join::gives_key`] says so.

mod foreign;
mod stream_table;
mod streams;
mod subscribe;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use foreign::{ForeignJoin, Resolve};
pub(super) use stream_table::StreamTable;
pub(super) use streams::Streams;
pub(super) use subscribe::Subscribe;
pub(super) use tables::Tables;

use super::{Operator, Output, RowFault};
use crate::batch::Batch;
use crate::limits::STATE_ENTRIES_MAX;
use crate::plan::query_plan::{Join, JoinMethod, Side};
use crate::state::{damaged, decode, encode};
use crate::{Column, ColumnBuilder, Datum, SqlError, SqlType};
use arrow_buffer::BooleanBuffer;

/// The operator of a join.
pub(super) fn operator(join: &Join) -> Box<dyn Operator> {
    match join.method {
        JoinMethod::Streams { .. } => Box::new(Streams::new(join.clone())),
        JoinMethod::StreamTable => Box::new(StreamTable::new(join.clone())),
        JoinMethod::Tables => Box::new(Tables::new(join.clone())),
        JoinMethod::Foreign => Box::new(ForeignJoin::new(join.clone())),
    }
}

/// The values of a row that are kept.
type Row = Vec<Datum<'static>>;
/// The bytes of a key.
type Key = Box<[u8]>;

/// Rows of a result, in the order in which they come about.
struct Joined {
    columns: Vec<ColumnBuilder>,
    timestamps: Vec<i64>,
    offsets: Vec<i64>,
    deleted: Vec<bool>,
}

impl Joined {
    fn new(types: impl IntoIterator<Item = SqlType>, rows: usize) -> Self {
        Self {
            columns: types.into_iter().map(|sql_type| ColumnBuilder::new(sql_type, rows)).collect(),
            timestamps: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            deleted: Vec::with_capacity(rows),
        }
    }

    /// The result of `join`.
    fn of(join: &Join, rows: usize) -> Self {
        Self::new(join.types(), rows)
    }

    /// Adds a row; what `values` lacks is `NULL`.
    fn push<'d>(
        &mut self,
        values: impl IntoIterator<Item = Datum<'d>>,
        timestamp: i64,
        offset: i64,
        deleted: bool,
    ) {
        let mut values = values.into_iter();
        for column in &mut self.columns {
            column.append(&values.next().unwrap_or(Datum::Null));
        }
        self.timestamps.push(timestamp);
        self.offsets.push(offset);
        self.deleted.push(deleted);
    }

    /// Hands the rows on as one batch.
    fn finish(mut self, batch: &Batch, out: &mut Output) {
        if self.timestamps.is_empty() {
            return;
        }
        let mut joined = batch.with_columns(self.columns.iter_mut().map(ColumnBuilder::finish).collect());
        joined.deleted =
            self.deleted.contains(&true).then(|| self.deleted.iter().copied().collect::<BooleanBuffer>());
        joined.timestamps = self.timestamps.into();
        joined.offsets = self.offsets.into();
        out.batches.push(joined);
    }
}

/// The values of a joined row: `None` stands for a side that has no row.
fn values<'d>(
    join: &Join,
    left: Option<&'d [Datum<'static>]>,
    right: Option<&'d [Datum<'static>]>,
    key: &'d [Datum<'static>],
) -> impl Iterator<Item = Datum<'d>> {
    let side = |row: Option<&'d [Datum<'static>]>, width: usize| {
        (0..width).map(move |at| row.and_then(|row| row.get(at)).map_or(Datum::Null, Datum::as_borrowed))
    };
    let key = if join.gives_key { key } else { &[] };
    side(left, join.left.keep.len())
        .chain(side(right, join.right.keep.len()))
        .chain(key.iter().map(Datum::as_borrowed))
}

/// Writes the join key of a row into `key`; `false` where a part of it is `NULL`, which matches nothing.
fn key_of(side: &Side, batch: &Batch, row: usize, key: &mut Vec<u8>) -> bool {
    key.clear();
    for column in columns(&side.key, batch) {
        let value = column.datum(row);
        if value.is_null() {
            return false;
        }
        encode([&value], key);
    }
    true
}

/// The kept values of a row.
fn kept(side: &Side, batch: &Batch, row: usize) -> Row {
    columns(&side.keep, batch).map(|column| column.datum(row).into_owned()).collect()
}

fn columns<'b>(slots: &'b [usize], batch: &'b Batch) -> impl Iterator<Item = &'b Column> {
    slots.iter().filter_map(|slot| batch.columns.get(*slot))
}

fn bytes<'d>(row: impl IntoIterator<Item = &'d Datum<'d>>) -> Box<[u8]> {
    let mut bytes = Vec::new();
    encode(row, &mut bytes);
    bytes.into()
}

/// Reads what this process wrote; what cannot be read is a row of `NULL`s.
fn row(bytes: &[u8]) -> Row {
    decode(bytes).unwrap_or_default()
}

/// A part of a changelog key or value that stands behind its length.
fn counted(part: &[u8], out: &mut Vec<u8>) {
    encode([&Datum::Bytes(part.into())], out);
}

/// Takes such a part.
fn take_counted(bytes: &[u8]) -> Result<(Box<[u8]>, &[u8]), SqlError> {
    const HEAD: usize = 5;
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or_else(damaged)?;
    let length = head.get(1..).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
    let (part, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok((part.into(), rest))
}

fn check_size(entries: usize) -> Result<(), SqlError> {
    if entries > STATE_ENTRIES_MAX {
        let message = format!("a join holds more than {STATE_ENTRIES_MAX} rows of one partition");
        return Err(SqlError::Query(message));
    }
    Ok(())
}

/// Says that a table's row has no primary key.
fn no_key(batch: &Batch, row: usize, out: &mut Output) {
    let message = "the primary key is NULL; the row is in no table".to_owned();
    out.faults.push(RowFault { offset: batch.offsets[row], message });
}

/// The shape of what a join remembers.
fn fingerprint(join: &Join) -> String {
    let types = |side: &Side| format!("{:?}", side.fields.iter().map(|(_, t)| *t).collect::<Vec<_>>());
    let names = |side: &Side| side.fields.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(",");
    format!(
        "{:?} {:?} {} {} {} {}",
        join.kind,
        join.key_types,
        names(&join.left),
        types(&join.left),
        names(&join.right),
        types(&join.right)
    )
}
