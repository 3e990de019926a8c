//! Committing a batch: its figures are compared, then rows, rejects, checkpoint and ledger entry
//! become durable at once, and only then is anyone told (Invariants 1 to 4). After a lost connection
//! the checkpoint in the target tells whether that had happened.

use std::sync::atomic::Ordering;

use super::event::Event;
use super::tally::{BatchTally, Reasons};
use super::worker::{Job, Progress, disagreement, give_up};
use crate::Result;
use crate::data::counts::Counts;
use crate::data::kinds::KindCounts;
use crate::data::position::Position;
use crate::ledger::{BatchEntry, Checkpoint};
use crate::sink::Session;

/// A batch of this run of which it is not known yet whether it is durable.
pub(super) struct InDoubt {
    sequence: i64,
    counts: Counts,
    reasons: Reasons,
    resolved: u64,
    kinds: KindCounts,
    over: u64,
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
        let accounted = counts.filtered + counts.expired + counts.inserted + counts.updated + counts.skipped + counts.rejected;
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
    if let Some(read) = &batch.position {
        after.position = Some(Position::moved_on(after.position.as_ref(), read.clone()));
    }
    let entry = entry(&after, &batch, false);
    let mut end = None;
    if complete {
        match job.end.before_commit(job, session, &after, progress).await {
            Ok(state) => end = Some(state),
            Err(error) => return Err(give_up(session, error).await),
        }
    }
    progress.in_doubt = Some(InDoubt {
        sequence: after.sequence,
        counts: batch.counts,
        reasons: batch.reasons,
        resolved: batch.resolved,
        kinds: batch.kinds,
        over: batch.over,
    });
    session.commit(&after, &entry).await?;
    if let Some(state) = &mut end {
        state.is_complete(&after);
    }
    drop(end);
    settle(job, &after, progress);
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

/// What the audit trail records of a batch that leads to a checkpoint.
pub(super) fn entry(after: &Checkpoint, batch: &BatchTally, retry: bool) -> BatchEntry {
    // Rejects that are moved again come from anywhere.
    let last = after.position.as_ref().filter(|_| !retry).and_then(Position::after);
    BatchEntry {
        run: after.run,
        stream: after.stream.clone(),
        split: after.split,
        sequence: after.sequence,
        first_key: batch.first_key.clone(),
        last_key: last.cloned(),
        counts: batch.counts,
        digest: batch.digest,
        seconds: batch.began.elapsed().as_secs_f64(),
        retry,
    }
}

/// Counts the batch whose commit was begun, if this is its checkpoint: it is durable. Otherwise it
/// is not, and forgotten. Returns which.
pub(super) fn settle(job: &Job<'_>, found: &Checkpoint, progress: &mut Progress) -> bool {
    let Some(batch) = progress.in_doubt.take() else { return false };
    if (found.run, found.sequence) != (job.run, batch.sequence) {
        return false;
    }
    progress.resolved += batch.resolved;
    // Those of before the run are counted when it begins, unless it forgets them.
    let before = job.rejects.load(Ordering::Relaxed);
    job.rejects.fetch_sub(batch.resolved.min(before), Ordering::Relaxed);
    progress.tally.kinds.merge(&batch.kinds);
    progress.tally.over += batch.over;
    committed(job, progress, batch.counts, batch.reasons);
    true
}

/// Counts a batch that is durable.
pub(super) fn committed(job: &Job<'_>, progress: &mut Progress, counts: Counts, reasons: Reasons) {
    job.rejects.fetch_add(counts.rejected, Ordering::Relaxed);
    progress.tally.committed(counts, reasons);
}
