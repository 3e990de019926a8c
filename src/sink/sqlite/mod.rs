//! SQLite sink: a file of the user's as target, with the ledger in tables `dbferry_*` beside the
//! user's own.
//!
//! One connection writes, in a transaction for each batch, synchronously to the disk
//! (Invariants 1 and 17). A missing file is created when it is first written to, so that looking
//! at a project leaves nothing behind. Schemas other than `main` do not exist here.
//!
//! What SQLite has no type for is stored as text in forms that its own functions read (`text.rs`,
//! `declared.rs`); what it would change on the way in is refused (`cells.rs`).

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::Connection;
use uuid::Uuid;

use super::{LeaseRequest, Session, Sink};
use crate::data::table::{Table, TableName};
use crate::ledger::undo::Undoable;
use crate::ledger::{BackupNote, Checkpoint, RunRecord, StoredBatch, StoredReject, Suspended};
use crate::{Error, ErrorKind, Result};
use connection::blocking;
use session::{Identity, SqliteSession};

mod backup_note;
mod catalog;
mod cells;
mod connection;
mod declared;
mod fault;
mod foreign_key;
mod lease;
mod ledger_read;
mod ledger_table;
mod ledger_write;
mod orphan;
mod parent;
mod session;
mod statement;
mod undo;
mod writer;

/// SQLite target.
pub(super) struct SqliteSink {
    name: String,
    path: PathBuf,
    /// The file may be created.
    create: bool,
}

impl SqliteSink {
    /// Opens the file at `path`. With `create` it may be missing: it is then an empty database
    /// until something is written.
    #[expect(clippy::unused_async, reason = "a sink is opened like any other")]
    pub(super) async fn open(name: &str, path: &Path, create: bool) -> Result<Self> {
        let sink = Self {
            name: name.to_owned(),
            // An absolute path is never taken for a URI or for the name of a database in memory.
            path: std::path::absolute(path).map_err(|error| connection::io(&error, &format!("opening connection `{name}`")))?,
            create,
        };
        if blocking(|| sink.reader())?.is_none() && !create {
            return Err(sink.missing());
        }
        Ok(sink)
    }

    fn missing(&self) -> Error {
        Error::new(
            ErrorKind::Missing,
            format!(
                "connection `{}`: there is no database file {}",
                self.name,
                self.path.display()
            ),
        )
        .hint("check the path, or set `create_database = true` on the connection")
    }

    /// A connection to read with; `None` where there is no file.
    fn reader(&self) -> Result<Option<Connection>> {
        self.there()?.then(|| connection::reader(&self.name, &self.path)).transpose()
    }

    fn there(&self) -> Result<bool> {
        self.path
            .try_exists()
            .map_err(|error| connection::io(&error, &format!("opening connection `{}`", self.name)))
    }

    /// Reads with a connection of its own; a missing file holds nothing.
    fn read<T: Default>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        blocking(|| match self.reader()? {
            Some(connection) => work(&connection),
            None => Ok(T::default()),
        })
    }

    /// Reads the ledger, if there is one.
    fn ledger<T: Default>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read(|connection| {
            if ledger_table::exists(connection)? {
                work(connection)
            } else {
                Ok(T::default())
            }
        })
    }

    fn failed(&self, error: &rusqlite::Error, doing: &str) -> Error {
        fault::classify(error, &format!("{doing} in connection `{}`", self.name))
    }

    /// Opens the file to write, and creates it where it is missing. A dry run changes nothing,
    /// not even how the file keeps its journal.
    fn writer(&self, dry_run: bool) -> Result<(Connection, String)> {
        if !self.there()? {
            if dry_run {
                return Err(Error::new(
                    ErrorKind::Missing,
                    format!(
                        "connection `{}`: the database file does not exist yet, and a rehearsal creates none",
                        self.name
                    ),
                )
                .hint("create it with `dbferry schema apply`"));
            }
            if !self.create {
                return Err(self.missing());
            }
            connection::create(&self.name, &self.path)?;
        }
        let connection = connection::writer(&self.name, &self.path)?;
        let now = connection
            .query_row("select strftime('%Y-%m-%dT%H:%M:%SZ', 'now')", [], |row| row.get(0))
            .map_err(|error| self.failed(&error, "reading the clock"))?;
        Ok((connection, now))
    }

    /// Takes the lease row and records the run, durably unless it is a dry run.
    fn begin(&self, connection: &Connection, lease: &LeaseRequest) -> Result<i64> {
        if !lease.dry_run {
            connection::prefer_log(&self.name, connection)?;
        }
        let run = |sql: &str| {
            connection
                .execute_batch(sql)
                .map_err(|error| self.failed(&error, "taking the lease"))
        };
        run("begin immediate")?;
        let epoch = ledger_table::create(connection)
            .and_then(|()| ledger_table::take_lease(connection, lease).map_err(|error| self.failed(&error, "taking the lease")));
        match epoch {
            Ok(epoch) if lease.dry_run => Ok(epoch),
            Ok(epoch) => run("commit").map(|()| epoch),
            Err(error) => {
                if !connection.is_autocommit() {
                    run("rollback")?;
                }
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Sink for SqliteSink {
    async fn tables(&self) -> Result<Vec<TableName>> {
        self.read(|connection| catalog::tables(connection).map_err(|error| self.failed(&error, "listing tables")))
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.read(|connection| Ok(catalog::target(connection, name, &self.name)?.map(|target| target.table)))
    }

    async fn count(&self, name: &TableName) -> Result<u64> {
        self.read(|connection| catalog::count(connection, name).map_err(|error| self.failed(&error, "counting rows")))
    }

    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>> {
        let mut found = self.ledger(|connection| ledger_read::checkpoints(connection, project, None))?;
        found.retain(|checkpoint| checkpoint.split >= 0);
        Ok(found)
    }

    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
        self.ledger(|connection| ledger_read::runs(connection, project, rows_max))
    }

    async fn note_backup(&self, project: &str, note: &BackupNote) -> Result<()> {
        blocking(|| {
            let connection = connection::writer(&self.name, &self.path)?;
            backup_note::note(&connection, project, note).map_err(|error| self.failed(&error, "noting the backup"))
        })
    }

    async fn backups(&self, project: &str) -> Result<Vec<BackupNote>> {
        self.ledger(|connection| {
            backup_note::all(connection, project).map_err(|error| self.failed(&error, "reading the noted backups"))
        })
    }

    async fn batches(&self, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
        self.ledger(|connection| ledger_read::batches(connection, project, run))
    }

    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>> {
        self.ledger(|connection| ledger_read::rejects(connection, project, stream, after_id, rows_max))
    }

    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>> {
        self.ledger(|connection| ledger_read::reject_counts(connection, project))
    }

    async fn suspended(&self, project: &str) -> Result<Vec<Suspended>> {
        self.ledger(|connection| foreign_key::suspended(connection, project))
    }

    fn keeps_undo_log(&self) -> bool {
        true
    }

    async fn undoable(&self, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
        self.ledger(|connection| undo::undoable(connection, project, run))
    }

    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>> {
        let (connection, now) = blocking(|| self.writer(lease.dry_run))?;
        let lock = lease::acquire(&self.name, &self.path, &now, lease).await?;
        let epoch = blocking(|| self.begin(&connection, lease))?;
        let identity = Identity {
            name: self.name.clone(),
            project: lease.project.clone(),
            run: lease.run,
            epoch,
            dry_run: lease.dry_run,
        };
        Ok(Box::new(SqliteSession::new(connection, identity, lock)))
    }

    /// SQLite has one writer.
    fn sessions_max(&self) -> usize {
        1
    }

    async fn join(&self, _lease: &LeaseRequest, _epoch: i64) -> Result<Box<dyn Session>> {
        Err(Error::new(
            ErrorKind::Internal,
            format!("connection `{}` has one writer, and a second one was asked for", self.name),
        ))
    }
}
