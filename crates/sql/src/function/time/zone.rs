//! Time zones under Java's names, and the moments that patterns write and read.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use std::fmt::Write as _;

/// Java's three-letter names (`ZoneId.SHORT_IDS`) that the zone database does not have, and the two that ksqlDB's
/// documentation uses beside them.
const SHORT_IDS: &[(&str, &str)] = &[
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PDT", "America/Los_Angeles"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// The zone of this name: `UTC`, `Europe/Berlin`, `+02:00`, `GMT-3`, `PST`.
pub(super) fn find(name: &str) -> Result<TimeZone, String> {
    let unknown =
        || format!("there is no time zone '{name}'; use a name such as UTC, Europe/Berlin or +02:00");
    if matches!(name, "Z" | "UTC" | "GMT" | "UT") {
        return Ok(TimeZone::UTC);
    }
    let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    if offset.starts_with(['+', '-']) {
        return parse_offset(offset).map(TimeZone::fixed).ok_or_else(unknown);
    }
    let full = SHORT_IDS.iter().find(|(short, _)| *short == name).map_or(name, |(_, full)| *full);
    if full.starts_with('-') {
        return parse_offset(full).map(TimeZone::fixed).ok_or_else(unknown);
    }
    let zone = TimeZone::get(full).map_err(|_| unknown())?;
    // Java's names are exact in their letter case, the database's look-up is not.
    if zone.iana_name() == Some(full) { Ok(zone) } else { Err(unknown()) }
}

/// `+2`, `-03`, `+0230`, `+02:30`, `+02:30:15`, at most 18 hours.
fn parse_offset(text: &str) -> Option<Offset> {
    let negative = text.starts_with('-');
    let digits = text.get(1..)?;
    let parts: Vec<&str> = if digits.contains(':') {
        digits.split(':').collect()
    } else {
        match digits.len() {
            1 | 2 => vec![digits],
            4 => vec![digits.get(..2)?, digits.get(2..)?],
            6 => vec![digits.get(..2)?, digits.get(2..4)?, digits.get(4..)?],
            _ => return None,
        }
    };
    let [hours, rest @ ..] = parts.as_slice() else { return None };
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<i32>().ok()).flatten()
    };
    let mut seconds = number(hours).filter(|hours| *hours <= 18)? * 3_600;
    for (part, unit) in rest.iter().zip([60, 1]) {
        seconds += number(part).filter(|value| part.len() == 2 && *value < 60)? * unit;
    }
    if rest.len() > 2 || seconds > 18 * 3_600 {
        return None;
    }
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
}

/// `+0230`, `+02:30`, or `+02` where only hours are asked for and there are no minutes.
pub(super) fn offset_text(seconds: i32, colon: bool, hours_only: bool) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3_600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    let colon = if colon { ":" } else { "" };
    let mut text = format!("{sign}{hours:02}");
    if !hours_only || minutes != 0 {
        let _ = write!(text, "{colon}{minutes:02}");
    }
    if rest != 0 && !hours_only {
        let _ = write!(text, "{colon}{rest:02}");
    }
    text
}

/// How far a zone is from UTC at a moment.
#[derive(Debug)]
pub(super) struct ZoneAt {
    pub(super) id: String,
    pub(super) abbreviation: String,
    pub(super) offset_seconds: i32,
}

/// What a pattern writes: a date, a time of day, a zone, or some of these.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    date: Option<Date>,
    time: Option<Time>,
    zone: Option<&'a ZoneAt>,
    /// What it is, for messages.
    what: &'static str,
}

impl<'a> Moment<'a> {
    pub(super) const fn of_date(date: Date) -> Self {
        Self { date: Some(date), time: None, zone: None, what: "a date" }
    }

    pub(super) const fn of_time(time: Time) -> Self {
        Self { date: None, time: Some(time), zone: None, what: "a time of day" }
    }

    pub(super) fn of_datetime(local: DateTime, zone: &'a ZoneAt) -> Self {
        Self { date: Some(local.date()), time: Some(local.time()), zone: Some(zone), what: "a timestamp" }
    }

    pub(super) fn date(&self) -> Result<Date, String> {
        self.date.ok_or_else(|| format!("{} has no day", self.what))
    }

    pub(super) fn time(&self) -> Result<Time, String> {
        self.time.ok_or_else(|| format!("{} has no hour", self.what))
    }

    pub(super) fn zone(&self) -> Result<&'a ZoneAt, String> {
        self.zone.ok_or_else(|| format!("{} has no time zone", self.what))
    }
}

/// The point in time of so many milliseconds since 1970.
pub(super) fn point(ms: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(ms).map_err(|_| "the time is outside the years -9999 to 9999".to_owned())
}

/// Local date and time, and the zone as it is at that moment.
pub(super) fn local(zone: &TimeZone, ms: i64) -> Result<(DateTime, ZoneAt), String> {
    let at = point(ms)?;
    let info = zone.to_offset_info(at);
    let offset = info.offset();
    let id = match zone.iana_name() {
        Some(name) => name.to_owned(),
        None if offset == Offset::UTC => "Z".to_owned(),
        None => offset_text(offset.seconds(), true, false),
    };
    let abbreviation = info.abbreviation().to_owned();
    Ok((offset.to_datetime(at), ZoneAt { id, abbreviation, offset_seconds: offset.seconds() }))
}

/// The point in time at which it is `local` in the zone, in milliseconds since 1970: the first of two, and where the
/// clocks skip it, as much later as they are put forward, as in Java.
pub(super) fn to_ms(zone: &TimeZone, local: DateTime) -> Result<i64, String> {
    let at = zone.to_ambiguous_timestamp(local).compatible();
    at.map(Timestamp::as_millisecond).map_err(|_| "the time is outside the years -9999 to 9999".to_owned())
}
