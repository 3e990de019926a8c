//! What backfills came to: the form that `--output json` prints.

use serde::Serialize;

use super::super::plan::PlannedStream;
use super::super::report::{ReasonCount, RunStatus, StreamStatus};
use crate::data::counts::Counts;
use crate::error::ErrorKind;

/// One backfill. read = updated + skipped + rejected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backfilled {
    /// Name.
    pub name: String,
    /// `connection.table` whose rows it changes.
    pub table: String,
    /// How far it is.
    pub status: StreamStatus,
    /// Rows that were looked at one by one in this run.
    pub read: u64,
    /// Rows written.
    pub updated: u64,
    /// Rows that were right already.
    pub skipped: u64,
    /// Rows in the reject store.
    pub rejected: u64,
    /// Batches committed.
    pub batches: u64,
    /// Seconds spent.
    pub seconds: f64,
    /// Of these: paused, because others suffered.
    pub paused_seconds: f64,
    /// Times that a batch was given up because it did not get its locks in time.
    pub lock_timeouts: u64,
    /// Rows that still need it, rejected ones among them, counted when it was complete; unknown
    /// without `pending`.
    pub pending: Option<u64>,
    /// Its rows that are in the reject store now, of earlier runs too.
    pub rejects_open: u64,
    /// Rejects of this run by reason and column.
    pub reasons: Vec<ReasonCount>,
}

impl Backfilled {
    /// One that has not begun.
    #[must_use]
    pub fn not_begun(stream: &PlannedStream) -> Self {
        Self {
            name: stream.name.clone(),
            table: stream.target.clone(),
            status: match &stream.checkpoint {
                None => StreamStatus::Pending,
                Some(checkpoint) if checkpoint.complete => StreamStatus::AlreadyComplete,
                Some(_) => StreamStatus::Partial,
            },
            read: 0,
            updated: 0,
            skipped: 0,
            rejected: 0,
            batches: 0,
            seconds: 0.0,
            paused_seconds: 0.0,
            lock_timeouts: 0,
            pending: None,
            rejects_open: 0,
            reasons: Vec::new(),
        }
    }

    pub(super) fn set_counts(&mut self, counts: Counts) {
        self.read = counts.read;
        self.updated = counts.updated;
        self.skipped = counts.skipped;
        self.rejected = counts.rejected;
    }
}

/// A whole run of backfills.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackfillReport {
    /// Run id.
    pub run: String,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Whether every batch was rolled back.
    pub dry_run: bool,
    /// How it ended.
    pub status: RunStatus,
    /// Seconds from its beginning to its end.
    pub seconds: f64,
    /// Backfills in the order in which they were carried out.
    pub backfills: Vec<Backfilled>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Message of the error that stopped it.
    pub error: Option<String>,
    /// What to do about that error.
    pub hint: Option<String>,
    /// Its kind, for the exit code.
    #[serde(skip)]
    pub error_kind: Option<ErrorKind>,
}

impl BackfillReport {
    /// Exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.status.exit_code(self.error_kind)
    }
}
