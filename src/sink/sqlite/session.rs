//! The session: one writing connection, one transaction for each batch.
//!
//! A batch begins with `begin immediate`, which takes the file's write lock, so that checkpoint
//! and lease are read under it (Invariant 12); a portion of rows is a savepoint in it. A dry run
//! is one transaction from the lease to the end, and its batches are savepoints: closing the
//! connection rolls everything back.
//!
//! `direct` writing makes no difference here: a conflict clause costs nothing where nothing
//! conflicts.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use uuid::Uuid;

use super::connection::{blocking, quote};
use super::lease::Lock;
use super::undo::{Back, Record};
use super::writer::Writer;
use super::{catalog, fault, foreign_key, ledger_read, ledger_table, ledger_write, orphan};
use crate::data::counts::Written;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::{StreamTarget, Triggers};
use crate::data::table::TableName;
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undone};
use crate::ledger::{BatchEntry, Checkpoint, Claim, Deletion, Removal, Suspended, check_follows};
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

mod aside;
mod taken_back;
mod transaction;

/// What a session is from its beginning.
pub(super) struct Identity {
    /// Connection name.
    pub(super) name: String,
    /// Project.
    pub(super) project: String,
    /// Run.
    pub(super) run: Uuid,
    /// Lease epoch.
    pub(super) epoch: i64,
    /// Everything is rolled back at the end.
    pub(super) dry_run: bool,
}

/// A writing connection with the lease. The connection is closed before the lock is given back.
pub(super) struct SqliteSession {
    connection: Connection,
    identity: Identity,
    stream: Option<OpenStream>,
    /// A batch was begun and not yet committed or given up.
    in_batch: bool,
    _lock: Lock,
}

struct OpenStream {
    name: String,
    table: TableName,
    key: Vec<String>,
    writer: Writer,
    split: i32,
    /// The first batch forgets what earlier runs left.
    restart: bool,
    /// The run's undo log.
    log: Option<Record>,
    back: Back,
}

impl SqliteSession {
    pub(super) fn new(connection: Connection, identity: Identity, lock: Lock) -> Self {
        Self {
            connection,
            identity,
            stream: None,
            in_batch: false,
            _lock: lock,
        }
    }

    fn stream(&self) -> Result<&OpenStream> {
        self.stream
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "no stream is open"))
    }

    /// The stream, within a batch. SQLite ends a transaction by itself when it has no room left,
    /// and what is written after that would commit at once.
    fn batch(&self) -> Result<&OpenStream> {
        if self.in_batch && !self.connection.is_autocommit() {
            return self.stream();
        }
        Err(Error::new(
            ErrorKind::Internal,
            "no batch is open, so that nothing can be written",
        ))
    }

    fn failed(&self, error: &rusqlite::Error, doing: &str) -> Error {
        fault::classify(error, &format!("{doing} in connection `{}`", self.identity.name))
    }

    fn execute(&self, sql: &str, doing: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| self.failed(&error, doing))
    }

    /// The fence: the lease row still carries our epoch.
    fn check_epoch(&self) -> Result<()> {
        let epoch = ledger_table::lease_epoch(&self.connection, &self.identity.project)
            .map_err(|error| self.failed(&error, "reading the lease"))?;
        if epoch == Some(self.identity.epoch) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "another run took over the lease of project `{}` in connection `{}`",
                self.identity.project, self.identity.name
            ),
        )
        .hint("nothing of this batch was kept; let the other run finish, then run again"))
    }

    fn checkpoint(&self, stream: &str, split: i32) -> Result<Option<Checkpoint>> {
        let found = ledger_read::checkpoints(&self.connection, &self.identity.project, Some(stream))?;
        Ok(found.into_iter().find(|checkpoint| checkpoint.split == split))
    }

    fn open(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        // On the way back nothing happens by itself: neither cascades nor triggers.
        let undoing = split == UNDO_SPLIT;
        self.enforce(!undoing)?;
        // Triggers are compiled into the statements that fire them: this comes first.
        let fire = target.triggers == Triggers::On && !undoing;
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fire)
            .map_err(|error| self.failed(&error, "switching triggers"))?;
        let Some(shape) = catalog::target(&self.connection, &target.table, &self.identity.name)? else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("connection `{}` has no table `{}`", self.identity.name, target.table),
            ));
        };
        let mut writer = Writer::new(target, &shape)?;
        let (checkpoint, log) = self.transaction(|| {
            self.check_epoch()?;
            let log = self.begin_log(target, &shape.table, split, restart)?;
            Ok((self.checkpoint(&target.stream, split)?, log))
        })?;
        if let Some(log) = &log {
            writer.keep_log(log);
        }
        self.stream = Some(OpenStream {
            name: target.stream.clone(),
            table: shape.table.name.clone(),
            key: target.key.clone(),
            writer,
            split,
            restart,
            log,
            back: Back::default(),
        });
        Ok(checkpoint.filter(|_| !restart))
    }

    fn begin_batch(&mut self, sequence: i64) -> Result<()> {
        let stream = self.stream()?;
        if self.in_batch {
            return Err(Error::new(ErrorKind::Internal, "a batch is open already"));
        }
        self.open_transaction()?;
        let check = || {
            self.check_epoch()?;
            if stream.restart {
                ledger_write::forget(&self.connection, &self.identity.project, &stream.name)
                    .map_err(|error| self.failed(&error, "forgetting the earlier run"))?;
            }
            let found = self
                .checkpoint(&stream.name, stream.split)?
                .map_or(0, |checkpoint| checkpoint.sequence);
            check_follows(&stream.name, found, sequence)
        };
        check().map_err(|error| self.give_up(error))?;
        self.in_batch = true;
        Ok(())
    }

    fn write_portion(&self, rows: &RecordBatch) -> Result<Written> {
        let stream = self.batch()?;
        self.execute("savepoint dbferry_portion", "beginning to write")?;
        let outcome = stream.writer.write(&self.connection, rows);
        match outcome {
            Ok(written) => {
                self.execute("release dbferry_portion", "writing rows")?;
                Ok(written)
            }
            Err(error) => {
                // SQLite rolls the whole transaction back by itself when it has no room left.
                if !self.connection.is_autocommit() {
                    self.execute("rollback to dbferry_portion; release dbferry_portion", "taking rows back")?;
                }
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn open_stream(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        blocking(|| self.open(target, split, restart))
    }

    async fn cut_stream(&mut self, splits: &[Checkpoint]) -> Result<()> {
        blocking(|| self.cut(splits))
    }

    async fn is_empty(&mut self) -> Result<bool> {
        let table = quote(&self.stream()?.table.name);
        let sql = format!("select not exists (select 1 from main.{table})");
        blocking(|| self.connection.query_row(&sql, [], |row| row.get(0))).map_err(|error| self.failed(&error, "looking for rows"))
    }

    async fn begin(&mut self, sequence: i64, _direct: bool) -> Result<()> {
        blocking(|| self.begin_batch(sequence))
    }

    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
        let stream = self.batch()?;
        let whose = (self.identity.project.as_str(), stream.name.as_str());
        blocking(|| ledger_write::claim(&self.connection, whose, claims, stream.log.as_ref()))
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<Written> {
        blocking(|| self.write_portion(rows))
    }

    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
        let stream = (self.identity.project.as_str(), self.batch()?.name.as_str());
        blocking(|| ledger_write::write_rejects(&self.connection, stream, run, sequence, rejects))
            .map_err(|error| self.failed(&error, "storing rejects"))
    }

    async fn resolve(&mut self, ids: &[i64]) -> Result<()> {
        let Identity { project, run, .. } = &self.identity;
        self.batch()?;
        let resolved = blocking(|| ledger_write::resolve(&self.connection, project, *run, ids))
            .map_err(|error| self.failed(&error, "resolving rejects"))?;
        if resolved == ids.len() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!("{} rejects were to be resolved, but {resolved} of them are open", ids.len()),
        ))
    }

    async fn resolve_keys(&mut self, keys: &[Key]) -> Result<u64> {
        let Identity { project, run, .. } = &self.identity;
        let stream = (project.as_str(), self.batch()?.name.as_str());
        blocking(|| ledger_write::resolve_keys(&self.connection, stream, *run, keys))
            .map_err(|error| self.failed(&error, "resolving rejects"))
    }

    async fn present(&mut self, rows: &RecordBatch) -> Result<u64> {
        let stream = self.batch()?;
        blocking(|| stream.writer.present(&self.connection, rows))
    }

    /// A commit that fails has not happened: SQLite keeps the transaction open, and it is given up.
    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        let committed = blocking(|| self.commit_batch(checkpoint, entry));
        self.in_batch = false;
        if let (Ok(()), Some(stream)) = (&committed, &mut self.stream) {
            stream.restart = false;
        }
        committed
    }

    async fn rollback(&mut self) -> Result<()> {
        if let Some(stream) = &mut self.stream {
            // What it knows is in temporary tables, which are given up with the batch.
            stream.back = Back::default();
        }
        if std::mem::take(&mut self.in_batch) {
            return blocking(|| self.undo_transaction());
        }
        Ok(())
    }

    /// SQLite keeps its row ids past the highest value by itself, `autoincrement` too.
    async fn finish_stream(&mut self) -> Result<()> {
        Ok(())
    }

    async fn count(&mut self) -> Result<u64> {
        let table = &self.stream()?.table;
        blocking(|| catalog::count(&self.connection, table)).map_err(|error| self.failed(&error, "counting rows"))
    }

    async fn suspend(&mut self, keys: &[Suspended]) -> Result<()> {
        blocking(|| self.take_away(keys))
    }

    async fn suspended(&mut self) -> Result<Vec<Suspended>> {
        blocking(|| foreign_key::suspended(&self.connection, &self.identity.project))
    }

    async fn restore(&mut self, key: &Suspended) -> Result<bool> {
        blocking(|| self.put_back(key))
    }

    async fn find_orphans(&mut self, key: &Suspended) -> Result<u64> {
        let stream = self.stream()?;
        blocking(|| orphan::find(&self.connection, &stream.table, &stream.key, key))
    }

    async fn remove(&mut self, rows: &RecordBatch) -> Result<Removal> {
        blocking(|| self.take_out(rows))
    }

    async fn delete(&mut self, keys: &RecordBatch) -> Result<Deletion> {
        let stream = self.batch()?;
        blocking(|| stream.writer.delete_keys(&self.connection, keys))
    }

    async fn changed_since(&mut self, run: Uuid, only: Option<&RecordBatch>, keys_max: usize) -> Result<ChangedSince> {
        blocking(|| self.look_back(run, only, keys_max))
    }

    async fn undo(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        blocking(|| self.take_back(step, only))
    }

    async fn undo_finished(&mut self, run: Uuid) -> Result<()> {
        blocking(|| self.took_back(run))
    }

    async fn forget_undo(&mut self, run: Uuid) -> Result<u64> {
        blocking(|| self.forget_log(run))
    }

    async fn rolled_back(&mut self, run: Uuid) -> Result<()> {
        blocking(|| ledger_table::rolled_back(&self.connection, &self.identity.project, run))
            .map_err(|error| self.failed(&error, "recording that a run was taken back"))
    }

    async fn finish(&mut self, status: &str) -> Result<()> {
        self.rollback().await?;
        blocking(|| ledger_table::finish_run(&self.connection, self.identity.run, status))
            .map_err(|error| self.failed(&error, "recording the end of the run"))
    }

    fn epoch(&self) -> i64 {
        self.identity.epoch
    }
}
