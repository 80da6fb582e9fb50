//! What is read, written, compared and computed with dates, times and durations.

use super::*;

fn date_time(text: &str) -> DateTime {
    DateTime::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn what_is_read_is_written() {
    for text in
        ["2002-03-22T08:23:47-05:00", "2024-02-29T00:00:00Z", "-0044-03-15T12:00:00", "12345-01-01T00:00:00.5+14:00"]
    {
        assert_eq!(date_time(text).to_string(), text);
    }
    assert_eq!(date_time("1999-12-31T24:00:00Z").to_string(), "2000-01-01T00:00:00Z");
    for (text, written) in [
        ("P05DT002H00M0S", "P5DT2H"),
        ("-P1D", "-P1D"),
        ("PT0S", "PT0S"),
        ("PT36H", "P1DT12H"),
        ("PT1.50S", "PT1.5S"),
        ("PT0.1S", "PT0.1S"),
    ] {
        assert_eq!(DayTimeDuration::parse(text).unwrap().to_string(), written);
    }
    for (text, written) in [("-P004Y01M", "-P4Y1M"), ("P13M", "P1Y1M"), ("P0M", "P0M"), ("P2Y", "P2Y")] {
        assert_eq!(YearMonthDuration::parse(text).unwrap().to_string(), written);
    }
}

#[test]
fn what_is_no_value_is_refused() {
    for text in [
        "",
        "2002-03-22",
        "2002-03-22T",
        "2002-03-22T08:23",
        "2002-03-22T08:23:60",
        "2002-03-22T24:00:01",
        "2002-02-29T00:00:00",
        "2002-13-01T00:00:00",
        "2002-00-01T00:00:00",
        "202-01-01T00:00:00",
        "02002-01-01T00:00:00",
        "2002-01-01T00:00:00+14:01",
        "2002-01-01T00:00:00+5:00",
        "2002-01-01T00:00:00 Z",
        "9999999999-01-01T00:00:00",
        "2002-01-01T00:00:00.1234567891",
        "2002-01-01T00:00:00.",
        "2002-01-01T00:00:0\u{e5}",
        "2002-01-01T00:00:00\u{e5}",
    ] {
        assert!(DateTime::parse(text).is_none(), "{text}");
    }
    for text in
        ["P", "PT", "P1DT", "P1H", "PT1D", "P1Y", "--P1D", "P-1D", "P1.5D", "PT1.S", "P1D ", "P99999999999999999999D"]
    {
        assert!(DayTimeDuration::parse(text).is_none(), "{text}");
    }
    for text in ["P", "P1D", "P1M1Y", "1Y", "P1.5Y"] {
        assert!(YearMonthDuration::parse(text).is_none(), "{text}");
    }
}

#[test]
fn zones_matter_and_none_is_utc() {
    let same = |a: &str, b: &str| date_time(a).instant() == date_time(b).instant();
    assert!(same("2002-04-22T08:23:47-05:00", "2002-04-22T08:24:47-04:59"));
    assert!(same("2002-04-22T08:23:47", "2002-04-22T08:23:47Z"));
    let time = |text| Time::parse(text).unwrap();
    assert!(time("23:00:00-05:00").instant() > time("01:00:00Z").instant());
    let date = |text| Date::parse(text).unwrap();
    assert!(date("2002-04-22+02:00").instant() < date("2002-04-22").instant());
}

#[test]
fn ranges_of_time_go_past_midnight() {
    let time = |text| Time::parse(text).unwrap();
    for (at, first, last, inside) in [
        ("12:00:00Z", "09:00:00Z", "17:00:00Z", true),
        ("09:00:00Z", "09:00:00Z", "17:00:00Z", true),
        ("17:00:00Z", "09:00:00Z", "17:00:00Z", true),
        ("17:00:01Z", "09:00:00Z", "17:00:00Z", false),
        ("01:00:00Z", "22:00:00Z", "06:00:00Z", true),
        ("12:00:00Z", "22:00:00Z", "06:00:00Z", false),
        ("12:00:00+05:00", "11:00:00", "13:00:00", true),
        ("12:00:00Z", "12:00:00Z", "12:00:00Z", true),
    ] {
        assert_eq!(time(at).is_in_range(time(first), time(last)), inside, "{at} {first} {last}");
    }
}

#[test]
fn months_end_where_they_end() {
    let months = |text| YearMonthDuration::parse(text).unwrap();
    for (from, duration, subtract, to) in [
        ("2024-01-31", "P1M", false, "2024-02-29"),
        ("2023-01-31", "P1M", false, "2023-02-28"),
        ("2024-02-29", "P1Y", true, "2023-02-28"),
        ("2002-03-22Z", "-P5Y3M", false, "1996-12-22Z"),
        ("2002-03-22", "-P5Y3M", true, "2007-06-22"),
        ("0001-01-01", "P1Y", true, "0000-01-01"),
    ] {
        assert_eq!(Date::parse(from).unwrap().plus_year_month(months(duration), subtract).unwrap().to_string(), to);
    }
    assert!(Date::parse("999999999-12-31").unwrap().plus_year_month(months("P1M"), false).is_none());
    assert!(
        date_time("999999999-12-31T23:59:59").plus_day_time(DayTimeDuration::parse("PT1S").unwrap(), false).is_none()
    );
}

#[test]
fn days_and_dates_agree_for_centuries() {
    let mut expected = days(1896, 1, 1);
    for year in 1896..=2104 {
        for month in 1..=12 {
            for day in 1..=days_of(year, month) {
                assert_eq!((days(year, month, day), civil(expected)), (expected, (year, month, day)));
                expected += 1;
            }
        }
    }
    assert_eq!(days(1970, 1, 1), 0);
}
