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
use super::writer::Writer;
use super::{catalog, fault, ledger_read, ledger_table, ledger_write};
use crate::data::counts::Written;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::{StreamTarget, Triggers};
use crate::data::table::TableName;
use crate::ledger::{BatchEntry, Checkpoint, Claim};
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

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
    writer: Writer,
    /// The first batch forgets what earlier runs left.
    restart: bool,
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

    /// Opens the batch's transaction. In a dry run the outer one must still be there: SQLite
    /// rolls back by itself when the disk is full.
    fn open_transaction(&self) -> Result<()> {
        if self.identity.dry_run {
            if self.connection.is_autocommit() {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "the rehearsal's transaction is gone, and nothing of it was kept",
                ));
            }
            self.execute("savepoint dbferry_batch", "beginning a batch")
        } else {
            self.execute("begin immediate", "beginning a batch")
        }
    }

    fn close_transaction(&self) -> Result<()> {
        let sql = if self.identity.dry_run {
            "release dbferry_batch"
        } else {
            "commit"
        };
        self.execute(sql, "committing a batch")
    }

    fn undo_transaction(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            // Never begun, or rolled back by SQLite itself.
            return Ok(());
        }
        let sql = if self.identity.dry_run {
            "rollback to dbferry_batch; release dbferry_batch"
        } else {
            "rollback"
        };
        self.execute(sql, "giving up a batch")
    }

    /// Does `work` in a transaction of its own, which is given up on an error.
    fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.open_transaction()?;
        work()
            .and_then(|value| self.close_transaction().map(|()| value))
            .map_err(|error| self.give_up(error))
    }

    /// Gives up the transaction because of `error`, which stays the one that is told.
    fn give_up(&self, error: Error) -> Error {
        if let Err(second) = self.undo_transaction() {
            tracing::debug!(error = %second, "rolling back failed; closing the connection will");
        }
        error
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

    fn checkpoint(&self, stream: &str) -> Result<Option<Checkpoint>> {
        let found = ledger_read::checkpoints(&self.connection, &self.identity.project, Some(stream))?;
        Ok(found.into_iter().find(|checkpoint| checkpoint.split == 0))
    }

    fn open(&mut self, target: &StreamTarget, restart: bool) -> Result<Option<Checkpoint>> {
        // Triggers are compiled into the statements that fire them: this comes first.
        let fire = target.triggers == Triggers::On;
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fire)
            .map_err(|error| self.failed(&error, "switching triggers"))?;
        let Some(shape) = catalog::target(&self.connection, &target.table, &self.identity.name)? else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("connection `{}` has no table `{}`", self.identity.name, target.table),
            ));
        };
        let writer = Writer::new(target, &shape)?;
        let checkpoint = self.transaction(|| {
            self.check_epoch()?;
            self.checkpoint(&target.stream)
        })?;
        self.stream = Some(OpenStream {
            name: target.stream.clone(),
            table: target.table.clone(),
            writer,
            restart,
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
            let found = self.checkpoint(&stream.name)?.map_or(0, |checkpoint| checkpoint.sequence);
            if found == sequence {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "stream `{}` is at batch {found}, not at {sequence}: another run was here",
                    stream.name
                ),
            )
            .hint("run again: it goes on after the last committed batch"))
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
    async fn open_stream(&mut self, target: &StreamTarget, restart: bool) -> Result<Option<Checkpoint>> {
        blocking(|| self.open(target, restart))
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
        blocking(|| ledger_write::claim(&self.connection, &self.identity.project, &self.batch()?.name, claims))
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

    /// A commit that fails has not happened: SQLite keeps the transaction open, and it is given up.
    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        self.batch()?;
        let committed = blocking(|| {
            ledger_write::write_checkpoint(&self.connection, checkpoint)
                .and_then(|()| ledger_write::write_batch(&self.connection, &self.identity.project, entry))
                .map_err(|error| self.failed(&error, "writing the checkpoint"))
                .and_then(|()| self.close_transaction())
                .map_err(|error| self.give_up(error))
        });
        self.in_batch = false;
        if let (Ok(()), Some(stream)) = (&committed, &mut self.stream) {
            stream.restart = false;
        }
        committed
    }

    async fn rollback(&mut self) -> Result<()> {
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

    async fn finish(&mut self, status: &str) -> Result<()> {
        self.rollback().await?;
        blocking(|| ledger_table::finish_run(&self.connection, self.identity.run, status))
            .map_err(|error| self.failed(&error, "recording the end of the run"))
    }

    fn epoch(&self) -> i64 {
        self.identity.epoch
    }
}
