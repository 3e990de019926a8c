//! The worker: moves one stream, or one split of it, over one session, batch by batch.
//!
//! The order of effects is the design: rows and rejects are written, the figures are compared,
//! checkpoint and ledger entry are added, all of it commits at once, and only then is anyone
//! told (Invariants 1 to 4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use uuid::Uuid;

use super::ahead::Ahead;
use super::batch_size::BatchSize;
use super::commit::{self, InDoubt};
use super::event::{Event, Events};
use super::feed::{self, Feed, Portion};
use super::hold::{hold, is_due, pace_portion, weight};
use super::plan::PlannedStream;
use super::shared_read::Seat;
use super::shutdown::{self, Shutdown};
use super::stream_end::StreamEnd;
use super::tally::{BatchTally, StreamTally};
use super::throttle::{Held, Pace};
use super::{claim, isolate, resume, subject};
use crate::config::limits::Limits;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::reject::Reject;
use crate::ledger::{Checkpoint, REPAIR_SPLIT};
use crate::sink::{Encode, Session};
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
    /// What holds it back; nothing where it is no stream of a run.
    pub pace: Option<&'a Pace>,
}

/// What the worker has to remember across lost connections.
#[derive(Default)]
pub(super) struct Progress {
    /// Committed by this run.
    pub tally: StreamTally,
    /// Batches whose commit was begun, in order, and that are not known to be durable. After a lost
    /// connection the checkpoint tells which of them are.
    pub in_doubt: Vec<InDoubt>,
    /// How long it was held back.
    pub held: Held,
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
    let checkpoint = resume::open(job, session, progress).await?;
    if checkpoint.complete {
        return Ok(checkpoint);
    }
    match move_rows(job, session, checkpoint.clone(), progress).await {
        Err(error) if error.kind() == ErrorKind::Void => {
            let anew = resume::anew(job, checkpoint, session, progress).await?;
            move_rows(job, session, anew.ok_or(error)?, progress).await
        }
        outcome => outcome,
    }
}

/// Moves rows from a checkpoint on, batch by batch, over a session that has the split open.
///
/// # Errors
/// As [`move_stream`]; [`ErrorKind::Void`] where the place is not accepted any more, before
/// anything was moved.
pub(super) async fn move_rows(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: Checkpoint,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    let error = match move_batches(job, session, checkpoint, progress).await {
        Err(error) if error.kind() != ErrorKind::Lost || progress.source_failed => error,
        outcome => return outcome,
    };
    // The session is good: what it has committed counts.
    match commit::flush(job, session, progress).await {
        Err(lost) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Rejects) => Err(lost),
        _ => Err(error),
    }
}

async fn move_batches(
    job: &Job<'_>,
    session: &mut dyn Session,
    mut checkpoint: Checkpoint,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    check_rejects(job)?;
    let mut size = BatchSize::new(job.limits, job.stream.write.keyed.is_some());
    let encoder = session.encoder(checkpoint.target_was_empty).await?;
    let opened = open_feed(job, checkpoint.position.clone(), encoder).await;
    let mut feed = of_source(opened, progress)?;
    let mut next = of_source(next_portion(job, &mut feed).await, progress)?;
    while !checkpoint.complete {
        if job.shutdown.is_cancelled() {
            return Err(shutdown::interrupted());
        }
        if job.stream.resumable {
            hold(job, session, next.as_ref().map(weight), progress).await?;
        }
        let began = Instant::now();
        session.begin(checkpoint.sequence, checkpoint.target_was_empty).await?;
        let opening = began.elapsed();
        let source = (&mut feed, &mut progress.held);
        let (batch, ahead) = match fill_batch(job, session, &checkpoint, (source, next.take()), (&size, began)).await {
            Ok(filled) => filled,
            Err(error) => return Err(give_up(session, error).await),
        };
        if ahead.is_failure() && !job.stream.resumable {
            // An atomic stream has no place to go on from: nothing of it is kept.
            session.rollback().await?;
            return of_source(ahead.portion(job, &mut feed).await, progress).map(|_| checkpoint);
        }
        // What was read before the source failed is still committed.
        let (complete, is_late) = (ahead.is_end(), ahead.is_late());
        let filled = batch.filled(began);
        let commit = async {
            if is_late {
                commit::commit(job, session, checkpoint, batch, complete, progress).await
            } else {
                commit::commit_in_group(job, session, checkpoint, batch, complete, progress).await
            }
        };
        checkpoint = feed.during(commit).await?;
        size.committed(&filled, opening, began.elapsed().saturating_sub(filled.elapsed));
        check_rejects(job)?;
        if !complete {
            next = of_source(ahead.portion(job, &mut feed).await, progress)?;
        }
    }
    Ok(checkpoint)
}

pub(super) async fn open_feed(job: &Job<'_>, after: Option<Position>, encoder: Option<Arc<dyn Encode>>) -> Result<Feed> {
    let request = feed::request(job.stream, after, None, job.limits);
    let batches = match job.seat {
        Some(seat) => seat.read(request).await?,
        None => job.source.read(request).await?,
    };
    Ok(Feed::encoding(batches, job.stream, encoder))
}

/// The next portion, unless a stop is asked for while there is none: a source that is waited for
/// may keep silent for long.
pub(super) async fn next_portion(job: &Job<'_>, feed: &mut Feed) -> Result<Option<Portion>> {
    tokio::select! {
        biased;
        portion = feed.next() => portion,
        () = job.shutdown.cancelled() => Err(shutdown::interrupted()),
    }
}

/// Remembers whose failure it was.
pub(super) fn of_source<T>(outcome: Result<T>, progress: &mut Progress) -> Result<T> {
    progress.source_failed = outcome.is_err();
    outcome
}

/// Writes portions until the batch is large enough or none is left. Returns the batch and what is known
/// of what comes behind it.
async fn fill_batch(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    ((feed, held), mut next): ((&mut Feed, &mut Held), Option<Portion>),
    (size, began): (&BatchSize, Instant),
) -> Result<(BatchTally, Ahead)> {
    let mut batch = BatchTally::new();
    let meets_again = checkpoint.position.as_ref().is_some_and(Position::meets_again);
    while let Some(portion) = next.take() {
        if meets_again {
            // What becomes of these rows is decided now: moved, or a reject anew.
            batch.resolved += session.resolve_keys(&portion.keys()).await?;
        }
        write_portion(job, session, checkpoint, portion, &mut batch).await?;
        let resumable = job.stream.resumable;
        let filled = batch.filled(began);
        let ahead = if resumable {
            tokio::time::timeout(size.patience(&filled), next_portion(job, feed)).await
        } else {
            Ok(next_portion(job, feed).await)
        };
        let Ok(ahead) = ahead else {
            return Ok((batch, Ahead::late()));
        };
        // An atomic stream is one batch, however large: its rows are not kept in memory, only its
        // transaction grows.
        let filled = batch.filled(began);
        let next_weight = ahead.as_ref().ok().and_then(Option::as_ref).map(weight);
        let is_full = !is_due(job, next_weight) || size.is_full(&filled) || job.shutdown.is_cancelled();
        if ahead.is_err() || (resumable && is_full) {
            return Ok((batch, Ahead::of(ahead)));
        }
        if job.shutdown.is_cancelled() {
            // An atomic stream has no place to stop at.
            return Err(shutdown::interrupted().hint("this stream is atomic: run again, and it starts from its beginning"));
        }
        next = ahead?;
        pace_portion(job, next.as_ref().map(weight), held).await?;
    }
    Ok((batch, Ahead::of(Ok(None))))
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
    let began = Instant::now();
    let Portion {
        source,
        mut target,
        mut digest,
        mut encoded,
    } = portion;
    let mut rejects = source.rejects.clone();
    rejects.append(&mut target.rejects);
    if !job.stream.write.keys_distinct {
        let collisions = claim::claim(session, &job.stream.write, &source, &mut target).await?;
        if !collisions.rejects.is_empty() {
            digest = Digest::of(&target.rows);
            encoded = None;
        }
        rejects.extend(collisions.rejects);
        batch.over += collisions.over;
    }
    if target.rows.num_rows() > 0 {
        let (written, refused) = isolate::write(session, (&target.rows, encoded), job.stream.refers_to_itself).await?;
        if written.total() + refused.len() as u64 != target.rows.num_rows() as u64 {
            return Err(disagreement(
                job,
                "rows sent",
                target.rows.num_rows() as u64,
                "rows that the target accounts for",
                written.total(),
            ));
        }
        if job.stream.subject.is_some() || job.split == REPAIR_SPLIT {
            subject::arrived(job, session, &target.rows, &refused).await?;
        }
        batch.counts.inserted += written.inserted;
        batch.counts.updated += written.updated;
        batch.counts.skipped += written.skipped;
        batch.counts.expired += written.expired;
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
    batch.kinds.merge(&target.kinds);
    batch.digest.add(digest);
    if batch.first_key.is_none() {
        batch.first_key = first_key(&source);
    }
    batch.position = Some(source.position.clone());
    batch.portion_took(source.bytes, target.rows.get_array_memory_size() as u64, began.elapsed());
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
