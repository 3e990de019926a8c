//! Resuming: where a stream goes on, and whether it may.

use uuid::Uuid;

use super::commit;
use super::deferred;
use super::event::Event;
use super::fingerprint;
use super::foreign_keys;
use super::plan::PlannedStream;
use super::worker::{Job, Progress};
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::Position;
use crate::data::stream::OnConflict;
use crate::ledger::Checkpoint;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// Invariant 12: the position comes from the target, on the connection that is going to write.
pub(super) async fn open(job: &Job<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<Checkpoint> {
    let mut found = session.open_stream(&job.stream.write, job.split, false).await?;
    let anew = match &found {
        Some(checkpoint) => job.restart && checkpoint.run != job.run,
        None => !job.is_cut,
    };
    if anew {
        // A stream that begins also forgets the claims and rejects that its subjects left: it
        // meets those rows again.
        found = session.open_stream(&job.stream.write, job.split, true).await?;
    }
    match &found {
        // Either way it is in the checkpoint what is durable.
        Some(found) => commit::found(job, session, found, progress).await?,
        None => progress.in_doubt.clear(),
    }
    let Some(mut checkpoint) = found else {
        if job.is_cut {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                format!("split {} of stream `{}` is gone from the target", job.split, job.stream.name),
            ));
        }
        let target_was_empty = session.is_empty().await?;
        let checkpoint = fresh(
            job.stream,
            job.project,
            (job.run, session.epoch()),
            (job.moment, !job.source.is_live()),
            target_was_empty,
        );
        foreign_keys::suspend(job.stream, &checkpoint, session).await?;
        let rows = (job.source_rows, job.limits);
        deferred::take_away(job.stream, rows, target_was_empty, session, job.events).await?;
        progress.checkpoint = Some(checkpoint.clone());
        return Ok(checkpoint);
    };
    job.end.seen(&checkpoint).await;
    check_fingerprint(job.stream, &checkpoint)?;
    let position = checkpoint.position.as_ref();
    // A row that was replaced since lies behind those that were read.
    let replaced = checkpoint.moment != job.moment && matches!(position, Some(Position::Stored { .. }));
    if replaced || position.is_some_and(Position::meets_again) {
        open_over(job, session).await?;
    }
    foreign_keys::suspend(job.stream, &checkpoint, session).await?;
    if !checkpoint.complete && checkpoint.moment != job.moment && checkpoint.one_moment && checkpoint.sequence > 0 {
        checkpoint.one_moment = false;
        (job.events)(Event::Warning {
            stream: Some(job.stream.name.clone()),
            message: "another moment of the source than before the interruption: rows before the checkpoint are from the older one"
                .to_owned(),
        });
    }
    progress.checkpoint = Some(checkpoint.clone());
    Ok(checkpoint)
}

/// The place that a split goes on from is void: it begins again, over what is there. Its figures
/// are those of the new reading; `None` where the source cannot read a split again.
pub(super) async fn anew(
    job: &Job<'_>,
    before: Checkpoint,
    session: &mut dyn Session,
    progress: &mut Progress,
) -> Result<Option<Checkpoint>> {
    let Some(position) = before.position.as_ref().and_then(Position::anew) else {
        return Ok(None);
    };
    (job.events)(Event::Warning {
        stream: Some(job.stream.name.clone()),
        message: format!(
            "the source does not accept the place where split {} stopped any more: it is read again from its beginning, over what is there",
            job.split
        ),
    });
    let anew = Checkpoint {
        position: Some(position),
        counts: Counts::default(),
        digest: Digest::default(),
        target_was_empty: false,
        one_moment: false,
        ..before
    };
    open_over(job, session).await?;
    foreign_keys::suspend(job.stream, &anew, session).await?;
    progress.checkpoint = Some(anew.clone());
    Ok(Some(anew))
}

/// Rows that an earlier reading brought are no conflict where they are equal.
async fn open_over(job: &Job<'_>, session: &mut dyn Session) -> Result<()> {
    let mut write = job.stream.write.clone();
    if write.on_conflict != OnConflict::Error && !write.options.deferred {
        return Ok(());
    }
    if write.on_conflict == OnConflict::Error {
        write.on_conflict = OnConflict::ErrorUnlessEqual;
    }
    // They are found by keys, which are not to be away.
    write.options.deferred = false;
    session.open_stream(&write, job.split, false).await.map(drop)
}

/// Where a stream begins, in a moment of its source that is the only one it will see, or not.
pub(super) fn fresh(
    stream: &PlannedStream,
    project: &str,
    (run, epoch): (Uuid, i64),
    (moment, one_moment): (&str, bool),
    target_was_empty: bool,
) -> Checkpoint {
    Checkpoint {
        project: project.to_owned(),
        stream: stream.name.clone(),
        split: 0,
        sequence: 0,
        run,
        epoch,
        fingerprint: stream.fingerprint.clone(),
        moment: moment.to_owned(),
        one_moment,
        position: None,
        counts: Counts::default(),
        digest: Digest::default(),
        target_was_empty,
        complete: false,
    }
}

/// Invariant 8.
pub(super) fn check_fingerprint(stream: &PlannedStream, checkpoint: &Checkpoint) -> Result<()> {
    if checkpoint.fingerprint == stream.fingerprint {
        return Ok(());
    }
    let what = fingerprint::what_changed(&checkpoint.fingerprint, &stream.fingerprint);
    let done = if checkpoint.complete { "completed" } else { "began" };
    let error = Error::new(
        ErrorKind::Checkpoint,
        format!(
            "the {what} of stream `{}` has changed since run {} {done} it",
            stream.name, checkpoint.run
        ),
    );
    Err(if stream.write.options.in_place {
        error.hint(format!(
            "put it back to go on, or go through all rows again: `dbferry backfill PROJECT --only {} --restart`",
            stream.name
        ))
    } else {
        error.hint(format!(
            "put it back to go on, or move the stream from its beginning: `dbferry run PROJECT --only {} --restart` (with on_conflict = \"update\" rows already moved are compared, not doubled)",
            stream.name
        ))
    })
}
