//! `dbferry verify`: compares source and target, shows how it goes, and names what differs.

use super::failure;
use super::files::Files;
use super::intent::{ReportPath, RunIntent, VerifyIntent};
use super::output::{Console, Tone, visible};
use super::progress::{Doing, Progress};
use super::signals::{self, Stopping};
use super::{next, schema};
use crate::pipeline::plan::{self, Plan};
use crate::pipeline::shutdown::Shutdown;
use crate::verify::report::{Verdict, VerifyReport};
use crate::verify::{self, Keep, Targets, VerifyOptions};
use crate::{Error, Result, error};

mod after_run;
mod document;
mod ledger;
mod report_file;
mod state;
mod text;

pub(super) use after_run::Verified;
pub(super) use report_file::check_writable;
use report_file::write_all;
pub(super) use text::text;

pub(super) async fn run(intent: &VerifyIntent, console: &Console) -> Result<u8> {
    check_writable(&intent.reports)?;
    let files = Files::load(&intent.invocation)?;
    let shutdown = Shutdown::new();
    signals::watch(console.clone(), shutdown.clone(), stopping())?;
    let plan = planned(intent, &files).await.map_err(|error| not_written(error, intent))?;
    told_of_plan(&plan, intent, console);
    if intent.ledger {
        return Box::pin(ledger::run(plan, intent, &files, &shutdown, console)).await;
    }
    let keep = state::keep(&plan, intent);
    let report = match Box::pin(compared(plan, intent, &files, &shutdown, console)).await {
        Ok(report) => report,
        Err(error) => return Ok(not_ended(&not_written(error, intent), intent, keep.as_ref(), console)),
    };
    write_all(&intent.reports, &report)?;
    tell(intent, &report, console)?;
    Ok(exit_code(&report))
}

fn stopping() -> Stopping {
    Stopping {
        asked: "stopping the comparison; press Ctrl-C again to abort",
        aborted: "aborted: not everything was compared, and nothing was written".to_owned(),
    }
}

/// The plan of what is compared; nothing that is missing is made.
///
/// # Errors
/// As [`plan::plan`], with the way out.
async fn planned(intent: &VerifyIntent, files: &Files) -> Result<Plan> {
    match Box::pin(plan::plan(&files.project, &files.config, &intent.plan)).await {
        Ok(plan) => Ok(plan),
        Err(error) => {
            let error = super::run::asked_for(error, intent.plan.subject.as_ref());
            Err(schema::with_way_out(error, files, &intent.plan.only, &intent.invocation).await)
        }
    }
}

/// What planning has found, to stderr.
fn told_of_plan(plan: &Plan, intent: &VerifyIntent, console: &Console) {
    if !plan.findings.is_empty() {
        let invocation = Some(&intent.invocation);
        console.note(&failure::findings(&plan.findings, invocation, console.note_color));
    }
    if !plan.disabled.is_empty() {
        let names = crate::data::finding::listed(&plan.disabled);
        console.note(&format!("left out, a connection is disabled: {}", visible(&names)));
    }
}

/// Compares what is planned.
///
/// # Errors
/// What reading either side fails with.
async fn compared(
    plan: Plan,
    intent: &VerifyIntent,
    files: &Files,
    shutdown: &Shutdown,
    console: &Console,
) -> Result<VerifyReport> {
    let targets = Targets::open(&files.config, &plan).await?;
    let progress = Progress::new(console, &title(&plan, intent), Doing::Comparing);
    let options = VerifyOptions {
        keep: state::keep(&plan, intent),
        ..intent.verify.clone()
    };
    let report = Box::pin(verify::verify(plan, targets, &options, progress.events(), shutdown)).await;
    drop(progress);
    report
}

fn title(plan: &Plan, intent: &VerifyIntent) -> String {
    match &intent.plan.subject {
        Some(subject) => format!("{} in {}, one {}", plan.project, plan.environment, subject.name),
        None => format!("{} in {}", plan.project, plan.environment),
    }
}

/// The result to stdout, then what people want to know to stderr.
fn tell(intent: &VerifyIntent, report: &VerifyReport, console: &Console) -> Result<()> {
    let printed = if console.is_json() {
        console.document(&document::VerifyDocument::of(report))
    } else {
        console.result(&text(report, console.result_color))
    };
    told_beside(report, &intent.reports, console);
    let steps = next::render(&next::after_verify(intent, report), console.note_color);
    if !steps.is_empty() {
        console.note(&steps);
    }
    printed
}

/// Warnings and files written, to stderr.
fn told_beside(report: &VerifyReport, reports: &[ReportPath], console: &Console) {
    let caution = Tone::Caution.paint("warning:", console.note_color);
    for warning in &report.warnings {
        console.note(&format!("{caution} {}", visible(warning)));
    }
    for report in reports {
        console.note(&format!("wrote {}", visible(&report.path.display().to_string())));
    }
}

/// What people want to know of the verification after a run, to stderr.
pub(super) fn told_of(verified: &Verified, intent: &RunIntent, console: &Console) {
    let reports = intent.verify.as_ref().map_or(&[][..], |verify| &verify.reports);
    match verified {
        Verified::NotAsked => {}
        Verified::NotReached => console.note("not verified: not everything was moved"),
        Verified::Report(report) => told_beside(report, reports, console),
        Verified::Failed(error) => console.note(&failure::render(error, Some(&intent.invocation), console.note_color)),
    }
}

/// Equal, or not proven to be: what did not settle or was not compared is not equal (Invariant 16).
const fn exit_code(report: &VerifyReport) -> u8 {
    match report.status {
        Verdict::Equal => error::EXIT_DONE,
        Verdict::Different | Verdict::Unsettled | Verdict::Unchecked => error::EXIT_DIFFERENCES,
    }
}

/// It failed or was interrupted: what is wrong, then how to go on.
fn not_ended(error: &Error, intent: &VerifyIntent, keep: Option<&Keep>, console: &Console) -> u8 {
    let code = super::failed(error, Some(&intent.invocation), console);
    if keep.is_some_and(Keep::has_any) {
        console.note(&next::render(&next::after_interrupted_verify(intent), console.note_color));
    }
    code
}

/// The report was not made: an older one in the same place is not it.
fn not_written(error: Error, intent: &VerifyIntent) -> Error {
    let there: Vec<String> = intent
        .reports
        .iter()
        .filter(|report| report.path.exists())
        .map(|report| report.path.display().to_string())
        .collect();
    if there.is_empty() {
        return error;
    }
    let hint = format!("{}; what is in {} is older", error.advice(), there.join(", "));
    error.hint(hint)
}
