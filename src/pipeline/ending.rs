//! How a run ends: what its streams came to, what the targets record of it, and its report.

use std::collections::BTreeMap;

use super::foreign_keys;
use super::lane::Ended;
use super::report::{RunReport, RunStatus, StreamReport, StreamStatus};
use super::tally::Reasons;
use super::work::Run;
use crate::data::counts::Counts;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

/// Puts what a stream came to into its report.
pub(super) fn take_in(run: &Run, ended: Ended, report: &mut StreamReport) -> Result<()> {
    let mut counts = Counts::default();
    let mut reasons = Reasons::default();
    let mut splits: BTreeMap<i32, Checkpoint> = ended.found.into_iter().map(|found| (found.split, found)).collect();
    let (mut resolved, mut over) = (0, 0);
    for progress in ended.progress {
        counts += progress.tally.counts;
        report.batches += progress.tally.batches;
        report.bytes += progress.tally.bytes;
        reasons.merge(progress.tally.reasons);
        if let Some(leaves) = &mut report.leaves {
            leaves.left.merge(&progress.tally.kinds);
        }
        report.waited_seconds += progress.held.waited.as_secs_f64();
        report.paused_seconds += progress.held.paused.as_secs_f64();
        resolved += progress.resolved;
        over += progress.tally.over;
        report.target_rows = report.target_rows.or(progress.target_rows);
        progress.warnings.into_iter().for_each(|warning| run.note(warning));
        splits.extend(progress.checkpoint.map(|checkpoint| (checkpoint.split, checkpoint)));
    }
    if over > 0 {
        run.note(format!(
            "stream `{}`: {over} rows went over earlier rows with the same key",
            report.name
        ));
    }
    report.seconds = ended.seconds;
    report.set_counts(counts);
    report.reasons = reasons.report();
    report.rejects_open = (report.rejects_open + counts.rejected).saturating_sub(resolved);
    if let Some(whole) = Checkpoint::whole(splits.values()) {
        report.status = match (whole.complete, report.batches) {
            (true, 0) => StreamStatus::AlreadyComplete,
            (true, _) => StreamStatus::Complete,
            (false, _) => StreamStatus::Partial,
        };
    }
    report.waits_for = ended.waits_for;
    ended.outcome
}

/// Records how the run ended, where it ran.
pub(super) async fn finish(run: &Run, outcome: Result<()>, report: &mut RunReport) -> Result<()> {
    if outcome.is_err() {
        foreign_keys::warn(run).await;
    }
    let (_, status) = ending_of(&outcome, any_rejected(report));
    for (connection, pool) in &run.pools {
        if let Err(error) = pool.finish(status).await {
            run.note(format!("the end of the run could not be recorded in `{connection}`: {error}"));
        }
    }
    report.warnings.extend(run.take_notes());
    outcome
}

fn any_rejected(report: &RunReport) -> bool {
    report.streams.iter().any(|stream| stream.rejects_open > 0)
}

/// How something ended that leaves rejects or not, and what its targets record of that.
pub(super) fn ending_of(outcome: &Result<()>, rejected: bool) -> (RunStatus, &'static str) {
    match outcome {
        Ok(()) if rejected => (RunStatus::Rejects, "rejects"),
        Ok(()) => (RunStatus::Done, "done"),
        Err(error) => match error.kind() {
            ErrorKind::Interrupted => (RunStatus::Interrupted, "interrupted"),
            ErrorKind::Rejects => (RunStatus::TooManyRejects, "rejects"),
            _ => (RunStatus::Failed, "failed"),
        },
    }
}

/// Puts into the report how the run ended.
pub(super) fn conclude(report: &mut RunReport, outcome: Result<()>) {
    (report.status, _) = ending_of(&outcome, any_rejected(report));
    if let Err(error) = outcome {
        report.error = Some(chain(&error));
        report.hint = Some(error.advice().to_owned());
        report.error_kind = Some(error.kind());
    }
}

/// The message with its causes.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
