//! Tables: names and shapes, of a source or of a target.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::column::ColumnType;

/// Table in which a target records the migrations that were applied to it: sqlx's, whose command
/// line reads it too.
pub const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Name of a table, as it is spelt in its database (case kept).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Schema, where the mapping names one.
    pub schema: Option<String>,
    /// The table's own name.
    pub name: String,
}

impl TableName {
    /// A name without schema.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// How a column gets a value that nobody gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// It does not: NULL, or an error where the column is NOT NULL.
    Nothing,
    /// A default expression.
    Default,
    /// An identity or serial sequence, which has to be set past the moved values.
    Sequence,
    /// Computed by the database: must not be written.
    Generated,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, case kept.
    pub name: String,
    /// Type.
    pub ty: ColumnType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// How it is filled when not written.
    pub fill: Fill,
    /// Source only: the reader can decode the stored values into whatever exact type it is asked
    /// for (SQLite stores what it is given), so a bare column is read as its target's type.
    pub flexible: bool,
    /// Identity of the form in which the values travel between two databases of one kind, where
    /// there is such a form (Postgres: its binary one). A column that is taken as it is into one
    /// with the same text, and that has no narrower limits, is passed on byte by byte.
    pub wire: Option<String>,
    /// Of a list: its elements have no order of their own, and no two of them are equal.
    pub unordered: bool,
}

impl Column {
    /// A column of which only name and type are known: it may hold NULL, and nothing fills it.
    pub fn new(name: impl Into<String>, ty: ColumnType) -> Self {
        Self {
            name: name.into(),
            ty,
            nullable: true,
            fill: Fill::Nothing,
            flexible: false,
            wire: None,
            unordered: false,
        }
    }
}

/// A foreign key of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name (may be empty where the database has none).
    pub name: String,
    /// Referring columns.
    pub columns: Vec<String>,
    /// Table referred to.
    pub table: TableName,
    /// Columns referred to.
    pub references: Vec<String>,
    /// Whether the role may take it away for a load and put it back afterwards.
    pub removable: bool,
}

/// Shape of a table, view or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name; of a query, the stream's name.
    pub name: TableName,
    /// Columns in declared order.
    pub columns: Vec<Column>,
    /// Primary key; empty where there is none. For a SQLite table without one the source gives
    /// the row id under one of its names (`rowid`, `_rowid_`, `oid`), whichever is no column.
    pub key: Vec<String>,
    /// Column sets that are unique, the primary key among them. Only plain ones: no partial and
    /// no expression index.
    pub uniques: Vec<Vec<String>>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Rows, where the database has an estimate at hand.
    pub rows_estimate: Option<u64>,
    /// Whether text may hold NUL characters: in SQLite it may, in Postgres not.
    pub text_holds_nul: bool,
    /// What the operator should know before the run (row triggers that cannot be switched off, …).
    pub notes: Vec<String>,
}

impl Table {
    /// A table of which only name and columns are known: no key, nothing that refers to another.
    #[must_use]
    pub const fn new(name: TableName, columns: Vec<Column>) -> Self {
        Self {
            name,
            columns,
            key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            rows_estimate: None,
            text_holds_nul: false,
            notes: Vec::new(),
        }
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
