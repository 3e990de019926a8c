//! Functions of text and time: `nullif_empty`, `timestamp_from_unix`, `timestamp_from_unix_millis`,
//! `unix_millis`.

use std::sync::Arc;

use arrow::array::{Array, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::arguments::{Answer, Argument, MISTYPED};

pub(super) const INSTANT_RANGE: &str = "the number of seconds is beyond every timestamp";
pub(super) const FINER: &str = "the instant is finer than milliseconds";

/// `nullif_empty(text)`: the same buffers with other NULLs.
pub(super) fn nullif_empty(arguments: &[Argument], _rows: usize) -> Answer {
    let texts = arguments.first().ok_or(MISTYPED)?.texts()?.column();
    let offsets = texts.value_offsets();
    if offsets.windows(2).all(|pair| pair[0] != pair[1]) {
        return Ok(Arc::new(texts.clone()));
    }
    let filled = NullBuffer::new(BooleanBuffer::collect_bool(texts.len(), |row| {
        offsets[row] != offsets[row + 1]
    }));
    let nulls = NullBuffer::union(texts.nulls(), Some(&filled));
    Ok(Arc::new(StringArray::new(
        texts.offsets().clone(),
        texts.values().clone(),
        nulls,
    )))
}

/// `timestamp_from_unix(seconds)`.
pub(super) fn from_seconds(arguments: &[Argument], _rows: usize) -> Answer {
    instants(arguments, 1_000_000)
}

/// `timestamp_from_unix_millis(milliseconds)`.
pub(super) fn from_millis(arguments: &[Argument], _rows: usize) -> Answer {
    instants(arguments, 1_000)
}

fn instants(arguments: &[Argument], unit: i64) -> Answer {
    let counts = arguments.first().ok_or(MISTYPED)?.integers()?;
    let micros: PrimitiveArray<TimestampMicrosecondType> =
        counts.try_unary(|count| count.checked_mul(unit).ok_or(INSTANT_RANGE))?;
    Ok(Arc::new(micros.with_timezone("UTC")))
}

/// `unix_millis(instant)`: exactly, or not at all.
pub(super) fn millis(arguments: &[Argument], _rows: usize) -> Answer {
    let instants = arguments.first().ok_or(MISTYPED)?.instants()?;
    let whole = |micros: i64| if micros % 1_000 == 0 { Ok(micros / 1_000) } else { Err(FINER) };
    let counts: PrimitiveArray<Int64Type> = instants.try_unary(whole)?;
    Ok(Arc::new(counts))
}
