//! Migrations of an SQLite file, recorded in the table that sqlx's SQLite driver has.
//!
//! SQLite is called where the caller stands: nothing else goes on while a target is migrated.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::folder::{Script, ScriptFile};
use super::{Database, Record, failure};
use crate::data::table::MIGRATIONS_TABLE;
use crate::{Error, ErrorKind, Result};

/// How long another process may hold the file.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// An SQLite file.
pub(super) struct SqliteDatabase {
    name: String,
    connection: Connection,
}

/// Why a script stopped.
enum Stop {
    /// The script is wrong, at a byte of its text.
    Script(usize, String),
    /// The file is.
    Driver(rusqlite::Error),
}

impl SqliteDatabase {
    /// Opens the file, and creates it where it is missing.
    pub(super) fn create(name: &str, path: &Path) -> Result<Self> {
        let is_new = !path.exists();
        if let Some(folder) = path.parent().filter(|_| is_new) {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::new(ErrorKind::Unauthorised, format!("cannot create {}", folder.display())).because(error)
            })?;
        }
        let database = Self::open(name, path, OpenFlags::SQLITE_OPEN_CREATE)?;
        if is_new {
            // Others can read it while a run writes.
            let log = database.connection.query_row("pragma journal_mode = wal", [], |_| Ok(()));
            log.map_err(|error| database.classify(&error))?;
        }
        Ok(database)
    }

    /// Opens the file; `None` where there is none.
    pub(super) fn open_if_exists(name: &str, path: &Path) -> Result<Option<Self>> {
        if path.exists() {
            return Self::open(name, path, OpenFlags::empty()).map(Some);
        }
        Ok(None)
    }

    fn open(name: &str, path: &Path, more: OpenFlags) -> Result<Self> {
        let about = |error: &rusqlite::Error| classify(error).during(format_args!("migrating connection `{name}`"));
        // An absolute path cannot be taken for a URI.
        let path = std::path::absolute(path)
            .map_err(|error| Error::new(ErrorKind::Unreachable, format!("cannot find {}", path.display())).because(error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| about(&error))?;
        settle(&connection).map_err(|error| about(&error))?;
        Ok(Self {
            name: name.to_owned(),
            connection,
        })
    }

    fn classify(&self, error: &rusqlite::Error) -> Error {
        classify(error).during(format_args!("migrating connection `{}`", self.name))
    }

    /// Runs a file and `record`, in one transaction where the file allows it. `applied`: whether
    /// the target has to have the script already.
    fn run(
        &self,
        script: &Script,
        file: &ScriptFile,
        applied: bool,
        record: impl FnOnce(Duration) -> rusqlite::Result<usize>,
    ) -> Result<()> {
        let started = Instant::now();
        let in_transaction = !file.migration.no_tx;
        let execute = || -> Result<(), Stop> {
            if in_transaction {
                self.connection.execute_batch("begin immediate")?;
            }
            // Another process may have been faster: it holds no lock between two scripts.
            if self.is_applied(script.version)? != applied {
                return Err(Stop::Driver(rusqlite::Error::StatementChangedRows(0)));
            }
            statements(&self.connection, file.text())?;
            record(started.elapsed())?;
            if in_transaction {
                self.connection.execute_batch("commit")?;
            }
            Ok(())
        };
        let Err(stop) = execute() else { return Ok(()) };
        // A script may have ended the transaction itself.
        if !self.connection.is_autocommit() {
            self.connection
                .execute_batch("rollback")
                .map_err(|error| self.classify(&error))?;
        }
        Err(match stop {
            Stop::Script(at, what) => failure::refused(script, file, Some(at), &what),
            Stop::Driver(rusqlite::Error::StatementChangedRows(0)) => Error::new(
                ErrorKind::Busy,
                format!("another process is migrating connection `{}`", self.name),
            ),
            Stop::Driver(error) => self.classify(&error),
        })
    }

    fn is_applied(&self, version: i64) -> rusqlite::Result<bool> {
        let sql = format!("select exists (select 1 from {MIGRATIONS_TABLE} where version = ?1)");
        self.connection.query_row(&sql, [version], |row| row.get(0))
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("pragma foreign_keys = on; pragma synchronous = extra")?;
    // The first look into the file: it may be no database at all.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

/// Runs all statements of a text; what fails is known by its place.
fn statements(connection: &Connection, text: &str) -> Result<(), Stop> {
    let mut batch = Batch::new(connection, text);
    let mut at = 0;
    loop {
        let next = batch.next().map_err(|error| at_fault(text, at, error))?;
        let Some(mut statement) = next else { return Ok(()) };
        let spelt = statement.expanded_sql().unwrap_or_default();
        let start = text[at..].find(&spelt).map_or(at, |found| at + found);
        let mut rows = statement.raw_query();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(at_fault(text, start, error)),
            }
        }
        at = start + spelt.len();
    }
}

/// What is wrong with a statement at or after byte `at`, unless it is the file's fault.
fn at_fault(text: &str, at: usize, error: rusqlite::Error) -> Stop {
    let begin = at + blank(&text[at..]);
    match error {
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let piece = text.len().saturating_sub(sql.len());
            Stop::Script(piece + usize::try_from(offset).unwrap_or(0), msg)
        }
        // SQLite's texts about statements and constraints hold names. Those of other codes and
        // of what a statement computes could hold more.
        rusqlite::Error::SqliteFailure(code, Some(message)) => match code.code {
            ErrorCode::Unknown | ErrorCode::ConstraintViolation => Stop::Script(begin, message),
            _ => Stop::Driver(rusqlite::Error::SqliteFailure(code, None)),
        },
        error => Stop::Driver(error),
    }
}

/// Bytes of white space, comments and semicolons that a text begins with.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let after = if let Some(comment) = trimmed.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = trimmed.strip_prefix("/*") {
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else {
            return text.len() - trimmed.len();
        };
        rest = after;
    }
}

fn classify(error: &rusqlite::Error) -> Error {
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Busy, "the database is locked by another process"),
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, "no space is left for the database"),
        Some(ErrorCode::NotADatabase) => (ErrorKind::Unreadable, "the file is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Unreadable, "the database is damaged"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (ErrorKind::Unauthorised, "no permission to write to the file or its folder")
        }
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Lost, "reading or writing the file failed"),
        _ => (ErrorKind::Internal, "SQLite failed"),
    };
    Error::new(kind, what)
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn prepare(&mut self) -> Result<()> {
        let table = format!(
            "create table if not exists {MIGRATIONS_TABLE} (
                version bigint primary key,
                description text not null,
                installed_on timestamp not null default current_timestamp,
                success boolean not null,
                checksum blob not null,
                execution_time bigint not null
            )"
        );
        self.connection.execute_batch(&table).map_err(|error| self.classify(&error))
    }

    async fn history(&mut self) -> Result<Vec<Record>> {
        let rows = || -> rusqlite::Result<Vec<Record>> {
            let there = self
                .connection
                .query_row(
                    "select 1 from sqlite_schema where type = 'table' and name = ?1",
                    [MIGRATIONS_TABLE],
                    |_| Ok(()),
                )
                .optional()?;
            if there.is_none() {
                return Ok(Vec::new());
            }
            self.connection
                .prepare(&format!(
                    "select version, description, cast(installed_on as text), success, checksum from {MIGRATIONS_TABLE} order by version"
                ))?
                .query_map([], |row| {
                    Ok(Record {
                        version: row.get(0)?,
                        description: row.get(1)?,
                        applied_at: row.get(2)?,
                        success: row.get(3)?,
                        checksum: row.get(4)?,
                    })
                })?
                .collect()
        };
        rows().map_err(|error| self.classify(&error))
    }

    async fn apply(&mut self, script: &Script) -> Result<()> {
        self.run(script, &script.up, false, |elapsed| {
            self.connection.execute(
                &format!(
                    "insert into {MIGRATIONS_TABLE} (version, description, success, checksum, execution_time) values (?1, ?2, true, ?3, ?4)"
                ),
                (
                    script.version,
                    &script.description,
                    script.checksum(),
                    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX),
                ),
            )
        })
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile) -> Result<()> {
        self.run(script, down, true, |_| {
            self.connection.execute(
                &format!("delete from {MIGRATIONS_TABLE} where version = ?1"),
                [script.version],
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(text: &str) -> Option<(usize, String)> {
        let connection = Connection::open_in_memory().expect("SQLite");
        match statements(&connection, text) {
            Ok(()) => None,
            Err(Stop::Script(at, what)) => Some((at, what)),
            Err(Stop::Driver(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_statement_that_fails_is_found_in_its_file() {
        for (text, place, says) in [
            (
                "create table t (a);\n\n-- two\ncreate table t (b);\n",
                "t (b)",
                "already exists",
            ),
            ("create table t (a);\nselect * from t wher a;\n", "wher a", ""),
            ("select 1; /* x */ select nosuch;", "nosuch", "no such column"),
            (
                "create table t (a unique);\ninsert into t values (1);\n;\n insert into t values (1);",
                "insert into t values (1);",
                "UNIQUE",
            ),
            ("-- ü\ncreat table t (a);", "creat table", "syntax error"),
        ] {
            let (at, what) = stop(text).expect(text);
            let expected = text.rfind(place).expect(place);
            assert!(
                at == expected || place == "wher a" && at > expected,
                "{text}: {at} is not {expected}"
            );
            assert!(what.contains(says), "{what}");
        }
        assert_eq!(stop("create table t (a);\n-- nothing more\n"), None);
        assert_eq!(
            stop("pragma user_version; create trigger if not exists x after insert on y begin select 1; end;")
                .map(|stop| stop.0 > 20),
            Some(true)
        );
    }
}
