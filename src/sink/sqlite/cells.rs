//! Cells: Arrow columns as the values that are bound to a statement, without an allocation for
//! each.
//!
//! What SQLite would change on the way in is refused here (Invariant 6): NaN, which it turns into
//! NULL, and in columns without text affinity what it would turn into a number. A negative zero becomes a plain one, which compares equal.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array, ListArray,
    PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use rusqlite::types::ValueRef;

use super::declared::Affinity;
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::data::text;
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

/// Digits that a decimal may have to come back unchanged from a floating-point number.
const REAL_DIGITS_MAX: usize = 15;

/// One column of the rows being written.
pub(super) struct Cells<'a> {
    name: &'a str,
    affinity: Affinity,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8),
    Numeric(&'a StringArray),
    Text(&'a StringArray),
    Json(&'a StringArray),
    Bytes(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>, bool),
    Interval(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    List(&'a ListArray, &'a ColumnType),
}

impl<'a> Cells<'a> {
    /// A column of type `ty`.
    ///
    /// # Errors
    /// When the array is not what the type promises.
    pub(super) fn new(name: &'a str, ty: &'a ColumnType, affinity: Affinity, array: &'a ArrayRef) -> Result<Self> {
        // A field's metadata may be missing on a nested field, which changes no layout.
        if !same_layout(array, ty) {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("column `{name}` is {ty}, but comes as {}", array.data_type()),
            ));
        }
        let values = match ty {
            ColumnType::Bool => Values::Bool(array.as_boolean()),
            ColumnType::Int16 => Values::Int16(array.as_primitive()),
            ColumnType::Int32 => Values::Int32(array.as_primitive()),
            ColumnType::Int64 => Values::Int64(array.as_primitive()),
            ColumnType::Float32 => Values::Float32(array.as_primitive()),
            ColumnType::Float64 => Values::Float64(array.as_primitive()),
            ColumnType::Decimal { scale, .. } => Values::Decimal(array.as_primitive(), *scale),
            ColumnType::Numeric { .. } => Values::Numeric(array.as_string()),
            ColumnType::Text { .. } | ColumnType::Enum { .. } => Values::Text(array.as_string()),
            ColumnType::Json { .. } => Values::Json(array.as_string()),
            ColumnType::Bytes => Values::Bytes(array.as_binary()),
            ColumnType::Uuid => Values::Uuid(array.as_fixed_size_binary()),
            ColumnType::Date => Values::Date(array.as_primitive()),
            ColumnType::Time { .. } => Values::Time(array.as_primitive()),
            ColumnType::Timestamp { zoned, .. } => Values::Timestamp(array.as_primitive(), *zoned),
            ColumnType::Interval => Values::Interval(array.as_primitive()),
            ColumnType::List(element) => Values::List(array.as_list(), element),
            ColumnType::Opaque { .. } => return Err(unwritable(name, ty)),
        };
        Ok(Self { name, affinity, values })
    }

    /// The value of a row. `scratch` holds the text of values that have to be written out.
    ///
    /// # Errors
    /// Why the column cannot hold this value.
    pub(super) fn get<'s>(&'s self, row: usize, scratch: &'s mut String) -> Result<ValueRef<'s>, Refusal> {
        if self.array().is_null(row) {
            return Ok(ValueRef::Null);
        }
        scratch.clear();
        match &self.values {
            Values::Bool(values) => return Ok(ValueRef::Integer(i64::from(values.value(row)))),
            Values::Int16(values) => return Ok(ValueRef::Integer(i64::from(values.value(row)))),
            Values::Int32(values) => return Ok(ValueRef::Integer(i64::from(values.value(row)))),
            Values::Int64(values) => return Ok(ValueRef::Integer(values.value(row))),
            Values::Float32(values) => return self.float(f64::from(values.value(row)), scratch),
            Values::Float64(values) => return self.float(values.value(row), scratch),
            Values::Decimal(values, scale) => {
                text::decimal(scratch, values.value(row), *scale);
                return self.number(scratch);
            }
            Values::Numeric(values) => return self.number(values.value(row)),
            Values::Text(values) => return self.text(values.value(row)),
            Values::Json(values) => return self.json(values.value(row)),
            Values::Bytes(values) => return Ok(ValueRef::Blob(values.value(row))),
            Values::Uuid(values) => text::uuid(scratch, values.value(row)),
            Values::Date(values) => self.year(text::date(scratch, i64::from(values.value(row))))?,
            Values::Time(values) => text::time(scratch, values.value(row)),
            Values::Timestamp(values, zoned) => self.year(text::timestamp(scratch, values.value(row), *zoned))?,
            Values::Interval(values) => text::interval(scratch, values.value(row)),
            Values::List(values, element) => self.year(text::list(scratch, element, values.value(row).as_ref()))?,
        }
        Ok(ValueRef::Text(scratch.as_bytes()))
    }

    /// Whether a row has no value.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }

    fn array(&self) -> &dyn Array {
        match &self.values {
            Values::Bool(values) => *values,
            Values::Int16(values) => *values,
            Values::Int32(values) => *values,
            Values::Int64(values) => *values,
            Values::Float32(values) => *values,
            Values::Float64(values) => *values,
            Values::Decimal(values, _) => *values,
            Values::Numeric(values) | Values::Text(values) | Values::Json(values) => *values,
            Values::Bytes(values) => *values,
            Values::Uuid(values) => *values,
            Values::Date(values) => *values,
            Values::Time(values) => *values,
            Values::Timestamp(values, _) => *values,
            Values::Interval(values) => *values,
            Values::List(values, _) => *values,
        }
    }

    fn refuse(&self, reason: Reason, detail: &str) -> Refusal {
        Refusal {
            column: Some(self.name.to_owned()),
            reason,
            detail: detail.to_owned(),
        }
    }

    fn year(&self, fits: bool) -> Result<(), Refusal> {
        if fits {
            return Ok(());
        }
        Err(self.refuse(
            Reason::OutOfRange,
            "infinity, or a year before 0 or after 9999, has no form that SQLite's own date functions read",
        ))
    }

    fn float<'s>(&self, value: f64, scratch: &'s mut String) -> Result<ValueRef<'s>, Refusal> {
        if self.affinity == Affinity::Text {
            // SQLite would write it with 15 or 17 digits.
            text::float(scratch, value);
            return Ok(ValueRef::Text(scratch.as_bytes()));
        }
        if value.is_nan() {
            return Err(self.refuse(Reason::Inexact, "SQLite stores NaN as NULL"));
        }
        Ok(ValueRef::Real(value))
    }

    /// An exact decimal.
    fn number<'s>(&self, value: &'s str) -> Result<ValueRef<'s>, Refusal> {
        if matches!(self.affinity, Affinity::Text | Affinity::None) || !is_number(value) {
            return Ok(ValueRef::Text(value.as_bytes()));
        }
        if self.affinity == Affinity::Numeric
            && let Some(whole) = whole(value)
        {
            return Ok(ValueRef::Integer(whole));
        }
        match value.parse::<f64>() {
            Ok(real) if significant_digits(value) <= REAL_DIGITS_MAX && (real.is_normal() || real == 0.0 && is_zero(value)) => {
                Ok(ValueRef::Real(real))
            }
            _ => Err(self.refuse(
                Reason::Inexact,
                "SQLite keeps only 15 digits in this column; declare it with a second word TEXT, such as `NUMERIC TEXT(20,4)`",
            )),
        }
    }

    /// Text must stay text: `42` would become a number that equals `42.0`.
    fn text<'s>(&self, value: &'s str) -> Result<ValueRef<'s>, Refusal> {
        if matches!(self.affinity, Affinity::Text | Affinity::None) || !is_number(value) {
            return Ok(ValueRef::Text(value.as_bytes()));
        }
        Err(self.becomes_number())
    }

    /// A document that is a bare number may become one, where that keeps its spelling.
    fn json<'s>(&self, value: &'s str) -> Result<ValueRef<'s>, Refusal> {
        let same = |number: i64| self.affinity == Affinity::Numeric && number.to_string() == value;
        if value.parse().is_ok_and(same) {
            return Ok(ValueRef::Text(value.as_bytes()));
        }
        self.text(value)
    }

    fn becomes_number(&self) -> Refusal {
        self.refuse(
            Reason::Inexact,
            "SQLite would turn this text into a number; declare the column with a second word TEXT, such as `JSON TEXT`",
        )
    }
}

/// A type that has no form in SQLite.
pub(super) fn unwritable(column: &str, ty: &ColumnType) -> Error {
    Error::new(
        ErrorKind::Mapping,
        format!("column `{column}` is declared as `{ty}`, a type that cannot be written"),
    )
    .hint("declare it with a type of docs/mapping.md, section \"SQLite targets\"")
}

fn same_layout(array: &ArrayRef, ty: &ColumnType) -> bool {
    use arrow::datatypes::DataType;
    fn same(a: &DataType, b: &DataType) -> bool {
        match (a, b) {
            (DataType::List(a), DataType::List(b)) => same(a.data_type(), b.data_type()),
            (a, b) => a == b,
        }
    }
    same(array.data_type(), &ty.arrow())
}

/// Whether SQLite takes a text for a number: blanks around, a sign, digits with a point, an
/// exponent.
fn is_number(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

/// The integer that a decimal stands for, where it has no fraction and fits.
fn whole(value: &str) -> Option<i64> {
    match value.split_once('.') {
        None => value.parse().ok(),
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole.parse().ok(),
        Some(_) => None,
    }
}

fn is_zero(value: &str) -> bool {
    significant_digits(value) == 0
}

fn significant_digits(value: &str) -> usize {
    let mantissa = value.split(['e', 'E']).next().unwrap_or(value);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::types::Value;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "arrays are made where they are given")]
    /// What SQLite holds after the value was written into a column of the given declaration;
    /// `None` where it is refused before.
    fn stored(declaration: &str, array: ArrayRef) -> Option<Value> {
        let declared = super::super::declared::read(declaration, false);
        let cells = Cells::new("c", &declared.ty, declared.affinity, &array).expect("the layout of the type");
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        connection
            .execute_batch(&format!("create table t (c {declaration})"))
            .expect("a table");
        let mut scratch = String::new();
        let value = cells.get(0, &mut scratch).ok()?;
        connection
            .execute("insert into t values (?)", [rusqlite::types::ToSqlOutput::Borrowed(value)])
            .expect("a row");
        Some(
            connection
                .query_row("select c from t", [], |row| row.get(0))
                .expect("the row"),
        )
    }

    fn text(value: &str) -> ArrayRef {
        Arc::new(StringArray::from(vec![value]))
    }

    fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
        let array = PrimitiveArray::<Decimal128Type>::from(vec![value]);
        Arc::new(array.with_precision_and_scale(precision, scale).expect("it fits"))
    }

    #[test]
    fn what_sqlite_would_change_is_refused_and_all_else_comes_back() {
        let is = |text: &str| Some(Value::Text(text.to_owned()));
        assert_eq!(stored("json", text("12345678901234567890123")), None);
        assert_eq!(stored("json", text("1.0")), None);
        assert_eq!(stored("json", text(" 7")), None);
        assert_eq!(stored("json", text("42")), Some(Value::Integer(42)));
        assert_eq!(stored("json", text("{\"a\":1.0}")), is("{\"a\":1.0}"));
        assert_eq!(
            stored("json text", text("12345678901234567890123")),
            is("12345678901234567890123")
        );
        assert_eq!(stored("string", text("007")), None);
        assert_eq!(stored("string", text("42")), None);
        assert_eq!(stored("json text", text("42")), is("42"));
        assert_eq!(stored("text", text("a\0b")), is("a\0b"));
        let tiny = format!("0.{}1", "0".repeat(330));
        assert_eq!(stored("numeric", text(&tiny)), None);
        assert_eq!(stored("numeric text", text(&tiny)), is(&tiny));
        assert_eq!(stored("numeric", text("0.00")), Some(Value::Integer(0)));
        assert_eq!(stored("numeric", text("100000000000000000000")), Some(Value::Real(1e20)));
        assert_eq!(stored("string", text("a007")), is("a007"));
        assert_eq!(stored("varchar(9)", text("007")), is("007"));
        assert_eq!(stored("numeric(20,4)", decimal(12_345_678_901_234_567, 20, 4)), None);
        assert_eq!(stored("numeric(20,4)", decimal(125_000, 20, 4)), Some(Value::Real(12.5)));
        assert_eq!(
            stored("numeric(20,4)", decimal(90_071_992_547_409_930_000, 20, 4)),
            Some(Value::Integer(9_007_199_254_740_993))
        );
        assert_eq!(stored("numeric text(20,4)", decimal(125_000, 20, 4)), is("12.5000"));
        assert_eq!(stored("numeric", text("NaN")), is("NaN"));
        assert_eq!(stored("numeric", text("0.1234567890123456789")), None);
        assert_eq!(stored("double precision", Arc::new(Float64Array::from(vec![f64::NAN]))), None);
        assert_eq!(
            stored("double precision", Arc::new(Float64Array::from(vec![0.1]))),
            Some(Value::Real(0.1))
        );
        assert_eq!(
            stored("double precision text", Arc::new(Float64Array::from(vec![0.1 + 0.2]))),
            is("0.30000000000000004")
        );
    }

    #[test]
    fn our_idea_of_a_number_is_that_of_sqlite() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        connection.execute_batch("create table t (c numeric)").expect("a table");
        for candidate in [
            "1",
            "+1",
            "-1.5",
            ".5",
            "5.",
            ".",
            "",
            "-",
            "1e5",
            "1e",
            "1e+",
            "1E-3",
            " 1 ",
            "\t1\n",
            "1 2",
            "0x1F",
            "inf",
            "NaN",
            "Infinity",
            "1_000",
            "12:00:00",
            "2024-01-01",
            "1.2.3",
            "\u{a0}1",
            "1\0",
            "--1",
            "e5",
            "9223372036854775808",
        ] {
            connection
                .execute_batch("delete from t")
                .and_then(|()| connection.execute("insert into t values (?)", [candidate]))
                .expect("a row");
            let class: String = connection
                .query_row("select typeof(c) from t", [], |row| row.get(0))
                .expect("it");
            assert_eq!(is_number(candidate), class != "text", "{candidate:?} is {class}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_looks_like_a_number_is_one_for_sqlite_too(candidate in "[ \\t0-9+.eE-]{0,6}") {
            let connection = rusqlite::Connection::open_in_memory().expect("memory");
            connection.execute_batch("create table t (c numeric)").expect("a table");
            connection.execute("insert into t values (?)", [&candidate]).expect("a row");
            let class: String = connection.query_row("select typeof(c) from t", [], |row| row.get(0)).expect("it");
            proptest::prop_assert_eq!(is_number(&candidate), class != "text");
        }

        #[test]
        fn a_decimal_in_a_numeric_column_is_refused_or_comes_back(value: i64, shift in 0u32..60, scale in 0i8..=18) {
            let value = i128::from(value >> shift);
            let expected = {
                let mut text = String::new();
                text::decimal(&mut text, value, scale);
                text
            };
            // A real stands for the shortest decimal that reads as it.
            let found = match stored(&format!("numeric(19,{scale})"), decimal(value, 19, scale)) {
                Some(Value::Integer(number)) => number.to_string(),
                Some(Value::Real(number)) => number.to_string(),
                Some(other) => format!("{other:?}"),
                None => expected.clone(),
            };
            let plain = |text: &str| {
                let trimmed = text.trim_end_matches('0').trim_end_matches('.');
                if text.contains('.') { trimmed } else { text }.to_owned()
            };
            proptest::prop_assert_eq!(plain(&found), plain(&expected));
        }
    }
}
