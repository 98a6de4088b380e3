//! Aggregates that remember numbers of 64 bits: nothing is allocated per row.
//!
//! ```text
//! COUNT        count                       SUM of whole numbers    low, high half of 128 bits
//! SUM DOUBLE   sum, count                  SUM of DECIMAL          low, high, 1 once it is out of range
//! AVG DOUBLE   sum, count                  AVG of whole numbers    low, high, count
//! MIN, MAX     1 where there is one, value EARLIEST, LATEST        0 none / 1 NULL / 2 value, value, offset
//! STDDEV       count, sum, squares         CORRELATION             count, Σx, Σy, Σx², Σy², Σxy
//! ```

use super::value::{compare_words, from_word, word};
use super::{Aggregate, Row};
use crate::expression::Fault;
use crate::{Datum, SqlType};
use millstream_format::sql::Decimal;

const NONE: u64 = 0;
const NULL: u64 = 1;
const VALUE: u64 = 2;

/// Takes a row in.
pub(super) fn add(aggregate: &Aggregate, words: &mut [u64], row: &Row<'_>) {
    match (aggregate, words) {
        (Aggregate::CountAll, [count]) => *count = count.wrapping_add(1),
        (Aggregate::Position { latest, nulls, .. }, words) => position(words, *latest, *nulls, row),
        (Aggregate::Extreme { greatest, of }, [present, best]) => {
            if let Some(column) = row.args.first().filter(|column| !column.is_null(row.index)) {
                let value = word(column, row.index);
                let order = compare_words(value, *best, *of, *greatest);
                if *present == NONE || (if *greatest { order.is_gt() } else { order.is_lt() }) {
                    (*present, *best) = (1, value);
                }
            }
        }
        (_, words) => change(aggregate, words, row, 1),
    }
}

/// Takes a row out.
pub(super) fn remove(aggregate: &Aggregate, words: &mut [u64], row: &Row<'_>) {
    if aggregate.can_remove() {
        change(aggregate, words, row, -1);
    }
}

/// Takes a row in (`sign` 1) or out (-1).
fn change(aggregate: &Aggregate, words: &mut [u64], row: &Row<'_>, sign: i8) {
    match (aggregate, words) {
        (Aggregate::CountAll, [count]) => *count = count.wrapping_add_signed(sign.into()),
        (_, _) if row.is_null(0) => {}
        (Aggregate::Count, [count]) => *count = count.wrapping_add_signed(sign.into()),
        (Aggregate::SumWhole(_), [low, high]) => {
            add_whole(low, high, i128::from(row.datum(0).as_i64().unwrap_or(0)), sign);
        }
        (Aggregate::AverageWhole, [low, high, count]) => {
            add_whole(low, high, i128::from(row.datum(0).as_i64().unwrap_or(0)), sign);
            *count = count.wrapping_add_signed(sign.into());
        }
        (Aggregate::SumDecimal { .. }, [low, high, beyond]) => {
            let Datum::Decimal(value) = row.datum(0) else { return };
            if !add_whole(low, high, value.unscaled(), sign) {
                *beyond = 1;
            }
        }
        (Aggregate::SumDouble | Aggregate::AverageDouble, [sum, count]) => {
            if let Some(value) = row.double(0) {
                add_double(sum, count, value, sign);
            }
        }
        (Aggregate::SumList(of), words) => sum_list(*of, words, row, sign),
        (Aggregate::Deviation, [count, sum, squares]) => {
            if let Some(value) = row.double(0) {
                deviation(count, sum, squares, value, sign);
            }
        }
        (Aggregate::Correlation, [count, sums @ ..]) => {
            if let (Some(x), Some(y)) = (row.double(0), row.double(1)) {
                *count = count.wrapping_add_signed(sign.into());
                for (sum, value) in sums.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                    *sum = (f64::from_bits(*sum) + f64::from(sign) * value).to_bits();
                }
            }
        }
        _ => {}
    }
}

/// Adds to the sum of 128 bits; `false` where it would not fit any more.
fn add_whole(low: &mut u64, high: &mut u64, value: i128, sign: i8) -> bool {
    let sum = whole(*low, *high);
    let added = if sign < 0 { sum.checked_sub(value) } else { sum.checked_add(value) };
    let Some(added) = added else { return false };
    (*low, *high) = halves(added);
    true
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of one number")]
const fn halves(value: i128) -> (u64, u64) {
    let bits = value.cast_unsigned();
    (bits as u64, (bits >> 64) as u64)
}

fn whole(low: u64, high: u64) -> i128 {
    (u128::from(high) << 64 | u128::from(low)).cast_signed()
}

fn add_double(sum: &mut u64, count: &mut u64, value: f64, sign: i8) {
    *count = count.wrapping_add_signed(sign.into());
    // What is left of nothing is nothing, without the remains of rounding.
    let left = if *count == 0 { 0.0 } else { f64::from_bits(*sum) + f64::from(sign) * value };
    *sum = left.to_bits();
}

fn sum_list(of: SqlType, words: &mut [u64], row: &Row<'_>, sign: i8) {
    let list = row.datum(0);
    let [low, high, count] = words else { return };
    for element in list.as_array().unwrap_or_default() {
        match (of, element) {
            (_, Datum::Null) => {}
            (SqlType::Double, value) => add_double(low, count, value.as_f64().unwrap_or(0.0), sign),
            (_, value) => {
                add_whole(low, high, i128::from(value.as_i64().unwrap_or(0)), sign);
            }
        }
    }
}

/// The method of Youngs and Cramer.
fn deviation(count: &mut u64, sum: &mut u64, squares: &mut u64, value: f64, sign: i8) {
    let (before, total) = (as_double(*count), f64::from_bits(*sum));
    *count = count.wrapping_add_signed(sign.into());
    if *count == 0 {
        (*sum, *squares) = (0.0_f64.to_bits(), 0.0_f64.to_bits());
        return;
    }
    let (more, less, all) =
        if sign < 0 { (before, before - 1.0, total) } else { (before + 1.0, before, total + value) };
    if less > 0.0 {
        let delta = value * more - all;
        let part = delta * delta / (more * less);
        *squares = (f64::from_bits(*squares) + f64::from(sign) * part).to_bits();
    }
    *sum = (total + f64::from(sign) * value).to_bits();
}

fn position(words: &mut [u64], latest: bool, nulls: bool, row: &Row<'_>) {
    let [state, value, offset] = words else { return };
    let null = row.is_null(0);
    if (null && !nulls) || (!latest && *state != NONE) {
        return;
    }
    *state = if null { NULL } else { VALUE };
    *value = if null { 0 } else { row.args.first().map_or(0, |column| word(column, row.index)) };
    *offset = row.offset.cast_unsigned();
}

/// Takes in all that `from` has.
pub(super) fn merge(aggregate: &Aggregate, into: &mut [u64], from: &[u64]) {
    match (aggregate, into, from) {
        (Aggregate::CountAll | Aggregate::Count, [count], [more]) => *count = count.wrapping_add(*more),
        (Aggregate::SumWhole(_), [low, high], [l, h]) => {
            add_whole(low, high, whole(*l, *h), 1);
        }
        (Aggregate::AverageWhole, [low, high, count], [l, h, more]) => {
            add_whole(low, high, whole(*l, *h), 1);
            *count = count.wrapping_add(*more);
        }
        (Aggregate::SumDecimal { .. }, [low, high, beyond], [l, h, b]) => {
            *beyond |= b | u64::from(!add_whole(low, high, whole(*l, *h), 1));
        }
        (Aggregate::SumList(of), [low, high, count], [l, h, more]) => {
            if *of == SqlType::Double {
                *low = (f64::from_bits(*low) + f64::from_bits(*l)).to_bits();
            } else {
                add_whole(low, high, whole(*l, *h), 1);
            }
            *count = count.wrapping_add(*more);
        }
        (Aggregate::SumDouble | Aggregate::AverageDouble, [sum, count], [more, n]) => {
            *sum = (f64::from_bits(*sum) + f64::from_bits(*more)).to_bits();
            *count = count.wrapping_add(*n);
        }
        (Aggregate::Deviation, into, from) => merge_deviations(into, from),
        (Aggregate::Correlation, [count, sums @ ..], [n, more @ ..]) => {
            *count = count.wrapping_add(*n);
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = (f64::from_bits(*sum) + f64::from_bits(*more)).to_bits();
            }
        }
        (Aggregate::Extreme { greatest, of }, [present, best], [1, value]) => {
            let order = compare_words(*value, *best, *of, *greatest);
            if *present == NONE || (if *greatest { order.is_gt() } else { order.is_lt() }) {
                (*present, *best) = (1, *value);
            }
        }
        (Aggregate::Position { latest, .. }, into @ [..], [state, _, offset]) if *state != NONE => {
            let [known, _, at] = into else { return };
            if *known == NONE || (offset.cast_signed() > at.cast_signed()) == *latest {
                into.copy_from_slice(from);
            }
        }
        _ => {}
    }
}

fn merge_deviations(into: &mut [u64], from: &[u64]) {
    let ([count, sum, squares], [n, more, m]) = (into, from) else { return };
    let (a, b) = (as_double(*count), as_double(*n));
    let mut both = f64::from_bits(*squares) + f64::from_bits(*m);
    if a > 0.0 && b > 0.0 {
        let delta = f64::from_bits(*sum) / a - f64::from_bits(*more) / b;
        both += a * b * delta * delta / (a + b);
    }
    *squares = both.to_bits();
    *sum = (f64::from_bits(*sum) + f64::from_bits(*more)).to_bits();
    *count = count.wrapping_add(*n);
}

#[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
const fn as_double(count: u64) -> f64 {
    count as f64
}

/// The result.
pub(super) fn result(aggregate: &Aggregate, words: &[u64]) -> Result<Datum<'static>, Fault> {
    Ok(match (aggregate, words) {
        (Aggregate::CountAll | Aggregate::Count, [count]) => Datum::BigInt(count.cast_signed()),
        (
            Aggregate::SumWhole(of) | Aggregate::SumList(of @ (SqlType::Int | SqlType::BigInt)),
            [low, high, ..],
        ) => {
            let sum = whole(*low, *high);
            let fits = if *of == SqlType::Int {
                i32::try_from(sum).ok().map(Datum::Int)
            } else {
                i64::try_from(sum).ok().map(Datum::BigInt)
            };
            fits.ok_or(Fault::Overflow("a sum", *of))?
        }
        (Aggregate::SumDecimal { precision, scale }, [low, high, beyond]) => {
            let sum = whole(*low, *high);
            let limit = 10_u128.checked_pow((*precision).into()).unwrap_or(u128::MAX);
            if *beyond != 0 || sum.unsigned_abs() >= limit {
                let of = SqlType::Decimal { precision: *precision, scale: *scale };
                return Err(Fault::Overflow("a sum", of));
            }
            Datum::Decimal(Decimal::new(sum, *scale))
        }
        (Aggregate::SumDouble | Aggregate::SumList(_), [sum, ..]) => Datum::Double(f64::from_bits(*sum)),
        (Aggregate::AverageDouble, [_, 0]) | (Aggregate::AverageWhole, [_, _, 0]) => Datum::Null,
        (Aggregate::AverageDouble, [sum, count]) => Datum::Double(f64::from_bits(*sum) / as_double(*count)),
        (Aggregate::AverageWhole, [low, high, count]) => {
            #[expect(clippy::cast_precision_loss, reason = "the mean is a double, as in ksqlDB")]
            let sum = whole(*low, *high) as f64;
            Datum::Double(sum / as_double(*count))
        }
        (Aggregate::Extreme { of, .. }, [1, best]) => from_word(*best, *of),
        (Aggregate::Position { of, .. }, [VALUE, value, _]) => from_word(*value, *of),
        (Aggregate::Deviation, [count, _, squares]) => Datum::Double(if *count < 2 {
            0.0
        } else {
            // Rounding may leave a little less than nothing once rows were taken out.
            (f64::from_bits(*squares).max(0.0) / (as_double(*count) - 1.0)).sqrt()
        }),
        (Aggregate::Correlation, [count, x, y, xx, yy, xy]) => {
            let [x, y, xx, yy, xy] = [x, y, xx, yy, xy].map(|word| f64::from_bits(*word));
            let n = as_double(*count);
            Datum::Double((n * xy - x * y) / ((n * xx - x * x) * (n * yy - y * y)).sqrt())
        }
        _ => Datum::Null,
    })
}
