//! The transaction of a batch, and the fence in front of it.

use super::super::{lease, ledger_write};
use super::PostgresSession;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

/// When what is committed is on the server's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// When the commit is answered.
    Now,
    /// With a later commit, or when the server comes to it.
    Later,
}

impl PostgresSession {
    /// Opens the batch's transaction. Constraints are checked at the end of each statement, so
    /// that a deferred one speaks up while it is known which rows it means.
    pub(super) async fn open_transaction(&mut self) -> Result<()> {
        self.execute(if self.dry_run {
            "savepoint dbferry_batch; set constraints all immediate"
        } else {
            "begin isolation level read committed; set constraints all immediate"
        })
        .await
    }

    pub(super) async fn close_transaction(&mut self) -> Result<()> {
        self.execute(if self.dry_run {
            "release savepoint dbferry_batch"
        } else {
            "commit"
        })
        .await
    }

    /// Commits without waiting until that is on the disk, where the server's setting is the one that does
    /// wait for just that. Whatever else it may be set to was set for a reason: it stays.
    pub(super) async fn close_transaction_soon(&mut self) -> Result<()> {
        if self.dry_run {
            return self.close_transaction().await;
        }
        self.execute(
            "select pg_catalog.set_config('synchronous_commit', 'off', true) \
                 where pg_catalog.current_setting('synchronous_commit') in ('on', 'local'); commit",
        )
        .await
    }

    pub(super) async fn undo_transaction(&mut self) -> Result<()> {
        self.batch = None;
        self.execute(if self.dry_run {
            "rollback to savepoint dbferry_batch; release savepoint dbferry_batch"
        } else {
            "rollback"
        })
        .await
    }

    /// Gives up the transaction because of `error`, which stays the one that is told.
    pub(super) async fn give_up(&mut self, error: Error) -> Error {
        if error.kind() != ErrorKind::Lost
            && let Err(second) = self.undo_transaction().await
        {
            tracing::debug!(error = %second, "rolling back failed; closing the connection will");
        }
        error
    }

    /// The checkpoint under its row lock, after the fence: neither the lease nor the checkpoint
    /// may be of a later epoch than ours.
    pub(super) async fn locked(&mut self, stream: &str, split: i32) -> Result<Option<Checkpoint>> {
        let (found, lease) = ledger_write::lock(&mut self.connection, &self.project, stream, split).await?;
        let later = found.as_ref().is_some_and(|checkpoint| checkpoint.epoch > self.epoch);
        if lease == Some(self.epoch) && !later {
            return Ok(found);
        }
        Err(lease::taken_over(&self.project))
    }
}
