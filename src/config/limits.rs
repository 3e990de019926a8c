//! Limits of a run (Invariant 7). Every one has a default; units are in the names.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::data::memory::DEFAULT_MEGABYTES;

/// How much happens at once, and how much may go wrong. Every key has a default that suits most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most rows that commit together with their checkpoint; how many do is found out as the run goes
    /// on. Smaller batches mean shorter transactions in the target and more of them: `batch_rows_max = 10000`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 10_000)]
    pub batch_rows_max: u64,
    /// Most bytes, as held in memory, that commit together: `batch_bytes_max = 16777216`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 16_777_216)]
    pub batch_bytes_max: u64,
    /// How many milliseconds a batch may take from its beginning to the end of its commit, as far as
    /// that can be foreseen; it has one portion at least: `batch_milliseconds_max = 500`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 500)]
    pub batch_milliseconds_max: u64,
    /// Rows in one portion of a batch, which is what is in memory at a time:
    /// `portion_rows_max = 4096`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 4_096)]
    pub portion_rows_max: usize,
    /// Bytes in one portion of a batch; a single larger row is a portion of its own:
    /// `portion_bytes_max = 1048576`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 1_048_576)]
    pub portion_bytes_max: usize,
    /// How many megabytes (of 1,000,000 bytes) the program may take in all. Portions are made smaller so that
    /// all streams that are moved side by side fit, and fewer of them are where they do not. A row of more than
    /// a sixth of it is a reject. `--memory-limit` goes before this one: `memory_limit_megabytes = 512`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 512)]
    pub memory_limit_megabytes: u64,
    /// How many streams are moved side by side at most, where their foreign keys allow it. Streams
    /// that read one table together count once. `--jobs` goes before this one: `jobs = 2`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 2)]
    pub jobs: usize,
    /// Into how many ranges of keys a big table is split at most; they are read and written over
    /// connections of their own. 1 splits nothing: `splits_max = 4`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 4)]
    pub splits_max: usize,
    /// From how many rows on (by the source's estimate) a table is split:
    /// `split_rows_min = 1000000`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 1_000_000)]
    pub split_rows_min: u64,
    /// From how many rows on, by the source's count, indexes and keys of an empty Postgres table are
    /// away while it is loaded, where the stream leaves that to `auto`:
    /// `defer_indexes_rows_min = 1000000`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 1_000_000)]
    pub defer_indexes_rows_min: u64,
    /// After so many bytes of a table (about, as it lies in its database) a verification notes how
    /// far it is: what it reads again at most when it was interrupted. `piece_bytes_max = 134217728`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 134_217_728)]
    pub piece_bytes_max: u64,
    /// How many rows may be refused before a run stops; it stops at one more. 0 stops at the
    /// first. A project's own `max_rejects` and `--max-rejects` go before this one:
    /// `max_rejects = 100`.
    #[schemars(example = 100)]
    pub max_rejects: u64,
    /// How many seconds a lost connection is tried again before the run gives up, counted from
    /// the first failure after the last batch that was committed: `retry_seconds_max = 600`.
    #[schemars(example = 600)]
    pub retry_seconds_max: u64,
    /// How many rows a run, or a backfill, moves in a second at most, all its streams together.
    /// `--max-rows-per-second` and a backfill's own key go before this one; without any it goes as
    /// fast as it can: `max_rows_per_second = 2000`.
    #[serde(deserialize_with = "some_positive")]
    #[schemars(range(min = 1), example = 2_000)]
    pub max_rows_per_second: Option<u64>,
    /// How many bytes of its sources a run, or a backfill, moves in a second at most, all its streams
    /// together. `--max-bytes-per-second` goes before this one: `max_bytes_per_second = 4194304`.
    #[serde(deserialize_with = "some_positive")]
    #[schemars(range(min = 1), example = 4_194_304)]
    pub max_bytes_per_second: Option<u64>,
    /// A run into Postgres, or a backfill, pauses while a server that follows its database is further
    /// behind than this many seconds: `replication_lag_seconds_max = 30`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 30)]
    pub replication_lag_seconds_max: u64,
    /// A run into Postgres, or a backfill, pauses while more connections than this wait for locks and
    /// work on its table:
    /// `lock_waits_max = 3`.
    #[schemars(example = 3)]
    pub lock_waits_max: u64,
    /// How long a batch of a backfill waits for a lock; then it is given up, and tried again with
    /// fewer rows: `lock_timeout_milliseconds = 50`.
    #[serde(deserialize_with = "positive")]
    #[schemars(range(min = 1), example = 50)]
    pub lock_timeout_milliseconds: u64,
    /// How many seconds a run or a backfill pauses, or a backfill tries to get locks, before it ends:
    /// `pause_seconds_max = 3600`.
    #[schemars(example = 3_600)]
    pub pause_seconds_max: u64,
    /// Whether a batch has `batch_rows_max` rows from the first one on, for somebody asked for it.
    #[serde(skip)]
    #[schemars(skip)]
    pub is_batch_fixed: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_rows_max: 131_072,
            batch_bytes_max: 64 << 20,
            batch_milliseconds_max: 1_000,
            portion_rows_max: 8_192,
            portion_bytes_max: 4 << 20,
            memory_limit_megabytes: DEFAULT_MEGABYTES,
            jobs: 4,
            splits_max: 1,
            split_rows_min: 1_000_000,
            defer_indexes_rows_min: 100_000,
            piece_bytes_max: 512 << 20,
            max_rejects: 0,
            retry_seconds_max: 120,
            max_rows_per_second: None,
            max_bytes_per_second: None,
            replication_lag_seconds_max: 10,
            lock_waits_max: 10,
            lock_timeout_milliseconds: 200,
            pause_seconds_max: 600,
            is_batch_fixed: false,
        }
    }
}

/// As [`positive`], of a limit that need not be there.
fn some_positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    positive(deserializer).map(Some)
}

/// A number that must not be 0: nothing would ever be moved.
fn positive<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let number = T::deserialize(deserializer)?;
    if number == T::default() {
        return Err(D::Error::custom("must be at least 1"));
    }
    Ok(number)
}
