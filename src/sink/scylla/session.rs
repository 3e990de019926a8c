//! The session: one run's writing end, one batch after the other.
//!
//! Rows of a batch are sent as they come, each confirmed before the portion counts as written; the
//! checkpoint follows (`commit.rs`). A crash in between leaves rows that the ledger does not know of,
//! but for how far they may reach: whoever goes on writes them again, at a timestamp that is a little
//! later, and takes those that are there for the stream's own (`write.rs`, `decide.rs`).

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use uuid::Uuid;

use super::clock::Clock;
use super::lease::Held;
use super::portion::{Encoder, Portion};
use super::stream::{Batch, OpenStream, Rehearsed, no_batch, not_open};
use super::{Shared, count, delete, lease, ledger_read, rejects, statements};
use crate::data::counts::Written;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::data::stream::{Consistency, StreamTarget};
use crate::ledger::{BatchEntry, Checkpoint, Claim, Deletion, check_follows};
use crate::sink::form::RejectForm;
use crate::sink::{Encode, Encoded, LeaseRequest, Session, rehearsal};
use crate::{Error, ErrorKind, Result};

/// What a session is from its beginning.
pub(super) struct Identity {
    pub(super) project: String,
    pub(super) run: Uuid,
    pub(super) epoch: i64,
    /// Nothing is written at all.
    pub(super) dry_run: bool,
}

impl Identity {
    pub(super) fn of(lease: &LeaseRequest, epoch: i64) -> Self {
        Self {
            project: lease.project.clone(),
            run: lease.run,
            epoch,
            dry_run: lease.dry_run,
        }
    }
}

/// A writing end.
pub(super) struct ScyllaSession {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Identity,
    pub(super) clock: Clock,
    /// The lease, where this is the session that took it.
    pub(super) held: Option<Held>,
    pub(super) stream: Option<OpenStream>,
    pub(super) batch: Option<Batch>,
    /// Of a rehearsal.
    pub(super) rehearsed: Vec<Checkpoint>,
    /// Open rejects of streams, once somebody asked for them.
    pub(super) known_rejects: Vec<(String, Vec<(i64, RejectForm)>)>,
    /// Ids that rejects are given.
    pub(super) ids: rejects::Ids,
}

impl ScyllaSession {
    pub(super) async fn new(shared: Arc<Shared>, identity: Identity, held: Option<Held>) -> Result<Self> {
        let clock = Clock::of(&shared.ledger).await?;
        Ok(Self {
            shared,
            identity,
            clock,
            held,
            stream: None,
            batch: None,
            rehearsed: Vec::new(),
            known_rejects: Vec::new(),
            ids: rejects::Ids::new(),
        })
    }
}

#[async_trait]
impl Session for ScyllaSession {
    async fn open_stream(&mut self, target: &StreamTarget, split: i32, restart: bool) -> Result<Option<Checkpoint>> {
        self.batch = None;
        let before = self.stream.take();
        self.shared.keyspace.refresh().await?;
        let place = (self.identity.project.as_str(), target.stream.as_str(), split);
        let kept = ledger_read::of_split(&self.shared.ledger, place).await?;
        // An attempt that came to no checkpoint: its rows are there, and are the stream's own.
        let attempted = kept.settled.is_none() && kept.reach > 0;
        // What is moved again, or beside its stream, is of its own moment.
        let stamp = kept.stamp.filter(|_| (!restart || attempted) && split >= 0);
        let stamp = stamp.unwrap_or_else(|| self.clock.now().saturating_mul(1_000));
        let written_at = stamp.saturating_add(self.identity.epoch);
        let (layout, prepared) = statements::prepare(&self.shared.keyspace, target, written_at).await?;
        let mut open = OpenStream {
            target: target.clone(),
            layout: Arc::new(layout),
            statements: Arc::new(prepared),
            split,
            restart,
            settled: kept.settled.filter(|_| !restart),
            stamp: Some(stamp),
            reach: 0,
            replay: if restart && !attempted { 0 } else { kept.reach },
            attempted,
            written: 0,
            is_first: true,
            rehearsed: Rehearsed::default(),
        };
        if self.identity.dry_run {
            self.rehearse_open(&mut open, before);
        } else if !restart {
            if let Some(entry) = &kept.entry {
                self.settle_entry(&target.stream, entry).await?;
            }
            let sequence = open.sequence().unwrap_or(0);
            rejects::clear(&self.shared.ledger, place, sequence).await?;
        }
        open.written = open.settled_rows();
        let found = open.settled.clone();
        self.stream = Some(open);
        Ok(found)
    }

    async fn cut_stream(&mut self, splits: &[Checkpoint]) -> Result<()> {
        let Some(first) = splits.first() else { return Ok(()) };
        self.forget(&first.stream, false).await?;
        for checkpoint in splits {
            self.write_cut(checkpoint).await?;
        }
        Ok(())
    }

    async fn is_empty(&mut self) -> Result<bool> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        count::is_empty(&self.shared.keyspace, &open.target.table).await
    }

    async fn begin(&mut self, sequence: i64, direct: bool) -> Result<()> {
        if self.batch.is_some() {
            return Err(Error::new(ErrorKind::Internal, "a batch is open already"));
        }
        let every = self.shared.read_back_every;
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let restart = open.restart;
        let found = open.sequence().unwrap_or(0);
        check_follows(&open.target.stream, found, sequence)?;
        if !self.identity.dry_run {
            rejects::expect_ledger(&self.shared.keyspace, self.shared.ledger.exists())?;
            if restart {
                let (stream, attempted) = (open.target.stream.clone(), open.attempted);
                self.forget(&stream, attempted).await?;
            }
        }
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        open.restart = false;
        // What one replica has confirmed cannot be looked for elsewhere.
        let is_sure = !matches!(open.target.options.consistency, Consistency::One | Consistency::LocalOne);
        self.batch = Some(Batch {
            direct,
            // The first of the stream, the first after an interruption, and one of so many.
            read_back: is_sure
                && every > 0
                && (open.is_first || sequence.rem_euclid(i64::try_from(every).unwrap_or(i64::MAX)) == 0),
            before: open.written,
        });
        Ok(())
    }

    async fn claim(&mut self, claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        if self.identity.dry_run {
            return Ok(rehearsal::claim(&mut open.rehearsed.claims, claims));
        }
        let place = (self.identity.project.as_str(), open.target.stream.as_str());
        rejects::claim(&self.shared, place, claims).await
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<Written> {
        let portion = self.portion(rows)?;
        self.place(portion).await
    }

    async fn encoder(&mut self, _direct: bool) -> Result<Option<Arc<dyn Encode>>> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        Ok(Some(Arc::new(Encoder {
            layout: Arc::clone(&open.layout),
            clock: self.clock,
        })))
    }

    async fn write_encoded(&mut self, rows: &RecordBatch, encoded: Encoded) -> Result<Written> {
        match encoded.into_made::<Portion>() {
            Some(portion) => self.place(portion).await,
            None => self.write(rows).await,
        }
    }

    async fn reject(&mut self, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
        if self.identity.dry_run {
            return Ok(());
        }
        rejects::add(self, run, sequence, rejects).await
    }

    async fn resolve(&mut self, ids: &[i64]) -> Result<()> {
        if self.identity.dry_run {
            return Ok(());
        }
        rejects::resolve(self, ids).await
    }

    async fn resolve_keys(&mut self, keys: &[Key]) -> Result<u64> {
        rejects::resolve_keys(self, keys).await
    }

    async fn present(&mut self, rows: &RecordBatch) -> Result<u64> {
        delete::present(self, rows).await
    }

    async fn commit(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        if !self.identity.dry_run {
            return self.write_checkpoint(checkpoint, entry).await;
        }
        self.batch = None;
        self.rehearsed
            .retain(|found| (&found.stream, found.split) != (&checkpoint.stream, checkpoint.split));
        self.rehearsed.push(checkpoint.clone());
        if let Some(open) = &mut self.stream {
            open.settled = Some(checkpoint.clone());
        }
        Ok(())
    }

    /// Rows that were sent stay: those of the stream that are written again change nothing, and no
    /// checkpoint counts them.
    async fn rollback(&mut self) -> Result<()> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        if let Some(open) = &mut self.stream {
            open.replay = open.replay.max(open.written);
            open.written = batch.before;
            let place = (self.identity.project.as_str(), open.target.stream.as_str(), open.split);
            if !self.identity.dry_run {
                let sequence = open.sequence().unwrap_or(0);
                rejects::clear(&self.shared.ledger, place, sequence).await?;
            }
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<u64> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let there = count::rows(&self.shared.keyspace, &open.target.table).await?;
        Ok(there + open.rehearsed.inserted)
    }

    async fn delete(&mut self, keys: &RecordBatch) -> Result<Deletion> {
        self.batch.as_ref().ok_or_else(no_batch)?;
        delete::delete(self, keys).await
    }

    async fn finish(&mut self, status: &str) -> Result<()> {
        self.rollback().await?;
        let Some(held) = self.held.take() else { return Ok(()) };
        drop(held);
        let whose = (self.identity.project.as_str(), self.identity.run, self.identity.epoch);
        lease::release(&self.shared.ledger, whose, status).await
    }

    fn epoch(&self) -> i64 {
        self.identity.epoch
    }
}

impl ScyllaSession {
    /// What this rehearsal has seen of the stream before.
    fn rehearse_open(&self, open: &mut OpenStream, before: Option<OpenStream>) {
        let same = |found: &&Checkpoint| found.stream == open.target.stream && found.split == open.split;
        if let Some(found) = self.rehearsed.iter().rfind(same) {
            open.settled = Some(found.clone());
        }
        if let Some(before) = before
            && before.target.stream == open.target.stream
            && !open.restart
        {
            open.rehearsed = before.rehearsed;
        }
    }
}
