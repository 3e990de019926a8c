//! What a run came to: as a table with its rejects for people, as a document for programs.

use std::time::Duration;

use serde::Serialize;

use super::failure::ErrorDocument;
use super::figures;
use super::intent::Invocation;
use super::output::visible;
use super::rejects::RejectGroup;
use super::table::{Align, Grid};
use crate::Error;
use crate::pipeline::report::{RunReport, RunStatus, StreamReport, StreamStatus};

const HEADS: [(&str, Align); 10] = [
    ("stream", Align::Left),
    ("read", Align::Right),
    ("inserted", Align::Right),
    ("updated", Align::Right),
    ("skipped", Align::Right),
    ("filtered", Align::Right),
    ("rejected", Align::Right),
    ("batches", Align::Right),
    ("time", Align::Right),
    ("status", Align::Left),
];

/// A line for each stream, their sum where there are several, and how it ended.
pub(super) fn text(report: &RunReport, color: bool) -> String {
    let mut grid = Grid::new(&HEADS, color);
    for stream in &report.streams {
        grid.row(line(&stream.name, counts(stream), stream.seconds, status(stream.status)));
    }
    if report.streams.len() > 1 {
        let mut sums = [0; 7];
        for stream in &report.streams {
            for (sum, count) in sums.iter_mut().zip(counts(stream)) {
                *sum += count;
            }
        }
        grid.total(line(
            "total",
            sums,
            report.streams.iter().map(|stream| stream.seconds).sum(),
            "",
        ));
    }
    format!("{}\n{}\n", grid.render(), outcome(report))
}

fn line(name: &str, counts: [u64; 7], seconds: f64, status: &str) -> Vec<String> {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let mut texts = vec![name.to_owned()];
    texts.extend(counts.map(figures::count));
    texts.extend([figures::duration(time), status.to_owned()]);
    texts
}

const fn counts(stream: &StreamReport) -> [u64; 7] {
    [
        stream.read,
        stream.inserted,
        stream.updated,
        stream.skipped,
        stream.filtered,
        stream.rejected,
        stream.batches,
    ]
}

const fn status(status: StreamStatus) -> &'static str {
    match status {
        StreamStatus::Pending => "not begun",
        StreamStatus::Partial => "incomplete",
        StreamStatus::Complete => "complete",
        StreamStatus::AlreadyComplete => "complete before",
    }
}

/// One sentence: how it ended, and what stays of it.
fn outcome(report: &RunReport) -> String {
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
            RunStatus::Done | RunStatus::Rejects => return ended.to_owned(),
            RunStatus::TooManyRejects | RunStatus::Interrupted | RunStatus::Failed => "what the table shows is committed",
        }
    };
    format!("{ended}; {kept}")
}

/// The rejects of a run, by stream, reason and column; empty where there are none.
pub(super) fn rejects(report: &RunReport) -> String {
    let mut lines = vec!["rejects:".to_owned()];
    for stream in &report.streams {
        let groups = stream
            .reasons
            .iter()
            .map(|reason| RejectGroup::of_report(&stream.name, reason));
        lines.extend(groups.map(|group| format!("  {}", group.line())));
        let earlier = stream.rejects_open.saturating_sub(stream.rejected);
        if earlier > 0 && !report.dry_run {
            let rows = figures::counted(earlier, "row");
            lines.push(format!("  {}: {rows} rejected before, still open", visible(&stream.name)));
        }
    }
    if lines.len() > 1 { lines.join("\n") } else { String::new() }
}

/// A run for programs. Its form is a promise, described in docs/output.md.
#[derive(Debug, Serialize)]
pub(super) struct RunDocument<'a> {
    run: Option<&'a str>,
    project: Option<&'a str>,
    environment: &'a str,
    dry_run: bool,
    status: RunStatus,
    streams: &'a [StreamReport],
    warnings: &'a [String],
    error: Option<ErrorDocument>,
}

impl<'a> RunDocument<'a> {
    /// A run that took place.
    pub(super) fn of(report: &'a RunReport, invocation: &Invocation) -> Self {
        Self {
            run: Some(&report.run),
            project: Some(&report.project),
            environment: &report.environment,
            dry_run: report.dry_run,
            status: report.status,
            streams: &report.streams,
            warnings: &report.warnings,
            error: ErrorDocument::of_report(report, invocation),
        }
    }

    /// A run that could not begin.
    pub(super) fn not_begun(error: &Error, project: Option<&'a str>, invocation: &'a Invocation, dry_run: bool) -> Self {
        Self {
            run: None,
            project,
            environment: &invocation.environment,
            dry_run,
            status: RunStatus::Failed,
            streams: &[],
            warnings: &[],
            error: Some(ErrorDocument::of(error, Some(invocation))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::pipeline::report::ReasonCount;

    /// A run of two streams, one of which was complete before.
    pub(in crate::cli) fn report() -> RunReport {
        let stream = |name: &str, read, inserted, status| StreamReport {
            name: name.to_owned(),
            source: format!("app.{name}"),
            target: format!("game.{name}"),
            status,
            read,
            filtered: 0,
            inserted,
            updated: 0,
            skipped: 0,
            rejected: read - inserted,
            batches: u64::from(read > 0),
            seconds: if read > 0 { 1.25 } else { 0.0 },
            source_rows: Some(read),
            target_rows: Some(inserted),
            rejects_open: read - inserted,
            reasons: Vec::new(),
        };
        let mut players = stream("players", 12_345, 12_343, StreamStatus::Complete);
        players.reasons.push(ReasonCount {
            reason: "too_long".to_owned(),
            column: Some("username".to_owned()),
            detail: "longer than varchar(50)".to_owned(),
            rows: 2,
        });
        players.rejects_open = 5;
        RunReport {
            run: "00000000-0000-4000-8000-000000000001".to_owned(),
            project: "game".to_owned(),
            environment: "embedded".to_owned(),
            dry_run: false,
            status: RunStatus::Rejects,
            streams: vec![players, stream("games", 0, 0, StreamStatus::AlreadyComplete)],
            warnings: Vec::new(),
            error: None,
            hint: None,
            error_kind: None,
        }
    }

    fn invocation() -> Invocation {
        Invocation {
            project: "mappings/game".into(),
            environment: "embedded".to_owned(),
            config_dir: "config".into(),
        }
    }

    #[test]
    fn a_run_as_a_table() {
        let mut report = report();
        let real = text(&report, false) + &rejects(&report);
        report.dry_run = true;
        let rehearsed = outcome(&report);
        report.dry_run = false;
        report.status = RunStatus::Interrupted;
        insta::assert_snapshot!(format!("{real}\n\n{rehearsed}\n{}", outcome(&report)), @r#"
        stream     read  inserted  updated  skipped  filtered  rejected  batches    time  status
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        players  12,345    12,343        0        0         0         2        1  1.25 s  complete
        games         0         0        0        0         0         0        0  0.00 s  complete before
        total    12,345    12,343        0        0         0         2        1  1.25 s

        complete, with rejects
        rejects:
          players: 2 × too_long (username): longer than varchar(50)
          players: 3 rows rejected before, still open

        complete, with rejects; this was a dry run: all of it was rolled back, nothing was written
        interrupted; what the table shows is committed
        "#);
    }

    #[test]
    fn a_run_as_a_document() {
        let mut report = report();
        report.streams.truncate(1);
        report.status = RunStatus::Failed;
        report.error = Some("`game`: no space is left".to_owned());
        report.hint = Some("free some space".to_owned());
        report.error_kind = Some(ErrorKind::Full);
        insta::assert_json_snapshot!(RunDocument::of(&report, &invocation()), @r#"
        {
          "run": "00000000-0000-4000-8000-000000000001",
          "project": "game",
          "environment": "embedded",
          "dry_run": false,
          "status": "failed",
          "streams": [
            {
              "name": "players",
              "source": "app.players",
              "target": "game.players",
              "status": "complete",
              "read": 12345,
              "filtered": 0,
              "inserted": 12343,
              "updated": 0,
              "skipped": 0,
              "rejected": 2,
              "batches": 1,
              "seconds": 1.25,
              "source_rows": 12345,
              "target_rows": 12343,
              "rejects_open": 5,
              "reasons": [
                {
                  "reason": "too_long",
                  "column": "username",
                  "detail": "longer than varchar(50)",
                  "rows": 2
                }
              ]
            }
          ],
          "warnings": [],
          "error": {
            "kind": "full",
            "message": "`game`: no space is left",
            "hint": "free some space",
            "exit_code": 3,
            "findings": []
          }
        }
        "#);
        let error = Error::new(ErrorKind::Unreachable, "`game` cannot be reached");
        insta::assert_json_snapshot!(RunDocument::not_begun(&error, Some("game"), &invocation(), true), @r#"
        {
          "run": null,
          "project": "game",
          "environment": "embedded",
          "dry_run": true,
          "status": "failed",
          "streams": [],
          "warnings": [],
          "error": {
            "kind": "unreachable",
            "message": "`game` cannot be reached",
            "hint": "check address and port, and that the server runs",
            "exit_code": 3,
            "findings": []
          }
        }
        "#);
    }
}
