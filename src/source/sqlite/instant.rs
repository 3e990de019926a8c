//! Dates, times and intervals in text: strict ISO 8601, as SQLite and PocketBase write it.
//!
//! | wanted | text |
//! |---|---|
//! | date | `YYYY-MM-DD`, or a timestamp that is exactly midnight in UTC |
//! | time | `HH:MM[:SS[.f]]` |
//! | timestamp | `YYYY-MM-DD`, then optionally a blank or `T`, `HH:MM[:SS[.f]]` and `Z`, `±HH`, `±HHMM` or `±HH:MM` |
//! | interval | `PnYnMnWnDTnHnMn.nS`, each number with its own sign |
//!
//! A text without zone is UTC. A fraction has up to six digits; further ones must be zeros.
//! Years are 0001 to 9999.

use arrow::datatypes::IntervalMonthDayNano;

use super::problem::Problem;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROSECONDS_PER_DAY: i64 = SECONDS_PER_DAY * MICROSECONDS_PER_SECOND;

/// Days since 1970-01-01.
pub(super) fn date(text: &str) -> Result<i32, Problem> {
    let micros = timestamp(text).map_err(|problem| match problem {
        Problem::NotTimestamp => Problem::NotDate,
        other => other,
    })?;
    if micros.rem_euclid(MICROSECONDS_PER_DAY) != 0 {
        return Err(Problem::NotMidnight);
    }
    i32::try_from(micros.div_euclid(MICROSECONDS_PER_DAY)).map_err(|_| Problem::Range)
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, Problem> {
    let mut cursor = Cursor(text.as_bytes());
    match cursor.time() {
        Ok(Some(micros)) if cursor.0.is_empty() => Ok(micros),
        Err(Problem::Digits) => Err(Problem::Digits),
        _ => Err(Problem::NotTime),
    }
}

/// Microseconds since 1970-01-01 00:00:00 UTC.
pub(super) fn timestamp(text: &str) -> Result<i64, Problem> {
    let mut cursor = Cursor(text.as_bytes());
    let days = cursor.date().ok_or(Problem::NotTimestamp)?;
    if cursor.0.is_empty() {
        return Ok(days * MICROSECONDS_PER_DAY);
    }
    if !cursor.eat(b' ') && !cursor.eat(b'T') {
        return Err(Problem::NotTimestamp);
    }
    let micros = cursor.time()?.ok_or(Problem::NotTimestamp)?;
    let offset = cursor.offset().ok_or(Problem::NotTimestamp)?;
    Ok(days * MICROSECONDS_PER_DAY + micros - offset * MICROSECONDS_PER_SECOND)
}

/// Bytes not yet read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Exactly `count` digits.
    fn number(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let value = digits.iter().try_fold(0i64, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
        })?;
        self.0 = rest;
        Some(value)
    }

    fn below(&mut self, end: i64) -> Option<i64> {
        self.number(2).filter(|value| *value < end)
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.number(4).filter(|year| *year > 0)?;
        let month = self.eat(b'-').then(|| self.number(2))??;
        let day = self.eat(b'-').then(|| self.number(2))??;
        (1..=days_in_month(year, month)?)
            .contains(&day)
            .then(|| days_from_civil(year, month, day))
    }

    /// `HH:MM[:SS[.f]]` in microseconds; `None` where it is something else.
    fn time(&mut self) -> Result<Option<i64>, Problem> {
        let Some((hour, minute)) = self.hour_and_minute() else {
            return Ok(None);
        };
        let mut micros = (hour * 60 + minute) * 60 * MICROSECONDS_PER_SECOND;
        if self.eat(b':') {
            let Some(second) = self.below(60) else { return Ok(None) };
            micros += second * MICROSECONDS_PER_SECOND;
            if self.eat(b'.') {
                match self.fraction()? {
                    Some(fraction) => micros += fraction,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(micros))
    }

    fn hour_and_minute(&mut self) -> Option<(i64, i64)> {
        let hour = self.below(24)?;
        let minute = self.eat(b':').then(|| self.below(60))??;
        Some((hour, minute))
    }

    /// Digits after the point, in microseconds.
    fn fraction(&mut self) -> Result<Option<i64>, Problem> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        if digits.is_empty() {
            return Ok(None);
        }
        if digits.iter().skip(6).any(|digit| *digit != b'0') {
            return Err(Problem::Digits);
        }
        self.0 = rest;
        let digit = |place: usize| digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        Ok(Some((0..6).fold(0, |value, place| value * 10 + digit(place))))
    }

    /// Seconds east of UTC; nothing may follow.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.0 {
            [] | [b'Z'] => return Some(0),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.below(24)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.eat(b':');
            self.below(60)?
        };
        self.0.is_empty().then_some(sign * (hours * 60 + minutes) * 60)
    }
}

fn days_in_month(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => return None,
    })
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in eras of 400 years that
/// begin in March, so that the leap day is the last of its year.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// An ISO 8601 duration. Only seconds have a fraction; years are twelve months, weeks seven days.
pub(super) fn interval(text: &str) -> Result<IntervalMonthDayNano, Problem> {
    let mut rest = text.strip_prefix('P').ok_or(Problem::NotInterval)?;
    let (mut months, mut days, mut nanoseconds) = (0i64, 0i64, 0i64);
    let (mut in_time, mut parts, mut last_unit) = (false, 0u32, 0usize);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|_| !in_time) {
            (in_time, rest, last_unit) = (true, after, 0);
            if after.is_empty() {
                return Err(Problem::NotInterval);
            }
            continue;
        }
        let at = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Problem::NotInterval)?;
        let (number, unit) = (&rest[..at], rest.as_bytes()[at]);
        let order = if in_time { "HMS" } else { "YMWD" };
        let place = order.bytes().position(|known| known == unit).ok_or(Problem::NotInterval)? + 1;
        if place <= last_unit {
            return Err(Problem::NotInterval);
        }
        let (target, factor) = match (in_time, unit) {
            (false, b'Y') => (&mut months, 12),
            (false, b'M') => (&mut months, 1),
            (false, b'W') => (&mut days, 7),
            (false, _) => (&mut days, 1),
            (true, b'H') => (&mut nanoseconds, 3_600_000_000_000),
            (true, b'M') => (&mut nanoseconds, 60_000_000_000),
            (true, _) => (&mut nanoseconds, 1_000_000_000),
        };
        let amount = interval_part(number, factor, unit == b'S')?;
        *target = target.checked_add(amount).ok_or(Problem::Range)?;
        (last_unit, parts, rest) = (place, parts + 1, &rest[at + 1..]);
    }
    if parts == 0 {
        return Err(Problem::NotInterval);
    }
    Ok(IntervalMonthDayNano {
        months: i32::try_from(months).map_err(|_| Problem::Range)?,
        days: i32::try_from(days).map_err(|_| Problem::Range)?,
        nanoseconds,
    })
}

fn interval_part(number: &str, factor: i64, fraction: bool) -> Result<i64, Problem> {
    let number = super::number::Number::parse(number).ok_or(Problem::NotInterval)?;
    if fraction {
        // Microseconds are what the targets hold.
        let micros = number.scaled(25, 6).map_err(|problem| match problem {
            Problem::Fraction => Problem::Digits,
            other => other,
        })?;
        return i64::try_from(micros * 1_000).map_err(|_| Problem::Range);
    }
    let whole = number.integer().map_err(|problem| match problem {
        Problem::Fraction => Problem::NotInterval,
        other => other,
    })?;
    whole.checked_mul(factor).ok_or(Problem::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_in_all_their_spellings() {
        let noon = 1_709_208_000_000_000; // 2024-02-29 12:00:00 UTC
        for text in [
            "2024-02-29 12:00:00Z",
            "2024-02-29T12:00:00",
            "2024-02-29 12:00",
            "2024-02-29 12:00:00.000Z",
            "2024-02-29 12:00:00.000000000Z",
            "2024-02-29T14:30:00+02:30",
            "2024-02-29T14:30:00+0230",
            "2024-02-29 07:00:00-05",
        ] {
            assert_eq!(timestamp(text), Ok(noon), "{text}");
        }
        assert_eq!(timestamp("2024-02-29 12:00:00.1Z"), Ok(noon + 100_000));
        assert_eq!(timestamp("2024-02-29 12:00:00.123456"), Ok(noon + 123_456));
        assert_eq!(timestamp("1970-01-01"), Ok(0));
        assert_eq!(timestamp("1969-12-31 23:59:59.999Z"), Ok(-1_000));
        assert_eq!(timestamp("0001-01-01"), Ok(-62_135_596_800_000_000));
        assert_eq!(timestamp("9999-12-31 23:59:59.999999Z"), Ok(253_402_300_799_999_999));
    }

    #[test]
    fn what_is_no_timestamp() {
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "0000-00-00 00:00:00",
            "2024-13-01",
            "2024-04-31",
            "2024-02-29 24:00:00",
            "2024-02-29 12:60:00",
            "2024-02-29 12:00:60",
            "2024-02-29  12:00:00",
            " 2024-02-29",
            "2024-02-29 12",
            "2024-02-29 12:00:00.",
            "2024-02-29 12:00:00 Z",
            "2024-02-29Z",
            "2024-02-29 12:00:00+2",
            "2024-02-29 12:00:00Zx",
            "24-02-29",
            "12024-02-29",
            "1709208000",
        ] {
            assert_eq!(timestamp(text), Err(Problem::NotTimestamp), "{text}");
        }
        assert_eq!(timestamp("2024-02-29 12:00:00.1234567Z"), Err(Problem::Digits));
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(date("1970-01-02"), Ok(1));
        assert_eq!(date("2000-03-01"), Ok(11_017));
        assert_eq!(date("2000-03-01 00:00:00.000Z"), Ok(11_017));
        assert_eq!(date("2000-03-01 02:00:00+02:00"), Ok(11_017));
        assert_eq!(date("2000-03-01 00:00:01"), Err(Problem::NotMidnight));
        assert_eq!(date("1.3.2000"), Err(Problem::NotDate));
        assert_eq!(time("23:59:59.5"), Ok(86_399_500_000));
        assert_eq!(time("08:30"), Ok(30_600_000_000));
        for text in ["", "8:30", "24:00", "08:30Z", "08:30:00.", "08:30:00 "] {
            assert_eq!(time(text), Err(Problem::NotTime), "{text}");
        }
        assert_eq!(time("08:30:00.0000001"), Err(Problem::Digits));
    }

    #[test]
    fn every_day_of_four_centuries_is_counted_once() {
        let mut expected = days_from_civil(1800, 1, 1);
        for year in 1800..2200 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month).expect("a month") {
                    assert_eq!(days_from_civil(year, month, day), expected);
                    expected += 1;
                }
            }
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
    }

    #[test]
    fn intervals() {
        let made = |months, days, nanoseconds| {
            Ok(IntervalMonthDayNano {
                months,
                days,
                nanoseconds,
            })
        };
        assert_eq!(
            interval("P1Y2M1W3DT4H5M6.5S"),
            made(14, 10, ((4 * 60 + 5) * 60 + 6) * 1_000_000_000 + 500_000_000)
        );
        assert_eq!(interval("P-1M"), made(-1, 0, 0));
        assert_eq!(interval("PT0S"), made(0, 0, 0));
        assert_eq!(interval("PT-1.000001S"), made(0, 0, -1_000_001_000));
        for text in [
            "", "P", "PT", "P1DT", "1D", "P1H", "PT1D", "P1.5D", "P1D1Y", "P1M1M", "PT1HT1M", "P1", "P D",
        ] {
            assert_eq!(interval(text), Err(Problem::NotInterval), "{text}");
        }
        assert_eq!(interval("PT0.0000001S"), Err(Problem::Digits));
        assert_eq!(interval("P999999999999M"), Err(Problem::Range));
    }
}
