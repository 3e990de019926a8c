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

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, ListArray, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use rusqlite::types::ValueRef;
use serde_json::value::RawValue;

use super::instant;
use super::meaning::Empty;
use super::problem::{Fault, Problem};
use super::value::{boolean, decimal, document, double, integer, iso, json, numeric, single, text, utf8, uuid};
use crate::data::column::ColumnType;
use crate::{Error, ErrorKind, Result};

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

    /// The same, with JSON at which others look.
    pub(super) fn unchecked_json(self) -> Self {
        match self.cells {
            Cells::Json(cells) => Self {
                cells: Cells::Document(cells),
                ..self
            },
            _ => self,
        }
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
    /// JSON, at which others look.
    Document(StringBuilder),
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
            Self::Document(cells) => document(value, cells)?,
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
            Self::Numeric(cells, _) | Self::Text(cells) | Self::Json(cells) | Self::Document(cells) => cells.append_null(),
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
            Self::Numeric(cells, _) | Self::Text(cells) | Self::Json(cells) | Self::Document(cells) => Arc::new(cells.finish()),
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
        let number = self.element.is_number();
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
