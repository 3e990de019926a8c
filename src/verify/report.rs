//! What a verification found: the form that `--output json` prints, that a report file holds, and
//! that `repair` reads back. It is a persisted form: a change of meaning takes a new [`FORMAT`].
//!
//! Every figure in it was counted from rows that were read for it (Invariant 16).

use serde::{Deserialize, Serialize};

use crate::data::json_schema;

/// Version of this form.
pub const FORMAT: u32 = 1;

/// What came of comparing, of a stream or of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every row that the mapping covers is in the target as it should be, and no other.
    Equal,
    /// At least one row is missing, extra or different.
    Different,
    /// Nothing else differs, but rows went on changing while they were looked at.
    Unsettled,
    /// Not everything was compared: only a sample, or it was interrupted, or failed.
    Unchecked,
}

/// A verification by dbferry: what `dbferry verify --output json` prints, and what
/// `--report FILE.json` writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "dbferry verify report", transform = with_error)]
pub struct VerifyReport {
    /// Version of this form.
    pub format: u32,
    /// Identity of this verification, a UUID.
    pub id: String,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Version of dbferry.
    pub version: String,
    /// What came of it: the worst of the streams.
    pub status: Verdict,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// When it ended, RFC 3339 in UTC.
    pub ended_at: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// What it was restricted to, in words; empty for everything.
    pub restrictions: Vec<String>,
    /// Connections that were read.
    pub connections: Vec<ConnectionRead>,
    /// Streams, in the order of the plan.
    pub streams: Vec<StreamVerdict>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// The field that every document has.
pub(super) fn with_error(schema: &mut schemars::Schema) {
    if let Some(serde_json::Value::Object(properties)) = schema.get_mut("properties") {
        let description = "Always null: a verification that fails has its error instead of a report.";
        properties.insert(
            "error".to_owned(),
            serde_json::json!({ "description": description, "type": "null" }),
        );
    }
}

/// JSON Schema of the document that holds a report.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    json_schema::written::<VerifyReport>()
}

/// A connection that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConnectionRead {
    /// Name in the configuration.
    pub name: String,
    /// Its kind: `postgres`, `sqlite`, …
    pub kind: String,
    /// Version of the server or library, where it tells one.
    pub version: Option<String>,
    /// The moment that was seen of it, where it has one; the same for all rows read.
    pub moment: Option<String>,
    /// What all of its keys begin with, in a rehearsal (`--key-prefix`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StreamVerdict {
    /// Stream.
    pub name: String,
    /// `connection.table` it reads, or `connection (query)`.
    pub source: String,
    /// `connection.table` it writes.
    pub target: String,
    /// What came of it.
    pub status: Verdict,
    /// Fingerprint of the mapping and both shapes.
    pub fingerprint: String,
    /// Rows read from the source.
    pub source_rows: u64,
    /// Of them, rows that the mapping leaves out (`where`, kinds of documents).
    pub filtered: u64,
    /// Of them, rows whose moment of expiry is past.
    pub expired: u64,
    /// Of them, rows that are not in the target because they cannot be: the mapping refuses them
    /// now, or they are recorded rejects.
    pub rejected: u64,
    /// Of them, rows that have to be in the target.
    pub covered_rows: u64,
    /// Rows read from the target.
    pub target_rows: u64,
    /// Covered rows that are not in the target.
    pub missing: u64,
    /// Rows of the target that no row of the source covers.
    pub extra: u64,
    /// Whether rows of the target alone were looked for; where they were not, `extra` says nothing.
    pub extra_checked: bool,
    /// Of the extra rows, those that the target is known to have had before the first run; `None`
    /// where nothing tells.
    pub extra_before: Option<u64>,
    /// Rows of both sides that differ in at least one column.
    pub different: u64,
    /// Rows that differed, and changed again each time they were looked at.
    pub unsettled: u64,
    /// Of how many rows only a sample was compared; `None` where all were.
    pub sampled: Option<u64>,
    /// When the source was read, RFC 3339 in UTC.
    pub source_read_at: String,
    /// When the target was read, RFC 3339 in UTC.
    pub target_read_at: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// Rows of both sides read per second.
    pub rows_per_second: u64,
    /// The first differences by key, at most `--max-differences`.
    pub differences: Vec<Difference>,
    /// Differences that are counted above and not listed.
    pub not_listed: u64,
    /// What the reader should know of this stream.
    pub notes: Vec<String>,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// It is not in the target.
    Missing,
    /// It is in the target alone.
    Extra,
    /// It is on both sides, and not the same.
    Different,
    /// It changed each time it was looked at.
    Unsettled,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Difference {
    /// How.
    pub kind: DifferenceKind,
    /// Target key: its columns and what they hold.
    pub key: Vec<Shown>,
    /// Hash of the target key, 32 hexadecimal digits: names the row where its key is masked or cut.
    pub id: String,
    /// Columns that differ; none of a row that is missing or extra.
    pub columns: Vec<ColumnDifference>,
}

/// A column of a key and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shown {
    /// Column.
    pub column: String,
    /// What it holds.
    pub value: Value,
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ColumnDifference {
    /// Column of the target (of a keyed stream: field, `value`, `score`, `position` or `ttl`).
    pub column: String,
    /// What it should be: the source's value through the mapping.
    pub source: Value,
    /// What the target holds.
    pub target: Value,
}

/// A value as it may be shown: as text, masked, cut to a readable length. Control characters are in
/// it as they are; whoever shows it escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Value {
    /// The text; `None` for NULL, and where it is masked.
    pub text: Option<String>,
    /// It is not shown, because its column is marked `pii`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// Length of the whole in characters (of binary values in bytes), where `text` is only part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<u64>,
}
