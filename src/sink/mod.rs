//! Sinks: where rows go, together with the ledger that proves it.
//!
//! A sink knows no source and no mapping. What it promises is exactly-once in effect: the rows
//! of a batch, its checkpoint, its ledger entry and its rejects become durable together or not
//! at all (Invariant 1), and a batch that was already committed is never applied again
//! (Invariants 2 and 3).

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::config::connection::{Connection, ConnectionKind};
use crate::data::backfill::{NextRows, RowRange, Strain};
use crate::data::counts::Written;
use crate::data::keyed::form::KeyFacts;
use crate::data::keyed::read::KeyRead;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::StreamTarget;
use crate::data::table::{Table, TableName};
use crate::ledger::deferred::{Deferral, Deferred};
use crate::ledger::undo::{ChangedSince, UndoStep, Undoable, Undone};
use crate::ledger::{
    BackupNote, BatchEntry, Checkpoint, Claim, Deletion, Removal, RunRecord, StoredBatch, StoredReject, Suspended,
};
use crate::{Error, ErrorKind, Result};

mod encode;
mod form;
pub mod keys;
mod postgres;
mod redis;
mod rehearsal;
mod scylla;
mod sqlite;

pub use encode::{Encode, Encoded};

/// Rows of keys that are read back.
pub type KeyRows = mpsc::Receiver<Result<RecordBatch>>;

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
    pub wait: Duration,
}

/// The writing end: catalog and ledger, read without a lease.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Names of all tables of the application, for introspection and for "did you mean": neither the
    /// ledger nor [`crate::data::table::MIGRATIONS_TABLE`] is among them.
    async fn tables(&self) -> Result<Vec<TableName>>;

    /// Shape of a table; `None` where there is none. Tables that lose rows on a crash or are not
    /// the target's own (unlogged, foreign) are an error.
    async fn table(&self, name: &TableName) -> Result<Option<Table>>;

    /// Columns by which rows of a table lie together in one place, which is not to grow without
    /// bound; `None` where there is no such thing.
    async fn partition_key(&self, name: &TableName) -> Result<Option<Vec<String>>> {
        let _ = name;
        Ok(None)
    }

    /// Exact number of rows in a table.
    async fn count(&self, name: &TableName) -> Result<u64>;

    /// Checkpoints of a project's streams; empty where dbferry has never written. Those of
    /// subjects and of changes (below 0) are left out.
    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>>;

    /// Runs of a project, newest first.
    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>>;

    /// Batches that a run has committed, by stream, split and sequence; those of subjects and of changes
    /// too.
    async fn batches(&self, project: &str, run: Uuid) -> Result<Vec<StoredBatch>>;

    /// Rejects of a project that are not resolved, by id.
    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>>;

    /// Number of rejects per stream that are not resolved.
    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>>;

    /// Foreign keys of a project that are still away, with the streams that each waits for.
    async fn suspended(&self, project: &str) -> Result<Vec<Suspended>> {
        let _ = project;
        Ok(Vec::new())
    }

    /// What would be away while the table of a stream is loaded, as it is now; `None` where nothing is
    /// ever taken away for that.
    async fn deferrable(&self, target: &StreamTarget) -> Result<Option<Deferral>> {
        let _ = target;
        Ok(None)
    }

    /// Indexes of a project that are away, in the order in which they are to be built.
    async fn deferred(&self, project: &str) -> Result<Vec<Deferred>> {
        let _ = project;
        Ok(Vec::new())
    }

    /// Whether sessions keep an undo log of streams that ask for it ([`StreamTarget::undo`]).
    fn keeps_undo_log(&self) -> bool {
        false
    }

    /// What a run wrote of each stream, in any order, as far as it left an undo log or batches in the
    /// ledger; nothing where it wrote nothing here.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where this kind of target keeps no undo log.
    async fn undoable(&self, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
        let _ = (project, run);
        Err(keeps_no_undo_log())
    }

    /// Keys of the next rows of a table, in order, without locking any.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where rows are not changed where they are.
    async fn next_keys(&self, table: &TableName, range: &RowRange) -> Result<NextRows> {
        let _ = (table, range);
        Err(not_in_place())
    }

    /// How the database bears what is asked of it, and who waits for locks on this table.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where rows are not changed where they are.
    async fn strain(&self, table: &TableName) -> Result<Strain> {
        let _ = table;
        Err(not_in_place())
    }

    /// Takes the lease for a project on a new connection, creating the ledger where it is
    /// missing, and records the run (in a dry run inside its transaction).
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] naming the holder (run, host, process, since when) when another run
    /// has it.
    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>>;

    /// Most sessions of one run that may write at once; 1 where the database has one writer.
    fn sessions_max(&self) -> usize;

    /// One more writing connection of a run that holds the lease with this epoch. It writes only
    /// as long as the lease is of that epoch, and no other run is given the lease while it lives.
    /// Never called in a dry run.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when the lease is another's by now; [`ErrorKind::Internal`] where
    /// [`Sink::sessions_max`] is 1.
    async fn join(&self, lease: &LeaseRequest, epoch: i64) -> Result<Box<dyn Session>>;

    /// Removes the keys of a project's rehearsal, with its ledger: those that begin with the
    /// connection's prefix and that dbferry wrote. Returns how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where there is no prefix, or the target is no store of keys.
    async fn clean(&self, project: &str) -> Result<u64> {
        Err(Error::new(
            ErrorKind::Usage,
            format!("nothing of project `{project}` was removed: only keys of a rehearsal, under a prefix, can be"),
        ))
    }

    /// Notes in the ledger which backup was made before a run; [`Self::acquire`] was called for it.
    /// Targets that cannot be backed up note none.
    async fn note_backup(&self, project: &str, note: &BackupNote) -> Result<()> {
        let _ = (project, note);
        Ok(())
    }

    /// Backups that were made before runs of a project, in any order.
    async fn backups(&self, project: &str) -> Result<Vec<BackupNote>> {
        let _ = project;
        Ok(Vec::new())
    }

    /// Its keys as they are, for backups; `None` where the target is no store of keys.
    fn key_store(&self) -> Option<&dyn keys::KeyStore> {
        None
    }

    /// Version of a store of keys, where it tells one; a database is asked as a source.
    async fn version(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What the server tells of itself, to whom keys are read back.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the target is no store of keys.
    async fn key_facts(&self) -> Result<KeyFacts> {
        Err(no_keys())
    }

    /// Reads keys back, with commands that change nothing: rows in the columns of the request's
    /// form, in any order, each once. An `Err` in the channel ends the reading; dropping the
    /// channel, too.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the target is no store of keys.
    async fn read_keys(&self, request: KeyRead) -> Result<KeyRows> {
        let _ = request;
        Err(no_keys())
    }
}

/// How much of what a split has committed is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Everything.
    All,
    /// Everything before the last batch.
    Before,
    /// No more than was known before.
    Unknown,
}

/// One writing connection that holds the lease. Dropping it gives the lease back; what was not
/// committed is gone.
///
/// Order of calls, by the pipeline alone:
/// `open_stream`, then `suspend` where the stream has keys for it and `defer` where its table is empty, `encoder`, then per batch `begin`,
/// any number of `claim`, `write` (or `write_encoded`) and `reject`, then `commit`, `commit_soon` or `rollback`; after the last batch
/// `build` for every index that is `deferred`, and `finish_stream`. When all streams are complete, `restore` for every key that is `suspended`;
/// where that finds orphans, `open_stream` of a stream that writes their table, `suspend` and
/// `find_orphans`, and then batches of `claim`, `remove` and `reject`. A repair has batches of `delete` alone, or of `delete`
/// before `write`. At the very end `finish`.
///
/// What is about foreign keys and sequences does nothing where the target has none.
///
/// An error of kind [`ErrorKind::Lost`] from any of them makes the session useless: drop it,
/// acquire a new one, and believe only the checkpoint that `open_stream` then returns
/// (Invariant 12), for the outcome of an interrupted `commit` is unknown.
#[async_trait]
pub trait Session: Send {
    /// Prepares a split of a stream (0 where it is not split) and returns its checkpoint, read
    /// under its row lock; `None` where it never began. `restart` forgets the stream's old
    /// checkpoints, claims and open rejects first (durably with the first batch).
    async fn open_stream(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>>;

    /// Cuts a stream into splits: in one transaction its old checkpoints, claims and open rejects
    /// are forgotten, and these checkpoints (sequence 0, each with its range) are written.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] when the lease is another's by now.
    async fn cut_stream(&mut self, splits: &[Checkpoint]) -> Result<()>;

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
    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, Key)>>;

    /// Writes rows: all of them or, on any error, none, with the transaction still usable for
    /// [`ErrorKind::Refused`]. The returned figures are the server's own; they add up to the
    /// rows given, or it is an error (a trigger that drops rows is [`ErrorKind::Refused`]).
    async fn write(&mut self, rows: &RecordBatch) -> Result<Written>;

    /// What makes rows of the open stream ready to be sent before their batch has begun, where there
    /// is such a thing. `direct` as for [`Session::begin`]. Asked for once before the first batch.
    async fn encoder(&mut self, direct: bool) -> Result<Option<Arc<dyn Encode>>> {
        let _ = direct;
        Ok(None)
    }

    /// As [`Session::write`], with what [`Session::encoder`] has made of these very rows. Where that
    /// does not hold any more, the rows themselves are written.
    async fn write_encoded(&mut self, rows: &RecordBatch, encoded: Encoded) -> Result<Written> {
        drop(encoded);
        self.write(rows).await
    }

    /// Stores rejects in the batch's transaction.
    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()>;

    /// Marks stored rejects as resolved (they were moved, or recorded anew) in the batch's
    /// transaction.
    async fn resolve(&mut self, ids: &[i64]) -> Result<()>;

    /// Marks as resolved the open rejects of the open stream whose source rows have these keys,
    /// in the batch's transaction; returns how many there were.
    async fn resolve_keys(&mut self, keys: &[Key]) -> Result<u64>;

    /// Number of these rows whose keys are in the open stream's table, as the batch sees it. Not
    /// for [`crate::data::stream::OnConflict::Error`], whose key may be anything.
    async fn present(&mut self, rows: &RecordBatch) -> Result<u64>;

    /// Writes checkpoint and ledger entry and commits. A batch of a subject or of changes (split
    /// below 0) also takes back what the checkpoints of its stream say
    /// of an empty target: rows are in it now that the stream has not moved.
    /// Durable when it returns `Ok`.
    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()>;

    /// As [`Session::commit`], of a batch that others follow: it may be on its way still, or a crash of the server may take it back
    /// together with all that was committed after it, until a later batch of this session is committed
    /// durably, or [`Session::flush`]. Whatever a crash leaves is what was committed up to some batch. Returns
    /// how much is durable all the same. That the batch has failed, later calls may tell.
    async fn commit_soon(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<Durable> {
        self.commit(checkpoint, entry).await.map(|()| Durable::All)
    }

    /// Outside of a batch: makes durable what the open split has committed, by whichever session.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Gives up the batch.
    async fn rollback(&mut self) -> Result<()>;

    /// After the last batch of a stream: sets sequences past the highest value (not in a dry
    /// run), and whatever else the table needs. Safe to call again.
    async fn finish_stream(&mut self) -> Result<()> {
        Ok(())
    }

    /// Exact number of rows in the open stream's table, as this session sees it. Of keys: how many
    /// fit the pattern; of those that gather rows, how many they hold together.
    async fn count(&mut self) -> Result<u64>;

    /// Takes foreign keys away and records them, in one transaction, so that no crash can lose
    /// them. They are of the open stream's table, or of tables whose rows refer to it. A key that
    /// is away already stays away; one that is gone without a record was taken by somebody else,
    /// and is none of ours. Called outside of a batch, once before the splits of a stream.
    ///
    /// Where keys belong to the connection (SQLite), those of the open stream are off for this
    /// session until another stream is opened.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorised`] where the role may not; [`ErrorKind::Busy`] where another
    /// project has taken it away; [`ErrorKind::Checkpoint`] when the lease is another's by now.
    async fn suspend(&mut self, keys: &[Suspended]) -> Result<()> {
        let _ = keys;
        Ok(())
    }

    /// Keys of the project that are away, of earlier runs too, as this session sees them.
    async fn suspended(&mut self) -> Result<Vec<Suspended>> {
        Ok(Vec::new())
    }

    /// Puts a key back as it was and forgets its record, in one transaction. `false`, and nothing
    /// is changed, where rows refer to nothing. (A key that was not validated is not looked at.)
    async fn restore(&mut self, key: &Suspended) -> Result<bool> {
        let _ = key;
        Ok(true)
    }

    /// Takes the indexes and keys of the open stream's table away and records them, in one
    /// transaction, so that no crash can lose them, if the table is empty and the role may; tells what
    /// is away, or why nothing is. Foreign keys are among those `suspended` then. A rehearsal takes
    /// nothing away. Called outside of a batch, once before the splits of a stream.
    ///
    /// From then on the stream is only to be opened with [`RowOptions::deferred`], and only written
    /// `direct`; opened without it, `open_stream` builds what is away first.
    ///
    /// [`RowOptions::deferred`]: crate::data::stream::RowOptions::deferred
    async fn defer(&mut self, target: &StreamTarget) -> Result<Deferral> {
        let _ = target;
        Ok(Deferral::default())
    }

    /// Indexes of the project that are away, of earlier runs too, in the order in which they are to be
    /// built; none in a rehearsal, which builds nothing.
    async fn deferred(&mut self) -> Result<Vec<Deferred>> {
        Ok(Vec::new())
    }

    /// Builds an index as it was and forgets its record, in one transaction.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] where rows are in its way.
    async fn build(&mut self, index: &Deferred) -> Result<()> {
        let _ = index;
        Ok(())
    }

    /// Makes every batch from here on short in the eyes of others: nothing waits longer than this for a
    /// lock, and where we fall silent the server gives up the batch.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where rows are not changed where they are.
    async fn keep_short(&mut self, lock_wait: Duration) -> Result<()> {
        let _ = lock_wait;
        Err(not_in_place())
    }

    /// Within a batch: locks the next rows of the open stream's table, so that nobody changes them
    /// until the batch has ended, and returns their keys in order.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where a lock was not to be had in time, [`ErrorKind::Unreadable`] where a
    /// condition fails on some row; the batch is to be given up then.
    async fn lock_next(&mut self, range: &RowRange) -> Result<NextRows> {
        let _ = range;
        Err(not_in_place())
    }

    /// Finds the rows of the open stream's table that refer to nothing by a key which is away;
    /// where it refers to its own table, also those that refer to such rows by it. Returns their
    /// number; they are kept in the database, not here.
    async fn find_orphans(&mut self, key: &Suspended) -> Result<u64> {
        let _ = key;
        Ok(0)
    }

    /// Keys of the source rows that have claimed the keys of the rows which `find_orphans` has
    /// found, in any order; those of rows without a claim, or that cannot be told, are left out.
    async fn orphan_claimants(&mut self) -> Result<Vec<Key>> {
        Ok(Vec::new())
    }

    /// Within a batch: deletes those of the rows (in the form of [`Session::write`]) that
    /// `find_orphans` has found, all of them or none.
    async fn remove(&mut self, rows: &RecordBatch) -> Result<Removal> {
        let _ = rows;
        Ok(Removal::Removed(Vec::new()))
    }

    /// Within a batch: deletes the rows of the open stream's table that have these keys, but for
    /// those that other rows refer to, whatever the foreign key would do with these; rows that are
    /// gone are no error. `keys` are the columns of the key, in its order. Of keys: deletes them, or
    /// their members; what is written of them in the same batch after that is new.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where the target refuses it otherwise, by a trigger; the batch is to be
    /// given up then.
    async fn delete(&mut self, keys: &RecordBatch) -> Result<Deletion>;

    /// What taking the run back would do to the open stream as it stands now, and what is in the way:
    /// rows that are not as the run left them, with at most `keys_max` of their keys, and rows of
    /// other tables that refer to those which it inserted. With `only` it is about the rows with these
    /// keys (in the form of [`Session::delete`]) alone. Outside of a batch; changes nothing.
    async fn changed_since(&mut self, run: Uuid, only: Option<&RecordBatch>, keys_max: usize) -> Result<ChangedSince> {
        let _ = (run, only, keys_max);
        Err(keeps_no_undo_log())
    }

    /// Within a batch: takes back some rows of the open stream that the run wrote, those first that
    /// were written last where that matters, and removes what the undo log holds of them, all in the
    /// batch's transaction. `Undone` with no rows and no more: nothing is left. With `only` it is about the rows with
    /// these keys alone, all of them at once. A stream is opened for it under
    /// [`crate::ledger::undo::UNDO_SPLIT`]; from its first batch without `only` on,
    /// [`Session::open_stream`] refuses the stream under any other split until it is finished.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where the target refuses it, where rows were changed since and
    /// `step.winner` does not say who wins, or where other rows refer to one that is to be removed;
    /// the batch is to be given up then.
    async fn undo(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        let _ = (step, only);
        Err(keeps_no_undo_log())
    }

    /// Within a batch, once nothing is left to take back of the open stream: its checkpoints, key claims
    /// and rejects become what they were before the run, and the rest of its undo log is removed, so
    /// that the stream can be moved again. What [`Undoable`] says of it stays, as complete.
    async fn undo_finished(&mut self, run: Uuid) -> Result<()> {
        let _ = run;
        Err(keeps_no_undo_log())
    }

    /// Outside of a batch: removes the undo logs that a run left here, of all streams. It can not be
    /// taken back any more then. Returns how many streams had one.
    async fn forget_undo(&mut self, run: Uuid) -> Result<u64> {
        let _ = run;
        Err(keeps_no_undo_log())
    }

    /// Outside of a batch: records that another run of the project was taken back, as its status
    /// ([`crate::ledger::undo::ROLLED_BACK`]).
    async fn rolled_back(&mut self, run: Uuid) -> Result<()> {
        let _ = run;
        Err(keeps_no_undo_log())
    }

    /// Records how the run ended.
    async fn finish(&mut self, status: &str) -> Result<()>;

    /// Lease epoch of this session.
    fn epoch(&self) -> i64;
}

fn keeps_no_undo_log() -> Error {
    Error::new(
        ErrorKind::Usage,
        "this kind of target keeps no undo log, so that no run can be taken back",
    )
    .hint("restore a backup instead: `dbferry restore FOLDER`")
}

fn not_in_place() -> Error {
    Error::new(
        ErrorKind::Usage,
        "rows of this kind of target are not changed where they are: a backfill needs Postgres",
    )
}

fn no_keys() -> Error {
    Error::new(ErrorKind::Internal, "a target of tables was asked for its keys")
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
            url,
            create_database,
            new_database,
        } => Ok(Box::new(
            postgres::PostgresSink::open(&connection.name, url, create_database.then_some(new_database)).await?,
        )),
        ConnectionKind::Pocketbase { .. } | ConnectionKind::Cosmos(_) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "connection `{}` is a {} database, which is only ever read",
                connection.name,
                connection.kind.title()
            ),
        )
        .hint("targets are of kind \"postgres\", \"sqlite\", \"redis\" or \"scylla\"")),
        ConnectionKind::Scylla(cluster) => Ok(Box::new(scylla::ScyllaSink::open(&connection.name, cluster).await?)),
        ConnectionKind::Redis(server) => Ok(Box::new(redis::RedisSink::open(&connection.name, server).await?)),
    }
}
