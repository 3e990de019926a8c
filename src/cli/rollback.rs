//! `dbferry rollback`: takes a run back. It looks at everything, shows it, asks, and does it.

use std::sync::Arc;

use uuid::Uuid;

use super::failure::ErrorDocument;
use super::files::Files;
use super::intent::RollbackIntent;
use super::output::{Console, Tone, visible};
use super::progress::{Doing, Progress};
use super::signals::{self, Stopping};
use super::{figures, run, run_trail};
use crate::pipeline::plan::{self, Options};
use crate::pipeline::rollback::report::{RollbackReport, RollbackStatus};
use crate::pipeline::rollback::{Rollback, Wanted};
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result, error};

mod text;

use text::{outcome, proposed, question};

/// A rollback for programs, see docs/output.md.
#[derive(Debug, serde::Serialize)]
struct RollbackDocument<'a> {
    #[serde(flatten)]
    report: &'a RollbackReport,
    /// Null: a rollback that fails has its error instead.
    error: Option<ErrorDocument>,
}

/// Undo logs that were removed, for programs.
#[derive(Debug, serde::Serialize)]
struct ForgottenDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    run: Uuid,
    undo_logs_removed: u64,
    error: Option<ErrorDocument>,
}

pub(super) async fn run(intent: &RollbackIntent, console: &Console) -> Result<u8> {
    let files = Files::load(&intent.invocation)?;
    let sinks = files.open_sinks(&files.streams(&[]), &intent.invocation).await?;
    let meant = run_trail::to_take_back(&sinks, &intent.run, &files.project.name).await?;
    let wanted = Wanted {
        project: &files.project,
        environment: &files.config.environment,
        run: meant.run,
        sinks: sinks.into_iter().map(|(name, sink)| (name, Arc::from(sink))).collect(),
        winner: intent.winner,
        rows_max: intent.rows_max,
    };
    if intent.forget {
        return forget(wanted, intent, console).await;
    }
    let shutdown = Shutdown::new();
    signals::watch(console.clone(), shutdown.clone(), stopping(intent))?;
    let mut rollback = Rollback::prepare(wanted).await?;
    restrict(&mut rollback, &files, intent).await?;
    if !rollback.is_over() && (intent.dry_run || intent.ask) {
        rollback.look().await?;
    }
    let refused = rollback.report.status == RollbackStatus::Refused;
    if !intent.dry_run && !refused {
        if intent.ask && !rollback.is_over() {
            agreed(&rollback.report, console)?;
        }
        let progress = Progress::new(
            console,
            &format!("run {} of {}", rollback.report.run, rollback.report.project),
            Doing::TakingBack,
        );
        Box::pin(rollback.carry_out(&progress.events(), &shutdown)).await?;
    }
    tell(intent, &rollback.report, console)
}

/// Only the rows of a subject, where that is asked for: its source tells which they are.
async fn restrict(rollback: &mut Rollback<'_>, files: &Files, intent: &RollbackIntent) -> Result<()> {
    let Some(subject) = &intent.subject else { return Ok(()) };
    let options = Options {
        subject: Some(subject.clone()),
        in_order: true,
        ..Options::default()
    };
    let plan = Box::pin(plan::plan(&files.project, &files.config, &options)).await;
    let plan = plan.map_err(|error| run::asked_for(error, Some(subject)))?;
    rollback.restrict(&plan).await
}

async fn forget(wanted: Wanted<'_>, intent: &RollbackIntent, console: &Console) -> Result<u8> {
    let run = wanted.run;
    if intent.ask {
        let what = format!("remove the undo logs of run {run}, so that it can not be taken back any more?");
        answered(console.ask(&visible(&what)), "nothing was removed", "removes")?;
    }
    let (project, environment) = (wanted.project.name.clone(), wanted.environment.to_owned());
    let undo_logs_removed = Rollback::forgetting(wanted).await?.forget().await?;
    if console.is_json() {
        console.document(&ForgottenDocument {
            project: &project,
            environment: &environment,
            status: "done",
            run,
            undo_logs_removed,
            error: None,
        })?;
    } else {
        let logs = figures::counted(undo_logs_removed, "undo log");
        console.result(&format!("run {run}: {logs} removed; it stands for good"))?;
    }
    Ok(error::EXIT_DONE)
}

fn stopping(intent: &RollbackIntent) -> Stopping {
    Stopping {
        asked: "finishing the batch in flight; press Ctrl-C again to abort",
        aborted: format!(
            "aborted: the batch in flight is rolled back; the rest is taken back with\n  {}",
            intent.again(&[])
        ),
    }
}

/// Somebody has to agree.
fn agreed(report: &RollbackReport, console: &Console) -> Result<()> {
    let shown = proposed(report, console.note_color);
    console.note(&shown);
    answered(
        console.ask(&visible(&question(report))),
        "nothing was taken back",
        "takes back",
    )
}

fn answered(answer: Option<bool>, not_done: &'static str, does: &str) -> Result<()> {
    let hint = format!("`--yes` {does} without asking");
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, not_done).hint(hint)),
        None => Err(Error::new(ErrorKind::Usage, format!("{not_done}: nobody is there to agree")).hint(hint)),
    }
}

/// The result to stdout, then what people want to know to stderr.
fn tell(intent: &RollbackIntent, report: &RollbackReport, console: &Console) -> Result<u8> {
    let color = console.note_color;
    let printed = if console.is_json() {
        console.document(&RollbackDocument { report, error: None })
    } else {
        console.result(&outcome(report, console.result_color))
    };
    for warning in text::warnings(report) {
        console.note(&format!("{} {}", Tone::Caution.paint("warning:", color), visible(&warning)));
    }
    let next = match report.status {
        RollbackStatus::Done => None,
        RollbackStatus::Planned => Some(("take it back", intent.again(&[]))),
        RollbackStatus::Refused => Some((
            "leave what was changed since as it is, and take the rest back",
            intent.again(&["--changed keep"]),
        )),
    };
    if let Some((what, command)) = next {
        console.note(&format!("{what}:\n  {command}"));
    }
    printed?;
    Ok(match report.status {
        RollbackStatus::Done | RollbackStatus::Planned => error::EXIT_DONE,
        RollbackStatus::Refused => error::EXIT_DIFFERENCES,
    })
}
