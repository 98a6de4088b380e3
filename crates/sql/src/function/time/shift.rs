//! Dates and times that are moved by so many units. A unit comes as its length in milliseconds.

use crate::Datum;

const DAY_MS: i64 = 86_400_000;

/// What is moved, by how many milliseconds: later where `sign` is 1, earlier where it is -1.
fn distance<'b, 'a>(args: &'b [Datum<'a>], sign: i64) -> Result<Option<(&'b Datum<'a>, i64)>, String> {
    let [Datum::BigInt(unit_ms), Datum::Int(count), value] = args else { return Ok(None) };
    let distance = unit_ms.checked_mul(i64::from(*count)).and_then(|ms| ms.checked_mul(sign));
    distance.map(|ms| Some((value, ms))).ok_or_else(|| format!("{count} times {unit_ms} ms is too far"))
}

fn timestamp<'a>(args: &[Datum<'a>], sign: i64) -> Result<Datum<'a>, String> {
    let Some((Datum::Timestamp(ms), by)) = distance(args, sign)? else { return Ok(Datum::Null) };
    ms.checked_add(by).map(Datum::Timestamp).ok_or_else(|| "the timestamp is out of range".to_owned())
}

fn date<'a>(args: &[Datum<'a>], sign: i64) -> Result<Datum<'a>, String> {
    let Some((Datum::Date(days), by)) = distance(args, sign)? else { return Ok(Datum::Null) };
    // As in ksqlDB, midnight of the date is moved, and what is not a whole day is cut off towards 1970.
    let ms = i64::from(*days).saturating_mul(DAY_MS).saturating_add(by);
    let moved = i32::try_from(ms / DAY_MS);
    moved.map(Datum::Date).map_err(|_| "the date is out of range".to_owned())
}

fn time<'a>(args: &[Datum<'a>], sign: i64) -> Result<Datum<'a>, String> {
    let Some((Datum::Time(ms), by)) = distance(args, sign)? else { return Ok(Datum::Null) };
    let moved = (i64::from(*ms) + by.rem_euclid(DAY_MS)).rem_euclid(DAY_MS);
    Ok(Datum::Time(i32::try_from(moved).unwrap_or(0)))
}

pub(super) fn timestamp_add<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    timestamp(args, 1)
}

pub(super) fn timestamp_sub<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    timestamp(args, -1)
}

pub(super) fn date_add<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    date(args, 1)
}

pub(super) fn date_sub<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    date(args, -1)
}

pub(super) fn time_add<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    time(args, 1)
}

pub(super) fn time_sub<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    time(args, -1)
}
