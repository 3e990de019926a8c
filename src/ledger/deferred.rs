//! Indexes, and keys that rest on them, that are away while their table is loaded.

use crate::data::table::TableName;

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// To find rows.
    Index,
    /// To keep columns unique, without a constraint.
    UniqueIndex,
    /// A unique constraint.
    UniqueConstraint,
    /// The primary key.
    PrimaryKey,
}

impl IndexKind {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::UniqueIndex => "unique index",
            Self::UniqueConstraint => "unique constraint",
            Self::PrimaryKey => "primary key",
        }
    }
}

/// An index that is taken away for the load of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// Stream for which it is taken away.
    pub stream: String,
    /// Table that has it.
    pub table: TableName,
    /// Its name, which is that of its constraint, too.
    pub name: String,
    /// What it is for.
    pub kind: IndexKind,
    /// The stream is not complete. Read from a target.
    pub waits: bool,
}

impl Deferred {
    /// For messages: what it is, and its name.
    #[must_use]
    pub fn named(&self) -> String {
        format!("{} `{}`", self.kind.name(), self.name)
    }

    /// For messages: with its table.
    #[must_use]
    pub fn described(&self) -> String {
        format!("{} of table `{}`", self.named(), self.table)
    }
}

/// What would be away, or is, while a table is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deferral {
    /// Indexes, in the order in which they are built again.
    pub indexes: Vec<Deferred>,
    /// Foreign keys of the table, and those of other tables that rest on one of the indexes; each in
    /// words.
    pub foreign_keys: Vec<String>,
    /// Unique indexes that stay, each with the reason.
    pub kept: Vec<String>,
    /// Why nothing is taken away, where there is something to take away or to say.
    pub why_not: Option<String>,
    /// The table holds no row.
    pub empty: bool,
}

impl Deferral {
    /// Nothing is away, for this reason.
    #[must_use]
    pub fn not(why: impl Into<String>) -> Self {
        Self {
            why_not: Some(why.into()),
            ..Self::default()
        }
    }

    /// Whether anything is away.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.indexes.is_empty() && self.foreign_keys.is_empty()
    }
}
