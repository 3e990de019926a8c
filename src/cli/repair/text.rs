//! A repair for the terminal: what it would do, stream by stream, and what it has done.

use std::collections::BTreeSet;

use crate::cli::figures;
use crate::cli::intent::Invocation;
use crate::cli::output::{Tone, visible};
use crate::cli::table::{Align, Grid};
use crate::data::finding::listed;
use crate::repair::report::{RepairReport, RepairStatus, StreamRepair};

/// Head of a column, and its figure of a stream.
type Column = (&'static str, fn(&StreamRepair) -> u64);

const PROPOSED: [Column; 7] = [
    ("listed", |stream| stream.listed),
    ("to insert", |stream| stream.insert),
    ("to correct", |stream| stream.correct),
    ("to delete", |stream| stream.delete),
    ("extra, left alone", |stream| stream.extra),
    ("equal by now", |stream| stream.equal),
    ("not listed", |stream| stream.not_listed),
];

const DONE: [Column; 5] = [
    ("inserted", |stream| stream.inserted),
    ("corrected", |stream| stream.corrected),
    ("deleted", |stream| stream.deleted),
    ("rejected", |stream| stream.rejected),
    ("left", |stream| left(stream)),
];

/// Rows that differ still.
fn left(stream: &StreamRepair) -> u64 {
    match (stream.left, &stream.refused) {
        (_, Some(_)) => stream.listed,
        (Some(left), None) => left.rows(),
        (None, None) => stream.extra,
    }
}

/// What would be done.
pub(super) fn proposed(report: &RepairReport, color: bool) -> String {
    let mut lines = vec![
        visible(&format!(
            "repair of {} in {} by verification {}:",
            report.project, report.environment, report.verification
        )),
        String::new(),
        table(report, &PROPOSED, color),
    ];
    for stream in &report.streams {
        if let Some(why) = &stream.refused {
            lines.push(visible(&format!("{}: not repaired: {why}", stream.name)));
        }
    }
    lines.join("\n")
}

fn table(report: &RepairReport, columns: &[Column], color: bool) -> String {
    let heads: Vec<_> = [("stream", Align::Left)]
        .into_iter()
        .chain(columns.iter().map(|(head, _)| (*head, Align::Right)))
        .collect();
    let mut grid = Grid::new(&heads, color);
    for stream in &report.streams {
        let figures = columns.iter().map(|(_, of)| figures::count(of(stream)));
        grid.row([stream.name.clone()].into_iter().chain(figures));
    }
    if report.streams.len() > 1 {
        let sums = columns
            .iter()
            .map(|(_, of)| figures::count(report.streams.iter().map(of).sum()));
        grid.total(["total".to_owned()].into_iter().chain(sums));
    }
    grid.render()
}

/// What somebody is asked to agree to.
pub(super) fn question(report: &RepairReport) -> String {
    let writing = || report.streams.iter().filter(|stream| stream.writes() > 0);
    let written: u64 = writing().map(|stream| stream.insert + stream.correct).sum();
    let deleted: u64 = writing().map(|stream| stream.delete).sum();
    let targets: BTreeSet<&str> = writing().filter_map(|stream| stream.target.split('.').next()).collect();
    let targets = listed(&targets.into_iter().collect::<Vec<_>>());
    match (written, deleted) {
        (written, 0) => format!("write {} into {targets}?", figures::counted(written, "row")),
        (0, deleted) => format!("delete {} from {targets}?", figures::counted(deleted, "row")),
        (written, deleted) => format!(
            "write {} into {targets}, and delete {} there?",
            figures::counted(written, "row"),
            figures::count(deleted)
        ),
    }
}

/// What was done, and what is left.
pub(super) fn outcome(report: &RepairReport, color: bool) -> String {
    let mut lines = Vec::new();
    if report.run.is_some() {
        lines.push(table(report, &DONE, color));
    }
    let rows: u64 = report.streams.iter().map(left).sum();
    let (tone, word, sentence) = match report.status {
        RepairStatus::Planned => (Tone::Strong, "planned", "nothing was written".to_owned()),
        RepairStatus::Done => (
            Tone::Strong,
            "done",
            "none of the rows that the report lists differs any more".to_owned(),
        ),
        RepairStatus::Rejects => (
            Tone::Caution,
            "rejects",
            "none of the rows that the report lists differs any more, but some became rejects".to_owned(),
        ),
        RepairStatus::Left => (
            Tone::Failure,
            "left",
            format!(
                "of the rows that the report lists, {} still {}",
                figures::count(rows),
                if rows == 1 { "differs" } else { "differ" }
            ),
        ),
    };
    lines.push(format!("{} {sentence}", tone.paint(&format!("{word}:"), color)));
    lines.join("\n")
}

/// What people want to know besides.
pub(super) fn beside(report: &RepairReport, invocation: &Invocation, color: bool) -> Vec<String> {
    let caution = Tone::Caution.paint("warning:", color);
    let mut lines = Vec::new();
    for stream in &report.streams {
        for kept in &stream.kept {
            let rows = figures::counted(kept.rows, "row");
            let what = format!("{}: {rows} could not be deleted: {}", stream.name, kept.by);
            lines.push(format!("{caution} {}", visible(&what)));
        }
        let unreadable = stream.extra > 0 && report.delete_extra;
        if unreadable {
            let rows = figures::counted(stream.extra, "row");
            let what = format!("{}: {rows} of the target alone cannot be read, and stay", stream.name);
            lines.push(format!("{caution} {}", visible(&what)));
        }
    }
    if report.not_listed() > 0 {
        lines.push(not_listed(report.not_listed(), color));
    }
    if let Some(run) = &report.run {
        let show = invocation.command(&format!("runs show {run}"), &[]);
        lines.push(format!("recorded as a run: {show}"));
    }
    lines
}

/// Differences that the report does not name cannot be repaired by it.
pub(super) fn not_listed(rows: u64, color: bool) -> String {
    let caution = Tone::Caution.paint("warning:", color);
    format!(
        "{caution} {} that the report counts and does not list stay as they are: verify with --max-differences",
        figures::counted(rows, "difference")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::report::{Kept, Left};

    fn report() -> RepairReport {
        RepairReport {
            project: "game".to_owned(),
            environment: "embedded".to_owned(),
            status: RepairStatus::Planned,
            verification: "1b5f7a5e-0000-4000-8000-000000000001".to_owned(),
            run: None,
            delete_extra: true,
            streams: vec![
                StreamRepair {
                    name: "players".to_owned(),
                    target: "game.players".to_owned(),
                    listed: 1_240,
                    not_listed: 5,
                    insert: 1_200,
                    correct: 30,
                    delete: 4,
                    equal: 6,
                    ..StreamRepair::default()
                },
                StreamRepair {
                    name: "events".to_owned(),
                    target: "game.events".to_owned(),
                    listed: 2,
                    refused: Some("its rows have no key in the target".to_owned()),
                    ..StreamRepair::default()
                },
            ],
        }
    }

    #[test]
    fn a_plan_as_text() {
        insta::assert_snapshot!(proposed(&report(), false) + "\n\n" + &question(&report()), @r#"
        repair of game in embedded by verification 1b5f7a5e-0000-4000-8000-000000000001:

        stream   listed  to insert  to correct  to delete  extra, left alone  equal by now  not listed
        ───────────────────────────────────────────────────────────────────────────────────────────────
        players   1,240      1,200          30          4                  0             6           5
        events        2          0           0          0                  0             0           0
        total     1,242      1,200          30          4                  0             6           5

        events: not repaired: its rows have no key in the target

        write 1,230 rows into `game`, and delete 4 there?
        "#);
    }

    #[test]
    fn an_outcome_as_text() {
        let invocation = Invocation {
            project: "mappings/game".into(),
            environment: "embedded".to_owned(),
            config_dir: "config".into(),
            key_prefix: None,
        };
        let mut done = report();
        done.status = RepairStatus::Left;
        done.run = Some("0b9c51aa-0000-4000-8000-000000000001".to_owned());
        let players = &mut done.streams[0];
        (players.inserted, players.corrected, players.deleted) = (1_200, 30, 3);
        players.left = Some(Left {
            extra: 1,
            ..Left::default()
        });
        players.kept = vec![Kept {
            by: "rows refer to them by foreign key `scores_player_fkey` of table `public.scores`".to_owned(),
            rows: 1,
        }];
        let text = outcome(&done, false) + "\n\n" + &beside(&done, &invocation, false).join("\n");
        insta::assert_snapshot!(text, @r#"
        stream   inserted  corrected  deleted  rejected  left
        ──────────────────────────────────────────────────────
        players     1,200         30        3         0     1
        events          0          0        0         0     2
        total       1,200         30        3         0     3

        left: of the rows that the report lists, 3 still differ

        warning: players: 1 row could not be deleted: rows refer to them by foreign key `scores_player_fkey` of table `public.scores`
        warning: 5 differences that the report counts and does not list stay as they are: verify with --max-differences
        recorded as a run: dbferry runs show 0b9c51aa-0000-4000-8000-000000000001 mappings/game --env embedded
        "#);
    }
}
