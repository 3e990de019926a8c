//! COPY BINARY the other way: fields as the server sends them, decoded straight into Arrow.
//!
//! [`Fields`] walks one row, a [`ColumnDecoder`] gathers the values of one column. A value is
//! decoded exactly or it is [`Unfit`] for its type and says why; what is not of the binary form
//! at all is so too, for one bad value is no reason to lose its neighbours. Nothing is allocated
//! per value.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::builder::{BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};

use super::numeric::Sent;
use crate::data::column::ColumnType;
use crate::data::list::Lists;
use crate::data::reject::Reason;
use crate::{Error, ErrorKind, Result};

mod value;

use value::{Problem, date, decimal, fixed, interval, text, timestamp};

/// Bytes of text that a row is thought to have in a column until there were some.
const TEXT_BYTES: usize = 16;

/// The fields of one row.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Fields<'a> {
    /// `bytes`: what follows the number of fields; `count`: that number.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: usize) -> Self {
        Self {
            rest: bytes,
            left: count,
        }
    }

    /// The next field; `None` inside for NULL.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the row ends before its fields do.
    #[expect(
        clippy::should_implement_trait,
        reason = "the number of fields is known, and each may fail: an iterator would hide both"
    )]
    pub fn next(&mut self) -> Result<Option<&'a [u8]>> {
        let cut = || Error::new(ErrorKind::Internal, "a row ends before its fields do");
        self.left = self.left.checked_sub(1).ok_or_else(cut)?;
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(cut)?;
        self.rest = rest;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| cut())?;
        let (field, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(Some(field))
    }

    /// What follows the fields that were read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Why a value has no exact form in its column's type. Never holds the value (Invariant 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Class.
    pub reason: Reason,
    /// In words.
    pub detail: String,
}

impl Unfit {
    #[cold]
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }
}

/// Gathers the values of one column.
pub struct ColumnDecoder {
    ty: ColumnType,
    rows: usize,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8, i8),
    Numeric(StringBuilder),
    Text(StringBuilder),
    Jsonb(StringBuilder),
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
    /// A decoder for portions of about `rows` rows.
    #[must_use]
    pub fn new(ty: &ColumnType, rows: usize) -> Self {
        Self {
            ty: ty.clone(),
            rows,
            values: Values::new(ty, rows, rows.saturating_mul(TEXT_BYTES)),
        }
    }

    /// Takes the value of the next row. After an `Err` the column holds NULL for it, so that the
    /// columns stay of one length and the row can be left out of all of them.
    ///
    /// # Errors
    /// [`Unfit`] where the value has no exact form in the column's type.
    #[inline]
    pub fn append(&mut self, field: Option<&[u8]>) -> std::result::Result<(), Unfit> {
        let Some(bytes) = field else {
            self.values.append_null();
            return Ok(());
        };
        let taken = self.values.append(bytes);
        taken.map_err(|problem| {
            self.values.append_null();
            problem.unfit(&self.ty)
        })
    }

    /// The column so far; the decoder is empty again.
    #[must_use]
    pub fn finish(&mut self) -> ArrayRef {
        let text_bytes = match &self.values {
            Values::Numeric(texts) | Values::Text(texts) | Values::Jsonb(texts) => texts.values_slice().len(),
            Values::Bytes(values) => values.values_slice().len(),
            _ => 0,
        };
        let next = Values::new(&self.ty, self.rows, text_bytes);
        std::mem::replace(&mut self.values, next).finish(&self.ty)
    }
}

impl Values {
    fn new(ty: &ColumnType, rows: usize, text_bytes: usize) -> Self {
        fn primitive<T: ArrowPrimitiveType>(ty: &ColumnType, rows: usize) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::with_capacity(rows).with_data_type(ty.arrow())
        }
        let texts = || StringBuilder::with_capacity(rows, text_bytes);
        match ty {
            ColumnType::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int16 => Self::Int16(primitive(ty, rows)),
            ColumnType::Int32 => Self::Int32(primitive(ty, rows)),
            ColumnType::Int64 => Self::Int64(primitive(ty, rows)),
            ColumnType::Float32 => Self::Float32(primitive(ty, rows)),
            ColumnType::Float64 => Self::Float64(primitive(ty, rows)),
            ColumnType::Decimal { precision, scale } => Self::Decimal(primitive(ty, rows), *precision, *scale),
            ColumnType::Numeric { .. } => Self::Numeric(texts()),
            ColumnType::Text { .. } | ColumnType::Enum { .. } | ColumnType::Json { binary: false } => Self::Text(texts()),
            ColumnType::Json { binary: true } => Self::Jsonb(texts()),
            ColumnType::Bytes | ColumnType::Opaque { .. } => Self::Bytes(BinaryBuilder::with_capacity(rows, text_bytes)),
            ColumnType::Date => Self::Date(primitive(ty, rows)),
            ColumnType::Time { .. } => Self::Time(primitive(ty, rows)),
            ColumnType::Timestamp { .. } => Self::Timestamp(primitive(ty, rows)),
            ColumnType::Interval => Self::Interval(primitive(ty, rows)),
            ColumnType::Uuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            ColumnType::List(item) => Self::List(List {
                items: Box::new(ColumnDecoder::new(item, rows)),
                lists: Lists::with_capacity(rows),
            }),
        }
    }

    /// Appends a value, or nothing and says what is wrong.
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), Problem> {
        match self {
            Self::Bool(values) => values.append_value(fixed::<1>(bytes)? != [0]),
            Self::Int16(values) => values.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int32(values) => values.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(values) => values.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::Float32(values) => values.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Self::Float64(values) => values.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Self::Decimal(values, precision, scale) => values.append_value(decimal(bytes, *precision, *scale)?),
            Self::Numeric(values) => {
                let sent = Sent::read(bytes).ok_or(Problem::Malformed)?;
                // Ends the text that was written.
                sent.write(values).map_err(|_| Problem::Malformed)?;
                values.append_value("");
            }
            Self::Text(values) => values.append_value(text(bytes)?),
            Self::Jsonb(values) => match bytes {
                [1, document @ ..] => values.append_value(text(document)?),
                _ => return Err(Problem::Malformed),
            },
            Self::Bytes(values) => values.append_value(bytes),
            Self::Date(values) => values.append_value(date(i32::from_be_bytes(fixed(bytes)?))?),
            Self::Time(values) => values.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::Timestamp(values) => values.append_value(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
            Self::Interval(values) => values.append_value(interval(bytes)?),
            Self::Uuid(values) => values.append_value(fixed::<16>(bytes)?).map_err(|_| Problem::Malformed)?,
            Self::List(list) => list.append(bytes)?,
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(values) => values.append_null(),
            Self::Int16(values) => values.append_null(),
            Self::Int32(values) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::Float32(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Decimal(values, ..) => values.append_null(),
            Self::Numeric(values) | Self::Text(values) | Self::Jsonb(values) => values.append_null(),
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
            Self::Int16(mut values) => Arc::new(values.finish()),
            Self::Int32(mut values) => Arc::new(values.finish()),
            Self::Int64(mut values) => Arc::new(values.finish()),
            Self::Float32(mut values) => Arc::new(values.finish()),
            Self::Float64(mut values) => Arc::new(values.finish()),
            Self::Decimal(mut values, ..) => Arc::new(values.finish()),
            Self::Numeric(mut values) | Self::Text(mut values) | Self::Jsonb(mut values) => Arc::new(values.finish()),
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
    /// Dimensions, whether there are NULLs, element type, then of each dimension its length and
    /// first index, then the items.
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), Problem> {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map(i32::from_be_bytes).ok_or(Problem::Malformed)
        };
        let dimensions = word(0)?;
        if dimensions == 0 {
            self.lists.end(true);
            return Ok(());
        }
        if dimensions != 1 || word(16)? != 1 {
            return Err(Problem::Shape { dimensions });
        }
        let count = usize::try_from(word(12)?).map_err(|_| Problem::Malformed)?;
        let mut items = Fields::new(&bytes[20..], count);
        for _ in 0..count {
            let item = items.next().map_err(|_| Problem::Malformed)?;
            self.lists.item().ok_or(Problem::OutOfRange("too many items"))?;
            self.items.append(item).map_err(Problem::Item)?;
        }
        self.lists.end(true);
        Ok(())
    }

    fn finish(mut self, ty: &ColumnType) -> ArrayRef {
        self.lists.finish(ty, self.items.finish())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, ListArray};
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;
    use crate::postgres::encode::{Encoder, WireColumn};

    fn decoder(ty: &str) -> ColumnDecoder {
        ColumnDecoder::new(&ColumnType::parse(ty).expect(ty), 4)
    }

    #[test]
    fn a_row_is_walked_field_by_field() {
        let bytes = [0, 0, 0, 2, 7, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9];
        let mut fields = Fields::new(&bytes, 3);
        assert_eq!(fields.next().expect("a field"), Some(&[7, 8][..]));
        assert_eq!(fields.next().expect("a field"), None);
        assert_eq!(fields.next().expect("a field"), Some(&[][..]));
        assert_eq!(fields.rest(), [9]);
        assert!(fields.next().is_err());
        for cut in [&[0, 0, 0][..], &[0, 0, 0, 2, 7], &[0x80, 0, 0, 0]] {
            assert!(Fields::new(cut, 1).next().is_err());
        }
    }

    /// Encodes the column as the sink would, and walks it again.
    fn again(ty: &ColumnType, array: &ArrayRef) -> ArrayRef {
        let rows = arrow::record_batch::RecordBatch::try_from_iter([("c", Arc::clone(array))]).expect("one column");
        let columns = [WireColumn {
            name: "c".to_owned(),
            ty: ty.clone(),
            wire: None,
            carried: crate::postgres::carried::Carried::Array {
                element: 23,
                inner: Box::default(),
            },
        }];
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&rows, &columns).expect("fits");
        encoder.encode(&mut out, usize::MAX).expect("fits");
        let mut decoder = ColumnDecoder::new(ty, array.len());
        let mut rest = &out[19..];
        while rest[..2] == [0, 1] {
            let mut fields = Fields::new(&rest[2..], 1);
            decoder.append(fields.next().expect("a field")).expect("fits");
            rest = fields.rest();
        }
        assert_eq!(rest, [0xff, 0xff]);
        decoder.finish()
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_column() {
        use arrow::array::{BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, StringArray};
        use arrow::array::{FixedSizeBinaryArray, IntervalMonthDayNanoArray, TimestampMicrosecondArray};
        let uuid = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([7; 16]), None].into_iter(), 16).expect("16 bytes");
        let interval = IntervalMonthDayNano::new(-1, 31, -86_400_000_000_001_000);
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        let instants = TimestampMicrosecondArray::from(vec![0, i64::MIN, i64::MAX, -1]);
        let cases: Vec<(&str, ArrayRef)> = vec![
            ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ("integer", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)]))),
            ("text", Arc::new(StringArray::from(vec![Some("é"), None, Some("")]))),
            ("jsonb", Arc::new(StringArray::from(vec![Some("null"), None]))),
            ("bytea", Arc::new(BinaryArray::from(vec![Some(&[0, 255][..]), None]))),
            (
                "numeric",
                Arc::new(StringArray::from(vec![Some("-0.0010"), Some("NaN"), None])),
            ),
            (
                "numeric(38,3)",
                Arc::new(
                    Decimal128Array::from(vec![10i128.pow(38) - 1, -1, 0])
                        .with_precision_and_scale(38, 3)
                        .expect("fits"),
                ),
            ),
            ("date", Arc::new(Date32Array::from(vec![0, i32::MAX, i32::MIN, -2_440_588]))),
            ("timestamp", Arc::new(instants.clone())),
            ("timestamptz", Arc::new(instants.with_timezone("UTC"))),
            (
                "interval",
                Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None])),
            ),
            ("uuid", Arc::new(uuid)),
        ];
        for (ty, array) in cases {
            let ty = ColumnType::parse(ty).expect(ty);
            assert_eq!(&again(&ty, &array), &array, "{ty}");
        }
        let list: ArrayRef = Arc::new(list);
        let back = again(&ColumnType::parse("integer[]").expect("a type"), &list);
        assert_eq!(back.as_list::<i32>(), list.as_list::<i32>());
    }

    #[test]
    fn a_value_that_does_not_fit_leaves_a_null_and_says_why() {
        let mut column = decoder("integer[]");
        let two_dimensions = hex::decode("000000020000000000000017000000010000000100000001000000010000000400000001").expect("hex");
        let from_zero = hex::decode("0000000100000000000000170000000100000000000000040000002a").expect("hex");
        let broken = hex::decode("00000001000000000000001700000002000000010000000400000001").expect("hex");
        let one = hex::decode("0000000100000000000000170000000100000001000000040000002a").expect("hex");
        for (bytes, reason, word) in [
            (two_dimensions, Reason::Inexact, "2 dimensions"),
            (from_zero, Reason::Inexact, "index 1"),
            (broken, Reason::Unreadable, "binary form"),
        ] {
            let unfit = column.append(Some(&bytes)).expect_err("no list");
            assert!(unfit.reason == reason && unfit.detail.contains(word), "{unfit:?}");
        }
        column.append(Some(&one)).expect("a list");
        let lists = column.finish();
        assert_eq!((lists.len(), lists.null_count()), (4, 3));
        assert_eq!(lists.as_list::<i32>().value(3).as_primitive::<Int32Type>().values(), &[42]);
        for (ty, bytes, reason) in [
            ("timestamp", (i64::MAX - 1).to_be_bytes().to_vec(), Reason::OutOfRange),
            ("integer", vec![0; 3], Reason::Unreadable),
            ("text", vec![0xff], Reason::Unreadable),
            ("jsonb", b"{}".to_vec(), Reason::Unreadable),
            (
                "numeric(5,2)",
                hex::decode("00000000c0000000").expect("hex"),
                Reason::OutOfRange,
            ),
        ] {
            let mut column = decoder(ty);
            assert_eq!(column.append(Some(&bytes)).expect_err("unfit").reason, reason, "{ty}");
            let array = column.finish();
            assert_eq!((array.len(), array.null_count()), (1, 1));
            assert_eq!(column.finish().len(), 0, "empty again");
        }
    }
}
