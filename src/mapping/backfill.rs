//! Backfills: rows of a table that are changed where they are.

use super::stream::{Located, Stream};

/// One `[[backfill]]`. What becomes of a row is said by a stream from the table into itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// From the table into itself: `columns` are those that are filled in. Its key is empty where the
    /// mapping names none, until the table's own is known.
    pub stream: Stream,
    /// `where`: which rows it is about, in the database's own SQL.
    pub condition: Option<Located<String>>,
    /// `pending`: which of them still need it, in the database's own SQL.
    pub pending: Option<Located<String>>,
    /// `max_rows_per_second`.
    pub rows_per_second_max: Option<u64>,
}

impl Backfill {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.stream.name.value
    }

    /// The connection whose table it changes.
    #[must_use]
    pub fn connection(&self) -> &str {
        &self.stream.to.value.connection
    }

    /// Conditions of the rows that it is about.
    #[must_use]
    pub fn about(&self) -> Vec<String> {
        self.condition.iter().map(|text| text.value.clone()).collect()
    }

    /// Conditions of the rows that still need it.
    #[must_use]
    pub fn needed(&self) -> Vec<String> {
        let texts = self.condition.iter().chain(&self.pending);
        texts.map(|text| text.value.clone()).collect()
    }
}
