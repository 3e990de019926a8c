//! The arguments of a function: whole columns, or one value that stands for every row.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};

use crate::data::column::ColumnType;

/// What a function answers where it has none: a constant sentence fragment, never a value
/// (Invariant 9).
pub(super) type Answer = Result<ArrayRef, &'static str>;

/// Should never be read: the planner brought every argument to its parameter's type.
pub(super) const MISTYPED: &str = "an argument has another type than planned";

/// One argument.
#[derive(Debug)]
pub(super) struct Argument {
    /// All rows, or the one value of a constant.
    pub(super) values: ArrayRef,
    /// One value stands for every row.
    pub(super) constant: bool,
    /// What the values mean.
    pub(super) ty: ColumnType,
}

impl Argument {
    /// The argument as text.
    pub(super) fn texts(&self) -> Result<Texts<'_>, &'static str> {
        Ok(Texts {
            values: self.values.as_string_opt::<i32>().ok_or(MISTYPED)?,
            constant: self.constant,
        })
    }

    /// The argument as integers.
    pub(super) fn integers(&self) -> Result<&arrow::array::Int64Array, &'static str> {
        self.values.as_primitive_opt::<Int64Type>().ok_or(MISTYPED)
    }

    /// The argument as microseconds since 1970.
    pub(super) fn instants(&self) -> Result<&arrow::array::TimestampMicrosecondArray, &'static str> {
        self.values.as_primitive_opt::<TimestampMicrosecondType>().ok_or(MISTYPED)
    }
}

/// An argument as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'a> {
    values: &'a StringArray,
    constant: bool,
}

impl<'a> Texts<'a> {
    /// The text of a row; `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        let row = if self.constant { 0 } else { row };
        self.values.is_valid(row).then(|| self.values.value(row))
    }

    /// The one text of a constant that is not NULL.
    pub(super) fn constant(&self) -> Option<&'a str> {
        self.constant.then(|| self.get(0)).flatten()
    }

    /// The column.
    pub(super) const fn column(&self) -> &'a StringArray {
        self.values
    }
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// Text, documents and labels among it.
    Text,
    /// Text, or a UUID as it is.
    TextOrUuid,
    /// A whole number.
    Integer,
    /// An instant: a timestamp with a zone.
    Instant,
    /// A day, or a point in time with or without a zone.
    Moment,
    /// Whatever has a JSON form.
    Value,
}

impl Parameter {
    /// The type that an argument is brought to; `None` where it has to be written otherwise.
    pub(super) fn accept(self, ty: &DataType) -> Option<DataType> {
        match self {
            Self::TextOrUuid if *ty == DataType::FixedSizeBinary(16) => Some(ty.clone()),
            Self::Text | Self::TextOrUuid => is_text(ty).then_some(DataType::Utf8),
            Self::Integer => (ty.is_null() || is_small_integer(ty)).then_some(DataType::Int64),
            Self::Instant => {
                let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                (ty.is_null() || *ty == instant).then_some(instant)
            }
            Self::Moment => match ty {
                DataType::Null => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
                DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) => Some(ty.clone()),
                _ => None,
            },
            Self::Value => has_document(ty).then(|| ty.clone()),
        }
    }

    /// In words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::TextOrUuid => "text or uuid",
            Self::Integer => "bigint",
            Self::Instant => "timestamptz",
            Self::Moment => "timestamp, timestamptz or date",
            Self::Value => "value",
        }
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// An integer that a bigint always holds.
fn is_small_integer(ty: &DataType) -> bool {
    ty.is_integer() && *ty != DataType::UInt64
}

/// Whether values of the type have a JSON form: all but bytes and what casts do not know.
fn has_document(ty: &DataType) -> bool {
    match super::super::cast::promised(ty) {
        Some(DataType::Binary) | None => false,
        Some(DataType::List(item)) => has_document(item.data_type()),
        Some(_) => true,
    }
}
