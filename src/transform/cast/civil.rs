//! Dates and times of day: the proleptic Gregorian calendar, without leap seconds.

use super::Problem;
use super::kernel::put;
use crate::data::column::{DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};

/// Days from 1970-01-01 to the first and last date of a target: 4714-11-24 BC, where Postgres
/// begins, and the last day of its year 5874897.
const DAYS: std::ops::RangeInclusive<i64> = -2_440_588..=2_145_042_905;

/// The end of time that a date stands for, and how it is written; `None` for all finite ones.
pub(in crate::transform) const fn infinite_date(days: i32) -> Option<Infinite> {
    match days {
        DATE_INFINITY => Some(Infinite::After),
        DATE_MINUS_INFINITY => Some(Infinite::Before),
        _ => None,
    }
}

/// The same of a timestamp in microseconds.
pub(in crate::transform) const fn infinite_timestamp(micros: i64) -> Option<Infinite> {
    match micros {
        TIMESTAMP_INFINITY => Some(Infinite::After),
        TIMESTAMP_MINUS_INFINITY => Some(Infinite::Before),
        _ => None,
    }
}

/// An end of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transform) enum Infinite {
    Before,
    After,
}

impl Infinite {
    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "infinity" => Some(Self::After),
            "-infinity" => Some(Self::Before),
            _ => None,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Before => "-infinity",
            Self::After => "infinity",
        }
    }

    pub(super) const fn date(self) -> i32 {
        match self {
            Self::Before => DATE_MINUS_INFINITY,
            Self::After => DATE_INFINITY,
        }
    }

    pub(super) const fn timestamp(self) -> i64 {
        match self {
            Self::Before => TIMESTAMP_MINUS_INFINITY,
            Self::After => TIMESTAMP_INFINITY,
        }
    }
}

/// A date that targets have.
pub(super) fn within_days(days: i64) -> Result<i64, Problem> {
    if DAYS.contains(&days) {
        Ok(days)
    } else {
        Err(Problem::OutOfRange)
    }
}

/// A finite timestamp that targets have. They reach further than 64 bits of microseconds since 1970.
pub(super) fn within_micros(micros: i64) -> Result<i64, Problem> {
    if micros >= *DAYS.start() * DAY && micros != TIMESTAMP_INFINITY {
        Ok(micros)
    } else {
        Err(Problem::OutOfRange)
    }
}

/// Microseconds of a day.
pub(in crate::transform) const DAY: i64 = 86_400_000_000;

/// Days since 1970-01-01 of a calendar date (year 0 is 1 BC).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Howard Hinnant's algorithm: years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Reads digits from the front: at least `min`, at most `max` of them.
pub(super) fn number(text: &mut &[u8], min: usize, max: usize) -> Option<i64> {
    let count = text.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
    if count < min {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    *text = rest;
    Some(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// Takes one byte from the front.
pub(super) fn eat(text: &mut &[u8], byte: u8) -> Option<()> {
    let (first, rest) = text.split_first()?;
    (*first == byte).then(|| *text = rest)
}

/// Splits ` BC` off the end.
fn era(text: &str) -> (&[u8], bool) {
    text.strip_suffix(" BC")
        .map_or((text.as_bytes(), false), |rest| (rest.as_bytes(), true))
}

/// `YYYY-MM-DD`; years have four to seven digits.
fn date(text: &mut &[u8], bc: bool) -> Option<i64> {
    let year = number(text, 4, 7)?;
    eat(text, b'-')?;
    let month = number(text, 2, 2)?;
    eat(text, b'-')?;
    let day = number(text, 2, 2)?;
    if year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    let year = if bc { 1 - year } else { year };
    ((1..=days_in_month(year, month)).contains(&day)).then(|| days_from_civil(year, month, day))
}

/// `HH:MM[:SS[.f…]]` as microseconds, with what is left of the fraction beyond them:
/// whether it is nothing, below, or at least a half.
fn time(text: &mut &[u8]) -> Option<(i64, Excess)> {
    let hour = number(text, 2, 2)?;
    eat(text, b':')?;
    let minute = number(text, 2, 2)?;
    let mut second = 0;
    let mut micros = 0;
    let mut excess = Excess::None;
    if eat(text, b':').is_some() {
        second = number(text, 2, 2)?;
        if eat(text, b'.').is_some() {
            (micros, excess) = fraction(text)?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, excess))
}

/// What becomes of fraction digits beyond microseconds where they may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// There are none but zeros.
    None,
    /// Rounding cuts them.
    Down,
    /// Rounding adds a microsecond.
    Up,
}

#[expect(clippy::cast_precision_loss, reason = "below a million")]
const fn whole_micros(micros: i64) -> f64 {
    micros as f64
}

fn fraction(text: &mut &[u8]) -> Option<(i64, Excess)> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    *text = rest;
    let micros = (0..6).fold(0, |value, at| {
        value * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0'))
    });
    let beyond = digits.get(6..).unwrap_or(&[]);
    if beyond.iter().all(|digit| *digit == b'0') {
        return Some((micros, Excess::None));
    }
    // As Postgres does it: the whole fraction as a float, half to even.
    let whole: f64 = format!("0.{}", std::str::from_utf8(digits).ok()?).parse().ok()?;
    let up = (whole * 1e6).round_ties_even() > whole_micros(micros);
    let excess = if up { Excess::Up } else { Excess::Down };
    Some((micros, excess))
}

/// `Z`, `UTC`, `+HH`, `+HHMM`, `+HH:MM` or `+HH:MM:SS` as microseconds east of UTC.
fn zone(text: &mut &[u8]) -> Option<i64> {
    if let [b' ', b'U' | b'Z' | b'+' | b'-', ..] = text {
        eat(text, b' ')?;
    }
    if eat(text, b'Z').or_else(|| eat(text, b'z')).is_some() {
        return Some(0);
    }
    if let Some(rest) = text.strip_prefix(b"UTC") {
        *text = rest;
        return Some(0);
    }
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *text = &text[1..];
    let hours = number(text, 2, 2)?;
    let colon = eat(text, b':').is_some();
    let minutes = number(text, 2, 2).or((!colon).then_some(0))?;
    // Local mean times, which were in use before there were zones, have seconds.
    let seconds = match eat(text, b':') {
        Some(()) if colon => number(text, 2, 2)?,
        Some(()) => return None,
        None => 0,
    };
    let east = (hours * 60 + minutes) * 60 + seconds;
    (hours <= 15 && minutes <= 59 && seconds <= 59).then_some(sign * east * 1_000_000)
}

/// Reads a date: days since 1970-01-01.
pub(super) fn read_date(text: &str) -> Result<i32, Problem> {
    let (mut rest, bc) = era(text);
    let days = date(&mut rest, bc).ok_or(Problem::Unreadable)?;
    if !rest.is_empty() {
        return Err(Problem::Unreadable);
    }
    i32::try_from(within_days(days)?).map_err(|_| Problem::OutOfRange)
}

/// Reads a time of day: microseconds since midnight, and what is beyond them.
pub(super) fn read_time(text: &str) -> Result<(i64, Excess), Problem> {
    let mut rest = text.as_bytes();
    let read = time(&mut rest).ok_or(Problem::Unreadable)?;
    if rest.is_empty() { Ok(read) } else { Err(Problem::Unreadable) }
}

/// Reads a timestamp, or a date as its midnight: microseconds since 1970-01-01 UTC (a text
/// without zone is read as UTC), and what is beyond them.
pub(super) fn read_timestamp(text: &str) -> Result<(i64, Excess), Problem> {
    let (mut rest, bc) = era(text);
    let rest = &mut rest;
    let days = date(rest, bc).ok_or(Problem::Unreadable)?;
    let mut micros = 0;
    let mut excess = Excess::None;
    if let [b' ' | b'T' | b't', tail @ ..] = *rest {
        *rest = tail;
        (micros, excess) = time(rest).ok_or(Problem::Unreadable)?;
        if !rest.is_empty() {
            micros -= zone(rest).ok_or(Problem::Unreadable)?;
        }
    }
    if !rest.is_empty() {
        return Err(Problem::Unreadable);
    }
    // An i64 of microseconds cannot hold every year of seven digits.
    days.checked_mul(DAY)
        .and_then(|days| days.checked_add(micros))
        .ok_or(Problem::OutOfRange)
        .and_then(within_micros)
        .map(|micros| (micros, excess))
}

/// `YYYY-MM-DD`; the year of the era.
pub(super) fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    let year = if year < 1 { 1 - year } else { year };
    put(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

/// ` BC` where the date is before year 1.
pub(super) fn write_era(days: i64, out: &mut String) {
    if civil_from_days(days).0 < 1 {
        out.push_str(" BC");
    }
}

/// `HH:MM:SS[.f…]` with only the fraction digits that say something.
pub(super) fn write_time(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    put(
        out,
        format_args!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    );
    write_fraction(fraction, 6, out);
}

/// A fraction of a second of `width` digits, without the zeros at its end.
pub(super) fn write_fraction(fraction: i64, width: usize, out: &mut String) {
    if fraction == 0 {
        return;
    }
    put(out, format_args!(".{fraction:0width$}"));
    out.truncate(out.trim_end_matches('0').len());
}

/// `YYYY-MM-DD HH:MM:SS[.f…]`, with `Z` where it is an instant.
pub(super) fn write_timestamp(micros: i64, zoned: bool, out: &mut String) {
    let days = micros.div_euclid(DAY);
    write_date(days, out);
    out.push(' ');
    write_time(micros.rem_euclid(DAY), out);
    if zoned {
        out.push('Z');
    }
    write_era(days, out);
}
