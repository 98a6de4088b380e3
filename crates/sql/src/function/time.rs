//! Functions of times: milliseconds since 1970 into texts and back, by the patterns of Java's `DateTimeFormatter`.

use super::Params::Types;
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{BigInt, Varchar};
use millstream_model::Timestamp;
use std::borrow::Cow;
use std::fmt::Write as _;

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "TIMESTAMPTOSTRING",
        aliases: &["FORMAT_TIMESTAMP_MS"],
        doc: "TIMESTAMPTOSTRING(milliseconds, pattern[, zone]): a time as text, such as 'yyyy-MM-dd HH:mm:ss.SSS'.",
        signatures: &[
            Signature {
                params: Types(&[BigInt, Varchar]),
                returns: Returns::Type(Varchar),
                body: Body::Fallible(to_text),
            },
            Signature {
                params: Types(&[BigInt, Varchar, Varchar]),
                returns: Returns::Type(Varchar),
                body: Body::Fallible(to_text),
            },
        ],
    },
    ScalarFunction {
        name: "STRINGTOTIMESTAMP",
        aliases: &[],
        doc: "STRINGTOTIMESTAMP(text, pattern[, zone]): the milliseconds since 1970 that a text stands for.",
        signatures: &[
            Signature {
                params: Types(&[Varchar, Varchar]),
                returns: Returns::Type(BigInt),
                body: Body::Fallible(from_text),
            },
            Signature {
                params: Types(&[Varchar, Varchar, Varchar]),
                returns: Returns::Type(BigInt),
                body: Body::Fallible(from_text),
            },
        ],
    },
];

/// One piece of a pattern: a letter so many times, or text that stands for itself.
enum Piece {
    Letters(char, usize),
    Text(String),
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut text = String::new();
            loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                    Some('\'') => break,
                    Some(c) => text.push(c),
                    None => return Err(format!("a quote is not closed in '{pattern}'")),
                }
            }
            pieces.push(Piece::Text(if text.is_empty() { "'".to_owned() } else { text }));
        } else if c.is_ascii_alphabetic() {
            if !"yuMdHmsSXZ".contains(c) {
                return Err(format!("the letter {c} in '{pattern}' is not supported; use y M d H m s S X"));
            }
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            pieces.push(Piece::Letters(c, count));
        } else {
            pieces.push(Piece::Text(c.to_string()));
        }
    }
    Ok(pieces)
}

/// A zone's offset in milliseconds: `UTC`, `Z`, `GMT`, `+02:00`.
fn zone_offset_ms(zone: Option<&str>) -> Result<i64, String> {
    let zone = zone.unwrap_or("UTC");
    let plain = zone.trim_start_matches("UTC").trim_start_matches("GMT");
    if plain.is_empty() || plain == "Z" {
        return Ok(0);
    }
    let wrong = || format!("the zone '{zone}' is not supported; use UTC or an offset such as +02:00");
    let sign = if plain.starts_with('-') { -1 } else { 1 };
    let digits: String = plain.strip_prefix(['+', '-']).ok_or_else(wrong)?.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2).ok_or_else(wrong)?;
    let hours: i64 = hours.parse().ok().filter(|h| *h <= 18).ok_or_else(wrong)?;
    let minutes: i64 = if minutes.is_empty() { 0 } else { minutes.parse().map_err(|_| wrong())? };
    Ok(sign * (hours * 60 + minutes) * 60_000)
}

fn to_text<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let time = args.first().and_then(Datum::as_i64).unwrap_or(0);
    let pattern = args.get(1).and_then(Datum::as_str).unwrap_or_default();
    let offset_ms = zone_offset_ms(args.get(2).and_then(Datum::as_str))?;
    let local = time.checked_add(offset_ms).filter(|t| t.abs() < 253_402_300_800_000);
    // The years 0 to 9999 have a fixed layout: `2026-11-21T09:15:57.000Z`.
    let iso = Timestamp(local.ok_or("the time is beyond the year 9999")?).to_string();
    if iso.len() != 24 {
        return Err("the time is before the year 0".to_owned());
    }
    let mut out = String::new();
    for piece in pieces(pattern)? {
        let (letter, count) = match piece {
            Piece::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Letters(letter, count) => (letter, count),
        };
        match letter {
            'y' | 'u' => out.push_str(if count == 2 { &iso[2..4] } else { &iso[..4] }),
            'M' => field(&iso[5..7], count, &mut out),
            'd' => field(&iso[8..10], count, &mut out),
            'H' => field(&iso[11..13], count, &mut out),
            'm' => field(&iso[14..16], count, &mut out),
            's' => field(&iso[17..19], count, &mut out),
            'S' => out.extend(iso[20..23].chars().chain(std::iter::repeat('0')).take(count.min(9))),
            _ if offset_ms == 0 && letter == 'X' => out.push('Z'),
            _ => {
                let minutes = offset_ms / 60_000;
                let sign = if minutes < 0 { '-' } else { '+' };
                let colon = if count >= 3 { ":" } else { "" };
                let _ = write!(out, "{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60);
            }
        }
    }
    Ok(Datum::Varchar(Cow::Owned(out)))
}

fn field(two_digits: &str, count: usize, out: &mut String) {
    out.push_str(if count == 1 { two_digits.strip_prefix('0').unwrap_or(two_digits) } else { two_digits });
}

fn from_text<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let text = args.first().and_then(Datum::as_str).unwrap_or_default();
    let pattern = args.get(1).and_then(Datum::as_str).unwrap_or_default();
    let mut offset_ms = zone_offset_ms(args.get(2).and_then(Datum::as_str))?;
    let wrong = || format!("'{text}' does not follow '{pattern}'");
    let (mut year, mut month, mut day, mut ms) = (1970i64, 1i64, 1i64, 0i64);
    let mut rest = text;
    for piece in pieces(pattern)? {
        let (letter, count) = match piece {
            Piece::Text(literal) => {
                rest = rest.strip_prefix(literal.as_str()).ok_or_else(wrong)?;
                continue;
            }
            Piece::Letters(letter, count) => (letter, count),
        };
        if matches!(letter, 'X' | 'Z') {
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ':' | 'Z')))
                .unwrap_or(rest.len());
            offset_ms = zone_offset_ms(Some(&rest[..end])).map_err(|_| wrong())?;
            rest = &rest[end..];
            continue;
        }
        let digits =
            rest.bytes().take(if count == 1 { 2 } else { count }).take_while(u8::is_ascii_digit).count();
        let value: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let in_range =
            |low: i64, high: i64| if (low..=high).contains(&value) { Ok(value) } else { Err(wrong()) };
        match letter {
            'y' | 'u' => year = if count == 2 { 2000 + value } else { value },
            'M' => month = in_range(1, 12)?,
            'd' => day = in_range(1, 31)?,
            'H' => ms += in_range(0, 23)? * 3_600_000,
            'm' => ms += in_range(0, 59)? * 60_000,
            's' => ms += in_range(0, 59)? * 1_000,
            _ => {
                let scale = 10i64.pow(u32::try_from(digits.min(18)).unwrap_or(18));
                ms += value.saturating_mul(1_000) / scale;
            }
        }
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(Datum::BigInt(days_from_civil(year, month, day) * 86_400_000 + ms - offset_ms))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
