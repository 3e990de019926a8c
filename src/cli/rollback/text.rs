//! A rollback for the terminal: what it would do, stream by stream, and what it has done.

use crate::cli::figures;
use crate::cli::output::{Tone, visible};
use crate::cli::table::{Align, Grid};
use crate::data::finding::listed;
use crate::pipeline::rollback::report::{RollbackReport, RollbackStatus, StreamRollback};

/// Keys of rows in the way that are shown of each stream.
const KEYS_SHOWN: usize = 10;

/// Head of a column, and its figure of a stream.
type Column = (&'static str, fn(&StreamRollback) -> u64);

const TO_DO: [Column; 7] = [
    ("inserted", |stream| stream.inserted),
    ("updated", |stream| stream.updated),
    ("to remove", |stream| stream.removed),
    ("to restore", |stream| stream.restored),
    ("gone", |stream| stream.gone),
    ("changed since", |stream| stream.changed_since.rows),
    ("referred to by", |stream| {
        stream.referred.iter().map(|referred| referred.rows).sum()
    }),
];

const DONE: [Column; 6] = [
    ("inserted", |stream| stream.inserted),
    ("updated", |stream| stream.updated),
    ("removed", |stream| stream.removed),
    ("restored", |stream| stream.restored),
    ("gone", |stream| stream.gone),
    ("kept", |stream| stream.kept),
];

/// What would be done.
pub(super) fn proposed(report: &RollbackReport, color: bool) -> String {
    let mut lines = vec![
        visible(&format!(
            "run {} of {} in {}:",
            report.run, report.project, report.environment
        )),
        String::new(),
        table(report, &TO_DO, color),
    ];
    for stream in &report.streams {
        lines.extend(in_the_way(stream));
    }
    lines.join("\n")
}

fn in_the_way(stream: &StreamRollback) -> Vec<String> {
    let mut lines = Vec::new();
    let changed = &stream.changed_since;
    if changed.rows > 0 {
        let shown: Vec<&str> = changed.keys.iter().take(KEYS_SHOWN).map(String::as_str).collect();
        let more = if changed.rows > shown.len() as u64 { ", …" } else { "" };
        let rows = figures::counted(changed.rows, "row");
        lines.push(format!(
            "{}: {rows} changed since the run: {}{more}",
            stream.name,
            shown.join("; ")
        ));
    }
    for referred in &stream.referred {
        lines.push(format!(
            "{}: {} of {} would refer to nothing",
            stream.name,
            figures::counted(referred.rows, "row"),
            referred.by
        ));
    }
    lines.iter().map(|line| visible(line)).collect()
}

/// What somebody is asked to agree to.
pub(super) fn question(report: &RollbackReport) -> String {
    format!("take back {}?", figures::counted(report.rows(), "row"))
}

/// What was done, or would be.
pub(super) fn outcome(report: &RollbackReport, color: bool) -> String {
    let sentence = match report.status {
        RollbackStatus::Planned => "planned: nothing was written",
        RollbackStatus::Refused => "refused: something is in the way, and nothing was written",
        RollbackStatus::Done => "rolled back: the targets are as before the run, and it can be run again",
    };
    let (word, rest) = sentence.split_once(':').unwrap_or((sentence, ""));
    let tone = if report.status == RollbackStatus::Refused {
        Tone::Failure
    } else {
        Tone::Strong
    };
    let sentence = format!("{}:{rest}", tone.paint(word, color));
    match report.status {
        RollbackStatus::Done => format!("{}\n\n{sentence}", table(report, &DONE, color)),
        _ => format!("{}\n\n{sentence}", proposed(report, color)),
    }
}

fn table(report: &RollbackReport, columns: &[Column], color: bool) -> String {
    let heads: Vec<_> = [("stream", Align::Left), ("target", Align::Left)]
        .into_iter()
        .chain(columns.iter().map(|(head, _)| (*head, Align::Right)))
        .collect();
    let mut grid = Grid::new(&heads, color);
    for stream in &report.streams {
        let names = [stream.name.clone(), stream.target.clone()];
        grid.row(
            names
                .into_iter()
                .chain(columns.iter().map(|(_, of)| figures::count(of(stream)))),
        );
    }
    if report.streams.len() > 1 {
        let sums = columns
            .iter()
            .map(|(_, of)| figures::count(report.streams.iter().map(of).sum()));
        grid.total(["total".to_owned(), String::new()].into_iter().chain(sums));
    }
    grid.render()
}

/// What is told beside the result.
pub(super) fn warnings(report: &RollbackReport) -> Vec<String> {
    let mut warnings = report.warnings.clone();
    if !report.not_taken_back.is_empty() {
        warnings.push(format!(
            "nothing is taken back of {}: its target keeps no undo log; the way back is a backup that is restored",
            listed(&report.not_taken_back)
        ));
    }
    warnings
}
