//! Numbers of rows for a quick look: counted, or estimated and marked as such.

use crate::cli::figures;
use crate::data::table::Table;

/// Tables of so many rows, by the database's own estimate, are not counted unless that is asked for.
const ESTIMATED_ROWS_MIN: u64 = 1_000_000;

/// A number of rows, and whether it is the database's estimate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rows {
    pub(super) rows: Option<u64>,
    pub(super) estimated: bool,
}

impl Rows {
    pub(super) const fn counted(rows: Option<u64>) -> Self {
        Self { rows, estimated: false }
    }

    /// The estimate of a table that is too large to be counted for a quick look.
    pub(super) fn estimated(table: Option<&Table>, exact: bool) -> Option<Self> {
        let rows = table?.rows_estimate.filter(|rows| !exact && *rows >= ESTIMATED_ROWS_MIN)?;
        Some(Self {
            rows: Some(rows),
            estimated: true,
        })
    }

    pub(super) fn text(self) -> String {
        let mark = if self.estimated { "≈ " } else { "" };
        self.rows
            .map_or_else(|| "?".to_owned(), |rows| format!("{mark}{}", figures::count(rows)))
    }
}
