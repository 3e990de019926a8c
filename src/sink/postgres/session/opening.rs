//! How a stream is opened.

use super::super::target::Target;
use super::PostgresSession;
use crate::Result;
use crate::data::stream::StreamTarget;
use crate::ledger::Checkpoint;

impl PostgresSession {
    /// Prepares a stream's target, and reads its checkpoint under its lock.
    pub(super) async fn open_target(&mut self, wanted: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        if let Some(staged) = self.target.take().and_then(|target| target.staged) {
            self.execute(&format!("drop table {}", staged.table)).await?;
        }
        // What a lost connection of ours left behind may still commit.
        if !self.dry_run {
            self.backend.all().end_left(&mut self.connection, self.run).await?;
        }
        let away = self.away_of(wanted).await?;
        self.opened += 1;
        let target = Target::prepare(&mut self.connection, wanted, (self.opened, away))
            .await
            .map_err(|error| error.during(format_args!("table `{}`", wanted.table)))?;
        self.open_transaction().await?;
        let (found, undo) = match self.found(wanted, split, &target).await {
            Ok(found) => found,
            Err(error) => return Err(self.give_up(error).await),
        };
        // Nothing else was written that a commit would keep.
        if undo.is_some() {
            self.close_transaction().await?;
        } else {
            self.undo_transaction().await?;
        }
        self.target = Some(Target {
            split,
            restart,
            undo,
            ..target
        });
        Ok(found.filter(|_| !restart))
    }
}
