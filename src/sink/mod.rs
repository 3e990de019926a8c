//! Sinks: where rows go, together with the ledger that proves it.
//!
//! A sink knows no source and no mapping. What it promises is exactly-once in effect: the rows
//! of a batch, its checkpoint, its ledger entry and its rejects become durable together or not
//! at all (Invariant 1), and a batch that was already committed is never applied again
//! (Invariants 2 and 3).

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use uuid::Uuid;

use crate::config::connection::{Connection, ConnectionKind};
use crate::data::counts::Written;
use crate::data::reject::Reject;
use crate::data::stream::StreamTarget;
use crate::data::table::{Table, TableName};
use crate::ledger::{BatchEntry, Checkpoint, Claim, RunRecord, StoredReject};
use crate::{Error, ErrorKind, Result};

mod postgres;
mod sqlite;

/// Who wants to write.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Project; one writer at a time for each project and target.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Run.
    pub run: Uuid,
    /// Host name and process id, told to whoever is refused.
    pub holder: String,
    /// Everything is done in one transaction that is rolled back when the session is dropped, so
    /// that later batches and streams see what earlier ones would have written. Sequences are
    /// not touched (`setval` survives a rollback).
    pub dry_run: bool,
    /// How long to wait for a lease that a dead connection of this very run may still hold.
    pub wait: std::time::Duration,
}

/// The writing end: catalog and ledger, read without a lease.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Names of all tables, for "did you mean".
    async fn tables(&self) -> Result<Vec<TableName>>;

    /// Shape of a table; `None` where there is none. Tables that lose rows on a crash or are not
    /// the target's own (unlogged, foreign) are an error.
    async fn table(&self, name: &TableName) -> Result<Option<Table>>;

    /// Exact number of rows in a table.
    async fn count(&self, name: &TableName) -> Result<u64>;

    /// Checkpoints of a project; empty where dbferry has never written.
    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>>;

    /// Runs of a project, newest first.
    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>>;

    /// Rejects of a project that are not resolved, by id.
    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>>;

    /// Number of rejects per stream that are not resolved.
    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>>;

    /// Takes the lease for a project on a new connection, creating the ledger where it is
    /// missing, and records the run (in a dry run inside its transaction).
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] naming the holder (run, host, process, since when) when another run
    /// has it.
    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>>;
}

/// One writing connection that holds the lease. Dropping it gives the lease back; what was not
/// committed is gone.
///
/// Order of calls, by the pipeline alone:
/// `open_stream`, then per batch `begin`, any number of `claim`, `write` and `reject`, then
/// `commit` or `rollback`; after the last batch `finish_stream`; at the very end `finish`.
///
/// An error of kind [`ErrorKind::Lost`] from any of them makes the session useless: drop it,
/// acquire a new one, and believe only the checkpoint that `open_stream` then returns
/// (Invariant 12), for the outcome of an interrupted `commit` is unknown.
#[async_trait]
pub trait Session: Send {
    /// Prepares a stream and returns its checkpoint, read under its row lock; `None` for a
    /// stream that never began. `restart` forgets the old checkpoint, claims and open rejects
    /// first (durably with the first batch).
    async fn open_stream(&mut self, target: &StreamTarget, restart: bool) -> Result<Option<Checkpoint>>;

    /// Whether the stream's table holds no row.
    async fn is_empty(&mut self) -> Result<bool>;

    /// Begins a batch: a transaction whose first statement locks the checkpoint row and checks
    /// that its sequence is `sequence` and its epoch is ours.
    ///
    /// `direct`: no row of the stream can be in the target yet (see
    /// [`Checkpoint::target_was_empty`]); the sink may then write without looking for conflicts,
    /// and must fall back to its careful path where a key conflict shows up all the same.
    async fn begin(&mut self, sequence: i64, direct: bool) -> Result<()>;

    /// Claims target keys for source rows; returns for each claim already taken by another
    /// source row its index and that row's key. Only called where
    /// [`StreamTarget::keys_distinct`] is false.
    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, crate::data::position::Key)>>;

    /// Writes rows: all of them or, on any error, none, with the transaction still usable for
    /// [`ErrorKind::Refused`]. The returned figures are the server's own; they add up to the
    /// rows given, or it is an error (a trigger that drops rows is [`ErrorKind::Refused`]).
    async fn write(&mut self, rows: &RecordBatch) -> Result<Written>;

    /// Stores rejects in the batch's transaction.
    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()>;

    /// Marks stored rejects as resolved (they were moved, or recorded anew) in the batch's
    /// transaction.
    async fn resolve(&mut self, ids: &[i64]) -> Result<()>;

    /// Writes checkpoint and ledger entry and commits. Durable when it returns `Ok`.
    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()>;

    /// Gives up the batch.
    async fn rollback(&mut self) -> Result<()>;

    /// After the last batch of a stream: sets sequences past the highest value (not in a dry
    /// run), and whatever else the table needs. Safe to call again.
    async fn finish_stream(&mut self) -> Result<()>;

    /// Exact number of rows in the open stream's table, as this session sees it.
    async fn count(&mut self) -> Result<u64>;

    /// Records how the run ended.
    async fn finish(&mut self, status: &str) -> Result<()>;

    /// Lease epoch of this session.
    fn epoch(&self) -> i64;
}

/// Opens a sink. The only place that names the connectors. A missing SQLite file or Postgres
/// database is created where the connection says `create_database = true`.
///
/// # Errors
/// By kind: unreachable, unauthorised, missing, busy.
pub async fn open(connection: &Connection) -> Result<Box<dyn Sink>> {
    match &connection.kind {
        ConnectionKind::Sqlite { path, create_database } => Ok(Box::new(
            sqlite::SqliteSink::open(&connection.name, path, *create_database).await?,
        )),
        ConnectionKind::Postgres {
            url, create_database, ..
        } => Ok(Box::new(
            postgres::PostgresSink::open(&connection.name, url, *create_database).await?,
        )),
        ConnectionKind::Pocketbase { .. } => Err(Error::new(
            ErrorKind::Config,
            format!(
                "connection `{}` is a PocketBase database, which is only ever read",
                connection.name
            ),
        )
        .hint("targets are of kind \"postgres\" or \"sqlite\"")),
    }
}
