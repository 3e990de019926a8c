//! Postgres as a target.
//!
//! Rows travel as binary COPY; rows, rejects, checkpoint and audit entry of a batch commit in
//! one transaction (Invariants 1 and 3), in schema `dbferry` of the target itself. What the
//! server says leaves this folder only as classified by [`crate::postgres::error`].

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use uuid::Uuid;

use self::backend::Backends;
use self::session::PostgresSession;
use super::{LeaseRequest, Session, Sink};
use crate::config::connection::NewDatabase;
use crate::data::backfill::{NextRows, RowRange, Strain};
use crate::data::stream::StreamTarget;
use crate::data::table::{MIGRATIONS_TABLE, Table, TableName};
use crate::ledger::deferred::{Deferral, Deferred};
use crate::ledger::undo::Undoable;
use crate::ledger::{BackupNote, Checkpoint, RunRecord, StoredBatch, StoredReject, Suspended};
use crate::postgres::catalog::{self, CatalogTable, Kind, get};
use crate::postgres::connect::{self, Address};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

mod backend;
mod backfill;
mod backup_note;
mod claimant;
mod database;
mod deferred_index;
mod delete;
mod foreign_key;
mod lease;
mod ledger_read;
mod ledger_table;
mod ledger_write;
mod look;
mod orphan;
mod sequence;
mod session;
mod strain;
mod target;
mod trigger;
mod undo;
mod write;

/// Most writing connections of one run.
const SESSIONS_MAX: usize = 32;

/// Relations that could be a target.
const WRITABLE: [&str; 2] = ["r", "p"];

/// Postgres target.
pub(super) struct PostgresSink {
    name: String,
    address: Address,
    /// For catalog and ledger; never writes. Opened again when it is found broken.
    reader: Mutex<Option<PgConnection>>,
    backends: Arc<Backends>,
}

impl PostgresSink {
    /// Connects; creates the database where it is missing and `create` says how.
    pub(super) async fn open(name: &str, url: &SecretString, create: Option<&NewDatabase>) -> Result<Self> {
        let about = |error: Error| error.during(format_args!("target `{name}`"));
        let address = Address::parse(url).map_err(about)?;
        let reader = match address.connect_if_exists().await.map_err(about)? {
            Some(reader) => reader,
            None => database::create(&address, create).await.map_err(about)?,
        };
        Ok(Self {
            name: name.to_owned(),
            address,
            reader: Mutex::new(Some(reader)),
            backends: Arc::default(),
        })
    }

    fn about(&self, error: Error) -> Error {
        error.during(format_args!("target `{}`", self.name))
    }

    /// The reading connection, which has just answered.
    async fn reader(&self) -> Result<MappedMutexGuard<'_, PgConnection>> {
        let mut reader = self.reader.lock().await;
        let usable = match reader.as_mut() {
            Some(connection) => connection.ping().await.is_ok(),
            None => false,
        };
        if !usable {
            *reader = None;
            *reader = Some(self.address.connect(None).await?);
        }
        MutexGuard::try_map(reader, Option::as_mut)
            .map_err(|_| Error::new(ErrorKind::Internal, "no connection where one was just opened"))
    }

    async fn shape(&self, name: &TableName) -> Result<Option<Table>> {
        let mut reader = self.reader().await?;
        let Some(mut found) = catalog::table(&mut reader, name).await? else {
            return Ok(None);
        };
        refuse(&found)?;
        // What is away for a load belongs to the table all the same.
        deferred_index::complete(&mut reader, &mut found).await?;
        let triggers = trigger::triggers(&mut reader, &found).await?;
        let mut notes = trigger::notes(&triggers);
        if found.guarded {
            notes.push("row level security applies to the role: a run will be refused".to_owned());
        }
        for (column, detail) in found.table.columns.iter().zip(&found.details) {
            if detail.loose && found.table.uniques.iter().any(|unique| unique.contains(&column.name)) {
                notes.push(format!(
                    "unique column `{}` takes different texts for equal (case or accents): write it in one form, such as lower(…)",
                    column.name
                ));
            }
        }
        let mut table = Table { notes, ..found.table };
        table
            .foreign_keys
            .extend(foreign_key::keys_of(&mut reader, &table.name).await?);
        Ok(Some(table))
    }

    async fn begin_session(&self, lease: &LeaseRequest) -> Result<PostgresSession> {
        let (mut connection, backend) = self.writer(lease).await?;
        lease::lock(&mut connection, lease).await?;
        PostgresSession::open(connection, backend, &self.name, lease).await
    }

    async fn join_session(&self, lease: &LeaseRequest, epoch: i64) -> Result<PostgresSession> {
        let (mut connection, backend) = self.writer(lease).await?;
        lease::join(&mut connection, lease, epoch).await?;
        Ok(PostgresSession::join(connection, backend, &self.name, lease, epoch))
    }

    /// A writing connection, and its backend.
    async fn writer(&self, lease: &LeaseRequest) -> Result<(PgConnection, backend::Held)> {
        let mut connection = self.address.connect(Some((lease.run, &lease.holder))).await?;
        let process = connect::backend(&mut connection).await.map_err(|error| classify(&error))?;
        Ok((connection, self.backends.hold(process)))
    }
}

/// Refuses what cannot be a target that keeps its rows (Invariant 17).
fn refuse(found: &CatalogTable) -> Result<()> {
    let name = &found.table.name;
    let refused = |what: &str, hint: String| Err(Error::new(ErrorKind::Mapping, format!("table `{name}` {what}")).hint(hint));
    match found.kind {
        Kind::Unlogged => refused(
            "is unlogged or temporary: it is empty after a crash, while the checkpoint says that its rows are there",
            format!("`alter table {name} set logged`, also for each of its partitions"),
        ),
        Kind::Foreign => refused(
            "is a foreign table or has one as a partition: its rows are not this database's own",
            "write to the database that holds the rows".to_owned(),
        ),
        Kind::View => refused("is a view", "write to the table behind it".to_owned()),
        Kind::Table if found.ruled => refused(
            "has a rule that rewrites inserts or updates",
            "drop the rule, or switch it off for the time of the run: `alter table … disable rule …`".to_owned(),
        ),
        Kind::Table => Ok(()),
    }
}

/// Exact number of rows of a quoted table.
async fn count(connection: &mut PgConnection, table: &str) -> Result<u64> {
    let row = connection
        .fetch_one(AssertSqlSafe(format!("select count(*) from {table}")))
        .await
        .map_err(|error| classify(&error))?;
    u64::try_from(get::<i64>(&row, 0)?).map_err(|_| Error::new(ErrorKind::Internal, "a negative number of rows"))
}

#[async_trait]
impl Sink for PostgresSink {
    async fn tables(&self) -> Result<Vec<TableName>> {
        let read = async { catalog::tables(&mut *self.reader().await?, &WRITABLE).await };
        let mut tables = read.await.map_err(|error| self.about(error))?;
        tables.retain(|table| table.name != MIGRATIONS_TABLE);
        Ok(tables)
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.shape(name).await.map_err(|error| self.about(error))
    }

    async fn count(&self, name: &TableName) -> Result<u64> {
        let read = async { count(&mut *self.reader().await?, &quote::table(name)?).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>> {
        let read = async { ledger_read::checkpoints(&mut *self.reader().await?, project).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
        let read = async { ledger_read::runs(&mut *self.reader().await?, project, rows_max).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn note_backup(&self, project: &str, note: &BackupNote) -> Result<()> {
        let noted = async { backup_note::note(&mut self.address.connect(None).await?, project, note).await };
        noted.await.map_err(|error| self.about(error))
    }

    async fn backups(&self, project: &str) -> Result<Vec<BackupNote>> {
        let read = async { backup_note::all(&mut *self.reader().await?, project).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn batches(&self, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
        let read = async { ledger_read::batches(&mut *self.reader().await?, project, run).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>> {
        let read = async { ledger_read::rejects(&mut *self.reader().await?, project, stream, after_id, rows_max).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>> {
        let read = async { ledger_read::reject_counts(&mut *self.reader().await?, project).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn suspended(&self, project: &str) -> Result<Vec<Suspended>> {
        let read = async { foreign_key::suspended(&mut *self.reader().await?, project).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn deferrable(&self, target: &StreamTarget) -> Result<Option<Deferral>> {
        let read = async { deferred_index::would_be_away(&mut *self.reader().await?, target).await };
        read.await.map(Some).map_err(|error| self.about(error))
    }

    async fn deferred(&self, project: &str) -> Result<Vec<Deferred>> {
        let read = async { deferred_index::deferred(&mut *self.reader().await?, project).await };
        read.await.map_err(|error| self.about(error))
    }

    fn keeps_undo_log(&self) -> bool {
        true
    }

    async fn undoable(&self, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
        let read = async { undo::undoable(&mut *self.reader().await?, project, run).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn next_keys(&self, table: &TableName, range: &RowRange) -> Result<NextRows> {
        let read = async { backfill::next_keys(&mut *self.reader().await?, table, range).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn strain(&self, table: &TableName) -> Result<Strain> {
        let read = async { strain::strain(&mut *self.reader().await?, table).await };
        read.await.map_err(|error| self.about(error))
    }

    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>> {
        match self.begin_session(lease).await {
            Ok(session) => Ok(Box::new(session)),
            Err(error) => Err(self.about(error)),
        }
    }

    /// What a server grants is found out by asking; this is only to keep one run from taking all.
    fn sessions_max(&self) -> usize {
        SESSIONS_MAX
    }

    async fn join(&self, lease: &LeaseRequest, epoch: i64) -> Result<Box<dyn Session>> {
        match self.join_session(lease, epoch).await {
            Ok(session) => Ok(Box::new(session)),
            Err(error) => Err(self.about(error)),
        }
    }
}
