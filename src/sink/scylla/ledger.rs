//! The ledger's tables, and how they are asked.
//!
//! Everything that decides who may write and how far a stream is lies in one partition for each
//! project, so that a condition can cover both: the lease (static columns) and the checkpoints. That
//! table is changed by lightweight transactions alone. What else belongs to a batch (its entry in the
//! audit trail, its rejects) counts only from the checkpoint on that names its sequence number.

use std::sync::Arc;

use scylla::deserialize::row::DeserializeRow;
use scylla::frame::types::Consistency;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::serialize::row::SerializeRow;

use crate::cql::connect::Keyspace;
use crate::cql::{fault, quote};
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// Tables by name with what they hold.
const TABLES: [(&str, &str); 5] = [
    (
        "dbferry_checkpoint",
        "project text, stream text, split int, epoch bigint static, holder text static, sequence bigint, state text, \
         entry text, stamp bigint, reach bigint, PRIMARY KEY ((project), stream, split)",
    ),
    (
        "dbferry_run",
        "project text, run uuid, record text, PRIMARY KEY ((project), run)",
    ),
    (
        "dbferry_batch",
        "project text, run uuid, stream text, split int, sequence bigint, record text, \
         PRIMARY KEY ((project, run), stream, split, sequence)",
    ),
    (
        "dbferry_reject",
        "project text, stream text, id bigint, record text, resolved_run uuid, resolved_split int, resolved_sequence bigint, \
         PRIMARY KEY ((project, stream), id)",
    ),
    (
        "dbferry_key_claim",
        "project text, stream text, part smallint, digest blob, source_key text, \
         PRIMARY KEY ((project, stream, part), digest)",
    ),
];

/// How often it is looked whether a table that was created can be seen everywhere.
const LOOKS_MAX: u32 = 20;

/// The ledger of a keyspace.
pub(super) struct Ledger {
    pub(super) keyspace: Arc<Keyspace>,
}

/// Rows that a statement gave, or whether its condition held.
pub(super) struct Answer {
    rows: QueryResult,
    connection: String,
}

impl Ledger {
    pub(super) const fn new(keyspace: Arc<Keyspace>) -> Self {
        Self { keyspace }
    }

    /// Whether dbferry has ever written here.
    pub(super) fn exists(&self) -> bool {
        self.keyspace.described(&TableName::new(TABLES[0].0)).is_some()
    }

    /// Creates the tables that are missing.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorised`] where the user may not.
    pub(super) async fn create(&self) -> Result<()> {
        let missing = || {
            TABLES
                .iter()
                .filter(|(name, _)| self.keyspace.described(&TableName::new(*name)).is_none())
        };
        if missing().next().is_none() {
            return Ok(());
        }
        self.keyspace.refresh().await?;
        let tables: Vec<_> = missing().collect();
        for (name, columns) in tables {
            let table = quote::table(&self.keyspace.name, &TableName::new(*name))?;
            let text = format!("CREATE TABLE IF NOT EXISTS {table} ({columns})");
            self.keyspace.change(&text, "creating the ledger").await?;
        }
        for _ in 0..LOOKS_MAX {
            self.keyspace.refresh().await?;
            if missing().next().is_none() && self.is_answered().await? {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        Err(Error::new(
            ErrorKind::Lost,
            format!(
                "connection `{}`: the ledger's tables were created and cannot be seen",
                self.keyspace.connection
            ),
        ))
    }

    /// Whether questions about the tables are answered: not while another run is making them, too.
    async fn is_answered(&self) -> Result<bool> {
        for (name, _) in TABLES {
            let text = format!("SELECT project FROM @{} LIMIT 1", name.trim_start_matches("dbferry_"));
            match self.ask(&text, &[]).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Missing => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The text of a statement, in which `@name` stands for the ledger's table `dbferry_name`.
    fn text(&self, text: &str) -> Result<String> {
        let Some((before, after)) = text.split_once('@') else {
            return Ok(text.to_owned());
        };
        let end = after
            .find(|c: char| !(c.is_ascii_lowercase() || c == '_'))
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let table = quote::table(&self.keyspace.name, &TableName::new(format!("dbferry_{name}")))?;
        Ok(format!("{before}{table}{after}"))
    }

    /// Asks a statement that may be sent twice, with most replicas.
    pub(super) async fn ask(&self, text: &str, values: impl SerializeRow) -> Result<Answer> {
        self.ask_at(text, values, Consistency::Quorum).await
    }

    /// Reads what lightweight transactions have written, none of them half-way.
    pub(super) async fn ask_settled(&self, text: &str, values: impl SerializeRow) -> Result<Answer> {
        self.ask_at(text, values, Consistency::Serial).await
    }

    async fn ask_at(&self, text: &str, values: impl SerializeRow, consistency: Consistency) -> Result<Answer> {
        const WHAT: &str = "the ledger";
        let statement = self.keyspace.statement(&self.text(text)?, consistency, WHAT).await?;
        let rows = self.keyspace.ask(&statement, values, WHAT).await?;
        Ok(Answer {
            rows,
            connection: self.keyspace.connection.clone(),
        })
    }

    /// Changes something if a condition holds; whether it did. Sent once: where its fate is not known
    /// it is an error, and whoever asks has to look.
    ///
    /// # Errors
    /// [`ErrorKind::Lost`] where it is not known.
    pub(super) async fn change_if(&self, text: &str, values: impl SerializeRow) -> Result<bool> {
        const WHAT: &str = "the ledger";
        let mut statement = self.keyspace.statement(&self.text(text)?, Consistency::Quorum, WHAT).await?;
        statement.set_is_idempotent(false);
        let outcome = self.keyspace.session.execute_unpaged(&statement, values).await;
        let rows = outcome.map_err(|error| fault::Fault::of(&error).at(&self.keyspace.connection, WHAT))?;
        let rows = fault::expected(rows.into_rows_result(), &self.keyspace.connection, WHAT)?;
        applied(&rows).ok_or_else(|| fault::unexpected(&self.keyspace.connection, WHAT))
    }
}

/// What the first column of the answer to a conditional statement says.
fn applied(rows: &QueryRowsResult) -> Option<bool> {
    use scylla::deserialize::row::ColumnIterator;
    let mut found = rows.rows::<ColumnIterator<'_, '_>>().ok()?;
    let first = found.next()?.ok()?.next()?.ok()?;
    Some(first.slice?.as_slice() == [1])
}

impl Answer {
    /// All rows.
    pub(super) fn rows<R>(self) -> Result<Vec<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        const WHAT: &str = "the ledger";
        let rows = fault::expected(self.rows.into_rows_result(), &self.connection, WHAT)?;
        let rows = fault::expected(rows.rows::<R>(), &self.connection, WHAT)?;
        rows.map(|row| fault::expected(row, &self.connection, WHAT)).collect()
    }
}
