//! What a backfill has to say to the database whose rows it changes, and to hear from it.

use super::column::ColumnType;
use super::position::Key;

/// Some rows of a table in the order of its key: those after a place that fit all conditions.
#[derive(Clone, PartialEq)]
pub struct RowRange {
    /// Columns of the key with their types; the database keeps it unique, and they are never NULL.
    pub key: Vec<(String, ColumnType)>,
    /// Conditions in the database's own SQL, each of them checked alone before.
    pub conditions: Vec<String>,
    /// After the row with this key; `None` from the beginning.
    pub after: Option<Key>,
    /// Most rows.
    pub rows_max: u64,
    /// Most rows that are looked at to find them, so that no statement takes long where few rows fit.
    pub looked_at_max: u64,
}

/// Without the key, which is a cell value (Invariant 9).
impl std::fmt::Debug for RowRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowRange")
            .field("key", &self.key)
            .field("rows_max", &self.rows_max)
            .finish_non_exhaustive()
    }
}

/// Rows of a [`RowRange`].
#[derive(Clone, PartialEq, Default)]
pub struct NextRows {
    /// Their keys, in order.
    pub keys: Vec<Key>,
    /// Up to which key all rows were looked at; `None` at the end of the table.
    pub looked_up_to: Option<Key>,
}

/// How a database bears what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strain {
    /// Where its log of changes ends now.
    pub log: u64,
    /// Servers that follow it.
    pub standbys: Vec<Standby>,
    /// There are servers that follow it, and the role may not see how far they are.
    pub standbys_hidden: bool,
    /// Connections of others that wait for a lock and work on the table.
    pub lock_waits: u64,
}

/// A server that follows another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Process that serves it: tells one from the other.
    pub process: i32,
    /// How it calls itself.
    pub name: String,
    /// Up to where it has carried out the log of changes.
    pub replayed: u64,
    /// How far it is behind by the server's own measure, in milliseconds; `None` where it knows none.
    pub lag_milliseconds: Option<u64>,
}
