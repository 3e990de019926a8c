//! How a batch begins and ends.

use super::super::{ledger_write, sequence, undo};
use super::aside::no_stream;
use super::transaction::Flush;
use super::{PostgresSession, execute};
use crate::Result;
use crate::ledger::{BatchEntry, Checkpoint, check_follows};

impl PostgresSession {
    pub(super) async fn begin_batch(&mut self, sequence: i64) -> Result<()> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        let (stream, off) = (target.stream.clone(), target.firing.off.clone());
        let (split, restart) = (target.split, target.restart);
        let logs = target.undo.is_some();
        if crate::ledger::BARE {
            return if off.is_empty() { Ok(()) } else { self.execute(&off).await };
        }
        let mut found = self.locked(&stream, split).await?;
        if restart {
            if logs {
                undo::save_forgotten(&mut self.connection, &self.project, &stream, self.run).await?;
            }
            ledger_write::forget(&mut self.connection, &self.project, &stream).await?;
            found = None;
        }
        let there = found.map_or(0, |checkpoint| checkpoint.sequence);
        check_follows(&stream, there, sequence)?;
        if logs {
            self.execute(undo::LOOKUPS).await?;
        }
        if !off.is_empty() {
            self.execute(&off).await?;
        }
        Ok(())
    }

    pub(super) async fn end_batch(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry, flush: Flush) -> Result<()> {
        match self.finish_batch(checkpoint, entry, flush).await {
            Ok(()) => {
                self.batch = None;
                if let Some(target) = &mut self.target {
                    target.restart = false;
                }
                Ok(())
            }
            Err(error) => {
                let error = self.give_up(error).await;
                Err(self.about(error))
            }
        }
    }

    async fn finish_batch(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry, flush: Flush) -> Result<()> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        if !target.firing.on.is_empty() {
            execute(&mut self.connection, &target.firing.on).await?;
        }
        if !crate::ledger::BARE {
            ledger_write::advance(&mut self.connection, checkpoint, entry).await?;
        }
        if checkpoint.complete && !self.dry_run {
            // A stream that is complete is not finished again: after this commit nothing may be left.
            sequence::set(&mut self.connection, &target.sequences).await?;
        }
        match flush {
            Flush::Now => self.close_transaction().await,
            Flush::Later => self.close_transaction_soon().await,
        }
    }

    /// A commit with something to write flushes all commits before it: here it is the lock of the
    /// checkpoint.
    pub(super) async fn flush_commits(&mut self) -> Result<()> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        let (stream, split) = (target.stream.clone(), target.split);
        if self.dry_run {
            return Ok(());
        }
        self.open_transaction().await?;
        match self.locked(&stream, split).await {
            Ok(_) => self.close_transaction().await,
            Err(error) => Err(self.give_up(error).await),
        }
    }
}
