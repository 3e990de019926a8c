//! The canonical form: when two values are one, and the hash that says so.
//!
//! Both sides come in the same exact types, so that a type's own equality is that of its bytes,
//! with these exceptions (docs/verify.md tells them to the user):
//!
//! - `jsonb` by its meaning ([`json`]); `json` as it is written.
//! - `numeric` without a scale of its own by its value ([`number`]).
//! - What has no order of its own (a `set` of CQL), whatever order it comes in.
//! - Floats: all NaN are one; a negative zero is not zero, but where the target cannot tell them.
//! - `char(n)` without the blanks at its end.
//! - Values in Postgres' binary form without what is no part of them ([`wire`]).
//!
//! NULL is no value: it equals NULL alone. Text is compared as it is, byte by byte.

use arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;

use super::side::{Compared, Form};
use crate::data::column::ColumnType;
use crate::{Error, ErrorKind, Result};

mod hash;
mod json;
mod number;
mod wire;

use hash::{START, chain, chain_null};
use json::Documents;
use wire::Wire;

/// When two values of a column are one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// The same bytes.
    Bytes,
    Float,
    /// A decimal number as text.
    Number,
    Document,
    /// Without blanks at the end.
    Padded,
    Wire(Wire),
    /// Its elements may have no order.
    List {
        element: Box<Rule>,
        unordered: bool,
    },
}

impl Rule {
    fn of_column(column: &Compared) -> Self {
        match Self::of(&column.ty) {
            Self::List { element, .. } => Self::List {
                element,
                unordered: column.unordered,
            },
            rule => rule,
        }
    }

    fn of(ty: &ColumnType) -> Self {
        match ty {
            ColumnType::Float32 | ColumnType::Float64 => Self::Float,
            ColumnType::Numeric { .. } => Self::Number,
            ColumnType::Json { binary: true } => Self::Document,
            ColumnType::Text { padded: true, .. } => Self::Padded,
            ColumnType::Opaque { name } => Self::Wire(Wire::read(name)),
            ColumnType::List(element) => Self::List {
                element: Box::new(Self::of(element)),
                unordered: false,
            },
            _ => Self::Bytes,
        }
    }
}

/// Whether a target keeps what a value of this column means, and not always the bytes that it was
/// sent.
pub(super) fn is_respelt(column: &Compared, negative_zero: bool) -> bool {
    fn respelt(rule: &Rule, negative_zero: bool) -> bool {
        match rule {
            Rule::Bytes | Rule::Wire(Wire::Plain) => false,
            Rule::Float => !negative_zero,
            Rule::Number | Rule::Document | Rule::Padded | Rule::Wire(_) => true,
            Rule::List { element, unordered } => *unordered || respelt(element, negative_zero),
        }
    }
    respelt(&Rule::of_column(column), negative_zero)
}

/// Hashes of some rows.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// Of each row's key; of the whole row where there is no key.
    pub(super) key: Vec<u128>,
    /// Of each whole row.
    pub(super) row: Vec<u128>,
}

/// The canonical form of a stream's rows.
pub(super) struct Canonical {
    rules: Vec<Rule>,
    key: Vec<usize>,
    /// Columns that are not of the key.
    rest: Vec<usize>,
    negative_zero: bool,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    documents: Documents,
    bytes: Vec<u8>,
}

impl Canonical {
    /// For rows of a form. `negative_zero`: the target keeps it apart from zero.
    pub(super) fn new(form: &Form, negative_zero: bool) -> Self {
        Self {
            rules: form.columns.iter().map(Rule::of_column).collect(),
            key: form.key.clone(),
            rest: (0..form.columns.len()).filter(|place| !form.key.contains(place)).collect(),
            negative_zero,
            scratch: Scratch::default(),
        }
    }

    /// Hashes of whole rows, into `hashes`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for a column of a type that is outside the promised subset: what
    /// was not hashed must not be taken for equal (Invariant 16).
    pub(super) fn rows(&mut self, rows: &RecordBatch, hashes: &mut Hashes) -> Result<()> {
        begin(&mut hashes.key, rows.num_rows());
        for place in self.key.clone() {
            self.column(place, rows.column(place), &mut hashes.key)?;
        }
        hashes.row.clone_from(&hashes.key);
        for place in self.rest.clone() {
            self.column(place, rows.column(place), &mut hashes.row)?;
        }
        if self.key.is_empty() {
            hashes.key.clone_from(&hashes.row);
        }
        Ok(())
    }

    /// Hashes of keys: `keys` has the key's columns alone.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub(super) fn keys(&mut self, keys: &RecordBatch, hashes: &mut Vec<u128>) -> Result<()> {
        begin(hashes, keys.num_rows());
        for (column, place) in self.key.clone().into_iter().enumerate() {
            self.column(place, keys.column(column), hashes)?;
        }
        Ok(())
    }

    /// Hash of one value.
    ///
    /// # Errors
    /// As [`Self::rows`].
    pub(super) fn value(&mut self, place: usize, column: &ArrayRef, row: usize) -> Result<u128> {
        let mut hash = [START];
        self.column(place, &column.slice(row, 1), &mut hash)?;
        Ok(hash[0])
    }

    fn column(&mut self, place: usize, column: &ArrayRef, hashes: &mut [u128]) -> Result<()> {
        hash_column(&self.rules[place], column, hashes, self.negative_zero, &mut self.scratch)
    }
}

/// Hash of some bytes that are no row.
pub(super) fn bytes_hash(bytes: &[u8]) -> u128 {
    let mut hash = START;
    chain(&mut hash, bytes);
    hash
}

fn begin(hashes: &mut Vec<u128>, rows: usize) {
    hashes.clear();
    hashes.resize(rows, START);
}

/// Goes through a column's values.
fn each<A: ArrayAccessor + Copy>(column: A, hashes: &mut [u128], mut with: impl FnMut(&mut u128, A::Item)) {
    if column.null_count() == 0 {
        for (row, hash) in hashes.iter_mut().enumerate() {
            with(hash, column.value(row));
        }
        return;
    }
    for (row, hash) in hashes.iter_mut().enumerate() {
        if column.is_null(row) {
            chain_null(hash);
        } else {
            with(hash, column.value(row));
        }
    }
}

fn hash_column(rule: &Rule, column: &ArrayRef, hashes: &mut [u128], negative_zero: bool, scratch: &mut Scratch) -> Result<()> {
    match rule {
        Rule::Bytes => return hash_bytes(column, hashes),
        Rule::Float => hash_floats(column, hashes, negative_zero),
        Rule::Number => each(column.as_string::<i32>(), hashes, |hash, text| {
            number::canonical(text, &mut scratch.bytes);
            chain(hash, &scratch.bytes);
        }),
        Rule::Document => each(column.as_string::<i32>(), hashes, |hash, text| {
            chain(hash, &scratch.documents.hash(text).to_le_bytes());
        }),
        Rule::Padded => each(column.as_string::<i32>(), hashes, |hash, text| {
            chain(hash, text.trim_end_matches(' ').as_bytes());
        }),
        Rule::Wire(Wire::Plain) => each(column.as_binary::<i32>(), hashes, chain),
        Rule::Wire(wire) => each(column.as_binary::<i32>(), hashes, |hash, value| {
            wire.blank(value, &mut scratch.bytes);
            chain(hash, &scratch.bytes);
        }),
        Rule::List { element, unordered } => {
            let lists = column.as_list::<i32>();
            let mut items = vec![START; lists.values().len()];
            hash_column(element, lists.values(), &mut items, negative_zero, scratch)?;
            let offsets = lists.value_offsets();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if lists.is_null(row) {
                    chain_null(hash);
                    continue;
                }
                let of = |offset: i32| usize::try_from(offset).unwrap_or_default();
                let items = &mut items[of(offsets[row])..of(offsets[row + 1])];
                if *unordered {
                    items.sort_unstable();
                }
                chain(hash, &(items.len() as u64).to_le_bytes());
                for item in &*items {
                    chain(hash, &item.to_le_bytes());
                }
            }
        }
    }
    Ok(())
}

fn hash_floats(column: &ArrayRef, hashes: &mut [u128], negative_zero: bool) {
    if let Some(values) = column.as_primitive_opt::<Float32Type>() {
        each(values, hashes, |hash, value| {
            let value = if value.is_nan() {
                f32::NAN
            } else if value == 0.0 && !negative_zero {
                0.0
            } else {
                value
            };
            chain(hash, &value.to_le_bytes());
        });
    } else {
        each(column.as_primitive::<Float64Type>(), hashes, |hash, value| {
            let value = if value.is_nan() {
                f64::NAN
            } else if value == 0.0 && !negative_zero {
                0.0
            } else {
                value
            };
            chain(hash, &value.to_le_bytes());
        });
    }
}

fn hash_bytes(column: &ArrayRef, hashes: &mut [u128]) -> Result<()> {
    macro_rules! fixed {
        ($ty:ty) => {
            each(column.as_primitive::<$ty>(), hashes, |hash, value| {
                chain(hash, &value.to_le_bytes());
            })
        };
    }
    match column.data_type() {
        DataType::Int16 => fixed!(Int16Type),
        DataType::Int32 => fixed!(Int32Type),
        DataType::Int64 => fixed!(Int64Type),
        DataType::Decimal128(..) => fixed!(Decimal128Type),
        DataType::Date32 => fixed!(Date32Type),
        DataType::Time64(_) => fixed!(Time64MicrosecondType),
        DataType::Timestamp(..) => fixed!(TimestampMicrosecondType),
        DataType::Utf8 => each(column.as_string::<i32>(), hashes, |hash, text| chain(hash, text.as_bytes())),
        DataType::Binary => each(column.as_binary::<i32>(), hashes, chain),
        DataType::FixedSizeBinary(_) => each(column.as_fixed_size_binary(), hashes, chain),
        DataType::Boolean => each(column.as_boolean(), hashes, |hash, value| chain(hash, &[u8::from(value)])),
        DataType::Interval(_) => each(column.as_primitive::<IntervalMonthDayNanoType>(), hashes, |hash, value| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&value.months.to_le_bytes());
            bytes[4..8].copy_from_slice(&value.days.to_le_bytes());
            bytes[8..].copy_from_slice(&value.nanoseconds.to_le_bytes());
            chain(hash, &bytes);
        }),
        other => {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("values of type {other} cannot be compared"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
