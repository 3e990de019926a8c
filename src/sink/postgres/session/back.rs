//! What a session does for the undo log: opening it, and the way back.

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::super::target::Target;
use super::super::undo;
use super::PostgresSession;
use super::aside::no_stream;
use crate::Result;
use crate::data::stream::StreamTarget;
use crate::ledger::Checkpoint;
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undone};

impl PostgresSession {
    /// The checkpoint under its lock, and the undo log where the stream leaves one: then the transaction is
    /// to be committed.
    pub(super) async fn found(
        &mut self,
        wanted: &StreamTarget,
        split: i32,
        target: &Target,
    ) -> Result<(Option<Checkpoint>, Option<undo::Log>)> {
        let found = self.locked(&wanted.stream, split).await?;
        undo::refuse_going_back(&mut self.connection, &self.project, &wanted.stream, split).await?;
        if !wanted.undo || split == UNDO_SPLIT {
            return Ok((found, None));
        }
        let log = undo::open(&mut self.connection, (&self.project, self.run), wanted, target).await?;
        Ok((found, Some(log)))
    }

    /// Looks at what a run wrote, in a transaction that is given up.
    pub(super) async fn look_for_changes(&mut self, run: Uuid, what: (Option<&RecordBatch>, usize)) -> Result<ChangedSince> {
        self.open_transaction().await?;
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        let of = (self.project.as_str(), run);
        match undo::changed_since(&mut self.connection, of, target, what, &mut self.buffer).await {
            Ok(found) => self.undo_transaction().await.map(|()| found),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Takes some rows back, within a batch.
    pub(super) async fn step_back(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        let project = self.project.clone();
        let (connection, target, _, buffer) = self.opened()?;
        undo::back(connection, &project, target, (step, only), buffer).await
    }

    /// Ends the way back of the open stream, within a batch.
    pub(super) async fn arrive(&mut self, run: Uuid) -> Result<()> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        undo::finish(&mut self.connection, &self.project, target, run).await
    }

    /// Drops the undo logs of a run in a transaction of its own.
    pub(super) async fn forget(&mut self, run: Uuid) -> Result<u64> {
        self.open_transaction().await?;
        let forgotten = async {
            self.fence().await?;
            undo::forget(&mut self.connection, &self.project, run).await
        };
        match forgotten.await {
            Ok(logs) => self.close_transaction().await.map(|()| logs),
            Err(error) => Err(self.give_up(error).await),
        }
    }
}
