//! Batches of one backfill: each one short transaction.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::event::Event;
use super::super::feed::{self, Feed};
use super::super::plan::PlannedStream;
use super::super::shutdown::Shutdown;
use super::super::stream_end::StreamEnd;
use super::super::tally::BatchTally;
use super::super::throttle::Rate;
use super::super::worker::{self, Job, Progress};
use super::super::{commit, resume, retry};
use super::mover::Run;
use super::planned::Planned;
use crate::data::backfill::{NextRows, RowRange};
use crate::data::position::Position;
use crate::ledger::Checkpoint;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// Rows looked at for each row that is wanted, as long as most of them fit.
const LOOKED_AT_FOR_EACH: u64 = 4;
/// Rows looked at by one statement.
const LOOKED_AT_MAX: u64 = 100_000;
/// Longest time that the rows of a batch may take to be read while they are locked.
const READ_TIME_MAX: Duration = Duration::from_secs(2);
/// Shortest and longest pause before locks are tried for again.
const LOCK_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What does not change while a backfill goes on.
pub(super) struct Work<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) backfill: &'a Planned,
    pub(super) stream: &'a PlannedStream,
}

/// How the batches of a backfill go.
pub(super) struct Batches {
    rate: Rate,
    bytes: Rate,
    pub(super) lock_timeouts: u64,
    /// Rows of the next batch.
    rows: u64,
    rows_max: u64,
    looked_at: u64,
    /// Since when no locks are to be had.
    refused_since: Option<Instant>,
    checkpoint: Option<Checkpoint>,
}

impl Batches {
    pub(super) fn new(work: &Work<'_>) -> Self {
        let rate = Rate::new(work.backfill.rows_per_second_max);
        let rows_max = rate.piece_max(work.run.plan.limits.batch_rows_max);
        Self {
            rate,
            bytes: Rate::new(work.run.plan.limits.max_bytes_per_second),
            lock_timeouts: 0,
            rows: rows_max,
            rows_max,
            looked_at: rows_max.saturating_mul(LOOKED_AT_FOR_EACH),
            refused_since: None,
            checkpoint: None,
        }
    }

    /// Opens the backfill on a session, and finds out where it goes on (Invariant 12).
    pub(super) async fn open(&mut self, work: &Work<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<()> {
        let (run, stream) = (work.run, work.stream);
        let first = self.checkpoint.is_none();
        let mut found = session.open_stream(&stream.write, 0, false).await?;
        let is_ours = |checkpoint: &Checkpoint| checkpoint.run == run.id;
        if run.begins_anew(work.backfill) && !found.as_ref().is_some_and(is_ours) {
            found = session.open_stream(&stream.write, 0, true).await?;
        }
        let lock_wait = Duration::from_millis(run.plan.limits.lock_timeout_milliseconds);
        session.keep_short(lock_wait).await?;
        let end = StreamEnd::new(1, Vec::new());
        match &found {
            // Either way it is in the checkpoint what is durable.
            Some(found) => drop(commit::settle(&work.job("", &end), found, progress)),
            None => progress.in_doubt.clear(),
        }
        let resumed = found.as_ref().map(|found| found.counts);
        let found = match found {
            Some(found) => {
                resume::check_fingerprint(stream, &found)?;
                found
            }
            None => resume::fresh(stream, &run.plan.project, (run.id, session.epoch()), ("", false), false),
        };
        self.checkpoint = Some(match self.checkpoint.take().filter(|_| run.how.dry_run) {
            // Nothing of what was tried is in the target.
            Some(tried) => Checkpoint {
                position: tried.position,
                complete: tried.complete,
                ..found
            },
            None => found,
        });
        if first {
            (run.events)(Event::StreamStarted {
                stream: stream.name.clone(),
                // Nobody counts them: that would look at all of them at once.
                rows: 0,
                resumed,
            });
        }
        Ok(())
    }

    /// Carries out the next batch; whether it was the last one. One that does not get its locks is given
    /// up, and tried again with fewer rows.
    pub(super) async fn next(&mut self, work: &Work<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<bool> {
        let Some(checkpoint) = self.checkpoint.clone() else {
            return Err(Error::new(ErrorKind::Internal, "a backfill that was not opened"));
        };
        if checkpoint.complete {
            return Ok(true);
        }
        match self.batch(work, session, checkpoint, progress).await {
            Ok((after, read, bytes)) => {
                self.refused_since = None;
                self.rows = self.rows.saturating_mul(2).min(self.rows_at_once(read, bytes));
                // Where few rows fit, more are looked at.
                self.looked_at = if read < self.rows {
                    self.looked_at.saturating_mul(2).min(LOOKED_AT_MAX)
                } else {
                    self.rows_max.saturating_mul(LOOKED_AT_FOR_EACH)
                };
                self.rate.spent(read, Instant::now());
                self.bytes.spent(bytes, Instant::now());
                let complete = after.complete;
                self.checkpoint = Some(after);
                Ok(complete)
            }
            Err(error) if error.kind() == ErrorKind::Busy => self.refused(work, error).await.map(|()| false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the next batch may begin.
    pub(super) async fn wait(&self, shutdown: &Shutdown) -> Result<()> {
        self.rate.wait(shutdown).await?;
        self.bytes.wait(shutdown).await
    }

    /// Most rows of the next batch, by what the rows of the last one weighed.
    fn rows_at_once(&self, read: u64, bytes: u64) -> u64 {
        if read == 0 {
            return self.rows_max;
        }
        let weight = (bytes / read).max(1);
        let all = self.rows_max.saturating_mul(weight);
        (self.bytes.piece_max(all) / weight).max(1)
    }

    /// The locks of a batch were not to be had in time.
    async fn refused(&mut self, work: &Work<'_>, error: Error) -> Result<()> {
        let run = work.run;
        self.lock_timeouts += 1;
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed().as_secs() >= run.plan.limits.pause_seconds_max {
            return Err(error.during(format_args!(
                "backfill `{}` did not get its locks for {} s",
                work.stream.name,
                since.elapsed().as_secs()
            )));
        }
        if since.elapsed() < LOCK_PAUSES.0 {
            (run.events)(Event::Held {
                stream: work.stream.name.clone(),
                why: format!(
                    "somebody holds a lock for longer than {} ms (lock_timeout_milliseconds)",
                    run.plan.limits.lock_timeout_milliseconds
                ),
            });
        }
        self.rows = (self.rows / 2).max(1);
        retry::pause(since.elapsed().clamp(LOCK_PAUSES.0, LOCK_PAUSES.1), run.shutdown)
            .await
            .map_err(|_| super::super::shutdown::interrupted())
    }

    /// One batch: its checkpoint, and how many rows and bytes it read.
    async fn batch(
        &self,
        work: &Work<'_>,
        session: &mut dyn Session,
        before: Checkpoint,
        progress: &mut Progress,
    ) -> Result<(Checkpoint, u64, u64)> {
        let (run, stream) = (work.run, work.stream);
        session.begin(before.sequence, false).await?;
        let filled = self.fill(work, session, &before).await;
        // A snapshot of ours keeps nothing from being cleaned up while we wait.
        let let_go = run.plan.sources[&stream.source_connection].let_go().await;
        let (batch, moment, next) = match filled.and_then(|filled| let_go.map(|()| filled)) {
            Ok(filled) => filled,
            Err(error) => return Err(worker::give_up(session, error).await),
        };
        let (counts, complete) = (batch.counts, next.looked_up_to.is_none());
        if counts.inserted > 0 {
            let error = Error::new(
                ErrorKind::Validation,
                format!(
                    "backfill `{}`: {} rows are gone while they were locked",
                    stream.name, counts.inserted
                ),
            );
            return Err(worker::give_up(session, error).await);
        }
        if !run.how.dry_run {
            let end = StreamEnd::new(1, Vec::new());
            let job = work.job(&moment, &end);
            let bytes = batch.source_bytes;
            let after = commit::commit(&job, session, before, batch, complete, progress).await?;
            return Ok((after, counts.read, bytes));
        }
        session.rollback().await?;
        let after = Checkpoint {
            position: batch.position.or(before.position.clone()),
            complete,
            ..before
        };
        run.rejects.fetch_add(counts.rejected, Ordering::Relaxed);
        progress.tally.committed(counts, batch.reasons);
        (run.events)(Event::BatchCommitted {
            stream: stream.name.clone(),
            sequence: after.sequence,
            counts,
            took: batch.began.elapsed(),
        });
        Ok((after, counts.read, batch.source_bytes))
    }

    /// Locks the next rows, reads them as they are now, and writes what they are to be.
    async fn fill(
        &self,
        work: &Work<'_>,
        session: &mut dyn Session,
        before: &Checkpoint,
    ) -> Result<(BatchTally, String, NextRows)> {
        let (run, stream) = (work.run, work.stream);
        let range = RowRange {
            key: work.backfill.key.clone(),
            conditions: work.backfill.needed.clone(),
            after: before.position.as_ref().and_then(Position::after).cloned(),
            rows_max: self.rows,
            looked_at_max: self.looked_at.max(self.rows),
        };
        let mut batch = BatchTally::new();
        let next = session.lock_next(&range).await?;
        let source = &run.plan.sources[&stream.source_connection];
        let moment = source.moment().await?;
        if !next.keys.is_empty() {
            let end = StreamEnd::new(1, Vec::new());
            let job = work.job(&moment, &end);
            let request = feed::request(stream, None, Some(next.keys.clone()), &run.plan.limits);
            let mut feed = Feed::of(source.read(request).await?, stream);
            while let Some(portion) = in_time(worker::next_portion(&job, &mut feed)).await? {
                worker::write_portion(&job, session, before, portion, &mut batch).await?;
            }
        }
        if batch.counts.read != next.keys.len() as u64 {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "backfill `{}`: {} rows were locked, but {} were read",
                    stream.name,
                    next.keys.len(),
                    batch.counts.read
                ),
            ));
        }
        batch.first_key = next.keys.first().cloned();
        batch.position = next
            .looked_up_to
            .clone()
            .or_else(|| next.keys.last().cloned())
            .map(Position::Key);
        Ok((batch, moment, next))
    }
}

/// Rows are locked meanwhile: where somebody who waits for us is in our own way, only giving up helps.
async fn in_time<T>(reading: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(READ_TIME_MAX, reading).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Busy,
            format!("the rows of a batch were not read within {} s", READ_TIME_MAX.as_secs()),
        )
        .hint(
            "somebody waits for a lock on the whole table, or its rows are very large: a smaller `--batch-size` helps with these",
        ))
    })
}

impl<'a> Work<'a> {
    fn job(&self, moment: &'a str, end: &'a StreamEnd) -> Job<'a> {
        let run = self.run;
        Job {
            run: run.id,
            project: &run.plan.project,
            stream: self.stream,
            source: run.plan.sources[&self.stream.source_connection].as_ref(),
            seat: None,
            split: 0,
            is_cut: false,
            end,
            moment,
            limits: &run.plan.limits,
            restart: false,
            source_rows: None,
            rejects: &run.rejects,
            events: run.events,
            shutdown: run.shutdown,
            pace: None,
        }
    }
}
