//! Single values out of their binary form, and what may be wrong with them.

use std::net::IpAddr;

use arrow::datatypes::IntervalMonthDayNano;

use super::Unfit;
use crate::cql::number::{self, TooLong};
use crate::cql::vint;
use crate::data::column::{DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};
use crate::data::reject::Reason;

/// Day 0 of a `date`, counted from 1970-01-01.
const DATE_ZERO: i64 = -(1 << 31);
/// Nanoseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000_000;

/// What is wrong with a value; in words only where it is told.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Not the binary form of the type.
    Malformed,
    /// No bytes at all, which CQL allows for every type, and which is neither NULL nor a value.
    Empty,
    /// Not UTF-8.
    Encoding,
    /// Beyond the ends of what it travels as.
    OutOfRange(&'static str),
    /// Finer than what it travels as.
    Inexact(&'static str),
    /// Of an element.
    Element(Unfit),
}

impl Problem {
    #[cold]
    pub(crate) fn unfit(self, ty: &str) -> Unfit {
        let (reason, detail) = match self {
            Self::Malformed => (Reason::Unreadable, format!("the value is not in the binary form of {ty}")),
            Self::Empty => (
                Reason::Unreadable,
                format!("the value is empty: neither NULL nor a value of {ty}"),
            ),
            Self::Encoding => (Reason::Unreadable, "the text is not valid UTF-8".to_owned()),
            Self::OutOfRange(what) => (Reason::OutOfRange, what.to_owned()),
            Self::Inexact(what) => (Reason::Inexact, what.to_owned()),
            Self::Element(unfit) => return unfit,
        };
        Unfit { reason, detail }
    }
}

impl From<TooLong> for Problem {
    fn from(_: TooLong) -> Self {
        Self::OutOfRange("the number has more than 1000 digits")
    }
}

pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| unlike(bytes))
}

const fn unlike(bytes: &[u8]) -> Problem {
    if bytes.is_empty() {
        Problem::Empty
    } else {
        Problem::Malformed
    }
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::Encoding)
}

/// Appends the digits.
pub(super) fn varint(bytes: &[u8], out: &mut String) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Err(Problem::Empty);
    }
    Ok(number::digits(bytes, out)?)
}

/// Appends the digits.
pub(super) fn decimal(bytes: &[u8], out: &mut String) -> Result<(), Problem> {
    let (scale, unscaled) = bytes.split_first_chunk::<4>().ok_or_else(|| unlike(bytes))?;
    if unscaled.is_empty() {
        return Err(Problem::Malformed);
    }
    Ok(number::scaled(unscaled, i32::from_be_bytes(*scale), out)?)
}

pub(super) fn inet(bytes: &[u8]) -> Result<IpAddr, Problem> {
    match bytes.len() {
        4 => Ok(IpAddr::from(fixed::<4>(bytes)?)),
        _ => Ok(IpAddr::from(fixed::<16>(bytes)?)),
    }
}

/// Days since 1970-01-01, of which the outermost two stand for infinity in Arrow.
pub(super) fn date(bytes: &[u8]) -> Result<i32, Problem> {
    let days = days(bytes)?;
    match i32::try_from(days) {
        Ok(DATE_INFINITY | DATE_MINUS_INFINITY) | Err(_) => Err(Problem::OutOfRange("the date is beyond the years that are moved")),
        Ok(days) => Ok(days),
    }
}

/// Days since 1970-01-01, all of them.
pub(super) fn days(bytes: &[u8]) -> Result<i64, Problem> {
    Ok(i64::from(u32::from_be_bytes(fixed(bytes)?)) + DATE_ZERO)
}

/// Nanoseconds since midnight.
pub(super) fn nanoseconds(bytes: &[u8]) -> Result<i64, Problem> {
    let nanoseconds = i64::from_be_bytes(fixed(bytes)?);
    if (0..DAY).contains(&nanoseconds) {
        Ok(nanoseconds)
    } else {
        Err(Problem::Malformed)
    }
}

/// Microseconds since midnight.
pub(super) fn time(bytes: &[u8]) -> Result<i64, Problem> {
    let nanoseconds = nanoseconds(bytes)?;
    if nanoseconds % 1_000 != 0 {
        return Err(Problem::Inexact("the time has nanoseconds, and microseconds are compared"));
    }
    Ok(nanoseconds / 1_000)
}

/// Microseconds since 1970.
pub(super) fn timestamp(bytes: &[u8]) -> Result<i64, Problem> {
    let milliseconds = i64::from_be_bytes(fixed(bytes)?);
    let beyond = Problem::OutOfRange("the timestamp is beyond the years that are moved");
    match milliseconds.checked_mul(1_000) {
        Some(TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) | None => Err(beyond),
        Some(microseconds) => Ok(microseconds),
    }
}

/// Months, days and nanoseconds, each a number of as many bytes as it needs.
pub(super) fn duration(mut bytes: &[u8]) -> Result<IntervalMonthDayNano, Problem> {
    if bytes.is_empty() {
        return Err(Problem::Empty);
    }
    let mut next = || vint::take(&mut bytes).ok_or(Problem::Malformed);
    let (months, days, nanoseconds) = (next()?, next()?, next()?);
    let small = |value: i64| i32::try_from(value).map_err(|_| Problem::Malformed);
    if !bytes.is_empty() {
        return Err(Problem::Malformed);
    }
    Ok(IntervalMonthDayNano::new(small(months)?, small(days)?, nanoseconds))
}
