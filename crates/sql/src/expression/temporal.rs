//! Texts as dates, times of day and points in time, as ksqlDB reads them: parts may be left out from the right.

const DAY_MS: i64 = 86_400_000;

/// Days since 1970 of `2024`, `2024-02` or `2024-02-29`.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| digits(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| digits(day, 2))?;
    days(year, month, day)
}

/// Milliseconds since midnight of `13:37`, `13:37:05` or `13:37:05.25`; digits behind milliseconds are cut off.
pub(crate) fn parse_time(text: &str) -> Option<i32> {
    text.contains(':').then(|| clock(text)).flatten()
}

/// Milliseconds since 1970 of a date, alone or with `T` and a time of which parts are left out, and `Z` or an offset
/// such as `+02:00`, `+0200`, `-07`; without one it is UTC.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let Some((date, rest)) = text.split_once('T') else {
        return Some(i64::from(parse_date(text)?) * DAY_MS);
    };
    let (time, offset_ms) = match rest.find(['+', '-', 'Z']) {
        None => (rest, 0),
        Some(at) => {
            let (time, zone) = rest.split_at(at);
            (time, offset(zone)?)
        }
    };
    let time = if time.is_empty() { 0 } else { clock(time)? };
    (i64::from(parse_date(date)?) * DAY_MS + i64::from(time)).checked_sub(offset_ms)
}

/// `HH[:mm[:ss[.fraction]]]`.
fn clock(text: &str) -> Option<i32> {
    let (text, fraction) = text.split_once('.').map_or((text, None), |(text, rest)| (text, Some(rest)));
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = parts.next().map_or(Some(0), |minute| digits(minute, 2))?;
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = match fraction {
        None => 0,
        Some(fraction) => {
            let whole = text.matches(':').count() == 2 && (1..=9).contains(&fraction.len());
            let all_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            let first: String = fraction.chars().chain("00".chars()).take(3).collect();
            (whole && all_digits).then(|| first.parse::<i32>().ok()).flatten()?
        }
    };
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// `Z`, `+hh`, `+hhmm` or `+hh:mm`, in milliseconds; at most 18 hours.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, zone) = match zone.strip_prefix('-') {
        Some(zone) => (-1, zone),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = match zone.split_once(':') {
        Some(parts) => parts,
        None if zone.len() == 4 => zone.split_at_checked(2)?,
        None => (zone, "00"),
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours * 60 + minutes <= 18 * 60 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes) * 60_000)
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i32> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days since 1970 of a date of the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_format::sql::calendar;

    #[test]
    fn parts_may_be_left_out_from_the_right() {
        for (text, ms) in [
            ("2019-03-17T10:00:00", Some(1_552_816_800_000)),
            ("2019-03-17T03:00-0700", Some(1_552_816_800_000)),
            ("2019-03-17T10:00:00.000Z", Some(1_552_816_800_000)),
            ("2019-03-17T12+02:00", Some(1_552_816_800_000)),
            ("2019-03-17T10:00:00.25", Some(1_552_816_800_250)),
            ("1970", Some(0)),
            ("1970-01", Some(0)),
            ("1970-01-02T", Some(DAY_MS)),
            ("1970-01-02TZ", Some(DAY_MS)),
            ("1969-12-31T23:59:59.999", Some(-1)),
            ("2019-03-17 03:00", None),
            ("2019-02-29", None),
            ("2020-02-29T24:00", None),
            ("2020-02-29T10.5", None),
            ("2020-02-29T10:00+19", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(parse_timestamp(text), ms, "{text}");
        }
        assert_eq!((parse_date("2024-02-29"), parse_date("2023-02-29")), (Some(19_782), None));
        assert_eq!(
            (parse_time("10:00"), parse_time("10:00:00.001"), parse_time("10")),
            (Some(36_000_000), Some(36_000_001), None)
        );
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for day in (-719_528..2_932_896).step_by(997) {
            assert_eq!(parse_date(&calendar::date(day)), Some(day));
        }
        for time in (0..86_400_000).step_by(99_991) {
            assert_eq!(parse_time(&calendar::time(time)), Some(time));
        }
        for ms in [0, -1, 1_709_210_096_789, 253_402_300_799_999] {
            assert_eq!(parse_timestamp(&calendar::timestamp(ms)), Some(ms));
        }
    }
}
