//! What a run came to: as a table with its rejects for people, as a document for programs.

use std::time::Duration;

use serde::Serialize;

use super::failure::ErrorDocument;
use super::figures;
use super::intent::RunIntent;
use super::output::visible;
use super::rejects::RejectGroup;
use super::table::{Align, Grid};
use super::verify::Verified;
use crate::Error;
use crate::pipeline::report::{NotCovered, ReasonCount, RunReport, RunStatus, SpentReport, StreamReport, StreamStatus};
use crate::pipeline::subject::SubjectKey;
use crate::verify::report::VerifyReport;

/// What is counted of a stream, in the order of [`counts`].
const COUNTED: [&str; 8] = [
    "read", "inserted", "updated", "skipped", "filtered", "expired", "rejected", "batches",
];

/// Those of the counts that a table shows; of what is rare only what there is.
fn shown(report: &RunReport, rare: &[&str]) -> Vec<usize> {
    let any = |index: usize| report.streams.iter().any(|stream| counts(stream)[index] > 0);
    let shown = COUNTED
        .iter()
        .enumerate()
        .filter(|(index, head)| !rare.contains(head) || any(*index));
    shown.map(|(index, _)| index).collect()
}

/// What happened to one subject's rows: a line for each stream with where they went, and how it
/// ended. Shorter than [`text`]: whoever moves one user looks at a few rows.
pub(super) fn subject_text(report: &RunReport, subject: &SubjectKey, color: bool) -> String {
    let mut shown = shown(report, &["filtered", "expired"]);
    // How often it committed says nothing of a few rows.
    shown.retain(|index| COUNTED[*index] != "batches");
    let heads: Vec<_> = [("stream", Align::Left)]
        .into_iter()
        .chain(shown.iter().map(|index| (COUNTED[*index], Align::Right)))
        .chain([("from → to", Align::Left)])
        .collect();
    let mut grid = Grid::new(&heads, color);
    let line = |name: &str, counts: [u64; 8], way: String| {
        let mut line = vec![name.to_owned()];
        line.extend(shown.iter().map(|index| figures::count(counts[*index])));
        line.push(way);
        line
    };
    let mut sums = [0; 8];
    for stream in &report.streams {
        let way = match stream.status {
            StreamStatus::Pending => "not begun".to_owned(),
            StreamStatus::Partial => "nothing kept".to_owned(),
            _ => format!("{} → {}", stream.source, stream.target),
        };
        grid.row(line(&stream.name, counts(stream), way));
        for (sum, count) in sums.iter_mut().zip(counts(stream)) {
            *sum += count;
        }
    }
    if report.streams.len() > 1 {
        grid.total(line("total", sums, String::new()));
    }
    let nothing = match report.status {
        RunStatus::Done | RunStatus::Rejects if sums[1] + sums[2] == 0 && report.dry_run => ", nothing would change",
        RunStatus::Done | RunStatus::Rejects if sums[1] + sums[2] == 0 => ", nothing had to change",
        _ => "",
    };
    let (name, key) = (visible(&subject.name), visible(&subject.key));
    format!(
        "{}\n{}{name} {key}: {}\n",
        grid.render(),
        paid(report),
        outcome(report, nothing)
    )
}

/// A line for each stream, their sum where there are several, and how it ended.
pub(super) fn text(report: &RunReport, color: bool) -> String {
    let shown = shown(report, &["expired"]);
    let heads: Vec<_> = [("stream", Align::Left)]
        .into_iter()
        .chain(shown.iter().map(|index| (COUNTED[*index], Align::Right)))
        .chain([("time", Align::Right), ("status", Align::Left)])
        .collect();
    let mut grid = Grid::new(&heads, color);
    let line = |name: &str, counts: [u64; 8], seconds: f64, status: &str| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let mut texts = vec![name.to_owned()];
        texts.extend(shown.iter().map(|index| figures::count(counts[*index])));
        texts.extend([figures::duration(time), status.to_owned()]);
        texts
    };
    for stream in &report.streams {
        grid.row(line(&stream.name, counts(stream), stream.seconds, &status(stream)));
    }
    if report.streams.len() > 1 {
        let mut sums = [0; 8];
        for stream in &report.streams {
            for (sum, count) in sums.iter_mut().zip(counts(stream)) {
                *sum += count;
            }
        }
        grid.total(line("total", sums, report.seconds, ""));
    }
    let aside = paid(report) + &held_back(report);
    format!("{}\n{aside}{}\n", grid.render(), outcome(report, ""))
}

/// A line that says how long the run was held back, its streams together; empty where it was not.
fn held_back(report: &RunReport) -> String {
    let sum = |seconds: fn(&StreamReport) -> f64| -> Option<String> {
        let sum = Duration::try_from_secs_f64(report.streams.iter().map(seconds).sum()).unwrap_or_default();
        (!sum.is_zero()).then(|| figures::duration(sum))
    };
    let waited = sum(|stream| stream.waited_seconds).map(|time| format!("{time} by its rate"));
    let paused = sum(|stream| stream.paused_seconds).map(|time| format!("{time} in pauses"));
    let held: Vec<_> = waited.into_iter().chain(paused).collect();
    if held.is_empty() {
        return String::new();
    }
    let together = if report.streams.len() > 1 {
        ", all streams together"
    } else {
        ""
    };
    format!("held back: {}{together}\n", held.join(", "))
}

/// A line for each source connection that is paid for by what is asked of it.
fn paid(report: &RunReport) -> String {
    let line = |spent: &SpentReport| {
        let throttled = match spent.throttled {
            0 => String::new(),
            times => format!(", throttled {}", figures::counted(times, "time")),
        };
        let units = figures::units(spent.request_units);
        let requests = figures::counted(spent.requests, "request");
        format!("{}: {units} in {requests}{throttled}\n", visible(&spent.connection))
    };
    report.spent.iter().map(line).collect()
}

/// In the order of [`COUNTED`].
const fn counts(stream: &StreamReport) -> [u64; 8] {
    [
        stream.read,
        stream.inserted,
        stream.updated,
        stream.skipped,
        stream.filtered,
        stream.expired,
        stream.rejected,
        stream.batches,
    ]
}

fn status(stream: &StreamReport) -> String {
    let status = match stream.status {
        StreamStatus::Pending => "not begun",
        StreamStatus::Partial => "incomplete",
        StreamStatus::Complete => "complete",
        StreamStatus::AlreadyComplete => "complete before",
    };
    match &stream.waits_for {
        Some(connection) => format!("{status}, waits for {connection}"),
        None => status.to_owned(),
    }
}

/// One sentence: how it ended, and what stays of it.
fn outcome(report: &RunReport, aside: &str) -> String {
    let ended = match report.status {
        RunStatus::Done => "done",
        RunStatus::Rejects => "complete, with rejects",
        RunStatus::TooManyRejects => "stopped: more rejects than allowed",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Failed => "failed",
    };
    let kept = if report.dry_run {
        "this was a dry run: all of it was rolled back, nothing was written"
    } else {
        match report.status {
            RunStatus::Done | RunStatus::Rejects => return format!("{ended}{aside}"),
            RunStatus::TooManyRejects | RunStatus::Interrupted | RunStatus::Failed => "what the table shows is committed",
        }
    };
    format!("{ended}{aside}; {kept}")
}

/// The rejects of a run, by stream, reason and column; empty where there are none.
pub(super) fn rejects(report: &RunReport) -> String {
    let streams = report.streams.iter();
    let told = streams.map(|stream| {
        (
            stream.name.as_str(),
            &stream.reasons[..],
            stream.rejects_open.saturating_sub(stream.rejected),
        )
    });
    reject_lines(told, report.dry_run)
}

/// The same of names, each with the reasons of this run and the number of rejects that were open before.
pub(super) fn reject_lines<'a>(told: impl Iterator<Item = (&'a str, &'a [ReasonCount], u64)>, dry_run: bool) -> String {
    let mut lines = vec!["rejects:".to_owned()];
    for (name, reasons, earlier) in told {
        let groups = reasons.iter().map(|reason| RejectGroup::of_report(name, reason));
        lines.extend(groups.map(|group| format!("  {}", group.line())));
        if earlier > 0 && !dry_run {
            let rows = figures::counted(earlier, "row");
            lines.push(format!("  {}: {rows} rejected before, still open", visible(name)));
        }
    }
    if lines.len() > 1 { lines.join("\n") } else { String::new() }
}

/// Documents that no stream takes, by source and kind; empty where there are none.
pub(super) fn not_covered(report: &RunReport) -> String {
    let mut lines = Vec::new();
    for source in &report.not_covered {
        lines.push(format!(
            "not covered, documents of {} that no stream takes by {}:",
            visible(&source.source),
            visible(&source.path)
        ));
        let kinds = source.kinds.iter().map(|kind| {
            let name = kind.kind.as_deref().map_or_else(|| "(none)".to_owned(), visible);
            format!("  {name}: {}", figures::counted(kind.documents, "document"))
        });
        lines.extend(kinds);
        if source.others > 0 {
            lines.push(format!("  others: {}", figures::counted(source.others, "document")));
        }
    }
    lines.join("\n")
}

/// A run for programs. Its form is a promise, described in docs/output.md.
#[derive(Debug, Serialize)]
pub(super) struct RunDocument<'a> {
    run: Option<&'a str>,
    project: Option<&'a str>,
    environment: &'a str,
    dry_run: bool,
    #[serde(rename = "for")]
    subject: Option<SubjectDocument<'a>>,
    status: RunStatus,
    seconds: f64,
    streams: &'a [StreamReport],
    spent: &'a [SpentReport],
    not_covered: &'a [NotCovered],
    /// What came of comparing, with `--verify`.
    verification: Option<&'a VerifyReport>,
    warnings: &'a [String],
    error: Option<ErrorDocument>,
}

/// Whose rows were moved, as the command line says it.
#[derive(Debug, Serialize)]
struct SubjectDocument<'a> {
    subject: &'a str,
    key: &'a str,
}

impl<'a> SubjectDocument<'a> {
    fn of(intent: &'a RunIntent) -> Option<Self> {
        let SubjectKey { name, key } = intent.plan.subject.as_ref()?;
        Some(Self { subject: name, key })
    }
}

impl<'a> RunDocument<'a> {
    /// A run that took place.
    pub(super) fn of(report: &'a RunReport, intent: &'a RunIntent) -> Self {
        Self {
            run: Some(&report.run),
            project: Some(&report.project),
            environment: &report.environment,
            dry_run: report.dry_run,
            subject: SubjectDocument::of(intent),
            status: report.status,
            seconds: report.seconds,
            streams: &report.streams,
            spent: &report.spent,
            not_covered: &report.not_covered,
            verification: None,
            warnings: &report.warnings,
            error: ErrorDocument::of_report(report, &intent.invocation),
        }
    }

    /// With what came of verifying it.
    pub(super) fn with(self, verified: &'a Verified, intent: &RunIntent) -> Self {
        let failed = verified
            .error()
            .map(|error| ErrorDocument::of(error, Some(&intent.invocation)));
        Self {
            verification: verified.report(),
            error: self.error.or(failed),
            ..self
        }
    }

    /// A run that could not begin.
    pub(super) fn not_begun(error: &Error, project: Option<&'a str>, intent: &'a RunIntent) -> Self {
        Self {
            run: None,
            project,
            environment: &intent.invocation.environment,
            dry_run: intent.run.dry_run,
            subject: SubjectDocument::of(intent),
            status: RunStatus::Failed,
            seconds: 0.0,
            streams: &[],
            spent: &[],
            not_covered: &[],
            verification: None,
            warnings: &[],
            error: Some(ErrorDocument::of(error, Some(&intent.invocation))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
