//! Casts to integers, decimals and numeric text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};

use super::Problem;
use super::decimal::{Literal, write_f32, write_f64, write_scaled};
use super::float::special;
use super::kernel::{self, Outcome};
use crate::data::column::ColumnType;

/// Casts to an integer type.
pub(super) fn to_int(input: &ArrayRef, to: &ColumnType, lossy: bool) -> Outcome {
    if *input.data_type() == to.arrow() {
        return Some((Arc::clone(input), Vec::new()));
    }
    match to {
        ColumnType::Int16 => int::<Int16Type>(input, lossy),
        ColumnType::Int32 => int::<Int32Type>(input, lossy),
        _ => int::<Int64Type>(input, lossy),
    }
}

fn int<B: ArrowPrimitiveType>(input: &ArrayRef, lossy: bool) -> Outcome
where
    B::Native: TryFrom<i128>,
{
    let fit = |value: i128| B::Native::try_from(value).map_err(|_| Problem::OutOfRange);
    let ty = &B::DATA_TYPE;
    match input.data_type() {
        DataType::Boolean => {
            let ints = arrow::compute::cast(input, ty).ok()?;
            Some((ints, Vec::new()))
        }
        DataType::Int16 => kernel::primitive::<_, B>(input.as_primitive::<Int16Type>(), ty, |value| fit(value.into())),
        DataType::Int32 => kernel::primitive::<_, B>(input.as_primitive::<Int32Type>(), ty, |value| fit(value.into())),
        DataType::Int64 => kernel::primitive::<_, B>(input.as_primitive::<Int64Type>(), ty, |value| fit(value.into())),
        DataType::Float32 => kernel::primitive::<_, B>(input.as_primitive::<Float32Type>(), ty, |value| {
            fit(whole(value.into(), lossy)?)
        }),
        DataType::Float64 => kernel::primitive::<_, B>(input.as_primitive::<Float64Type>(), ty, |value| fit(whole(value, lossy)?)),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            kernel::primitive::<_, B>(input.as_primitive::<Decimal128Type>(), ty, |value| {
                fit(rescale(value, scale, 0, lossy)?)
            })
        }
        DataType::Utf8 => kernel::parse::<B>(input.as_string::<i32>(), ty, |text| fit(whole_text(text, lossy)?)),
        _ => None,
    }
}

/// A float without fraction as the integer it is.
pub(super) fn whole(value: f64, lossy: bool) -> Result<i128, Problem> {
    // 2^126: far beyond every integer target, and still exact in an i128.
    const END: f64 = 85_070_591_730_234_615_865_843_651_857_942_052_864.0;
    if !value.is_finite() || value.abs() >= END {
        return Err(Problem::OutOfRange);
    }
    let whole = if lossy { value.round() } else { value };
    if whole.fract() != 0.0 {
        return Err(Problem::Inexact);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a finite float without fraction below 2^126")]
    Ok(whole as i128)
}

fn whole_text(text: &str, lossy: bool) -> Result<i128, Problem> {
    // The plain case first: no sign but minus, few digits.
    if let Ok(value) = text.parse::<i64>() {
        return Ok(value.into());
    }
    Literal::parse(text).ok_or(Problem::Unreadable)?.scaled(38, 0, lossy)
}

/// Casts to `numeric(precision, scale)`.
pub(super) fn to_decimal(input: &ArrayRef, precision: u8, scale: i8, lossy: bool) -> Outcome {
    let ty = &DataType::Decimal128(precision, scale);
    let mut scratch = String::with_capacity(48);
    match input.data_type() {
        DataType::Decimal128(p, s) if *s == scale && *p <= precision => {
            let same = input.as_primitive::<Decimal128Type>().clone();
            Some((Arc::new(same.with_data_type(ty.clone())), Vec::new()))
        }
        DataType::Decimal128(_, from) => {
            let from = *from;
            kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Decimal128Type>(), ty, |value| {
                within(rescale(value, from, scale, lossy)?, precision)
            })
        }
        DataType::Int16 => kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Int16Type>(), ty, |value| {
            within(rescale(value.into(), 0, scale, lossy)?, precision)
        }),
        DataType::Int32 => kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Int32Type>(), ty, |value| {
            within(rescale(value.into(), 0, scale, lossy)?, precision)
        }),
        DataType::Int64 => kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Int64Type>(), ty, |value| {
            within(rescale(value.into(), 0, scale, lossy)?, precision)
        }),
        DataType::Float32 => kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Float32Type>(), ty, |value| {
            float_number(value.into(), |out| write_f32(value, out), &mut scratch)?;
            Literal::parse(&scratch)
                .ok_or(Problem::OutOfRange)?
                .scaled(precision, scale, lossy)
        }),
        DataType::Float64 => kernel::primitive::<_, Decimal128Type>(input.as_primitive::<Float64Type>(), ty, |value| {
            float_number(value, |out| write_f64(value, out), &mut scratch)?;
            Literal::parse(&scratch)
                .ok_or(Problem::OutOfRange)?
                .scaled(precision, scale, lossy)
        }),
        DataType::Utf8 => kernel::parse::<Decimal128Type>(input.as_string::<i32>(), ty, |text| {
            if special(text).is_some() {
                return Err(Problem::OutOfRange);
            }
            Literal::parse(text)
                .ok_or(Problem::Unreadable)?
                .scaled(precision, scale, lossy)
        }),
        _ => None,
    }
}

/// Writes the number that a finite float stands for: the integer it is, or its shortest text.
fn float_number(value: f64, shortest: impl FnOnce(&mut String), out: &mut String) -> Result<(), Problem> {
    out.clear();
    if !value.is_finite() {
        return Err(Problem::OutOfRange);
    }
    match whole(value, false) {
        Ok(whole) => kernel::put(out, format_args!("{whole}")),
        Err(_) => shortest(out),
    }
    Ok(())
}

/// Moves a scaled integer from one scale to another.
fn rescale(value: i128, from: i8, to: i8, lossy: bool) -> Result<i128, Problem> {
    let power = 10_i128.checked_pow(u32::from(to.abs_diff(from))).ok_or(Problem::OutOfRange)?;
    if to >= from {
        return value.checked_mul(power).ok_or(Problem::OutOfRange);
    }
    let (whole, rest) = (value / power, value % power);
    if rest == 0 {
        return Ok(whole);
    }
    if !lossy {
        return Err(Problem::Inexact);
    }
    // Half away from zero; a power of ten is even, so that its half is exact.
    Ok(if rest.abs() >= power / 2 {
        whole + value.signum()
    } else {
        whole
    })
}

fn within(value: i128, precision: u8) -> Result<i128, Problem> {
    if value.unsigned_abs() < 10_u128.pow(u32::from(precision)) {
        Ok(value)
    } else {
        Err(Problem::OutOfRange)
    }
}

/// Casts to `numeric` of any size, as exact decimal text.
pub(super) fn to_numeric(input: &ArrayRef, limits: Option<(u16, i16)>, lossy: bool) -> Outcome {
    let len = input.len();
    let mut scratch = String::with_capacity(48);
    let bounded = |text: &str, out: &mut String| {
        if let Some(special) = special(text) {
            return numeric_special(special, limits, out);
        }
        Literal::parse(text).ok_or(Problem::Unreadable)?.plain(limits, lossy, out)
    };
    macro_rules! ints {
        ($ty:ty) => {
            kernel::write(len, input.as_primitive::<$ty>().iter(), |value, out| {
                scratch.clear();
                kernel::put(&mut scratch, format_args!("{value}"));
                bounded(&scratch, out)
            })
        };
    }
    match input.data_type() {
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => ints!(Int64Type),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            kernel::write(len, input.as_primitive::<Decimal128Type>().iter(), |value, out| {
                scratch.clear();
                write_scaled(value, scale, &mut scratch);
                bounded(&scratch, out)
            })
        }
        DataType::Float32 => kernel::write(len, input.as_primitive::<Float32Type>().iter(), |value, out| {
            numeric_float(value.into(), |text| write_f32(value, text), &mut scratch);
            bounded(&scratch, out)
        }),
        DataType::Float64 => kernel::write(len, input.as_primitive::<Float64Type>().iter(), |value, out| {
            numeric_float(value, |text| write_f64(value, text), &mut scratch);
            bounded(&scratch, out)
        }),
        DataType::Utf8 => kernel::write(len, input.as_string::<i32>().iter(), bounded),
        _ => None,
    }
}

fn numeric_float(value: f64, shortest: impl FnOnce(&mut String), out: &mut String) {
    out.clear();
    match whole(value, false) {
        Ok(whole) => kernel::put(out, format_args!("{whole}")),
        Err(_) => shortest(out),
    }
}

fn numeric_special(special: &str, limits: Option<(u16, i16)>, out: &mut String) -> Result<(), Problem> {
    let text = match (special, limits) {
        ("NaN", _) => "NaN",
        (_, Some(_)) => return Err(Problem::OutOfRange),
        ("inf", None) => "Infinity",
        (_, None) => "-Infinity",
    };
    out.push_str(text);
    Ok(())
}
