//! Digests: 128 bits over a set of rows, whatever their order.
//!
//! A row's hash chains its columns, so that swapped values differ; a set's digest is the sum of
//! its rows' hashes modulo 2^128 beside their count, so that a doubled row differs (an exclusive
//! or would be blind to it).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Digest of a set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    /// Sum of the rows' hashes modulo 2^128.
    pub sum: u128,
}

impl Digest {
    /// Digest of the rows of a batch.
    #[must_use]
    pub fn of(batch: &RecordBatch) -> Self {
        let sum = hash_rows(batch.columns(), batch.num_rows())
            .into_iter()
            .fold(0, u128::wrapping_add);
        Self {
            rows: batch.num_rows() as u64,
            sum,
        }
    }

    /// Adds the rows of another set.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Takes rows of the set out again.
    pub fn remove(&mut self, other: Self) {
        self.rows -= other.rows;
        self.sum = self.sum.wrapping_sub(other.sum);
    }

    /// The persisted form of the sum: 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.sum)
    }

    /// Reads the persisted form.
    #[must_use]
    pub fn from_hex(rows: u64, text: &str) -> Option<Self> {
        Some(Self {
            rows,
            sum: u128::from_str_radix(text, 16).ok()?,
        })
    }
}

/// What every row's hash begins with.
const START: u128 = 0x6462_6665_7272_7921;

/// Hash of some bytes after each other: where one ends and the next begins matters.
#[must_use]
pub fn hash_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let mut hash = START;
    for part in parts {
        chain(&mut hash, part);
    }
    hash
}

/// Hash of each row over the given columns.
#[must_use]
pub fn hash_rows(columns: &[ArrayRef], rows: usize) -> Vec<u128> {
    let mut hashes = vec![START; rows];
    for column in columns {
        hash_column(column, &mut hashes);
    }
    hashes
}

fn chain(hash: &mut u128, bytes: &[u8]) {
    let seed = low(*hash) ^ low(*hash >> 64).rotate_left(29);
    *hash = xxh3_128_with_seed(bytes, seed);
}

/// The lower half; the cast is meant to drop the upper one.
#[expect(clippy::cast_possible_truncation, reason = "takes the lower 64 bits on purpose")]
const fn low(value: u128) -> u64 {
    value as u64
}

/// NULL: a seed of its own that no value's hash starts from.
fn chain_null(hash: &mut u128) {
    *hash = xxh3_128_with_seed(&hash.to_le_bytes(), 0x4e55_4c4c);
}

macro_rules! chain_fixed {
    ($column:expr, $hashes:expr, $ty:ty) => {{
        let values = $column.as_primitive::<$ty>();
        for (row, hash) in $hashes.iter_mut().enumerate() {
            if values.is_null(row) {
                chain_null(hash);
            } else {
                chain(hash, &values.value(row).to_le_bytes())
            }
        }
    }};
}

macro_rules! chain_bytes {
    ($values:expr, $hashes:expr, $as_bytes:expr) => {{
        let values = $values;
        for (row, hash) in $hashes.iter_mut().enumerate() {
            if values.is_null(row) {
                chain_null(hash);
            } else {
                chain(hash, $as_bytes(values.value(row)))
            }
        }
    }};
}

fn hash_column(column: &ArrayRef, hashes: &mut [u128]) {
    use arrow::datatypes::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
        TimestampMicrosecondType,
    };
    match column.data_type() {
        DataType::Int16 => chain_fixed!(column, hashes, Int16Type),
        DataType::Int32 => chain_fixed!(column, hashes, Int32Type),
        DataType::Int64 => chain_fixed!(column, hashes, Int64Type),
        DataType::Float32 => chain_fixed!(column, hashes, Float32Type),
        DataType::Float64 => chain_fixed!(column, hashes, Float64Type),
        DataType::Decimal128(..) => chain_fixed!(column, hashes, Decimal128Type),
        DataType::Date32 => chain_fixed!(column, hashes, Date32Type),
        DataType::Time64(_) => chain_fixed!(column, hashes, Time64MicrosecondType),
        DataType::Timestamp(..) => chain_fixed!(column, hashes, TimestampMicrosecondType),
        DataType::Utf8 => chain_bytes!(column.as_string::<i32>(), hashes, str::as_bytes),
        DataType::Binary => chain_bytes!(column.as_binary::<i32>(), hashes, std::convert::identity),
        DataType::FixedSizeBinary(_) => chain_bytes!(column.as_fixed_size_binary(), hashes, std::convert::identity),
        DataType::Boolean => {
            let values = column.as_boolean();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if values.is_null(row) {
                    chain_null(hash);
                } else {
                    chain(hash, &[u8::from(values.value(row))]);
                }
            }
        }
        DataType::Interval(_) => {
            let values = column.as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if values.is_null(row) {
                    chain_null(hash);
                } else {
                    let value = values.value(row);
                    chain(hash, &value.months.to_le_bytes());
                    chain(hash, &value.days.to_le_bytes());
                    chain(hash, &value.nanoseconds.to_le_bytes());
                }
            }
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if lists.is_null(row) {
                    chain_null(hash);
                } else {
                    let items = lists.value(row);
                    chain(hash, &(items.len() as u64).to_le_bytes());
                    for item in hash_rows(&[std::sync::Arc::clone(&items)], items.len()) {
                        chain(hash, &item.to_le_bytes());
                    }
                }
            }
        }
        // The promised subset ends here (`ColumnType::arrow`); what is not of it has no digest.
        _ => hashes.iter_mut().for_each(chain_null),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(ids: Vec<i64>, names: Vec<Option<&str>>) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(ids))),
            ("name", Arc::new(StringArray::from(names))),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of equal length")
    }

    #[test]
    fn order_does_not_matter_but_doubling_swapping_and_null_do() {
        let one = Digest::of(&batch(vec![1, 2], vec![Some("a"), Some("b")]));
        assert_eq!(one, Digest::of(&batch(vec![2, 1], vec![Some("b"), Some("a")])));
        assert_ne!(one, Digest::of(&batch(vec![1, 2], vec![Some("b"), Some("a")])));
        assert_ne!(
            Digest::of(&batch(vec![1, 1], vec![Some("a"), Some("a")])).sum,
            Digest::of(&batch(vec![2, 2], vec![Some("b"), Some("b")])).sum
        );
        assert_ne!(
            Digest::of(&batch(vec![1], vec![None])),
            Digest::of(&batch(vec![1], vec![Some("")]))
        );
        let mut sum = Digest::of(&batch(vec![1], vec![Some("a")]));
        sum.add(Digest::of(&batch(vec![2], vec![Some("b")])));
        assert_eq!(sum, one);
        assert_eq!(Digest::from_hex(2, &one.to_hex()), Some(one));
    }
}
