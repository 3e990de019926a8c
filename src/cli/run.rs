//! `dbferry run`: moves the data, shows how it goes, and says what came of it.

use super::failure::{self, ErrorDocument};
use super::files::{Files, Role};
use super::intent::RunIntent;
use super::metrics::Metrics;
use super::output::{Console, Tone, visible};
use super::progress::{Doing, Progress};
use super::signals::{self, Stopping};
use super::summary::{self, RunDocument};
use super::verify::{self, Verified};
use super::{backup, next, rejects, schema};
use crate::pipeline::plan::{self, Plan};
use crate::pipeline::report::RunReport;
use crate::pipeline::run;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::subject::SubjectKey;
use crate::{Error, ErrorKind, Result};

pub(super) async fn run(intent: &RunIntent, console: &Console) -> Result<u8> {
    let files = match Files::load(&intent.invocation) {
        Ok(files) => files,
        Err(error) => return not_begun(&error, None, intent, console),
    };
    let reports = intent.verify.iter().flat_map(|verify| &verify.reports);
    if let Err(error) = verify::check_writable(reports) {
        return not_begun(&error, Some(&files.project.name), intent, console);
    }
    // Before anything is opened: an address that is taken moves nothing.
    let metrics = intent.metrics.or(files.config.metrics);
    let metrics = metrics
        .map(|address| Metrics::serve(address, &files.project.name))
        .transpose();
    let metrics = match metrics {
        Ok(metrics) => metrics,
        Err(error) => return not_begun(&error, Some(&files.project.name), intent, console),
    };
    let backup = match &intent.backup {
        Some(wanted) => Box::pin(backup::before_run(wanted, &files, console)).await.map(Some),
        None => Ok(None),
    };
    let (backup, meanwhile) = match backup {
        Ok(backup) => backup.unzip(),
        Err(error) => return not_begun(&error, Some(&files.project.name), intent, console),
    };
    match prepare(intent, &files, console).await {
        Ok(mut plan) => {
            plan.backup = backup;
            // From here on a run watches for itself.
            drop(meanwhile);
            carry_out(intent, (&files, metrics.as_ref()), plan, console).await
        }
        Err(error) => not_begun(
            &asked_for(error, intent.plan.subject.as_ref()),
            Some(&files.project.name),
            intent,
            console,
        ),
    }
}

/// Only here, where it was typed, an error says whose rows were not found.
pub(super) fn asked_for(error: Error, subject: Option<&SubjectKey>) -> Error {
    match subject {
        Some(SubjectKey { name, key }) if error.kind() == ErrorKind::Absent => {
            let hint = error.advice().to_owned();
            Error::new(ErrorKind::Absent, format!("no row belongs to {name} {key}")).hint(hint)
        }
        _ => error,
    }
}

/// A plan, with the tables that it needs: migrations are applied where that is asked for, or
/// agreed to.
async fn prepare(intent: &RunIntent, files: &Files, console: &Console) -> Result<Plan> {
    let only = &intent.plan.only;
    if intent.apply_schema {
        schema::apply_all(files, only, intent.allow_destructive, console).await?;
    }
    let plan = || Box::pin(plan::plan(&files.project, &files.config, &intent.plan));
    let error = match plan().await {
        Ok(plan) => return Ok(plan),
        Err(error) if error.kind() == ErrorKind::Missing && !intent.apply_schema && !intent.run.dry_run => error,
        Err(error) => return Err(schema::with_way_out(error, files, only, &intent.invocation).await),
    };
    if schema::agreed_to_apply(&error, files, only, &intent.invocation, console).await {
        schema::apply_all(files, only, false, console).await?;
        return plan().await;
    }
    Err(schema::with_way_out(error, files, only, &intent.invocation).await)
}

async fn carry_out(intent: &RunIntent, (files, metrics): (&Files, Option<&Metrics>), plan: Plan, console: &Console) -> Result<u8> {
    let invocation = &intent.invocation;
    if !plan.findings.is_empty() {
        console.note(&failure::findings(&plan.findings, Some(invocation), console.note_color));
    }
    if !plan.disabled.is_empty() {
        let names = crate::data::finding::listed(&plan.disabled);
        console.note(&format!("left out, a connection is disabled: {}", visible(&names)));
    }
    let look = where_to_look(files, &intent.plan.only)?;
    let shutdown = Shutdown::new();
    let said = signals::watch(console.clone(), shutdown.clone(), stopping(intent))?;
    let progress = Progress::new(
        console,
        &match &intent.plan.subject {
            Some(subject) => format!("{} in {}, one {}", plan.project, plan.environment, subject.name),
            None => format!("{} in {}", plan.project, plan.environment),
        },
        if intent.run.retry_rejects {
            Doing::MovingRejects
        } else if intent.plan.since_last {
            Doing::MovingChanges
        } else {
            Doing::Moving
        },
    );
    let events = match metrics {
        Some(metrics) => metrics.count(progress.events()),
        None => progress.events(),
    };
    let report = Box::pin(run::run(plan, intent.run, events, shutdown.clone())).await;
    drop(progress);
    let verified = Box::pin(Verified::of(intent, &report, files, (&shutdown, &said), console)).await;
    tell(intent, (&report, &verified), &look, console)
}

fn stopping(intent: &RunIntent) -> Stopping {
    let aborted = if intent.run.dry_run {
        "aborted: nothing was written".to_owned()
    } else {
        format!(
            "aborted: the batch in flight is rolled back; go on after the last committed one with\n  {}",
            intent.resume()
        )
    };
    Stopping {
        asked: "finishing the batch in flight; press Ctrl-C again to abort",
        aborted,
    }
}

/// How the reject stores of the targets are looked into.
fn where_to_look(files: &Files, only: &[String]) -> Result<Vec<(String, String)>> {
    let streams = files.streams(only);
    let resolved = files.resolve(&streams)?;
    let targets = Files::ends(&streams).into_iter().filter(|(_, role)| *role == Role::Sink);
    Ok(targets
        .map(|(name, _)| {
            let query = rejects::where_to_look(&resolved[&name], &files.project.name);
            (name, query)
        })
        .collect())
}

/// The result to stdout, then what people want to know to stderr.
fn tell(
    intent: &RunIntent,
    (report, verified): (&RunReport, &Verified),
    look: &[(String, String)],
    console: &Console,
) -> Result<u8> {
    let color = console.note_color;
    let printed = if console.is_json() {
        console.document(&RunDocument::of(report, intent).with(verified, intent))
    } else {
        let color = console.result_color;
        let mut text = match &intent.plan.subject {
            Some(subject) => summary::subject_text(report, subject, color),
            None => summary::text(report, color),
        };
        if let Some(verified) = verified.report() {
            text.push('\n');
            text.push_str(&verify::text(verified, color));
        }
        console.result(&text)
    };
    let rejects = summary::rejects(report);
    if !rejects.is_empty() {
        console.note(&rejects);
    }
    let not_covered = summary::not_covered(report);
    if !not_covered.is_empty() {
        console.note(&not_covered);
    }
    for warning in &report.warnings {
        console.note(&format!("{} {}", Tone::Caution.paint("warning:", color), visible(warning)));
    }
    if let Some(error) = ErrorDocument::of_report(report, &intent.invocation) {
        console.note(&failure::lines(error.message(), error.hint(), color));
    }
    verify::told_of(verified, intent, console);
    let steps = next::render(&next::steps(intent, (report, verified.report()), look), color);
    if !steps.is_empty() {
        console.note(&steps);
    }
    printed?;
    Ok(verified.exit_code(report))
}

fn not_begun(error: &Error, project: Option<&str>, intent: &RunIntent, console: &Console) -> Result<u8> {
    let invocation = &intent.invocation;
    let printed = if console.is_json() {
        console.document(&RunDocument::not_begun(error, project, intent))
    } else {
        Ok(())
    };
    console.note(&failure::render(error, Some(invocation), console.note_color));
    printed?;
    Ok(error.kind().policy().exit)
}
