//! The session: one run's writing connection, one transaction for each batch.
//!
//! On one server a batch is MULTI/EXEC: rows, rejects, ledger entry and checkpoint happen at once,
//! if neither the lease nor the checkpoint was touched since the batch began (WATCH). EXEC does not
//! take anything back when one of its commands fails, so the checkpoint also keeps the one before,
//! and the last batch counts only when every reply was seen to be right; otherwise it is written
//! again, over what is there. Where nothing has to be looked up for its rows, the next batch is begun
//! behind the last one, before the replies to that are there. On a cluster no transaction spans the nodes: there the rows go first,
//! in commands that change nothing the second time, and the checkpoint follows when all replies
//! are right and replicas have confirmed them.
//!
//! Rows of a portion are looked up before they are written, over a second connection, so that what
//! the target refuses is known before anything is sent. Where no key of the stream was there when it
//! began, and those that are would be updated, the replies tell soon enough if one is there after all.

use std::sync::Arc;
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use uuid::Uuid;

use super::behind::{self, Last};
use super::encoder::{Ahead, Encoder};
use super::lease::{self, Held};
use super::link::Link;
use super::names::Names;
use super::server::Server;
use super::stream::{Batch, OpenStream, Rehearsed, not_open};
use super::undo::{self, Walk};
use super::{begin, commit, count, delete, forget, ledger_read, moment, present, publish, rejects};
use crate::data::counts::Written;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::StreamTarget;
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undone};
use crate::ledger::{BatchEntry, Checkpoint, Claim, Deletion};
use crate::sink::{Durable, Encode, Encoded, Session, rehearsal};
use crate::{Error, ErrorKind, Result};

/// What a session is from its beginning.
pub(super) struct Identity {
    pub(super) project: String,
    pub(super) run: Uuid,
    pub(super) epoch: i64,
    /// Nothing is written at all.
    pub(super) dry_run: bool,
}

/// A writing connection.
pub(super) struct RedisSession {
    pub(super) server: Arc<Server>,
    pub(super) names: Names,
    pub(super) identity: Identity,
    /// Transactions.
    pub(super) link: Link,
    /// Everything that is not part of one.
    pub(super) reader: Link,
    /// The lease, where this is the session that took it.
    pub(super) held: Option<Held>,
    pub(super) stream: Option<OpenStream>,
    pub(super) batch: Option<Batch>,
    /// The batch before that.
    pub(super) last: Last,
    /// The server's clock, in milliseconds since 1970, and when it was asked.
    pub(super) clock: Option<(i64, Instant)>,
    /// Keys that the server had evicted when the session began.
    pub(super) evicted: u64,
    /// Of a rehearsal.
    pub(super) rehearsed: Vec<Checkpoint>,
    /// How far the logs of a run were walked over that is taken back.
    pub(super) walk: Option<Walk>,
}

#[async_trait]
impl Session for RedisSession {
    async fn open_stream(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        let Some(layout) = target.keyed.clone() else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("stream `{}` was planned for a table", target.stream),
            ));
        };
        let mut open = OpenStream {
            target: target.clone(),
            layout,
            split,
            restart,
            settled: None,
            is_kept: false,
            sequence: 0,
            proven: 0,
            replay: 0,
            rejects: None,
            rehearsed: Rehearsed::default(),
            log: None,
        };
        self.walk = None;
        // What became of a batch that nobody asks for any more, the checkpoint tells.
        if let Err(error) = behind::settle(self).await {
            tracing::debug!(%error, "the last batch of another stream has failed");
        }
        self.last = Last::Proven;
        if let Some(before) = self.stream.take()
            && self.identity.dry_run
            && before.target.stream == target.stream
            && !restart
        {
            open.rehearsed = before.rehearsed;
        }
        if self.identity.dry_run {
            let found = self.open_rehearsal(split, restart, &mut open).await?;
            self.stream = Some(open);
            return Ok(found);
        }
        if split != UNDO_SPLIT {
            undo::check_whole(&mut self.reader, &self.names, &target.stream).await?;
        }
        self.stream = Some(open);
        self.link.refresh().await?;
        let found = publish::settle(self, restart).await?;
        if split != UNDO_SPLIT && target.undo {
            // Last: what an earlier run had left to do is done, and the way back leads to after it.
            let log = undo::open(self, target, restart).await?;
            if let Some(open) = &mut self.stream {
                open.log = Some(log);
            }
        }
        Ok(found)
    }

    async fn cut_stream(&mut self, splits: &[Checkpoint]) -> Result<()> {
        behind::settle(self).await?;
        let Some(first) = splits.first() else { return Ok(()) };
        let mut commands = forget::stream(&mut self.reader, &self.names, &first.stream).await?;
        for checkpoint in splits {
            commands.extend(commit::checkpoint_words(
                &self.names,
                checkpoint,
                None,
                checkpoint.sequence,
                0,
            ));
        }
        self.change(&commands).await
    }

    async fn is_empty(&mut self) -> Result<bool> {
        behind::settle(self).await?;
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        count::is_empty(&mut self.reader, &self.names, &open.layout).await
    }

    async fn begin(&mut self, sequence: i64, direct: bool) -> Result<()> {
        begin::begin(self, sequence, direct).await
    }

    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
        behind::settle(self).await?;
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        if self.identity.dry_run {
            return Ok(rehearsal::claim(&mut open.rehearsed.claims, claims));
        }
        let log = open
            .log
            .as_ref()
            .map(|_| self.names.undo_saved(self.identity.run, &open.target.stream, "claimed"));
        rejects::claim(&mut self.reader, (&self.names.claims(&open.target.stream), log), claims).await
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<Written> {
        behind::settle(self).await?;
        let planned = self.plan(rows).await?;
        let written = planned.written;
        if self.identity.dry_run {
            let open = self.stream.as_mut().ok_or_else(not_open)?;
            open.rehearsed.inserted += written.inserted;
            open.rehearsed.rows.extend(planned.rows);
            open.rehearsed.touched.extend(planned.touched);
            return Ok(written);
        }
        commit::take(self, planned).await?;
        Ok(written)
    }

    async fn encoder(&mut self, direct: bool) -> Result<Option<Arc<dyn Encode>>> {
        behind::settle(self).await?;
        let Some(open) = self.stream.as_ref().filter(|_| direct && !self.identity.dry_run) else {
            return Ok(None);
        };
        Encoder::of(open, &mut self.reader, &self.names, self.server.bytes_max).await
    }

    async fn write_encoded(&mut self, rows: &RecordBatch, encoded: Encoded) -> Result<Written> {
        let ahead = encoded.into_made::<Ahead>().filter(|ahead| self.may_send(ahead));
        let Some(ahead) = ahead else { return self.write(rows).await };
        let written = ahead.planned.written;
        commit::take(self, ahead.planned).await?;
        Ok(written)
    }

    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
        behind::settle(self).await?;
        if self.identity.dry_run {
            return Ok(());
        }
        rejects::add(self, run, sequence, rejects).await
    }

    async fn resolve(&mut self, ids: &[i64]) -> Result<()> {
        behind::settle(self).await?;
        if self.identity.dry_run {
            return Ok(());
        }
        rejects::resolve(self, ids).await
    }

    async fn resolve_keys(&mut self, keys: &[Key]) -> Result<u64> {
        behind::settle(self).await?;
        rejects::resolve_keys(self, keys).await
    }

    async fn present(&mut self, rows: &RecordBatch) -> Result<u64> {
        behind::settle(self).await?;
        present::present(self, rows).await
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        if self.identity.dry_run {
            self.batch = None;
            self.rehearsed
                .retain(|found| (&found.stream, found.split) != (&checkpoint.stream, checkpoint.split));
            self.rehearsed.push(checkpoint.clone());
            if let Some(open) = &mut self.stream {
                open.settled = Some(checkpoint.clone());
            }
            return Ok(());
        }
        commit::commit(self, checkpoint, entry).await
    }

    async fn commit_soon(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<Durable> {
        if self.identity.dry_run {
            return self.commit(checkpoint, entry).await.map(|()| Durable::All);
        }
        commit::commit_soon(self, checkpoint, entry).await
    }

    async fn flush(&mut self) -> Result<()> {
        behind::settle(self).await
    }

    async fn rollback(&mut self) -> Result<()> {
        commit::rollback(self).await
    }

    async fn count(&mut self) -> Result<u64> {
        behind::settle(self).await?;
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let there = count::of_stream(&mut self.reader, &self.names, &open.target.stream, &open.layout).await?;
        let coming = self.batch.as_ref().map_or(0, |batch| batch.inserted);
        Ok(there + coming + open.rehearsed.inserted)
    }

    async fn delete(&mut self, keys: &RecordBatch) -> Result<Deletion> {
        behind::settle(self).await?;
        delete::delete(self, keys).await
    }

    async fn changed_since(&mut self, run: Uuid, only: Option<&RecordBatch>, keys_max: usize) -> Result<ChangedSince> {
        behind::settle(self).await?;
        undo::changed_since(self, run, only, keys_max).await
    }

    async fn undo(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        behind::settle(self).await?;
        undo::undo(self, step, only).await
    }

    async fn undo_finished(&mut self, run: Uuid) -> Result<()> {
        behind::settle(self).await?;
        undo::finish(self, run).await
    }

    async fn forget_undo(&mut self, run: Uuid) -> Result<u64> {
        behind::settle(self).await?;
        undo::forget(self, run).await
    }

    async fn rolled_back(&mut self, run: Uuid) -> Result<()> {
        behind::settle(self).await?;
        undo::rolled_back(self, run).await
    }

    async fn finish(&mut self, status: &str) -> Result<()> {
        self.rollback().await?;
        commit::prove(self).await?;
        let Some(held) = self.held.take() else { return Ok(()) };
        let ended = ledger_read::run(&mut self.reader, &self.names, self.identity.run).await?;
        let now = moment::now(&mut self.reader, &self.names).await?;
        let ended = ended.map(|run| crate::ledger::RunRecord {
            ended_at: Some(now.text),
            status: status.to_owned(),
            ..run
        });
        lease::release(&mut self.link, &self.names, &held, ended).await
    }

    fn epoch(&self) -> i64 {
        self.identity.epoch
    }
}
