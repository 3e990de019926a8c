//! Events: what the engine tells while it works. Only the command line prints.
//!
//! No event carries a cell value (Invariant 9); source keys are cell values too.

use std::sync::Arc;
use std::time::Duration;

use crate::data::counts::Counts;
use crate::data::spent::Spent;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run has its leases and begins.
    RunStarted {
        /// Run id.
        run: uuid::Uuid,
        /// Names of the streams in order, with the rows that their sources hold.
        streams: Vec<(String, u64)>,
        /// Everything will be rolled back.
        dry_run: bool,
    },
    /// A stream begins or goes on.
    StreamStarted {
        /// Stream.
        stream: String,
        /// Rows in the source.
        rows: u64,
        /// Counts of earlier runs, where it goes on after a checkpoint.
        resumed: Option<Counts>,
    },
    /// A stream was complete before this run.
    StreamSkipped {
        /// Stream.
        stream: String,
        /// Its counts.
        counts: Counts,
    },
    /// A portion of a batch is written, not yet committed.
    Progress {
        /// Stream.
        stream: String,
        /// Rows read since the last event.
        rows: u64,
        /// Bytes read since the last event.
        bytes: u64,
    },
    /// A batch and its checkpoint are durable.
    BatchCommitted {
        /// Stream.
        stream: String,
        /// Sequence number.
        sequence: i64,
        /// Counts of the batch.
        counts: Counts,
        /// From the first row read to the commit.
        took: Duration,
    },
    /// A batch holds rejects (told once per batch).
    Rejected {
        /// Stream.
        stream: String,
        /// Rows rejected in the batch.
        rows: u64,
        /// Reasons with how many rows each.
        reasons: Vec<(crate::data::reject::Reason, u64)>,
    },
    /// The connection was lost; the stream waits and goes on from the checkpoint.
    Retrying {
        /// Stream.
        stream: String,
        /// Connection that it waits for.
        connection: String,
        /// What went wrong.
        error: String,
        /// Attempt, from 1.
        attempt: u32,
        /// Pause before it.
        pause: Duration,
    },
    /// A run or a backfill holds back, for others suffer, or because it does not get its locks.
    Held {
        /// Stream.
        stream: String,
        /// Why, in words.
        why: String,
    },
    /// An index or key that was away for a load is built again.
    Building {
        /// Stream that it was away for.
        stream: String,
        /// What it is, and its name.
        what: String,
    },
    /// It is back.
    Built {
        /// Stream that it was away for.
        stream: String,
        /// What it is, and its name.
        what: String,
        /// How long that took.
        took: Duration,
    },
    /// A stream is complete and its counts agree with the source.
    StreamFinished {
        /// Stream.
        stream: String,
        /// Counts over all its batches.
        counts: Counts,
    },
    /// What a source connection has cost so far, where it is paid for by what is asked of it. Told
    /// every moment while a run goes on, and at its end.
    Spent {
        /// Source connection.
        connection: String,
        /// Since it was opened.
        spent: Spent,
    },
    /// Something the operator should know that loses nothing.
    Warning {
        /// Stream, where it concerns one.
        stream: Option<String>,
        /// What.
        message: String,
    },
}

/// Where events go. Called from the pipeline's tasks; must not block.
pub type Events = Arc<dyn Fn(Event) + Send + Sync>;
