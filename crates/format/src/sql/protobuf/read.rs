//! Protobuf messages into columns: what the message's fields become is worked out once, then every message is read by it.
//!
//! A field is found by its column's name in any letter case. One that is absent is `NULL` where its presence can be told (messages,
//! `optional`, `oneof`, proto2), else 0, `false`, the empty text; absent repeated fields are empty arrays and maps. Fields
//! that no column asks for are passed over, and of a field that stands twice the last one counts.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Kind, ProtobufFiles};
use super::targets::{Shape, Take, Targets, targets};
use crate::sql::binary::{Bytes, fit, map, two_complement};
use crate::sql::calendar::days;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use crate::sql::{Datum, DecodeError, SqlType, java_double};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads rows of one message.
#[derive(Debug)]
pub(in crate::sql) struct ProtobufDecoder {
    message: Targets,
}

/// The indexes before a Protobuf value, as their bytes.
pub(in crate::sql) fn take_indexes<'a>(input: &mut Bytes<'a>) -> Result<&'a [u8], DecodeError> {
    let mut ahead = input.clone();
    let count = usize::try_from(ahead.zigzag()?).map_err(|_| input.error("a count of message indexes"))?;
    if count > SCHEMA_DEPTH_MAX {
        return Err(input.error("fewer message indexes"));
    }
    for _ in 0..count {
        ahead.zigzag()?;
    }
    input.take(input.left().saturating_sub(ahead.left()))
}

/// The indexes that such bytes say. A lone zero byte, no index, stands for the first message.
pub(in crate::sql) fn indexes(bytes: &[u8]) -> Vec<i32> {
    let mut input = Bytes::new(bytes);
    let count = input.zigzag().unwrap_or(0);
    let listed: Vec<i32> = (0..count).map_while(|_| i32::try_from(input.zigzag().ok()?).ok()).collect();
    if listed.is_empty() { vec![0] } else { listed }
}

impl ProtobufDecoder {
    pub(in crate::sql) fn new(
        files: &ProtobufFiles,
        message: usize,
        columns: &[(Arc<str>, SqlType)],
    ) -> Self {
        let columns: Vec<(&str, SqlType)> =
            columns.iter().map(|(name, sql_type)| (&**name, *sql_type)).collect();
        Self { message: targets(files, message, &columns, "", 0) }
    }

    /// The values of a row.
    pub(in crate::sql) fn row<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Datum<'a>>, DecodeError> {
        values(&self.message, bytes, 0)
    }
}

fn values<'a>(targets: &Targets, bytes: &'a [u8], depth: usize) -> Result<Vec<Datum<'a>>, DecodeError> {
    let mut input = Bytes::new(bytes);
    if depth > SCHEMA_DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    let mut row = vec![Datum::Null; targets.count];
    for target in targets.fields.iter().filter(|target| target.within.is_none()) {
        if let Some(slot) = row.get_mut(target.place) {
            *slot = target.absent.clone();
        }
    }
    let mut lists: Vec<(usize, Vec<Datum<'static>>)> = Vec::new();
    let mut maps: Vec<(usize, Vec<(Datum<'static>, Datum<'static>)>)> = Vec::new();
    let mut hint = 0_usize;
    while input.left() > 0 {
        let (number, wire) = tag(&mut input)?;
        // Fields come in order nearly always.
        let target = match targets.fields.get(hint).filter(|target| target.number == number) {
            Some(target) => Some(target),
            None => targets.fields.iter().find(|target| target.number == number),
        };
        let Some(target) = target else {
            pass_over(&mut input, number, wire, depth)?;
            continue;
        };
        hint = targets.fields.iter().position(|known| known.number == number).unwrap_or(0).saturating_add(1);
        match &target.shape {
            Shape::One(take) => {
                let value = one(take, wire, &mut input, depth)?;
                let Some(slot) = row.get_mut(target.place) else { continue };
                *slot = match target.within {
                    None => value,
                    Some((index, count)) => {
                        let mut fields = vec![Datum::Null; count];
                        if let Some(field) = fields.get_mut(index) {
                            *field = value.into_owned();
                        }
                        Datum::Struct(fields.into())
                    }
                };
            }
            Shape::Array(take) => {
                let place = place_in(&mut lists, target.place);
                let Some((_, items)) = lists.get_mut(place) else { continue };
                many(take, wire, &mut input, depth, items)?;
            }
            Shape::Map(entry) => {
                let mut pair = values(entry, length(&mut input)?, depth.saturating_add(1))?.into_iter();
                if let (Some(key), Some(value)) = (pair.next(), pair.next()) {
                    let place = place_in(&mut maps, target.place);
                    if let Some((_, entries)) = maps.get_mut(place) {
                        entries.push((key.clone().into_owned(), value.clone().into_owned()));
                    }
                }
            }
            Shape::Never(column, sql_type, found) => {
                return Err(DecodeError::Type { column: column.clone(), sql_type: *sql_type, found });
            }
        }
    }
    let lists = lists.into_iter().map(|(place, items)| (place, Datum::Array(items.into())));
    for (place, value) in lists.chain(maps.into_iter().map(|(place, entries)| (place, map(entries)))) {
        if let Some(slot) = row.get_mut(place) {
            *slot = value;
        }
    }
    Ok(row)
}

fn place_in<T>(all: &mut Vec<(usize, Vec<T>)>, place: usize) -> usize {
    all.iter().position(|(known, _)| *known == place).unwrap_or_else(|| {
        all.push((place, Vec::new()));
        all.len().saturating_sub(1)
    })
}

pub(super) fn tag(input: &mut Bytes<'_>) -> Result<(u32, u8), DecodeError> {
    let tag = u32::try_from(input.varint()?).map_err(|_| input.error("the number of a field"))?;
    let number = tag >> 3;
    if number == 0 {
        return Err(input.error("the number of a field"));
    }
    Ok((number, u8::try_from(tag & 7).unwrap_or(0)))
}

pub(super) fn length<'a>(input: &mut Bytes<'a>) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(input.varint()?).map_err(|_| input.error("a length"))?;
    input.take(len)
}

pub(super) fn pass_over(
    input: &mut Bytes<'_>,
    number: u32,
    wire: u8,
    depth: usize,
) -> Result<(), DecodeError> {
    if depth > SCHEMA_DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    match wire {
        0 => drop(input.varint()?),
        1 => drop(input.take(8)?),
        2 => drop(length(input)?),
        3 => loop {
            let (inner, wire) = tag(input)?;
            if wire == 4 {
                if inner != number {
                    return Err(input.error("the end of the group that began last"));
                }
                break;
            }
            pass_over(input, inner, wire, depth.saturating_add(1))?;
        },
        5 => drop(input.take(4)?),
        _ => return Err(input.error("a wire type")),
    }
    Ok(())
}

/// One value of a field.
fn one<'a>(take: &Take, wire: u8, input: &mut Bytes<'a>, depth: usize) -> Result<Datum<'a>, DecodeError> {
    let below = depth.saturating_add(1);
    let expected = match take {
        Take::Scalar(kind, _) => kind.wire(),
        Take::Enum(_) => 0,
        _ => 2,
    };
    if wire != expected {
        return Err(input.error("the wire type of the field"));
    }
    Ok(match take {
        Take::Scalar(kind, sql_type) => scalar(kind, *sql_type, input)?,
        Take::Enum(values) => symbol(values, input.varint()?),
        Take::Text => {
            let at = input.clone();
            Datum::Varchar(Cow::Borrowed(std::str::from_utf8(length(input)?).map_err(|_| at.error("UTF-8"))?))
        }
        Take::Bytes => Datum::Bytes(Cow::Borrowed(length(input)?)),
        Take::Struct(targets) => {
            let fields = values(targets, length(input)?, below)?;
            Datum::Struct(fields.into_iter().map(Datum::into_owned).collect())
        }
        Take::Wrapped(inner, empty) => {
            let mut inside = Bytes::new(length(input)?);
            let mut value = empty.clone();
            while inside.left() > 0 {
                let (number, wire) = tag(&mut inside)?;
                if number == 1 {
                    value = one(inner, wire, &mut inside, below)?.into_owned();
                } else {
                    pass_over(&mut inside, number, wire, below)?;
                }
            }
            value
        }
        Take::Timestamp | Take::Date | Take::TimeOfDay => {
            let at = input.clone();
            let [first, second, third, fourth] = numbers(length(input)?, below)?;
            moment(take, [first, second, third, fourth])
                .ok_or_else(|| at.error("a date or time that there is"))?
        }
        Take::Decimal(precision, scale) => decimal(length(input)?, *precision, *scale, below)?,
    })
}

/// The first four fields of a message of numbers.
fn numbers(bytes: &[u8], depth: usize) -> Result<[i64; 4], DecodeError> {
    let mut input = Bytes::new(bytes);
    let mut found = [0; 4];
    while input.left() > 0 {
        let (number, wire) = tag(&mut input)?;
        let place = usize::try_from(number).ok().and_then(|number| found.get_mut(number.checked_sub(1)?));
        match place {
            Some(place) if wire == 0 => *place = i64::from_ne_bytes(input.varint()?.to_ne_bytes()),
            _ => pass_over(&mut input, number, wire, depth)?,
        }
    }
    Ok(found)
}

fn moment(take: &Take, [first, second, third, fourth]: [i64; 4]) -> Option<Datum<'static>> {
    Some(match take {
        Take::Timestamp => {
            let ms = i128::from(first)
                .checked_mul(1_000)?
                .checked_add(i128::from(second.div_euclid(1_000_000)))?;
            Datum::Timestamp(i64::try_from(ms).ok()?)
        }
        Take::Date => Datum::Date(days(first, second, third)?),
        _ => {
            let within = (0..24).contains(&first) && (0..60).contains(&second) && (0..60).contains(&third);
            let ms = first.checked_mul(3_600_000)?.checked_add(second.checked_mul(60_000)?)?;
            let ms = ms.checked_add(third.checked_mul(1_000)?)?.checked_add(fourth.div_euclid(1_000_000))?;
            Datum::Time(i32::try_from(ms).ok().filter(|_| within)?)
        }
    })
}

fn decimal(bytes: &[u8], precision: u8, scale: u8, depth: usize) -> Result<Datum<'static>, DecodeError> {
    let mut input = Bytes::new(bytes);
    let (mut digits, mut from): (&[u8], i64) = (&[], 0);
    while input.left() > 0 {
        match tag(&mut input)? {
            (1, 2) => digits = length(&mut input)?,
            (3, 0) => from = i64::from_ne_bytes(input.varint()?.to_ne_bytes()),
            (number, wire) => pass_over(&mut input, number, wire, depth)?,
        }
    }
    let misfit = || input.error("a decimal that fits its column");
    let unscaled = two_complement(digits).ok_or_else(misfit)?;
    let from = u8::try_from(from).map_err(|_| misfit())?;
    fit(unscaled, from, precision, scale).map(Datum::Decimal).ok_or_else(misfit)
}

/// All values of a repeated field's occurrence: one, or several packed ones.
fn many(
    take: &Take,
    wire: u8,
    input: &mut Bytes<'_>,
    depth: usize,
    items: &mut Vec<Datum<'static>>,
) -> Result<(), DecodeError> {
    let single = match take {
        Take::Scalar(kind, _) => kind.wire(),
        Take::Enum(_) => 0,
        _ => 2,
    };
    if wire == 2 && single != 2 {
        let mut packed = Bytes::new(length(input)?);
        while packed.left() > 0 {
            items.push(one(take, single, &mut packed, depth)?.into_owned());
        }
        return Ok(());
    }
    items.push(one(take, wire, input, depth)?.into_owned());
    Ok(())
}

fn symbol(values: &[(i32, Box<str>)], number: u64) -> Datum<'static> {
    let number = i64::from_ne_bytes(number.to_ne_bytes());
    let known = values.iter().find(|(value, _)| i64::from(*value) == number);
    // A number that has no name yet keeps its number, as open enums do.
    Datum::Varchar(known.map_or_else(|| number.to_string().into(), |(_, name)| name.to_string().into()))
}

fn scalar(kind: &Kind, sql_type: SqlType, input: &mut Bytes<'_>) -> Result<Datum<'static>, DecodeError> {
    let number = |value: i64| -> Option<Datum<'static>> {
        Some(match sql_type {
            SqlType::Int => Datum::Int(i32::try_from(value).ok()?),
            SqlType::BigInt => Datum::BigInt(value),
            SqlType::Double => Datum::Double(Datum::BigInt(value).as_f64()?),
            SqlType::Date => Datum::Date(i32::try_from(value).ok()?),
            SqlType::Time => Datum::Time(i32::try_from(value).ok()?),
            SqlType::Timestamp => Datum::Timestamp(value),
            _ => Datum::Varchar(value.to_string().into()),
        })
    };
    let fraction = |value: f64, text: String| match sql_type {
        SqlType::Varchar => Datum::Varchar(text.into()),
        _ => Datum::Double(value),
    };
    let value = match kind {
        Kind::Double => {
            let value = f64::from_le_bytes(input.array()?);
            return Ok(fraction(value, java_double(value)));
        }
        Kind::Float => {
            let short = f32::from_le_bytes(input.array()?);
            let digits: f64 = short.to_string().parse().unwrap_or_else(|_| f64::from(short));
            return Ok(fraction(f64::from(short), java_double(digits)));
        }
        Kind::Bool => {
            let value = input.varint()? != 0;
            return Ok(if sql_type == SqlType::Boolean {
                Datum::Boolean(value)
            } else {
                Datum::Varchar(value.to_string().into())
            });
        }
        // The upper half of a negative 32-bit number is of no meaning.
        Kind::Int32 => {
            let low = u32::try_from(input.varint()? & 0xffff_ffff).unwrap_or(0);
            i64::from(i32::from_ne_bytes(low.to_ne_bytes()))
        }
        Kind::Int64 => i64::from_ne_bytes(input.varint()?.to_ne_bytes()),
        Kind::Uint32 => i64::try_from(input.varint()? & 0xffff_ffff).unwrap_or(0),
        Kind::Uint64 => i64::try_from(input.varint()?).map_err(|_| input.error("a number of 63 bits"))?,
        Kind::Sint32 | Kind::Sint64 => input.zigzag()?,
        Kind::Fixed32 => i64::from(u32::from_le_bytes(input.array()?)),
        Kind::Sfixed32 => i64::from(i32::from_le_bytes(input.array()?)),
        Kind::Fixed64 => i64::try_from(u64::from_le_bytes(input.array()?))
            .map_err(|_| input.error("a number of 63 bits"))?,
        _ => i64::from_le_bytes(input.array()?),
    };
    number(value).ok_or_else(|| input.error("a number that fits its column"))
}
