//! Tallies: what a batch has come to so far, and what the run's committed batches came to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::batch_size::Filled;
use super::report::ReasonCount;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::kinds::KindCounts;
use crate::data::position::{Key, Position};
use crate::data::reject::{Reason, Reject};

/// Kinds of rejects told apart in a report; further ones are counted under "other".
const REASONS_MAX: usize = 200;

/// Rejects by reason, column and words.
#[derive(Debug, Clone, Default)]
pub struct Reasons(BTreeMap<(String, Option<String>, String), u64>);

impl Reasons {
    /// Counts a reject.
    pub fn add(&mut self, reject: &Reject) {
        let kind = (reject.reason.name().to_owned(), reject.column.clone(), reject.detail.clone());
        let kind = if self.0.len() >= REASONS_MAX && !self.0.contains_key(&kind) {
            ("other".to_owned(), None, String::new())
        } else {
            kind
        };
        *self.0.entry(kind).or_default() += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Self) {
        for (kind, rows) in other.0 {
            *self.0.entry(kind).or_default() += rows;
        }
    }

    /// For the report, most rows first.
    #[must_use]
    pub fn report(&self) -> Vec<ReasonCount> {
        let mut list: Vec<_> = self
            .0
            .iter()
            .map(|((reason, column, detail), rows)| ReasonCount {
                reason: reason.clone(),
                column: column.clone(),
                detail: detail.clone(),
                rows: *rows,
            })
            .collect();
        list.sort_by_key(|kind| std::cmp::Reverse(kind.rows));
        list
    }
}

/// A batch in the making.
pub struct BatchTally {
    /// Counts so far.
    pub counts: Counts,
    /// Digest of the rows written.
    pub digest: Digest,
    /// Bytes as held in memory.
    pub bytes: u64,
    /// Bytes of the source.
    pub source_bytes: u64,
    /// Portions.
    pub portions: u64,
    /// What the slowest of them took.
    pub slowest: Duration,
    /// First key.
    pub first_key: Option<Key>,
    /// Position after the last portion.
    pub position: Option<Position>,
    /// Rejects by class, for the event.
    pub classes: BTreeMap<&'static str, (Reason, u64)>,
    /// Rejects in words, for the report.
    pub reasons: Reasons,
    /// Open rejects whose rows came again.
    pub resolved: u64,
    /// Documents that are left to other streams.
    pub kinds: KindCounts,
    /// Rows that go over earlier ones with the same target key.
    pub over: u64,
    /// When it began.
    pub began: Instant,
}

impl BatchTally {
    /// An empty batch that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Counts::default(),
            digest: Digest::default(),
            bytes: 0,
            source_bytes: 0,
            portions: 0,
            slowest: Duration::ZERO,
            first_key: None,
            position: None,
            classes: BTreeMap::new(),
            reasons: Reasons::default(),
            resolved: 0,
            kinds: KindCounts::default(),
            over: 0,
            began: Instant::now(),
        }
    }

    /// How full it is, of a batch whose transaction began at that moment.
    pub(super) fn filled(&self, began: Instant) -> Filled {
        Filled {
            rows: self.counts.read,
            bytes: self.bytes,
            portions: self.portions,
            slowest: self.slowest,
            elapsed: began.elapsed(),
        }
    }

    /// Counts a portion: its bytes in the source, and as held in memory for the target.
    pub(super) fn portion_took(&mut self, source_bytes: u64, target_bytes: u64, took: Duration) {
        self.source_bytes += source_bytes;
        self.bytes += source_bytes.max(target_bytes);
        self.portions += 1;
        self.slowest = self.slowest.max(took);
    }

    /// Counts rejects.
    pub fn rejected(&mut self, rejects: &[Reject]) {
        self.counts.rejected += rejects.len() as u64;
        for reject in rejects {
            self.classes.entry(reject.reason.name()).or_insert((reject.reason, 0)).1 += 1;
            self.reasons.add(reject);
        }
    }
}

impl Default for BatchTally {
    fn default() -> Self {
        Self::new()
    }
}

/// What this run has committed of a stream.
#[derive(Debug, Clone, Default)]
pub struct StreamTally {
    /// Counts of the committed batches.
    pub counts: Counts,
    /// Number of committed batches.
    pub batches: u64,
    /// Bytes of the source in them.
    pub bytes: u64,
    /// Rejects in words.
    pub reasons: Reasons,
    /// Documents left to other streams.
    pub kinds: KindCounts,
    /// Rows that went over earlier ones with the same target key.
    pub over: u64,
}

impl StreamTally {
    /// A batch is durable.
    pub fn committed(&mut self, counts: Counts, reasons: Reasons) {
        self.counts += counts;
        self.batches += 1;
        self.reasons.merge(reasons);
    }
}
