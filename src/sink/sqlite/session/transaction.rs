//! Transactions of a session: a batch's own, or a savepoint within a rehearsal's.

use super::super::{ledger_write, undo};
use super::SqliteSession;
use crate::ledger::undo::UNDO_SPLIT;
use crate::ledger::{BatchEntry, Checkpoint};
use crate::{Error, ErrorKind, Result};

impl SqliteSession {
    /// Opens the batch's transaction. In a dry run the outer one must still be there: SQLite
    /// rolls back by itself when the disk is full.
    pub(super) fn open_transaction(&self) -> Result<()> {
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

    pub(super) fn close_transaction(&self) -> Result<()> {
        let sql = if self.identity.dry_run {
            "release dbferry_batch"
        } else {
            "commit"
        };
        self.execute(sql, "committing a batch")
    }

    /// Writes checkpoint, ledger entry and the count of the undo log, and commits.
    pub(super) fn commit_batch(&self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        let log = self.batch()?.log.as_ref();
        let written = entry.counts.inserted + entry.counts.updated;
        ledger_write::write_checkpoint(&self.connection, checkpoint)
            .and_then(|()| match checkpoint.split {
                UNDO_SPLIT => Ok(()),
                ..0 => ledger_write::not_empty(&self.connection, checkpoint),
                _ => Ok(()),
            })
            .and_then(|()| ledger_write::write_batch(&self.connection, &self.identity.project, entry))
            .and_then(|()| log.map_or(Ok(()), |log| undo::add_logged(&self.connection, log, written)))
            .map_err(|error| self.failed(&error, "writing the checkpoint"))
            .and_then(|()| self.close_transaction())
            .map_err(|error| self.give_up(error))
    }

    pub(super) fn undo_transaction(&self) -> Result<()> {
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
    pub(super) fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.open_transaction()?;
        work()
            .and_then(|value| self.close_transaction().map(|()| value))
            .map_err(|error| self.give_up(error))
    }

    /// Gives up the transaction because of `error`, which stays the one that is told.
    pub(super) fn give_up(&self, error: Error) -> Error {
        if let Err(second) = self.undo_transaction() {
            tracing::debug!(error = %second, "rolling back failed; closing the connection will");
        }
        error
    }
}
