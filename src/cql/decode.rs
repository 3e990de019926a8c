//! Values as a CQL server sends them, decoded straight into Arrow.
//!
//! A [`ColumnDecoder`] gathers the values of one column. A value is decoded exactly or it is
//! [`Unfit`] for its type and says why; one bad value is no reason to lose its neighbours. NULL and
//! an empty value are two things: a text or blob may be empty, a number may not.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::builder::{BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType};

use super::kind;
use crate::data::column::ColumnType;
use crate::data::list::Lists;
use crate::data::reject::Reason;

pub(crate) mod element;
pub(crate) mod json;
pub(crate) mod value;

use value::{Problem, fixed};

/// Bytes of text that a row is thought to have in a column until there were some.
const TEXT_BYTES: usize = 16;

/// Why a value has no exact form in its column's type. Never holds the value (Invariant 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Class.
    pub(crate) reason: Reason,
    /// In words.
    pub(crate) detail: String,
}

/// Gathers the values of one column.
pub(crate) struct ColumnDecoder {
    cql: CqlType<'static>,
    ty: ColumnType,
    rows: usize,
    values: Values,
    text: String,
}

enum Values {
    Bool(BooleanBuilder),
    Tiny(PrimitiveBuilder<Int16Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Varint(StringBuilder),
    Decimal(StringBuilder),
    Text(StringBuilder),
    Inet(StringBuilder),
    Document(StringBuilder),
    Bytes(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
    Uuid(FixedSizeBinaryBuilder),
    List(List),
}

struct List {
    items: Box<ColumnDecoder>,
    lists: Lists,
}

impl std::fmt::Debug for ColumnDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values are cells (Invariant 9).
        f.debug_struct("ColumnDecoder").field("ty", &self.ty).finish_non_exhaustive()
    }
}

impl ColumnDecoder {
    /// A decoder for portions of about `rows` rows; `None` where values of the CQL type do not
    /// travel as `ty`.
    pub(crate) fn new(cql: &CqlType<'static>, ty: &ColumnType, rows: usize) -> Option<Self> {
        (kind::column_type(cql)?.arrow() == ty.arrow()).then(|| Self::of(cql, ty, rows))
    }

    fn of(cql: &CqlType<'static>, ty: &ColumnType, rows: usize) -> Self {
        Self {
            values: Values::new(cql, ty, rows, rows.saturating_mul(TEXT_BYTES)),
            cql: cql.clone(),
            ty: ty.clone(),
            rows,
            text: String::new(),
        }
    }

    /// Takes the value of the next row. After an `Err` the column holds NULL for it, so that the
    /// columns stay of one length and the row can be left out of all of them.
    ///
    /// # Errors
    /// [`Unfit`] where the value has no exact form in the column's type.
    pub(crate) fn append(&mut self, field: Option<&[u8]>) -> Result<(), Unfit> {
        let Some(bytes) = field else {
            self.values.append_null();
            return Ok(());
        };
        let taken = self.values.append(&self.cql, bytes, &mut self.text);
        taken.map_err(|problem| {
            self.values.append_null();
            problem.unfit(&kind::name(&self.cql))
        })
    }

    /// The column so far; the decoder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let text_bytes = self.values.text_bytes();
        let next = Values::new(&self.cql, &self.ty, self.rows, text_bytes);
        std::mem::replace(&mut self.values, next).finish(&self.ty)
    }
}

impl Values {
    fn new(cql: &CqlType<'static>, ty: &ColumnType, rows: usize, text_bytes: usize) -> Self {
        let texts = || StringBuilder::with_capacity(rows, text_bytes);
        let element = match (cql, ty) {
            (CqlType::Native(native), _) => return Self::native(native, ty, rows, text_bytes),
            (
                CqlType::Collection {
                    typ: CollectionType::List(element) | CollectionType::Set(element),
                    ..
                }
                | CqlType::Vector { typ: element, .. },
                ColumnType::List(item),
            ) => (element, item),
            _ => return Self::Document(texts()),
        };
        Self::List(List {
            items: Box::new(ColumnDecoder::of(element.0, element.1, rows)),
            lists: Lists::with_capacity(rows),
        })
    }

    fn native(native: &NativeType, ty: &ColumnType, rows: usize, text_bytes: usize) -> Self {
        fn primitive<T: ArrowPrimitiveType>(ty: &ColumnType, rows: usize) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::with_capacity(rows).with_data_type(ty.arrow())
        }
        let texts = || StringBuilder::with_capacity(rows, text_bytes);
        match native {
            NativeType::Boolean => Self::Bool(BooleanBuilder::with_capacity(rows)),
            NativeType::TinyInt => Self::Tiny(primitive(ty, rows)),
            NativeType::SmallInt => Self::Int16(primitive(ty, rows)),
            NativeType::Int => Self::Int32(primitive(ty, rows)),
            NativeType::BigInt => Self::Int64(primitive(ty, rows)),
            NativeType::Float => Self::Float32(primitive(ty, rows)),
            NativeType::Double => Self::Float64(primitive(ty, rows)),
            NativeType::Varint => Self::Varint(texts()),
            NativeType::Decimal => Self::Decimal(texts()),
            NativeType::Inet => Self::Inet(texts()),
            NativeType::Blob => Self::Bytes(BinaryBuilder::with_capacity(rows, text_bytes)),
            NativeType::Uuid | NativeType::Timeuuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            NativeType::Timestamp => Self::Timestamp(primitive(ty, rows)),
            NativeType::Date => Self::Date(primitive(ty, rows)),
            NativeType::Time => Self::Time(primitive(ty, rows)),
            NativeType::Duration => Self::Interval(primitive(ty, rows)),
            // Text and ASCII: others have no column type.
            _ => Self::Text(texts()),
        }
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Varint(texts) | Self::Decimal(texts) | Self::Text(texts) | Self::Inet(texts) | Self::Document(texts) => {
                texts.values_slice().len()
            }
            Self::Bytes(values) => values.values_slice().len(),
            _ => 0,
        }
    }

    /// Appends a value, or nothing and says what is wrong.
    fn append(&mut self, cql: &CqlType<'static>, bytes: &[u8], text: &mut String) -> Result<(), Problem> {
        text.clear();
        match self {
            Self::Bool(values) => values.append_value(fixed::<1>(bytes)? != [0]),
            Self::Tiny(values) => values.append_value(i16::from(i8::from_be_bytes(fixed(bytes)?))),
            Self::Int16(values) => values.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int32(values) => values.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(values) => values.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::Float32(values) => values.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Self::Float64(values) => values.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Self::Varint(values) => {
                value::varint(bytes, text)?;
                values.append_value(text);
            }
            Self::Decimal(values) => {
                value::decimal(bytes, text)?;
                values.append_value(text);
            }
            Self::Inet(values) => values.append_value(value::inet(bytes)?.to_string()),
            Self::Text(values) => values.append_value(value::text(bytes)?),
            Self::Document(values) => {
                json::write(cql, bytes, text)?;
                values.append_value(text);
            }
            Self::Bytes(values) => values.append_value(bytes),
            Self::Date(values) => values.append_value(value::date(bytes)?),
            Self::Time(values) => values.append_value(value::time(bytes)?),
            Self::Timestamp(values) => values.append_value(value::timestamp(bytes)?),
            Self::Interval(values) => values.append_value(value::duration(bytes)?),
            Self::Uuid(values) => values.append_value(fixed::<16>(bytes)?).map_err(|_| Problem::Malformed)?,
            Self::List(list) => list.append(cql, bytes)?,
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(values) => values.append_null(),
            Self::Tiny(values) | Self::Int16(values) => values.append_null(),
            Self::Int32(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::Float32(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Varint(values) | Self::Decimal(values) | Self::Text(values) | Self::Inet(values) | Self::Document(values) => {
                values.append_null();
            }
            Self::Bytes(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Time(values) => values.append_null(),
            Self::Timestamp(values) => values.append_null(),
            Self::Interval(values) => values.append_null(),
            Self::Uuid(values) => values.append_null(),
            Self::List(list) => list.lists.end(false),
        }
    }

    fn finish(self, ty: &ColumnType) -> ArrayRef {
        match self {
            Self::Bool(mut values) => Arc::new(values.finish()),
            Self::Tiny(mut values) | Self::Int16(mut values) => Arc::new(values.finish()),
            Self::Int32(mut values) => Arc::new(values.finish()),
            Self::Int64(mut values) => Arc::new(values.finish()),
            Self::Float32(mut values) => Arc::new(values.finish()),
            Self::Float64(mut values) => Arc::new(values.finish()),
            Self::Varint(mut values)
            | Self::Decimal(mut values)
            | Self::Text(mut values)
            | Self::Inet(mut values)
            | Self::Document(mut values) => Arc::new(values.finish()),
            Self::Bytes(mut values) => Arc::new(values.finish()),
            Self::Date(mut values) => Arc::new(values.finish()),
            Self::Time(mut values) => Arc::new(values.finish()),
            Self::Timestamp(mut values) => Arc::new(values.finish()),
            Self::Interval(mut values) => Arc::new(values.finish()),
            Self::Uuid(mut values) => Arc::new(values.finish()),
            Self::List(list) => list.finish(ty),
        }
    }
}

impl List {
    fn append(&mut self, cql: &CqlType<'_>, bytes: &[u8]) -> Result<(), Problem> {
        let elements = element::Elements::of(cql, bytes)?;
        for item in elements {
            // What cannot be taken apart adds nothing; what cannot be read adds NULL.
            let item = item?;
            self.lists.item().ok_or(Problem::OutOfRange("too many elements"))?;
            self.items.append(item).map_err(Problem::Element)?;
        }
        self.lists.end(true);
        Ok(())
    }

    fn finish(mut self, ty: &ColumnType) -> ArrayRef {
        self.lists.finish(ty, self.items.finish())
    }
}

#[cfg(test)]
mod tests;
