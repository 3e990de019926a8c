//! What comparing came to: counts, the first differences, and how every key differs.

use std::collections::HashMap;

use arrow::record_batch::RecordBatch;

use super::report::{Difference, DifferenceKind};
use crate::data::position::Key;

/// What comparing came to, of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) missing: u64,
    pub(super) different: u64,
    /// Recorded rejects that are not in the target.
    pub(super) rejected: u64,
}

/// What comparing came to, of a group.
#[derive(Default)]
pub(super) struct Outcome {
    /// By member.
    pub(super) members: Vec<Figures>,
    pub(super) extra: u64,
    /// The first differences, each with its member.
    pub(super) differences: Vec<(usize, Difference)>,
    /// Every key that differs, with a hash of what was seen of it and how it differs.
    pub(super) states: HashMap<u128, State>,
    /// Every row that differs, where that was asked for.
    pub(super) named: Vec<Named>,
    /// Keys of the target's rows that are named.
    pub(super) keys: Vec<RecordBatch>,
}

/// A row that differs, so that somebody can mend it.
pub(super) struct Named {
    /// Hash of its key.
    pub(super) key: u128,
    /// Stream that is told of it.
    pub(super) member: usize,
    pub(super) kind: DifferenceKind,
    /// Key of the source's row, where there is one that can be found again.
    pub(super) source: Option<Key>,
    /// Batch of [`Outcome::keys`] and row in it, where the target's row can be read.
    pub(super) target: Option<(usize, usize)>,
}

/// How the rows of a key differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Hash of what is on both sides.
    pub(super) seen: u128,
    /// Stream that is told of it.
    pub(super) member: usize,
    pub(super) figures: Figures,
    pub(super) extra: u64,
}

/// Hash of the rows of a key on both sides, in the order of their hashes; each with whether it is the
/// source's.
pub(super) fn seen(rows: impl Iterator<Item = (u128, bool)>) -> u128 {
    rows.fold(0, |seen: u128, (row, source)| {
        seen.rotate_left(7).wrapping_add(row).wrapping_add(u128::from(source))
    })
}

impl Outcome {
    /// Adds what was found of other rows.
    pub(super) fn add(&mut self, other: Self, differences_max: usize) {
        for (figures, more) in self.members.iter_mut().zip(&other.members) {
            figures.missing += more.missing;
            figures.different += more.different;
            figures.rejected += more.rejected;
        }
        self.extra += other.extra;
        self.differences.extend(other.differences);
        self.differences.truncate(differences_max);
        self.states.extend(other.states);
    }

    /// Whether anything differs.
    pub(super) fn differs(&self) -> bool {
        self.extra > 0 || self.members.iter().any(|figures| figures.missing + figures.different > 0)
    }
}
