//! The worker: moves one stream, or one split of it, over one session, batch by batch.
//!
//! The order of effects is the design: rows and rejects are written, the figures are compared,
//! checkpoint and ledger entry are added, all of it commits at once, and only then is anyone
//! told (Invariants 1 to 4).

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::event::{Event, Events};
use super::feed::{self, Feed, Portion};
use super::plan::PlannedStream;
use super::shared_read::Seat;
use super::shutdown::{self, Shutdown};
use super::stream_end::StreamEnd;
use super::tally::{BatchTally, Reasons, StreamTally};
use super::{claim, isolate, resume, subject};
use crate::config::limits::Limits;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::reject::Reject;
use crate::ledger::{BatchEntry, Checkpoint};
use crate::sink::Session;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Everything about the stream being moved that does not change while it is.
pub(super) struct Job<'a> {
    /// Run.
    pub run: Uuid,
    /// Project.
    pub project: &'a str,
    /// Stream.
    pub stream: &'a PlannedStream,
    /// Its source.
    pub source: &'a dyn Source,
    /// Its place at a reader that it may share; without one it reads alone.
    pub seat: Option<&'a Seat>,
    /// Which split of it, 0 where it is not split.
    pub split: i32,
    /// It is one of several splits, which are there already.
    pub is_cut: bool,
    /// The end of the whole stream.
    pub end: &'a StreamEnd,
    /// The moment that the source sees.
    pub moment: &'a str,
    /// Limits.
    pub limits: &'a Limits,
    /// Forget what earlier runs did.
    pub restart: bool,
    /// Rows in the source, counted when the run began.
    pub source_rows: Option<u64>,
    /// Open rejects of all streams of the run, for `max_rejects`.
    pub rejects: &'a AtomicU64,
    /// Where events go.
    pub events: &'a Events,
    /// Stop after the batch in flight.
    pub shutdown: &'a Shutdown,
}

/// What the worker has to remember across lost connections.
#[derive(Default)]
pub(super) struct Progress {
    /// Committed by this run.
    pub tally: StreamTally,
    /// A batch whose commit was begun: its run, sequence and figures. After a lost connection
    /// the checkpoint tells whether it is durable.
    pub in_doubt: Option<(i64, Counts, Reasons)>,
    /// The last failure was the source's.
    pub source_failed: bool,
    /// The checkpoint as last seen committed.
    pub checkpoint: Option<Checkpoint>,
    /// Rejects of earlier runs that this run resolved.
    pub resolved: u64,
    /// Rows in the target table when the stream was completed.
    pub target_rows: Option<u64>,
    /// What the operator should know of the finished stream.
    pub warnings: Vec<String>,
}

/// Moves a stream until nothing is left; returns its checkpoint.
///
/// # Errors
/// Of kind [`ErrorKind::Interrupted`] or [`ErrorKind::Rejects`] when it stopped in order after a
/// finished batch; [`ErrorKind::Lost`] when the session is useless and the stream may go on over
/// a new one; any other kind is final. Nothing of an unfinished batch stays in the target.
pub(super) async fn move_stream(job: &Job<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<Checkpoint> {
    let mut checkpoint = resume::open(job, session, progress).await?;
    if checkpoint.complete {
        return Ok(checkpoint);
    }
    check_rejects(job)?;
    let opened = open_feed(job, checkpoint.position.clone()).await;
    let mut feed = of_source(opened, progress)?;
    let mut next = of_source(feed.next().await, progress)?;
    while !checkpoint.complete {
        if job.shutdown.is_cancelled() {
            return Err(shutdown::interrupted());
        }
        session.begin(checkpoint.sequence, checkpoint.target_was_empty).await?;
        let (batch, ahead) = match fill_batch(job, session, &checkpoint, &mut feed, next).await {
            Ok(filled) => filled,
            Err(error) => return Err(give_up(session, error).await),
        };
        // What was read before the source failed is still committed.
        let complete = matches!(ahead, Ok(None));
        checkpoint = commit(job, session, checkpoint, batch, complete, progress).await?;
        check_rejects(job)?;
        next = of_source(ahead, progress)?;
    }
    Ok(checkpoint)
}

pub(super) async fn open_feed(job: &Job<'_>, after: Option<Position>) -> Result<Feed> {
    let request = feed::request(job.stream, after, None, job.limits);
    let batches = match job.seat {
        Some(seat) => seat.read(request).await?,
        None => job.source.read(request).await?,
    };
    Ok(Feed::of(batches, job.stream))
}

/// Remembers whose failure it was.
pub(super) fn of_source<T>(outcome: Result<T>, progress: &mut Progress) -> Result<T> {
    progress.source_failed = outcome.is_err();
    outcome
}

/// Writes portions until a limit is reached or none is left. Returns the batch and what was read
/// ahead: the next batch's first portion, nothing at the end, or the error that reading ended in.
async fn fill_batch(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    feed: &mut Feed,
    mut next: Option<Portion>,
) -> Result<(BatchTally, Result<Option<Portion>>)> {
    let mut batch = BatchTally::new();
    while let Some(portion) = next.take() {
        write_portion(job, session, checkpoint, portion, &mut batch).await?;
        let ahead = feed.next().await;
        if ahead.is_err() || is_full(job, &batch) {
            return Ok((batch, ahead));
        }
        if job.shutdown.is_cancelled() {
            // An atomic stream has no place to stop at.
            return Err(shutdown::interrupted().hint("this stream is atomic: run again, and it starts from its beginning"));
        }
        next = ahead?;
    }
    Ok((batch, Ok(None)))
}

/// Rolls the open batch back, as far as the connection still allows, and hands the error on.
pub(super) async fn give_up(session: &mut dyn Session, error: Error) -> Error {
    if error.kind() != ErrorKind::Lost
        && let Err(second) = session.rollback().await
    {
        tracing::debug!(error = %second, "rolling back failed; the connection is given up");
    }
    error
}

/// Whether the batch has reached a limit. An atomic stream is one batch, however large: its rows
/// are not kept in memory, only its transaction grows.
fn is_full(job: &Job<'_>, batch: &BatchTally) -> bool {
    let limits = job.limits;
    job.stream.resumable
        && (batch.counts.read >= limits.batch_rows_max
            || batch.bytes >= limits.batch_bytes_max
            || batch.began.elapsed().as_millis() >= u128::from(limits.batch_milliseconds_max)
            || job.shutdown.is_cancelled())
}

/// More rejects than allowed end the run in order. What is committed stays.
pub(super) fn check_rejects(job: &Job<'_>) -> Result<()> {
    let rejects = job.rejects.load(Ordering::Relaxed);
    if rejects <= job.limits.max_rejects {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Rejects,
        format!(
            "stopped: {rejects} rejected rows, more than max_rejects = {}",
            job.limits.max_rejects
        ),
    )
    .hint(
        "see them with `dbferry stats PROJECT`; mend rows or mapping and `run --retry-rejects`, or allow more with `--max-rejects`",
    ))
}

/// Writes one portion: the rows, then every reject that reading, mapping and writing them gave.
pub(super) async fn write_portion(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    portion: Portion,
    batch: &mut BatchTally,
) -> Result<()> {
    let Portion {
        source,
        mut target,
        mut digest,
    } = portion;
    let mut rejects = source.rejects.clone();
    rejects.append(&mut target.rejects);
    if !job.stream.write.keys_distinct {
        let collisions = claim::claim(session, &job.stream.write, &source, &mut target).await?;
        if !collisions.is_empty() {
            digest = Digest::of(&target.rows);
        }
        rejects.extend(collisions);
    }
    if target.rows.num_rows() > 0 {
        let (written, refused) = isolate::write(session, &target.rows, job.stream.refers_to_itself).await?;
        if written.total() + refused.len() as u64 != target.rows.num_rows() as u64 {
            return Err(disagreement(
                job,
                "rows sent",
                target.rows.num_rows() as u64,
                "rows that the target accounts for",
                written.total(),
            ));
        }
        if job.stream.subject.is_some() {
            subject::arrived(job, session, &target.rows, &refused).await?;
        }
        batch.counts.inserted += written.inserted;
        batch.counts.updated += written.updated;
        batch.counts.skipped += written.skipped;
        for (row, refusal) in refused {
            digest.remove(Digest::of(&target.rows.slice(row, 1)));
            let origin = target.origin[row] as usize;
            rejects.push(Reject {
                key: source.keys.get(origin),
                column: refusal.column,
                reason: refusal.reason,
                detail: refusal.detail,
                row: (source.row_json)(&source.rows, origin),
            });
        }
    }
    if !rejects.is_empty() {
        session.reject(job.run, checkpoint.sequence + 1, &rejects).await?;
        batch.rejected(&rejects);
    }
    batch.counts.read += source.read();
    batch.counts.filtered += target.filtered;
    batch.digest.add(digest);
    batch.bytes += source.bytes.max(target.rows.get_array_memory_size() as u64);
    if batch.first_key.is_none() {
        batch.first_key = first_key(&source);
    }
    batch.position = Some(source.position.clone());
    (job.events)(Event::Progress {
        stream: job.stream.name.clone(),
        rows: source.read(),
        bytes: source.bytes,
    });
    Ok(())
}

fn first_key(source: &crate::data::batch::SourceBatch) -> Option<Key> {
    if source.keys.is_empty() {
        source.rejects.first().map(|reject| reject.key.clone())
    } else {
        Some(source.keys.get(0))
    }
}

pub(super) fn disagreement(job: &Job<'_>, one: &str, left: u64, other: &str, right: u64) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("stream `{}`: {left} {one}, but {right} {other}", job.stream.name),
    )
}

/// Validates the batch's own figures, then commits rows, rejects, checkpoint and ledger entry at
/// once, and only then tells.
pub(super) async fn commit(
    job: &Job<'_>,
    session: &mut dyn Session,
    before: Checkpoint,
    batch: BatchTally,
    complete: bool,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    if !batch.counts.adds_up() {
        // Invariant 4.
        let counts = batch.counts;
        let accounted = counts.filtered + counts.inserted + counts.updated + counts.skipped + counts.rejected;
        let error = disagreement(job, "rows read in a batch", counts.read, "rows accounted for", accounted);
        return Err(give_up(session, error).await);
    }
    let mut after = before;
    after.sequence += 1; // Invariant 2.
    after.run = job.run;
    after.epoch = session.epoch();
    after.moment = job.moment.to_owned(); // Invariant 14.
    after.counts += batch.counts;
    after.digest.add(batch.digest);
    after.complete = complete;
    if let Some(read) = batch.position {
        after.position = Some(Position::moved_on(after.position.as_ref(), read));
    }
    let entry = BatchEntry {
        run: job.run,
        stream: after.stream.clone(),
        split: after.split,
        sequence: after.sequence,
        first_key: batch.first_key,
        last_key: after.position.as_ref().and_then(Position::after).cloned(),
        counts: batch.counts,
        digest: batch.digest,
        seconds: batch.began.elapsed().as_secs_f64(),
        retry: false,
    };
    let mut end = None;
    if complete {
        match job.end.before_commit(job, session, &after, progress).await {
            Ok(state) => end = Some(state),
            Err(error) => return Err(give_up(session, error).await),
        }
    }
    progress.in_doubt = Some((after.sequence, batch.counts, batch.reasons));
    session.commit(&after, &entry).await?;
    if let Some(state) = &mut end {
        state.is_complete(&after);
    }
    drop(end);
    if let Some((_, counts, reasons)) = progress.in_doubt.take() {
        committed(job, progress, counts, reasons);
    }
    progress.checkpoint = Some(after.clone());
    if batch.counts.rejected > 0 {
        let reasons = batch.classes.into_values().collect();
        (job.events)(Event::Rejected {
            stream: after.stream.clone(),
            rows: batch.counts.rejected,
            reasons,
        });
    }
    let took = batch.began.elapsed();
    (job.events)(Event::BatchCommitted {
        stream: after.stream.clone(),
        sequence: after.sequence,
        counts: batch.counts,
        took,
    });
    Ok(after)
}

/// Counts a batch that is durable.
pub(super) fn committed(job: &Job<'_>, progress: &mut Progress, counts: Counts, reasons: Reasons) {
    job.rejects.fetch_add(counts.rejected, Ordering::Relaxed);
    progress.tally.committed(counts, reasons);
}
