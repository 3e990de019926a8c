//! Casts to JSON texts.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};

use super::Problem;
use super::decimal::{Literal, write_f32, write_f64, write_scaled};
use super::document;
use super::kernel::{self, Outcome};
use crate::data::column::ColumnType;

pub(in crate::transform) const NOT_A_NUMBER: &str = "a number that JSON has no form for";

/// Casts to JSON: numbers and booleans become themselves, text has to be JSON already (a plain
/// text is quoted by `to_json`, never silently).
pub(in crate::transform) fn to_json(input: &ArrayRef, from: &ColumnType, binary: bool, duplicates_allowed: bool) -> Outcome {
    let len = input.len();
    macro_rules! ints {
        ($ty:ty) => {
            kernel::write(len, input.as_primitive::<$ty>().iter(), |value, out| {
                kernel::put(out, format_args!("{value}"));
                Ok(())
            })
        };
    }
    match input.data_type() {
        DataType::Boolean => kernel::write(len, input.as_boolean().iter(), |value, out| {
            out.push_str(if value { "true" } else { "false" });
            Ok(())
        }),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => ints!(Int64Type),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            kernel::write(len, input.as_primitive::<Decimal128Type>().iter(), |value, out| {
                write_scaled(value, scale, out);
                Ok(())
            })
        }
        DataType::Float32 => kernel::write(len, input.as_primitive::<Float32Type>().iter(), |value, out| {
            write_f32(value, out);
            finite(value.is_finite())
        }),
        DataType::Float64 => kernel::write(len, input.as_primitive::<Float64Type>().iter(), |value, out| {
            write_f64(value, out);
            finite(value.is_finite())
        }),
        DataType::Utf8 if matches!(from, ColumnType::Numeric { .. }) => {
            kernel::write(len, input.as_string::<i32>().iter(), |text, out| {
                Literal::parse(text)
                    .ok_or(Problem::Json(NOT_A_NUMBER))?
                    .plain(None, false, out)
            })
        }
        DataType::Utf8 if binary => {
            let mut binary = document::Binary::default();
            kernel::check(input.as_string::<i32>(), |text| {
                binary.check(text, duplicates_allowed).map_err(Problem::Json)
            })
        }
        DataType::Utf8 => kernel::check(input.as_string::<i32>(), |text| document::check(text).map_err(Problem::Json)),
        _ => None,
    }
}

fn finite(finite: bool) -> Result<(), Problem> {
    if finite { Ok(()) } else { Err(Problem::Json(NOT_A_NUMBER)) }
}
