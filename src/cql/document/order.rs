//! Elements of sets and keys of maps: when two are one to CQL, and in which order it keeps them.

use std::cmp::Ordering;
use std::collections::HashSet;

use num_bigint::BigInt;
use scylla::cluster::metadata::{ColumnType as CqlType, NativeType};

use crate::cql::number;

/// Elements seen so far.
pub(super) struct Distinct<'a> {
    ty: &'a CqlType<'a>,
    seen: HashSet<Vec<u8>>,
    equal: bool,
}

impl<'a> Distinct<'a> {
    pub(super) fn new(ty: &'a CqlType<'_>) -> Self {
        Self {
            ty,
            seen: HashSet::new(),
            equal: false,
        }
    }

    /// Takes in an element.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let key = match self.ty {
            CqlType::Native(native) => identity(native, bytes),
            _ => bytes.to_vec(),
        };
        self.equal |= !self.seen.insert(key);
    }

    /// Whether two of them were the same.
    pub(super) const fn has_equal(&self) -> bool {
        self.equal
    }
}

/// What two scalars have in common that are one to CQL: its numbers are compared by value.
fn identity(native: &NativeType, bytes: &[u8]) -> Vec<u8> {
    match native {
        NativeType::Decimal => by_value(bytes).unwrap_or_else(|| bytes.to_vec()),
        NativeType::Float if float(bytes).is_some_and(f32::is_nan) => vec![0],
        NativeType::Double if double(bytes).is_some_and(f64::is_nan) => vec![0],
        _ => bytes.to_vec(),
    }
}

/// The same for `1.5` and `1.50`.
fn by_value(bytes: &[u8]) -> Option<Vec<u8>> {
    let (scale, unscaled) = bytes.split_first_chunk::<4>()?;
    let mut digits = String::new();
    number::digits(unscaled, &mut digits).ok()?;
    let kept = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - kept.len()).ok()?;
    if matches!(kept, "" | "-") {
        return Some(b"0".to_vec());
    }
    Some(format!("{kept} {}", i64::from(i32::from_be_bytes(*scale)) - zeros).into_bytes())
}

fn float(bytes: &[u8]) -> Option<f32> {
    bytes.try_into().ok().map(f32::from_be_bytes)
}

fn double(bytes: &[u8]) -> Option<f64> {
    bytes.try_into().ok().map(f64::from_be_bytes)
}

/// Whether elements are in the order in which CQL keeps them; `false` where that is not known.
pub(super) fn is_sorted(ty: &CqlType<'_>, items: &[Vec<u8>]) -> bool {
    let follows = |pair: &[Vec<u8>]| matches!(compare(ty, &pair[0], &pair[1]), Some(Ordering::Less | Ordering::Equal));
    items.windows(2).all(follows)
}

fn compare(ty: &CqlType<'_>, one: &[u8], other: &[u8]) -> Option<Ordering> {
    let CqlType::Native(native) = ty else { return None };
    Some(match native {
        NativeType::Text
        | NativeType::Ascii
        | NativeType::Blob
        | NativeType::Inet
        | NativeType::Boolean
        | NativeType::Date
        | NativeType::Time => one.cmp(other),
        NativeType::TinyInt
        | NativeType::SmallInt
        | NativeType::Int
        | NativeType::BigInt
        | NativeType::Timestamp
        | NativeType::Varint => BigInt::from_signed_bytes_be(one).cmp(&BigInt::from_signed_bytes_be(other)),
        NativeType::Float => float(one)?.total_cmp(&float(other)?),
        NativeType::Double => double(one)?.total_cmp(&double(other)?),
        // Those of a time are in the order of their times.
        NativeType::Uuid if one.get(6)? >> 4 != 1 && one.get(6)? >> 4 == other.get(6)? >> 4 => one.cmp(other),
        _ => return None,
    })
}
