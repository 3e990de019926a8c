//! Migrations of a keyspace of ScyllaDB or Cassandra.
//!
//! CQL has no transactions that tables are made in. A file is recorded before its first statement and
//! marked as done after its last, so that one which failed between them is known; each statement is
//! sent when all nodes agree on the one before. Whoever migrates holds a lock that expires. Records and
//! lock are written on conditions, and read as such writes left them.

use std::sync::Arc;
use std::time::Instant;

use arrow::temporal_conversions::timestamp_ms_to_datetime;
use async_trait::async_trait;
use scylla::errors::DbError;
use scylla::frame::types::Consistency;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::unprepared::Statement as Sent;
use scylla::value::{CqlTimestamp, CqlValue, Row};

use self::lock::Lock;
use self::statements::Statement;
use super::folder::{Script, ScriptFile};
use super::hazard::Dialect;
use super::inventory::Inventory;
use super::state::Record;
use super::{Database, Fill, Watch, failure};
use crate::config::connection::ScyllaCluster;
use crate::cql::connect::Keyspace;
use crate::cql::fault::{Fault, expected};
use crate::cql::quote;
use crate::data::finding::Finding;
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

mod answer;
mod inventory;
mod lock;
pub(super) mod scratch;
mod statements;

pub(super) use statements::pieces;

/// Table of the records.
const RECORDS: &str = "dbferry_migration";
const WHAT: &str = "migrating";

/// A keyspace.
pub(super) struct CqlDatabase {
    keyspace: Arc<Keyspace>,
    lock: Option<Lock>,
}

impl CqlDatabase {
    /// Connects; creates the keyspace where it is missing and the connection allows it.
    pub(super) async fn create(connection: &str, cluster: &ScyllaCluster) -> Result<Self> {
        Self::of(Keyspace::open(connection, cluster).await?).await
    }

    /// Connects; `None` where there is no such keyspace.
    pub(super) async fn open_if_exists(connection: &str, cluster: &ScyllaCluster) -> Result<Option<Self>> {
        match Keyspace::open_if_exists(connection, cluster).await? {
            Some(keyspace) => Self::of(keyspace).await.map(Some),
            None => Ok(None),
        }
    }

    /// Tables that a file names without a keyspace are this one's.
    async fn of(keyspace: Keyspace) -> Result<Self> {
        let used = keyspace.session.use_keyspace(&keyspace.name, true).await;
        used.map_err(|_| {
            Error::new(
                ErrorKind::Lost,
                format!(
                    "connection `{}`: keyspace `{}` cannot be used",
                    keyspace.connection, keyspace.name
                ),
            )
        })?;
        Ok(Self {
            keyspace: Arc::new(keyspace),
            lock: None,
        })
    }

    fn busy(&self) -> Error {
        Error::new(
            ErrorKind::Busy,
            format!("another process is migrating connection `{}`", self.keyspace.connection),
        )
    }

    /// Changes the record of a version on a condition, after which it says `success`.
    async fn record(&self, version: i64, success: bool, text: &str, values: impl SerializeRow) -> Result<()> {
        if change_if(&self.keyspace, RECORDS, text, values).await? {
            return Ok(());
        }
        self.lock.as_ref().map_or(Ok(()), Lock::check)?;
        // An attempt whose answer was lost did it: nobody else changes records while the lock is held.
        let text = "SELECT success FROM @ WHERE version = ?";
        let answer = ask(&self.keyspace, RECORDS, text, (version,), Consistency::Serial).await?;
        let mut rows = expected(answer.rows::<(Option<bool>,)>(), &self.keyspace.connection, WHAT)?;
        match rows.next() {
            Some(Ok((Some(found),))) if found == success => Ok(()),
            _ => Err(self.busy()),
        }
    }

    /// Forgets the record of what is begun.
    async fn forget_begun(&self, version: i64) -> Result<()> {
        let text = "DELETE FROM @ WHERE version = ? IF success = false";
        change_if(&self.keyspace, RECORDS, text, (version,)).await.map(drop)
    }

    /// Runs the statements of a file. How many of them took effect, with the error.
    async fn run(&self, script: &Script, file: &ScriptFile) -> Result<(), (usize, Error)> {
        let statements = read(file).map_err(|error| (0, error))?;
        for (number, statement) in statements.into_iter().enumerate() {
            let failed = |error: Error| (number, error);
            self.lock.as_ref().map_or(Ok(()), Lock::check).map_err(failed)?;
            let mut sent = Sent::new(statement.text);
            sent.set_is_idempotent(false);
            if let Err(error) = self.keyspace.session.query_unpaged(sent, &[]).await {
                return Err(failed(self.outcome(script, file, statement, &Fault::of(&error))));
            }
        }
        Ok(())
    }

    /// What the server says of a statement, or what became of the connection.
    fn outcome(&self, script: &Script, file: &ScriptFile, statement: Statement<'_>, fault: &Fault<'_>) -> Error {
        match fault {
            Fault::Server(
                DbError::SyntaxError
                | DbError::Invalid
                | DbError::AlreadyExists { .. }
                | DbError::ConfigError
                | DbError::FunctionFailure { .. },
                text,
            ) => {
                let (at, told) = answer::place(statement, text);
                failure::refused(script, file, Some(at), &answer::words(statement, told))
            }
            _ => fault.at(&self.keyspace.connection, WHAT).during(&file.file.path),
        }
    }

    /// Begun and not finished: what is to be done about it.
    fn half_done(&self, script: &Script, done: usize, error: Error) -> Error {
        let forget = self.forget(script.version);
        if error.kind() == ErrorKind::Mapping {
            let before = match done {
                1 => "the statement before it is done".to_owned(),
                _ => format!("the {done} statements before it are done"),
            };
            return error.hint(format!(
                "{before}: undo that by hand, then `{forget}`, mend the file, and do it again"
            ));
        }
        let advice = error.advice().to_owned();
        error.hint(format!(
            "{advice}; migration {} is begun and not finished: undo by hand what it did, then `{forget}`",
            script.version
        ))
    }
}

/// The statements of a file, checked as far as that can be done without the server.
fn read(file: &ScriptFile) -> Result<Vec<Statement<'_>>> {
    let fault = |at: usize, what: String| {
        Error::findings(
            ErrorKind::Mapping,
            vec![Finding::error("schema::refused", Some(file.place(at)), what)],
        )
    };
    let statements = statements::split(file.text()).map_err(|unclosed| fault(unclosed.start, unclosed.what.to_owned()))?;
    let first_word = |text: &str| text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    match statements.iter().find(|statement| first_word(statement.text) == "use") {
        Some(statement) => Err(fault(
            statement.start,
            "`USE` is not for migrations: tables are the connection's keyspace's unless they are named with another".to_owned(),
        )),
        None => Ok(statements),
    }
}

/// Changes something if a condition holds; whether it did.
async fn change_if(keyspace: &Keyspace, table: &str, text: &str, values: impl SerializeRow) -> Result<bool> {
    let rows = ask(keyspace, table, text, values, Consistency::LocalQuorum).await?;
    let first = rows.rows::<Row>().ok().and_then(|mut rows| rows.next()).and_then(Result::ok);
    match first.and_then(|row| row.columns.into_iter().next()) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(applied),
        _ => Err(crate::cql::fault::unexpected(&keyspace.connection, WHAT)),
    }
}

/// Asks with `@` for the table's name.
async fn ask(
    keyspace: &Keyspace,
    table: &str,
    text: &str,
    values: impl SerializeRow,
    consistency: Consistency,
) -> Result<QueryRowsResult> {
    let text = text.replace('@', &quote::table(&keyspace.name, &TableName::new(table))?);
    let statement = keyspace.statement(&text, consistency, WHAT).await?;
    let answer = keyspace.ask(&statement, values, WHAT).await?;
    expected(answer.into_rows_result(), &keyspace.connection, WHAT)
}

/// Makes a table of dbferry's own where it is missing.
async fn make(keyspace: &Keyspace, table: &str, columns: &str) -> Result<()> {
    let name = TableName::new(table);
    if keyspace.described(&name).is_some() {
        return Ok(());
    }
    let name = quote::table(&keyspace.name, &name)?;
    keyspace
        .change(&format!("CREATE TABLE IF NOT EXISTS {name} ({columns})"), WHAT)
        .await
}

#[async_trait]
impl Database for CqlDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Cql
    }

    async fn prepare(&mut self, watch: &dyn Watch) -> Result<()> {
        if self.lock.is_none() {
            self.lock = Some(Lock::take(&self.keyspace, watch).await?);
        }
        make(
            &self.keyspace,
            RECORDS,
            "version bigint PRIMARY KEY, description text, applied_at timestamp, success boolean, checksum blob, execution_nanoseconds bigint",
        )
        .await
    }

    async fn history(&mut self) -> Result<Vec<Record>> {
        self.keyspace.refresh().await?;
        if self.keyspace.described(&TableName::new(RECORDS)).is_none() {
            return Ok(Vec::new());
        }
        let text = "SELECT version, description, applied_at, success, checksum FROM @";
        let answer = ask(&self.keyspace, RECORDS, text, (), Consistency::LocalQuorum).await?;
        let rows = expected(
            answer.rows::<(i64, Option<String>, Option<CqlTimestamp>, Option<bool>, Option<Vec<u8>>)>(),
            &self.keyspace.connection,
            WHAT,
        )?;
        let mut records = Vec::new();
        for row in rows {
            let (version, description, applied_at, success, checksum) = expected(row, &self.keyspace.connection, WHAT)?;
            let applied_at = applied_at.and_then(|at| timestamp_ms_to_datetime(at.0));
            records.push(Record {
                version,
                description: description.unwrap_or_default(),
                applied_at: applied_at
                    .map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string())
                    .unwrap_or_default(),
                success: success.unwrap_or_default(),
                checksum: checksum.unwrap_or_default(),
            });
        }
        records.sort_by_key(|record| record.version);
        Ok(records)
    }

    async fn apply(&mut self, script: &Script, _: &dyn Watch) -> Result<bool> {
        let started = Instant::now();
        let version = script.version;
        // What is wrong with the text alone leaves no trace.
        read(&script.up)?;
        let text = "INSERT INTO @ (version, description, applied_at, success, checksum) VALUES (?, ?, toTimestamp(now()), false, ?) IF NOT EXISTS";
        let values = (version, script.description.as_str(), script.checksum());
        self.record(version, false, text, values).await?;
        if let Err((done, error)) = self.run(script, &script.up).await {
            if done > 0 || error.kind() != ErrorKind::Mapping {
                return Err(self.half_done(script, done, error));
            }
            // Its first statement was refused: it is as if it had not been begun.
            self.forget_begun(version).await?;
            return Err(error.hint("nothing of it was kept: mend the file, then apply again"));
        }
        let elapsed = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let text = "UPDATE @ SET success = true, execution_nanoseconds = ? WHERE version = ? IF success = false";
        self.record(version, true, text, (elapsed, version)).await.map(|()| true)
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile, _: &dyn Watch) -> Result<bool> {
        let version = script.version;
        read(down)?;
        let text = "UPDATE @ SET success = false WHERE version = ? IF success = true";
        self.record(version, false, text, (version,)).await?;
        if let Err((done, error)) = self.run(script, down).await {
            if done > 0 || error.kind() != ErrorKind::Mapping {
                return Err(self.half_done(script, done, error));
            }
            let text = "UPDATE @ SET success = true WHERE version = ? IF success = false";
            self.record(version, true, text, (version,)).await?;
            return Err(error.hint("nothing of it was done: mend the file, then revert again"));
        }
        self.forget_begun(version).await.map(|()| true)
    }

    /// No statement asks for it: CQL knows no NOT NULL.
    async fn fill(&mut self, _: &TableName) -> Result<Fill> {
        Ok(Fill::Filled)
    }

    /// No statement asks for it: each says what it does.
    async fn is_empty(&mut self) -> Result<bool> {
        Ok(false)
    }

    async fn inventory(&mut self) -> Result<Inventory> {
        inventory::read(&self.keyspace).await
    }

    async fn release(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.release().await;
        }
    }

    fn forget(&self, version: i64) -> String {
        let name = &self.keyspace.name;
        let name = quote::ident(name).unwrap_or_else(|_| name.clone());
        format!("DELETE FROM {name}.{RECORDS} WHERE version = {version} IF EXISTS")
    }
}
