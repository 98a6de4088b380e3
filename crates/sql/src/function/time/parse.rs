//! Reads a text by a pattern, as Java's `DateTimeFormatter` does in English, and makes dates and times of what it says.

use super::format::{ERAS, MONTHS, QUARTERS, WEEKDAYS};
use super::pattern::{Item, Number, Pattern, Width, Word};
use super::zone;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// What a text said.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    year: Option<i64>,
    year_of_era: Option<i64>,
    before_christ: Option<i64>,
    quarter: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    weekday: Option<i64>,
    afternoon: Option<i64>,
    hour: Option<i64>,
    hour_of_half: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    nano: Option<i64>,
    nano_of_day: Option<i64>,
    pub(super) zone: Option<TimeZone>,
}

impl Pattern {
    /// What `text` says by this pattern, words in any letter case.
    pub(super) fn parse(&self, text: &str) -> Result<Said, String> {
        let mut reader = Reader { rest: text, said: Said::default() };
        if reader.items(&self.items).is_none() || !reader.rest.is_empty() {
            let at = text.len().saturating_sub(reader.rest.len());
            let at = text.get(..at).map_or(0, |before| before.chars().count());
            return Err(format!("it does not fit from character {} on", at + 1));
        }
        Ok(reader.said)
    }
}

struct Reader<'t> {
    rest: &'t str,
    said: Said,
}

/// Puts a value into its place; `None` where another one stands there already.
fn put(place: &mut Option<i64>, value: i64) -> Option<()> {
    if place.is_some_and(|known| known != value) {
        return None;
    }
    *place = Some(value);
    Some(())
}

impl Reader<'_> {
    fn items(&mut self, items: &[Item]) -> Option<()> {
        for item in items {
            match item {
                Item::Literal(text) => self.literal(text)?,
                Item::Number { field, width, leave } => {
                    let value = self.number(*width, *leave)?;
                    self.put_number(*field, value)?;
                }
                Item::Word(word, count) => self.word(*word, *count)?,
                Item::Fraction(digits) => {
                    let value = self.digits(*digits, *digits)?;
                    let power = 9_u32.checked_sub(u32::try_from(*digits).ok()?)?;
                    put(&mut self.said.nano, value * 10_i64.pow(power))?;
                }
                Item::Zone(letter, count) => self.zone(*letter, *count)?,
                Item::Optional(items) => {
                    let before = (self.rest, self.said.clone());
                    if self.items(items).is_none() {
                        (self.rest, self.said) = before;
                    }
                }
            }
        }
        Some(())
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        let found = self.rest.get(..text.len())?;
        if found != text && found.to_lowercase() != text.to_lowercase() {
            return None;
        }
        self.rest = self.rest.get(text.len()..)?;
        Some(())
    }

    /// Takes `min` to `max` digits.
    fn digits(&mut self, min: usize, max: usize) -> Option<i64> {
        let count = self.rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let value = self.rest.get(..count)?.parse().ok().filter(|_| count >= min)?;
        self.rest = self.rest.get(count..)?;
        Some(value)
    }

    fn number(&mut self, width: Width, leave: usize) -> Option<i64> {
        match width {
            Width::Fixed(digits) => self.digits(digits, digits),
            Width::TwoDigitYear => self.digits(2, 2).map(|year| 2_000 + year),
            Width::AtLeast(min) => {
                let negative = self.rest.strip_prefix('-');
                let positive = self.rest.strip_prefix('+').filter(|_| min >= 4);
                self.rest = negative.or(positive).unwrap_or(self.rest);
                let there = self.rest.bytes().take_while(u8::is_ascii_digit).count();
                let count = there.saturating_sub(leave).clamp(min, 18);
                // Years of four letters and more have a sign where they have more digits, and only there.
                if min >= 4 && negative.is_none() && (count > min) != positive.is_some() {
                    return None;
                }
                let value = self.digits(count, count)?;
                Some(if negative.is_some() { -value } else { value })
            }
        }
    }

    fn put_number(&mut self, field: Number, value: i64) -> Option<()> {
        let said = &mut self.said;
        let (place, low, high) = match field {
            Number::Year => (&mut said.year, -9_999, 9_999),
            Number::YearOfEra => (&mut said.year_of_era, 1, 10_000),
            Number::DayOfYear => (&mut said.day_of_year, 1, 366),
            Number::Month => (&mut said.month, 1, 12),
            Number::Day => (&mut said.day, 1, 31),
            Number::Quarter => (&mut said.quarter, 1, 4),
            Number::HourOfHalf => (&mut said.hour_of_half, 0, 11),
            Number::ClockHourOfHalf => {
                return (1..=12).contains(&value).then(|| put(&mut said.hour_of_half, value % 12)).flatten();
            }
            Number::Hour => (&mut said.hour, 0, 23),
            Number::ClockHour => {
                return (1..=24).contains(&value).then(|| put(&mut said.hour, value % 24)).flatten();
            }
            Number::Minute => (&mut said.minute, 0, 59),
            Number::Second => (&mut said.second, 0, 59),
            Number::NanoOfSecond => (&mut said.nano, 0, 999_999_999),
            Number::MilliOfDay => {
                return put(&mut said.nano_of_day, value.checked_mul(1_000_000).filter(|n| *n < DAY_NANOS)?);
            }
            Number::NanoOfDay => (&mut said.nano_of_day, 0, DAY_NANOS - 1),
        };
        (low..=high).contains(&value).then(|| put(place, value)).flatten()
    }

    /// Takes the longest of `names` that stands here, and says which it was.
    fn one_of(&mut self, names: impl Iterator<Item = String>) -> Option<i64> {
        let mut best: Option<(usize, usize)> = None;
        for (index, name) in names.enumerate() {
            let Some(found) = self.rest.get(..name.len()) else { continue };
            if found.eq_ignore_ascii_case(&name) && best.is_none_or(|(_, len)| name.len() > len) {
                best = Some((index, name.len()));
            }
        }
        let (index, len) = best?;
        self.rest = self.rest.get(len..)?;
        i64::try_from(index).ok()
    }

    fn word(&mut self, word: Word, count: usize) -> Option<()> {
        let cut = |full: &&str| match count {
            1..=3 => full.chars().take(3).collect(),
            4 => (*full).to_owned(),
            _ => full.chars().take(1).collect::<String>(),
        };
        match word {
            Word::Month => {
                let index = self.one_of(MONTHS.iter().map(cut))?;
                put(&mut self.said.month, index + 1)
            }
            Word::Weekday => {
                let index = self.one_of(WEEKDAYS.iter().map(cut))?;
                put(&mut self.said.weekday, index)
            }
            Word::Quarter => {
                let short = (1..=4).map(|quarter| format!("Q{quarter}"));
                let long = QUARTERS.iter().map(|name| (*name).to_owned());
                let index = if count == 3 { self.one_of(short) } else { self.one_of(long) }?;
                put(&mut self.said.quarter, index + 1)
            }
            Word::Era => {
                let index = self.one_of(ERAS.iter().map(|[short, long]| match count {
                    4 => (*long).to_owned(),
                    5 => short.chars().take(1).collect(),
                    _ => (*short).to_owned(),
                }))?;
                put(&mut self.said.before_christ, 1 - index)
            }
            Word::HalfOfDay => {
                let index = self.one_of(["AM", "PM"].iter().map(|name| (*name).to_owned()))?;
                put(&mut self.said.afternoon, index)
            }
        }
    }

    fn zone(&mut self, letter: char, count: usize) -> Option<()> {
        let named = matches!(letter, 'V' | 'z');
        let part = |c: char| match letter {
            'V' | 'z' => c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-' | ':'),
            _ => c.is_ascii_digit() || matches!(c, '+' | '-' | ':' | 'Z' | 'z' | 'G' | 'M' | 'T'),
        };
        let longest = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let colon = count == 3 || matches!((letter, count), ('O', _) | ('Z', 4 | 5));
        for len in (1..=longest.min(64)).rev() {
            let Some(text) = self.rest.get(..len) else { continue };
            let text = if text == "z" { "Z" } else { text };
            let fits = named
                || match letter {
                    'O' => text.starts_with("GMT"),
                    'Z' if count == 4 => text.starts_with("GMT"),
                    'X' => text == "Z" || text.starts_with(['+', '-']),
                    'Z' if count == 5 => text == "Z" || text.starts_with(['+', '-']),
                    _ => text.starts_with(['+', '-']),
                } && (colon || !text.contains(':'));
            if let (true, Ok(zone)) = (fits, zone::find(text)) {
                self.said.zone = Some(zone);
                self.rest = self.rest.get(len..)?;
                return Some(());
            }
        }
        None
    }
}

const DAY_NANOS: i64 = 86_400_000_000_000;

impl Said {
    /// Whether it said anything of a time of day.
    pub(super) fn has_time(&self) -> bool {
        let parts = [
            self.afternoon,
            self.hour,
            self.hour_of_half,
            self.minute,
            self.second,
            self.nano,
            self.nano_of_day,
        ];
        parts.iter().any(Option::is_some)
    }

    /// Whether it said anything of a date.
    pub(super) fn has_date(&self) -> bool {
        let of_year = [self.year, self.year_of_era, self.before_christ, self.quarter];
        let in_year = [self.month, self.day, self.day_of_year, self.weekday];
        of_year.iter().chain(&in_year).any(Option::is_some)
    }

    fn year(&self) -> Option<i64> {
        match (self.year, self.year_of_era) {
            (Some(year), _) => Some(year),
            (None, Some(year)) if self.before_christ == Some(1) => Some(1 - year),
            (None, year) => year,
        }
    }

    /// The date, where the text says a whole one. A 31st of a month of 30 days is its last day, as in Java.
    pub(super) fn date(&self) -> Result<Date, String> {
        let year = self.year().ok_or("it says no year")?;
        let wrong = |_| format!("the year {year} is out of range");
        let year = i16::try_from(year).map_err(|_| format!("the year {year} is out of range"))?;
        let first = Date::new(year, 1, 1).map_err(wrong)?;
        let date = match (self.month, self.day, self.day_of_year) {
            (Some(month), Some(day), _) => {
                let month = i8::try_from(month).map_err(|_| "it says no month")?;
                let first = Date::new(year, month, 1).map_err(wrong)?;
                let day = i8::try_from(day).map_err(|_| "it says no day")?;
                Date::new(year, month, day.min(first.days_in_month())).map_err(wrong)?
            }
            (_, _, Some(day)) => {
                if day > i64::from(first.days_in_year()) {
                    return Err(format!("the year {year} has no day {day}"));
                }
                first.checked_add(jiff::Span::new().days(day - 1)).map_err(wrong)?
            }
            (None, _, _) => return Err("it says no month".to_owned()),
            (_, None, _) => return Err("it says no day".to_owned()),
        };
        let consistent = [
            (self.weekday, i64::from(date.weekday().to_monday_zero_offset())),
            (self.quarter, i64::from((date.month() - 1) / 3 + 1)),
            (self.month, date.month().into()),
            (self.day_of_year, date.day_of_year().into()),
        ];
        if consistent.iter().any(|(said, is)| said.is_some_and(|said| said != *is)) {
            return Err(format!("its parts contradict one another: {date} is another day"));
        }
        Ok(date)
    }

    /// The time of day; what the text does not say is zero. `None` where it says no hour.
    pub(super) fn time(&self) -> Option<Time> {
        if let Some(nanos) = self.nano_of_day {
            let seconds = nanos / 1_000_000_000;
            let part = |value: i64| i8::try_from(value).unwrap_or(0);
            let nanos = i32::try_from(nanos % 1_000_000_000).unwrap_or(0);
            return Time::new(part(seconds / 3_600), part(seconds / 60 % 60), part(seconds % 60), nanos).ok();
        }
        let half = self.hour_of_half.zip(self.afternoon).map(|(hour, afternoon)| hour + 12 * afternoon);
        self.at(self.hour.or(half)?)
    }

    fn at(&self, hour: i64) -> Option<Time> {
        let part = |value: Option<i64>| i8::try_from(value.unwrap_or(0)).unwrap_or(0);
        let nano = i32::try_from(self.nano.unwrap_or(0)).unwrap_or(0);
        Time::new(part(Some(hour)), part(self.minute), part(self.second), nano).ok()
    }

    /// Date and time; what the text does not say is that of 1970-01-01T00:00, as in ksqlDB.
    pub(super) fn datetime(&self) -> Result<DateTime, String> {
        let mut filled = self.clone();
        if self.year().is_none() {
            if self.day_of_year == Some(366) {
                return Err("a 366th day needs its year".to_owned());
            }
            filled.year = Some(1970);
        }
        if self.day_of_year.is_none() {
            let of_quarter = self.quarter.map(|quarter| quarter * 3 - 2);
            filled.month = self.month.or(of_quarter).or(Some(1));
            filled.day = self.day.or(Some(1));
        }
        let whole = self.year().is_some()
            && (self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some()));
        if !whole && self.weekday.is_some() {
            return Err("a day of the week needs a whole date".to_owned());
        }
        let hour = self.hour_of_half.unwrap_or(0) + 12 * self.afternoon.unwrap_or(0);
        let time = self.time().or_else(|| self.at(hour)).ok_or("it says no time of day")?;
        Ok(filled.date()?.to_datetime(time))
    }
}
