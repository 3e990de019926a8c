//! What a ledger check found: the form that `verify --ledger --output json` prints.
//!
//! It says which batches still hold what was committed. That source and target are equal it never
//! says: a row that was added to the target, or to the source, is in no batch.

use serde::{Deserialize, Serialize};

use crate::data::json_schema;
use crate::verify::report::{Shown, with_error};

/// Version of this form.
pub const FORMAT: u32 = 1;

/// What became of a committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchOutcome {
    /// The target holds what was committed.
    Unchanged,
    /// All of its rows are there, and at least one of them is another.
    Changed,
    /// At least one of its rows is not there.
    Gone,
    /// It cannot be told.
    NotComparable,
}

/// What came of it, for a stream or for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerStatus {
    /// Every batch that could be compared holds what was committed.
    Unchanged,
    /// At least one batch does not.
    Changed,
    /// No batch could be compared.
    Unchecked,
}

/// A ledger check by dbferry: what `dbferry verify --ledger --output json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "dbferry ledger check", transform = with_error)]
pub struct LedgerReport {
    /// Version of this form.
    pub format: u32,
    /// Identity of this check, a UUID.
    pub id: String,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Version of dbferry.
    pub version: String,
    /// What came of it.
    pub status: LedgerStatus,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// When it ended, RFC 3339 in UTC.
    pub ended_at: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// What it was restricted to, in words; empty for everything.
    pub restrictions: Vec<String>,
    /// Streams, in the order of the plan.
    pub streams: Vec<LedgerStream>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LedgerStream {
    /// Stream.
    pub name: String,
    /// `connection.table` it reads, or `connection (query)`.
    pub source: String,
    /// `connection.table` it writes.
    pub target: String,
    /// What came of it.
    pub status: LedgerStatus,
    /// Fingerprint of the mapping and both shapes.
    pub fingerprint: String,
    /// Batches that the ledger holds of it.
    pub batches: u64,
    /// Of them, batches that hold what was committed.
    pub unchanged: u64,
    /// Of them, batches of which at least one row is another.
    pub changed: u64,
    /// Of them, batches of which at least one row is not there.
    pub gone: u64,
    /// Of them, batches of which it cannot be told.
    pub not_comparable: u64,
    /// Rows committed in all batches.
    pub rows: u64,
    /// Rows committed in batches that hold them unchanged.
    pub rows_unchanged: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Batches that are not unchanged, at most `--max-differences`: first those that are changed or
    /// gone, then those that cannot be compared.
    pub findings: Vec<LedgerFinding>,
    /// Such batches that are counted above and not listed.
    pub not_listed: u64,
    /// What the reader should know of this stream.
    pub notes: Vec<String>,
}

/// A batch that is not unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LedgerFinding {
    /// What became of it.
    pub outcome: BatchOutcome,
    /// Split of the stream; below 0 for rows of subjects and for changes.
    pub split: i32,
    /// Sequence within the split.
    pub sequence: i64,
    /// Run that committed it, a UUID.
    pub run: String,
    /// When it was committed, RFC 3339 in UTC, by the target's clock.
    pub committed_at: String,
    /// First source key; empty where rows were read without one.
    pub first_key: Vec<Shown>,
    /// Last source key.
    pub last_key: Vec<Shown>,
    /// Rows that were committed.
    pub rows_then: u64,
    /// Of the rows that are looked for, those that are in the target now; null where none were looked for.
    pub rows_now: Option<u64>,
    /// Why it cannot be told, or what else is to be known of it.
    pub reason: Option<String>,
}

/// JSON Schema of the document that holds a ledger check.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    json_schema::written::<LedgerReport>()
}
