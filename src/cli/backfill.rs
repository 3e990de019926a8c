//! `dbferry backfill`: fills in columns of rows where they are, shows how it goes, and says what came
//! of it.

use serde::Serialize;

use super::failure::{self, ErrorDocument};
use super::files::Files;
use super::intent::BackfillIntent;
use super::output::{Console, Tone, visible};
use super::progress::{Doing, Progress};
use super::signals::{self, Stopping};
use crate::data::finding::listed;
use crate::pipeline::backfill::{self, BackfillPlan, BackfillReport, Backfilled};
use crate::pipeline::report::RunStatus;
use crate::pipeline::shutdown::Shutdown;
use crate::verify::in_place::{self, Recomputed};
use crate::{Error, Result, error};

mod text;

/// Keys of rows that differ are named up to this many.
const KEYS_MAX: usize = 10;

/// Backfills for programs. Its form is a promise, described in docs/output.md.
#[derive(Debug, Serialize)]
struct BackfillDocument<'a> {
    run: Option<&'a str>,
    project: &'a str,
    environment: &'a str,
    dry_run: bool,
    status: RunStatus,
    seconds: f64,
    backfills: &'a [Backfilled],
    /// What came of comparing, with `--verify` and `--verify-only`.
    verification: Option<&'a [Recomputed]>,
    warnings: &'a [String],
    error: Option<ErrorDocument>,
}

/// What came of all of it.
struct Came {
    report: Option<BackfillReport>,
    compared: Option<Result<Vec<Recomputed>>>,
}

pub(super) async fn run(intent: &BackfillIntent, console: &Console) -> Result<u8> {
    let invocation = &intent.invocation;
    let files = Files::load_any(invocation)?;
    let planned = Box::pin(backfill::plan(&files.project, &files.config, &intent.plan)).await?;
    let findings = &planned.plan.findings;
    if !findings.is_empty() {
        console.note(&failure::findings(findings, Some(invocation), console.note_color));
    }
    if !planned.plan.disabled.is_empty() {
        let names = listed(&planned.plan.disabled);
        console.note(&format!("left out, a connection is disabled: {}", visible(&names)));
    }
    let shutdown = Shutdown::new();
    signals::watch(console.clone(), shutdown.clone(), stopping(intent))?;
    let came = carried_out(intent, &planned, &shutdown, console).await;
    tell(intent, (&files, &came), console)
}

async fn carried_out(intent: &BackfillIntent, planned: &BackfillPlan, shutdown: &Shutdown, console: &Console) -> Came {
    let title = format!("{} in {}", planned.plan.project, planned.plan.environment);
    let mut report = None;
    if intent.fills {
        let progress = Progress::new(console, &title, Doing::FillingIn);
        report = Some(Box::pin(backfill::run(planned, intent.how, progress.events(), shutdown.clone())).await);
    }
    let complete = |report: &BackfillReport| matches!(report.status, RunStatus::Done | RunStatus::Rejects);
    let verifies = intent.verifies && report.as_ref().is_none_or(complete);
    let mut compared = None;
    if verifies {
        compared = Some(Box::pin(in_place::recompute(planned, KEYS_MAX, shutdown)).await);
    }
    Came { report, compared }
}

fn stopping(intent: &BackfillIntent) -> Stopping {
    let aborted = if intent.how.dry_run || !intent.fills {
        "aborted: nothing was written".to_owned()
    } else {
        format!(
            "aborted: the batch in flight is rolled back; go on after the last committed one with\n  {}",
            intent.again(&[])
        )
    };
    Stopping {
        asked: "finishing the batch in flight; press Ctrl-C again to abort",
        aborted,
    }
}

/// The result to stdout, then what people want to know to stderr.
fn tell(intent: &BackfillIntent, (files, came): (&Files, &Came), console: &Console) -> Result<u8> {
    let color = console.note_color;
    let failed = failed(intent, came);
    let compared = came.compared.as_ref().and_then(|compared| compared.as_deref().ok());
    let printed = if console.is_json() {
        console.document(&document(intent, files, came))
    } else {
        let mut text = String::new();
        if let Some(report) = &came.report {
            text.push_str(&text::table(report, console.result_color));
        }
        if let Some(compared) = compared {
            text.push_str(&text::compared(compared, console.result_color));
        }
        console.result(&text)
    };
    if let Some(report) = &came.report {
        let rejects = text::rejects(report);
        if !rejects.is_empty() {
            console.note(&rejects);
        }
        for warning in &report.warnings {
            console.note(&format!("{} {}", Tone::Caution.paint("warning:", color), visible(warning)));
        }
    }
    if let Some(error) = failed {
        console.note(&failure::lines(error.message(), error.hint(), color));
    }
    let steps = text::steps(intent, came.report.as_ref(), compared);
    if !steps.is_empty() {
        console.note(&steps);
    }
    printed?;
    Ok(exit_code(came))
}

fn failed(intent: &BackfillIntent, came: &Came) -> Option<ErrorDocument> {
    let invocation = &intent.invocation;
    let stopped = came.report.as_ref().and_then(|report| {
        ErrorDocument::of_stopped(
            (report.error.as_ref(), report.hint.as_ref()),
            (report.error_kind, report.exit_code()),
            invocation,
        )
    });
    let not_compared = || match &came.compared {
        Some(Err(error)) => Some(ErrorDocument::of(error, Some(invocation))),
        _ => None,
    };
    stopped.or_else(not_compared)
}

fn document<'a>(intent: &'a BackfillIntent, files: &'a Files, came: &'a Came) -> BackfillDocument<'a> {
    let report = came.report.as_ref();
    let compared = came.compared.as_ref().and_then(|compared| compared.as_deref().ok());
    BackfillDocument {
        run: report.map(|report| report.run.as_str()),
        project: &files.project.name,
        environment: &files.config.environment,
        dry_run: intent.how.dry_run,
        status: match (report, &came.compared) {
            (Some(report), Some(Err(_))) if report.error.is_none() => RunStatus::Failed,
            (Some(report), _) => report.status,
            (None, Some(Err(_))) => RunStatus::Failed,
            (None, _) => RunStatus::Done,
        },
        seconds: report.map_or(0.0, |report| report.seconds),
        backfills: report.map_or(&[], |report| &report.backfills),
        verification: compared,
        warnings: report.map_or(&[], |report| &report.warnings),
        error: failed(intent, came),
    }
}

/// A difference weighs more than a reject, and what stopped it more than either.
fn exit_code(came: &Came) -> u8 {
    let own = came.report.as_ref().map_or(error::EXIT_DONE, BackfillReport::exit_code);
    if own != error::EXIT_DONE && own != error::EXIT_REJECTS {
        return own;
    }
    match &came.compared {
        Some(Err(error)) => of_error(error),
        Some(Ok(compared)) if compared.iter().any(|found| found.different > 0) => error::EXIT_DIFFERENCES,
        Some(Ok(compared)) if compared.iter().any(|found| found.refused > 0) => error::EXIT_REJECTS,
        _ => own,
    }
}

fn of_error(error: &Error) -> u8 {
    error.kind().policy().exit
}
