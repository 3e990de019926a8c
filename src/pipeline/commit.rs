//! Committing a batch: its figures are compared, then rows, rejects, checkpoint and ledger entry
//! commit at once, and only when they are durable is anyone told (Invariants 1 to 4).
//!
//! Where a target can do so, it answers a commit before that is on its disk, or before it was carried out at
//! all, while the next batch is on its way. What is on the disk is always
//! what was committed up to some batch, so that a crash of the server only sets the checkpoint back. A
//! *group* of such batches becomes durable with its last one, within about a second; until then
//! none of them is counted or told of. Whatever others rely on is durable by itself: the batch that
//! completes a stream or split, and one with rejects, which may stop the run. After a lost connection the
//! checkpoint in the target tells which batches are there.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::event::Event;
use super::tally::{BatchTally, Reasons};
use super::throttle::Pace;
use super::worker::{Job, Progress, disagreement, give_up};
use crate::data::counts::Counts;
use crate::data::kinds::KindCounts;
use crate::data::position::Position;
use crate::data::reject::Reason;
use crate::ledger::{BatchEntry, Checkpoint};
use crate::sink::{Durable, Session};
use crate::{ErrorKind, Result};

/// Most batches of a group.
const GROUP_BATCHES_MAX: usize = 128;
/// Longest time from the first commit of a group to the one that makes it durable, about.
const GROUP_TIME_MAX: Duration = Duration::from_secs(1);

/// A batch of this run of which it is not known yet whether it is durable.
pub(super) struct InDoubt {
    after: Checkpoint,
    counts: Counts,
    bytes: u64,
    reasons: Reasons,
    classes: Vec<(Reason, u64)>,
    resolved: u64,
    kinds: KindCounts,
    over: u64,
    /// From its beginning to its commit.
    took: Duration,
    committed_at: Instant,
}

/// Validates the batch's own figures, then commits rows, rejects, checkpoint and ledger entry at
/// once, durably with all batches before it, and only then tells.
pub(super) async fn commit(
    job: &Job<'_>,
    session: &mut dyn Session,
    before: Checkpoint,
    batch: BatchTally,
    complete: bool,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    commit_as(job, session, before, batch, (complete, true), progress).await
}

/// The same of a batch that others follow: it is durable at the end of its group. [`flush`] is called
/// where that does not come.
pub(super) async fn commit_in_group(
    job: &Job<'_>,
    session: &mut dyn Session,
    before: Checkpoint,
    batch: BatchTally,
    complete: bool,
    progress: &mut Progress,
) -> Result<Checkpoint> {
    let group = &progress.in_doubt;
    let ends = group.len() + 1 >= GROUP_BATCHES_MAX
        || group.first().is_some_and(|first| first.committed_at.elapsed() >= GROUP_TIME_MAX)
        // What comes slowly gains nothing, and what is told first is told soon.
        || job.pace.is_some_and(Pace::has_rate)
        || before.sequence == 0;
    let durable = ends || complete || batch.counts.rejected > 0;
    commit_as(job, session, before, batch, (complete, durable), progress).await
}

async fn commit_as(
    job: &Job<'_>,
    session: &mut dyn Session,
    before: Checkpoint,
    batch: BatchTally,
    (complete, durable): (bool, bool),
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
    progress.in_doubt.push(InDoubt {
        after: after.clone(),
        counts: batch.counts,
        bytes: batch.source_bytes,
        reasons: batch.reasons,
        classes: batch.classes.into_values().collect(),
        resolved: batch.resolved,
        kinds: batch.kinds,
        over: batch.over,
        took: batch.began.elapsed(),
        committed_at: Instant::now(),
    });
    let committed = if durable {
        session.commit(&after, &entry).await.map(|()| Durable::All)
    } else {
        session.commit_soon(&after, &entry).await
    };
    let durable = match committed {
        Ok(durable) => durable,
        Err(error) => {
            if error.kind() != ErrorKind::Lost {
                // It is known that nothing came of it.
                progress.in_doubt.pop();
            }
            return Err(error);
        }
    };
    if let Some(committed) = progress.in_doubt.last_mut() {
        committed.committed_at = Instant::now();
        committed.took = batch.began.elapsed();
    }
    if let Some(state) = &mut end {
        state.is_complete(&after);
    }
    drop(end);
    let last = match durable {
        Durable::All => None,
        Durable::Before => progress.in_doubt.pop(),
        Durable::Unknown => return Ok(after),
    };
    settle(job, &after, progress);
    progress.in_doubt.extend(last);
    Ok(after)
}

/// Makes durable what is committed of a group that nothing follows, and tells.
///
/// # Errors
/// [`crate::ErrorKind::Lost`]: nothing is known then until the checkpoint is read again.
pub(super) async fn flush(job: &Job<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<()> {
    let Some(last) = progress.in_doubt.last() else {
        return Ok(());
    };
    let after = last.after.clone();
    session.flush().await?;
    settle(job, &after, progress);
    Ok(())
}

/// What became of batches whose outcome was unknown is in the checkpoint that was found, on the session
/// that has the split open. That it can be seen does not mean that it is durable.
///
/// # Errors
/// As those of [`flush`].
pub(super) async fn found(job: &Job<'_>, session: &mut dyn Session, found: &Checkpoint, progress: &mut Progress) -> Result<()> {
    if !progress.in_doubt.is_empty() {
        session.flush().await?;
        settle(job, found, progress);
    }
    Ok(())
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

/// Counts the batches up to a durable checkpoint, and tells of them; those behind it are not in the
/// target, and forgotten. Returns whether the last one is there.
pub(super) fn settle(job: &Job<'_>, found: &Checkpoint, progress: &mut Progress) -> bool {
    let mut is_there = false;
    for batch in std::mem::take(&mut progress.in_doubt) {
        is_there = found.run == job.run && batch.after.sequence <= found.sequence;
        if is_there {
            tell(job, batch, progress);
        }
    }
    is_there
}

fn tell(job: &Job<'_>, batch: InDoubt, progress: &mut Progress) {
    let stream = batch.after.stream.clone();
    let (sequence, counts) = (batch.after.sequence, batch.counts);
    progress.resolved += batch.resolved;
    // Those of before the run are counted when it begins, unless it forgets them.
    let before = job.rejects.load(Ordering::Relaxed);
    job.rejects.fetch_sub(batch.resolved.min(before), Ordering::Relaxed);
    progress.tally.kinds.merge(&batch.kinds);
    progress.tally.over += batch.over;
    progress.tally.bytes += batch.bytes;
    committed(job, progress, counts, batch.reasons);
    progress.checkpoint = Some(batch.after);
    if counts.rejected > 0 {
        (job.events)(Event::Rejected {
            stream: stream.clone(),
            rows: counts.rejected,
            reasons: batch.classes,
        });
    }
    (job.events)(Event::BatchCommitted {
        stream,
        sequence,
        counts,
        took: batch.took,
    });
}

/// Counts a batch that is durable.
pub(super) fn committed(job: &Job<'_>, progress: &mut Progress, counts: Counts, reasons: Reasons) {
    job.rejects.fetch_add(counts.rejected, Ordering::Relaxed);
    progress.tally.committed(counts, reasons);
}
