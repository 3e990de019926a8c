//! What a run came to: the form that `--output json` prints.

use serde::Serialize;

use super::not_covered::LeftToOthers;
use super::plan::PlannedStream;
use crate::data::counts::Counts;
use crate::data::spent::Units;
use crate::error::{self, ErrorKind};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every stream is complete, without rejects.
    Done,
    /// Every stream is complete; some rows are in the reject store.
    Rejects,
    /// Stopped because there are more rejects than allowed.
    TooManyRejects,
    /// Stopped on request.
    Interrupted,
    /// Stopped by an error.
    Failed,
}

impl RunStatus {
    /// Exit code of a process that ended so, by the kind of the error that stopped it.
    pub(super) fn exit_code(self, error_kind: Option<ErrorKind>) -> u8 {
        match self {
            Self::Done => error::EXIT_DONE,
            Self::Rejects | Self::TooManyRejects => error::EXIT_REJECTS,
            Self::Interrupted => error::EXIT_INTERRUPTED,
            Self::Failed => error_kind.map_or(error::EXIT_FAILED, |kind| kind.policy().exit),
        }
    }
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamStatus {
    /// Not begun in this run.
    Pending,
    /// Begun, not complete.
    Partial,
    /// Complete and validated.
    Complete,
    /// Complete before this run began.
    AlreadyComplete,
}

/// One stream of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamReport {
    /// Stream.
    pub name: String,
    /// `connection.table` it reads, or `connection (query)`.
    pub source: String,
    /// `connection.table` it writes.
    pub target: String,
    /// How far it is.
    pub status: StreamStatus,
    /// Rows read in this run.
    pub read: u64,
    /// Rows left out by `where`.
    pub filtered: u64,
    /// Rows that had expired before they were written.
    pub expired: u64,
    /// Rows new in the target.
    pub inserted: u64,
    /// Rows changed.
    pub updated: u64,
    /// Rows that stayed as they were.
    pub skipped: u64,
    /// Rows in the reject store.
    pub rejected: u64,
    /// Batches committed.
    pub batches: u64,
    /// Bytes of the source in them, as held in memory.
    pub bytes: u64,
    /// Seconds spent.
    pub seconds: f64,
    /// Seconds that it waited for a rate, its splits together.
    pub waited_seconds: f64,
    /// Seconds in pauses for the sake of others, its splits together.
    pub paused_seconds: f64,
    /// Rows in the source, counted when the run began.
    pub source_rows: Option<u64>,
    /// Rows in the target table at the end.
    pub target_rows: Option<u64>,
    /// Rows of the stream that are in the reject store now, of earlier runs too.
    pub rejects_open: u64,
    /// Connection that could not be reached any more when the run ended; running again goes on.
    pub waits_for: Option<String>,
    /// Rejects of this run by reason and column.
    pub reasons: Vec<ReasonCount>,
    /// Documents that it left to others.
    #[serde(skip)]
    pub(crate) leaves: Option<LeftToOthers>,
}

/// Rejects of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    /// Persisted name of the reason.
    pub reason: String,
    /// Column.
    pub column: Option<String>,
    /// In words, of the first such row.
    pub detail: String,
    /// Rows.
    pub rows: u64,
}

impl StreamReport {
    /// A stream that has not begun.
    #[must_use]
    pub fn pending(stream: &PlannedStream) -> Self {
        Self {
            leaves: stream.leaves.clone(),
            ..Self::pending_at(&stream.name, &stream.source, &stream.target)
        }
    }

    /// A stream that has not begun, by name and ends.
    #[must_use]
    pub fn pending_at(name: &str, source: &str, target: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            status: StreamStatus::Pending,
            read: 0,
            filtered: 0,
            expired: 0,
            inserted: 0,
            updated: 0,
            skipped: 0,
            rejected: 0,
            batches: 0,
            bytes: 0,
            seconds: 0.0,
            waited_seconds: 0.0,
            paused_seconds: 0.0,
            source_rows: None,
            target_rows: None,
            rejects_open: 0,
            waits_for: None,
            reasons: Vec::new(),
            leaves: None,
        }
    }

    /// Puts the counts in.
    pub fn set_counts(&mut self, counts: Counts) {
        self.read = counts.read;
        self.filtered = counts.filtered;
        self.expired = counts.expired;
        self.inserted = counts.inserted;
        self.updated = counts.updated;
        self.skipped = counts.skipped;
        self.rejected = counts.rejected;
    }
}

/// What a source connection has cost, planning and all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpentReport {
    /// Source connection.
    pub connection: String,
    /// Request units.
    pub request_units: Units,
    /// Requests made.
    pub requests: u64,
    /// Times that the service asked to wait.
    pub throttled: u64,
}

/// Documents of a source that no stream takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCovered {
    /// `connection.table` that they are in.
    pub source: String,
    /// Where a document says of what kind it is.
    pub path: String,
    /// How many of which kind, by name.
    pub kinds: Vec<KindCount>,
    /// Documents of further kinds, and of kinds with long names.
    pub others: u64,
}

/// Documents of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind; null for documents that name none.
    pub kind: Option<String>,
    /// Documents.
    pub documents: u64,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Run id.
    pub run: String,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Whether everything was rolled back.
    pub dry_run: bool,
    /// How it ended.
    pub status: RunStatus,
    /// Seconds from its beginning to its end; streams that move side by side take more together.
    pub seconds: f64,
    /// Streams in order.
    pub streams: Vec<StreamReport>,
    /// What its sources have cost, of those that are paid for by what is asked of them.
    pub spent: Vec<SpentReport>,
    /// Documents that the run met and that no stream takes.
    pub not_covered: Vec<NotCovered>,
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

impl RunReport {
    /// Exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.status.exit_code(self.error_kind)
    }
}
