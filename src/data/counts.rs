//! Row counts of a batch, split, stream or run, and the sum that they must keep.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What became of the rows that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Rows read from the source.
    pub read: u64,
    /// Rows that the stream's `where` left out.
    pub filtered: u64,
    /// Rows that had expired before they were written, in targets where rows expire.
    #[serde(default)]
    pub expired: u64,
    /// Rows new in the target.
    pub inserted: u64,
    /// Rows of the target that were changed.
    pub updated: u64,
    /// Rows that were in the target already and stayed as they were.
    pub skipped: u64,
    /// Rows in the reject store.
    pub rejected: u64,
}

impl Counts {
    /// Invariant 4: read = filtered + expired + rejected + skipped + inserted + updated.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        self.read == self.filtered + self.expired + self.rejected + self.skipped + self.inserted + self.updated
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.filtered += other.filtered;
        self.expired += other.expired;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.skipped += other.skipped;
        self.rejected += other.rejected;
    }
}

/// What a sink did with the rows of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows new in the target.
    pub inserted: u64,
    /// Rows changed.
    pub updated: u64,
    /// Rows that were there already and stayed.
    pub skipped: u64,
    /// Rows whose time had passed: they were not written.
    pub expired: u64,
}

impl Written {
    /// Rows that the write accounts for.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.inserted + self.updated + self.skipped + self.expired
    }
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.skipped += other.skipped;
        self.expired += other.expired;
    }
}
