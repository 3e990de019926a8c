//! Casts to text and enum labels.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
};
use uuid::Uuid;

use super::Problem;
use super::civil::{self, Excess};
use super::decimal::{write_f32, write_f64, write_scaled};
use super::interval;
use super::kernel::{self, Outcome};
use crate::data::column::ColumnType;

/// Casts to text. The canonical texts are those that [`super`] reads back, mostly as Postgres
/// spells them: `true`, `12.50`, `1e+20`, `2024-02-29`, `2024-02-29 23:59:59.5Z`, `P1DT2H`.
pub(super) fn to_text(input: &ArrayRef, from: &ColumnType, to: &ColumnType, nul: bool) -> Outcome {
    let ColumnType::Text { max_chars, .. } = to else {
        return None;
    };
    let max_chars = max_chars.map(|n| n as usize);
    if *input.data_type() == DataType::Utf8 {
        return checked(input.as_string::<i32>(), max_chars, nul);
    }
    let (texts, mut problems) = spell(input, from)?;
    let Some(max) = max_chars else {
        return Some((texts, problems));
    };
    let (checked, too_long) = checked(texts.as_string::<i32>(), Some(max), true)?;
    problems.extend(too_long);
    problems.sort_by_key(|(row, _)| *row);
    Some((checked, problems))
}

/// Text that is text already: limits and NUL bytes only.
fn checked(texts: &StringArray, max_chars: Option<usize>, nul: bool) -> Outcome {
    let offsets = texts.value_offsets();
    let start = usize::try_from(*offsets.first()?).ok()?;
    let end = usize::try_from(*offsets.last()?).ok()?;
    let has_nul = !nul && texts.values()[start..end].contains(&0);
    // A text never has more characters than bytes.
    let may_be_long = max_chars.filter(|max| {
        offsets
            .windows(2)
            .any(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(usize::MAX) > *max)
    });
    if !has_nul && may_be_long.is_none() {
        return Some((std::sync::Arc::new(texts.clone()), Vec::new()));
    }
    kernel::check(texts, |text| {
        if has_nul && text.as_bytes().contains(&0) {
            return Err(Problem::NulByte);
        }
        if may_be_long.is_some_and(|max| text.len() > max && text.chars().count() > max) {
            return Err(Problem::TooLong);
        }
        Ok(())
    })
}

pub(in crate::transform) fn spell(input: &ArrayRef, from: &ColumnType) -> Outcome {
    let len = input.len();
    macro_rules! primitive {
        ($ty:ty, $each:expr) => {
            kernel::write(len, input.as_primitive::<$ty>().iter(), $each)
        };
    }
    match input.data_type() {
        DataType::Boolean => kernel::write(len, input.as_boolean().iter(), |value, out| {
            out.push_str(if value { "true" } else { "false" });
            Ok(())
        }),
        DataType::Int16 => primitive!(Int16Type, plain),
        DataType::Int32 => primitive!(Int32Type, plain),
        DataType::Int64 => primitive!(Int64Type, plain),
        DataType::Float32 => primitive!(Float32Type, |value, out| {
            write_f32(value, out);
            Ok(())
        }),
        DataType::Float64 => primitive!(Float64Type, |value, out| {
            write_f64(value, out);
            Ok(())
        }),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            primitive!(Decimal128Type, |value, out| {
                write_scaled(value, scale, out);
                Ok(())
            })
        }
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) => spell_time(input, from),
        DataType::Interval(_) => primitive!(IntervalMonthDayNanoType, |value, out| {
            interval::write_interval(value.months, value.days, value.nanoseconds, out);
            Ok(())
        }),
        DataType::FixedSizeBinary(16) => kernel::write(len, input.as_fixed_size_binary().iter(), |value, out| {
            let uuid = Uuid::from_slice(value).map_err(|_| Problem::Unreadable)?;
            out.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            Ok(())
        }),
        _ => None,
    }
}

/// Dates, times of day and timestamps.
fn spell_time(input: &ArrayRef, from: &ColumnType) -> Outcome {
    let len = input.len();
    match input.data_type() {
        DataType::Date32 => kernel::write(len, input.as_primitive::<Date32Type>().iter(), |value, out| {
            if let Some(end) = civil::infinite_date(value) {
                out.push_str(end.text());
                return Ok(());
            }
            civil::write_date(value.into(), out);
            civil::write_era(value.into(), out);
            Ok(())
        }),
        DataType::Time64(_) => {
            let (values, unit) = super::time::units(input)?;
            kernel::write(len, values.iter(), |value, out| {
                match super::time::whole_micros(value, unit)? {
                    (micros, Excess::None) => {
                        civil::write_time(micros, out);
                        Ok(())
                    }
                    _ => Err(Problem::Inexact),
                }
            })
        }
        DataType::Timestamp(..) => {
            let zoned = matches!(from, ColumnType::Timestamp { zoned: true, .. });
            let (values, unit) = super::time::units(input)?;
            kernel::write(len, values.iter(), |value, out| {
                let micros = super::time::micros(value, unit, 6, false)?;
                match civil::infinite_timestamp(micros) {
                    Some(end) => out.push_str(end.text()),
                    None => civil::write_timestamp(micros, zoned, out),
                }
                Ok(())
            })
        }
        _ => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that the kernel wants")]
fn plain(value: impl std::fmt::Display, out: &mut String) -> Result<(), Problem> {
    kernel::put(out, format_args!("{value}"));
    Ok(())
}

/// Casts to an enum. Without labels every text passes (the target is asked).
pub(super) fn to_enum(input: &ArrayRef, labels: &[String]) -> Outcome {
    kernel::check(input.as_string_opt::<i32>()?, |text| {
        if labels.is_empty() || labels.iter().any(|label| label == text) {
            Ok(())
        } else {
            Err(Problem::EnumLabel)
        }
    })
}
