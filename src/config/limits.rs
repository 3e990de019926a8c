//! Limits of a run (Invariant 7). Every one has a default; units are in the names.

use schemars::JsonSchema;
use serde::Deserialize;

/// `[limits]` of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most rows that commit together with their checkpoint.
    pub batch_rows_max: u64,
    /// Most bytes (as held in memory) that commit together.
    pub batch_bytes_max: u64,
    /// A batch commits after this many milliseconds even if it is not full.
    pub batch_milliseconds_max: u64,
    /// Rows in one portion within a batch: what is in memory at a time.
    pub portion_rows_max: usize,
    /// Bytes in one portion within a batch; a single larger row makes a portion alone.
    pub portion_bytes_max: usize,
    /// Rejects after which a run stops (it stops when there are more).
    pub max_rejects: u64,
    /// How long a lost connection is tried again before the run gives up, counted from the last
    /// batch that was committed.
    pub retry_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_rows_max: 131_072,
            batch_bytes_max: 64 << 20,
            batch_milliseconds_max: 1_000,
            portion_rows_max: 8_192,
            portion_bytes_max: 4 << 20,
            max_rejects: 0,
            retry_seconds_max: 120,
        }
    }
}
