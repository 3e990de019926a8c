//! What a plan moves of its sources and what not, for people.

use crate::cli::figures;
use crate::cli::output::visible;
use crate::data::finding::listed;
use crate::mapping::coverage::{Coverage, IgnoredColumn, SourceCoverage};
use crate::pipeline::plan::Plan;

/// Coverage and subjects, with a blank line behind them; nothing where there is nothing to tell.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.coverage.iter().flat_map(covered).collect();
    for subject in plan.subjects.iter().filter(|subject| !subject.streams_without.is_empty()) {
        lines.push(format!(
            "subject {}: no word on which rows belong to one in {}",
            subject.name,
            listed(&subject.streams_without)
        ));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.iter().map(|line| visible(line)).collect()
}

fn covered(coverage: &Coverage) -> Vec<String> {
    let mut lines: Vec<String> = coverage.sources.iter().flat_map(source).collect();
    for lost in &coverage.columns {
        lines.push(format!("not moved of {}: {}", lost.table, lost.columns.join(", ")));
    }
    // What a stream leaves out on purpose is told with the stream.
    let by_project = coverage.ignored_columns.iter().filter(|column| column.by_project);
    lines.extend(by_project.map(
        |IgnoredColumn {
             table, column, reason, ..
         }| format!("left out on purpose: {table}.{column} ({reason})"),
    ));
    lines
}

fn source(source: &SourceCoverage) -> Vec<String> {
    let parts = [
        (source.read.len(), "read"),
        (source.ignored.len(), "left out on purpose"),
        (source.in_queries.len(), "in queries"),
        (source.disabled.len(), "of disabled streams"),
        (source.not_moved.len(), "not read"),
    ];
    let tables: usize = parts.iter().map(|(number, _)| number).sum();
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", figures::count(wide(*number))))
        .collect();
    let mut lines = vec![format!(
        "source {}: {}; {}",
        source.connection,
        figures::counted(wide(tables), "table"),
        parts.join(", ")
    )];
    let lists = [
        ("not read by any stream", &source.not_moved),
        ("in queries, which of their columns is not known", &source.in_queries),
        ("of disabled streams", &source.disabled),
    ];
    for (what, tables) in lists.iter().filter(|(_, tables)| !tables.is_empty()) {
        lines.push(format!("   {what}: {}", tables.join(", ")));
    }
    let ignored = source.ignored.iter();
    lines.extend(ignored.map(|ignored| format!("   left out on purpose: {} ({})", ignored.name, ignored.reason)));
    lines
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
