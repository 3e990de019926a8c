//! What came of backfills, for people.

use std::time::Duration;

use crate::cli::figures;
use crate::cli::intent::BackfillIntent;
use crate::cli::next::{self, Step};
use crate::cli::output::visible;
use crate::cli::summary::reject_lines;
use crate::cli::table::{Align, Grid};
use crate::pipeline::backfill::{BackfillReport, Backfilled};
use crate::pipeline::report::{RunStatus, StreamStatus};
use crate::verify::in_place::Recomputed;

/// A line for each backfill, and how it ended.
pub(super) fn table(report: &BackfillReport, color: bool) -> String {
    let heads = [
        ("backfill", Align::Left),
        ("read", Align::Right),
        ("updated", Align::Right),
        ("right already", Align::Right),
        ("rejected", Align::Right),
        ("batches", Align::Right),
        ("paused", Align::Right),
        ("time", Align::Right),
        ("status", Align::Left),
    ];
    let mut grid = Grid::new(&heads, color);
    let time = |seconds: f64| figures::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    for backfill in &report.backfills {
        grid.row([
            backfill.name.clone(),
            figures::count(backfill.read),
            figures::count(backfill.updated),
            figures::count(backfill.skipped),
            figures::count(backfill.rejected),
            figures::count(backfill.batches),
            if backfill.paused_seconds > 0.0 {
                time(backfill.paused_seconds)
            } else {
                "–".to_owned()
            },
            time(backfill.seconds),
            status(backfill),
        ]);
    }
    format!("{}\n{}\n", grid.render(), outcome(report))
}

fn status(backfill: &Backfilled) -> String {
    let status = match backfill.status {
        StreamStatus::Pending => "not begun",
        StreamStatus::Partial => "incomplete",
        StreamStatus::Complete => "complete",
        StreamStatus::AlreadyComplete => "complete before",
    };
    match backfill.pending {
        Some(rows) if rows > 0 => format!("{status}, {} still pending", figures::counted(rows, "row")),
        _ => status.to_owned(),
    }
}

/// One sentence: how it ended, and what stays of it.
fn outcome(report: &BackfillReport) -> String {
    let ended = match report.status {
        RunStatus::Done => "done",
        RunStatus::Rejects => "complete, with rejects",
        RunStatus::TooManyRejects => "stopped: more rejects than allowed",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Failed => "failed",
    };
    match report.status {
        _ if report.dry_run => format!("{ended}; this was a dry run: every batch was rolled back, nothing was written"),
        RunStatus::Done | RunStatus::Rejects => ended.to_owned(),
        _ => format!("{ended}; what the table shows is committed"),
    }
}

/// What came of comparing.
pub(super) fn compared(compared: &[Recomputed], color: bool) -> String {
    let heads = [
        ("computed again", Align::Left),
        ("rows", Align::Right),
        ("equal", Align::Right),
        ("different", Align::Right),
        ("refused", Align::Right),
    ];
    let mut grid = Grid::new(&heads, color);
    for found in compared {
        grid.row([
            found.name.clone(),
            figures::count(found.rows),
            figures::count(found.equal),
            figures::count(found.different),
            figures::count(found.refused),
        ]);
    }
    let mut text = format!("{}\n", grid.render());
    for found in compared.iter().filter(|found| found.different > 0) {
        let more = if found.different > found.keys.len() as u64 {
            ", …"
        } else {
            ""
        };
        text.push_str(&visible(&format!(
            "{} differs at keys {}{more}",
            found.name,
            found.keys.join("; ")
        )));
        text.push('\n');
    }
    let refused: u64 = compared.iter().map(|found| found.refused).sum();
    let verdict = if compared.iter().any(|found| found.different > 0) {
        "different".to_owned()
    } else if refused > 0 {
        let rows = figures::counted(refused, "row");
        format!("equal, but for {rows} that the expressions refuse")
    } else {
        "equal: every row holds what its expressions give".to_owned()
    };
    text.push_str(&verdict);
    text.push('\n');
    text
}

/// The rejects of a run, by reason and column; empty where there are none.
pub(super) fn rejects(report: &BackfillReport) -> String {
    let told = report.backfills.iter();
    let told = told.map(|one| {
        (
            one.name.as_str(),
            &one.reasons[..],
            one.rejects_open.saturating_sub(one.rejected),
        )
    });
    reject_lines(told, report.dry_run)
}

/// What can be done next.
pub(super) fn steps(intent: &BackfillIntent, report: Option<&BackfillReport>, compared: Option<&[Recomputed]>) -> String {
    let color = false;
    let mut steps = Vec::new();
    let mut step = |what: &'static str, command: String| steps.push(Step { what, command });
    let Some(report) = report else {
        if compared.is_some_and(|compared| compared.iter().any(|found| found.different > 0)) {
            step("compute all of them anew", intent.again(&["--restart"]));
        }
        return next::render(&steps, color);
    };
    let rejected = report.backfills.iter().any(|backfill| backfill.rejects_open > 0);
    match report.status {
        RunStatus::Done | RunStatus::Rejects if report.dry_run => step("do it", intent.again(&[])),
        RunStatus::Interrupted | RunStatus::Failed => step("go on", intent.again(&[])),
        RunStatus::TooManyRejects => step("go on all the same", intent.again(&["--max-rejects", "ROWS"])),
        RunStatus::Done | RunStatus::Rejects => {}
    }
    if rejected && !report.dry_run {
        step(
            "which rows are rejected",
            intent.invocation.command("stats", &["--show-keys"]),
        );
    }
    if matches!(report.status, RunStatus::Done | RunStatus::Rejects) && !report.dry_run && compared.is_none() {
        step("is it all right", intent.invocation.command("backfill", &["--verify-only"]));
    }
    next::render(&steps, color)
}
