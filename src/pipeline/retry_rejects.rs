//! Moving stored rejects again, after rows or mapping were mended.
//!
//! The source rows are read again by their keys; a row that now moves resolves its reject, a row
//! that does not is recorded anew with today's reason. Counts of the stream's checkpoint follow:
//! what was rejected is now inserted, updated or skipped, and `read` stays.

use std::collections::HashMap;

use super::commit;
use super::feed::{self, Feed};
use super::hold;
use super::resume;
use super::tally::BatchTally;
use super::worker::{self, Job, Progress};
use crate::data::counts::Counts;
use crate::data::position::{Key, Position};
use crate::ledger::{Checkpoint, SUBJECT_SPLIT, StoredReject};
use crate::sink::{Session, Sink};
use crate::{Error, ErrorKind, Result};

/// Rejects read and retried in one batch.
const REJECTS_IN_BATCH_MAX: u32 = 1_000;

/// Retries every open reject of a stream whose reason is wanted once. Rejects whose source row is gone stay open;
/// their number is returned. `splits` are those that the stream is cut into: which of them a
/// reject came from is not recorded, so that each is given as many as it counted.
///
/// # Errors
/// As [`worker::move_stream`].
pub(super) async fn retry_stream(
    job: &Job<'_>,
    splits: &[Checkpoint],
    wanted: impl Fn(&str) -> bool,
    sink: &dyn Sink,
    session: &mut dyn Session,
    progress: &mut Progress,
) -> Result<u64> {
    let of_subjects: Vec<_>;
    let splits = if splits.is_empty() {
        let found = session.open_stream(&job.stream.write, SUBJECT_SPLIT, false).await?;
        of_subjects = found.into_iter().collect();
        &of_subjects
    } else {
        splits
    };
    let mut after = 0;
    let mut gone = 0;
    for (index, split) in splits.iter().enumerate() {
        let Some(mut checkpoint) = session.open_stream(&job.stream.write, split.split, false).await? else {
            continue;
        };
        check(job, splits, &checkpoint)?;
        let last = index + 1 == splits.len();
        let mut left = if last { u64::MAX } else { checkpoint.counts.rejected };
        while left > 0 {
            if job.shutdown.is_cancelled() {
                return Err(super::shutdown::interrupted());
            }
            // Rejects recorded anew during this pass have higher ids: the first id seen above the
            // last of the pass's beginning would be retried for ever, so runs are compared.
            let at_once = u32::try_from(job.limits.portion_rows_max).unwrap_or(u32::MAX);
            let at_once = at_once.clamp(1, REJECTS_IN_BATCH_MAX);
            let rows_max = u32::try_from(left).unwrap_or(u32::MAX).min(at_once);
            let stored = sink.rejects(job.project, Some(&job.stream.name), after, rows_max).await?;
            let Some(last) = stored.last() else { return Ok(gone) };
            after = last.id;
            let (stored, this_run): (Vec<_>, Vec<_>) = stored.into_iter().partition(|reject| reject.run != job.run);
            if stored.is_empty() && !this_run.is_empty() {
                return Ok(gone);
            }
            left = left.saturating_sub(stored.len() as u64);
            let stored: Vec<_> = stored.into_iter().filter(|reject| wanted(&reject.reason)).collect();
            if stored.is_empty() {
                continue;
            }
            if !job.stream.suspended.is_empty() {
                session.suspend(&job.stream.suspended).await?;
            }
            gone += retry_batch(job, session, &mut checkpoint, &stored, progress).await?;
        }
    }
    Ok(gone)
}

/// A mended mapping is what retrying is for: its fingerprint may differ once the stream is
/// complete. A stream that is not would go on under two mappings, which is refused.
fn check(job: &Job<'_>, splits: &[Checkpoint], checkpoint: &Checkpoint) -> Result<()> {
    if job.stream.source_key.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("stream `{}` is atomic: its rejects cannot be found by key", job.stream.name),
        )
        .hint("name a source_key in the mapping, or move the stream again with --restart"));
    }
    if splits.iter().all(|split| split.complete) {
        Ok(())
    } else {
        resume::check_fingerprint(job.stream, checkpoint)
    }
}

async fn retry_batch(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &mut Checkpoint,
    stored: &[StoredReject],
    progress: &mut Progress,
) -> Result<u64> {
    let mut ids: HashMap<String, Vec<i64>> = HashMap::new();
    for reject in stored {
        ids.entry(Position::Key(reject.key.clone()).to_json())
            .or_default()
            .push(reject.id);
    }
    let keys: Vec<Key> = stored.iter().map(|reject| reject.key.clone()).collect();
    let request = feed::request(job.stream, None, Some(keys), job.limits);
    let mut feed = Feed::of(job.source.read(request).await?, job.stream);
    session.begin(checkpoint.sequence, false).await?;
    match write(job, session, checkpoint, &mut feed, ids).await {
        Ok((batch, resolved, gone)) => {
            let weight = (batch.counts.read, batch.source_bytes);
            *checkpoint = commit_batch(job, session, checkpoint, batch, resolved, progress).await?;
            hold::pace_portion(job, Some(weight), &mut progress.held).await?;
            Ok(gone)
        }
        Err(error) => Err(worker::give_up(session, error).await),
    }
}

/// Writes what the source still has, and resolves those rejects. Returns the batch, how many
/// rejects it resolves, and how many rows are gone.
async fn write(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    feed: &mut Feed,
    mut ids: HashMap<String, Vec<i64>>,
) -> Result<(BatchTally, u64, u64)> {
    let mut batch = BatchTally::new();
    let mut resolved = Vec::new();
    while let Some(portion) = worker::next_portion(job, feed).await? {
        let read = (0..portion.source.keys.len()).map(|row| portion.source.keys.get(row));
        for key in read.chain(portion.source.rejects.iter().map(|reject| reject.key.clone())) {
            match ids.remove(&Position::Key(key).to_json()) {
                Some(found) => resolved.extend(found),
                None => {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        format!("stream `{}`: a row was read that is no reject", job.stream.name),
                    ));
                }
            }
        }
        worker::write_portion(job, session, checkpoint, portion, &mut batch).await?;
    }
    session.resolve(&resolved).await?;
    Ok((
        batch,
        resolved.len() as u64,
        ids.into_values().map(|ids| ids.len() as u64).sum(),
    ))
}

async fn commit_batch(
    job: &Job<'_>,
    session: &mut dyn Session,
    before: &Checkpoint,
    batch: BatchTally,
    resolved: u64,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    if !batch.counts.adds_up() {
        let error = worker::disagreement(
            job,
            "rejects taken up",
            resolved,
            "rows read that do not add up",
            batch.counts.read,
        );
        return Err(worker::give_up(session, error).await);
    }
    let mut after = before.clone();
    after.sequence += 1;
    after.run = job.run;
    after.epoch = session.epoch();
    after.fingerprint.clone_from(&job.stream.fingerprint);
    after.one_moment = after.one_moment && before.moment == job.moment;
    after.counts.rejected -= resolved.min(after.counts.rejected);
    after.counts += Counts { read: 0, ..batch.counts };
    after.digest.add(batch.digest);
    let entry = commit::entry(&after, &batch, true);
    session.commit(&after, &entry).await?;
    progress.tally.bytes += batch.source_bytes;
    commit::committed(job, progress, batch.counts, batch.reasons);
    progress.tally.over += batch.over;
    progress.resolved += resolved;
    progress.checkpoint = Some(after.clone());
    Ok(after)
}
