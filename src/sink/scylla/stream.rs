//! A stream that a session has open, and the batch it is in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use scylla::statement::batch::Batch as Statements;
use scylla::statement::prepared::PreparedStatement;

use super::portion::Layout;
use crate::data::position::Key;
use crate::data::stream::StreamTarget;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind};

/// A stream that is open.
pub(super) struct OpenStream {
    pub(super) target: StreamTarget,
    pub(super) layout: Arc<Layout>,
    pub(super) statements: Arc<Prepared>,
    pub(super) split: i32,
    /// The first batch forgets what earlier runs left.
    pub(super) restart: bool,
    /// Last checkpoint.
    pub(super) settled: Option<Checkpoint>,
    /// Write timestamp of the stream, in microseconds, before the epoch is added; `None` before its
    /// first batch.
    pub(super) stamp: Option<i64>,
    /// The ledger says that rows up to this one, of all that the split writes, may be there.
    pub(super) reach: u64,
    /// Rows up to this one may have been written by an attempt that was cut short.
    pub(super) replay: u64,
    /// An earlier attempt wrote rows and came to no checkpoint.
    pub(super) attempted: bool,
    /// Rows written so far, those of the open batch too.
    pub(super) written: u64,
    /// The next batch is the first that this session writes of the stream.
    pub(super) is_first: bool,
    /// Of a rehearsal: what would have been written.
    pub(super) rehearsed: Rehearsed,
}

/// Statements of a stream's table.
pub(super) struct Prepared {
    /// Writes a row: every column of the layout, then its time to live where it has one.
    pub(super) insert: PreparedStatement,
    /// The same for several rows of one partition: as many as its place says.
    pub(super) several: Vec<Statements>,
    /// Reads the columns behind the key, then when each was written where that can be told.
    pub(super) select: PreparedStatement,
    /// Of each column behind the key its place among the moments of writing.
    pub(super) stamps: Vec<Option<usize>>,
    /// Deletes a row.
    pub(super) delete: PreparedStatement,
}

/// What a rehearsal would have written, for nothing of it can be read back.
#[derive(Default)]
pub(super) struct Rehearsed {
    pub(super) inserted: u64,
    pub(super) rows: HashSet<u128>,
    pub(super) claims: HashMap<u128, Key>,
}

/// A batch that was begun.
pub(super) struct Batch {
    /// No row of the stream can be there yet.
    pub(super) direct: bool,
    /// Its rows are read back by their keys.
    pub(super) read_back: bool,
    /// Rows that were written before the batch.
    pub(super) before: u64,
}

impl OpenStream {
    /// Rows that all batches so far have written or left as they were.
    pub(super) fn settled_rows(&self) -> u64 {
        self.settled.as_ref().map_or(0, |settled| {
            let counts = settled.counts;
            counts.inserted + counts.updated + counts.skipped + counts.expired
        })
    }

    /// Sequence number of the last batch.
    pub(super) fn sequence(&self) -> Option<i64> {
        self.settled.as_ref().map(|settled| settled.sequence)
    }

    /// Rows that are there may be this stream's own, of an attempt that was cut short.
    pub(super) const fn is_replaying(&self) -> bool {
        self.written < self.replay
    }
}

/// What no session without an open stream is asked for.
pub(super) fn not_open() -> Error {
    Error::new(ErrorKind::Internal, "no stream is open")
}

/// What no session outside of a batch is asked for.
pub(super) fn no_batch() -> Error {
    Error::new(ErrorKind::Internal, "no batch is open, so that nothing can be written")
}
