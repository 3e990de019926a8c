//! Which split's checkpoint is charged with rows that are taken out again. Rows do not say which
//! split has moved them; the figures of a stream are the sum over its splits.

use std::collections::BTreeSet;

use super::plan::PlannedStream;
use super::work::Run;
use crate::data::counts::Counts;
use crate::ledger::{Checkpoint, Suspended};
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// The splits of a stream whose rows are taken out.
pub(super) struct Splits<'a> {
    pub(super) stream: &'a PlannedStream,
    pub(super) key: &'a Suspended,
    checkpoints: Vec<Checkpoint>,
    /// Which of them the session has open.
    open: usize,
    /// Open rejects of all other streams.
    pub(super) rejects_elsewhere: u64,
}

impl<'a> Splits<'a> {
    /// The checkpoints, under their locks.
    pub(super) async fn read(
        (run, connection): (&Run, &str),
        stream: &'a PlannedStream,
        key: &'a Suspended,
        session: &mut dyn Session,
    ) -> Result<Splits<'a>> {
        let known = run.plan.sinks[connection].checkpoints(&run.plan.project).await?;
        let mut splits: BTreeSet<i32> = known
            .iter()
            .filter(|checkpoint| checkpoint.stream == stream.name)
            .map(|checkpoint| checkpoint.split)
            .collect();
        // A rehearsal keeps its checkpoint to itself; it does not split.
        splits.insert(0);
        let mut found = Self {
            stream,
            key,
            checkpoints: Vec::new(),
            open: usize::MAX,
            rejects_elsewhere: 0,
        };
        for split in splits {
            found
                .checkpoints
                .extend(session.open_stream(&stream.write, split, false).await?);
        }
        found.open_largest(session).await?;
        Ok(found)
    }

    /// Rows that the stream has read, over all its splits.
    pub(super) fn rows_read(&self) -> u64 {
        self.checkpoints.iter().map(|checkpoint| checkpoint.counts.read).sum()
    }

    pub(super) fn open(&self) -> &Checkpoint {
        &self.checkpoints[self.open]
    }

    pub(super) fn moved(&mut self, after: Checkpoint) {
        self.checkpoints[self.open] = after;
    }

    /// Opens the split that has moved most rows; returns how many it can lose.
    pub(super) async fn open_largest(&mut self, session: &mut dyn Session) -> Result<usize> {
        let largest = (0..self.checkpoints.len()).max_by_key(|at| self.checkpoints[*at].counts.inserted);
        let Some(largest) = largest else {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!("stream `{}` has lost its checkpoint", self.stream.name),
            ));
        };
        if largest != self.open {
            self.open = largest;
            session
                .open_stream(&self.stream.write, self.checkpoints[largest].split, false)
                .await?;
            session.suspend(std::slice::from_ref(self.key)).await?;
        }
        Ok(usize::try_from(self.open().counts.inserted).unwrap_or(usize::MAX).max(1))
    }

    /// Only rows that the stream has made itself may be taken out: one that it changed, or that
    /// was there before, would be lost.
    pub(super) fn may_lose_rows(&self) -> Result<()> {
        let counts = self.checkpoints.iter().fold(Counts::default(), |mut sum, checkpoint| {
            sum += checkpoint.counts;
            sum
        });
        // A row that was there before has kept the key, if the key was kept by all.
        if counts.updated == 0 && (counts.skipped == 0 || self.key.validated) {
            return Ok(());
        }
        Err(self.not_ours())
    }

    pub(super) fn not_ours(&self) -> Error {
        Error::new(
            ErrorKind::Validation,
            format!(
                "{}: rows of stream `{}` refer to nothing, and they may have been in the target before it",
                self.key.described(),
                self.stream.name
            ),
        )
        .hint("mend the source, then `run --restart` with the stream alone; until then the key stays away")
    }
}
