//! Functions of dates, times of day and points in time, with patterns as Java's `DateTimeFormatter` has them.

mod format;
mod parse;
mod pattern;
mod shift;
mod zone;

use super::Params::{Of, Types};
use super::{Body, Compile, Param, Returns, RowFunction, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{BigInt, Date, Int, Time, Timestamp, Varchar};
use jiff::civil;
use jiff::tz::TimeZone;
use parse::Said;
use pattern::Pattern;
use std::borrow::Cow;
use std::sync::Arc;
use zone::Moment;

const fn compiled(params: &'static [crate::SqlType], returns: crate::SqlType, body: Compile) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(returns), body: Body::Compiled(body) }
}

const fn plain(
    params: &'static [crate::SqlType],
    returns: crate::SqlType,
    body: super::RowBody,
) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(returns), body: Body::Plain(body) }
}

const fn shifted(params: &'static [Param], returns: crate::SqlType, body: super::RowBody) -> Signature {
    Signature { params: Of(params), returns: Returns::Type(returns), body: Body::Fallible(body) }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "FORMAT_TIMESTAMP",
        "FORMAT_TIMESTAMP(timestamp, pattern[, zone]): a point in time as text, such as 'yyyy-MM-dd HH:mm:ss.SSS'.",
        &[
            compiled(&[Timestamp, Varchar], Varchar, format_timestamp),
            compiled(&[Timestamp, Varchar, Varchar], Varchar, format_timestamp),
        ],
    ),
    function(
        "FORMAT_DATE",
        "FORMAT_DATE(date, pattern): a date as text, such as 'yyyy-MM-dd'.",
        &[compiled(&[Date, Varchar], Varchar, format_date)],
    ),
    function(
        "FORMAT_TIME",
        "FORMAT_TIME(time, pattern): a time of day as text, such as 'HH:mm:ss'.",
        &[compiled(&[Time, Varchar], Varchar, format_time)],
    ),
    function(
        "PARSE_TIMESTAMP",
        "PARSE_TIMESTAMP(text, pattern[, zone]): the point in time that a text stands for.",
        &[
            compiled(&[Varchar, Varchar], Timestamp, parse_timestamp),
            compiled(&[Varchar, Varchar, Varchar], Timestamp, parse_timestamp),
        ],
    ),
    function(
        "PARSE_DATE",
        "PARSE_DATE(text, pattern): the date that a text stands for.",
        &[compiled(&[Varchar, Varchar], Date, parse_date)],
    ),
    function(
        "PARSE_TIME",
        "PARSE_TIME(text, pattern): the time of day that a text stands for.",
        &[compiled(&[Varchar, Varchar], Time, parse_time)],
    ),
    function(
        "TIMESTAMPTOSTRING",
        "TIMESTAMPTOSTRING(milliseconds, pattern[, zone]): a time as text; FORMAT_TIMESTAMP does it for a TIMESTAMP.",
        &[
            compiled(&[BigInt, Varchar], Varchar, format_timestamp),
            compiled(&[BigInt, Varchar, Varchar], Varchar, format_timestamp),
        ],
    ),
    function(
        "STRINGTOTIMESTAMP",
        "STRINGTOTIMESTAMP(text, pattern[, zone]): the milliseconds since 1970; PARSE_TIMESTAMP gives a TIMESTAMP.",
        &[
            compiled(&[Varchar, Varchar], BigInt, string_to_timestamp),
            compiled(&[Varchar, Varchar, Varchar], BigInt, string_to_timestamp),
        ],
    ),
    function(
        "DATETOSTRING",
        "DATETOSTRING(days, pattern): days since 1970 as text; FORMAT_DATE does it for a DATE.",
        &[compiled(&[Int, Varchar], Varchar, format_date)],
    ),
    function(
        "STRINGTODATE",
        "STRINGTODATE(text, pattern): the days since 1970; PARSE_DATE gives a DATE.",
        &[compiled(&[Varchar, Varchar], Int, string_to_date)],
    ),
    function(
        "CONVERT_TZ",
        "CONVERT_TZ(timestamp, from, to): a timestamp or time moved by how far the zone `to` is ahead of `from` then.",
        &[
            compiled(&[Timestamp, Varchar, Varchar], Timestamp, convert_tz),
            compiled(&[Time, Varchar, Varchar], Time, convert_tz),
        ],
    ),
    function("FROM_DAYS", "The date so many days after 1970-01-01.", &[plain(&[Int], Date, from_days)]),
    function(
        "FROM_UNIXTIME",
        "The point in time so many milliseconds after 1970-01-01 UTC.",
        &[plain(&[BigInt], Timestamp, from_unix)],
    ),
    function(
        "UNIX_DATE",
        "UNIX_DATE([date]): the days since 1970-01-01, without a date those of today.",
        &[plain(&[Date], Int, unix_date)],
    ),
    function(
        "UNIX_TIMESTAMP",
        "UNIX_TIMESTAMP([timestamp]): the milliseconds since 1970-01-01 UTC, without a timestamp those of now.",
        &[plain(&[Timestamp], BigInt, unix_timestamp)],
    ),
    function(
        "TIMESTAMPADD",
        "TIMESTAMPADD(unit, count, timestamp): a later point in time, such as TIMESTAMPADD(MINUTES, 5, T).",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Timestamp)], Timestamp, shift::timestamp_add)],
    ),
    function(
        "TIMESTAMPSUB",
        "TIMESTAMPSUB(unit, count, timestamp): an earlier point in time.",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Timestamp)], Timestamp, shift::timestamp_sub)],
    ),
    function(
        "DATEADD",
        "DATEADD(unit, count, date): a later date; units less than a day add up to whole days.",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Date)], Date, shift::date_add)],
    ),
    function(
        "DATESUB",
        "DATESUB(unit, count, date): an earlier date.",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Date)], Date, shift::date_sub)],
    ),
    function(
        "TIMEADD",
        "TIMEADD(unit, count, time): a later time of day; after midnight it begins again.",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Time)], Time, shift::time_add)],
    ),
    function(
        "TIMESUB",
        "TIMESUB(unit, count, time): an earlier time of day.",
        &[shifted(&[Param::Unit, Param::Type(Int), Param::Type(Time)], Time, shift::time_sub)],
    ),
];

/// What a function with a pattern does.
#[derive(Debug, Clone, Copy)]
enum Task {
    FormatTimestamp,
    FormatDate,
    FormatTime,
    ParseTimestamp,
    ParseDate,
    ParseTime,
    StringToTimestamp,
    StringToDate,
}

/// A function whose pattern and zone have been read, where they are the same for every row.
#[derive(Debug)]
struct ByPattern {
    task: Task,
    pattern: Option<Pattern>,
    zone: Option<TimeZone>,
}

fn by_pattern(task: Task, constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    let text = |index: usize| constants.get(index).and_then(Option::as_ref).and_then(Datum::as_str);
    let zone = if constants.len() < 3 { Some(TimeZone::UTC) } else { text(2).map(zone::find).transpose()? };
    Ok(Arc::new(ByPattern { task, pattern: text(1).map(Pattern::compile).transpose()?, zone }))
}

impl RowFunction for ByPattern {
    fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
        let text = |index: usize| args.get(index).and_then(Datum::as_str).unwrap_or_default();
        let (made_pattern, made_zone);
        let pattern = if let Some(pattern) = &self.pattern {
            pattern
        } else {
            made_pattern = Pattern::compile(text(1))?;
            &made_pattern
        };
        let zone = if let Some(zone) = &self.zone {
            zone
        } else {
            made_zone = zone::find(text(2))?;
            &made_zone
        };
        match (self.task, args.first()) {
            (Task::FormatTimestamp, Some(Datum::Timestamp(ms) | Datum::BigInt(ms))) => {
                let (local, at) = zone::local(zone, *ms)?;
                made_text(pattern.format(&Moment::of_datetime(local, &at)))
            }
            (Task::FormatDate, Some(Datum::Date(days) | Datum::Int(days))) => {
                made_text(pattern.format(&Moment::of_date(date_of(*days)?)))
            }
            (Task::FormatTime, Some(Datum::Time(ms))) => {
                made_text(pattern.format(&Moment::of_time(time_of(*ms)?)))
            }
            (_, Some(Datum::Varchar(value))) => {
                let made = pattern.parse(value).and_then(|said| self.made_of(&said, zone));
                made.map_err(|why| {
                    let value: String = value.chars().take(60).collect();
                    format!("'{value}' by the pattern '{}': {why}", text(1))
                })
            }
            _ => Ok(Datum::Null),
        }
    }
}

impl ByPattern {
    fn made_of(&self, said: &Said, zone: &TimeZone) -> Result<Datum<'static>, String> {
        match self.task {
            Task::ParseDate if said.has_time() => Err("a DATE has no time of day".to_owned()),
            Task::ParseDate => Ok(Datum::Date(days_of(said.date()?)?)),
            Task::StringToDate => Ok(Datum::Int(days_of(said.date()?)?)),
            Task::ParseTime if said.has_date() => Err("a TIME has no day".to_owned()),
            Task::ParseTime => {
                let time = said.time().ok_or("it says no hour")?;
                let seconds =
                    i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60 + i32::from(time.second());
                Ok(Datum::Time(seconds * 1_000 + time.subsec_nanosecond() / 1_000_000))
            }
            _ => {
                let zone = said.zone.as_ref().unwrap_or(zone);
                let ms = zone::to_ms(zone, said.datetime()?)?;
                let timestamp = matches!(self.task, Task::ParseTimestamp);
                Ok(if timestamp { Datum::Timestamp(ms) } else { Datum::BigInt(ms) })
            }
        }
    }
}

fn made_text<'a>(text: Result<String, String>) -> Result<Datum<'a>, String> {
    text.map(|text| Datum::Varchar(Cow::Owned(text)))
}

/// The date so many days after 1970-01-01.
fn date_of(days: i32) -> Result<civil::Date, String> {
    let date = civil::date(1970, 1, 1).checked_add(jiff::SignedDuration::from_hours(i64::from(days) * 24));
    date.map_err(|_| "the date is outside the years -9999 to 9999".to_owned())
}

/// How many days a date is after 1970-01-01.
fn days_of(date: civil::Date) -> Result<i32, String> {
    let since = date.duration_since(civil::date(1970, 1, 1)).as_hours() / 24;
    i32::try_from(since).map_err(|_| "the date is out of range".to_owned())
}

/// The time so many milliseconds after midnight.
fn time_of(ms: i32) -> Result<civil::Time, String> {
    let wrong = || "the time is no time of day".to_owned();
    let part = |value: i32| i8::try_from(value).map_err(|_| wrong());
    let seconds = ms.div_euclid(1_000);
    let (hour, minute, second) = (part(seconds / 3_600)?, part(seconds / 60 % 60)?, part(seconds % 60)?);
    civil::Time::new(hour, minute, second, ms.rem_euclid(1_000) * 1_000_000).map_err(|_| wrong())
}

fn format_timestamp(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::FormatTimestamp, constants)
}

fn format_date(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::FormatDate, constants)
}

fn format_time(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::FormatTime, constants)
}

fn parse_timestamp(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::ParseTimestamp, constants)
}

fn parse_date(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::ParseDate, constants)
}

fn parse_time(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::ParseTime, constants)
}

fn string_to_timestamp(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::StringToTimestamp, constants)
}

fn string_to_date(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    by_pattern(Task::StringToDate, constants)
}

/// `CONVERT_TZ` with the zones that are the same for every row.
#[derive(Debug)]
struct ConvertZone {
    from: Option<TimeZone>,
    to: Option<TimeZone>,
}

fn convert_tz(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    let zone = |index: usize| {
        let text = constants.get(index).and_then(Option::as_ref).and_then(Datum::as_str);
        text.map(zone::find).transpose()
    };
    Ok(Arc::new(ConvertZone { from: zone(1)?, to: zone(2)? }))
}

impl ConvertZone {
    /// How far `to` is ahead of `from` at a moment, in milliseconds.
    fn ahead_ms(&self, at_ms: i64, from: &str, to: &str) -> Result<i64, String> {
        let at = zone::point(at_ms)?;
        let seconds = |zone: &Option<TimeZone>, name: &str| -> Result<i64, String> {
            let offset = match zone {
                Some(zone) => zone.to_offset(at),
                None => zone::find(name)?.to_offset(at),
            };
            Ok(offset.seconds().into())
        };
        Ok((seconds(&self.to, to)? - seconds(&self.from, from)?) * 1_000)
    }
}

impl RowFunction for ConvertZone {
    fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
        let [value, Datum::Varchar(from), Datum::Varchar(to)] = args else { return Ok(Datum::Null) };
        match value {
            Datum::Timestamp(ms) => {
                let moved = ms.checked_add(self.ahead_ms(*ms, from, to)?);
                moved.map(Datum::Timestamp).ok_or_else(|| "the timestamp is out of range".to_owned())
            }
            // A time of day has no date; the zones are as they were on 1970-01-01.
            Datum::Time(ms) => {
                let ms = i64::from(*ms);
                let moved = (ms + self.ahead_ms(ms, from, to)?).rem_euclid(86_400_000);
                Ok(Datum::Time(i32::try_from(moved).unwrap_or(0)))
            }
            _ => Ok(Datum::Null),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn from_days<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(if let Some(Datum::Int(days)) = args.first() { Datum::Date(*days) } else { Datum::Null })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn from_unix<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(if let Some(Datum::BigInt(ms)) = args.first() { Datum::Timestamp(*ms) } else { Datum::Null })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn unix_date<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(if let Some(Datum::Date(days)) = args.first() { Datum::Int(*days) } else { Datum::Null })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn unix_timestamp<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(if let Some(Datum::Timestamp(ms)) = args.first() { Datum::BigInt(*ms) } else { Datum::Null })
}
