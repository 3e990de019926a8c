//! What to do next: command lines, ready to be typed.

use super::intent::{Invocation, RepairIntent, ReportForm, RunIntent, VerifyIntent, quoted};
use super::output::Tone;
use super::verdict::Counted;
use crate::pipeline::report::{RunReport, RunStatus};
use crate::repair::report::{RepairReport, RepairStatus};
use crate::verify::ledger::report::{LedgerReport, LedgerStatus};
use crate::verify::report::VerifyReport;

/// One thing that could be done, and the command that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) command: String,
}

impl Step {
    fn new(what: &'static str, command: String) -> Self {
        Self { what, command }
    }
}

/// What follows a run, and its verification if there was one. `look` shows the rejected rows in each
/// target, by connection.
pub(super) fn steps(
    intent: &RunIntent,
    (report, verified): (&RunReport, Option<&VerifyReport>),
    look: &[(String, String)],
) -> Vec<Step> {
    let mut steps = Vec::new();
    let rejecting: Vec<_> = report
        .streams
        .iter()
        .filter(|stream| stream.rejects_open > 0 || stream.rejected > 0)
        .collect();
    if report.dry_run {
        // Nothing was kept: there is no reject to look at, and nothing to go on after.
        match report.status {
            RunStatus::Done | RunStatus::Rejects => steps.push(Step::new("do it", intent.again(&done_for_real(intent)))),
            RunStatus::TooManyRejects => steps.push(Step::new("see all of them", allowing_all(intent, &["--dry-run"]))),
            RunStatus::Interrupted | RunStatus::Failed => steps.push(Step::new("again", intent.resume())),
        }
        return steps;
    }
    match report.status {
        RunStatus::Done | RunStatus::Rejects => {}
        RunStatus::TooManyRejects => steps.push(Step::new("go on all the same", allowing_all(intent, &[]))),
        RunStatus::Interrupted | RunStatus::Failed => steps.push(Step::new("go on", intent.resume())),
    }
    if !rejecting.is_empty() {
        let invocation = &intent.invocation;
        steps.push(Step::new(
            "which rows are rejected",
            invocation.command("stats", &["--show-keys"]),
        ));
        let concerned = |connection: &str| {
            rejecting
                .iter()
                .any(|stream| stream.target.split('.').next() == Some(connection))
        };
        let queries = look.iter().filter(|(connection, _)| concerned(connection));
        steps.extend(queries.map(|(_, query)| Step::new("the rows themselves", query.clone())));
        steps.push(Step::new(
            "after mending",
            match intent.plan.subject {
                Some(_) => intent.again(&[]),
                None => intent.again(&["--retry-rejects"]),
            },
        ));
    }
    // What is paid for by what is asked of it also tells what has changed.
    let follows = !report.spent.is_empty() && !intent.run.retry_rejects && intent.plan.subject.is_none();
    if follows && matches!(report.status, RunStatus::Done | RunStatus::Rejects) {
        let more: &[&str] = if intent.plan.since_last { &[] } else { &["--since-last"] };
        steps.push(Step::new("what changes from now on", intent.again(more)));
    }
    if let (Some(verify), Some(verified)) = (&intent.verify, verified) {
        for step in after_verify(verify, verified) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    } else if matches!(report.status, RunStatus::Done | RunStatus::Rejects) {
        if report.status == RunStatus::Done && intent.plan.subject.is_none() {
            steps.push(Step::new("both sides", intent.invocation.command("stats", &[])));
        }
        let mut verify = VerifyIntent::after_run(&intent.invocation, &intent.plan, Vec::new());
        if let Some(subject) = &mut verify.plan.subject {
            // Where all went well, what is told says nothing of whose rows they are (Invariant 9).
            "KEY".clone_into(&mut subject.key);
        }
        // Where it was asked for and did not come to its end, it goes on.
        let more: &[&str] = if intent.verify.is_some() { &["--resume"] } else { &[] };
        steps.push(Step::new("is it all there", verify.again(more)));
    }
    steps
}

/// What follows a verification that did not come to its end, where something of it is kept.
pub(super) fn after_interrupted_verify(intent: &VerifyIntent) -> Vec<Step> {
    vec![Step::new("go on", intent.again(&["--resume"]))]
}

/// What follows a verification.
pub(super) fn after_verify(intent: &VerifyIntent, report: &VerifyReport) -> Vec<Step> {
    let mut steps = Vec::new();
    let counted = Counted::all(report);
    if counted.rejected > 0 {
        let stats = intent.invocation.command("stats", &["--show-keys"]);
        steps.push(Step::new("which rows are rejected", stats));
    }
    let not_listed = report.streams.iter().map(|stream| stream.not_listed).max().unwrap_or(0);
    if not_listed > 0 {
        let all = (not_listed + intent.verify.max_differences as u64).to_string();
        steps.push(Step::new("list all of them", intent.again(&["--max-differences", &all])));
    }
    let live = counted.missing + counted.extra + counted.different + counted.unsettled > 0;
    if live && intent.verify.recheck.is_none() {
        let again = intent.again(&["--recheck", "3"]);
        steps.push(Step::new("while the source is written", again));
    }
    let document = intent.reports.iter().find(|report| report.form == ReportForm::Json);
    if let (true, Some(document)) = (live, document) {
        let repair = intent.invocation.repair(&document.path, &report.project, &[]);
        steps.push(Step::new("mend what differs", repair));
    }
    if counted.found().is_some() && intent.reports.is_empty() {
        steps.push(Step::new("to show somebody", intent.again(&["--report", "verify.html"])));
    }
    if intent.verify.sample.is_some() {
        let mut whole = intent.clone();
        whole.verify.sample = None;
        steps.push(Step::new("all rows", whole.again(&[])));
    }
    steps
}

/// What follows a ledger check.
pub(super) fn after_ledger(intent: &VerifyIntent, report: &LedgerReport) -> Vec<Step> {
    let mut steps = Vec::new();
    let changed: Vec<&str> = report
        .streams
        .iter()
        .filter(|stream| stream.status == LedgerStatus::Changed)
        .map(|stream| stream.name.as_str())
        .collect();
    if !changed.is_empty() {
        let verify = intent.invocation.command("verify", &["--only", &quoted(&changed.join(","))]);
        steps.push(Step::new("which rows differ", verify));
    }
    let not_listed = report.streams.iter().map(|stream| stream.not_listed).max().unwrap_or(0);
    if not_listed > 0 {
        let all = (not_listed + intent.verify.max_differences as u64).to_string();
        steps.push(Step::new("list all of them", intent.again(&["--max-differences", &all])));
    }
    steps
}

/// What follows a repair.
pub(super) fn after_repair(intent: &RepairIntent, invocation: &Invocation, report: &RepairReport) -> Vec<Step> {
    let mut steps = Vec::new();
    if report.status == RepairStatus::Planned {
        steps.push(Step::new("do it", intent.again(invocation, &report.project, &[])));
        return steps;
    }
    if report.streams.iter().any(|stream| stream.rejected > 0) {
        let stats = invocation.command("stats", &["--show-keys"]);
        steps.push(Step::new("which rows are rejected", stats));
    }
    if report.streams.iter().any(|stream| stream.extra > 0) && !report.delete_extra {
        let delete = intent.again(invocation, &report.project, &["--delete-extra"]);
        steps.push(Step::new("delete what is extra", delete));
    }
    steps.push(Step::new("is it all there", invocation.command("verify", &[])));
    steps
}

fn done_for_real(intent: &RunIntent) -> Vec<&'static str> {
    let mut more = Vec::new();
    if intent.run.restart {
        more.push("--restart");
    }
    if intent.run.retry_rejects {
        more.push("--retry-rejects");
    }
    more
}

/// The same run with a limit of rejects for the operator to fill in.
fn allowing_all(intent: &RunIntent, more: &[&str]) -> String {
    let words: Vec<&str> = more.iter().copied().chain(["--max-rejects", "ROWS"]).collect();
    intent.again(&words)
}

/// The steps as lines, commands below each other; empty where there is none.
pub(super) fn render(steps: &[Step], color: bool) -> String {
    let width = steps.iter().map(|step| step.what.chars().count()).max().unwrap_or(0);
    if steps.is_empty() {
        return String::new();
    }
    let mut lines = vec![Tone::Strong.paint("next:", color)];
    let line = |step: &Step| format!("  {:<width$}  {}", step.what, Tone::Advice.paint(&step.command, color));
    lines.extend(steps.iter().map(line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::intent::{Action, Intent};
    use crate::cli::summary::tests::report;

    fn intent(line: &str) -> RunIntent {
        match Intent::parse(line.split_whitespace().map(Into::into)).map(|intent| intent.action) {
            Ok(Action::Run(run)) => run,
            _ => panic!("not a run: {line}"),
        }
    }

    fn shown(line: &str, status: RunStatus, rejected: u64) -> String {
        let intent = intent(line);
        let mut report = report();
        report.status = status;
        report.dry_run = intent.run.dry_run;
        for stream in &mut report.streams {
            stream.rejects_open = rejected;
            stream.rejected = rejected;
        }
        render(
            &steps(
                &intent,
                (&report, None),
                &[
                    ("game".to_owned(), "sqlite3 game.db".to_owned()),
                    ("other".to_owned(), "none".to_owned()),
                ],
            ),
            false,
        )
    }

    #[test]
    fn every_ending_has_its_commands() {
        let run = "dbferry run mappings/game --env embedded";
        let dry = "dbferry run mappings/game --dry-run --only players";
        let endings = [
            shown(run, RunStatus::Done, 0),
            shown(run, RunStatus::Rejects, 2),
            shown(run, RunStatus::TooManyRejects, 2),
            shown(&format!("{run} --restart --batch-size 5"), RunStatus::Interrupted, 0),
            shown(dry, RunStatus::Done, 0),
            shown(dry, RunStatus::TooManyRejects, 2),
        ];
        insta::assert_snapshot!(endings.join("\n\n"), @r#"
        next:
          both sides       dbferry stats mappings/game --env embedded
          is it all there  dbferry verify mappings/game --env embedded

        next:
          which rows are rejected  dbferry stats mappings/game --env embedded --show-keys
          the rows themselves      sqlite3 game.db
          after mending            dbferry run mappings/game --env embedded --retry-rejects
          is it all there          dbferry verify mappings/game --env embedded

        next:
          go on all the same       dbferry run mappings/game --env embedded --max-rejects ROWS
          which rows are rejected  dbferry stats mappings/game --env embedded --show-keys
          the rows themselves      sqlite3 game.db
          after mending            dbferry run mappings/game --env embedded --retry-rejects

        next:
          go on  dbferry run mappings/game --env embedded --batch-size 5

        next:
          do it  dbferry run mappings/game --only players

        next:
          see all of them  dbferry run mappings/game --only players --dry-run --max-rejects ROWS
        "#);
    }
}
