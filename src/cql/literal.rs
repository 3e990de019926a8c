//! Scalars out of their text, into the bytes that CQL has for them.
//!
//! Reads what [`spell`](super::decode::json::spell) writes, and what else means the same: dates and
//! times as ISO 8601, UUIDs in upper case, numbers with an exponent.

use std::net::IpAddr;

use scylla::cluster::metadata::NativeType;

use super::decode::json::UNITS;
use super::{number, vint};
use crate::data::reject::Reason;
use crate::data::text::civil;

/// Day 0 of a `date`, counted from 1970-01-01.
const DATE_ZERO: i64 = -(1 << 31);

/// Why a text has no such value: class, and in words.
pub(crate) type Fault = (Reason, &'static str);

/// Appends the bytes of a scalar.
///
/// # Errors
/// [`Fault`], without having appended anything.
pub(crate) fn put(native: &NativeType, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    match native {
        NativeType::Text => out.extend_from_slice(text.as_bytes()),
        NativeType::Ascii if text.is_ascii() => out.extend_from_slice(text.as_bytes()),
        NativeType::Ascii => return Err((Reason::OutOfRange, "the text has characters that are not ASCII")),
        NativeType::Boolean => out.push(match text {
            "true" => 1,
            "false" => 0,
            _ => return Err((Reason::Unreadable, "the text is neither `true` nor `false`")),
        }),
        NativeType::TinyInt => out.extend_from_slice(&small::<1>(text)?),
        NativeType::SmallInt => out.extend_from_slice(&small::<2>(text)?),
        NativeType::Int => out.extend_from_slice(&small::<4>(text)?),
        NativeType::BigInt => out.extend_from_slice(&small::<8>(text)?),
        NativeType::Varint => out.extend_from_slice(&number::integer(text).map_err(fault)?),
        NativeType::Decimal => {
            let read = number::decimal(text).map_err(fault)?;
            out.extend_from_slice(&read.scale.to_be_bytes());
            out.extend_from_slice(&read.unscaled);
        }
        NativeType::Float => {
            let number: f32 = float(text)?;
            exact(text, number.is_finite(), &format!("{number:?}"))?;
            out.extend_from_slice(&number.to_be_bytes());
        }
        NativeType::Double => {
            let number: f64 = float(text)?;
            exact(text, number.is_finite(), &format!("{number:?}"))?;
            out.extend_from_slice(&number.to_be_bytes());
        }
        NativeType::Blob => {
            let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
            out.extend_from_slice(&bytes.ok_or((Reason::Unreadable, "the text is no `0x` with hexadecimal digits"))?);
        }
        NativeType::Uuid | NativeType::Timeuuid => out.extend_from_slice(&uuid(text, matches!(native, NativeType::Timeuuid))?),
        NativeType::Inet => match text.parse() {
            Ok(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
            Ok(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
            Err(_) => return Err((Reason::Unreadable, "the text is no IP address")),
        },
        NativeType::Date => {
            let days = day(text).ok_or((Reason::Unreadable, "the text is no date"))?;
            let days = u32::try_from(days - DATE_ZERO).map_err(|_| (Reason::OutOfRange, "the date is beyond those of CQL"))?;
            out.extend_from_slice(&days.to_be_bytes());
        }
        NativeType::Time => {
            let time = clock(text).ok_or((Reason::Unreadable, "the text is no time of day"))?;
            out.extend_from_slice(&time.to_be_bytes());
        }
        NativeType::Timestamp => out.extend_from_slice(&timestamp(text)?.to_be_bytes()),
        NativeType::Duration => duration(text, out).ok_or((Reason::Unreadable, "the text is no duration such as 1mo2d3s"))?,
        _ => return Err((Reason::Refused, "the type holds no value that can be written")),
    }
    Ok(())
}

/// An integer of `N` bytes.
fn small<const N: usize>(text: &str) -> Result<[u8; N], Fault> {
    let bytes = number::integer(text).map_err(fault)?;
    let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
    let start = N
        .checked_sub(bytes.len())
        .ok_or((Reason::OutOfRange, "the number is out of the range of its type"))?;
    let mut whole = [sign; N];
    whole[start..].copy_from_slice(&bytes);
    Ok(whole)
}

const fn fault(fault: number::Fault) -> Fault {
    match fault {
        number::Fault::Malformed => (Reason::Unreadable, "the text is no number of its type"),
        number::Fault::TooLong => (Reason::OutOfRange, "the number has more than 1000 digits"),
    }
}

fn float<T: std::str::FromStr>(text: &str) -> Result<T, Fault> {
    if !matches!(text, "NaN" | "Infinity" | "-Infinity") {
        // Rust reads other words for what is no number.
        number::decimal(text).map_err(fault)?;
    }
    text.parse()
        .map_err(|_| (Reason::Unreadable, "the text is no number of its type"))
}

/// The shortest text of the float must be the same number: else digits are lost.
fn exact(text: &str, finite: bool, shortest: &str) -> Result<(), Fault> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Ok(());
    }
    let same = |text: &str| {
        let read = number::decimal(text).ok()?;
        let mut plain = String::new();
        number::scaled(&read.unscaled, read.scale, &mut plain).ok()?;
        Some(significant(&plain))
    };
    if finite && same(text) == same(shortest) {
        return Ok(());
    }
    Err((Reason::Inexact, "the number has more digits than its type keeps"))
}

/// Sign, digits without zeros at either end, and the place of the first.
fn significant(plain: &str) -> (bool, String, i64) {
    let (plain, exponent) = plain
        .split_once('e')
        .map_or((plain, 0), |(plain, exponent)| (plain, exponent.parse().unwrap_or(0)));
    let negative = plain.starts_with('-');
    let (whole, fraction) = plain
        .trim_start_matches('-')
        .split_once('.')
        .unwrap_or((plain.trim_start_matches('-'), ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let kept = digits.trim_matches('0').to_owned();
    if kept.is_empty() {
        return (negative, kept, 0);
    }
    let place = i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(leading).unwrap_or(0) + exponent;
    (negative, kept, place)
}

fn uuid(text: &str, of_time: bool) -> Result<[u8; 16], Fault> {
    let read = if text.len() == 36 {
        uuid::Uuid::try_parse(text).ok()
    } else {
        None
    };
    let read = read.ok_or((Reason::Unreadable, "the text is no UUID"))?;
    if of_time && read.get_version_num() != 1 {
        return Err((Reason::Refused, "the UUID is not one of a time (version 1)"));
    }
    Ok(read.into_bytes())
}

/// Days since 1970-01-01.
fn day(text: &str) -> Option<i64> {
    let (rest, day) = text.rsplit_once('-')?;
    let (year, month) = rest.rsplit_once('-')?;
    let digits = year.trim_start_matches(['+', '-']);
    if digits.len() < 4 || digits.len() > 9 || year.len() > digits.len() + 1 {
        return None;
    }
    let (year, month, day) = (year.parse().ok()?, two(month)?, two(day)?);
    let days = days_of(year, month, day);
    (civil(days) == (year, month, day)).then_some(days)
}

const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    cycle * 146_097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - 719_468
}

fn two(text: &str) -> Option<i64> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Nanoseconds since midnight.
fn clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':').map(two);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
    Some((hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + fraction)
}

/// Milliseconds since 1970.
fn timestamp(text: &str) -> Result<i64, Fault> {
    let none = (Reason::Unreadable, "the text is no timestamp with `Z` at its end");
    let (date, time) = text
        .strip_suffix('Z')
        .and_then(|text| text.split_once([' ', 'T']))
        .ok_or(none)?;
    let (days, nanoseconds) = (day(date).ok_or(none)?, clock(time).ok_or(none)?);
    if nanoseconds % 1_000_000 != 0 {
        return Err((Reason::Inexact, "the timestamp is finer than the milliseconds of CQL"));
    }
    // Years of nine digits are far from the ends of 64 bits.
    Ok(days * 86_400_000 + nanoseconds / 1_000_000)
}

/// Months, days and nanoseconds, in the units that CQL writes.
fn duration(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mut months, mut days, mut nanoseconds) = (0u64, 0u64, 0u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|char: char| !char.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|char: char| char.is_ascii_digit()).unwrap_or(rest.len());
        let unit;
        (unit, rest) = rest.split_at(end);
        match unit {
            "y" => months = months.checked_add(number.checked_mul(12)?)?,
            "mo" => months = months.checked_add(number)?,
            "d" => days = days.checked_add(number)?,
            _ => {
                let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
                nanoseconds = nanoseconds.checked_add(number.checked_mul(*length)?)?;
            }
        }
    }
    let signed = |value: u64| {
        let value = i128::from(value);
        i64::try_from(if negative { -value } else { value }).ok()
    };
    let (months, days, nanoseconds) = (signed(months)?, signed(days)?, signed(nanoseconds)?);
    i32::try_from(months).ok()?;
    i32::try_from(days).ok()?;
    for value in [months, days, nanoseconds] {
        vint::put(value, out);
    }
    Some(())
}
