//! Following: what has changed in a source since a stream was copied (`run --since-last`).
//!
//! The copy of a range pins a token of its changes before its first page. From there on, and then
//! from wherever the last following stopped, changed rows are read and written over those that
//! are there. Every split's changes have a checkpoint of their own ([`changes_split`]), so that
//! the figures of the copy stay what they were; a batch of changes commits with it like any other
//! (Invariants 1 to 4), and following twice changes nothing.
//!
//! A row that was a reject and comes again is decided anew. When the changes of a stream are all
//! there, its rejects that hung on other rows are tried once more: what they waited for may have
//! come.

use super::commit;
use super::ends::Ends;
use super::plan::PlannedStream;
use super::resume;
use super::retry_rejects;
use super::subject;
use super::worker::{self, Job, Progress};
use crate::data::position::Position;
use crate::data::reject::Reason;
use crate::data::stream::OnConflict;
use crate::ledger::{Checkpoint, changes_split};
use crate::sink::{Session, Sink};
use crate::{Error, ErrorKind, Result};

/// Makes planned streams follow what has changed since they were copied; those of sources that
/// keep no record of it are left out. Returns what the operator should know.
///
/// # Errors
/// [`ErrorKind::Usage`] where none is left; [`ErrorKind::Checkpoint`] where one has not been
/// copied to its end.
pub(super) fn restrict(streams: &mut Vec<PlannedStream>, ends: &Ends) -> Result<Vec<String>> {
    let follows = |stream: &PlannedStream| ends.sources[&stream.source_connection].has_changes();
    let left_out = streams.iter().filter(|stream| !follows(stream)).map(|stream| {
        format!(
            "stream `{}`: its source keeps no record of what has changed: left out",
            stream.name
        )
    });
    let mut warnings: Vec<String> = left_out.collect();
    streams.retain(follows);
    let ordered = |stream: &PlannedStream| stream.write.keyed.as_ref().is_some_and(|layout| layout.key_type.is_ordered());
    warnings.extend(
        streams
            .iter()
            .filter(|stream| ordered(stream))
            .map(|stream| subject::order_kept(&stream.name)),
    );
    streams.retain(|stream| !ordered(stream));
    if streams.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "no stream reads a source that keeps a record of what has changed",
        )
        .hint("`--since-last` follows streams from Cosmos DB; move others again with `--restart`"));
    }
    for stream in streams {
        if stream.checkpoint.as_ref().is_none_or(|checkpoint| !checkpoint.complete) {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "stream `{}` has not been copied to its end, and has no changes to follow yet",
                    stream.name
                ),
            )
            .hint("run without `--since-last` first; it is not lost what changes meanwhile"));
        }
        stream.follows = true;
        // Neither is the whole table read, nor is it worth looking through for a few rows.
        stream.rows_estimate = None;
        let keys = std::mem::take(&mut stream.suspended);
        stream.refers_to_itself |= keys.iter().any(|key| key.key.table == stream.write.table);
        if stream.on_conflict == OnConflict::Error {
            // That the row is there is why it is met again.
            stream.write.on_conflict = OnConflict::Update;
        }
    }
    Ok(warnings)
}

/// Splits of the changes of copied splits, each with where the copy pinned it.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] where a split has no such place.
pub(super) fn lanes(stream: &PlannedStream, copied: &[Checkpoint]) -> Result<Vec<(i32, Option<Position>)>> {
    let lane = |copied: &Checkpoint| {
        let begin = copied.position.as_ref().and_then(Position::followed);
        let begin = begin.filter(|_| copied.complete).ok_or_else(|| {
            Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "stream `{}` was copied without a place from which to follow its changes",
                    stream.name
                ),
            )
            .hint(format!(
                "copy it again: `dbferry run PROJECT --only {} --restart`",
                stream.name
            ))
        })?;
        Ok((changes_split(copied.split), Some(begin)))
    };
    copied.iter().map(lane).collect()
}

/// Moves what has changed in one split's rows until nothing is left.
///
/// # Errors
/// As [`worker::move_stream`].
pub(super) async fn move_changes(job: &Job<'_>, begin: Position, session: &mut dyn Session, progress: &mut Progress) -> Result<()> {
    let found = session.open_stream(&job.stream.write, job.split, false).await?;
    if let Some(found) = &found {
        // Either way it is in the checkpoint what is durable.
        commit::found(job, session, found, progress).await?;
        if found.run == job.run && found.complete {
            // The answer was lost, not the commit.
            progress.checkpoint = Some(found.clone());
            job.end.seen(found).await;
            return Ok(());
        }
    }
    let checkpoint = match found {
        Some(found) if found.run == job.run => found,
        found => {
            let write = (job.run, session.epoch());
            let fresh = resume::fresh(job.stream, job.project, write, (job.moment, false), false);
            // The figures are those of this following, the place is where the last one stopped.
            Checkpoint {
                split: job.split,
                sequence: found.as_ref().map_or(0, |found| found.sequence),
                position: found.and_then(|found| found.position).or(Some(begin)),
                ..fresh
            }
        }
    };
    progress.checkpoint = Some(checkpoint.clone());
    match worker::move_rows(job, session, checkpoint, progress).await {
        Err(error) if error.kind() == ErrorKind::Void => Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "the source does not tell any more what has changed in stream `{}` since the last run",
                job.stream.name
            ),
        )
        .hint(format!(
            "copy it again: `dbferry run PROJECT --only {} --restart`",
            job.stream.name
        ))),
        outcome => outcome.map(drop),
    }
}

/// When all changes of a stream are there: its rejects for the sake of other rows, once more.
///
/// # Errors
/// As [`retry_rejects::retry_stream`].
pub(super) async fn retry_waiting(
    job: &Job<'_>,
    copied: &[Checkpoint],
    sink: &dyn Sink,
    session: &mut dyn Session,
    progress: &mut Progress,
) -> Result<()> {
    let waits = |reason: &str| {
        [Reason::ForeignKey, Reason::Duplicate, Reason::KeyCollision]
            .iter()
            .any(|waits| waits.name() == reason)
    };
    retry_rejects::retry_stream(job, copied, waits, sink, session, progress)
        .await
        .map(drop)
}
