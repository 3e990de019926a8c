//! A verification for the terminal: a line for each stream, then what differs.

use std::time::Duration;

use crate::cli::figures;
use crate::cli::output::{Tone, visible};
use crate::cli::table::{Align, Grid};
use crate::cli::verdict::{self, Counted};
use crate::verify::report::{ColumnDifference, Difference, Shown, StreamVerdict, Value, Verdict, VerifyReport};

/// Two texts that have so many characters in common before they differ are told where they do.
const SAME_MIN: usize = 24;

/// Heads of the figures, in the order of [`row`]; the rare ones are left out where all are 0.
const COUNTED: [(&str, bool); 10] = [
    ("source rows", false),
    ("filtered", true),
    ("expired", true),
    ("rejected", false),
    ("covered", false),
    ("target rows", false),
    ("missing", false),
    ("extra", false),
    ("different", false),
    ("unsettled", true),
];

const fn row(counted: &Counted) -> [u64; 10] {
    [
        counted.source_rows,
        counted.filtered,
        counted.expired,
        counted.rejected,
        counted.covered,
        counted.target_rows,
        counted.missing,
        counted.extra,
        counted.different,
        counted.unsettled,
    ]
}

/// The whole report.
pub(in crate::cli) fn text(report: &VerifyReport, color: bool) -> String {
    let mut parts = vec![table(report, color)];
    let listed = report.streams.iter().filter(|stream| worth_telling(stream));
    parts.extend(listed.map(|stream| differences(stream, color)));
    parts.push(outcome(report, color));
    parts.join("\n")
}

fn table(report: &VerifyReport, color: bool) -> String {
    let sums = row(&Counted::all(report));
    let shown: Vec<usize> = (0..COUNTED.len()).filter(|at| !COUNTED[*at].1 || sums[*at] > 0).collect();
    let heads: Vec<_> = [("stream", Align::Left)]
        .into_iter()
        .chain(shown.iter().map(|at| (COUNTED[*at].0, Align::Right)))
        .chain([("time", Align::Right), ("verdict", Align::Left)])
        .collect();
    let mut grid = Grid::new(&heads, color);
    let line = |name: &str, figures: [u64; 10], told: bool, seconds: f64, verdict: &str| {
        let mut line = vec![name.to_owned()];
        line.extend(shown.iter().map(|at| match figures[*at] {
            // Nobody looked for them.
            0 if !told && COUNTED[*at].0 == "extra" => "–".to_owned(),
            rows => figures::count(rows),
        }));
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        line.extend([figures::duration(time), verdict.to_owned()]);
        line
    };
    for stream in &report.streams {
        let verdict = verdict::word(stream.status);
        let figures = row(&Counted::of(stream));
        grid.row(line(&stream.name, figures, stream.extra_checked, stream.seconds, verdict));
    }
    if report.streams.len() > 1 {
        let told = report.streams.iter().all(|stream| stream.extra_checked);
        grid.total(line("total", sums, told, report.seconds, verdict::word(report.status)));
    }
    grid.render()
}

fn worth_telling(stream: &StreamVerdict) -> bool {
    !stream.differences.is_empty() || stream.not_listed > 0 || !stream.notes.is_empty()
}

/// What differs in a stream, row by row, and what is to be known of it.
fn differences(stream: &StreamVerdict, color: bool) -> String {
    let found = Counted::of(stream)
        .found()
        .unwrap_or_else(|| verdict::word(stream.status).to_owned());
    let name = Tone::Strong.paint(&visible(&stream.name), color);
    let ends = visible(&format!("{} → {}", stream.source, stream.target));
    let mut lines = vec![format!("{name} ({ends}): {found}")];
    for difference in &stream.differences {
        lines.extend(one(difference, color));
    }
    if stream.not_listed > 0 {
        let more = figures::counted(stream.not_listed, "difference");
        lines.push(format!("  {more} not listed"));
    }
    match stream.extra_before {
        Some(rows) if stream.extra > 0 => lines.push(format!(
            "  {} of the {} there before the first run",
            figures::count(rows),
            match stream.extra {
                1 => "1 extra row was".to_owned(),
                extra => format!("{} extra rows were", figures::count(extra)),
            }
        )),
        _ => {}
    }
    let note = Tone::Caution.paint("note:", color);
    lines.extend(stream.notes.iter().map(|text| format!("  {note} {}", visible(text))));
    lines.join("\n") + "\n"
}

/// A row that differs: how, its key, and each column with what should be there and what is.
fn one(difference: &Difference, color: bool) -> Vec<String> {
    let kind = verdict::kind(difference.kind);
    let mut key: Vec<String> = difference.key.iter().map(key_column).collect();
    key.extend(verdict::name_by_hash(difference).map(|id| format!("row {}", visible(id))));
    let mut lines = vec![format!(
        "  {}{}  {}",
        Tone::Strong.paint(kind, color),
        " ".repeat("different".len().saturating_sub(kind.len())),
        key.join(", ")
    )];
    let wide = |column: &ColumnDifference| visible(&column.column).chars().count();
    let width = difference.columns.iter().map(wide).max().unwrap_or(0);
    for column in &difference.columns {
        lines.extend(sides(column, width));
    }
    lines
}

fn key_column(shown: &Shown) -> String {
    format!("{} {}", visible(&shown.column), value(&shown.value))
}

fn sides(column: &ColumnDifference, width: usize) -> Vec<String> {
    let indent = " ".repeat(13);
    let name = visible(&column.column);
    if column.source.masked && column.target.masked {
        return vec![format!("{indent}{name:<width$}  masked on both sides")];
    }
    let mut lines = vec![
        format!("{indent}{name:<width$}  source {}", value(&column.source)),
        format!("{indent}{:<width$}  target {}", "", value(&column.target)),
    ];
    lines.extend(remark(column).map(|remark| format!("{indent}{:<width$}  {remark}", "")));
    lines
}

/// Where two texts differ, if that is hard to see.
fn remark(column: &ColumnDifference) -> Option<String> {
    let (source, target) = (column.source.text.as_ref()?, column.target.text.as_ref()?);
    let whole = column.source.cut_from.is_none() && column.target.cut_from.is_none();
    let [(same, ..), _] = verdict::where_they_differ(source, target);
    let same = same.chars().count();
    match (source == target, whole) {
        (true, true) => Some("the same as text, not as values".to_owned()),
        (true, false) => Some("they differ where it is not shown".to_owned()),
        // What is shown of a long one need not be its beginning.
        (false, true) if same >= SAME_MIN => Some(format!("they differ from character {} on", same + 1)),
        (false, _) => None,
    }
}

/// In quotes, so that blanks show and NULL is no text.
pub(super) fn value(value: &Value) -> String {
    match (&value.text, value.cut_from) {
        _ if value.masked => "masked".to_owned(),
        (None, _) => "NULL".to_owned(),
        (Some(text), None) => format!("\"{}\"", visible(text)),
        (Some(text), Some(length)) => format!("\"{}\"… ({} in all)", visible(text), figures::count(length)),
    }
}

/// What it came to, of what.
fn outcome(report: &VerifyReport, color: bool) -> String {
    let tone = match report.status {
        Verdict::Equal => Tone::Strong,
        Verdict::Different => Tone::Failure,
        Verdict::Unsettled | Verdict::Unchecked => Tone::Caution,
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(report.restrictions.iter().map(|text| visible(text)));
    let verdict = tone.paint(&format!("{}:", verdict::word(report.status)), color);
    lines.push(format!("{verdict} {}", verdict::sentence(report)));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verdict::tests::{different, report, stream};

    #[test]
    fn a_verification_as_text() {
        insta::assert_snapshot!(text(&different(), false), @r#"
        stream   source rows  rejected  covered  target rows  missing  extra  different    time  verdict
        ───────────────────────────────────────────────────────────────────────────────────────────────────
        games         12,345         0   12,345       12,345        0      0          0  0.25 s  equal
        players       12,345         8   12,337       12,340        1      4          3  0.25 s  different
        total         24,690         8   24,682       24,685        1      4          3  1.50 s  different

        players (pocketbase.players → game.players): 1 row missing, 4 extra and 3 different
          missing    id "0d6c"
          different  id "1a2b"
                     email  masked on both sides
                     score  source "1200"
                            target "1201"
                     name   source "Ada"
                            target "Ada "
          different  id "c3d4\u{1b}[2J"
                     bio     source "the quick brown fox jumps over the lazy dog"
                             target "the quick brown fox jumps over the lazy cat"
                             they differ from character 41 on
                     region  source NULL
                             target ""
          extra      id masked, row 3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f
          3 differences not listed
          1 of the 4 extra rows were there before the first run
          note: the target was written while it was read

        different: 1 row missing, 4 extra and 3 different, in 1 of 2 streams; 8 source rows are rejects, and not in the target
        "#);
    }

    #[test]
    fn what_agrees_takes_few_lines() {
        let mut sampled = stream("players");
        sampled.status = Verdict::Unchecked;
        sampled.filtered = 5;
        sampled.extra_checked = false;
        let mut unchecked = report(Verdict::Unchecked, vec![sampled]);
        unchecked.restrictions = vec!["only a sample of about 1000 rows of each stream".to_owned()];
        let equal = report(Verdict::Equal, vec![stream("games"), stream("players")]);
        insta::assert_snapshot!(text(&equal, false) + "\n" + &text(&unchecked, false), @r#"
        stream   source rows  rejected  covered  target rows  missing  extra  different    time  verdict
        ─────────────────────────────────────────────────────────────────────────────────────────────────
        games         12,345         0   12,345       12,345        0      0          0  0.25 s  equal
        players       12,345         0   12,345       12,345        0      0          0  0.25 s  equal
        total         24,690         0   24,690       24,690        0      0          0  1.50 s  equal

        equal: 24,690 rows of 2 streams are in the target as they should be, and no others

        stream   source rows  filtered  rejected  covered  target rows  missing  extra  different    time  verdict
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
        players       12,345         5         0   12,345       12,345        0      –          0  0.25 s  unchecked

        only a sample of about 1000 rows of each stream
        unchecked: not everything was compared; in what was, nothing differs
        "#);
    }

    #[test]
    fn colours_only_where_wanted() {
        assert!(!text(&different(), false).contains('\u{1b}'));
        assert!(text(&different(), true).contains("\u{1b}[1;31mdifferent:\u{1b}[0m"));
    }
}
