//! What the ledger has recorded of a stream: its batches in the order in which they were read, and
//! those whose rows come from anywhere.

use std::collections::BTreeMap;

use crate::Result;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::stream::Order;
use crate::ledger::{BatchEntry, Checkpoint, StoredBatch};
use crate::pipeline::fingerprint::what_changed;
use crate::pipeline::plan::PlannedStream;
use crate::sink::Sink;

/// All that a target's ledger holds of a project.
pub(super) struct Recorded {
    checkpoints: Vec<Checkpoint>,
    batches: Vec<StoredBatch>,
}

/// What a stream has committed since it last began.
#[derive(Default)]
pub(super) struct Trail {
    /// By split, in the order in which they were read.
    pub(super) stretches: Vec<Stretch>,
    /// Batches without a range of keys: rejects moved again, rows of subjects, changes.
    pub(super) later: Vec<StoredBatch>,
    /// Digest of all that is committed, but for what subjects and changes wrote.
    pub(super) total: Digest,
    /// Batches that a checkpoint has counted, and the ledger does not hold.
    pub(super) lost: u64,
    /// What is another than it was when the stream was moved.
    pub(super) other: Option<&'static str>,
}

/// Batches of a split, each after the one before it.
#[derive(Default)]
pub(super) struct Stretch {
    /// The key after which the split begins.
    lower: Option<Key>,
    /// In which order its rows were read.
    pub(super) order: Order,
    /// The table was read over what an earlier reading brought: batches of both have the same rows.
    pub(super) again: bool,
    /// The batches.
    pub(super) batches: Vec<StoredBatch>,
    /// Whether all of the ledger is there between a batch and the one before it.
    pub(super) follows: Vec<bool>,
}

impl Recorded {
    /// Reads it.
    ///
    /// # Errors
    /// What reading the ledger fails with.
    pub(super) async fn read(sink: &dyn Sink, project: &str) -> Result<Self> {
        let checkpoints = sink.checkpoints(project).await?;
        let mut batches = Vec::new();
        for run in sink.runs(project, u32::MAX).await? {
            batches.extend(sink.batches(project, run.run).await?);
        }
        batches.sort_by(|one, other| one.committed_at.cmp(&other.committed_at));
        Ok(Self { checkpoints, batches })
    }

    /// Whether a stream has changed rows that were there, after some moment.
    pub(super) fn updated_after(&self, stream: &str, moment: &str) -> bool {
        self.batches
            .iter()
            .any(|batch| batch.entry.stream == stream && batch.entry.counts.updated > 0 && batch.committed_at.as_str() >= moment)
    }
}

impl Trail {
    /// The trail of a stream. Where one sequence was written by several runs, the last began anew.
    pub(super) fn of(stream: &PlannedStream, recorded: &Recorded) -> Self {
        let mut trail = Self::default();
        let of_stream = |checkpoint: &&Checkpoint| checkpoint.stream == stream.name;
        let mut splits: Vec<&Checkpoint> = recorded.checkpoints.iter().filter(of_stream).collect();
        splits.sort_by_key(|checkpoint| checkpoint.split);
        let mut lower = None;
        let mut first: Option<String> = None;
        for checkpoint in splits {
            if checkpoint.fingerprint != stream.fingerprint {
                trail.other = Some(what_changed(&checkpoint.fingerprint, &stream.fingerprint));
            }
            trail.total.add(checkpoint.digest);
            let kept = recorded.batches.iter().filter(|batch| {
                let entry = &batch.entry;
                entry.stream == stream.name && entry.split == checkpoint.split && entry.sequence <= checkpoint.sequence
            });
            // They come in the order in which they were committed.
            let by_sequence: BTreeMap<i64, &StoredBatch> = kept.map(|batch| (batch.entry.sequence, batch)).collect();
            let count = i64::try_from(by_sequence.len()).unwrap_or(i64::MAX);
            trail.lost += u64::try_from(checkpoint.sequence - count).unwrap_or_default();
            for batch in by_sequence.values() {
                if first.as_ref().is_none_or(|first| batch.committed_at < *first) {
                    first = Some(batch.committed_at.clone());
                }
            }
            let (order, again) = match &checkpoint.position {
                Some(Position::Stored { again, .. }) => (Order::Stored, *again),
                _ => (Order::Key, false),
            };
            let stretch = Stretch {
                lower: lower.take(),
                order,
                again,
                ..Stretch::default()
            };
            trail.add(stretch, by_sequence);
            lower = checkpoint.position.as_ref().and_then(Position::until).cloned();
        }
        let first = first.unwrap_or_default();
        trail.later.extend(
            recorded
                .batches
                .iter()
                .filter(|batch| batch.entry.stream == stream.name && batch.entry.split < 0 && batch.committed_at >= first)
                .cloned(),
        );
        trail
    }

    fn add(&mut self, mut stretch: Stretch, batches: BTreeMap<i64, &StoredBatch>) {
        let (mut before, mut follows) = (0, true);
        for (sequence, batch) in batches {
            follows &= sequence == before + 1;
            before = sequence;
            if batch.entry.retry {
                self.later.push(batch.clone());
                continue;
            }
            stretch.batches.push(batch.clone());
            stretch.follows.push(follows);
            follows = true;
        }
        self.stretches.push(stretch);
    }

    /// Whether later batches have written rows, of whatever keys, after a moment.
    pub(super) fn written_after(&self, moment: &str) -> bool {
        self.later.iter().any(|batch| {
            let counts = &batch.entry.counts;
            counts.inserted + counts.updated > 0 && batch.committed_at.as_str() >= moment
        })
    }

    /// Whether rejects were moved again.
    pub(super) fn has_retries(&self) -> bool {
        self.later
            .iter()
            .any(|batch| batch.entry.retry && batch.entry.digest.rows > 0)
    }
}

impl Stretch {
    /// Key of the row after which a batch begins; `None` at the beginning of the stream.
    pub(super) fn before(&self, batch: usize) -> Option<&Key> {
        let ends = self.batches[..batch].iter().rev();
        ends.map(|batch| &batch.entry)
            .find_map(|entry: &BatchEntry| entry.last_key.as_ref())
            .or(self.lower.as_ref())
    }
}
