//! A project and its streams as read from the files: every value with its place.

use std::path::PathBuf;

pub use crate::data::finding::Located;
use crate::data::finding::Place;
use crate::data::stream::{OnConflict, Triggers};
use crate::data::table::TableName;

/// A table at a connection, `connection.table` or `connection.schema.table` in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRef {
    /// Connection name.
    pub connection: String,
    /// Table.
    pub table: TableName,
}

/// Where a stream reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// `from = "connection.table"`.
    Table(Located<TableRef>),
    /// `[stream.query]` with `connection` and `sql`.
    Query {
        /// Connection name.
        connection: Located<String>,
        /// The text in the source's SQL.
        sql: Located<String>,
    },
}

impl From {
    /// Name of the source connection.
    #[must_use]
    pub fn connection(&self) -> &str {
        match self {
            Self::Table(table) => &table.value.connection,
            Self::Query { connection, .. } => &connection.value,
        }
    }

    /// Where it is written.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match self {
            Self::Table(table) => &table.place,
            Self::Query { sql, .. } => &sql.place,
        }
    }
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Name, unique within the project.
    pub name: Located<String>,
    /// Where it reads.
    pub from: From,
    /// Where it writes.
    pub to: Located<TableRef>,
    /// Target key columns.
    pub key: Vec<Located<String>>,
    /// Source key columns, where the mapping names them (`source_key`).
    pub source_key: Option<Vec<Located<String>>>,
    /// What happens to rows that exist.
    pub on_conflict: OnConflict,
    /// Row triggers of the target.
    pub triggers: Triggers,
    /// Streams that must be complete before this one, beside those that foreign keys demand.
    pub after: Vec<Located<String>>,
    /// `where`: rows for which it is not true are left out and counted as filtered.
    pub filter: Option<Located<String>>,
    /// Rules by name: a row for which the expression is false is a reject (NULL passes).
    pub rules: Vec<(Located<String>, Located<String>)>,
    /// Target column = expression, in file order.
    pub columns: Vec<(Located<String>, Located<String>)>,
    /// `same_name_columns = true`: target columns that are not mentioned take the source column
    /// of the same name, if its type is compatible.
    pub same_name_columns: Option<Located<bool>>,
    /// Types that source columns are read as (`[stream.types]`).
    pub types: Vec<(Located<String>, Located<String>)>,
    /// Target columns whose value may lose fraction digits (`allow_precision_loss`).
    pub allow_precision_loss: Vec<Located<String>>,
    /// Subjects: name and condition over source columns with `$key`.
    pub subjects: Vec<(Located<String>, Located<String>)>,
    /// The whole `[[stream]]` header.
    pub place: Place,
}

/// A project folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Name (persisted in checkpoints).
    pub name: String,
    /// Folder.
    pub folder: PathBuf,
    /// Connections that streams read from.
    pub sources: Vec<Located<String>>,
    /// Connections that streams write to.
    pub sinks: Vec<Located<String>>,
    /// `max_rejects`, where the project sets it.
    pub max_rejects: Option<u64>,
    /// Streams in file order.
    pub streams: Vec<Stream>,
}
