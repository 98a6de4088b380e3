//! Writes a moment by a pattern, as Java's `DateTimeFormatter` does in English.

use super::pattern::{Item, Number, Width, Word};
use super::zone::{Moment, offset_text};
use std::fmt::Write as _;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(super) const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
/// Eras: short and long, before and after the year 1.
pub(super) const ERAS: [[&str; 2]; 2] = [["BC", "Before Christ"], ["AD", "Anno Domini"]];

/// Appends the moment to `out`. An error says what the moment does not have.
pub(super) fn write(items: &[Item], moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Number { field, width, .. } => write_number(*field, *width, moment, out)?,
            Item::Word(word, count) => out.push_str(&name(*word, *count, moment)?),
            Item::Fraction(digits) => {
                let nanos = format!("{:09}", moment.time()?.subsec_nanosecond());
                out.extend(nanos.chars().take(*digits));
            }
            Item::Zone(letter, count) => write_zone(*letter, *count, moment, out)?,
            Item::Optional(items) => {
                let before = out.len();
                if write(items, moment, out).is_err() {
                    out.truncate(before);
                }
            }
        }
    }
    Ok(())
}

fn write_number(field: Number, width: Width, moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
    let value = number(field, moment)?;
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    let _ = match width {
        Width::Fixed(digits) if size.to_string().len() > digits => {
            return Err(format!("{value} has more than {digits} digits"));
        }
        Width::Fixed(digits) | Width::AtLeast(digits) => write!(out, "{sign}{size:0digits$}"),
        Width::TwoDigitYear => write!(out, "{:02}", size % 100),
    };
    Ok(())
}

fn number(field: Number, moment: &Moment<'_>) -> Result<i64, String> {
    let time = || moment.time();
    let date = || moment.date();
    Ok(match field {
        Number::Year => date()?.year().into(),
        Number::YearOfEra => {
            let year = i64::from(date()?.year());
            if year > 0 { year } else { 1 - year }
        }
        Number::DayOfYear => date()?.day_of_year().into(),
        Number::Month => date()?.month().into(),
        Number::Day => date()?.day().into(),
        Number::Quarter => i64::from((date()?.month() - 1) / 3 + 1),
        Number::ClockHourOfHalf => i64::from((time()?.hour() + 11) % 12 + 1),
        Number::HourOfHalf => i64::from(time()?.hour() % 12),
        Number::ClockHour => i64::from((time()?.hour() + 23) % 24 + 1),
        Number::Hour => time()?.hour().into(),
        Number::Minute => time()?.minute().into(),
        Number::Second => time()?.second().into(),
        Number::MilliOfDay => nano_of_day(moment)? / 1_000_000,
        Number::NanoOfSecond => time()?.subsec_nanosecond().into(),
        Number::NanoOfDay => nano_of_day(moment)?,
    })
}

fn nano_of_day(moment: &Moment<'_>) -> Result<i64, String> {
    let time = moment.time()?;
    let seconds = i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Ok(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
}

fn name(word: Word, count: usize, moment: &Moment<'_>) -> Result<String, String> {
    let cut = |full: &str| match count {
        1..=3 => full.chars().take(3).collect(),
        4 => full.to_owned(),
        _ => full.chars().take(1).collect(),
    };
    let at = |names: &[&'static str], index: i8| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
    };
    Ok(match word {
        Word::Month => cut(at(&MONTHS, moment.date()?.month() - 1)),
        Word::Weekday => cut(at(&WEEKDAYS, moment.date()?.weekday().to_monday_zero_offset())),
        Word::Quarter => {
            let quarter = (moment.date()?.month() - 1) / 3;
            if count == 3 { format!("Q{}", quarter + 1) } else { at(&QUARTERS, quarter).to_owned() }
        }
        Word::Era => {
            let [short, long] = ERAS[usize::from(moment.date()?.year() > 0)];
            match count {
                4 => long.to_owned(),
                5 => short.chars().take(1).collect(),
                _ => short.to_owned(),
            }
        }
        Word::HalfOfDay => if moment.time()?.hour() < 12 { "AM" } else { "PM" }.to_owned(),
    })
}

fn write_zone(letter: char, count: usize, moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
    let zone = moment.zone()?;
    match (letter, count) {
        ('V', _) => out.push_str(&zone.id),
        ('z', _) => {
            if !zone.abbreviation.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Err(format!("the zone {} has no short name; use VV or XXX", zone.id));
            }
            out.push_str(&zone.abbreviation);
        }
        ('O', _) | ('Z', 4) => {
            out.push_str("GMT");
            if zone.offset_seconds != 0 {
                let hours_only = letter == 'O' && count == 1;
                out.push_str(&if hours_only {
                    short_offset(zone.offset_seconds)
                } else {
                    offset_text(zone.offset_seconds, true, false)
                });
            }
        }
        ('X', _) | ('Z', 5) if zone.offset_seconds == 0 => out.push('Z'),
        ('X' | 'x', 1) => out.push_str(&offset_text(zone.offset_seconds, false, true)),
        ('X' | 'x', 3) | ('Z', 5) => out.push_str(&offset_text(zone.offset_seconds, true, false)),
        _ => out.push_str(&offset_text(zone.offset_seconds, false, false)),
    }
    Ok(())
}

/// `+8`, `-3:30`.
fn short_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let behind = if minutes % 60 == 0 { String::new() } else { format!(":{:02}", minutes % 60) };
    format!("{sign}{}{behind}", minutes / 60)
}
