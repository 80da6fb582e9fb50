//! Dates, times and durations as XML Schema writes them, and their arithmetic.
//!
//! Proleptic Gregorian, without leap seconds, in whole nanoseconds. A value without time zone is compared as UTC.
//! Arithmetic is checked: a result outside the years read is no result.

use std::fmt;

use crate::Timestamp;

const NANOS: i128 = 1_000_000_000;
const DAY_NANOS: i128 = 86_400 * NANOS;
/// Years beyond this, before or after, are refused.
const YEAR_MAX: i64 = 999_999_999;
/// Months and days of durations beyond this are refused; every sum of two of them still fits.
const COUNT_MAX: i64 = 999_999_999_999;

/// Minutes east of UTC.
type Zone = Option<i16>;

/// A date and time of day.
#[derive(Debug, Clone, Copy)]
pub struct DateTime {
    /// Nanoseconds from 1970-01-01T00:00:00 on the wall of the zone.
    wall: i128,
    zone: Zone,
}

/// A date.
#[derive(Debug, Clone, Copy)]
pub struct Date {
    days: i64,
    zone: Zone,
}

/// A time of day.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Below [`DAY_NANOS`].
    wall: i128,
    zone: Zone,
}

/// A span of days, hours, minutes, seconds: nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTimeDuration(i128);

/// A span of years and months: months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearMonthDuration(i64);

impl DateTime {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut text = Text(text);
        let days = text.date()?;
        text.expect('T')?;
        let wall = text.time()?;
        let zone = text.zone()?;
        // 24:00:00 is the next midnight.
        text.end(Self { wall: i128::from(days).checked_mul(DAY_NANOS)?.checked_add(wall)?, zone })
    }

    pub(super) fn from_timestamp(now: Timestamp) -> Self {
        Self { wall: i128::from(now.unix_millis()).saturating_mul(1_000_000), zone: Some(0) }
    }

    pub(super) fn date(self) -> Date {
        Date { days: i64::try_from(self.wall.div_euclid(DAY_NANOS)).unwrap_or(0), zone: self.zone }
    }

    pub(super) fn time(self) -> Time {
        Time { wall: self.wall.rem_euclid(DAY_NANOS), zone: self.zone }
    }

    /// Nanoseconds from 1970 in UTC.
    pub(super) fn instant(self) -> i128 {
        self.wall.saturating_sub(offset(self.zone))
    }

    /// This much later, or earlier.
    pub fn plus_day_time(self, duration: DayTimeDuration, subtract: bool) -> Option<Self> {
        let wall = if subtract { self.wall.checked_sub(duration.0)? } else { self.wall.checked_add(duration.0)? };
        let moved = Self { wall, zone: self.zone };
        let (year, _, _) = civil(moved.date().days);
        (year.abs() <= YEAR_MAX).then_some(moved)
    }

    /// This many months later, or earlier; on the last day of the month if it has no such day.
    pub fn plus_year_month(self, duration: YearMonthDuration, subtract: bool) -> Option<Self> {
        let date = self.date().plus_year_month(duration, subtract)?;
        let wall = i128::from(date.days).checked_mul(DAY_NANOS)?.checked_add(self.time().wall)?;
        Some(Self { wall, zone: self.zone })
    }
}

impl Date {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut text = Text(text);
        let days = text.date()?;
        let zone = text.zone()?;
        text.end(Self { days, zone })
    }

    /// Nanoseconds from 1970 in UTC of its first moment.
    pub(super) fn instant(self) -> i128 {
        i128::from(self.days).saturating_mul(DAY_NANOS).saturating_sub(offset(self.zone))
    }

    /// This many months later, or earlier; the last day of the month if it has no such day.
    pub fn plus_year_month(self, duration: YearMonthDuration, subtract: bool) -> Option<Self> {
        let months = if subtract { duration.0.checked_neg()? } else { duration.0 };
        let (year, month, day) = civil(self.days);
        let months = year.checked_mul(12)?.checked_add(month)?.checked_sub(1)?.checked_add(months)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12).checked_add(1)?);
        if year.abs() > YEAR_MAX {
            return None;
        }
        Some(Self { days: days(year, month, day.min(days_of(year, month))), zone: self.zone })
    }
}

impl Time {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut text = Text(text);
        let wall = text.time()?.checked_rem(DAY_NANOS)?;
        let zone = text.zone()?;
        text.end(Self { wall, zone })
    }

    /// Nanoseconds from midnight in UTC, not wrapped: 23:00 west of UTC is after 01:00 in UTC.
    pub(super) fn instant(self) -> i128 {
        self.wall.saturating_sub(offset(self.zone))
    }

    /// Whether it is between the two, going forward from the first; both take its zone if they have none.
    pub fn is_in_range(self, first: Self, last: Self) -> bool {
        let instant = |time: Self| Self { zone: time.zone.or(self.zone), ..time }.instant();
        let after_first = |time| instant(time).saturating_sub(instant(first)).rem_euclid(DAY_NANOS);
        after_first(self) <= after_first(last)
    }
}

impl DayTimeDuration {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut text = Text(text);
        let negative = text.take('-');
        text.expect('P')?;
        let days = text.count('D')?;
        let (mut hours, mut minutes, mut seconds) = (None, None, None);
        if text.take('T') {
            (hours, minutes, seconds) = (text.count('H')?, text.count('M')?, text.seconds()?);
            if hours.is_none() && minutes.is_none() && seconds.is_none() {
                return None;
            }
        } else if days.is_none() {
            return None;
        }
        let mut nanos = seconds.unwrap_or(0);
        for (count, unit) in [(days, DAY_NANOS), (hours, 3_600 * NANOS), (minutes, 60 * NANOS)] {
            nanos = nanos.checked_add(i128::from(count.unwrap_or(0)).checked_mul(unit)?)?;
        }
        text.end(Self(if negative { nanos.checked_neg()? } else { nanos }))
    }
}

impl YearMonthDuration {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut text = Text(text);
        let negative = text.take('-');
        text.expect('P')?;
        let (years, months) = (text.count('Y')?, text.count('M')?);
        if years.is_none() && months.is_none() {
            return None;
        }
        let months = years.unwrap_or(0).checked_mul(12)?.checked_add(months.unwrap_or(0))?;
        text.end(Self(if negative { months.checked_neg()? } else { months }))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_days(formatter, self.date().days)?;
        formatter.write_str("T")?;
        self.time().fmt(formatter)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_days(formatter, self.days)?;
        write_zone(formatter, self.zone)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.wall.div_euclid(NANOS), self.wall.rem_euclid(NANOS));
        write!(formatter, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
        write_fraction(formatter, nanos)?;
        write_zone(formatter, self.zone)
    }
}

impl fmt::Display for DayTimeDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let (seconds, fraction) = (nanos / NANOS.unsigned_abs(), nanos % NANOS.unsigned_abs());
        let parts =
            [(seconds / 86_400, 'D'), (seconds / 3_600 % 24, 'H'), (seconds / 60 % 60, 'M'), (seconds % 60, 'S')];
        formatter.write_str(if self.0 < 0 { "-P" } else { "P" })?;
        let mut in_day = false;
        for (count, unit) in parts {
            let fraction = if unit == 'S' { fraction } else { 0 };
            if count == 0 && fraction == 0 && !(unit == 'S' && nanos == 0) {
                continue;
            }
            if unit != 'D' && !in_day {
                formatter.write_str("T")?;
                in_day = true;
            }
            write!(formatter, "{count}")?;
            write_fraction(formatter, i128::try_from(fraction).unwrap_or(0))?;
            write!(formatter, "{unit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for YearMonthDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let months = self.0.unsigned_abs();
        formatter.write_str(if self.0 < 0 { "-P" } else { "P" })?;
        match (months / 12, months % 12) {
            (0, months) => write!(formatter, "{months}M"),
            (years, 0) => write!(formatter, "{years}Y"),
            (years, months) => write!(formatter, "{years}Y{months}M"),
        }
    }
}

/// What is left to read. Every method takes from the front, or gives none and the whole is no value.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn take(&mut self, letter: char) -> bool {
        self.0.strip_prefix(letter).is_some_and(|rest| {
            self.0 = rest;
            true
        })
    }

    fn expect(&mut self, letter: char) -> Option<()> {
        self.take(letter).then_some(())
    }

    fn end<T>(&self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }

    /// Some digits.
    fn digits(&mut self) -> &str {
        let end = self.0.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        digits
    }

    /// Exactly two digits, up to a limit.
    fn two(&mut self, max: i64) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(2)?;
        self.0 = rest;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?.filter(|value| *value <= max)
    }

    /// Days from 1970.
    fn date(&mut self) -> Option<i64> {
        let before = self.take('-');
        let digits = self.digits();
        if digits.len() < 4 || (digits.len() > 4 && digits.starts_with('0')) {
            return None;
        }
        let year = digits.parse::<i64>().ok().filter(|year| *year <= YEAR_MAX)?;
        let year = if before { year.checked_neg()? } else { year };
        self.expect('-')?;
        let month = self.two(12).filter(|month| *month > 0)?;
        self.expect('-')?;
        let day = self.two(31).filter(|day| (1..=days_of(year, month)).contains(day))?;
        Some(days(year, month, day))
    }

    /// Nanoseconds from midnight; 24:00:00 is a day.
    fn time(&mut self) -> Option<i128> {
        let hours = self.two(24)?;
        self.expect(':')?;
        let minutes = self.two(59)?;
        self.expect(':')?;
        let seconds = self.two(59)?;
        let fraction = self.fraction()?;
        let seconds = hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?;
        let nanos = i128::from(seconds).checked_mul(NANOS)?.checked_add(fraction)?;
        (nanos <= DAY_NANOS).then_some(nanos)
    }

    /// Nanoseconds after a point; none that matter may come after the ninth digit.
    fn fraction(&mut self) -> Option<i128> {
        if !self.take('.') {
            return Some(0);
        }
        let digits = self.digits();
        let (nanos, beyond) = digits.split_at_checked(9).unwrap_or((digits, ""));
        if digits.is_empty() || beyond.bytes().any(|digit| digit != b'0') {
            return None;
        }
        let missing = u32::try_from(9_usize.checked_sub(nanos.len())?).ok()?;
        nanos.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(missing)?)
    }

    fn zone(&mut self) -> Option<Zone> {
        if self.take('Z') {
            return Some(Some(0));
        }
        let west = match self.0.chars().next() {
            None => return Some(None),
            Some('+') => false,
            Some('-') => true,
            Some(_) => return None,
        };
        self.0 = self.0.get(1..)?;
        let hours = self.two(14)?;
        self.expect(':')?;
        let minutes = self.two(59)?;
        let minutes = i16::try_from(hours.checked_mul(60)?.checked_add(minutes)?).ok()?;
        (minutes <= 840).then_some(Some(if west { minutes.checked_neg()? } else { minutes }))
    }

    /// A count before its unit, if it is this unit.
    fn count(&mut self, unit: char) -> Option<Option<i64>> {
        let before = self.0;
        let digits = self.digits();
        let count = if digits.is_empty() { None } else { digits.parse::<i64>().ok() };
        if !self.take(unit) {
            self.0 = before;
            return Some(None);
        }
        count.filter(|count| *count <= COUNT_MAX).map(Some)
    }

    /// Seconds with their fraction, in nanoseconds.
    fn seconds(&mut self) -> Option<Option<i128>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let seconds = self.digits().parse::<i64>().ok().filter(|seconds| *seconds <= COUNT_MAX)?;
        let fraction = self.fraction()?;
        self.expect('S')?;
        Some(Some(i128::from(seconds).checked_mul(NANOS)?.checked_add(fraction)?))
    }
}

fn offset(zone: Zone) -> i128 {
    i128::from(zone.unwrap_or(0)).saturating_mul(60 * NANOS)
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counted in eras of 400 years that begin in March (Hinnant, "chrono-compatible date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day: the reverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn write_days(formatter: &mut fmt::Formatter<'_>, days: i64) -> fmt::Result {
    let (year, month, day) = civil(days);
    let sign = if year < 0 { "-" } else { "" };
    write!(formatter, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

fn write_fraction(formatter: &mut fmt::Formatter<'_>, nanos: i128) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    write!(formatter, ".{}", format!("{nanos:09}").trim_end_matches('0'))
}

fn write_zone(formatter: &mut fmt::Formatter<'_>, zone: Zone) -> fmt::Result {
    match zone {
        None => Ok(()),
        Some(0) => formatter.write_str("Z"),
        Some(minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            write!(formatter, "{sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
        }
    }
}

#[cfg(test)]
mod tests;
