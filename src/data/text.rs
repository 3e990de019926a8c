//! Text forms: how values are written where the target has no type for them.
//!
//! Decimals exactly, with all digits of their scale; times as ISO 8601 with no fraction, or 3 or
//! 6 digits of one, whichever is enough; intervals as ISO 8601 durations; lists as JSON.
//! Everything is appended to a buffer that is used again for every value.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};

use crate::data::column::ColumnType;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

/// Writing to a `String` cannot fail.
macro_rules! push {
    ($out:expr, $($format:tt)*) => {
        if write!($out, $($format)*).is_err() {
            unreachable!("writing to a string");
        }
    };
}

/// A decimal with `scale` digits after the point.
pub(crate) fn decimal(out: &mut String, value: i128, scale: i8) {
    let scale = usize::from(scale.unsigned_abs());
    if value < 0 {
        out.push('-');
    }
    let start = out.len();
    // The wide division costs more than all the rest, and few numbers need it.
    match u64::try_from(value.unsigned_abs()) {
        Ok(value) => push!(out, "{value}"),
        Err(_) => push!(out, "{}", value.unsigned_abs()),
    }
    if scale == 0 {
        return;
    }
    // A digit before the point there must be.
    for _ in out.len() - start..=scale {
        out.insert(start, '0');
    }
    out.insert(out.len() - scale, '.');
}

/// Two digits of a number below 100.
fn two(out: &mut String, number: i64) {
    let number = u8::try_from(number).unwrap_or_default();
    debug_assert!(number < 100, "two digits");
    out.push(char::from(b'0' + number / 10));
    out.push(char::from(b'0' + number % 10));
}

/// A date; `false` where its year has no form of four digits.
#[must_use]
pub(crate) fn date(out: &mut String, days: i64) -> bool {
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return false;
    }
    two(out, year / 100);
    two(out, year % 100);
    out.push('-');
    two(out, month);
    out.push('-');
    two(out, day);
    true
}

/// A time of day.
pub(crate) fn time(out: &mut String, microseconds: i64) {
    let seconds = microseconds / MICROSECONDS_PER_SECOND;
    let fraction = microseconds % MICROSECONDS_PER_SECOND;
    two(out, seconds / 3600);
    out.push(':');
    two(out, seconds / 60 % 60);
    out.push(':');
    two(out, seconds % 60);
    if fraction % 1000 != 0 {
        push!(out, ".{fraction:06}");
    } else if fraction != 0 {
        push!(out, ".{:03}", fraction / 1000);
    }
}

/// A date and time; an instant gets a `Z`. `false` where its year has no form of four digits.
#[must_use]
pub(crate) fn timestamp(out: &mut String, microseconds: i64, zoned: bool) -> bool {
    let fits = date(out, microseconds.div_euclid(MICROSECONDS_PER_DAY));
    out.push(' ');
    time(out, microseconds.rem_euclid(MICROSECONDS_PER_DAY));
    if zoned {
        out.push('Z');
    }
    fits
}

/// An ISO 8601 duration; every part carries its own sign.
pub(crate) fn interval(out: &mut String, value: IntervalMonthDayNano) {
    out.push('P');
    let (years, months) = (value.months / 12, value.months % 12);
    for (number, unit) in [(years, 'Y'), (months, 'M'), (value.days, 'D')] {
        if number != 0 {
            push!(out, "{number}{unit}");
        }
    }
    let seconds = value.nanoseconds / 1_000_000_000;
    let fraction = (value.nanoseconds % 1_000_000_000).unsigned_abs();
    if value.nanoseconds != 0 {
        out.push('T');
        for (number, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
            if number != 0 {
                push!(out, "{number}{unit}");
            }
        }
        let rest = seconds % 60;
        if rest != 0 || fraction != 0 {
            let sign = if value.nanoseconds < 0 { "-" } else { "" };
            push!(out, "{sign}{}", rest.unsigned_abs());
            if fraction != 0 {
                push!(out, ".{}", format!("{fraction:09}").trim_end_matches('0'));
            }
            out.push('S');
        }
    }
    if out.ends_with('P') {
        out.push_str("T0S");
    }
}

/// A floating-point number in the shortest form that reads back as the same.
pub(crate) fn float(out: &mut String, value: f64) {
    push!(out, "{value:?}");
}

/// A UUID with hyphens, in lower case.
pub(crate) fn uuid(out: &mut String, bytes: &[u8]) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let value = uuid::Uuid::from_slice(bytes).unwrap_or_default();
    out.push_str(value.hyphenated().encode_lower(&mut buffer));
}

/// A list as a JSON array: booleans, integers and finite floats as such, JSON as it is, all else
/// as text. `false` where an element has no text form.
#[must_use]
pub(crate) fn list(out: &mut String, element: &ColumnType, items: &dyn Array) -> bool {
    let mut fits = true;
    out.push('[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(',');
        }
        if items.is_null(row) {
            out.push_str("null");
        } else {
            fits &= json_item(out, element, items, row);
        }
    }
    out.push(']');
    fits
}

pub(crate) fn json_item(out: &mut String, element: &ColumnType, items: &dyn Array, row: usize) -> bool {
    let mut fits = true;
    let mut text = String::new();
    match element {
        ColumnType::Bool => push!(out, "{}", items.as_boolean().value(row)),
        ColumnType::Int16 => push!(out, "{}", items.as_primitive::<Int16Type>().value(row)),
        ColumnType::Int32 => push!(out, "{}", items.as_primitive::<Int32Type>().value(row)),
        ColumnType::Int64 => push!(out, "{}", items.as_primitive::<Int64Type>().value(row)),
        ColumnType::Float32 => finite(out, f64::from(items.as_primitive::<Float32Type>().value(row))),
        ColumnType::Float64 => finite(out, items.as_primitive::<Float64Type>().value(row)),
        ColumnType::Json { .. } => out.push_str(items.as_string::<i32>().value(row)),
        ColumnType::List(inner) => fits = list(out, inner, items.as_list::<i32>().value(row).as_ref()),
        ColumnType::Text { .. } | ColumnType::Numeric { .. } | ColumnType::Enum { .. } => {
            quoted(out, items.as_string::<i32>().value(row));
        }
        ColumnType::Decimal { scale, .. } => decimal(&mut text, items.as_primitive::<Decimal128Type>().value(row), *scale),
        ColumnType::Uuid => uuid(&mut text, items.as_fixed_size_binary().value(row)),
        ColumnType::Date => fits = date(&mut text, i64::from(items.as_primitive::<Date32Type>().value(row))),
        ColumnType::Time { .. } => time(&mut text, items.as_primitive::<Time64MicrosecondType>().value(row)),
        ColumnType::Timestamp { zoned, .. } => {
            fits = timestamp(&mut text, items.as_primitive::<TimestampMicrosecondType>().value(row), *zoned);
        }
        ColumnType::Interval => interval(&mut text, items.as_primitive::<IntervalMonthDayNanoType>().value(row)),
        ColumnType::Bytes | ColumnType::Opaque { .. } => text = hex::encode(items.as_binary::<i32>().value(row)),
    }
    if !text.is_empty() {
        quoted(out, &text);
    }
    fits
}

fn finite(out: &mut String, value: f64) {
    if value.is_finite() {
        float(out, value);
    } else {
        quoted(out, &value.to_string());
    }
}

pub(crate) fn quoted(out: &mut String, text: &str) {
    push!(out, "{}", serde_json::Value::from(text));
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar carried
/// on in both directions.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day ends its year and a cycle of 400 years.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (value, scale, expected) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (-123_456, 3, "-123.456"),
            (i128::MIN + 1, 38, "-1.70141183460469231731687303715884105727"),
        ] {
            assert_eq!(text(|out| decimal(out, value, scale)), expected);
        }
    }

    #[test]
    fn times_have_no_fraction_or_three_or_six_digits() {
        let at = |microseconds, zoned| {
            let mut out = String::new();
            timestamp(&mut out, microseconds, zoned).then_some(out)
        };
        assert_eq!(at(0, false).as_deref(), Some("1970-01-01 00:00:00"));
        assert_eq!(at(1_709_208_000_123_000, true).as_deref(), Some("2024-02-29 12:00:00.123Z"));
        assert_eq!(at(-1, false).as_deref(), Some("1969-12-31 23:59:59.999999"));
        assert_eq!(at(-62_167_219_200_000_000, false).as_deref(), Some("0000-01-01 00:00:00"));
        assert_eq!(at(-62_167_219_200_000_001, false), None);
        assert_eq!(
            at(253_402_300_799_999_999, false).as_deref(),
            Some("9999-12-31 23:59:59.999999")
        );
        assert_eq!(at(253_402_300_800_000_000, false), None);
        assert_eq!(at(i64::MAX, true), None);
        assert_eq!(at(i64::MIN, true), None);
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = civil(-150_000);
        for days in -149_999..150_000 {
            let (year, month, day) = civil(days);
            let leap = (last.0 % 4 == 0 && last.0 % 100 != 0) || last.0 % 400 == 0;
            let length = match last.1 {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match last {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d == length => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, day), expected);
            last = expected;
        }
        assert_eq!(civil(0), (1970, 1, 1));
    }

    #[test]
    fn intervals_are_iso_durations() {
        let of = |months, days, nanoseconds| text(|out| interval(out, IntervalMonthDayNano::new(months, days, nanoseconds)));
        assert_eq!(of(0, 0, 0), "PT0S");
        assert_eq!(of(14, 3, 14_706_789_000_000), "P1Y2M3DT4H5M6.789S");
        assert_eq!(of(-1, 0, -500_000), "P-1MT-0.0005S");
        assert_eq!(of(0, 0, 3_600_000_000_000), "PT1H");
    }
}
