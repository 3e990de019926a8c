//! The loops that all casts share: one pass, NULL kept, refused rows collected.

#![expect(
    clippy::unnecessary_wraps,
    reason = "an outcome is what every arm of a cast ends with; the arm that has no loop is None"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::builder::{BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};

use super::Problem;

/// What a kernel returns: the column and the rows it refused. `None`: no such cast.
pub(super) type Outcome = Option<(ArrayRef, Vec<(u32, Problem)>)>;

fn row(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// NULL where it was, and where a problem is.
pub(super) fn without(nulls: Option<&NullBuffer>, rows: usize, problems: &[(u32, Problem)]) -> Option<NullBuffer> {
    if problems.is_empty() {
        return nulls.cloned();
    }
    let mut valid = vec![true; rows];
    for (row, _) in problems {
        valid[*row as usize] = false;
    }
    NullBuffer::union(nulls, Some(&NullBuffer::from(valid)))
}

/// Fixed-width values from anything.
fn fixed<V, B: ArrowPrimitiveType>(
    len: usize,
    input: impl Iterator<Item = Option<V>>,
    ty: &DataType,
    mut each: impl FnMut(V) -> Result<B::Native, Problem>,
) -> Outcome {
    let mut values = PrimitiveBuilder::<B>::with_capacity(len).with_data_type(ty.clone());
    let mut problems = Vec::new();
    for (index, value) in input.enumerate() {
        match value.map(&mut each) {
            None => values.append_null(),
            Some(Ok(value)) => values.append_value(value),
            Some(Err(problem)) => {
                problems.push((row(index), problem));
                values.append_null();
            }
        }
    }
    Some((Arc::new(values.finish()), problems))
}

/// Fixed-width values from fixed-width values.
pub(super) fn primitive<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    input: &PrimitiveArray<A>,
    ty: &DataType,
    each: impl FnMut(A::Native) -> Result<B::Native, Problem>,
) -> Outcome {
    fixed::<_, B>(input.len(), input.iter(), ty, each)
}

/// Fixed-width values from text.
pub(super) fn parse<B: ArrowPrimitiveType>(
    input: &StringArray,
    ty: &DataType,
    each: impl FnMut(&str) -> Result<B::Native, Problem>,
) -> Outcome {
    fixed::<_, B>(input.len(), input.iter(), ty, each)
}

/// Text from anything, written into one buffer that is used again for every row.
pub(super) fn write<V>(
    len: usize,
    values: impl Iterator<Item = Option<V>>,
    mut each: impl FnMut(V, &mut String) -> Result<(), Problem>,
) -> Outcome {
    let mut texts = StringBuilder::with_capacity(len, len * 16);
    let mut problems = Vec::new();
    let mut scratch = String::with_capacity(64);
    for (index, value) in values.enumerate() {
        let Some(value) = value else {
            texts.append_null();
            continue;
        };
        scratch.clear();
        match each(value, &mut scratch) {
            Ok(()) => texts.append_value(&scratch),
            Err(problem) => {
                problems.push((row(index), problem));
                texts.append_null();
            }
        }
    }
    Some((Arc::new(texts.finish()), problems))
}

/// Text that stays as it is, checked row by row: the same array unless a row is refused.
pub(super) fn check(input: &StringArray, mut each: impl FnMut(&str) -> Result<(), Problem>) -> Outcome {
    let mut problems = Vec::new();
    for (index, value) in input.iter().enumerate() {
        if let Some(Err(problem)) = value.map(&mut each) {
            problems.push((row(index), problem));
        }
    }
    let nulls = without(input.nulls(), input.len(), &problems);
    let array = StringArray::new(input.offsets().clone(), input.values().clone(), nulls);
    Some((Arc::new(array), problems))
}

/// Fixed-width values that stay as they are, checked one by one: nothing is copied.
pub(super) fn keep<A: ArrowPrimitiveType>(
    input: &PrimitiveArray<A>,
    mut each: impl FnMut(A::Native) -> Result<A::Native, Problem>,
) -> Outcome {
    let mut problems = Vec::new();
    for (index, value) in input.iter().enumerate() {
        if let Some(Err(problem)) = value.map(&mut each) {
            problems.push((row(index), problem));
        }
    }
    let nulls = without(input.nulls(), input.len(), &problems);
    let array = PrimitiveArray::<A>::new(input.values().clone(), nulls).with_data_type(input.data_type().clone());
    Some((Arc::new(array), problems))
}

/// Booleans from themselves, from text, and (written out) from 0 and 1.
pub(super) fn to_bool(input: &ArrayRef) -> Outcome {
    let zero_one = |value: i64| match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Problem::OutOfRange),
    };
    match input.data_type() {
        DataType::Boolean => Some((Arc::clone(input), Vec::new())),
        DataType::Utf8 => bools(input.as_string::<i32>().iter(), |text| match text {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            _ => Err(Problem::Unreadable),
        }),
        DataType::Int16 => bools(input.as_primitive::<Int16Type>().iter(), |value| zero_one(value.into())),
        DataType::Int32 => bools(input.as_primitive::<Int32Type>().iter(), |value| zero_one(value.into())),
        DataType::Int64 => bools(input.as_primitive::<Int64Type>().iter(), zero_one),
        _ => None,
    }
}

fn bools<V>(values: impl Iterator<Item = Option<V>>, mut each: impl FnMut(V) -> Result<bool, Problem>) -> Outcome {
    let mut out = BooleanBuilder::new();
    let mut problems = Vec::new();
    for (index, value) in values.enumerate() {
        match value.map(&mut each) {
            None => out.append_null(),
            Some(Ok(value)) => out.append_value(value),
            Some(Err(problem)) => {
                problems.push((row(index), problem));
                out.append_null();
            }
        }
    }
    Some((Arc::new(out.finish()), problems))
}

/// `write!` into a `String` cannot fail.
pub(super) fn put(out: &mut String, value: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(value);
    debug_assert!(written.is_ok(), "a String takes everything");
}
