//! Fields of a COPY BINARY row: length and value, for every column type that dbferry promises.

use std::ops::Range;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};

use super::carried::Carried;
use super::encode::WireColumn;
use super::instant;
use super::numeric::{self, Fault};
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

/// Length of a NULL.
const NULL: [u8; 4] = (-1i32).to_be_bytes();
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Largest field: the server refuses to build larger values.
const FIELD_BYTES_MAX: usize = 0x3fff_ffff;

/// One column of a batch, ready to be written value by value.
pub(super) struct Field<'a> {
    name: &'a str,
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a [i128], u8),
    Numeric(&'a StringArray),
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a [i32]),
    Time(&'a [i64]),
    Timestamp(&'a [i64]),
    Interval(&'a [IntervalMonthDayNano]),
    Uuid(&'a FixedSizeBinaryArray),
    List(List<'a>),
    /// In binary form already.
    Passed(&'a BinaryArray, &'a Carried),
}

struct List<'a> {
    offsets: &'a [i32],
    element: u32,
    items: Box<Field<'a>>,
}

impl<'a> Field<'a> {
    /// Looks once at what the column is. A field that is marked as opaque holds values in the
    /// binary form that it names, whatever the column's type.
    pub(super) fn new(column: &'a WireColumn, field: &arrow::datatypes::Field, array: &'a dyn Array) -> Result<Self> {
        let Some(ColumnType::Opaque { name: form }) = ColumnType::of_field(field) else {
            return Self::of(&column.name, &column.ty, column.carried.element(), array, 0..array.len());
        };
        let values = array
            .as_binary_opt()
            .filter(|_| column.wire.as_deref() == Some(form.as_str()))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("column `{}` does not take values in the binary form of {form}", column.name),
                )
            })?;
        Ok(Self {
            name: &column.name,
            nulls: array.nulls().filter(|nulls| nulls.null_count() > 0),
            values: Values::Passed(values, &column.carried),
        })
    }

    /// `used`: the values that belong to rows of the batch; a list's items have neighbours that
    /// do not.
    fn of(name: &'a str, ty: &ColumnType, element: u32, array: &'a dyn Array, used: Range<usize>) -> Result<Self> {
        if !is_as_promised(ty, array.data_type()) {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("column `{name}` is {ty}, but the batch holds {}", array.data_type()),
            ));
        }
        let values = match ty {
            ColumnType::Bool => Values::Bool(array.as_boolean()),
            ColumnType::Int16 => Values::Int16(array.as_primitive::<Int16Type>().values()),
            ColumnType::Int32 => Values::Int32(array.as_primitive::<Int32Type>().values()),
            ColumnType::Int64 => Values::Int64(array.as_primitive::<Int64Type>().values()),
            ColumnType::Float32 => Values::Float32(array.as_primitive::<Float32Type>().values()),
            ColumnType::Float64 => Values::Float64(array.as_primitive::<Float64Type>().values()),
            ColumnType::Decimal { scale, .. } => Values::Decimal(
                array.as_primitive::<Decimal128Type>().values(),
                u8::try_from(*scale).unwrap_or(0),
            ),
            ColumnType::Numeric { .. } => Values::Numeric(array.as_string()),
            ColumnType::Text { .. } | ColumnType::Json { binary: false } | ColumnType::Enum { .. } => {
                Values::Text(without_nul(name, array.as_string(), used)?)
            }
            ColumnType::Json { binary: true } => Values::Jsonb(without_nul(name, array.as_string(), used)?),
            ColumnType::Bytes | ColumnType::Opaque { .. } => Values::Bytes(array.as_binary()),
            ColumnType::Date => Values::Date(array.as_primitive::<Date32Type>().values()),
            ColumnType::Time { .. } => Values::Time(array.as_primitive::<Time64MicrosecondType>().values()),
            ColumnType::Timestamp { .. } => Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>().values()),
            ColumnType::Interval => Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().values()),
            ColumnType::Uuid => Values::Uuid(array.as_fixed_size_binary()),
            ColumnType::List(item) => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                let used = at(offsets, used.start)..at(offsets, used.end);
                Values::List(List {
                    offsets,
                    element,
                    items: Box::new(Self::of(name, item, 0, list.values().as_ref(), used)?),
                })
            }
        };
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        Ok(Self { name, nulls, values })
    }

    /// Appends the value of `row`.
    #[inline]
    pub(super) fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&NULL);
            return Ok(());
        }
        match &self.values {
            Values::Bool(values) => out.extend_from_slice(&[0, 0, 0, 1, u8::from(values.value(row))]),
            Values::Int16(values) => put_2(values[row].to_be_bytes(), out),
            Values::Int32(values) => put_4(values[row].to_be_bytes(), out),
            Values::Int64(values) => put_8(values[row].to_be_bytes(), out),
            Values::Float32(values) => put_4(values[row].to_be_bytes(), out),
            Values::Float64(values) => put_8(values[row].to_be_bytes(), out),
            Values::Decimal(values, scale) => numeric::put_decimal(values[row], *scale, out),
            Values::Numeric(values) => numeric::put_text(values.value(row), out).map_err(|fault| self.fault(fault))?,
            Values::Text(values) => self.put_bytes(values.value(row).as_bytes(), out)?,
            Values::Jsonb(values) => self.put_jsonb(values.value(row).as_bytes(), out)?,
            Values::Bytes(values) => self.put_bytes(values.value(row), out)?,
            Values::Date(values) => put_4(self.date(values[row])?.to_be_bytes(), out),
            Values::Time(values) => put_8(self.time(values[row])?.to_be_bytes(), out),
            Values::Timestamp(values) => put_8(self.timestamp(values[row])?.to_be_bytes(), out),
            Values::Interval(values) => self.put_interval(values[row], out)?,
            Values::Uuid(values) => {
                out.extend_from_slice(&[0, 0, 0, 16]);
                out.extend_from_slice(values.value(row));
            }
            Values::List(list) => self.put_list(list, row, out)?,
            Values::Passed(values, carried) => {
                let start = out.len() + 4;
                self.put_bytes(values.value(row), out)?;
                carried
                    .put(&mut out[start..])
                    .ok_or_else(|| self.refused(Reason::Unreadable, "is not in the binary form of its type"))?;
            }
        }
        Ok(())
    }

    fn put_bytes(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.length(bytes.len())?.to_be_bytes());
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// `jsonb` travels as its text behind a version number.
    fn put_jsonb(&self, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.length(text.len() + 1)?.to_be_bytes());
        out.push(1);
        out.extend_from_slice(text);
        Ok(())
    }

    /// Dimensions, whether there are NULLs, element type, length, lower bound, then the fields.
    fn put_list(&self, list: &List<'_>, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let items = at(list.offsets, row)..at(list.offsets, row + 1);
        let start = out.len();
        let nulls = list
            .items
            .nulls
            .is_some_and(|nulls| items.clone().any(|item| nulls.is_null(item)));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&u32::from(!items.is_empty()).to_be_bytes());
        out.extend_from_slice(&u32::from(nulls).to_be_bytes());
        out.extend_from_slice(&list.element.to_be_bytes());
        if !items.is_empty() {
            out.extend_from_slice(&self.length(items.len())?.to_be_bytes());
            out.extend_from_slice(&1u32.to_be_bytes());
        }
        for item in items {
            list.items.put(item, out)?;
        }
        let length = self.length(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn put_interval(&self, value: IntervalMonthDayNano, out: &mut Vec<u8>) -> Result<()> {
        if value.nanoseconds % 1_000 != 0 {
            return Err(self.refused(
                Reason::Inexact,
                "has fractions of a microsecond, which an interval cannot hold",
            ));
        }
        out.extend_from_slice(&[0, 0, 0, 16]);
        out.extend_from_slice(&(value.nanoseconds / 1_000).to_be_bytes());
        out.extend_from_slice(&value.days.to_be_bytes());
        out.extend_from_slice(&value.months.to_be_bytes());
        Ok(())
    }

    fn date(&self, days: i32) -> Result<i32> {
        instant::date_sent(days).ok_or_else(|| self.refused(Reason::OutOfRange, "is outside the range of a date"))
    }

    fn time(&self, microseconds: i64) -> Result<i64> {
        if (0..=DAY_MICROSECONDS).contains(&microseconds) {
            return Ok(microseconds);
        }
        Err(self.refused(Reason::OutOfRange, "is outside the range of a time of day"))
    }

    fn timestamp(&self, microseconds: i64) -> Result<i64> {
        instant::timestamp_sent(microseconds).ok_or_else(|| self.refused(Reason::OutOfRange, "is outside the range of a timestamp"))
    }

    fn length(&self, bytes: usize) -> Result<u32> {
        u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= FIELD_BYTES_MAX)
            .ok_or_else(|| self.refused(Reason::TooLarge, "is larger than 1 GB"))
    }

    #[cold]
    fn fault(&self, fault: Fault) -> Error {
        match fault {
            Fault::Malformed => self.refused(Reason::Unreadable, "is not a decimal number"),
            Fault::OutOfRange => self.refused(Reason::OutOfRange, "has more digits than a numeric can hold"),
        }
    }

    #[cold]
    fn refused(&self, reason: Reason, what: &str) -> Error {
        refused(self.name, reason, what)
    }
}

#[cold]
fn refused(column: &str, reason: Reason, what: &str) -> Error {
    Error::refused(Refusal {
        column: Some(column.to_owned()),
        reason,
        detail: format!("the value of column `{column}` {what}"),
    })
}

#[inline]
fn put_2(value: [u8; 2], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 2, value[0], value[1]]);
}

#[inline]
fn put_4(value: [u8; 4], out: &mut Vec<u8>) {
    let mut field = [0, 0, 0, 4, 0, 0, 0, 0];
    field[4..].copy_from_slice(&value);
    out.extend_from_slice(&field);
}

#[inline]
fn put_8(value: [u8; 8], out: &mut Vec<u8>) {
    let mut field = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..].copy_from_slice(&value);
    out.extend_from_slice(&field);
}

/// An offset; Arrow's are never negative.
fn at(offsets: &[i32], index: usize) -> usize {
    usize::try_from(offsets[index]).unwrap_or(0)
}

/// Looks for NUL bytes in all values at once: one pass over their common buffer.
fn without_nul<'a>(name: &str, values: &'a StringArray, used: Range<usize>) -> Result<&'a StringArray> {
    let offsets = values.value_offsets();
    let bytes = &values.value_data()[at(offsets, used.start)..at(offsets, used.end)];
    // What stands behind a NULL is no value.
    let holds_nul = |row: usize| values.is_valid(row) && values.value(row).as_bytes().contains(&0);
    if bytes.contains(&0) && used.into_iter().any(holds_nul) {
        return Err(refused(
            name,
            Reason::NulByte,
            "contains a NUL byte, which Postgres text cannot hold",
        ));
    }
    Ok(values)
}

/// Whether an array has the representation that a type promises. The names and metadata of a
/// list's element do not matter.
fn is_as_promised(ty: &ColumnType, found: &DataType) -> bool {
    match (ty, found) {
        (ColumnType::List(item), DataType::List(element)) => is_as_promised(item, element.data_type()),
        (ColumnType::Timestamp { .. }, DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _)) => true,
        _ => ty.arrow() == *found,
    }
}
