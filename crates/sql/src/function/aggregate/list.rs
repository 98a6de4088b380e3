//! Aggregates that remember values: lists with a limit.
//!
//! ```text
//! MIN, MAX, EARLIEST, LATEST of text …    the value
//! EARLIEST, LATEST of several             value, offset, value, offset, …
//! COLLECT_LIST, COLLECT_SET, TOPK         the values
//! HISTOGRAM, ATTR                         value, count, value, count, …
//! COUNT_DISTINCT                          one BYTES: see `distinct`
//! ```
//!
//! What does not fit is left out. The first time that happens to a group it is a fault; the number beside the list counts
//! how many were left out, so that it is told once.

use super::value::{compare, same};
use super::{Aggregate, Row, distinct};
use crate::Datum;
use crate::expression::Fault;

/// The values that one aggregate holds of one group.
pub(crate) type Held = Vec<Datum<'static>>;

/// How many different values `ATTR` remembers: there should be one.
pub(super) const ATTRIBUTE_VALUES_MAX: usize = 100;

/// Takes a row in.
pub(super) fn add(
    aggregate: &Aggregate,
    words: &mut [u64],
    held: &mut Held,
    row: &Row<'_>,
) -> Result<(), Fault> {
    let value = row.datum(0);
    match aggregate {
        Aggregate::CollectList { limit, .. } => {
            return push(words, held, value, held.len() < *limit, "COLLECT_LIST", *limit);
        }
        Aggregate::CollectSet { limit, .. } if !held.iter().any(|known| same(known, &value)) => {
            return push(words, held, value, held.len() < *limit, "COLLECT_SET", *limit);
        }
        Aggregate::Histogram { limit } if !value.is_null() => {
            return count(words, held, value, "HISTOGRAM", *limit);
        }
        Aggregate::Attribute(_) => return count(words, held, value, "ATTR", ATTRIBUTE_VALUES_MAX),
        Aggregate::Extreme { greatest, .. } if !value.is_null() => {
            let wins = |best: &Datum<'_>| {
                let order = compare(&value, best);
                if *greatest { order.is_gt() } else { order.is_lt() }
            };
            if held.first().is_none_or(wins) {
                *held = vec![value.into_owned()];
            }
        }
        Aggregate::Position { latest, nulls, .. } => {
            let [state, offset] = words else { return Ok(()) };
            if (*nulls || !value.is_null()) && (*latest || *state == 0) {
                (*state, *offset) = (1, row.offset.cast_unsigned());
                *held = vec![value.into_owned()];
            }
        }
        Aggregate::Positions { latest, count, nulls, .. } if *nulls || !value.is_null() => {
            if held.len() / 2 >= *count {
                if !latest {
                    return Ok(());
                }
                held.drain(..2);
            }
            held.extend([value.into_owned(), Datum::BigInt(row.offset)]);
        }
        Aggregate::CountDistinct if !value.is_null() => distinct::add(held, &value),
        Aggregate::Top { count, distinct, .. } if !value.is_null() => {
            let value = if row.args.len() == 1 {
                value.into_owned()
            } else {
                Datum::Struct((0..row.args.len()).map(|arg| row.datum(arg).into_owned()).collect())
            };
            top(held, value, *count, *distinct);
        }
        _ => {}
    }
    Ok(())
}

/// Appends where there is room; what there is none for is counted, and told of once.
fn push(
    words: &mut [u64],
    held: &mut Held,
    value: Datum<'_>,
    room: bool,
    name: &'static str,
    limit: usize,
) -> Result<(), Fault> {
    if room {
        held.push(value.into_owned());
        return Ok(());
    }
    let Some(left_out) = words.first_mut() else { return Ok(()) };
    *left_out = left_out.saturating_add(1);
    if *left_out > 1 {
        return Ok(());
    }
    Err(Fault::Function(
        name,
        format!("the group has {limit} values already; this one and all further ones are left out"),
    ))
}

fn place(held: &Held, value: &Datum<'_>) -> Option<usize> {
    held.chunks_exact(2)
        .position(|pair| pair.first().is_some_and(|known| same(known, value)))
        .map(|pair| 2 * pair)
}

fn count(
    words: &mut [u64],
    held: &mut Held,
    value: Datum<'_>,
    name: &'static str,
    limit: usize,
) -> Result<(), Fault> {
    if let Some(place) = place(held, &value) {
        if let Some(Datum::BigInt(count)) = held.get_mut(place + 1) {
            *count = count.saturating_add(1);
        }
        return Ok(());
    }
    push(words, held, value, held.len() / 2 < limit, name, limit)?;
    // What was left out has no count.
    if held.len() % 2 == 1 {
        held.push(Datum::BigInt(1));
    }
    Ok(())
}

fn top(held: &mut Held, value: Datum<'static>, count: usize, distinct: bool) {
    // The first place behind all that are greater or equal: of equal ones, the first that came stays in front.
    let at = held.partition_point(|known| compare(known, &value).is_ge());
    let before = at.checked_sub(1).and_then(|before| held.get(before));
    if at >= count || (distinct && before.is_some_and(|known| compare(known, &value).is_eq())) {
        return;
    }
    held.insert(at, value);
    held.truncate(count);
}

/// Takes a row out.
pub(super) fn remove(aggregate: &Aggregate, words: &mut [u64], held: &mut Held, row: &Row<'_>) {
    let value = row.datum(0);
    let found = match aggregate {
        Aggregate::CollectList { .. } => {
            let last = held.iter().rposition(|known| same(known, &value));
            last.map(|last| drop(held.remove(last))).is_some()
        }
        Aggregate::Histogram { .. } if value.is_null() => true,
        Aggregate::Histogram { .. } | Aggregate::Attribute(_) => match place(held, &value) {
            Some(place) => {
                match held.get_mut(place + 1) {
                    Some(Datum::BigInt(count)) if *count > 1 => *count -= 1,
                    _ => drop(held.drain(place..place + 2)),
                }
                true
            }
            None => false,
        },
        _ => true,
    };
    // It was among those that were left out.
    if let (false, Some(left_out)) = (found, words.first_mut()) {
        *left_out = left_out.saturating_sub(1);
    }
}

/// Counts a value that there is no room for.
fn leave_out(words: &mut [u64]) {
    if let Some(left_out) = words.first_mut() {
        *left_out = left_out.saturating_add(1);
    }
}

/// Takes in all that `from` has.
pub(super) fn merge(
    aggregate: &Aggregate,
    (words, held): (&mut [u64], &mut Held),
    (from_words, from): (&mut [u64], &mut Held),
) {
    let from_values = std::mem::take(from);
    match aggregate {
        Aggregate::CollectList { limit, .. } | Aggregate::CollectSet { limit, .. } => {
            let set = matches!(aggregate, Aggregate::CollectSet { .. });
            for value in from_values {
                if held.len() >= *limit {
                    leave_out(words);
                } else if !set || !held.iter().any(|known| same(known, &value)) {
                    held.push(value);
                }
            }
            for (left_out, more) in words.iter_mut().zip(from_words) {
                *left_out = left_out.saturating_add(*more);
            }
        }
        Aggregate::Histogram { .. } | Aggregate::Attribute(_) => {
            let limit =
                if let Aggregate::Histogram { limit } = aggregate { *limit } else { ATTRIBUTE_VALUES_MAX };
            let mut values = from_values.into_iter();
            while let (Some(value), Some(Datum::BigInt(more))) = (values.next(), values.next()) {
                match place(held, &value) {
                    Some(place) => {
                        if let Some(Datum::BigInt(count)) = held.get_mut(place + 1) {
                            *count = count.saturating_add(more);
                        }
                    }
                    None if held.len() / 2 < limit => held.extend([value, Datum::BigInt(more)]),
                    None => leave_out(words),
                }
            }
        }
        Aggregate::Extreme { greatest, .. } => {
            if let Some(value) = from_values.into_iter().next() {
                let order = held.first().map(|best| compare(&value, best));
                if order.is_none_or(|order| if *greatest { order.is_gt() } else { order.is_lt() }) {
                    *held = vec![value];
                }
            }
        }
        Aggregate::Position { latest, .. } => {
            let ([state, offset], [more, at]) = (words, from_words) else { return };
            if *more != 0 && (*state == 0 || (at.cast_signed() > offset.cast_signed()) == *latest) {
                (*state, *offset) = (*more, *at);
                *held = from_values;
            }
        }
        Aggregate::Positions { latest, count, .. } => merge_positions(held, from_values, *latest, *count),
        Aggregate::CountDistinct => distinct::merge(held, &from_values),
        Aggregate::Top { count, distinct, .. } => {
            for value in from_values {
                top(held, value, *count, *distinct);
            }
        }
        _ => {}
    }
}

fn merge_positions(held: &mut Held, from: Held, latest: bool, count: usize) {
    let mut pairs: Vec<(i64, Datum<'static>)> = Vec::new();
    let mut values = std::mem::take(held).into_iter().chain(from);
    while let (Some(value), Some(offset)) = (values.next(), values.next()) {
        pairs.push((offset.as_i64().unwrap_or(0), value));
    }
    pairs.sort_by_key(|(offset, _)| *offset);
    let skip = if latest { pairs.len().saturating_sub(count) } else { 0 };
    let kept = pairs.into_iter().skip(skip).take(count);
    held.extend(kept.flat_map(|(offset, value)| [value, Datum::BigInt(offset)]));
}

/// The result.
pub(super) fn result(aggregate: &Aggregate, held: &Held) -> Datum<'static> {
    match aggregate {
        Aggregate::Extreme { .. } | Aggregate::Position { .. } => {
            held.first().cloned().unwrap_or(Datum::Null)
        }
        Aggregate::Positions { .. } => Datum::Array(held.iter().step_by(2).cloned().collect()),
        Aggregate::Histogram { .. } => {
            let pair = |pair: &[Datum<'static>]| match pair {
                [value, count] => (value.clone(), count.clone()),
                _ => (Datum::Null, Datum::Null),
            };
            Datum::Map(held.chunks_exact(2).map(pair).collect())
        }
        Aggregate::Attribute(_) => match held.as_slice() {
            [value, _] => value.clone(),
            _ => Datum::Null,
        },
        Aggregate::CountDistinct => Datum::BigInt(distinct::estimate(held)),
        _ => Datum::Array(held.iter().cloned().collect()),
    }
}
