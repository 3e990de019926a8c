//! From SQLite's storage classes to columns of exact types.
//!
//! Any class may stand in any column, so each value is decoded by its own class into the type
//! that is wanted, exactly, or the row is a reject (Invariant 6):
//!
//! | wanted | integer | real | text | blob |
//! |---|---|---|---|---|
//! | boolean | 0, 1 | – | `0` `1` `t` `f` `true` `false` | – |
//! | smallint, integer, bigint | in range | whole, below 2^53 | exact number, whole, in range | – |
//! | real, double precision | if it has that float | same float | up to 15 (6) digits, or the float's shortest spelling | – |
//! | numeric(p,s), numeric | in range | its shortest decimal text | exact number within p and s | – |
//! | text, enum | its digits | its shortest text | as it is | – |
//! | json | its digits | its shortest text, below 2^53 | valid JSON, spelling kept | – |
//! | date, time, timestamp, interval | – | – | ISO 8601, see [`super::instant`] | – |
//! | uuid | – | – | 32 digits, with or without hyphens | 16 bytes |
//! | bytea | – | – | – | as it is |
//! | list | – | – | JSON array of such elements | – |
//!
//! NULL is NULL. Numbers in date columns are refused because SQLite itself knows three meanings
//! for them (seconds, milliseconds, Julian days): the mapping reads such a column as `bigint` or
//! `double precision` (`[stream.types]`) and says which. Limits that only a target has
//! (`varchar(n)`, fraction digits of a timestamp, enum labels) are the transform's.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, ListArray, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use rusqlite::types::ValueRef;
use serde_json::value::RawValue;

use super::catalog::Empty;
use super::instant;
use super::number::{self, EXACT_INTEGERS_END, FloatText, Number};
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::{Error, ErrorKind, Result};

/// What is wrong with a value. Names no value (Invariant 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A storage class that has no such meaning.
    Class,
    /// A number where a date or time is wanted.
    NumberForTime,
    NotUtf8,
    NotBoolean,
    NotNumber,
    NotDate,
    NotTime,
    NotTimestamp,
    NotInterval,
    NotUuid,
    NotJson,
    NotList,
    /// Outside the type's range.
    Range,
    /// Fraction digits that the type does not have.
    Fraction,
    /// More digits than the type can hold.
    Digits,
    /// A float so large that it may be an integer that lost digits.
    BigFloat,
    /// A time of day where only a date is wanted.
    NotMidnight,
}

impl Problem {
    const fn reason(self) -> Reason {
        match self {
            Self::Range => Reason::OutOfRange,
            Self::Fraction | Self::Digits | Self::BigFloat | Self::NotMidnight => Reason::Inexact,
            Self::NotJson => Reason::Json,
            _ => Reason::Unreadable,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Class => "this storage class has no such value",
            Self::NumberForTime => {
                "a number may be seconds, milliseconds or a Julian day: read it as bigint or double precision in [stream.types] and convert it"
            }
            Self::NotUtf8 => "not valid UTF-8",
            Self::NotBoolean => "neither true nor false",
            Self::NotNumber => "not a number",
            Self::NotDate => "not a date in ISO 8601",
            Self::NotTime => "not a time in ISO 8601",
            Self::NotTimestamp => "not a timestamp in ISO 8601",
            Self::NotInterval => "not a duration in ISO 8601",
            Self::NotUuid => "not a UUID",
            Self::NotJson => "not valid JSON",
            Self::NotList => "not a JSON array of such elements",
            Self::Range => "outside its range",
            Self::Fraction => "it has more fraction digits",
            Self::Digits => "it has more digits than fit exactly",
            Self::BigFloat => "a float from 2^53 on may be an integer that lost digits",
            Self::NotMidnight => "its time of day is not midnight in UTC",
        }
    }
}

/// Why a row could not be read.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Decodes one column of a statement and gathers its values.
pub(super) struct ColumnReader {
    ty: ColumnType,
    empty: Empty,
    cells: Cells,
}

impl ColumnReader {
    /// A reader for values of type `ty`. `empty`: what `''` stands for.
    ///
    /// # Errors
    /// For types that no SQLite value has.
    pub(super) fn new(ty: &ColumnType, empty: Empty, rows: usize) -> Result<Self> {
        let cells = Cells::new(ty, rows).ok_or_else(|| {
            Error::new(ErrorKind::Mapping, format!("an SQLite column cannot be read as {ty}"))
                .hint("name another type in [stream.types]")
        })?;
        Ok(Self {
            ty: ty.clone(),
            empty,
            cells,
        })
    }

    /// Appends a value, or nothing and says why.
    pub(super) fn append(&mut self, value: ValueRef<'_>) -> Result<(), Fault> {
        let value = match (value, self.empty) {
            (ValueRef::Text([]), Empty::Null) => ValueRef::Null,
            (ValueRef::Text([]), Empty::List) => ValueRef::Text(b"[]"),
            (value, _) => value,
        };
        if value == ValueRef::Null {
            self.cells.append_null();
            return Ok(());
        }
        self.cells.append(value).map_err(|problem| Fault {
            reason: problem.reason(),
            detail: format!("{} read as {}: {}", class(value), self.ty, problem.text()),
        })
    }

    /// Appends NULL in place of a value that could not be read.
    pub(super) fn append_null(&mut self) {
        self.cells.append_null();
    }

    /// The values so far; the reader is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        self.cells.finish()
    }
}

const fn class(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "null",
        ValueRef::Integer(_) => "an integer",
        ValueRef::Real(_) => "a real",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "a blob",
    }
}

/// One builder per Arrow type: the type is looked at once per value.
enum Cells {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Numeric(StringBuilder, Option<(u16, i16)>),
    Text(StringBuilder),
    Json(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Uuid(FixedSizeBinaryBuilder),
    List(Box<ListCells>),
}

/// Lists under construction: elements, and where each list ends.
struct ListCells {
    element: ColumnType,
    cells: Cells,
    length: usize,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Cells {
    fn new(ty: &ColumnType, rows: usize) -> Option<Self> {
        Some(match ty {
            ColumnType::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            ColumnType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            ColumnType::Float32 => Self::Float32(Float32Builder::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Decimal { precision, scale } => Self::Decimal(
                Decimal128Builder::with_capacity(rows)
                    .with_precision_and_scale(*precision, *scale)
                    .ok()?,
                *precision,
                *scale,
            ),
            ColumnType::Numeric { limits } => Self::Numeric(StringBuilder::with_capacity(rows, rows * 8), *limits),
            ColumnType::Text { .. } | ColumnType::Enum { .. } => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            ColumnType::Json { .. } => Self::Json(StringBuilder::with_capacity(rows, rows * 32)),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * 16)),
            ColumnType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            ColumnType::Time { .. } => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            ColumnType::Timestamp { .. } => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(ty.arrow()))
            }
            ColumnType::Interval => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows)),
            ColumnType::Uuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            ColumnType::List(element) => Self::List(Box::new(ListCells {
                element: (**element).clone(),
                cells: Self::new(element, rows)?,
                length: 0,
                ends: vec![0],
                valid: Vec::with_capacity(rows),
            })),
            ColumnType::Opaque { .. } => return None,
        })
    }

    fn append(&mut self, value: ValueRef<'_>) -> Result<(), Problem> {
        match self {
            Self::Bool(cells) => cells.append_value(boolean(value)?),
            Self::Int16(cells) => cells.append_value(i16::try_from(integer(value)?).map_err(|_| Problem::Range)?),
            Self::Int32(cells) => cells.append_value(i32::try_from(integer(value)?).map_err(|_| Problem::Range)?),
            Self::Int64(cells) => cells.append_value(integer(value)?),
            Self::Float32(cells) => cells.append_value(single(value)?),
            Self::Float64(cells) => cells.append_value(double(value)?),
            Self::Decimal(cells, precision, scale) => cells.append_value(decimal(value, *precision, *scale)?),
            Self::Numeric(cells, limits) => numeric(value, *limits, cells)?,
            Self::Text(cells) => text(value, cells)?,
            Self::Json(cells) => json(value, cells)?,
            Self::Bytes(cells) => match value {
                ValueRef::Blob(bytes) => cells.append_value(bytes),
                _ => return Err(Problem::Class),
            },
            Self::Date(cells) => cells.append_value(instant::date(iso(value)?)?),
            Self::Time(cells) => cells.append_value(instant::time(iso(value)?)?),
            Self::Timestamp(cells) => cells.append_value(instant::timestamp(iso(value)?)?),
            Self::Interval(cells) => cells.append_value(instant::interval(iso(value)?)?),
            Self::Uuid(cells) => cells.append_value(uuid(value)?).map_err(|_| Problem::NotUuid)?,
            Self::List(list) => list.append(value)?,
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(cells) => cells.append_null(),
            Self::Int16(cells) => cells.append_null(),
            Self::Int32(cells) => cells.append_null(),
            Self::Int64(cells) => cells.append_null(),
            Self::Float32(cells) => cells.append_null(),
            Self::Float64(cells) => cells.append_null(),
            Self::Decimal(cells, ..) => cells.append_null(),
            Self::Numeric(cells, _) | Self::Text(cells) | Self::Json(cells) => cells.append_null(),
            Self::Bytes(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Time(cells) => cells.append_null(),
            Self::Timestamp(cells) => cells.append_null(),
            Self::Interval(cells) => cells.append_null(),
            Self::Uuid(cells) => cells.append_null(),
            Self::List(list) => list.end(false),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(cells) => Arc::new(cells.finish()),
            Self::Int16(cells) => Arc::new(cells.finish()),
            Self::Int32(cells) => Arc::new(cells.finish()),
            Self::Int64(cells) => Arc::new(cells.finish()),
            Self::Float32(cells) => Arc::new(cells.finish()),
            Self::Float64(cells) => Arc::new(cells.finish()),
            Self::Decimal(cells, ..) => Arc::new(cells.finish()),
            Self::Numeric(cells, _) | Self::Text(cells) | Self::Json(cells) => Arc::new(cells.finish()),
            Self::Bytes(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
            Self::Interval(cells) => Arc::new(cells.finish()),
            Self::Uuid(cells) => Arc::new(cells.finish()),
            Self::List(list) => list.finish()?,
        })
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)
}

fn boolean(value: ValueRef<'_>) -> Result<bool, Problem> {
    match value {
        ValueRef::Integer(0) | ValueRef::Text(b"0" | b"f" | b"false") => Ok(false),
        ValueRef::Integer(1) | ValueRef::Text(b"1" | b"t" | b"true") => Ok(true),
        ValueRef::Integer(_) => Err(Problem::Range),
        ValueRef::Text(bytes) => utf8(bytes).and(Err(Problem::NotBoolean)),
        _ => Err(Problem::Class),
    }
}

fn integer(value: ValueRef<'_>) -> Result<i64, Problem> {
    match value {
        ValueRef::Integer(value) => Ok(value),
        ValueRef::Real(value) => number::float_to_integer(value),
        ValueRef::Text(bytes) => Number::parse(utf8(bytes)?).ok_or(Problem::NotNumber)?.integer(),
        _ => Err(Problem::Class),
    }
}

fn double(value: ValueRef<'_>) -> Result<f64, Problem> {
    match value {
        ValueRef::Real(value) => Ok(value),
        ValueRef::Integer(value) => number::integer_to_float(value),
        ValueRef::Text(bytes) => number::float(utf8(bytes)?),
        _ => Err(Problem::Class),
    }
}

fn single(value: ValueRef<'_>) -> Result<f32, Problem> {
    match value {
        ValueRef::Real(value) => number::narrow(value),
        ValueRef::Integer(value) => number::narrow(number::integer_to_float(value)?),
        ValueRef::Text(bytes) => number::single(utf8(bytes)?),
        _ => Err(Problem::Class),
    }
}

fn decimal(value: ValueRef<'_>, precision: u8, scale: i8) -> Result<i128, Problem> {
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
fn numeric(value: ValueRef<'_>, limits: Option<(u16, i16)>, cells: &mut StringBuilder) -> Result<(), Problem> {
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

fn append_display(cells: &mut StringBuilder, value: i64) {
    let written = write!(cells, "{value}");
    debug_assert!(written.is_ok(), "writing to a string builder does not fail");
    cells.append_value("");
}

fn text(value: ValueRef<'_>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Text(bytes) => cells.append_value(utf8(bytes)?),
        ValueRef::Integer(value) => append_display(cells, value),
        ValueRef::Real(value) if value.is_finite() => cells.append_value(FloatText::plain(value).as_str()),
        ValueRef::Real(_) => return Err(Problem::Range),
        _ => return Err(Problem::Class),
    }
    Ok(())
}

fn json(value: ValueRef<'_>, cells: &mut StringBuilder) -> Result<(), Problem> {
    match value {
        ValueRef::Text(bytes) => {
            let text = utf8(bytes)?;
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Problem::NotJson)?;
            cells.append_value(text);
        }
        ValueRef::Integer(value) => append_display(cells, value),
        // A column declared JSON has numeric affinity: SQLite has turned bare numbers into floats.
        ValueRef::Real(value) if value.abs() < EXACT_INTEGERS_END => cells.append_value(FloatText::plain(value).as_str()),
        ValueRef::Real(_) => return Err(Problem::BigFloat),
        _ => return Err(Problem::Class),
    }
    Ok(())
}

fn iso(value: ValueRef<'_>) -> Result<&str, Problem> {
    match value {
        ValueRef::Text(bytes) => utf8(bytes),
        ValueRef::Integer(_) | ValueRef::Real(_) => Err(Problem::NumberForTime),
        _ => Err(Problem::Class),
    }
}

fn uuid(value: ValueRef<'_>) -> Result<[u8; 16], Problem> {
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

impl ListCells {
    /// Elements of a list that fails half-way stay behind as part of the NULL that follows.
    fn append(&mut self, value: ValueRef<'_>) -> Result<(), Problem> {
        let ValueRef::Text(bytes) = value else {
            return Err(Problem::Class);
        };
        let elements: Vec<&RawValue> = serde_json::from_str(utf8(bytes)?).map_err(|_| Problem::NotList)?;
        for element in elements {
            self.append_element(element.get())?;
        }
        self.end(true);
        Ok(())
    }

    fn append_element(&mut self, element: &str) -> Result<(), Problem> {
        let number = matches!(
            self.element,
            ColumnType::Int16
                | ColumnType::Int32
                | ColumnType::Int64
                | ColumnType::Float32
                | ColumnType::Float64
                | ColumnType::Decimal { .. }
                | ColumnType::Numeric { .. }
        );
        match (element.as_bytes().first(), &self.element) {
            (Some(b'n'), ty) if !matches!(ty, ColumnType::Json { .. }) => self.cells.append_null(),
            (Some(b'"'), ColumnType::List(_)) => return Err(Problem::NotList),
            (Some(b'"'), ty) if !matches!(ty, ColumnType::Json { .. }) => {
                let text: String = serde_json::from_str(element).map_err(|_| Problem::NotList)?;
                self.cells.append(ValueRef::Text(text.as_bytes()))?;
            }
            (_, ColumnType::Json { .. }) | (Some(b't' | b'f'), ColumnType::Bool) => {
                self.cells.append(ValueRef::Text(element.as_bytes()))?;
            }
            (Some(b'-' | b'0'..=b'9'), _) if number => self.cells.append(ValueRef::Text(element.as_bytes()))?,
            _ => return Err(Problem::NotList),
        }
        self.length += 1;
        Ok(())
    }

    fn end(&mut self, valid: bool) {
        // Lists are bounded by the bytes of a portion, far below the 2^31 elements of an offset.
        self.ends.push(i32::try_from(self.length).unwrap_or(i32::MAX));
        self.valid.push(valid);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let valid = std::mem::take(&mut self.valid);
        self.length = 0;
        let field = Arc::new(self.element.field("item", true));
        let list = ListArray::try_new(
            field,
            OffsetBuffer::new(ends.into()),
            self.cells.finish()?,
            Some(NullBuffer::from(valid)),
        )
        .map_err(|error| Error::new(ErrorKind::Internal, "a list column does not fit together").because(error))?;
        Ok(Arc::new(list))
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
