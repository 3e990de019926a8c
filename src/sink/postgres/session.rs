//! The session: one writing connection, one transaction for each batch.
//!
//! A batch begins by locking its checkpoint row and comparing epoch and sequence (Invariants 2
//! and 12); a portion of rows is a savepoint in it. A rehearsal is one transaction from lease to
//! end, its batches are savepoints, and closing the connection rolls all of it back.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::super::{Durable, LeaseRequest, Session};
use super::target::Target;
use super::{backend, backfill, deferred_index, foreign_key, lease, ledger_write, sequence, undo, write};
use crate::data::backfill::{NextRows, RowRange};
use crate::data::counts::Written;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::StreamTarget;
use crate::ledger::deferred::{Deferral, Deferred};
use crate::ledger::undo::{ChangedSince, UndoStep, Undone};
use crate::ledger::{BatchEntry, Checkpoint, Claim, Deletion, Removal, Suspended};
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

mod aside;
mod back;
mod batch;
mod opening;
mod transaction;

use aside::no_stream;
use transaction::Flush;

/// A writing connection with the lease.
pub(super) struct PostgresSession {
    connection: PgConnection,
    backend: backend::Held,
    /// It does not hold the lease, but writes under it.
    joined: bool,
    /// Connection name, for messages.
    name: String,
    project: String,
    run: Uuid,
    epoch: i64,
    dry_run: bool,
    target: Option<Target>,
    /// Streams opened so far.
    opened: u32,
    batch: Option<write::Batch>,
    /// Reused from write to write.
    buffer: Vec<u8>,
}

impl PostgresSession {
    /// Records lease and run on a connection that holds the locks.
    pub(super) async fn open(connection: PgConnection, backend: backend::Held, name: &str, lease: &LeaseRequest) -> Result<Self> {
        let mut session = Self::over(connection, backend, name, lease);
        session.execute("begin isolation level read committed").await?;
        session.epoch = lease::record(&mut session.connection, lease).await?;
        if !session.dry_run {
            session.execute("commit").await?;
            lease::lower_fence(&mut session.connection, &session.project).await?;
        }
        Ok(session)
    }

    /// One more writer of a run whose lease is of this epoch, on a connection behind the fence.
    pub(super) fn join(connection: PgConnection, backend: backend::Held, name: &str, lease: &LeaseRequest, epoch: i64) -> Self {
        Self {
            joined: true,
            epoch,
            ..Self::over(connection, backend, name, lease)
        }
    }

    fn over(connection: PgConnection, backend: backend::Held, name: &str, lease: &LeaseRequest) -> Self {
        Self {
            connection,
            backend,
            joined: false,
            name: name.to_owned(),
            project: lease.project.clone(),
            run: lease.run,
            epoch: 0,
            dry_run: lease.dry_run,
            target: None,
            opened: 0,
            batch: None,
            buffer: Vec::new(),
        }
    }

    async fn execute(&mut self, sql: &str) -> Result<()> {
        execute(&mut self.connection, sql).await
    }

    fn about(&self, error: Error) -> Error {
        match (&self.target, error.kind()) {
            // What becomes a reject speaks of its row alone.
            (_, ErrorKind::Refused) => error,
            (Some(target), _) => error.during(format_args!("target `{}`, table {}", self.name, target.table)),
            (None, _) => error.during(format_args!("target `{}`", self.name)),
        }
    }

    fn opened(&mut self) -> Result<(&mut PgConnection, &Target, &mut write::Batch, &mut Vec<u8>)> {
        match (&self.target, &mut self.batch) {
            (Some(target), Some(batch)) => Ok((&mut self.connection, target, batch, &mut self.buffer)),
            _ => Err(Error::new(ErrorKind::Internal, "rows outside of a batch")),
        }
    }
}

/// Statements of ours, without results.
pub(super) async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .map(drop)
        .map_err(|error| classify(&error))
}

#[async_trait]
impl Session for PostgresSession {
    async fn open_stream(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        self.open_target(target, split, restart)
            .await
            .map_err(|error| self.about(error))
    }

    async fn cut_stream(&mut self, splits: &[Checkpoint]) -> Result<()> {
        self.cut(splits).await.map_err(|error| self.about(error))
    }

    async fn is_empty(&mut self) -> Result<bool> {
        let table = &self.target.as_ref().ok_or_else(no_stream)?.table;
        let found = self
            .connection
            .fetch_one(AssertSqlSafe(format!("select not exists (select from {table})")))
            .await;
        found
            .map_err(|error| classify(&error))
            .and_then(|row| get(&row, 0))
            .map_err(|error| self.about(error))
    }

    async fn begin(&mut self, sequence: i64, direct: bool) -> Result<()> {
        if let Err(error) = self.open_transaction().await {
            return Err(self.about(error));
        }
        match self.begin_batch(sequence).await {
            Ok(()) => {
                self.batch = Some(write::Batch::new(direct));
                Ok(())
            }
            Err(error) => {
                let error = self.give_up(error).await;
                Err(self.about(error))
            }
        }
    }

    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        let log = target.undo.as_ref().map(undo::Log::id);
        ledger_write::claim(&mut self.connection, &self.project, (&target.stream, log), claims)
            .await
            .map_err(|error| self.about(error))
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<Written> {
        let (connection, target, batch, buffer) = self.opened()?;
        write::write(connection, target, batch, rows, buffer)
            .await
            .map_err(|error| self.about(error))
    }

    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
        let stream = &self.target.as_ref().ok_or_else(no_stream)?.stream;
        ledger_write::reject(&mut self.connection, &self.project, stream, (run, sequence), rejects)
            .await
            .map_err(|error| self.about(error))
    }

    async fn resolve(&mut self, ids: &[i64]) -> Result<()> {
        ledger_write::resolve(&mut self.connection, self.run, ids)
            .await
            .map_err(|error| self.about(error))
    }

    async fn resolve_keys(&mut self, keys: &[Key]) -> Result<u64> {
        let stream = &self.target.as_ref().ok_or_else(no_stream)?.stream;
        ledger_write::resolve_keys(&mut self.connection, &self.project, stream, self.run, keys)
            .await
            .map_err(|error| self.about(error))
    }

    async fn present(&mut self, rows: &RecordBatch) -> Result<u64> {
        let (connection, target, batch, buffer) = self.opened()?;
        write::present(connection, target, batch, rows, buffer)
            .await
            .map_err(|error| self.about(error))
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        self.end_batch(checkpoint, entry, Flush::Now).await
    }

    async fn commit_soon(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<Durable> {
        self.end_batch(checkpoint, entry, Flush::Later).await?;
        // A rehearsal keeps nothing anyway.
        Ok(if self.dry_run { Durable::All } else { Durable::Unknown })
    }

    async fn flush(&mut self) -> Result<()> {
        self.flush_commits().await.map_err(|error| self.about(error))
    }

    async fn rollback(&mut self) -> Result<()> {
        self.undo_transaction().await.map_err(|error| self.about(error))
    }

    async fn finish_stream(&mut self) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let target = self.target.as_ref().ok_or_else(no_stream)?;
        sequence::set(&mut self.connection, &target.sequences)
            .await
            .map_err(|error| self.about(error))
    }

    async fn count(&mut self) -> Result<u64> {
        let table = &self.target.as_ref().ok_or_else(no_stream)?.table;
        super::count(&mut self.connection, table)
            .await
            .map_err(|error| self.about(error))
    }

    async fn suspend(&mut self, keys: &[Suspended]) -> Result<()> {
        self.take_away(keys).await.map_err(|error| self.about(error))
    }

    async fn suspended(&mut self) -> Result<Vec<Suspended>> {
        foreign_key::suspended(&mut self.connection, &self.project)
            .await
            .map_err(|error| self.about(error))
    }

    async fn defer(&mut self, target: &StreamTarget) -> Result<Deferral> {
        self.take_indexes_away(target).await.map_err(|error| self.about(error))
    }

    async fn deferred(&mut self) -> Result<Vec<Deferred>> {
        if self.dry_run {
            // What is away stays so.
            return Ok(Vec::new());
        }
        deferred_index::deferred(&mut self.connection, &self.project)
            .await
            .map_err(|error| self.about(error))
    }

    async fn build(&mut self, index: &Deferred) -> Result<()> {
        self.build_again(index).await.map_err(|error| self.about(error))
    }

    async fn restore(&mut self, key: &Suspended) -> Result<bool> {
        self.put_back(key).await.map_err(|error| self.about(error))
    }

    async fn keep_short(&mut self, lock_wait: Duration) -> Result<()> {
        let set = backfill::keep_short(&mut self.connection, lock_wait).await;
        set.map_err(|error| self.about(error))
    }

    async fn lock_next(&mut self, range: &RowRange) -> Result<NextRows> {
        let (connection, target, ..) = self.opened()?;
        let locked = backfill::lock_next(connection, &target.table, range).await;
        locked.map_err(|error| self.about(error))
    }

    async fn find_orphans(&mut self, key: &Suspended) -> Result<u64> {
        self.look_for_orphans(key).await.map_err(|error| self.about(error))
    }

    async fn orphan_claimants(&mut self) -> Result<Vec<Key>> {
        self.look_for_claimants().await.map_err(|error| self.about(error))
    }

    async fn remove(&mut self, rows: &RecordBatch) -> Result<Removal> {
        self.take_out(rows).await.map_err(|error| self.about(error))
    }

    async fn delete(&mut self, keys: &RecordBatch) -> Result<Deletion> {
        self.delete_rows(keys).await.map_err(|error| self.about(error))
    }

    async fn changed_since(&mut self, run: Uuid, only: Option<&RecordBatch>, keys_max: usize) -> Result<ChangedSince> {
        let found = self.look_for_changes(run, (only, keys_max)).await;
        found.map_err(|error| self.about(error))
    }

    async fn undo(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        self.step_back(step, only).await.map_err(|error| self.about(error))
    }

    async fn undo_finished(&mut self, run: Uuid) -> Result<()> {
        self.arrive(run).await.map_err(|error| self.about(error))
    }

    async fn forget_undo(&mut self, run: Uuid) -> Result<u64> {
        self.forget(run).await.map_err(|error| self.about(error))
    }

    async fn rolled_back(&mut self, run: Uuid) -> Result<()> {
        lease::rolled_back(&mut self.connection, run)
            .await
            .map_err(|error| self.about(error))
    }

    async fn finish(&mut self, status: &str) -> Result<()> {
        self.target = None;
        let end = async {
            if self.joined {
                return lease::leave(&mut self.connection, &self.project).await;
            }
            if self.dry_run {
                execute(&mut self.connection, "rollback").await?;
                lease::lower_fence(&mut self.connection, &self.project).await?;
            } else {
                lease::ended(&mut self.connection, self.run, status).await?;
            }
            lease::unlock(&mut self.connection, &self.project).await
        };
        end.await.map_err(|error| self.about(error))
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }
}
