//! `dbferry plan`: what a run would do, without doing any of it.

use std::time::Duration;

use serde::Serialize;

use super::failure::{self, ErrorDocument, FindingDocument};
use super::figures;
use super::files::Files;
use super::intent::Invocation;
use super::output::{Console, Tone, visible};
use super::schema;
use super::table::{Align, Grid};
use crate::data::counts::Counts;
use crate::data::stream::OnConflict;
use crate::pipeline::plan::{self, Options, Plan, PlannedColumn, PlannedStream};
use crate::{Result, error};

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
        console.document(&PlanDocument::of(&plan, invocation))?;
    } else {
        console.result(&text(&plan, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

fn text(plan: &Plan, color: bool) -> String {
    let streams = u64::try_from(plan.streams.len()).unwrap_or(u64::MAX);
    let mut lines = vec![visible(&format!(
        "project {}, environment {}: {} in this order",
        plan.project,
        plan.environment,
        figures::counted(streams, "stream")
    ))];
    for (index, stream) in plan.streams.iter().enumerate() {
        lines.push(String::new());
        lines.extend(described(index + 1, stream, color));
    }
    lines.push(String::new());
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

fn described(number: usize, stream: &PlannedStream, color: bool) -> Vec<String> {
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
    let note = Tone::Caution.paint("note:", color);
    lines.extend(stream.notes.iter().map(|text| format!("   {note} {}", visible(text))));
    lines
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

/// `begins, about 1,200 rows; key id; rows that exist are updated`.
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
        OnConflict::Error => "a row that exists is a reject",
        OnConflict::Skip => "rows that exist are skipped",
        OnConflict::Update => "rows that exist are updated",
    };
    let key = stream.key.join(", ");
    let read = if !stream.resumable {
        "; atomic".to_owned()
    } else if stream.source_key == stream.key {
        String::new()
    } else {
        format!(", read by {}", stream.source_key.join(", "))
    };
    format!("{state}{rows}; key {key}{read}; {conflict}")
}

/// A plan for programs.
#[derive(Debug, Serialize)]
struct PlanDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    streams: Vec<StreamDocument<'a>>,
    disabled: &'a [String],
    limits: LimitsDocument,
    findings: Vec<FindingDocument>,
    error: Option<ErrorDocument>,
}

#[derive(Debug, Serialize)]
struct StreamDocument<'a> {
    name: &'a str,
    source: &'a str,
    target: &'a str,
    on_conflict: OnConflict,
    key: &'a [String],
    source_key: &'a [String],
    resumable: bool,
    rows_estimate: Option<u64>,
    columns: Vec<ColumnDocument<'a>>,
    checkpoint: Option<CheckpointDocument>,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct ColumnDocument<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    expression: &'a str,
    expression_type: &'a str,
}

/// A checkpoint without its position: that holds values of the source.
#[derive(Debug, Serialize)]
struct CheckpointDocument {
    batches: i64,
    complete: bool,
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct LimitsDocument {
    batch_rows_max: u64,
    batch_bytes_max: u64,
    batch_milliseconds_max: u64,
    max_rejects: u64,
}

impl<'a> PlanDocument<'a> {
    fn of(plan: &'a Plan, invocation: &Invocation) -> Self {
        Self {
            project: &plan.project,
            environment: &plan.environment,
            status: "ready",
            streams: plan.streams.iter().map(StreamDocument::of).collect(),
            disabled: &plan.disabled,
            limits: LimitsDocument {
                batch_rows_max: plan.limits.batch_rows_max,
                batch_bytes_max: plan.limits.batch_bytes_max,
                batch_milliseconds_max: plan.limits.batch_milliseconds_max,
                max_rejects: plan.limits.max_rejects,
            },
            findings: FindingDocument::all(&plan.findings, Some(invocation)),
            error: None,
        }
    }
}

impl<'a> StreamDocument<'a> {
    fn of(stream: &'a PlannedStream) -> Self {
        Self {
            name: &stream.name,
            source: &stream.source,
            target: &stream.target,
            on_conflict: stream.on_conflict,
            key: &stream.key,
            source_key: &stream.source_key,
            resumable: stream.resumable,
            rows_estimate: stream.rows_estimate,
            columns: stream.columns.iter().map(ColumnDocument::of).collect(),
            checkpoint: stream.checkpoint.as_ref().map(|checkpoint| CheckpointDocument {
                batches: checkpoint.sequence,
                complete: checkpoint.complete,
                counts: checkpoint.counts,
            }),
            notes: &stream.notes,
        }
    }
}

impl<'a> ColumnDocument<'a> {
    fn of(column: &'a PlannedColumn) -> Self {
        Self {
            name: &column.target,
            ty: &column.target_type,
            expression: &column.expression,
            expression_type: &column.source_type,
        }
    }
}
