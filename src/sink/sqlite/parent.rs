//! Foreign keys: which one a refused row breaks, and whether rows that SQLite would look at only
//! on commit refer to rows that are there.

use super::connection::quote;
use super::statement::Phrases;
use crate::data::reject::Reason;
use crate::data::table::{ForeignKey, TableName};
use crate::error::Refusal;

/// A foreign key of the target.
pub(super) struct Parent {
    names: Vec<String>,
    table: String,
    /// Where all its columns are written: their positions, and the statement that looks for the
    /// row referred to by their values.
    pub(super) sought: Option<(Vec<usize>, String)>,
    /// Looks for a row of the target, by its key, that refers to nothing; the values are those
    /// that the row has now, whoever gave them.
    pub(super) orphan: String,
}

impl Parent {
    /// `at` gives the position of a written column.
    pub(super) fn new(
        table: &TableName,
        foreign_key: &ForeignKey,
        phrases: &Phrases,
        at: impl Fn(&String) -> Option<usize>,
    ) -> Option<Self> {
        let ForeignKey { columns, references, .. } = foreign_key;
        if columns.len() != references.len() {
            return None;
        }
        let parent = format!("main.{}", quote(&foreign_key.table.name));
        let join = |write: &dyn Fn(usize, &str, &str) -> String| {
            let pairs = columns.iter().zip(references).enumerate();
            let terms: Vec<_> = pairs.map(|(i, (from, to))| write(i, &quote(from), &quote(to))).collect();
            terms.join(" and ")
        };
        // The comparison takes the collation of the column referred to, as SQLite itself does.
        let by_value = join(&|i, _, to| format!("p.{to} = ?{}", i + 1));
        let by_column = join(&|_, from, to| format!("p.{to} = c.{from}"));
        let all_given = join(&|_, from, _| format!("c.{from} is not null"));
        let sought: Option<Vec<usize>> = columns.iter().map(at).collect();
        Some(Self {
            names: columns.clone(),
            table: foreign_key.table.name.clone(),
            sought: sought.map(|sought| (sought, format!("select 1 from {parent} as p where {by_value}"))),
            orphan: format!(
                "select 1 from main.{} as c where {} and {all_given} and not exists (select 1 from {parent} as p where {by_column})",
                quote(&table.name),
                phrases.by_key(),
            ),
        })
    }

    /// Whether it is this foreign key.
    pub(super) fn is(&self, foreign_key: &ForeignKey) -> bool {
        self.names == foreign_key.columns && self.table == foreign_key.table.name
    }

    /// The refusal of a row that breaks it.
    pub(super) fn refusal(&self) -> Refusal {
        Refusal {
            column: match self.names.as_slice() {
                [name] => Some(name.clone()),
                _ => None,
            },
            reason: Reason::ForeignKey,
            detail: format!("the row that {} refers to does not exist", self.names.join(", ")),
        }
    }
}
