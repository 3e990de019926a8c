//! A ledger check for the terminal: a line for each stream, then the batches that are not unchanged.

use std::time::Duration;

use crate::cli::figures;
use crate::cli::output::{Tone, visible};
use crate::cli::table::{Align, Grid};
use crate::verify::ledger::report::{BatchOutcome, LedgerFinding, LedgerReport, LedgerStatus, LedgerStream};
use crate::verify::report::Shown;

/// Batches that cannot be compared for one reason are named up to so many.
const NAMED_MAX: usize = 8;

/// Batches by what became of them.
#[derive(Clone, Copy, Default)]
struct Counted {
    batches: u64,
    unchanged: u64,
    changed: u64,
    gone: u64,
    not_comparable: u64,
    rows: u64,
    rows_unchanged: u64,
}

impl Counted {
    const fn of(stream: &LedgerStream) -> Self {
        Self {
            batches: stream.batches,
            unchanged: stream.unchanged,
            changed: stream.changed,
            gone: stream.gone,
            not_comparable: stream.not_comparable,
            rows: stream.rows,
            rows_unchanged: stream.rows_unchanged,
        }
    }

    fn all(report: &LedgerReport) -> Self {
        report.streams.iter().map(Self::of).fold(Self::default(), |sum, one| Self {
            batches: sum.batches + one.batches,
            unchanged: sum.unchanged + one.unchanged,
            changed: sum.changed + one.changed,
            gone: sum.gone + one.gone,
            not_comparable: sum.not_comparable + one.not_comparable,
            rows: sum.rows + one.rows,
            rows_unchanged: sum.rows_unchanged + one.rows_unchanged,
        })
    }

    /// `1 batch changed and 2 gone`; nothing where none is.
    fn found(&self) -> Option<String> {
        match (self.changed, self.gone) {
            (0, 0) => None,
            (changed, 0) => Some(format!("{} changed", figures::counted(changed, "batch"))),
            (0, gone) => Some(format!("{} with rows gone", figures::counted(gone, "batch"))),
            (changed, gone) => Some(format!(
                "{} changed and {} with rows gone",
                figures::counted(changed, "batch"),
                figures::count(gone)
            )),
        }
    }
}

const fn word(status: LedgerStatus) -> &'static str {
    match status {
        LedgerStatus::Unchanged => "unchanged",
        LedgerStatus::Changed => "changed",
        LedgerStatus::Unchecked => "unchecked",
    }
}

/// The whole report.
pub(super) fn text(report: &LedgerReport, color: bool) -> String {
    let mut parts = vec![table(report, color)];
    let listed = report.streams.iter().filter(|stream| {
        let said = !stream.findings.is_empty() || stream.not_listed > 0;
        said || !stream.notes.is_empty()
    });
    parts.extend(listed.map(|stream| batches(stream, color)));
    parts.push(outcome(report, color));
    parts.join("\n")
}

fn table(report: &LedgerReport, color: bool) -> String {
    let mut heads = vec![("stream", Align::Left)];
    heads.extend(["batches", "unchanged", "changed", "gone", "not comparable", "rows", "time"].map(|head| (head, Align::Right)));
    heads.push(("result", Align::Left));
    let mut grid = Grid::new(&heads, color);
    let line = |name: &str, counted: Counted, seconds: f64, status: LedgerStatus| {
        let mut line = vec![name.to_owned()];
        let counts = [
            counted.batches,
            counted.unchanged,
            counted.changed,
            counted.gone,
            counted.not_comparable,
            counted.rows,
        ];
        line.extend(counts.map(figures::count));
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        line.extend([figures::duration(time), word(status).to_owned()]);
        line
    };
    for stream in &report.streams {
        grid.row(line(&stream.name, Counted::of(stream), stream.seconds, stream.status));
    }
    if report.streams.len() > 1 {
        grid.total(line("total", Counted::all(report), report.seconds, report.status));
    }
    grid.render()
}

/// The batches of a stream that are not unchanged, and what is to be known of it.
fn batches(stream: &LedgerStream, color: bool) -> String {
    let name = Tone::Strong.paint(&visible(&stream.name), color);
    let ends = visible(&format!("{} → {}", stream.source, stream.target));
    let found = Counted::of(stream).found().unwrap_or_else(|| word(stream.status).to_owned());
    let mut lines = vec![format!("{name} ({ends}): {found}")];
    let mut unclear: Vec<((&str, i32), Vec<&LedgerFinding>)> = Vec::new();
    for finding in &stream.findings {
        if finding.outcome != BatchOutcome::NotComparable {
            lines.extend(one(finding, color));
            continue;
        }
        let why = (finding.reason.as_deref().unwrap_or_default(), finding.split);
        match unclear.iter_mut().find(|(known, _)| *known == why) {
            Some((_, findings)) => findings.push(finding),
            None => unclear.push((why, vec![finding])),
        }
    }
    lines.extend(unclear.iter().map(|(why, findings)| not_comparable(*why, findings)));
    if stream.not_listed > 0 {
        lines.push(format!("  {} not listed", figures::counted(stream.not_listed, "batch")));
    }
    let note = Tone::Caution.paint("note:", color);
    lines.extend(stream.notes.iter().map(|text| format!("  {note} {}", visible(text))));
    lines.join("\n") + "\n"
}

/// `3`, `3 of split 1`: what a batch is called.
fn named(finding: &LedgerFinding) -> String {
    match finding.split {
        0 => finding.sequence.to_string(),
        split => format!("{} of split {split}", finding.sequence),
    }
}

/// A batch that changed: which, of what rows, and when it was committed.
fn one(finding: &LedgerFinding, color: bool) -> Vec<String> {
    let kind = if finding.outcome == BatchOutcome::Gone {
        "gone"
    } else {
        "changed"
    };
    let rows = figures::counted(finding.rows_then, "row");
    let now = match finding.rows_now {
        Some(now) if now < finding.rows_then => format!(", {} of them there", figures::count(now)),
        _ => String::new(),
    };
    let run: String = finding.run.chars().take(8).collect();
    let pad = " ".repeat("changed".len() - kind.len());
    let kind = Tone::Strong.paint(kind, color);
    let at = visible(&finding.committed_at);
    let mut lines = vec![format!(
        "  {kind}{pad}  batch {}: {rows}{now}, committed {at} by run {run}",
        named(finding)
    )];
    let indent = " ".repeat(11);
    if !finding.first_key.is_empty() {
        lines.push(format!(
            "{indent}from {} to {}",
            key(&finding.first_key),
            key(&finding.last_key)
        ));
    }
    lines.extend(finding.reason.iter().map(|reason| format!("{indent}{}", visible(reason))));
    lines
}

fn key(parts: &[Shown]) -> String {
    let part = |shown: &Shown| format!("{} {}", visible(&shown.column), crate::cli::verify::text::value(&shown.value));
    let parts: Vec<_> = parts.iter().map(part).collect();
    parts.join(", ")
}

/// Batches of a split that cannot be compared, for one reason.
fn not_comparable((reason, split): (&str, i32), findings: &[&LedgerFinding]) -> String {
    let listed = findings.iter().take(NAMED_MAX);
    let mut names: Vec<String> = listed.map(|finding| finding.sequence.to_string()).collect();
    if findings.len() > NAMED_MAX {
        names.push(format!("{} more", figures::count((findings.len() - NAMED_MAX) as u64)));
    }
    let what = if findings.len() == 1 { "batch" } else { "batches" };
    let of = if split == 0 {
        String::new()
    } else {
        format!(" of split {split}")
    };
    format!("  not comparable: {what} {}{of}: {}", names.join(", "), visible(reason))
}

/// What it came to, of what.
fn outcome(report: &LedgerReport, color: bool) -> String {
    let tone = match report.status {
        LedgerStatus::Unchanged => Tone::Strong,
        LedgerStatus::Changed => Tone::Failure,
        LedgerStatus::Unchecked => Tone::Caution,
    };
    let mut lines: Vec<String> = report.restrictions.iter().map(|text| visible(text)).collect();
    let status = tone.paint(&format!("{}:", word(report.status)), color);
    lines.push(format!("{status} {}", sentence(report)));
    lines.join("\n") + "\n"
}

fn sentence(report: &LedgerReport) -> String {
    let counted = Counted::all(report);
    let streams = figures::counted(report.streams.len() as u64, "stream");
    let unclear = match counted.not_comparable {
        0 => String::new(),
        batches => format!("; {} could not be compared", figures::counted(batches, "batch")),
    };
    match report.status {
        LedgerStatus::Unchecked if counted.batches == 0 => "nothing was ever committed".to_owned(),
        LedgerStatus::Unchecked => format!("none of {} could be compared", figures::counted(counted.batches, "batch")),
        LedgerStatus::Unchanged => {
            let holds = if counted.unchanged == 1 { "holds" } else { "hold" };
            format!(
                "{} of {streams} {holds} what was committed, {}{unclear}; rows added since are not looked for",
                figures::counted(counted.unchanged, "batch"),
                figures::counted(counted.rows_unchanged, "row")
            )
        }
        LedgerStatus::Changed => {
            let concerned = report
                .streams
                .iter()
                .filter(|stream| stream.changed + stream.gone > 0)
                .count();
            let found = counted.found().unwrap_or_default();
            format!("{found}, in {} of {streams}{unclear}", figures::count(concerned as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::report::Value;

    fn finding(outcome: BatchOutcome, sequence: i64, rows_now: Option<u64>, reason: Option<&str>) -> LedgerFinding {
        let key = |text: &str, masked: bool| {
            vec![Shown {
                column: "id".to_owned(),
                value: Value {
                    text: (!masked).then(|| text.to_owned()),
                    masked,
                    cut_from: None,
                },
            }]
        };
        LedgerFinding {
            outcome,
            split: i32::from(sequence > 3),
            sequence,
            run: "0b9c51aa-7a0e-4c3f-8f3e-0e6f3f5b2a11".to_owned(),
            committed_at: "2026-11-22T03:10:00.123456Z".to_owned(),
            first_key: key("0d6c", sequence == 4),
            last_key: key("1a2b\u{1b}", sequence == 4),
            rows_then: 10_000,
            rows_now,
            reason: reason.map(str::to_owned),
        }
    }

    fn stream(name: &str, findings: Vec<LedgerFinding>) -> LedgerStream {
        let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count() as u64;
        let (changed, gone) = (count(BatchOutcome::Changed), count(BatchOutcome::Gone));
        LedgerStream {
            name: name.to_owned(),
            source: format!("pocketbase.{name}"),
            target: format!("game.{name}"),
            status: if changed + gone > 0 {
                LedgerStatus::Changed
            } else {
                LedgerStatus::Unchanged
            },
            fingerprint: String::new(),
            batches: 12 + findings.len() as u64,
            unchanged: 12,
            changed,
            gone,
            not_comparable: count(BatchOutcome::NotComparable),
            rows: 150_000,
            rows_unchanged: 120_000,
            seconds: 0.25,
            findings,
            not_listed: 0,
            notes: Vec::new(),
        }
    }

    fn report(status: LedgerStatus, streams: Vec<LedgerStream>) -> LedgerReport {
        LedgerReport {
            format: 1,
            id: String::new(),
            project: "game".to_owned(),
            environment: "development".to_owned(),
            version: "0.1.0".to_owned(),
            status,
            started_at: String::new(),
            ended_at: String::new(),
            seconds: 1.5,
            restrictions: Vec::new(),
            streams,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_ledger_check_as_text() {
        let unclear = |sequence| {
            finding(
                BatchOutcome::NotComparable,
                sequence,
                None,
                Some("it has no range of its own"),
            )
        };
        let mut players = stream(
            "players",
            [
                vec![
                    finding(BatchOutcome::Changed, 2, Some(10_000), None),
                    finding(
                        BatchOutcome::Gone,
                        4,
                        Some(9_999),
                        Some("the source gives other rows by now, too"),
                    ),
                ],
                (5..15).map(unclear).collect(),
            ]
            .concat(),
        );
        players.not_listed = 3;
        players
            .notes
            .push("1 of its batches is not in the ledger any more".to_owned());
        let changed = report(LedgerStatus::Changed, vec![stream("games", Vec::new()), players]);
        let unchanged = report(LedgerStatus::Unchanged, vec![stream("games", vec![unclear(1)])]);
        insta::assert_snapshot!(text(&changed, false) + "\n" + &text(&unchanged, false), @r#"
        stream   batches  unchanged  changed  gone  not comparable     rows    time  result
        ───────────────────────────────────────────────────────────────────────────────────────
        games         12         12        0     0               0  150,000  0.25 s  unchanged
        players       24         12        1     1              10  150,000  0.25 s  changed
        total         36         24        1     1              10  300,000  1.50 s  changed

        players (pocketbase.players → game.players): 1 batch changed and 1 with rows gone
          changed  batch 2: 10,000 rows, committed 2026-11-22T03:10:00.123456Z by run 0b9c51aa
                   from id "0d6c" to id "1a2b\u{1b}"
          gone     batch 4 of split 1: 10,000 rows, 9,999 of them there, committed 2026-11-22T03:10:00.123456Z by run 0b9c51aa
                   from id masked to id masked
                   the source gives other rows by now, too
          not comparable: batches 5, 6, 7, 8, 9, 10, 11, 12, 2 more of split 1: it has no range of its own
          3 batches not listed
          note: 1 of its batches is not in the ledger any more

        changed: 1 batch changed and 1 with rows gone, in 1 of 2 streams; 10 batches could not be compared

        stream  batches  unchanged  changed  gone  not comparable     rows    time  result
        ──────────────────────────────────────────────────────────────────────────────────────
        games        13         12        0     0               1  150,000  0.25 s  unchanged

        games (pocketbase.games → game.games): unchanged
          not comparable: batch 1: it has no range of its own

        unchanged: 12 batches of 1 stream hold what was committed, 120,000 rows; 1 batch could not be compared; rows added since are not looked for
        "#);
    }

    #[test]
    fn where_nothing_is_compared_nothing_is_called_unchanged() {
        let nothing = report(LedgerStatus::Unchecked, Vec::new());
        assert_eq!(outcome(&nothing, false), "unchecked: nothing was ever committed\n");
    }
}
