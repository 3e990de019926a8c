//! Where a stream is held back: before a batch begins, with nothing open.

use super::commit;
use super::feed::Portion;
use super::throttle::Held;
use super::worker::{Job, Progress};
use crate::Result;
use crate::sink::Session;

/// Holds back before a batch begins: while others suffer, and until its first portion is due.
pub(super) async fn hold(job: &Job<'_>, session: &mut dyn Session, next: Option<Weight>, progress: &mut Progress) -> Result<()> {
    let Some(pace) = job.pace else { return Ok(()) };
    if pace.is_strained() {
        commit::flush(job, session, progress).await?;
        pace.pause(&mut progress.held, job.shutdown).await?;
    }
    pace_portion(job, next, &mut progress.held).await
}

/// Rows and bytes of the source.
pub(super) type Weight = (u64, u64);

/// What a portion weighs.
pub(super) fn weight(portion: &Portion) -> Weight {
    (portion.source.read(), portion.source.bytes)
}

/// Whether a portion may be written at once.
pub(super) fn is_due(job: &Job<'_>, portion: Option<Weight>) -> bool {
    match (job.pace, portion) {
        (Some(pace), Some((rows, bytes))) => pace.is_due(rows, bytes),
        _ => true,
    }
}

/// Waits until a portion of that weight is due.
pub(super) async fn pace_portion(job: &Job<'_>, portion: Option<Weight>, held: &mut Held) -> Result<()> {
    match (job.pace, portion) {
        (Some(pace), Some((rows, bytes))) => pace.wait(rows, bytes, held, job.shutdown).await,
        _ => Ok(()),
    }
}
