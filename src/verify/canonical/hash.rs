//! Hashes of values and rows: 128 bits, chained, so that values that change places differ.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What every row's hash begins with.
pub(in crate::verify) const START: u128 = 0x7665_7269_6679_2d72_6f77_2d68_6173_6831;

/// NULL has a hash of its own, which no value's begins from.
const NULL_SEED: u64 = 0x4e55_4c4c_9e37_79b9;

/// Goes on with the bytes of one value: where one ends and the next begins matters. What came
/// before is in the seed, and in what is added: neither is lost to the other half.
#[inline]
pub(in crate::verify) fn chain(hash: &mut u128, bytes: &[u8]) {
    *hash = xxh3_128_with_seed(bytes, fold(*hash)).wrapping_add(hash.rotate_left(41));
}

/// Goes on with NULL.
#[inline]
pub(in crate::verify) fn chain_null(hash: &mut u128) {
    *hash = xxh3_128_with_seed(&hash.to_le_bytes(), NULL_SEED);
}

/// Hash of some bytes of a class.
pub(super) fn tagged(tag: u8, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[expect(clippy::cast_possible_truncation, reason = "takes the lower 64 bits on purpose")]
const fn fold(hash: u128) -> u64 {
    hash as u64 ^ ((hash >> 64) as u64).rotate_left(29)
}
