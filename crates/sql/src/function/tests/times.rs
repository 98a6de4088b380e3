//! Functions of dates, times and time zones.

use super::*;

const DAY: i64 = 86_400_000;

fn ts(ms: i64) -> Datum<'static> {
    Datum::Timestamp(ms)
}

fn date(days: i32) -> Datum<'static> {
    Datum::Date(days)
}

fn time(ms: i32) -> Datum<'static> {
    Datum::Time(ms)
}

pub(super) fn cases() -> Vec<Case> {
    formats().into_iter().chain(parses()).chain(zones()).chain(shifts()).collect()
}

fn formats() -> Vec<Case> {
    // 2024-02-29T08:28:16.789Z, a Thursday.
    let leap = || ts(1_709_195_296_789);
    table! {
        FORMAT_TIMESTAMP(leap(), t("yyyy-MM-dd HH:mm:ss.SSS")) => t("2024-02-29 08:28:16.789");
        FORMAT_TIMESTAMP(leap(), t("yyyy-MM-dd'T'HH:mm:ssX")) => t("2024-02-29T08:28:16Z");
        FORMAT_TIMESTAMP(leap(), t("''yy'' u d.M. H:m:s")) => t("'24' 2024 29.2. 8:28:16");
        FORMAT_TIMESTAMP(leap(), t("EEE EEEE EEEEE, d MMM MMMM MMMMM")) => t("Thu Thursday T, 29 Feb February F");
        FORMAT_TIMESTAMP(leap(), t("D DDD Q QQ QQQ QQQQ G GGGG")) => t("60 060 1 01 Q1 1st quarter AD Anno Domini");
        FORMAT_TIMESTAMP(leap(), t("h hh K k a")) => t("8 08 8 8 AM");
        FORMAT_TIMESTAMP(ts(0), t("h K k a")) => t("12 0 24 AM");
        FORMAT_TIMESTAMP(leap(), t("S SSSSSS n A N")) => t("7 789000 789000000 30496789 30496789000000");
        FORMAT_TIMESTAMP(leap(), t("yyyyy")) => t("02024");
        FORMAT_TIMESTAMP(ts(-1), t("yyyy-MM-dd HH:mm:ss.SSS")) => t("1969-12-31 23:59:59.999");
        FORMAT_TIMESTAMP(leap(), t("VV z O OOOO x xx xxx X XX XXX Z ZZZZ ZZZZZ"), t("Europe/Berlin"))
            => t("Europe/Berlin CET GMT+1 GMT+01:00 +01 +0100 +01:00 +01 +0100 +01:00 +0100 GMT+01:00 +01:00");
        FORMAT_TIMESTAMP(leap(), t("VV z O X XXX x Z ZZZZZ")) => t("UTC UTC GMT Z Z +00 +0000 Z");
        FORMAT_TIMESTAMP(leap(), t("HH:mm X"), t("+05:30")) => t("13:58 +0530");
        FORMAT_TIMESTAMP(leap(), t("HH:mm z"), t("PST")) => t("00:28 PST");
        FORMAT_TIMESTAMP(ts(1_526_075_913_000), t("yyyy-MM-dd HH:mm:ss zzz"), t("America/Los_Angeles"))
            => t("2018-05-11 14:58:33 PDT");
        FORMAT_TIMESTAMP(ts(1_526_075_913_000), t("yyyy-MM-dd HH:mm:ss zzz"), t("Europe/London"))
            => t("2018-05-11 22:58:33 BST");
        FORMAT_TIMESTAMP(leap(), t("yyyy['T'HH]")) => t("2024T08");
        FORMAT_TIMESTAMP(leap(), t("yyyy 'o'' clock'")) => t("2024 o' clock");
        FORMAT_TIMESTAMP(leap(), t("YYYY")) => Fails("counts weeks");
        FORMAT_TIMESTAMP(leap(), t("b")) => Fails("the letter b is not supported");
        FORMAT_TIMESTAMP(leap(), t("'T")) => Fails("not closed");
        FORMAT_TIMESTAMP(leap(), t("MMMMMM")) => Fails("too often");
        FORMAT_TIMESTAMP(leap(), t("z"), t("America/Sao_Paulo")) => Fails("no short name");
        FORMAT_TIMESTAMP(leap(), t("HH"), t("Mars/Base")) => Fails("no time zone 'Mars/Base'");
        FORMAT_TIMESTAMP(leap(), t("HH"), t("europe/berlin")) => Fails("no time zone");
        FORMAT_TIMESTAMP(leap(), N) => N;
        FORMAT_TIMESTAMP(ts(i64::MAX), t("yyyy")) => Fails("outside the years");
        FORMAT_DATE(date(18_911), t("yyyy-MM-dd'T'")) => t("2021-10-11T");
        FORMAT_DATE(date(-1), t("dd.MM.yyyy EEE")) => t("31.12.1969 Wed");
        FORMAT_DATE(date(0), t("HH")) => Fails("a date has no hour");
        FORMAT_DATE(date(i32::MAX), t("yyyy")) => Fails("outside the years");
        FORMAT_TIME(time(48_300_123), t("HH:mm:ss.SSS")) => t("13:25:00.123");
        FORMAT_TIME(time(48_300_123), t("'''T''HH:mm")) => Fails("not closed");
        FORMAT_TIME(time(48_300_123), t("yyyy")) => Fails("a time of day has no day");
        TIMESTAMPTOSTRING(l(1_709_195_296_789), t("yyyy-MM-dd HH:mm:ss.SSS")) => t("2024-02-29 08:28:16.789");
        TIMESTAMPTOSTRING(l(0), t("HH:mm"), t("Asia/Kolkata")) => t("05:30");
        DATETOSTRING(i(18_911), t("yyyy-MM-dd")) => t("2021-10-11");
    }
}

fn parses() -> Vec<Case> {
    let iso = || t("yyyy-MM-dd HH:mm:ss.SSS");
    table! {
        PARSE_TIMESTAMP(t("2024-02-29 08:28:16.789"), iso()) => ts(1_709_195_296_789);
        PARSE_TIMESTAMP(t("2021-06-31 12:18:39.446"), iso()) => ts(1_625_055_519_446);
        PARSE_TIMESTAMP(t("2021-06-32 12:18:39.446"), iso()) => Fails("does not fit from character 11");
        PARSE_TIMESTAMP(t("2021-13-01 12:18:39.446"), iso()) => Fails("'2021-13-01 12:18:39.446' by the pattern");
        PARSE_TIMESTAMP(t("2021-02-01 12:18:39.446 "), iso()) => Fails("from character 24");
        PARSE_TIMESTAMP(t("1970"), t("yyyy")) => ts(0);
        PARSE_TIMESTAMP(t("01:30"), t("HH:mm")) => ts(5_400_000);
        PARSE_TIMESTAMP(t("01:30 PM"), t("hh:mm a")) => ts(48_600_000);
        PARSE_TIMESTAMP(t("12:30"), t("hh:mm")) => ts(1_800_000);
        PARSE_TIMESTAMP(t("19700102"), t("yyyyMMdd")) => ts(DAY);
        PARSE_TIMESTAMP(t("19700102000001500"), t("yyyyMMddHHmmssSSS")) => ts(DAY + 1_500);
        PARSE_TIMESTAMP(t("1970-002"), t("yyyy-DDD")) => ts(DAY);
        PARSE_TIMESTAMP(t("1970-366"), t("yyyy-DDD")) => Fails("has no day 366");
        PARSE_TIMESTAMP(t("1970-01-01T02:00:00+02:00"), t("yyyy-MM-dd'T'HH:mm:ssXXX")) => ts(0);
        PARSE_TIMESTAMP(t("1970-01-01T00:00:00Z"), t("yyyy-MM-dd'T'HH:mm:ssX")) => ts(0);
        PARSE_TIMESTAMP(t("1970-01-01 01:00 Europe/Berlin"), t("yyyy-MM-dd HH:mm VV")) => ts(0);
        PARSE_TIMESTAMP(t("Thu, 1 Jan 1970"), t("EEE, d MMM yyyy")) => ts(0);
        PARSE_TIMESTAMP(t("Fri, 1 Jan 1970"), t("EEE, d MMM yyyy")) => Fails("contradict one another");
        PARSE_TIMESTAMP(t("1 january 1970"), t("d MMMM yyyy")) => ts(0);
        PARSE_TIMESTAMP(t("1 hanuary 1970"), t("d MMMM yyyy")) => Fails("from character 3");
        PARSE_TIMESTAMP(t("2020-05-11t21:58:33z"), t("yyyy-MM-dd'T'HH:mm:ssX")) => ts(1_589_234_313_000);
        PARSE_TIMESTAMP(t("2018-05-11T21:58:33 PST"), t("yyyy-MM-dd'T'HH:mm:ss zzz")) => ts(1_526_101_113_000);
        PARSE_TIMESTAMP(t("70-01-01"), t("yy-MM-dd")) => ts(3_155_760_000_000);
        PARSE_TIMESTAMP(t("12024-01-01"), t("yyyy-MM-dd")) => Fails("does not fit");
        PARSE_TIMESTAMP(t("1970-01-01"), t("yyyy-MM-dd[ HH:mm]")) => ts(0);
        PARSE_TIMESTAMP(t("1970-01-01 00:01"), t("yyyy-MM-dd[ HH:mm]")) => ts(60_000);
        PARSE_TIMESTAMP(t("x"), N) => N;
        PARSE_DATE(t("2021-10-11"), t("yyyy-MM-dd")) => date(18_911);
        PARSE_DATE(t("11 oCT 2021"), t("dd MMM yyyy")) => date(18_911);
        PARSE_DATE(t("0000-01-01"), t("uuuu-MM-dd")) => date(-719_528);
        PARSE_DATE(t("1 BC"), t("y G")) => Fails("it says no month");
        PARSE_DATE(t("2021-10"), t("yyyy-MM")) => Fails("it says no day");
        PARSE_DATE(t("2021-10-11 10"), t("yyyy-MM-dd HH")) => Fails("a DATE has no time of day");
        PARSE_TIME(t("13:25"), t("HH:mm")) => time(48_300_000);
        PARSE_TIME(t("000105.007"), t("HHmmss.SSS")) => time(65_007);
        PARSE_TIME(t("11 PM"), t("h a")) => time(82_800_000);
        PARSE_TIME(t("01:00:00 Pm"), t("hh:mm:ss a")) => time(46_800_000);
        PARSE_TIME(t("00:01:05Lit"), t("HH:mm:ss'Lit'")) => time(65_000);
        PARSE_TIME(t("25:00"), t("HH:mm")) => Fails("does not fit");
        PARSE_TIME(t("2021"), t("yyyy")) => Fails("a TIME has no day");
        PARSE_TIME(t("30"), t("mm")) => Fails("it says no hour");
        STRINGTOTIMESTAMP(t("2024-02-29 08:28:16.789"), iso()) => l(1_709_195_296_789);
        STRINGTOTIMESTAMP(t("1970-01-01"), t("yyyy-MM-dd"), t("America/Los_Angeles")) => l(8 * 3_600_000);
        STRINGTOTIMESTAMP(t("nonsense"), t("yyyy")) => Fails("'nonsense' by the pattern 'yyyy'");
        STRINGTODATE(t("2021-10-11"), t("yyyy-MM-dd")) => i(18_911);
        STRINGTODATE(t("2021-10-11 10:00"), t("yyyy-MM-dd HH:mm")) => i(18_911);
    }
}

fn zones() -> Vec<Case> {
    // Berlin's clocks go from 2:00 to 3:00 on 2024-03-31 and from 3:00 to 2:00 on 2024-10-27.
    let minutes = || t("yyyy-MM-dd HH:mm");
    let berlin = || t("Europe/Berlin");
    table! {
        FORMAT_TIMESTAMP(ts(1_711_846_800_000 - 60_000), t("HH:mm z"), berlin()) => t("01:59 CET");
        FORMAT_TIMESTAMP(ts(1_711_846_800_000), t("HH:mm z"), berlin()) => t("03:00 CEST");
        PARSE_TIMESTAMP(t("2024-03-31 01:59"), minutes(), berlin()) => ts(1_711_846_800_000 - 60_000);
        PARSE_TIMESTAMP(t("2024-03-31 02:30"), minutes(), berlin()) => ts(1_711_846_800_000 + 30 * 60_000);
        PARSE_TIMESTAMP(t("2024-03-31 03:30"), minutes(), berlin()) => ts(1_711_846_800_000 + 30 * 60_000);
        PARSE_TIMESTAMP(t("2024-10-27 02:30"), minutes(), berlin()) => ts(1_729_989_000_000);
        FORMAT_TIMESTAMP(ts(1_729_989_000_000), t("HH:mm XXX"), berlin()) => t("02:30 +02:00");
        FORMAT_TIMESTAMP(ts(1_729_992_600_000), t("HH:mm XXX"), berlin()) => t("02:30 +01:00");
        FORMAT_TIMESTAMP(ts(4_102_444_800_000), t("HH:mm"), berlin()) => t("01:00");
        CONVERT_TZ(ts(0), t("UTC"), t("America/Los_Angeles")) => ts(-8 * 3_600_000);
        CONVERT_TZ(ts(1_720_000_000_000), t("America/New_York"), berlin()) => ts(1_720_000_000_000 + 6 * 3_600_000);
        CONVERT_TZ(ts(0), t("GMT+2"), t("+0330")) => ts(5_400_000);
        CONVERT_TZ(ts(1_589_234_313_000), t("America/Los_Angeles"), t("America/New_York")) => ts(1_589_245_113_000);
        CONVERT_TZ(time(100), t("+0200"), t("+0500")) => time(10_800_100);
        CONVERT_TZ(time(86_399_000), t("America/Los_Angeles"), t("America/New_York")) => time(10_799_000);
        CONVERT_TZ(ts(0), t("UTC"), t("Mars")) => Fails("no time zone 'Mars'");
        CONVERT_TZ(ts(0), t("+19:00"), t("UTC")) => Fails("no time zone");
        CONVERT_TZ(ts(0), N, t("UTC")) => N;
    }
}

fn shifts() -> Vec<Case> {
    let hour = || l(3_600_000);
    let day = || l(DAY);
    table! {
        FROM_DAYS(i(-1)) => date(-1);
        FROM_UNIXTIME(l(5)) => ts(5);
        UNIX_DATE(date(18_911)) => i(18_911);
        UNIX_TIMESTAMP(ts(5)) => l(5);
        TIMESTAMPADD(hour(), i(2), ts(1)) => ts(7_200_001);
        TIMESTAMPADD(hour(), i(-2), ts(1)) => ts(-7_199_999);
        TIMESTAMPADD(hour(), N, ts(1)) => N;
        TIMESTAMPADD(day(), i(1), ts(i64::MAX)) => Fails("out of range");
        TIMESTAMPSUB(day(), i(1), ts(DAY)) => ts(0);
        DATEADD(day(), i(5), date(10)) => date(15);
        DATEADD(hour(), i(25), date(10)) => date(11);
        DATEADD(hour(), i(23), date(10)) => date(10);
        DATEADD(day(), i(i32::MAX), date(i32::MAX)) => Fails("out of range");
        DATESUB(day(), i(11), date(10)) => date(-1);
        DATESUB(hour(), i(1), date(10)) => date(9);
        TIMEADD(hour(), i(2), time(82_800_000)) => time(3_600_000);
        TIMEADD(hour(), i(-1), time(0)) => time(82_800_000);
        TIMESUB(hour(), i(1), time(0)) => time(82_800_000);
        TIMESUB(l(1), i(1), time(5)) => time(4);
    }
}

#[test]
fn moments_are_written_by_javas_patterns() {
    check(formats());
}

#[test]
fn texts_are_read_by_javas_patterns() {
    check(parses());
}

#[test]
fn time_zones_have_summer_and_winter() {
    check(zones());
}

#[test]
fn dates_and_times_are_moved() {
    check(shifts());
}

#[test]
fn what_is_written_can_be_read() {
    let pattern = t("yyyy-MM-dd'T'HH:mm:ss.SSSXXX");
    for zone in ["UTC", "Europe/Berlin", "America/St_Johns", "+05:45"] {
        for ms in [0, 1_709_210_096_789, -1, 951_782_400_000, 1_729_992_600_000, -62_000_000_000_000] {
            let text = call("FORMAT_TIMESTAMP", &[ts(ms), pattern.clone(), t(zone)]).unwrap();
            assert_eq!(call("PARSE_TIMESTAMP", &[text.clone(), pattern.clone()]), Ok(ts(ms)), "{text:?}");
        }
    }
}
