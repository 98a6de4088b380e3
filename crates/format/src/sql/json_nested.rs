//! JSON values of every type: what the flat path of [`JsonDecoder`](super::JsonDecoder) does not read itself.
//!
//! Rules of ksqlDB: a number may stand in quotes; a `DECIMAL` may too; `DATE` is a count of days, `TIME` of milliseconds
//! of the day, `TIMESTAMP` of milliseconds; `BYTES` is Base64; the fields of a `STRUCT` are found as columns are; a
//! `VARCHAR` takes any value, an object as compact JSON, an array as its items' texts in brackets.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::binary::{fit, same_name};
use super::json_decode::{cut, kind};
use super::json_scan::{Number, Quoted, Scanner, unescape};
use super::limits::JSON_DEPTH_MAX;
use super::{Datum, DecodeError, SqlType};
use base64::Engine as _;
use std::borrow::Cow;

/// A day in milliseconds; the last moment that a `TIME` may name lies before it.
const DAY_MS: i64 = 86_400_000;

/// Reads one value as `sql_type`. `path` is told where it is wrong.
pub(super) fn value(
    scanner: &mut Scanner<'_>,
    sql_type: SqlType,
    path: &str,
    depth: usize,
) -> Result<Datum<'static>, DecodeError> {
    if depth > JSON_DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    let wrong = |found| DecodeError::Type { column: path.into(), sql_type, found };
    Ok(match (scanner.peek(), sql_type) {
        (None, _) => return Err(scanner.error("a value")),
        (Some(b'n'), _) => {
            scanner.word("null")?;
            Datum::Null
        }
        (Some(_), SqlType::Varchar) => Datum::Varchar(Cow::Owned(text(scanner, depth)?)),
        (Some(b'"'), _) => {
            let content = unquoted(scanner.string()?);
            in_quotes(&content, sql_type, path)?
        }
        (Some(first @ (b't' | b'f')), SqlType::Boolean) => {
            scanner.word(if first == b't' { "true" } else { "false" })?;
            Datum::Boolean(first == b't')
        }
        (Some(b'-' | b'0'..=b'9'), _) => number(scanner.number()?, sql_type, path)?,
        (Some(b'['), SqlType::Array(element)) => {
            let mut items = Vec::new();
            scanner.expect(b'[', "`[`")?;
            if !scanner.take(b']') {
                loop {
                    items.push(value(scanner, *element, path, depth.saturating_add(1))?);
                    if !scanner.take(b',') {
                        break scanner.expect(b']', "`,` or `]`")?;
                    }
                }
            }
            Datum::Array(items.into())
        }
        (Some(b'{'), SqlType::Map(key, of)) => {
            let mut entries = Vec::new();
            members(scanner, |scanner, name| {
                let key = in_quotes(&name, *key, path)?;
                entries.push((key, value(scanner, *of, path, depth.saturating_add(1))?));
                Ok(())
            })?;
            super::binary::map(entries)
        }
        (Some(b'{'), SqlType::Struct(fields)) => {
            let mut values = vec![Datum::Null; fields.len()];
            let mut exact = vec![false; fields.len()];
            members(scanner, |scanner, name| {
                let place = fields.iter().position(|field| field.name == name);
                let found = place.or_else(|| fields.iter().position(|field| same_name(field.name, &name)));
                let Some((index, field)) = found.and_then(|index| Some((index, fields.get(index)?))) else {
                    return scanner.any(depth.saturating_add(1)).map(drop);
                };
                let path = format!("{path}->{}", field.name);
                let read = value(scanner, field.sql_type, &path, depth.saturating_add(1))?;
                if let (Some(slot), Some(exact)) = (values.get_mut(index), exact.get_mut(index))
                    && (place.is_some() || !*exact)
                {
                    *slot = read;
                    *exact |= place.is_some();
                }
                Ok(())
            })?;
            Datum::Struct(values.into())
        }
        (Some(first), _) => {
            scanner.any(depth)?;
            return Err(wrong(kind(first)));
        }
    })
}

/// The members of an object, one by one.
fn members<'v>(
    scanner: &mut Scanner<'v>,
    mut member: impl FnMut(&mut Scanner<'v>, Cow<'v, str>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    scanner.expect(b'{', "`{`")?;
    if scanner.take(b'}') {
        return Ok(());
    }
    loop {
        let name = unquoted(scanner.string()?);
        scanner.expect(b':', "`:` after a field's name")?;
        member(scanner, name)?;
        if !scanner.take(b',') {
            return scanner.expect(b'}', "`,` or `}`");
        }
    }
}

fn unquoted(quoted: Quoted<'_>) -> Cow<'_, str> {
    if !quoted.escaped {
        return Cow::Borrowed(quoted.raw);
    }
    let mut text = String::new();
    unescape(quoted.raw, &mut text);
    Cow::Owned(text)
}

/// A value that stands in quotes.
pub(super) fn in_quotes(text: &str, sql_type: SqlType, path: &str) -> Result<Datum<'static>, DecodeError> {
    let wrong = |found| DecodeError::Type { column: path.into(), sql_type, found };
    let out_of_range = || DecodeError::Range { column: path.into(), sql_type, text: cut(text) };
    let no_number = || wrong("a string that is no such number");
    Ok(match sql_type {
        SqlType::Varchar => Datum::Varchar(Cow::Owned(text.to_owned())),
        SqlType::Int => Datum::Int(text.parse().map_err(|_| no_number())?),
        SqlType::BigInt => Datum::BigInt(text.parse().map_err(|_| no_number())?),
        SqlType::Double => Datum::Double(double(text).ok_or_else(no_number)?),
        SqlType::Decimal { .. } => match decimal(text, sql_type) {
            Ok(decimal) => decimal,
            Err(Misfit::NoNumber) => return Err(no_number()),
            Err(Misfit::Range) => return Err(out_of_range()),
        },
        SqlType::Bytes => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            Datum::Bytes(Cow::Owned(bytes.map_err(|_| wrong("a string that is no Base64"))?))
        }
        SqlType::Date | SqlType::Time | SqlType::Timestamp => {
            let count: i64 = text.parse().map_err(|_| no_number())?;
            count_of(count, sql_type).ok_or_else(out_of_range)?
        }
        SqlType::Boolean | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            return Err(wrong("a string"));
        }
    })
}

/// Days or milliseconds as a value of a temporal type; `None` where they are out of its range.
pub(super) fn count_of(count: i64, sql_type: SqlType) -> Option<Datum<'static>> {
    Some(match sql_type {
        SqlType::Date => Datum::Date(i32::try_from(count).ok()?),
        SqlType::Time => Datum::Time(i32::try_from(count).ok().filter(|_| (0..DAY_MS).contains(&count))?),
        _ => Datum::Timestamp(count),
    })
}

/// A double as Java's `Double.parseDouble` reads it.
pub(super) fn double(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        "NaN" => return Some(f64::NAN),
        "Infinity" if text.starts_with('-') => return Some(f64::NEG_INFINITY),
        "Infinity" => return Some(f64::INFINITY),
        _ => {}
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    digits.contains(|c: char| c.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn number(number: Number<'_>, sql_type: SqlType, path: &str) -> Result<Datum<'static>, DecodeError> {
    let whole = number.to_i64();
    let value = match sql_type {
        SqlType::Int => whole.and_then(|v| i32::try_from(v).ok()).map(Datum::Int),
        SqlType::BigInt => whole.map(Datum::BigInt),
        SqlType::Double => Some(number.to_f64()).filter(|v| v.is_finite()).map(Datum::Double),
        SqlType::Decimal { .. } => decimal(number.raw, sql_type).ok(),
        SqlType::Date | SqlType::Time | SqlType::Timestamp => {
            number.to_count().and_then(|v| count_of(v, sql_type))
        }
        _ => return Err(DecodeError::Type { column: path.into(), sql_type, found: "a number" }),
    };
    value.ok_or_else(|| DecodeError::Range { column: path.into(), sql_type, text: cut(number.raw) })
}

/// Why a text is no decimal of a type.
pub(super) enum Misfit {
    /// It is no number.
    NoNumber,
    /// It has digits too many, before or behind the point.
    Range,
}

/// A decimal number as Java's `BigDecimal` reads it: an exponent is allowed, white space is not.
pub(super) fn decimal(text: &str, sql_type: SqlType) -> Result<Datum<'static>, Misfit> {
    let SqlType::Decimal { precision, scale } = sql_type else { return Err(Misfit::NoNumber) };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| Misfit::NoNumber)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, mantissa.get(1..).unwrap_or_default()),
        Some(b'+') => (false, mantissa.get(1..).unwrap_or_default()),
        _ => (false, mantissa),
    };
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len().saturating_add(behind.len()) == 0 {
        return Err(Misfit::NoNumber);
    }
    // Zeros at either end are no digits that could be lost.
    let behind_kept = behind.trim_end_matches('0');
    let mut unscaled = 0_i128;
    for digit in whole.bytes().chain(behind_kept.bytes()) {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9).ok_or(Misfit::NoNumber)?;
        unscaled = unscaled
            .checked_mul(10)
            .and_then(|value| value.checked_add(i128::from(digit)))
            .ok_or(Misfit::Range)?;
    }
    if behind.bytes().any(|byte| !byte.is_ascii_digit()) {
        return Err(Misfit::NoNumber);
    }
    let unscaled = if negative { unscaled.checked_neg().ok_or(Misfit::Range)? } else { unscaled };
    if unscaled == 0 {
        return fit(0, 0, precision, scale).map(Datum::Decimal).ok_or(Misfit::Range);
    }
    let from = i64::try_from(behind_kept.len()).unwrap_or(i64::MAX).saturating_sub(i64::from(exponent));
    let (unscaled, from) = match u8::try_from(from) {
        Ok(from) => (unscaled, from),
        Err(_) if from > 0 => return Err(Misfit::Range),
        Err(_) => {
            let power = u32::try_from(from.saturating_neg()).ok().and_then(|by| 10_i128.checked_pow(by));
            let widened = power.and_then(|power| unscaled.checked_mul(power)).ok_or(Misfit::Range)?;
            (widened, 0)
        }
    };
    fit(unscaled, from, precision, scale).map(Datum::Decimal).ok_or(Misfit::Range)
}

/// Any value as the text that a `VARCHAR` gets.
pub(super) fn text(scanner: &mut Scanner<'_>, depth: usize) -> Result<String, DecodeError> {
    if depth > JSON_DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    Ok(match scanner.peek() {
        Some(b'"') => unquoted(scanner.string()?).into_owned(),
        Some(b'{') => {
            let mut out = String::new();
            compact(scanner.any(depth)?, &mut out);
            out
        }
        Some(b'[') => {
            let mut out = String::from("[");
            scanner.expect(b'[', "`[`")?;
            if !scanner.take(b']') {
                loop {
                    out.push_str(&text(scanner, depth.saturating_add(1))?);
                    if !scanner.take(b',') {
                        break scanner.expect(b']', "`,` or `]`")?;
                    }
                    out.push_str(", ");
                }
            }
            out.push(']');
            out
        }
        Some(b'-' | b'0'..=b'9') => number_text(scanner.number()?.raw),
        _ => scanner.any(depth)?.to_owned(),
    })
}

/// JSON without the white space between its parts.
fn compact(json: &str, out: &mut String) {
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if !in_string && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        in_string = if c == '"' && !escaped { !in_string } else { in_string };
        escaped = c == '\\' && !escaped && in_string;
        out.push(c);
    }
}

/// A number as Java's `BigDecimal.toString` prints it: as it stands, but for one with an exponent.
fn number_text(raw: &str) -> String {
    let Some((mantissa, exponent)) = raw.split_once(['e', 'E']) else { return raw.to_owned() };
    let Ok(exponent) = exponent.parse::<i64>() else { return raw.to_owned() };
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{behind}");
    let all = match all.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let scale = i64::try_from(behind.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let adjusted = count.saturating_sub(1).saturating_sub(scale);
    if scale == 0 {
        return format!("{sign}{all}");
    }
    if scale > 0 && adjusted >= -6 {
        let width = usize::try_from(scale).unwrap_or(0).saturating_add(1);
        let padded = format!("{all:0>width$}");
        let (whole, behind) = padded.split_at(padded.len().saturating_add(1).saturating_sub(width));
        return format!("{sign}{whole}.{behind}");
    }
    let (first, rest) = all.split_at(1.min(all.len()));
    let point = if rest.is_empty() { "" } else { "." };
    let plus = if adjusted >= 0 { "+" } else { "" };
    format!("{sign}{first}{point}{rest}E{plus}{adjusted}")
}
