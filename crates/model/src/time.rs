//! Instants and durations as users write and read them.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z, Kafka's record timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to this instant; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 in UTC with milliseconds: `2026-11-21T09:15:57.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(86_400_000);
        let ms = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

/// Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Count from 0000-03-01, so that the leap day is the last day of a year of the calculation.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The wall clock, passed to everything that stamps records. Only the binary has one that reads the system's.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationError {
    /// There is no number in front.
    Number,
    /// There is no unit, or an unknown one.
    Unit,
    /// Longer than 10,000 days.
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a duration starts with a number, for example \"100ms\"",
            Self::Unit => "a duration ends with its unit: us, ms, s, m, h or d, for example \"100ms\"",
            Self::TooLong => "a duration may be 10000d at most",
        })
    }
}

impl std::error::Error for DurationError {}

const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Reads `"100ms"`, `"1.5s"`, `"2 h"`: a number and one unit of us, ms, s, m, h, d.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| DurationError::Number)?;
    let unit = unit.trim();
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Unit)?;
    #[expect(clippy::cast_precision_loss, reason = "the largest factor is exact in a double")]
    let seconds = number * (*micros as f64) / 1e6;
    if seconds > 10_000.0 * 86_400.0 {
        return Err(DurationError::TooLong);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)
}

/// Prints a duration in the largest unit that keeps it whole: `100ms`, `90s`, `2h`.
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros == 0 {
        return "0ms".to_owned();
    }
    let (name, factor) = UNITS
        .iter()
        .rev()
        .find(|(_, factor)| micros.is_multiple_of(u128::from(*factor)))
        .copied()
        .unwrap_or(("us", 1));
    format!("{}{name}", micros / u128::from(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print() {
        for (text, micros, printed) in [
            ("100ms", 100_000, "100ms"),
            ("1.5s", 1_500_000, "1500ms"),
            ("2 h", 7_200_000_000, "2h"),
            ("250us", 250, "250us"),
            ("90s", 90_000_000, "90s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_micros(micros), "{text}");
            assert_eq!(format_duration(duration), printed);
        }
        for (text, error) in
            [("", DurationError::Number), ("10", DurationError::Unit), ("10 parsecs", DurationError::Unit)]
        {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn timestamps_print_in_iso_8601() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_709_210_096_789).to_string(), "2024-02-29T12:34:56.789Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }
}
