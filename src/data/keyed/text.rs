//! The bytes that values are written as in a key-value target: digits for numbers, text and bytes
//! as they are, `1` and `0` for booleans, moments in the form that the layout declares.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};

use super::Moments;
use crate::data::column::{ColumnType, DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};
use crate::data::reject::Reason;
use crate::data::text;
use crate::error::Refusal;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_MILLISECOND: i64 = 1_000;

/// Up to here every whole number is a double.
const WHOLE_DOUBLES: u64 = 1 << 53;

/// The values of one column, ready to be written.
pub struct Values {
    name: String,
    moments: Moments,
    kind: Kind,
    /// For what goes through text.
    scratch: String,
}

enum Kind {
    Bool(BooleanArray),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Decimal(Decimal128Array, i8),
    Text(StringArray),
    /// Exact decimal text.
    Numeric(StringArray),
    Json(StringArray),
    Bytes(BinaryArray),
    Uuid(FixedSizeBinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray, bool),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, ColumnType),
}

impl Values {
    /// The values of a column of this type; `None` where the type is not interpreted, or the array
    /// is of another one.
    #[must_use]
    pub fn of(name: &str, ty: &ColumnType, array: &ArrayRef, moments: Moments) -> Option<Self> {
        let array = array.as_ref();
        let kind = match ty {
            ColumnType::Bool => Kind::Bool(array.as_boolean_opt()?.clone()),
            ColumnType::Int16 => Kind::Int16(array.as_primitive_opt()?.clone()),
            ColumnType::Int32 => Kind::Int32(array.as_primitive_opt()?.clone()),
            ColumnType::Int64 => Kind::Int64(array.as_primitive_opt()?.clone()),
            ColumnType::Float32 => Kind::Float32(array.as_primitive_opt()?.clone()),
            ColumnType::Float64 => Kind::Float64(array.as_primitive_opt()?.clone()),
            ColumnType::Decimal { scale, .. } => Kind::Decimal(array.as_primitive_opt()?.clone(), *scale),
            ColumnType::Numeric { .. } => Kind::Numeric(array.as_string_opt()?.clone()),
            ColumnType::Text { .. } | ColumnType::Enum { .. } => Kind::Text(array.as_string_opt()?.clone()),
            ColumnType::Json { .. } => Kind::Json(array.as_string_opt()?.clone()),
            ColumnType::Bytes => Kind::Bytes(array.as_binary_opt()?.clone()),
            ColumnType::Uuid => Kind::Uuid(array.as_fixed_size_binary_opt()?.clone()),
            ColumnType::Date => Kind::Date(array.as_primitive_opt()?.clone()),
            ColumnType::Time { .. } => Kind::Time(array.as_primitive_opt()?.clone()),
            ColumnType::Timestamp { zoned, .. } => Kind::Timestamp(array.as_primitive_opt()?.clone(), *zoned),
            ColumnType::Interval => Kind::Interval(array.as_primitive_opt()?.clone()),
            ColumnType::List(element) => Kind::List(array.as_list_opt()?.clone(), element.as_ref().clone()),
            ColumnType::Opaque { .. } => return None,
        };
        Some(Self {
            name: name.to_owned(),
            moments,
            kind,
            scratch: String::new(),
        })
    }

    /// Whether the row has no value.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row)
    }

    /// The bytes of a row's value, which is not NULL; good until the next call.
    ///
    /// # Errors
    /// Why there are none that mean the same.
    pub fn bytes(&mut self, row: usize) -> Result<Cow<'_, [u8]>, Refusal> {
        // What is bytes already is not copied.
        match &self.kind {
            Kind::Text(values) | Kind::Numeric(values) | Kind::Json(values) => {
                return Ok(Cow::Borrowed(values.value(row).as_bytes()));
            }
            Kind::Bytes(values) => return Ok(Cow::Borrowed(values.value(row))),
            _ => {}
        }
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        let done = self.push(row, &mut out);
        self.scratch = out;
        done.map(|()| Cow::Borrowed(self.scratch.as_bytes()))
    }

    /// Appends a row's value as one of JSON; NULL too.
    ///
    /// # Errors
    /// Why JSON has none that means the same.
    pub fn push_json(&self, row: usize, out: &mut String) -> Result<(), Refusal> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        let number = |fits: bool| {
            let detail = "NaN and infinity are no numbers in JSON";
            fits.then_some(()).ok_or_else(|| self.refuse(Reason::Json, detail))
        };
        match &self.kind {
            Kind::Bool(values) => out.push_str(if values.value(row) { "true" } else { "false" }),
            Kind::Json(values) => out.push_str(values.value(row)),
            Kind::Numeric(values) => {
                let value = values.value(row);
                number(value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.')))?;
                out.push_str(value);
            }
            Kind::Float32(values) => {
                number(values.value(row).is_finite())?;
                self.push(row, out)?;
            }
            Kind::Float64(values) => {
                number(values.value(row).is_finite())?;
                self.push(row, out)?;
            }
            Kind::Int16(_) | Kind::Int32(_) | Kind::Int64(_) | Kind::Decimal(..) | Kind::List(..) => self.push(row, out)?,
            Kind::Timestamp(..) if self.moments != Moments::Rfc3339 => self.push(row, out)?,
            Kind::Text(values) => text::quoted(out, values.value(row)),
            _ => {
                let mut value = String::new();
                self.push(row, &mut value)?;
                text::quoted(out, &value);
            }
        }
        Ok(())
    }

    /// The moment of a row in milliseconds since 1970, cut, for keys that expire at it; `None`
    /// where it never comes. Only of timestamps.
    #[must_use]
    pub fn milliseconds(&self, row: usize) -> Option<i64> {
        match &self.kind {
            Kind::Timestamp(values, _) if values.is_valid(row) => match values.value(row) {
                TIMESTAMP_INFINITY => None,
                value => Some(value.div_euclid(MICROSECONDS_PER_MILLISECOND)),
            },
            _ => None,
        }
    }

    /// The score of a row in a sorted set, which is a double: the row's number, if that is one of
    /// them to the digit.
    ///
    /// # Errors
    /// Where it is not.
    pub fn score(&mut self, row: usize) -> Result<f64, Refusal> {
        let inexact = |values: &Self| {
            Err(values.refuse(
                Reason::OutOfRange,
                "a score is a double, which has no exact form for this number (whole numbers end at 2^53)",
            ))
        };
        match &self.kind {
            Kind::Float32(values) if !values.value(row).is_nan() => return Ok(f64::from(values.value(row))),
            Kind::Float64(values) if !values.value(row).is_nan() => return Ok(values.value(row)),
            Kind::Float32(_) | Kind::Float64(_) => {
                return Err(self.refuse(Reason::OutOfRange, "NaN is no score"));
            }
            _ => {}
        }
        let whole = match &self.kind {
            Kind::Int16(values) => Some(i64::from(values.value(row))),
            Kind::Int32(values) => Some(i64::from(values.value(row))),
            Kind::Int64(values) => Some(values.value(row)),
            _ => None,
        };
        if let Some(whole) = whole.filter(|whole| whole.unsigned_abs() <= WHOLE_DOUBLES) {
            #[expect(clippy::cast_precision_loss, reason = "up to 2^53 every whole number is a double")]
            return Ok(whole as f64);
        }
        let digits = self.bytes(row)?;
        let Some(score) = std::str::from_utf8(&digits).ok().and_then(exact_double) else {
            drop(digits);
            return inexact(self);
        };
        Ok(score)
    }

    fn refuse(&self, reason: Reason, detail: &str) -> Refusal {
        Refusal {
            column: Some(self.name.clone()),
            reason,
            detail: detail.to_owned(),
        }
    }

    fn push(&self, row: usize, out: &mut String) -> Result<(), Refusal> {
        let fits = match &self.kind {
            Kind::Bool(values) => plain(out, u8::from(values.value(row))),
            Kind::Int16(values) => whole(out, values.value(row)),
            Kind::Int32(values) => whole(out, values.value(row)),
            Kind::Int64(values) => whole(out, values.value(row)),
            // The shortest form of a single reads back as the same single.
            Kind::Float32(values) => plain(out, values.value(row)),
            Kind::Float64(values) => plain(out, values.value(row)),
            Kind::Decimal(values, scale) => {
                text::decimal(out, values.value(row), *scale);
                true
            }
            Kind::Text(values) | Kind::Numeric(values) | Kind::Json(values) => {
                out.push_str(values.value(row));
                true
            }
            Kind::Bytes(values) => plain(out, hex::encode(values.value(row))),
            Kind::Uuid(values) => {
                text::uuid(out, values.value(row));
                true
            }
            Kind::Date(values) => match values.value(row) {
                DATE_INFINITY | DATE_MINUS_INFINITY => return Err(self.refuse(Reason::OutOfRange, "infinity is no date here")),
                days => text::date(out, i64::from(days)),
            },
            Kind::Time(values) => {
                text::time(out, values.value(row));
                true
            }
            Kind::Timestamp(values, zoned) => return self.push_moment(values.value(row), *zoned, out),
            Kind::Interval(values) => {
                text::interval(out, values.value(row));
                true
            }
            Kind::List(values, element) => text::list(out, element, values.value(row).as_ref()),
        };
        fits.then_some(())
            .ok_or_else(|| self.refuse(Reason::OutOfRange, "its year has no form of four digits"))
    }

    fn push_moment(&self, micros: i64, zoned: bool, out: &mut String) -> Result<(), Refusal> {
        if matches!(micros, TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) {
            return Err(self.refuse(Reason::OutOfRange, "infinity is no moment here"));
        }
        let unit = match self.moments {
            Moments::Rfc3339 => {
                let start = out.len();
                if !text::timestamp(out, micros, zoned) {
                    return Err(self.refuse(Reason::OutOfRange, "its year has no form of four digits"));
                }
                if let Some(space) = out[start..].find(' ') {
                    out.replace_range(start + space..=start + space, "T");
                }
                return Ok(());
            }
            Moments::UnixSeconds => MICROSECONDS_PER_SECOND,
            Moments::UnixMilliseconds => MICROSECONDS_PER_MILLISECOND,
            Moments::UnixMicroseconds => 1,
        };
        if micros % unit != 0 {
            return Err(self.refuse(Reason::Inexact, "it has a smaller fraction than the stream's `moments` hold"));
        }
        whole(out, micros / unit);
        Ok(())
    }

    fn array(&self) -> &dyn Array {
        match &self.kind {
            Kind::Bool(array) => array,
            Kind::Int16(array) => array,
            Kind::Int32(array) => array,
            Kind::Int64(array) => array,
            Kind::Float32(array) => array,
            Kind::Float64(array) => array,
            Kind::Decimal(array, _) => array,
            Kind::Text(array) | Kind::Numeric(array) | Kind::Json(array) => array,
            Kind::Bytes(array) => array,
            Kind::Uuid(array) => array,
            Kind::Date(array) => array,
            Kind::Time(array) => array,
            Kind::Timestamp(array, _) => array,
            Kind::Interval(array) => array,
            Kind::List(array, _) => array,
        }
    }
}

/// Always fits.
fn whole(out: &mut String, value: impl itoa::Integer) -> bool {
    out.push_str(itoa::Buffer::new().format(value));
    true
}

/// Always fits.
fn plain(out: &mut String, value: impl std::fmt::Display) -> bool {
    use std::fmt::Write as _;
    write!(out, "{value}").is_ok()
}

/// The double of a decimal text, if it is that number or, with a fraction, if no other text of as
/// few digits has the same double.
fn exact_double(digits: &str) -> Option<f64> {
    let double: f64 = digits.parse().ok()?;
    if !double.is_finite() {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.bytes().all(|byte| byte == b'0') {
        // `{:.0}` writes every digit of a whole double.
        return (format!("{double:.0}").trim_start_matches('-') == whole.trim_start_matches('-')).then_some(double);
    }
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    let leading = digits
        .trim_start_matches('-')
        .bytes()
        .take_while(|byte| matches!(byte, b'0' | b'.'))
        .filter(|byte| *byte == b'0')
        .count();
    // With up to 15 digits every decimal comes back from its double.
    (significant - leading <= 15).then_some(double)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn values(ty: &ColumnType, array: impl Array + 'static, moments: Moments) -> Values {
        Values::of("c", ty, &(Arc::new(array) as ArrayRef), moments).expect("a column of that type")
    }

    fn written(ty: &ColumnType, array: impl Array + 'static, moments: Moments) -> Result<String, Reason> {
        let mut values = values(ty, array, moments);
        let bytes = values.bytes(0).map_err(|refusal| refusal.reason)?;
        Ok(String::from_utf8(bytes.into_owned()).expect("text"))
    }

    #[test]
    fn numbers_are_their_digits() {
        let plain = Moments::Rfc3339;
        assert_eq!(
            written(&ColumnType::Int64, Int64Array::from(vec![i64::MIN]), plain).as_deref(),
            Ok("-9223372036854775808")
        );
        assert_eq!(
            written(&ColumnType::Bool, BooleanArray::from(vec![true]), plain).as_deref(),
            Ok("1")
        );
        let decimal = Decimal128Array::from(vec![-5]).with_precision_and_scale(7, 2).expect("fits");
        let ty = ColumnType::Decimal { precision: 7, scale: 2 };
        assert_eq!(written(&ty, decimal, plain).as_deref(), Ok("-0.05"));
        assert_eq!(
            written(&ColumnType::Float64, Float64Array::from(vec![0.1]), plain).as_deref(),
            Ok("0.1")
        );
    }

    #[test]
    fn moments_take_the_declared_form() {
        let ty = ColumnType::INSTANT;
        let at = |micros: i64| TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        assert_eq!(
            written(&ty, at(1_500_000), Moments::Rfc3339).as_deref(),
            Ok("1970-01-01T00:00:01.500Z")
        );
        assert_eq!(written(&ty, at(2_000_000), Moments::UnixSeconds).as_deref(), Ok("2"));
        assert_eq!(written(&ty, at(1_500_000), Moments::UnixSeconds), Err(Reason::Inexact));
        assert_eq!(written(&ty, at(1_500_000), Moments::UnixMilliseconds).as_deref(), Ok("1500"));
        assert_eq!(written(&ty, at(-1), Moments::UnixMicroseconds).as_deref(), Ok("-1"));
        assert_eq!(
            written(&ty, at(TIMESTAMP_INFINITY), Moments::UnixSeconds),
            Err(Reason::OutOfRange)
        );
    }

    #[test]
    fn a_score_is_exact_or_refused() {
        let score = |number: i64| values(&ColumnType::Int64, Int64Array::from(vec![number]), Moments::Rfc3339).score(0);
        assert_eq!(score(1 << 53).ok(), Some(9_007_199_254_740_992.0));
        assert_eq!(
            score((1 << 53) + 1).map_err(|refusal| refusal.reason),
            Err(Reason::OutOfRange)
        );
        assert_eq!(
            score(-(1 << 53) - 1).map_err(|refusal| refusal.reason),
            Err(Reason::OutOfRange)
        );
        for (digits, exact) in [
            ("1200.50", true),
            ("0.1", true),
            ("123456789012345.6", false),
            ("0.000001", true),
            ("1e400", false),
        ] {
            assert_eq!(exact_double(digits).is_some(), exact, "{digits}");
        }
        let nan = values(&ColumnType::Float64, Float64Array::from(vec![f64::NAN]), Moments::Rfc3339).score(0);
        assert_eq!(nan.map_err(|refusal| refusal.reason), Err(Reason::OutOfRange));
    }

    #[test]
    fn json_keeps_numbers_numbers() {
        let mut out = String::new();
        let text = StringArray::from(vec!["a\"\u{1}b"]);
        values(&ColumnType::TEXT, text, Moments::Rfc3339)
            .push_json(0, &mut out)
            .expect("text");
        let long = StringArray::from(vec!["123456789012345678901234567890.5"]);
        let numeric = ColumnType::Numeric { limits: None };
        values(&numeric, long, Moments::Rfc3339)
            .push_json(0, &mut out)
            .expect("a number");
        assert_eq!(out, "\"a\\\"\\u0001b\"123456789012345678901234567890.5");
        let nan = StringArray::from(vec!["NaN"]);
        let refused = values(&numeric, nan, Moments::Rfc3339).push_json(0, &mut out);
        assert_eq!(refused.map_err(|refusal| refusal.reason), Err(Reason::Json));
    }
}
