//! Streams: what is moved from where, as both ends need to know it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::column::ColumnType;
use super::keyed::Layout;
use super::piece::Piece;
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
    /// Whoever asks looks at every text whether it is JSON: the source need not.
    pub json_is_checked: bool,
}

/// One subject of a stream: the rows that belong to one user, say.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Condition over source columns in the source's own SQL, in which `$key` stands for the key.
    pub condition: String,
    /// The key as the user gave it; always bound, never written into SQL text.
    pub key: String,
}

/// Without the key, which is a cell value (Invariant 9).
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject")
            .field("condition", &self.condition)
            .finish_non_exhaustive()
    }
}

/// In which order rows come, each with its key all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In key order.
    #[default]
    Key,
    /// As they are stored, where the source can go on after any of them all the same
    /// ([`Position::Stored`]), which spares it the detour over an index; else in key order. Reading
    /// goes on as it began: `after` says how.
    Stored,
    /// Whatever is least work for the source. Positions mean nothing then.
    Any,
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
    /// In which order rows come.
    pub order: Order,
    /// Go on after this position; [`Position::Within`] also says where the split ends. Batches
    /// carry [`Position::Key`] all the same: the split's end is the reader's to keep.
    ///
    /// [`crate::ErrorKind::Void`] where the source cannot tell any more what is after it.
    pub after: Option<Position>,
    /// Only the rows of one subject. With it rows come in key order where there is a key, and
    /// `after` and `only` are not given.
    pub subject: Option<Subject>,
    /// Only the rows with these keys (for `--retry-rejects`), whatever `after` says.
    pub only: Option<Vec<Key>>,
    /// Only this piece of the table, with [`Order::Any`] alone: there is no `after`, `subject` or `only`
    /// then. Asked for where [`Source::pieces`](crate::source::Source::pieces) gave some.
    pub piece: Option<Piece>,
    /// Most rows in one [`super::batch::SourceBatch`].
    pub rows_max: usize,
    /// Most bytes in one [`super::batch::SourceBatch`]; one row may exceed it alone.
    pub bytes_max: usize,
    /// How long a reader that can go on by itself asks again where its service does not answer.
    /// Others end with the first failure, and whoever reads tries again.
    pub patience: Duration,
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
    /// What `error` becomes for the rows of one subject, which may be moved again and again: the
    /// target's row stays; it is counted as skipped where it is equal, and the new row is a reject
    /// where it differs. Not for mappings.
    #[serde(skip)]
    #[schemars(skip)]
    ErrorUnlessEqual,
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

/// Whether indexes and keys of an empty table are taken away for its load, where its target has such a
/// thing, and built again afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeferIndexes {
    /// Where that is known to lose nothing, and many rows are expected.
    #[default]
    Auto,
    /// However few rows are expected.
    Always,
    /// They stay.
    Never,
}

/// How many replicas have to answer before a row counts as written, where the target asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One, wherever it is.
    One,
    /// One of the datacenter that is asked.
    LocalOne,
    /// Most of those of the datacenter that is asked.
    #[default]
    LocalQuorum,
    /// Most of all.
    Quorum,
    /// Most of those of each datacenter.
    EachQuorum,
    /// All.
    All,
}

impl Consistency {
    /// As a mapping spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::LocalOne => "local_one",
            Self::LocalQuorum => "local_quorum",
            Self::Quorum => "quorum",
            Self::EachQuorum => "each_quorum",
            Self::All => "all",
        }
    }
}

/// What a mapping says of how rows are written, beside their values and what happens to those that are
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowOptions {
    /// Replicas that answer, of a target that speaks CQL.
    pub consistency: Consistency,
    /// Column with the moment at which a row expires, of such a target; one of those that are written.
    pub expires_at: Option<String>,
    /// Rows of the table are changed where they are (a backfill): none is ever inserted.
    pub in_place: bool,
    /// Indexes and keys of the table may be away while it is loaded.
    pub deferred: bool,
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
    /// How rows become keys, where the target is no table.
    pub keyed: Option<Arc<Layout>>,
    /// How rows are written, where the target is a table of a CQL keyspace.
    pub options: RowOptions,
    /// The session keeps an undo log of what it writes, in the same transaction.
    pub undo: bool,
}

impl StreamTarget {
    /// Whether rows vanish by themselves: how many are left says nothing then.
    #[must_use]
    pub fn expires(&self) -> bool {
        self.options.expires_at.is_some() || self.keyed.as_ref().is_some_and(|layout| layout.expiry.is_some())
    }
}
