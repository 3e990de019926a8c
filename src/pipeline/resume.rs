//! Resuming: where a stream goes on, and whether it may.

use super::event::Event;
use super::fingerprint;
use super::worker::{Job, Progress};
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::ledger::Checkpoint;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// Invariant 12: the position comes from the target, on the connection that is going to write.
pub(super) async fn open(job: &Job<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<Checkpoint> {
    let mut found = session.open_stream(&job.stream.write, false).await?;
    if job.restart && found.as_ref().is_some_and(|checkpoint| checkpoint.run != job.run) {
        found = session.open_stream(&job.stream.write, true).await?;
    }
    if let Some((sequence, counts, reasons)) = progress.in_doubt.take()
        && found
            .as_ref()
            .is_some_and(|checkpoint| checkpoint.run == job.run && checkpoint.sequence == sequence)
    {
        progress.tally.committed(counts, reasons);
    }
    let Some(mut checkpoint) = found else {
        let target_was_empty = session.is_empty().await?;
        let checkpoint = fresh(job, session.epoch(), target_was_empty);
        progress.checkpoint = Some(checkpoint.clone());
        return Ok(checkpoint);
    };
    check_fingerprint(job, &checkpoint)?;
    if !checkpoint.complete && checkpoint.moment != job.moment && checkpoint.one_moment && checkpoint.sequence > 0 {
        checkpoint.one_moment = false;
        (job.events)(Event::Warning {
            stream: Some(job.stream.name.clone()),
            message: "the source has changed since the interrupted run: rows before the checkpoint are from the older moment"
                .to_owned(),
        });
    }
    progress.checkpoint = Some(checkpoint.clone());
    Ok(checkpoint)
}

fn fresh(job: &Job<'_>, epoch: i64, target_was_empty: bool) -> Checkpoint {
    Checkpoint {
        project: job.project.to_owned(),
        stream: job.stream.name.clone(),
        split: 0,
        sequence: 0,
        run: job.run,
        epoch,
        fingerprint: job.stream.fingerprint.clone(),
        moment: job.moment.to_owned(),
        one_moment: true,
        position: None,
        counts: Counts::default(),
        digest: Digest::default(),
        target_was_empty,
        complete: false,
    }
}

/// Invariant 8.
pub(super) fn check_fingerprint(job: &Job<'_>, checkpoint: &Checkpoint) -> Result<()> {
    if checkpoint.fingerprint == job.stream.fingerprint {
        return Ok(());
    }
    let what = fingerprint::what_changed(&checkpoint.fingerprint, &job.stream.fingerprint);
    let done = if checkpoint.complete { "completed" } else { "began" };
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("the {what} of stream `{}` has changed since run {} {done} it", job.stream.name, checkpoint.run),
    )
    .hint(format!(
        "put it back to go on, or move the stream from its beginning: `dbferry run PROJECT --only {} --restart` (with on_conflict = \"update\" rows already moved are compared, not doubled)",
        job.stream.name
    )))
}
