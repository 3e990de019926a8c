//! How large a batch is: what commits together with its checkpoint.
//!
//! To begin and to commit takes a time of its own, so that large batches are faster; but what a batch
//! has locked is locked until it commits, and what it holds is done again when it is cut short. So the
//! first batch is one portion, and its rows are committed soon. From there on batches double as long as
//! beginning and committing took more than a hundredth of the last one's time: beyond that there is
//! nothing left to gain. And a portion more is taken only if the batch will have committed within its
//! time even so, going by what portions and commits took before.

use std::time::Duration;

use crate::config::limits::Limits;
use crate::data::memory;

/// Most rows of a batch of keys. A server of keys does one thing at a time: while it carries out a
/// transaction, its application waits; and flushing nothing to a disk, it gains little by large ones.
const KEYED_ROWS_MAX: u64 = 16_384;
/// Most bytes of such a batch: it is kept in memory, the server's or ours, until it is complete.
const KEYED_BYTES_MAX: u64 = 16 << 20;

/// The share of a batch's time that beginning and committing may take, as its divisor.
const SHARE: u32 = 100;

/// How large the next batch may be, learned from the last ones.
#[derive(Debug)]
pub(super) struct BatchSize {
    /// Rows from which on it is large enough.
    rows: u64,
    rows_max: u64,
    bytes_max: u64,
    time_max: Duration,
    /// It stays as it is.
    is_fixed: bool,
    /// What a portion took, the slowest of the last batch.
    portion: Duration,
    /// What the last commit took, and of how many rows.
    commit: (Duration, u64),
}

/// A batch in the making.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filled {
    /// Rows read.
    pub(super) rows: u64,
    /// Bytes.
    pub(super) bytes: u64,
    /// Portions.
    pub(super) portions: u64,
    /// What the slowest of them took.
    pub(super) slowest: Duration,
    /// Since it began.
    pub(super) elapsed: Duration,
}

impl BatchSize {
    /// Of a stream into tables, or into keys.
    pub(super) fn new(limits: &Limits, is_keyed: bool) -> Self {
        let (rows_max, bytes_max) = if is_keyed {
            (KEYED_ROWS_MAX, KEYED_BYTES_MAX.min(memory::process().kept_bytes_max() as u64))
        } else {
            (u64::MAX, u64::MAX)
        };
        let rows_max = limits.batch_rows_max.min(rows_max);
        let is_fixed = limits.is_batch_fixed || is_keyed;
        // What is foretold is not exact.
        let milliseconds_max = limits.batch_milliseconds_max - limits.batch_milliseconds_max / 10;
        Self {
            rows: if is_fixed { rows_max } else { 1 },
            rows_max,
            bytes_max: limits.batch_bytes_max.min(bytes_max),
            time_max: Duration::from_millis(milliseconds_max),
            is_fixed,
            portion: Duration::ZERO,
            commit: (Duration::ZERO, 0),
        }
    }

    /// Whether the batch is to commit as it is.
    pub(super) fn is_full(&self, filled: &Filled) -> bool {
        let one_more = filled.rows + filled.rows / filled.portions.max(1);
        let portion = self.portion.max(filled.slowest);
        filled.rows >= self.rows
            || filled.bytes >= self.bytes_max
            || filled.elapsed + portion + self.commit_of(one_more) > self.time_max
    }

    /// How long a batch that began so long ago may wait for one more portion.
    pub(super) fn patience(&self, filled: &Filled) -> Duration {
        let commit = self.commit_of(filled.rows);
        self.time_max.saturating_sub(filled.elapsed).saturating_sub(commit)
    }

    /// A batch has committed: what its beginning, its commit and all of it took.
    pub(super) fn committed(&mut self, filled: &Filled, begin: Duration, commit: Duration) {
        self.portion = filled.slowest;
        self.commit = (commit, filled.rows);
        let around = begin + commit;
        let whole = filled.elapsed + commit;
        if !self.is_fixed && around * SHARE > whole {
            self.rows = filled.rows.saturating_mul(2).clamp(1, self.rows_max);
        }
    }

    /// What a commit of so many rows will take: with more rows there is more to flush.
    fn commit_of(&self, rows: u64) -> Duration {
        let (took, of) = self.commit;
        let times = u32::try_from(rows.div_ceil(of.max(1))).unwrap_or(u32::MAX);
        took.saturating_mul(times.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTION: u64 = 8_192;

    /// A stream whose portions, beginnings and commits take so many milliseconds: the rows of its
    /// first batches, and the longest time that one took.
    fn batches(size: &mut BatchSize, (portion, begin, commit): (u64, u64, u64), count: usize) -> (Vec<u64>, Duration) {
        let mut rows = Vec::new();
        let mut longest = Duration::ZERO;
        for _ in 0..count {
            let begin = Duration::from_millis(begin);
            let mut filled = Filled {
                elapsed: begin,
                ..Filled::default()
            };
            loop {
                filled.rows += PORTION;
                filled.bytes += PORTION * 100;
                filled.portions += 1;
                filled.slowest = Duration::from_millis(portion);
                filled.elapsed += filled.slowest;
                if size.is_full(&filled) {
                    break;
                }
            }
            let commit = Duration::from_millis(commit);
            size.committed(&filled, begin, commit);
            longest = longest.max(filled.elapsed + commit);
            rows.push(filled.rows / PORTION);
        }
        (rows, longest)
    }

    fn sized(limits: &Limits) -> BatchSize {
        BatchSize::new(limits, false)
    }

    #[test]
    fn batches_grow_from_one_portion_until_a_commit_weighs_nothing_or_takes_too_long() {
        let limits = Limits::default();
        let (rows, _) = batches(&mut sized(&limits), (20, 1, 1), 8);
        assert_eq!(rows, [1, 2, 4, 8, 16, 16, 16, 16], "batch_rows_max");
        let (rows, _) = batches(&mut sized(&limits), (50, 1, 0), 6);
        assert_eq!(rows, [1, 2, 2, 2, 2, 2], "a hundredth of 101 ms");
        let (rows, longest) = batches(&mut sized(&limits), (100, 5, 10), 8);
        assert_eq!(rows, [1, 2, 4, 8, 8, 8, 8, 8]);
        assert!(longest < Duration::from_secs(1), "{longest:?}");
        let (rows, longest) = batches(&mut sized(&limits), (250, 5, 10), 8);
        assert_eq!(rows, [1, 2, 3, 3, 3, 3, 3, 3]);
        assert!(longest < Duration::from_secs(1), "{longest:?}");
    }

    #[test]
    fn what_becomes_slower_makes_batches_smaller_at_once() {
        let mut size = sized(&Limits::default());
        batches(&mut size, (40, 2, 5), 8);
        let (rows, longest) = batches(&mut size, (200, 2, 5), 3);
        assert_eq!(rows, [4, 4, 4]);
        assert!(longest < Duration::from_secs(1), "{longest:?}");
        let (rows, _) = batches(&mut size, (2_000, 2, 5), 2);
        assert_eq!(rows, [1, 1], "a portion is what a batch is at least");
    }

    #[test]
    fn a_commit_that_grows_with_its_rows_is_foreseen() {
        let mut size = sized(&Limits::default());
        let mut longest = 0;
        for _ in 0..10 {
            let mut filled = Filled::default();
            loop {
                filled.rows += PORTION;
                filled.portions += 1;
                filled.slowest = Duration::from_millis(50);
                filled.elapsed += filled.slowest;
                if size.is_full(&filled) {
                    break;
                }
            }
            let commit = Duration::from_millis(50 * filled.portions);
            size.committed(&filled, Duration::ZERO, commit);
            longest = longest.max((filled.elapsed + commit).as_millis());
        }
        assert!((700..1_000).contains(&longest), "{longest} ms");
    }

    #[test]
    fn a_size_that_was_given_and_that_of_keys_stay() {
        let given = Limits {
            batch_rows_max: 3 * PORTION,
            is_batch_fixed: true,
            ..Limits::default()
        };
        let (rows, _) = batches(&mut sized(&given), (10, 1, 1), 3);
        assert_eq!(rows, [3, 3, 3]);
        let (rows, _) = batches(&mut BatchSize::new(&Limits::default(), true), (10, 1, 1), 3);
        assert_eq!(rows, [2, 2, 2]);
        let few_bytes = Limits {
            batch_bytes_max: PORTION * 200,
            ..Limits::default()
        };
        let (rows, _) = batches(&mut sized(&few_bytes), (10, 1, 1), 3);
        assert_eq!(rows, [1, 2, 2]);
    }
}
