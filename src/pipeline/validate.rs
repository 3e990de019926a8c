//! Validation of a whole stream. (Each batch is validated before it commits, by the worker and by
//! the sink.)

use std::time::Duration;

use super::shutdown;
use super::worker::{Job, Progress};
use crate::data::position::Position;
use crate::ledger::{Checkpoint, REPAIR_SPLIT};
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// How often keys are counted again where too few were found.
const RECOUNTS_MAX: u32 = 3;
const RECOUNT_PAUSE: Duration = Duration::from_millis(500);

/// Before the batch that completes a stream commits: the source's own count against what the
/// ledger accounts for, and the target's own count, as the open transaction sees it, against what
/// was inserted. A stream that does not add up is never marked complete.
///
/// # Errors
/// [`ErrorKind::Validation`] where figures disagree.
pub(super) async fn completion(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    progress: &mut Progress,
) -> Result<()> {
    let in_place = job.stream.write.options.in_place;
    if job.stream.subject.is_some() || job.stream.follows || job.split == REPAIR_SPLIT || in_place {
        // The few rows of a subject, or of a repair, were counted and looked for one by one; of
        // changes nobody knows how many there are before they have come.
        return Ok(());
    }
    let stream = job.stream;
    // What has expired since is no loss: the replies to every batch have said that its rows were there.
    let target = if stream.write.expires() {
        None
    } else {
        Some(counted(job, session, checkpoint).await?)
    };
    let counts = checkpoint.counts;
    let disagree = |what: String| Err(Error::new(ErrorKind::Validation, format!("stream `{}`: {what}", stream.name)));
    progress.warnings.clear();
    if let Some(source) = job.source_rows.filter(|rows| *rows != counts.read) {
        if checkpoint.one_moment {
            return disagree(format!("the source holds {source} rows, but {} were read", counts.read));
        }
        progress.warnings.push(format!(
            "stream `{}`: the source holds {source} rows now, {} were read over several moments; `run --restart` reads it in one",
            stream.name, counts.read
        ));
    }
    // Keys are told by their pattern alone, which those of others may fit.
    let exact = checkpoint.target_was_empty && stream.only_writer && stream.write.keyed.is_none();
    if let Some(target) = target {
        if exact && target != counts.inserted {
            return disagree(format!(
                "{} rows were inserted into an empty table, but it holds {target}",
                counts.inserted
            ));
        }
        if let Some(missing) = missing(job, checkpoint, target) {
            return disagree(missing);
        }
    }
    progress.target_rows = target;
    Ok(())
}

/// What the target holds. Keys that go from one node to another while they are counted may not be met:
/// where too few are found, they are counted again.
async fn counted(job: &Job<'_>, session: &mut dyn Session, checkpoint: &Checkpoint) -> Result<u64> {
    let mut target = session.count().await?;
    for _ in 0..RECOUNTS_MAX {
        if job.stream.write.keyed.is_none() || missing(job, checkpoint, target).is_none() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(RECOUNT_PAUSE) => target = session.count().await?,
            () = job.shutdown.cancelled() => return Err(shutdown::interrupted()),
        }
    }
    Ok(target)
}

/// A stream that an earlier run completed: rows that are gone since are told, but are no error,
/// for the target's application may have deleted them.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] where all of them are gone.
pub(super) async fn complete_before(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    progress: &mut Progress,
) -> Result<()> {
    let target = session.count().await?;
    let counts = checkpoint.counts;
    if target == 0 && !job.stream.write.expires() && counts.inserted + counts.updated + counts.skipped > 0 {
        // Nobody empties a table row by row: it was dropped, made again, or truncated.
        return Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "stream `{}` is complete since run {}, but {} now",
                job.stream.name,
                checkpoint.run,
                if job.stream.write.keyed.is_some() {
                    "none of its keys is there"
                } else {
                    "its target table is empty"
                }
            ),
        )
        .hint(format!(
            "move it again from its beginning: `dbferry run PROJECT --only {} --restart`",
            job.stream.name
        )));
    }
    if let Some(missing) = missing(job, checkpoint, target) {
        progress.warnings = vec![format!(
            "stream `{}` is complete since an earlier run, but {missing} now; `run --only {} --restart` moves it again",
            job.stream.name, job.stream.name
        )];
    }
    progress.target_rows = Some(target);
    Ok(())
}

fn missing(job: &Job<'_>, checkpoint: &Checkpoint, target: u64) -> Option<String> {
    let counts = checkpoint.counts;
    // Of a table that is read as it is stored, a row that was replaced between two moments comes twice.
    let twice = !checkpoint.one_moment && matches!(checkpoint.position, Some(Position::Stored { .. }));
    let arrived = counts.inserted + if twice { 0 } else { counts.updated + counts.skipped };
    let told = target < arrived && job.stream.write.keys_distinct && !job.stream.write.expires();
    let place = if job.stream.write.keyed.is_some() {
        "its keys hold"
    } else {
        "the table holds"
    };
    told.then(|| format!("{arrived} rows arrived, and {place} {target}"))
}
