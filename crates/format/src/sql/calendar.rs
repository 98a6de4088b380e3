//! Dates, times of day and points in time as ISO 8601 texts, and bytes as Base64: how values without digits look in text.

use base64::Engine as _;

const DAY_MS: i64 = 86_400_000;

/// `2024-02-29`. Days count from 1970-01-01.
pub fn date(days: i32) -> String {
    let (year, month, day) = civil(i64::from(days));
    if (0..=9_999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+05}-{month:02}-{day:02}")
    }
}

/// `13:37`, `13:37:05`, `13:37:05.250`: as many parts as there are, as Java's `LocalTime` prints it.
pub fn time(ms: i32) -> String {
    let (seconds, ms) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (second, ms) {
        (0, 0) => format!("{hour:02}:{minute:02}"),
        (_, 0) => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}.{ms:03}"),
    }
}

/// `2024-02-29T13:37:05.250`, in UTC.
pub fn timestamp(ms: i64) -> String {
    let (days, ms) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let date = date(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }));
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{date}T{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Standard Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Year, month and day of a day since 1970 in the proleptic Gregorian calendar (Howard Hinnant's `civil_from_days`).
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a date in the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`); `None` where there is
/// no such date.
pub(super) fn days(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(-9_999_999..=9_999_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = shifted.div_euclid(400) * 146_097 + day_of_era - 719_468;
    i32::try_from(days).ok().filter(|_| civil(days) == (year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_milliseconds_print_as_in_java() {
        for (days, text) in
            [(0, "1970-01-01"), (19_782, "2024-02-29"), (-1, "1969-12-31"), (-719_528, "0000-01-01")]
        {
            assert_eq!(date(days), text);
        }
        assert_eq!(
            [time(0), time(49_020_000), time(49_025_000), time(49_025_250)],
            ["00:00", "13:37", "13:37:05", "13:37:05.250"]
        );
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999");
        assert_eq!(timestamp(i64::MAX).len(), "+5881580-07-11T07:12:55.807".len());
    }
}
