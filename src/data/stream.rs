//! Streams: what is moved from where, as both ends need to know it.

use serde::{Deserialize, Serialize};

use super::column::ColumnType;
use super::position::{Key, Position};
use super::table::{Column, TableName};

/// Where a stream reads from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A table, view or collection.
    Table(TableName),
    /// A query in the source's own SQL.
    Query {
        /// The text, without a trailing semicolon.
        sql: String,
    },
}

/// A column to read, and the type to read it as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadColumn {
    /// Source column.
    pub name: String,
    /// Type wanted: the column's own, or any other if the column is flexible.
    pub ty: ColumnType,
}

/// What to read, how far it was read already, and in what portions.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRequest {
    /// Where from.
    pub origin: Origin,
    /// Which columns.
    pub columns: Vec<ReadColumn>,
    /// Key that orders the rows; empty for an atomic stream, which is read in any order.
    pub key: Vec<String>,
    /// Go on after this position.
    pub after: Option<Position>,
    /// Only the rows with these keys (for `--retry-rejects`), whatever `after` says.
    pub only: Option<Vec<Key>>,
    /// Most rows in one [`super::batch::SourceBatch`].
    pub rows_max: usize,
    /// Most bytes in one [`super::batch::SourceBatch`]; one row may exceed it alone.
    pub bytes_max: usize,
}

/// What happens when the target already has a row with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The row is a reject.
    #[default]
    Error,
    /// The target's row stays; counted as skipped.
    Skip,
    /// The target's row is changed where it differs; counted as updated, or as skipped where it
    /// is equal.
    Update,
}

/// Whether the target's own row triggers fire for the rows of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Triggers {
    /// Switched off for the load where the role may, so that values arrive as they were.
    #[default]
    Off,
    /// They fire, and the target may differ from what was sent.
    On,
}

/// What a sink has to know of a stream to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTarget {
    /// Stream name.
    pub stream: String,
    /// Table written to.
    pub table: TableName,
    /// Columns written, in the order of the batches' columns.
    pub columns: Vec<Column>,
    /// Target key: names among `columns`.
    pub key: Vec<String>,
    /// What to do with rows that exist.
    pub on_conflict: OnConflict,
    /// Row triggers.
    pub triggers: Triggers,
    /// The plan could prove that no two source rows share a target key (the key is made of the
    /// whole source key by functions that keep it distinct). Where false, the pipeline claims
    /// every key before it is written (Invariant 13).
    pub keys_distinct: bool,
}
