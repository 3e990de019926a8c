//! What can be told of rows only in their order: their places in lists and streams, and which of the
//! rows with one key is the last.
//!
//! Both need something remembered for each key. So that this stays bounded whatever the number of
//! keys, the source is read over several times where there are too many of them, each time for a
//! part of the hashes of the keys alone; `REMEMBERED_MAX` keys fit into one reading.

use std::collections::{HashMap, HashSet};

/// Most keys that are remembered in one reading: about 60 MB.
pub(super) const REMEMBERED_MAX: usize = 900_000;

/// A part of all keys, by their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) of: u64,
}

impl Part {
    /// Whether a key belongs to it.
    pub(super) fn has(self, key: u128) -> bool {
        key % u128::from(self.of) == u128::from(self.number)
    }
}

/// In how many parts the keys have to be looked at, found out in one reading: keys below a bound
/// are remembered, and the bound falls when they are too many.
#[derive(Debug)]
pub(super) struct Survey {
    most: usize,
    /// Bits that the hash of a remembered key begins with, all 0.
    bits: u32,
    seen: HashSet<u128>,
}

impl Survey {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            bits: 0,
            seen: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, key: u128) {
        if key.leading_zeros() < self.bits {
            return;
        }
        self.seen.insert(key);
        while self.seen.len() > self.most && self.bits < 127 {
            self.bits += 1;
            let bits = self.bits;
            self.seen.retain(|key| key.leading_zeros() >= bits);
        }
    }

    /// So many that each fits, with room for some more than were seen.
    pub(super) fn parts(&self) -> u64 {
        let keys = (self.seen.len() as u128) << self.bits.min(64);
        let room = if self.bits == 0 { keys } else { keys + keys / 4 };
        u64::try_from(room.div_ceil(self.most as u128)).unwrap_or(u64::MAX).max(1)
    }
}

/// How many elements each key of a part has so far.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<u128, i64>);

impl Places {
    /// The place of the next element of a key, from 0 on.
    pub(super) fn next(&mut self, key: u128) -> i64 {
        let next = self.0.entry(key).or_default();
        *next += 1;
        *next - 1
    }
}

/// The last row of each key of a part, by a hash of what tells the source's rows apart.
#[derive(Debug, Default)]
pub(super) struct Winners(HashMap<u128, u64>);

impl Winners {
    pub(super) fn add(&mut self, key: u128, row: &[u8]) {
        self.0.insert(key, xxhash_rust::xxh3::xxh3_64(row));
    }

    /// Whether it is that row; true of keys that were not there before.
    pub(super) fn is_last(&self, key: u128, row: &[u8]) -> bool {
        self.0.get(&key).is_none_or(|last| *last == xxhash_rust::xxh3::xxh3_64(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digest::hash_parts;

    fn key(number: u32) -> u128 {
        hash_parts([&number.to_le_bytes()[..]])
    }

    #[test]
    fn a_survey_finds_parts_that_fit() {
        for (keys, most) in [(0, 10), (10, 10), (11, 10), (5_000, 300), (5_000, 4_999), (40_000, 100)] {
            let mut survey = Survey::new(most);
            for number in (0..keys).chain(0..keys) {
                survey.add(key(number));
            }
            let parts = survey.parts();
            assert!(keys > 10 || parts == 1 || most < keys as usize, "{keys} {most} {parts}");
            assert!(parts <= 2 + u64::from(keys) * 2 / most as u64, "{keys} {most} {parts}");
            assert!(survey.seen.len() <= most);
            if parts > 1 {
                let fullest = (0..parts).map(|number| Part { number, of: parts });
                let fullest = fullest
                    .map(|part| (0..keys).filter(|number| part.has(key(*number))).count())
                    .max();
                assert!(
                    fullest.unwrap_or_default() <= most + most / 2,
                    "{keys} {most} {parts} {fullest:?}"
                );
            }
        }
    }

    #[test]
    fn places_are_counted_for_each_key() {
        let mut places = Places::default();
        let told: Vec<_> = [1, 2, 1, 1, 2].into_iter().map(|number| places.next(key(number))).collect();
        assert_eq!(told, [0, 0, 1, 2, 1]);
    }

    #[test]
    fn the_last_row_of_a_key_wins() {
        let mut winners = Winners::default();
        for (number, row) in [(1, b"a"), (2, b"b"), (1, b"c")] {
            winners.add(key(number), row);
        }
        assert!(!winners.is_last(key(1), b"a"));
        assert!(winners.is_last(key(1), b"c"));
        assert!(winners.is_last(key(2), b"b"));
        assert!(winners.is_last(key(3), b"d"));
    }
}
