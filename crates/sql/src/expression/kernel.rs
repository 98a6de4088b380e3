//! Loops over whole columns: comparisons and membership, with what is the same for every row held once.

use super::CompareOp;
use super::compare::order;
use super::like::Pattern;
use crate::{Column, Datum, Decimal};
use arrow_array::{Array as _, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use std::collections::BTreeSet;

/// The values of an operand.
pub(super) enum Operand<'n> {
    Column(Column),
    /// The same value in every row.
    Constant(Datum<'n>),
}

impl Operand<'_> {
    pub(super) fn datum(&self, row: usize) -> Datum<'_> {
        match self {
            Self::Column(column) => column.datum(row),
            Self::Constant(value) => value.as_borrowed(),
        }
    }

    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Column(column) => column.nulls(),
            Self::Constant(_) => None,
        }
    }
}

/// Compares in every row.
pub(super) fn compare(op: CompareOp, left: &Operand<'_>, right: &Operand<'_>, rows: usize) -> BooleanArray {
    let found = match (left, right) {
        (Operand::Column(column), Operand::Constant(value)) => with_constant(op, column, value),
        (Operand::Constant(value), Operand::Column(column)) => with_constant(op.flipped(), column, value),
        (Operand::Constant(a), Operand::Constant(b)) => {
            let same = op.apply(a, b);
            if same { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }
        }
        (Operand::Column(a), Operand::Column(b)) => columns(op, a, b),
    };
    BooleanArray::new(found, None)
}

/// One bit for every value.
fn pack<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> BooleanBuffer {
    let words = values.chunks(64).map(|chunk| {
        let bits = chunk
            .iter()
            .enumerate()
            .fold(0_u64, |bits, (bit, value)| bits | (u64::from(holds(*value)) << bit));
        bits.to_le()
    });
    BooleanBuffer::new(Buffer::from_vec(words.collect()), 0, values.len())
}

/// Compares with a constant. What NaN gives is what [`CompareOp::holds`] says: IEEE 754's comparisons.
fn against<T: PartialOrd + Copy>(op: CompareOp, values: &[T], other: T) -> BooleanBuffer {
    match op {
        CompareOp::Equal | CompareOp::NotDistinct => pack(values, |value| value == other),
        CompareOp::NotEqual | CompareOp::Distinct => pack(values, |value| value != other),
        CompareOp::Less => pack(values, |value| value < other),
        CompareOp::LessOrEqual => pack(values, |value| value <= other),
        CompareOp::Greater => pack(values, |value| value > other),
        CompareOp::GreaterOrEqual => pack(values, |value| value >= other),
    }
}

fn with_constant(op: CompareOp, column: &Column, other: &Datum<'_>) -> BooleanBuffer {
    let found = match (column, other) {
        (column, Datum::Null) => {
            return BooleanBuffer::collect_bool(column.len(), |row| op.holds_for_null(column.is_null(row)));
        }
        (Column::Double(array), Datum::Double(other)) => against(op, array.values(), *other),
        (Column::Int(array), Datum::Int(other)) => against(op, array.values(), *other),
        (Column::Int(array), Datum::BigInt(other)) => {
            pack(array.values(), |value| op.holds(Some(i64::from(value).cmp(other))))
        }
        (Column::BigInt(array), Datum::BigInt(other)) => against(op, array.values(), *other),
        (Column::Date(array), Datum::Date(other)) => against(op, array.values(), *other),
        (Column::Time(array), Datum::Time(other)) => against(op, array.values(), *other),
        (Column::Timestamp(array), Datum::Timestamp(other)) => against(op, array.values(), *other),
        (Column::Decimal(array), other) => {
            let scale = u8::try_from(array.scale()).unwrap_or(0);
            let exact = super::compare::exact(other).and_then(|other| other.rescale_exactly(scale));
            match exact {
                Some(other) => against(op, array.values(), other.unscaled()),
                None => pack(array.values(), |value| {
                    op.holds(order(&Datum::Decimal(Decimal::new(value, scale)), other))
                }),
            }
        }
        (Column::Varchar(array), Datum::Varchar(other)) => {
            texts(array, |value| op.holds(Some(value.cmp(other.as_ref()))))
        }
        (column, other) => {
            BooleanBuffer::collect_bool(column.len(), |row| op.apply(&column.datum(row), other))
        }
    };
    mask_nulls(op, found, column.nulls(), None)
}

fn columns(op: CompareOp, a: &Column, b: &Column) -> BooleanBuffer {
    let found = match (a, b) {
        (Column::Double(a), Column::Double(b)) => pairs(op, a.values(), b.values()),
        (Column::Int(a), Column::Int(b)) => pairs(op, a.values(), b.values()),
        (Column::BigInt(a), Column::BigInt(b)) => pairs(op, a.values(), b.values()),
        (Column::Date(a), Column::Date(b)) => pairs(op, a.values(), b.values()),
        (Column::Time(a), Column::Time(b)) => pairs(op, a.values(), b.values()),
        (Column::Timestamp(a), Column::Timestamp(b)) => pairs(op, a.values(), b.values()),
        (Column::Decimal(a), Column::Decimal(b)) if a.scale() == b.scale() => {
            pairs(op, a.values(), b.values())
        }
        (Column::Varchar(a), Column::Varchar(b)) => {
            BooleanBuffer::collect_bool(a.len(), |row| op.holds(Some(a.value(row).cmp(b.value(row)))))
        }
        (a, b) => BooleanBuffer::collect_bool(a.len(), |row| op.apply(&a.datum(row), &b.datum(row))),
    };
    mask_nulls(op, found, a.nulls(), b.nulls())
}

fn pairs<T: PartialOrd>(op: CompareOp, a: &[T], b: &[T]) -> BooleanBuffer {
    BooleanBuffer::collect_bool(a.len(), |row| op.holds(a[row].partial_cmp(&b[row])))
}

/// One bit for every text; what stands where there is `NULL` is looked at too.
fn texts(array: &StringArray, holds: impl Fn(&str) -> bool) -> BooleanBuffer {
    BooleanBuffer::collect_bool(array.len(), |row| holds(array.value(row)))
}

/// Puts in what comparisons with `NULL` give.
fn mask_nulls(
    op: CompareOp,
    found: BooleanBuffer,
    a: Option<&NullBuffer>,
    b: Option<&NullBuffer>,
) -> BooleanBuffer {
    let Some(known) = NullBuffer::union(a, b) else { return found };
    if !matches!(op, CompareOp::Distinct | CompareOp::NotDistinct) {
        return &found & known.inner();
    }
    let null = |nulls: Option<&NullBuffer>, row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    BooleanBuffer::collect_bool(found.len(), |row| match (null(a, row), null(b, row)) {
        (false, false) => found.value(row),
        (a, b) => op.holds_for_null(a && b),
    })
}

/// Where the text matches; `NULL` does not.
pub(super) fn like(array: &StringArray, pattern: &Pattern) -> BooleanArray {
    let found = texts(array, |value| pattern.matches(value));
    BooleanArray::new(mask_nulls(CompareOp::Equal, found, array.nulls(), None), None)
}

/// Where the value is one of a list of constants of the column's type; `NULL` is none. `None` for types without a loop.
pub(super) fn one_of(column: &Column, list: &[&Datum<'_>]) -> Option<BooleanArray> {
    let found = match column {
        Column::Varchar(array) => {
            let list: BTreeSet<&str> = list.iter().filter_map(|value| value.as_str()).collect();
            texts(array, |value| list.contains(value))
        }
        Column::Int(array) => {
            let list: BTreeSet<i64> = list.iter().filter_map(|value| value.as_i64()).collect();
            pack(array.values(), |value| list.contains(&i64::from(value)))
        }
        Column::BigInt(array) => {
            let list: BTreeSet<i64> = list.iter().filter_map(|value| value.as_i64()).collect();
            pack(array.values(), |value| list.contains(&value))
        }
        _ => return None,
    };
    Some(BooleanArray::new(mask_nulls(CompareOp::Equal, found, column.nulls(), None), None))
}
