//! One value of any storage class as one of an exact type: the cells of the table in [`super::decode`].

use std::fmt::Write as _;

use arrow::array::StringBuilder;
use rusqlite::types::ValueRef;

use super::number::{self, EXACT_INTEGERS_END, FloatText, Number};
use super::problem::Problem;

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)
}

pub(super) fn boolean(value: ValueRef<'_>) -> Result<bool, Problem> {
    match value {
        ValueRef::Integer(0) | ValueRef::Text(b"0" | b"f" | b"false") => Ok(false),
        ValueRef::Integer(1) | ValueRef::Text(b"1" | b"t" | b"true") => Ok(true),
        ValueRef::Integer(_) => Err(Problem::Range),
        ValueRef::Text(bytes) => utf8(bytes).and(Err(Problem::NotBoolean)),
        _ => Err(Problem::Class),
    }
}

pub(super) fn integer(value: ValueRef<'_>) -> Result<i64, Problem> {
    match value {
        ValueRef::Integer(value) => Ok(value),
        ValueRef::Real(value) => number::float_to_integer(value),
        ValueRef::Text(bytes) => Number::parse(utf8(bytes)?).ok_or(Problem::NotNumber)?.integer(),
        _ => Err(Problem::Class),
    }
}

pub(super) fn double(value: ValueRef<'_>) -> Result<f64, Problem> {
    match value {
        ValueRef::Real(value) => Ok(value),
        ValueRef::Integer(value) => number::integer_to_float(value),
        ValueRef::Text(bytes) => number::float(utf8(bytes)?),
        _ => Err(Problem::Class),
    }
}

pub(super) fn single(value: ValueRef<'_>) -> Result<f32, Problem> {
    match value {
        ValueRef::Real(value) => number::narrow(value),
        ValueRef::Integer(value) => number::narrow(number::integer_to_float(value)?),
        ValueRef::Text(bytes) => number::single(utf8(bytes)?),
        _ => Err(Problem::Class),
    }
}

pub(super) fn decimal(value: ValueRef<'_>, precision: u8, scale: i8) -> Result<i128, Problem> {
    match value {
        ValueRef::Integer(value) => {
            let factor = 10i128.pow(u32::try_from(scale).map_err(|_| Problem::Range)?);
            // 19 digits times 10^38 does not fit in 128 bits.
            let scaled = i128::from(value).checked_mul(factor).ok_or(Problem::Range)?;
            if scaled.unsigned_abs() < 10u128.pow(u32::from(precision)) {
                Ok(scaled)
            } else {
                Err(Problem::Range)
            }
        }
        ValueRef::Real(value) => match Number::parse(FloatText::scientific(value).as_str()) {
            Some(number) => number.scaled(precision, scale),
            None => Err(Problem::Range),
        },
        ValueRef::Text(bytes) => Number::parse(utf8(bytes)?)
            .ok_or(Problem::NotNumber)?
            .scaled(precision, scale),
        _ => Err(Problem::Class),
    }
}

/// Appends exact decimal text. A failure part-way cannot happen: limits are checked first.
pub(super) fn numeric(value: ValueRef<'_>, limits: Option<(u16, i16)>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Integer(value) if limits.is_none() => append_display(cells, value),
        ValueRef::Integer(value) => {
            let digits = value.to_string();
            Number::parse(&digits).ok_or(Problem::NotNumber)?.write_plain(limits, cells)?;
            cells.append_value("");
        }
        ValueRef::Real(value) if value.is_infinite() && limits.is_none() => {
            cells.append_value(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        ValueRef::Real(value) => {
            Number::parse(FloatText::scientific(value).as_str())
                .ok_or(Problem::Range)?
                .write_plain(limits, cells)?;
            cells.append_value("");
        }
        ValueRef::Text(bytes) => {
            Number::parse(utf8(bytes)?)
                .ok_or(Problem::NotNumber)?
                .write_plain(limits, cells)?;
            cells.append_value("");
        }
        _ => return Err(Problem::Class),
    }
    Ok(())
}

pub(super) fn append_display(cells: &mut StringBuilder, value: i64) {
    let written = write!(cells, "{value}");
    debug_assert!(written.is_ok(), "writing to a string builder does not fail");
    cells.append_value("");
}

pub(super) fn text(value: ValueRef<'_>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Text(bytes) => cells.append_value(utf8(bytes)?),
        ValueRef::Integer(value) => append_display(cells, value),
        ValueRef::Real(value) if value.is_finite() => cells.append_value(FloatText::plain(value).as_str()),
        ValueRef::Real(_) => return Err(Problem::Range),
        _ => return Err(Problem::Class),
    }
    Ok(())
}

pub(super) fn json(value: ValueRef<'_>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Text(bytes) => {
            let text = utf8(bytes)?;
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Problem::NotJson)?;
            cells.append_value(text);
            Ok(())
        }
        other => document(other, cells),
    }
}

/// As [`json()`], of texts that others look at.
pub(super) fn document(value: ValueRef<'_>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Text(bytes) => cells.append_value(utf8(bytes)?),
        ValueRef::Integer(value) => append_display(cells, value),
        // A column declared JSON has numeric affinity: SQLite has turned bare numbers into floats.
        ValueRef::Real(value) if value.abs() < EXACT_INTEGERS_END => cells.append_value(FloatText::plain(value).as_str()),
        ValueRef::Real(_) => return Err(Problem::BigFloat),
        _ => return Err(Problem::Class),
    }
    Ok(())
}

pub(super) fn iso(value: ValueRef<'_>) -> Result<&str, Problem> {
    match value {
        ValueRef::Text(bytes) => utf8(bytes),
        ValueRef::Integer(_) | ValueRef::Real(_) => Err(Problem::NumberForTime),
        _ => Err(Problem::Class),
    }
}

pub(super) fn uuid(value: ValueRef<'_>) -> Result<[u8; 16], Problem> {
    match value {
        ValueRef::Blob(bytes) => bytes.try_into().map_err(|_| Problem::NotUuid),
        // The parser also knows braces and `urn:uuid:`, which are other spellings.
        ValueRef::Text(bytes) if matches!(bytes.len(), 32 | 36) => uuid::Uuid::try_parse_ascii(bytes)
            .map(uuid::Uuid::into_bytes)
            .map_err(|_| Problem::NotUuid),
        ValueRef::Text(bytes) => utf8(bytes).and(Err(Problem::NotUuid)),
        _ => Err(Problem::Class),
    }
}
