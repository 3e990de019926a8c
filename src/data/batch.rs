//! What a source hands over: rows in columns, the rows it could not read, and how far it got.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::kinds::KindCounts;
use super::memory::Held;
use super::position::{KeyBuffer, Position};
use super::reject::Reject;

/// Shows a row of a batch as one JSON object ([`super::render::row_json`] for plain columns).
pub type RowJson = fn(&RecordBatch, usize) -> String;

/// Some thousand rows of one stream in key order, as read.
///
/// A row is either in `rows` or in `rejects`, never in both; [`Self::read`] counts both.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The readable rows: the columns that were asked for, in that order, with the Arrow types
    /// and field metadata of their [`super::column::ColumnType`].
    pub rows: RecordBatch,
    /// Source key of each row in `rows`: names the row when something is wrong with it later.
    /// Shared, for a batch goes to every stream that reads the same rows.
    pub keys: Arc<KeyBuffer>,
    /// Rows that could not be read exactly.
    pub rejects: Vec<Reject>,
    /// Position after the last row of this batch (readable or not).
    pub position: Position,
    /// A row of `rows` as one JSON object, for the reject store: the source knows how to show
    /// columns that travel in a form of its own.
    pub row_json: RowJson,
    /// Bytes that the rows take in the source, roughly; for progress.
    pub bytes: u64,
    /// What was taken of the process's memory for it.
    pub memory: Held,
}

impl SourceBatch {
    /// Rows read, readable or not.
    #[must_use]
    pub fn read(&self) -> u64 {
        (self.rows.num_rows() + self.rejects.len()) as u64
    }
}

/// A batch after the mapping: rows in the target's columns and exact types.
///
/// source rows = `rows` + `rejects` + `filtered`.
#[derive(Debug, Clone)]
pub struct TargetBatch {
    /// Rows to write.
    pub rows: RecordBatch,
    /// For each row in `rows` its row number in [`SourceBatch::rows`].
    pub origin: Vec<u32>,
    /// Rows that an expression, a cast, a rule or a limit of the target refused.
    pub rejects: Vec<Reject>,
    /// Rows that the stream leaves out: by its `where`, or because their document is of a kind that
    /// it does not take.
    pub filtered: u64,
    /// Of [`Self::filtered`]: documents of kinds that the stream does not take.
    pub kinds: KindCounts,
}
