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
use super::{Database, Record, failure};
use crate::config::connection::ScyllaCluster;
use crate::cql::connect::Keyspace;
use crate::cql::fault::{Fault, expected};
use crate::cql::quote;
use crate::data::finding::Finding;
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

mod lock;
mod statements;

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
                let (at, told) = place(statement, text);
                failure::refused(script, file, Some(at), &words(statement, told))
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

/// The byte of the file that an answer is about, and the answer without that.
fn place<'a>(statement: Statement<'_>, text: &'a str) -> (usize, &'a str) {
    let told = text.strip_prefix("line ").and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, rest) = rest.split_once(' ')?;
        // Behind it the server quotes what stands around, as the caret does.
        let told = rest.split_once(" (").map_or(rest, |(told, _)| told);
        Some((line.parse().ok()?, column.parse().ok()?, told))
    });
    match told {
        Some((line, column, told)) => (statements::byte_at(statement, line, column), told),
        None => (statement.start, text),
    }
}

/// The server's words, unless they repeat a value that stands in the statement (Invariant 15).
fn words(statement: Statement<'_>, told: &str) -> String {
    let lower = told.to_lowercase();
    let is_within = |value: &&str| {
        let value = value.replace("''", "'").to_lowercase();
        lower.match_indices(value.as_str()).any(|(at, found)| {
            let joins = |c: char| c.is_alphanumeric() || c == '_';
            !lower[..at].ends_with(joins) && !lower[at + found.len()..].starts_with(joins)
        })
    };
    if statements::literals(statement.text).iter().any(is_within) {
        return "the server refuses a value of this statement".to_owned();
    }
    told.trim_end_matches('.').to_owned()
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
    async fn prepare(&mut self) -> Result<()> {
        self.lock = Some(Lock::take(&self.keyspace).await?);
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

    async fn apply(&mut self, script: &Script) -> Result<()> {
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
        self.record(version, true, text, (elapsed, version)).await
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile) -> Result<()> {
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
        self.forget_begun(version).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(text: &str, answer: &str) -> (usize, String) {
        let statement = statements::split(text).expect("statements")[0];
        let (at, told) = place(statement, answer);
        (at, words(statement, told))
    }

    #[test]
    fn an_answer_is_about_a_place_in_the_file() {
        let text = "-- first\nCREATE TABEL t (\n  id int);";
        assert_eq!(
            told(text, "line 1:7 no viable alternative at input 'TABEL' ([CREATE] TABEL...)"),
            (16, "no viable alternative at input 'TABEL'".to_owned())
        );
        assert_eq!(
            told(
                text,
                "line 2:5 mismatched input 'int' expecting K_KEY (...t (\n  id [int]...)"
            ),
            (31, "mismatched input 'int' expecting K_KEY".to_owned())
        );
        assert_eq!(
            told(text, "Undefined column name nosuch in table k.t"),
            (9, "Undefined column name nosuch in table k.t".to_owned())
        );
    }

    #[test]
    fn no_value_of_a_statement_is_repeated() {
        for (text, answer) in [
            (
                "INSERT INTO t (id) VALUES ('canary')",
                "Invalid STRING constant (canary) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES ('ca''nary', 0xCAFE)",
                "Invalid STRING constant (ca'nary) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES (0xCAFE)",
                "Invalid HEX constant (0xcafe) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES (4711)",
                "Invalid INTEGER constant (4711) for \"id\" of type text",
            ),
            (
                "INSERT INTO t 'canary'",
                "line 1:14 no viable alternative at input 'canary' (INSERT INTO [t] 'canary')",
            ),
        ] {
            assert_eq!(told(text, answer).1, "the server refuses a value of this statement");
        }
        assert_eq!(
            told("INSERT INTO t4711 (id) VALUES (4711)", "no table t4711.").1,
            "no table t4711"
        );
    }
}
