//! `dbferry plan`: what a run would do, without doing any of it.

use std::time::Duration;

use super::failure;
use super::figures;
use super::files::Files;
use super::intent::Invocation;
use super::output::{Console, Tone, visible};
use super::schema;
use super::table::{Align, Grid};
use crate::data::stream::OnConflict;
use crate::mapping::difference::Difference;
use crate::mapping::keyed::told;
use crate::pipeline::partitions::Partitions;
use crate::pipeline::plan::{self, Options, Plan, PlannedStream};
use crate::{Result, error};

mod cost;
mod coverage;
mod document;

/// Widest expression that is shown whole.
const EXPRESSION_MAX: usize = 60;

pub(super) async fn run(invocation: &Invocation, options: &Options, console: &Console) -> Result<u8> {
    let files = Files::load(invocation)?;
    let plan = match Box::pin(plan::plan(&files.project, &files.config, options)).await {
        Ok(plan) => plan,
        Err(error) => return Err(schema::with_way_out(error, &files, &options.only, invocation).await),
    };
    if !plan.findings.is_empty() {
        console.note(&failure::findings(&plan.findings, Some(invocation), console.note_color));
    }
    if console.is_json() {
        console.document(&document::PlanDocument::of(&plan, invocation))?;
    } else {
        console.result(&text(&plan, options.count, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

fn text(plan: &Plan, counted: bool, color: bool) -> String {
    let streams = u64::try_from(plan.streams.len()).unwrap_or(u64::MAX);
    let mut lines = vec![visible(&format!(
        "project {}, environment {}: {} in this order",
        plan.project,
        plan.environment,
        figures::counted(streams, "stream")
    ))];
    for (index, stream) in plan.streams.iter().enumerate() {
        lines.push(String::new());
        lines.extend(described(index + 1, stream, counted, color));
    }
    lines.push(String::new());
    lines.extend(cost::lines(plan));
    lines.extend(coverage::lines(plan));
    let left_out = |name: &String| visible(&format!("left out, a connection of it is disabled: {name}"));
    lines.extend(plan.disabled.iter().map(left_out));
    let limits = &plan.limits;
    lines.push(format!(
        "a batch commits at {}, {} or {}; a run stops at more than {}",
        figures::counted(limits.batch_rows_max, "row"),
        figures::bytes(limits.batch_bytes_max),
        figures::duration(Duration::from_millis(limits.batch_milliseconds_max)),
        figures::counted(limits.max_rejects, "reject"),
    ));
    lines.join("\n")
}

fn described(number: usize, stream: &PlannedStream, counted: bool, color: bool) -> Vec<String> {
    let name = Tone::Strong.paint(&visible(&stream.name), color);
    let ends = visible(&format!("{} → {}", stream.source, stream.target));
    let mut lines = vec![
        format!("{number}. {name}: {ends}"),
        format!("   {}", visible(&manner(stream))),
    ];
    let heads = ["column", "type", "from", "of type"].map(|head| (head, Align::Left));
    let mut grid = Grid::new(&heads, color);
    for column in &stream.columns {
        grid.row([
            &column.target,
            &column.target_type,
            &short(&column.expression),
            &column.source_type,
        ]);
    }
    lines.extend(grid.render().lines().map(|line| format!("   {line}")));
    lines.extend(differences(stream, counted, color));
    lines.extend(stream.partitions.as_ref().map(largest));
    let note = Tone::Caution.paint("note:", color);
    lines.extend(stream.notes.iter().map(|text| format!("   {note} {}", visible(text))));
    lines
}

/// `largest partition (conv_id, bucket): about 20,000 rows, 4.1 MB`.
fn largest(partitions: &Partitions) -> String {
    let sampled = if partitions.exact {
        String::new()
    } else {
        format!(", by {} of the source", figures::counted(partitions.rows_read, "row"))
    };
    visible(&format!(
        "   largest partition ({}): about {}, {}{sampled}",
        partitions.key.join(", "),
        figures::counted(partitions.largest_rows, "row"),
        figures::bytes(partitions.largest_bytes)
    ))
}

/// Where the target holds less than the source, and for how many rows that matters.
fn differences(stream: &PlannedStream, counted: bool, color: bool) -> Vec<String> {
    if stream.differences.is_empty() {
        return Vec::new();
    }
    let mut heads = vec!["differs", "in that", "so that"];
    heads.extend(counted.then_some("concerns"));
    let heads: Vec<_> = heads.into_iter().map(|head| (head, Align::Left)).collect();
    let mut grid = Grid::new(&heads, color);
    for difference in &stream.differences {
        let rows = difference
            .rows
            .map_or_else(|| "not counted".to_owned(), |rows| figures::counted(rows, "row"));
        grid.row([&columns(difference), &difference.what, &difference.effect, &rows]);
    }
    let mut lines = vec![String::new()];
    lines.extend(grid.render().lines().map(|line| format!("   {line}")));
    if counted && stream.filtered {
        lines.push("   counted among all rows of the source: `where` is not looked at".to_owned());
    }
    lines
}

/// `status`, or `status (from state)`.
fn columns(difference: &Difference) -> String {
    if difference.column == difference.source_column {
        difference.column.clone()
    } else {
        format!("{} (from {})", difference.column, difference.source_column)
    }
}

/// An expression in one line, cut where it is long; JSON has all of it.
fn short(expression: &str) -> String {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= EXPRESSION_MAX {
        return line;
    }
    let cut: String = line.chars().take(EXPRESSION_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}

/// `begins, about 1,200 rows; key id; rows that exist are updated; after users`.
fn manner(stream: &PlannedStream) -> String {
    let state = match &stream.checkpoint {
        None => "begins".to_owned(),
        Some(checkpoint) if checkpoint.complete => {
            format!("complete, {}", figures::counted(checkpoint.counts.read, "row"))
        }
        Some(checkpoint) => format!("goes on after {}", figures::counted(checkpoint.counts.read, "row")),
    };
    let rows = stream
        .rows_estimate
        .map(|rows| format!(", about {}", figures::counted(rows, "row")))
        .unwrap_or_default();
    let conflict = match stream.on_conflict {
        OnConflict::Error | OnConflict::ErrorUnlessEqual => "a row that exists is a reject",
        OnConflict::Skip => "rows that exist are skipped",
        OnConflict::Update => "rows that exist are updated",
    };
    let key = match &stream.keyed {
        Some(layout) => {
            let expiry = told(layout).map(|expiry| format!(", {expiry}")).unwrap_or_default();
            format!("{} per key{expiry}", layout.key_type.name())
        }
        None => format!("key {}", stream.key.join(", ")),
    };
    let read = if !stream.resumable {
        "; atomic".to_owned()
    } else if stream.source_key == stream.key && stream.keyed.is_none() {
        String::new()
    } else {
        format!(", read by {}", stream.source_key.join(", "))
    };
    let after = if stream.after.is_empty() {
        String::new()
    } else {
        format!("; after {}", stream.after.join(", "))
    };
    let undo = if stream.write.undo { "; leaves an undo log" } else { "" };
    format!("{state}{rows}; {key}{read}; {conflict}{after}{undo}")
}
