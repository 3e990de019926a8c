//! Exact casts: from any Arrow type that a source or an expression yields to a target's type.
//!
//! A cast either keeps the value or says for which rows it cannot (Invariant 6); it never rounds,
//! cuts or wraps, unless [`Rules::lossy`] allows fraction digits to go. What "the same value"
//! means, type by type:
//!
//! - numbers: the same number. A float without fraction is that integer (below 2^126); any other
//!   float is its shortest decimal text that reads back as the same float, so `0.1` is 0.1.
//! - text to another type: the whole text is one literal of that type, without blanks around it.
//! - timestamps: a wall clock is read as UTC, an instant becomes its UTC wall clock; a date is its
//!   midnight, and only a midnight becomes a date. They begin where Postgres begins, in 4714 BC.
//!   `infinity` and `-infinity` stay what they are in all of them.
//! - documents: the same JSON text, which has to be one, and for `jsonb` one that it holds without
//!   a change to anything but spelling.
//! - `NULL` stays `NULL`.
//!
//! Casts work on whole columns and allocate nothing per value, rounding of texts apart.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_null_array};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::{Error, ErrorKind, Result};

mod bytes;
mod float;
mod interval;
mod kernel;
mod number;
mod time;

pub(super) mod civil;
pub(super) mod decimal;
pub(super) mod document;
pub(super) mod json;
pub(super) mod text;

/// What a cast may do beyond keeping the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Fraction digits may be rounded away, and duplicate keys of a document may be dropped by
    /// the target (`allow_precision_loss`).
    pub lossy: bool,
    /// Text with a NUL byte is fine.
    pub nul: bool,
    /// The cast is written out in an expression: booleans and the integers 0 and 1 convert.
    pub explicit: bool,
}

/// Why one value has no exact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The text is not a literal of the type.
    Unreadable,
    /// The value lies between two values of the type.
    Inexact,
    /// The value is beyond the type's ends.
    OutOfRange,
    /// Too many characters.
    TooLong,
    /// A NUL byte.
    NulByte,
    /// Not an enum label.
    EnumLabel,
    /// Not a document that arrives unchanged.
    Json(&'static str),
}

/// A row that a cast or an expression refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Row within the array.
    pub row: u32,
    /// Class.
    pub reason: Reason,
    /// In words, without the value (Invariant 9).
    pub detail: String,
}

/// A cast column: NULL where a fault is.
#[derive(Debug, Clone)]
pub struct Casted {
    /// The values.
    pub array: ArrayRef,
    /// Rows that were refused, in order.
    pub faults: Vec<Fault>,
}

/// A cast that was found possible.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Representation within the promised subset that the input is brought to first.
    via: DataType,
    from: ColumnType,
    to: ColumnType,
    rules: Rules,
}

impl Cast {
    /// Plans the cast of a column with field `from`.
    ///
    /// # Errors
    /// A sentence fragment where no value could ever be cast.
    pub fn plan(from: &Field, to: &ColumnType, rules: Rules) -> Result<Self, String> {
        let via = promised(from.data_type()).ok_or_else(|| format!("values of type {} are not supported", from.data_type()))?;
        let meaning = meaning(from, &via).ok_or_else(|| format!("values of type {} are not supported", from.data_type()))?;
        if via != DataType::Null && !possible(&meaning, to, rules.explicit) {
            return Err(format!("{meaning} cannot be cast to {to}"));
        }
        Ok(Self {
            via,
            from: meaning,
            to: to.clone(),
            rules,
        })
    }

    /// No cast: values in the binary form that a source and a target column share.
    #[must_use]
    pub fn passed_on(form: &str) -> Self {
        let ty = ColumnType::Opaque { name: form.to_owned() };
        Self {
            via: DataType::Binary,
            from: ty.clone(),
            to: ty,
            rules: Rules {
                lossy: false,
                nul: true,
                explicit: false,
            },
        }
    }

    /// What the input means.
    #[must_use]
    pub const fn from(&self) -> &ColumnType {
        &self.from
    }

    /// The type cast to.
    #[must_use]
    pub const fn to(&self) -> &ColumnType {
        &self.to
    }

    /// Whether two different values always stay different.
    #[must_use]
    pub fn keeps_distinct(&self) -> bool {
        use ColumnType as T;
        !self.rules.lossy
            && matches!(
                (&self.from, &self.to),
                (
                    T::Int16 | T::Int32 | T::Int64,
                    T::Int16 | T::Int32 | T::Int64 | T::Decimal { .. } | T::Numeric { .. } | T::Text { .. }
                ) | (T::Text { .. }, T::Text { padded: false, .. })
                    | (T::Uuid, T::Uuid | T::Text { .. } | T::Bytes)
                    | (T::Bool, T::Bool)
                    | (T::Bytes, T::Bytes)
                    | (T::Date, T::Date | T::Timestamp { .. })
                    | (T::Timestamp { .. }, T::Timestamp { .. } | T::Date)
                    | (T::Decimal { .. }, T::Decimal { .. })
                    // Passed on as they are.
                    | (T::Opaque { .. }, T::Opaque { .. })
            )
    }

    /// Casts a column. Where nothing changes, the same array comes back.
    ///
    /// # Errors
    /// Only when `input` has not the planned type.
    pub fn run(&self, input: &ArrayRef) -> Result<Casted> {
        let (array, problems) = self.values(input)?;
        let faults = problems.into_iter().map(|(row, problem)| self.fault(row, problem)).collect();
        Ok(Casted { array, faults })
    }

    fn values(&self, input: &ArrayRef) -> Result<(ArrayRef, Vec<(u32, Problem)>)> {
        if self.via == DataType::Null {
            return Ok((new_null_array(&self.to.arrow(), input.len()), Vec::new()));
        }
        let input = represent(input, &self.via)?;
        if let (ColumnType::List(_), ColumnType::List(element)) = (&self.from, &self.to) {
            return self.list(&input, element);
        }
        let (array, problems) = match &self.to {
            ColumnType::Bool => kernel::to_bool(&input),
            ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => number::to_int(&input, &self.to, self.rules.lossy),
            ColumnType::Float32 | ColumnType::Float64 => float::to_float(&input, &self.to, self.rules.lossy),
            ColumnType::Decimal { precision, scale } => number::to_decimal(&input, *precision, *scale, self.rules.lossy),
            ColumnType::Numeric { limits } => number::to_numeric(&input, *limits, self.rules.lossy),
            ColumnType::Text { .. } => text::to_text(&input, &self.from, &self.to, self.rules.nul),
            ColumnType::Enum { labels, .. } => text::to_enum(&input, labels),
            ColumnType::Bytes | ColumnType::Opaque { .. } => bytes::to_bytes(&input),
            ColumnType::Uuid => bytes::to_uuid(&input),
            ColumnType::Date => time::to_date(&input, self.rules.lossy),
            ColumnType::Time { digits } => time::to_time(&input, *digits, self.rules.lossy),
            ColumnType::Timestamp { digits, zoned } => time::to_timestamp(&input, *digits, *zoned, self.rules.lossy),
            ColumnType::Interval => time::to_interval(&input),
            ColumnType::Json { binary } => json::to_json(&input, &self.from, *binary, self.rules.lossy),
            ColumnType::List(_) => None,
        }
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("no cast from {} to {}", input.data_type(), self.to),
            )
        })?;
        Ok((array, problems))
    }

    fn list(&self, input: &ArrayRef, element: &ColumnType) -> Result<(ArrayRef, Vec<(u32, Problem)>)> {
        let lists = input.as_list::<i32>();
        let DataType::List(item) = lists.data_type() else {
            return Err(Error::new(ErrorKind::Internal, "a list that is none"));
        };
        let inner = Self::plan(item, element, self.rules).map_err(|why| Error::new(ErrorKind::Internal, why))?;
        let (values, inner_problems) = inner.values(lists.values())?;
        let offsets = lists.value_offsets();
        let mut problems: Vec<(u32, Problem)> = Vec::new();
        for (item, problem) in inner_problems {
            let item = i32::try_from(item).unwrap_or(i32::MAX);
            // Items before the first offset or after the last belong to no row.
            let after = offsets.partition_point(|offset| *offset <= item);
            if after == 0 || after > lists.len() {
                continue;
            }
            let row = u32::try_from(after - 1).unwrap_or(u32::MAX);
            if problems.last().is_none_or(|(last, _)| *last != row) && lists.is_valid(after - 1) {
                problems.push((row, problem));
            }
        }
        let nulls = kernel::without(lists.nulls(), lists.len(), &problems);
        let list = ListArray::try_new(Arc::new(element.field("item", true)), lists.offsets().clone(), values, nulls)
            .map_err(|error| Error::new(ErrorKind::Internal, "a list lost its shape").because(error))?;
        Ok((Arc::new(list), problems))
    }

    fn fault(&self, row: u32, problem: Problem) -> Fault {
        let to = &self.to;
        let (reason, detail) = match problem {
            Problem::Unreadable => (Reason::Unreadable, format!("the {} is not a valid {to}", Noun(&self.from))),
            Problem::Inexact => (Reason::Inexact, format!("the {} has no exact form in {to}", Noun(&self.from))),
            Problem::OutOfRange => (Reason::OutOfRange, format!("does not fit {to}")),
            Problem::TooLong => (Reason::TooLong, format!("longer than {to} allows")),
            Problem::NulByte => (
                Reason::NulByte,
                "text with a NUL byte, which the target cannot hold".to_owned(),
            ),
            Problem::EnumLabel => (Reason::EnumLabel, format!("not a label of {to}")),
            Problem::Json(why) => (Reason::Json, why.to_owned()),
        };
        Fault { row, reason, detail }
    }
}

/// The type as a noun in a sentence.
struct Noun<'a>(&'a ColumnType);

impl fmt::Display for Noun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} value", self.0)
    }
}

/// The promised representation of whatever an expression yields; `None` for what has none.
pub(super) fn promised(ty: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match ty {
        D::Null
        | D::Boolean
        | D::Int16
        | D::Int32
        | D::Int64
        | D::Float32
        | D::Float64
        | D::Utf8
        | D::Binary
        | D::Date32
        | D::Time64(_)
        | D::Timestamp(..)
        | D::FixedSizeBinary(16)
        | D::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => ty.clone(),
        D::Decimal128(_, scale) if *scale >= 0 => ty.clone(),
        D::Int8 | D::UInt8 => D::Int16,
        D::UInt16 => D::Int32,
        D::UInt32 => D::Int64,
        D::UInt64 => D::Decimal128(20, 0),
        D::Float16 => D::Float32,
        D::Decimal32(precision, scale) | D::Decimal64(precision, scale) if *scale >= 0 => D::Decimal128(*precision, *scale),
        D::LargeUtf8 | D::Utf8View | D::Decimal256(..) => D::Utf8,
        D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => D::Binary,
        D::Time32(_) => D::Time64(TimeUnit::Microsecond),
        D::Interval(_) => D::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        D::Dictionary(_, value) => promised(value)?,
        // The element keeps its own form; it is brought to the promised one by its own cast.
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => {
            promised(item.data_type())?;
            D::List(Arc::clone(item))
        }
        _ => return None,
    })
}

/// What a field means once its values have the promised representation.
pub(super) fn meaning(field: &Field, via: &DataType) -> Option<ColumnType> {
    match (field.data_type(), via) {
        (_, DataType::Null) => Some(ColumnType::TEXT),
        // The mark is lost in `case` and the like; nothing else has 16 fixed bytes.
        (_, DataType::FixedSizeBinary(16)) => Some(ColumnType::Uuid),
        (DataType::Decimal256(..), _) => Some(ColumnType::Numeric { limits: None }),
        (_, DataType::List(item)) => {
            let inner = promised(item.data_type())?;
            Some(ColumnType::List(Box::new(meaning(item, &inner)?)))
        }
        _ => ColumnType::of_field(&field.clone().with_data_type(via.clone())),
    }
}

/// The meaning of a field of whatever Arrow type, for those who only want to know.
#[must_use]
pub fn meaning_of(field: &Field) -> Option<ColumnType> {
    let via = promised(field.data_type())?;
    meaning(field, &via)
}

pub(super) fn represent(input: &ArrayRef, via: &DataType) -> Result<ArrayRef> {
    if input.data_type() == via {
        return Ok(Arc::clone(input));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    arrow::compute::cast_with_options(input, via, &options).map_err(|_| {
        // The cause is not passed on: it may quote a value (Invariant 9).
        Error::new(
            ErrorKind::Internal,
            format!("cannot represent {} as {via}", input.data_type()),
        )
    })
}

/// Whether any value of `from` can become one of `to`.
#[must_use]
pub fn possible(from: &ColumnType, to: &ColumnType, explicit: bool) -> bool {
    use ColumnType as T;
    let number = |ty: &T| {
        matches!(
            ty,
            T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal { .. } | T::Numeric { .. }
        )
    };
    let texty = matches!(from, T::Text { .. });
    match to {
        T::Bool => matches!(from, T::Bool) || texty || (explicit && matches!(from, T::Int16 | T::Int32 | T::Int64)),
        T::Int16 | T::Int32 | T::Int64 => number(from) || texty || (explicit && matches!(from, T::Bool)),
        T::Float32 | T::Float64 | T::Decimal { .. } | T::Numeric { .. } => number(from) || texty,
        T::Text { .. } => !matches!(from, T::Bytes | T::Opaque { .. } | T::List(_)),
        T::Enum { .. } => texty || matches!(from, T::Enum { .. }),
        T::Bytes => matches!(from, T::Bytes | T::Uuid),
        T::Uuid => texty || matches!(from, T::Uuid | T::Bytes),
        T::Date => texty || matches!(from, T::Date | T::Timestamp { .. }),
        T::Time { .. } => texty || matches!(from, T::Time { .. }),
        T::Timestamp { .. } => texty || matches!(from, T::Date | T::Timestamp { .. }),
        T::Interval => texty || matches!(from, T::Interval),
        T::Json { .. } => texty || number(from) || matches!(from, T::Json { .. } | T::Bool),
        T::List(element) => matches!(from, T::List(inner) if possible(inner, element, explicit)),
        // By `Cast::passed_on` alone: a name does not say what the bytes mean.
        T::Opaque { .. } => false,
    }
}

#[cfg(test)]
mod tests;
