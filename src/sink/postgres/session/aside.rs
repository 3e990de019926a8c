//! What a session does aside from batches, each in a transaction of its own: cutting a stream into
//! splits, taking foreign keys away and putting them back, finding orphans.

use arrow::record_batch::RecordBatch;

use super::super::{claimant, delete, foreign_key, ledger_write, orphan, undo};
use super::PostgresSession;
use crate::data::position::Key;
use crate::ledger::{Checkpoint, Deletion, Removal, Suspended};
use crate::{Error, ErrorKind, Result};

pub(super) fn no_stream() -> Error {
    Error::new(ErrorKind::Internal, "no stream is open")
}

impl PostgresSession {
    /// Writes the checkpoints that a stream is cut into.
    pub(super) async fn cut(&mut self, splits: &[Checkpoint]) -> Result<()> {
        let Some(first) = splits.first() else { return Ok(()) };
        self.open_transaction().await?;
        let written = async {
            self.locked(&first.stream, first.split).await?;
            if self.target.as_ref().is_some_and(|target| target.undo.is_some()) {
                undo::save_forgotten(&mut self.connection, &self.project, &first.stream, self.run).await?;
            }
            ledger_write::forget(&mut self.connection, &self.project, &first.stream).await?;
            for checkpoint in splits {
                ledger_write::put(&mut self.connection, checkpoint).await?;
            }
            Ok(())
        };
        match written.await {
            Ok(()) => self.close_transaction().await,
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Takes keys away in a transaction of its own.
    pub(super) async fn take_away(&mut self, keys: &[Suspended]) -> Result<()> {
        self.open_transaction().await?;
        let taken = async {
            self.fence().await?;
            let (project, run) = (self.project.as_str(), self.run);
            foreign_key::suspend(&mut self.connection, &foreign_key::Taker { project, run }, keys).await
        };
        match taken.await {
            Ok(()) => self.close_transaction().await,
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Puts a key back in a transaction of its own.
    pub(super) async fn put_back(&mut self, key: &Suspended) -> Result<bool> {
        self.open_transaction().await?;
        let put = async {
            self.fence().await?;
            foreign_key::restore(&mut self.connection, &self.project, key).await
        };
        match put.await {
            Ok(true) => self.close_transaction().await.map(|()| true),
            Ok(false) => self.undo_transaction().await.map(|()| false),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// The lease is still ours.
    pub(super) async fn fence(&mut self) -> Result<()> {
        self.locked("", 0).await.map(drop)
    }

    /// Finds the orphans of the open stream's table.
    pub(super) async fn look_for_orphans(&mut self, key: &Suspended) -> Result<u64> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        orphan::find(&mut self.connection, target, key).await
    }

    /// The source rows that they came from.
    pub(super) async fn look_for_claimants(&mut self) -> Result<Vec<Key>> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        claimant::claimants(&mut self.connection, &self.project, target).await
    }

    /// Deletes rows by their keys, within a batch.
    pub(super) async fn delete_rows(&mut self, keys: &RecordBatch) -> Result<Deletion> {
        let (connection, target, _, buffer) = self.opened()?;
        delete::delete(connection, target, keys, buffer).await
    }

    /// Takes those of the rows out that are orphans, within a batch.
    pub(super) async fn take_out(&mut self, rows: &RecordBatch) -> Result<Removal> {
        let (connection, target, _, buffer) = self.opened()?;
        orphan::remove(connection, target, rows, buffer).await
    }
}
