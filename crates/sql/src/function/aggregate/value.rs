//! Values as 64 bits, and how values compare.

use crate::{Column, Datum, SqlType};
use std::cmp::Ordering;

/// Whether values of this type fit 64 bits.
pub(super) const fn is_word(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Boolean
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Double
            | SqlType::Date
            | SqlType::Time
            | SqlType::Timestamp
    )
}

/// A present value of a type that [`is_word`].
pub(super) fn word(column: &Column, row: usize) -> u64 {
    match column {
        Column::Double(array) => array.value(row).to_bits(),
        Column::Int(array) => i64::from(array.value(row)).cast_unsigned(),
        Column::BigInt(array) => array.value(row).cast_unsigned(),
        Column::Boolean(array) => u64::from(array.value(row)),
        Column::Date(array) => i64::from(array.value(row)).cast_unsigned(),
        Column::Time(array) => i64::from(array.value(row)).cast_unsigned(),
        Column::Timestamp(array) => array.value(row).cast_unsigned(),
        _ => 0,
    }
}

/// The value that [`word`] made of it.
pub(super) fn from_word(word: u64, sql_type: SqlType) -> Datum<'static> {
    let whole = word.cast_signed();
    let small = || i32::try_from(whole).unwrap_or(0);
    match sql_type {
        SqlType::Double => Datum::Double(f64::from_bits(word)),
        SqlType::Int => Datum::Int(small()),
        SqlType::BigInt => Datum::BigInt(whole),
        SqlType::Boolean => Datum::Boolean(word != 0),
        SqlType::Date => Datum::Date(small()),
        SqlType::Time => Datum::Time(small()),
        SqlType::Timestamp => Datum::Timestamp(whole),
        _ => Datum::Null,
    }
}

/// How two values that [`word`] made of present ones compare. NaN is less than all: a number beside it counts.
pub(super) fn compare_words(a: u64, b: u64, sql_type: SqlType, greatest: bool) -> Ordering {
    if sql_type == SqlType::Double {
        return compare_doubles(f64::from_bits(a), f64::from_bits(b), greatest);
    }
    a.cast_signed().cmp(&b.cast_signed())
}

/// NaN loses, whichever way one looks.
fn compare_doubles(a: f64, b: f64, greatest: bool) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| {
        let order = b.is_nan().cmp(&a.is_nan());
        if greatest { order } else { order.reverse() }
    })
}

/// How two present values of one type compare; values that hold others, element by element, as equal or not.
pub(super) fn compare(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::Boolean(a), Datum::Boolean(b)) => a.cmp(b),
        (Datum::Int(a), Datum::Int(b))
        | (Datum::Date(a), Datum::Date(b))
        | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::BigInt(a), Datum::BigInt(b)) | (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.cmp(b),
        (Datum::Double(a), Datum::Double(b)) => compare_doubles(*a, *b, true),
        // By UTF-16 units, as Java compares texts.
        (Datum::Varchar(a), Datum::Varchar(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        (Datum::Bytes(a), Datum::Bytes(b)) => a.cmp(b),
        (Datum::Struct(a), Datum::Struct(b)) => match (a.first(), b.first()) {
            (Some(a), Some(b)) => compare(a, b),
            _ => Ordering::Equal,
        },
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Less,
        (_, Datum::Null) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

/// Whether two values of one type are the same; NaN is itself.
pub(super) fn same(a: &Datum<'_>, b: &Datum<'_>) -> bool {
    match (a, b) {
        (Datum::Double(a), Datum::Double(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

/// How many bytes a value of this type takes in the state, roughly, where its length is not given by its type.
pub(super) fn bytes_guess(sql_type: SqlType) -> usize {
    match sql_type {
        SqlType::Boolean => 1,
        SqlType::Int | SqlType::Date | SqlType::Time => 5,
        SqlType::BigInt | SqlType::Double | SqlType::Timestamp => 9,
        SqlType::Decimal { .. } => 18,
        SqlType::Varchar | SqlType::Bytes => 37,
        SqlType::Array(element) => 5_usize.saturating_add(bytes_guess(*element).saturating_mul(8)),
        SqlType::Map(key, value) => {
            5_usize.saturating_add(bytes_guess(*key).saturating_add(bytes_guess(*value)).saturating_mul(8))
        }
        SqlType::Struct(fields) => {
            fields.iter().fold(5, |sum, field| sum.saturating_add(bytes_guess(field.sql_type)))
        }
    }
}
