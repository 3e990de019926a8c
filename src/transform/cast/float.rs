//! Casts to floats.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};

use super::Problem;
use super::decimal::{Literal, write_f32, write_f64, write_scaled};
use super::kernel::{self, Outcome};
use super::number::whole;
use crate::data::column::ColumnType;

/// Casts to a float type.
pub(super) fn to_float(input: &ArrayRef, to: &ColumnType, lossy: bool) -> Outcome {
    if *input.data_type() == to.arrow() {
        return Some((Arc::clone(input), Vec::new()));
    }
    match (input.data_type(), to) {
        (DataType::Float64, ColumnType::Float32) => narrow(input, lossy),
        (_, ColumnType::Float32) => float::<Float32Type>(input, lossy),
        (DataType::Float32, _) => {
            kernel::primitive::<_, Float64Type>(input.as_primitive::<Float32Type>(), &DataType::Float64, |value| {
                Ok(f64::from(value))
            })
        }
        _ => float::<Float64Type>(input, lossy),
    }
}

/// Double to single precision: the same number, or the same shortest text (`0.1`).
fn narrow(input: &ArrayRef, lossy: bool) -> Outcome {
    let (mut text, mut back) = (String::with_capacity(32), String::with_capacity(32));
    kernel::primitive::<_, Float32Type>(input.as_primitive::<Float64Type>(), &DataType::Float32, |value| {
        #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
        let nearest = value as f32;
        if value.is_nan() || f64::from(nearest).to_bits() == value.to_bits() {
            return Ok(nearest);
        }
        text.clear();
        write_f64(value, &mut text);
        float_of::<Float32Type>(&text, lossy, &mut back)
    })
}

/// What the two float types have in common here.
trait Float: ArrowPrimitiveType {
    /// Decimal digits that always survive.
    const DIGITS: usize;
    fn nearest(value: i128) -> Self::Native;
    fn exact(value: Self::Native) -> Option<i128>;
    fn read(text: &str) -> Option<Self::Native>;
    fn finite(value: Self::Native) -> bool;
    /// All of [`Self::DIGITS`] are there: the float is neither zero nor next to it.
    fn normal(value: Self::Native) -> bool;
    fn write(value: Self::Native, out: &mut String);
}

macro_rules! float {
    ($arrow:ty, $native:ty, $digits:literal, $write:path) => {
        impl Float for $arrow {
            const DIGITS: usize = $digits;
            #[expect(
                clippy::cast_precision_loss,
                reason = "the nearest float is meant; the caller compares it with what it stands for"
            )]
            fn nearest(value: i128) -> $native {
                value as $native
            }
            fn exact(value: $native) -> Option<i128> {
                whole(value.into(), false).ok()
            }
            fn read(text: &str) -> Option<$native> {
                text.parse().ok()
            }
            fn finite(value: $native) -> bool {
                value.is_finite()
            }
            fn normal(value: $native) -> bool {
                value.is_normal()
            }
            fn write(value: $native, out: &mut String) {
                $write(value, out);
            }
        }
    };
}
float!(Float32Type, f32, 6, write_f32);
float!(Float64Type, f64, 15, write_f64);

fn float<B: Float>(input: &ArrayRef, lossy: bool) -> Outcome {
    let ty = &B::DATA_TYPE;
    let mut scratch = String::with_capacity(48);
    let of_int = |value: i128| {
        let float = B::nearest(value);
        if lossy || B::exact(float) == Some(value) {
            Ok(float)
        } else {
            Err(Problem::Inexact)
        }
    };
    match input.data_type() {
        DataType::Int16 => kernel::primitive::<_, B>(input.as_primitive::<Int16Type>(), ty, |value| of_int(value.into())),
        DataType::Int32 => kernel::primitive::<_, B>(input.as_primitive::<Int32Type>(), ty, |value| of_int(value.into())),
        DataType::Int64 => kernel::primitive::<_, B>(input.as_primitive::<Int64Type>(), ty, |value| of_int(value.into())),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            let mut back = String::with_capacity(48);
            kernel::primitive::<_, B>(input.as_primitive::<Decimal128Type>(), ty, |value| {
                scratch.clear();
                write_scaled(value, scale, &mut scratch);
                float_of::<B>(&scratch, lossy, &mut back)
            })
        }
        DataType::Utf8 => kernel::parse::<B>(input.as_string::<i32>(), ty, |text| float_of::<B>(text, lossy, &mut scratch)),
        _ => None,
    }
}

/// The float whose shortest text, or whose exact integer, is the number in `text`.
fn float_of<B: Float>(text: &str, lossy: bool, back: &mut String) -> Result<B::Native, Problem> {
    if let Some(special) = special(text) {
        return B::read(special).ok_or(Problem::Unreadable);
    }
    let literal = Literal::parse(text).ok_or(Problem::Unreadable)?;
    let value = B::read(text).ok_or(Problem::Unreadable)?;
    if !B::finite(value) {
        return Err(Problem::OutOfRange);
    }
    if lossy {
        return Ok(value);
    }
    if literal.significant_digits() <= B::DIGITS && B::normal(value) {
        return Ok(value);
    }
    back.clear();
    B::write(value, back);
    let same = Literal::parse(back).is_some_and(|shortest| shortest.same_number(&literal))
        || B::exact(value).is_some_and(|exact| literal.scaled(38, 0, false) == Ok(exact));
    if same { Ok(value) } else { Err(Problem::Inexact) }
}

/// The three floats that are no numbers, in the spelling that Rust reads.
pub(super) fn special(text: &str) -> Option<&'static str> {
    match text {
        "NaN" | "nan" => Some("NaN"),
        "Infinity" | "infinity" | "inf" | "Inf" | "+Infinity" => Some("inf"),
        "-Infinity" | "-infinity" | "-inf" | "-Inf" => Some("-inf"),
        _ => None,
    }
}
