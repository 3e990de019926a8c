//! Intervals as ISO 8601 writes them.

use super::civil::{eat, number, write_fraction};
use super::kernel::put;

/// ISO 8601: `P1M2DT3.5S`; parts may be negative each for itself; nothing is `PT0S`.
pub(super) fn write_interval(months: i32, days: i32, nanoseconds: i64, out: &mut String) {
    out.push('P');
    for (value, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if value != 0 {
            put(out, format_args!("{value}{unit}"));
        }
    }
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if nanoseconds != 0 {
        out.push('T');
    }
    for (value, unit) in [(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M')] {
        if value != 0 {
            put(out, format_args!("{value}{unit}"));
        }
    }
    if seconds % 60 != 0 || fraction != 0 {
        if nanoseconds < 0 {
            out.push('-');
        }
        put(out, format_args!("{}", (seconds % 60).abs()));
        write_fraction(fraction.abs(), 9, out);
        out.push('S');
    }
    if out.ends_with('P') {
        out.push_str("T0S");
    }
}

/// Reads what [`write_interval`] writes, and weeks: months, days, nanoseconds.
pub(super) fn read_interval(text: &str) -> Option<(i32, i32, i64)> {
    let body = text.strip_prefix('P')?;
    let (date, time) = match body.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if body.is_empty() => return None,
        None => (body, ""),
    };
    let (mut months, mut days, mut nanos) = (0_i64, 0_i64, 0_i64);
    for (value, fraction, unit) in parts(date)? {
        if fraction != 0 {
            return None;
        }
        match unit {
            b'Y' => months = months.checked_add(value.checked_mul(12)?)?,
            b'M' => months = months.checked_add(value)?,
            b'W' => days = days.checked_add(value.checked_mul(7)?)?,
            b'D' => days = days.checked_add(value)?,
            _ => return None,
        }
    }
    for (value, fraction, unit) in parts(time)? {
        let scale = match unit {
            b'H' => 3_600_000_000_000,
            b'M' => 60_000_000_000,
            b'S' => 1_000_000_000,
            _ => return None,
        };
        if fraction != 0 && unit != b'S' {
            return None;
        }
        nanos = nanos.checked_add(value.checked_mul(scale)?)?.checked_add(fraction)?;
    }
    Some((i32::try_from(months).ok()?, i32::try_from(days).ok()?, nanos))
}

/// `[-]digits[.digits]unit` after each other: whole part, fraction in billionths, unit.
fn parts(text: &str) -> Option<Vec<(i64, i64, u8)>> {
    let mut rest = text.as_bytes();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let sign = if eat(&mut rest, b'-').is_some() { -1 } else { 1 };
        let value = number(&mut rest, 1, 18)?;
        let mut billionths = 0;
        if eat(&mut rest, b'.').is_some() {
            let before = rest.len();
            billionths = number(&mut rest, 1, 9)?;
            for _ in before - rest.len()..9 {
                billionths *= 10;
            }
        }
        let (unit, tail) = rest.split_first()?;
        rest = tail;
        found.push((sign * value, sign * billionths, *unit));
    }
    Some(found)
}
