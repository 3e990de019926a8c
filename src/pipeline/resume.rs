//! Resuming: where a stream goes on, and whether it may.

use uuid::Uuid;

use super::event::Event;
use super::fingerprint;
use super::foreign_keys;
use super::plan::PlannedStream;
use super::worker::{self, Job, Progress};
use crate::data::counts::Counts;
use crate::data::digest::Digest;
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
    if let Some((sequence, counts, reasons)) = progress.in_doubt.take()
        && found
            .as_ref()
            .is_some_and(|checkpoint| checkpoint.run == job.run && checkpoint.sequence == sequence)
    {
        worker::committed(job, progress, counts, reasons);
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
            job.moment,
            target_was_empty,
        );
        foreign_keys::suspend(job.stream, &checkpoint, session).await?;
        progress.checkpoint = Some(checkpoint.clone());
        return Ok(checkpoint);
    };
    job.end.seen(&checkpoint).await;
    check_fingerprint(job.stream, &checkpoint)?;
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

/// Where a stream begins.
pub(super) fn fresh(
    stream: &PlannedStream,
    project: &str,
    (run, epoch): (Uuid, i64),
    moment: &str,
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
        one_moment: true,
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
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("the {what} of stream `{}` has changed since run {} {done} it", stream.name, checkpoint.run),
    )
    .hint(format!(
        "put it back to go on, or move the stream from its beginning: `dbferry run PROJECT --only {} --restart` (with on_conflict = \"update\" rows already moved are compared, not doubled)",
        stream.name
    )))
}
