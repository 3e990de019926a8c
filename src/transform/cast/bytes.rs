//! Casts to bytes and UUIDs.

use std::sync::Arc;

use arrow::array::builder::FixedSizeBinaryBuilder;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use uuid::Uuid;

use super::Problem;
use super::kernel::Outcome;

/// Casts to bytes: they are bytes already, or a UUID's sixteen.
pub(super) fn to_bytes(input: &ArrayRef) -> Outcome {
    match input.data_type() {
        DataType::Binary => Some((Arc::clone(input), Vec::new())),
        DataType::FixedSizeBinary(_) => Some((arrow::compute::cast(input, &DataType::Binary).ok()?, Vec::new())),
        _ => None,
    }
}

/// Casts to a UUID: from its text form (hyphenated or 32 digits, in any case) or sixteen bytes.
pub(super) fn to_uuid(input: &ArrayRef) -> Outcome {
    match input.data_type() {
        DataType::FixedSizeBinary(16) => Some((Arc::clone(input), Vec::new())),
        DataType::Utf8 => uuids(input.len(), input.as_string::<i32>().iter(), |text| match text.len() {
            32 | 36 => Uuid::try_parse(text).map_err(|_| Problem::Unreadable),
            _ => Err(Problem::Unreadable),
        }),
        DataType::Binary => uuids(input.len(), input.as_binary::<i32>().iter(), |bytes| {
            Uuid::from_slice(bytes).map_err(|_| Problem::OutOfRange)
        }),
        _ => None,
    }
}

fn uuids<V>(len: usize, values: impl Iterator<Item = Option<V>>, mut each: impl FnMut(V) -> Result<Uuid, Problem>) -> Outcome {
    let mut out = FixedSizeBinaryBuilder::with_capacity(len, 16);
    let mut problems = Vec::new();
    for (index, value) in values.enumerate() {
        match value.map(&mut each) {
            None => out.append_null(),
            // Sixteen bytes into a column of sixteen bytes.
            Some(Ok(uuid)) => out.append_value(uuid.as_bytes()).ok()?,
            Some(Err(problem)) => {
                problems.push((u32::try_from(index).unwrap_or(u32::MAX), problem));
                out.append_null();
            }
        }
    }
    Some((Arc::new(out.finish()), problems))
}
