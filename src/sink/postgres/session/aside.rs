//! What a session does aside from batches, each in a transaction of its own: cutting a stream into
//! splits, taking foreign keys away and putting them back, finding orphans.

use arrow::record_batch::RecordBatch;

use super::super::{claimant, deferred_index, delete, foreign_key, ledger_write, orphan, undo};
use super::PostgresSession;
use crate::data::position::Key;
use crate::data::stream::StreamTarget;
use crate::ledger::deferred::{Deferral, Deferred};
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
            if self.dry_run
                && !deferred_index::of_table(&mut self.connection, &key.key.table)
                    .await?
                    .is_empty()
            {
                // What it rests on may be away, and stays so.
                return foreign_key::pass_over(&mut self.connection, &self.project, key)
                    .await
                    .map(|()| true);
            }
            foreign_key::restore(&mut self.connection, &self.project, key).await
        };
        match put.await {
            Ok(true) => self.close_transaction().await.map(|()| true),
            Ok(false) => self.undo_transaction().await.map(|()| false),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Takes indexes and keys away in a transaction of its own.
    pub(super) async fn take_indexes_away(&mut self, wanted: &StreamTarget) -> Result<Deferral> {
        if self.dry_run {
            return Ok(Deferral::not(
                "a rehearsal leaves them, for it would keep everybody else from the table",
            ));
        }
        self.open_transaction().await?;
        let taken = async {
            self.fence().await?;
            let load = deferred_index::Load {
                project: &self.project,
                run: self.run,
                target: wanted,
            };
            deferred_index::take_away(&mut self.connection, &load).await
        };
        match taken.await {
            Ok(taken) if taken.why_not.is_none() && !taken.is_nothing() => {
                self.close_transaction().await?;
                if let Some(target) = &mut self.target {
                    target.away.extend(taken.indexes.iter().cloned());
                }
                Ok(taken)
            }
            Ok(nothing) => self.undo_transaction().await.map(|()| nothing),
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.undo_transaction().await?;
                Ok(Deferral::not(error.to_string()))
            }
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Builds an index in a transaction of its own.
    pub(super) async fn build_again(&mut self, index: &Deferred) -> Result<()> {
        self.open_transaction().await?;
        let built = async {
            self.fence().await?;
            deferred_index::build(&mut self.connection, &self.project, index).await
        };
        match built.await {
            Ok(()) => self.close_transaction().await,
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// What is away of a table that is going to be written. Where it is not the load that it is away
    /// for, it is built again first.
    pub(super) async fn away_of(&mut self, wanted: &StreamTarget) -> Result<Vec<Deferred>> {
        let away = deferred_index::of_table(&mut self.connection, &wanted.table).await?;
        if away.is_empty() || wanted.options.deferred || self.dry_run {
            return Ok(away);
        }
        for index in &away {
            self.build_again(index).await?;
        }
        // What another project has taken away stays.
        deferred_index::of_table(&mut self.connection, &wanted.table).await
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
