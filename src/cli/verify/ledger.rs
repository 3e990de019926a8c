//! `dbferry verify --ledger`: which committed batches the target still holds as they were committed.

use super::document::VerifyDocument;
use super::title;
use crate::cli::files::Files;
use crate::cli::intent::VerifyIntent;
use crate::cli::next;
use crate::cli::output::{Console, Tone, visible};
use crate::cli::progress::{Doing, Progress};
use crate::pipeline::plan::Plan;
use crate::pipeline::shutdown::Shutdown;
use crate::verify::ledger;
use crate::verify::ledger::report::{LedgerReport, LedgerStatus};
use crate::{Result, error};

mod text;

use text::text;

pub(super) async fn run(plan: Plan, intent: &VerifyIntent, files: &Files, shutdown: &Shutdown, console: &Console) -> Result<u8> {
    let progress = Progress::new(console, &title(&plan, intent), Doing::Comparing);
    let most = intent.verify.max_differences;
    let report = Box::pin(ledger::check(plan, &files.config, most, progress.events(), shutdown)).await;
    drop(progress);
    let report = report?;
    let printed = if console.is_json() {
        console.document(&VerifyDocument::of(&report))
    } else {
        console.result(&text(&report, console.result_color))
    };
    told_beside(intent, &report, console);
    printed?;
    Ok(exit_code(&report))
}

fn told_beside(intent: &VerifyIntent, report: &LedgerReport, console: &Console) {
    let caution = Tone::Caution.paint("warning:", console.note_color);
    for warning in &report.warnings {
        console.note(&format!("{caution} {}", visible(warning)));
    }
    let steps = next::render(&next::after_ledger(intent, report), console.note_color);
    if !steps.is_empty() {
        console.note(&steps);
    }
}

/// Where nothing could be compared nothing is shown to be as it was (Invariant 16).
const fn exit_code(report: &LedgerReport) -> u8 {
    match report.status {
        LedgerStatus::Unchanged => error::EXIT_DONE,
        LedgerStatus::Changed | LedgerStatus::Unchecked => error::EXIT_DIFFERENCES,
    }
}
