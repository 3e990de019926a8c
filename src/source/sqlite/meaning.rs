//! What an application says about its columns beyond their declarations.

use std::collections::HashMap;

use crate::data::column::ColumnType;

/// What an application says about its columns beyond their declarations.
#[derive(Debug, Default)]
pub(in crate::source) struct Meanings {
    /// By table name, then column name.
    pub(in crate::source) tables: HashMap<String, TableMeaning>,
}

/// Meaning of one table's columns.
#[derive(Debug, Default)]
pub(in crate::source) struct TableMeaning {
    /// By column name.
    pub(in crate::source) columns: HashMap<String, Meaning>,
    /// What the operator should know.
    pub(in crate::source) notes: Vec<String>,
}

/// Meaning of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Meaning {
    /// Type of its values.
    pub(in crate::source) ty: ColumnType,
    /// What `''` stands for.
    pub(in crate::source) empty: Empty,
}

/// What an application means by the empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Empty {
    /// Itself.
    Text,
    /// That there is no value.
    Null,
    /// That there are no elements.
    List,
}

impl Meanings {
    pub(super) fn of(&self, table: &str, column: &str) -> Option<&Meaning> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl Meaning {
    /// Of a column that is the result of an expression.
    pub(super) const UNKNOWN: Self = Self {
        ty: ColumnType::TEXT,
        empty: Empty::Text,
    };
}
