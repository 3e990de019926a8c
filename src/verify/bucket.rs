//! Buckets: rows of one side by the hash of their key, each bucket a count and a sum.
//!
//! The sum is that of the rows' hashes modulo 2^128, beside their count, so that a doubled row
//! differs (an exclusive or would be blind to it) and so do values that changed rows (a sum for
//! each column would be blind to those).

use std::collections::HashSet;

/// Fewest buckets of a side; all numbers of buckets are powers of two.
const BUCKETS_MIN: usize = 1 << 16;

/// Most buckets of a side: 24 MiB of them.
const BUCKETS_MAX: usize = 1 << 20;

/// Bytes of a bucket in a file.
const BUCKET_BYTES: usize = 24;

/// Rows of a bucket, about, before there are more buckets: those of a bucket that differs are all
/// fetched.
const ROWS_IN_BUCKET: u64 = 64;

/// One side's rows.
pub(super) struct Buckets {
    rows: Vec<u64>,
    sums: Vec<u128>,
}

/// Which buckets differ.
pub(super) struct Differing {
    buckets: Vec<bool>,
    /// Keys of other buckets that have to be looked at all the same.
    keys: HashSet<u128>,
    /// Rows in them, of the side that has more.
    pub(super) rows: u64,
}

/// Bucket of a key, of so many.
const fn place(key: u128, buckets: usize) -> usize {
    key as usize & (buckets - 1)
}

impl Buckets {
    /// For about so many rows.
    pub(super) fn new(rows: u64) -> Self {
        let wanted = usize::try_from(rows / ROWS_IN_BUCKET).unwrap_or(usize::MAX);
        Self::of(wanted.clamp(BUCKETS_MIN, BUCKETS_MAX).next_power_of_two())
    }

    /// So many empty ones.
    pub(super) fn of(buckets: usize) -> Self {
        Self {
            rows: vec![0; buckets],
            sums: vec![0; buckets],
        }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.rows.len()
    }

    /// As they are kept in a file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.rows.len() * BUCKET_BYTES);
        for (rows, sum) in self.rows.iter().zip(&self.sums) {
            bytes.extend_from_slice(&rows.to_le_bytes());
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        bytes
    }

    /// From a file; `None` where that holds no buckets.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (each, rest) = bytes.as_chunks::<BUCKET_BYTES>();
        let mut buckets = Self::of(each.len());
        for (place, bytes) in each.iter().enumerate() {
            let (rows, sum) = bytes.split_at(8);
            buckets.rows[place] = u64::from_le_bytes(rows.try_into().ok()?);
            buckets.sums[place] = u128::from_le_bytes(sum.try_into().ok()?);
        }
        (rest.is_empty() && each.len().is_power_of_two()).then_some(buckets)
    }

    /// Takes in rows, by the hashes of their keys and of themselves.
    pub(super) fn add(&mut self, keys: &[u128], rows: &[u128]) {
        for (key, row) in keys.iter().zip(rows) {
            let place = place(*key, self.rows.len());
            self.rows[place] += 1;
            self.sums[place] = self.sums[place].wrapping_add(*row);
        }
    }

    /// Which buckets are not the same on both sides, which have as many.
    pub(super) fn differing(&self, other: &Self) -> Differing {
        let mut differing = Differing {
            buckets: vec![false; self.rows.len()],
            keys: HashSet::new(),
            rows: 0,
        };
        for place in 0..self.rows.len() {
            if self.rows[place] != other.rows[place] || self.sums[place] != other.sums[place] {
                differing.buckets[place] = true;
                differing.rows += self.rows[place].max(other.rows[place]);
            }
        }
        differing
    }
}

impl Differing {
    /// All buckets, of which nothing is known.
    pub(super) fn all(rows: u64) -> Self {
        Self {
            buckets: vec![true; 1],
            keys: HashSet::new(),
            rows,
        }
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        !self.keys.is_empty() || self.buckets.contains(&true)
    }

    /// Takes in keys that have to be looked at whatever their buckets say.
    pub(super) fn with(mut self, keys: HashSet<u128>) -> Self {
        let more = keys.into_iter().filter(|key| !self.buckets[place(*key, self.buckets.len())]);
        self.keys.extend(more.collect::<Vec<_>>());
        self.rows += self.keys.len() as u64;
        self
    }

    /// Whether the bucket of a key is among them.
    pub(super) fn holds(&self, key: u128) -> bool {
        self.buckets[place(key, self.buckets.len())] || self.keys.contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let buckets = |rows: &[(u128, u128)]| {
            let mut buckets = Buckets::new(rows.len() as u64);
            for (key, row) in rows {
                buckets.add(&[*key], &[*row]);
            }
            buckets
        };
        let differ = |one: &[(u128, u128)], other: &[(u128, u128)]| buckets(one).differing(&buckets(other));
        assert!(!differ(&[(1, 5), (2, 6)], &[(2, 6), (1, 5)]).any());
        let found = differ(&[(1, 5), (2, 6)], &[(1, 5)]);
        assert!(found.holds(2) && !found.holds(1));
        assert_eq!(found.rows, 1);
        assert!(Differing::all(7).holds(u128::MAX));
        // What was written meanwhile is looked at, and nothing else of its bucket.
        let same = differ(&[(1, 5), (2, 6)], &[(1, 5), (2, 6)]).with(HashSet::from([2]));
        assert!(same.any() && same.holds(2) && !same.holds(1) && !same.holds(2 + (1 << 64)));
        // Doubled, and the sum of a count of zero rows with the hash zero.
        assert!(differ(&[(1, 5)], &[(1, 5), (1, 5)]).any());
        assert!(differ(&[(1, 0)], &[]).any());
        // Two of one bucket that changed places are told by their hashes.
        assert!(differ(&[(1, 5), (1, 6)], &[(1, 4), (1, 6)]).any());
    }

    #[test]
    fn buckets_come_back_from_a_file() {
        let mut buckets = Buckets::new(1);
        buckets.add(&[1, 2, 70_000], &[5, u128::MAX, 7]);
        let again = Buckets::from_bytes(&buckets.to_bytes()).expect("buckets");
        assert!(!again.differing(&buckets).any());
        assert_eq!(again.count(), buckets.count());
        for bytes in [&[][..], &[0; 23], &[0; 72]] {
            assert!(Buckets::from_bytes(bytes).is_none());
        }
    }
}
