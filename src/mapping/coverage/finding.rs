//! What coverage finds, in words.

use std::fmt::Display;

use super::{Reading, SourceCoverage, source_place};
use crate::data::finding::{Finding, Located, Place};
use crate::data::table::TableName;
use crate::mapping::stream::{ColumnRef, Project, TableRef};

/// Names as a list; unlike in other findings none is left out, for that is what was asked.
fn all(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `1 table`, `2 tables`.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn tables_not_moved(project: &Project, source: &SourceCoverage) -> Option<Finding> {
    let [first, ..] = source.not_moved.as_slice() else {
        return None;
    };
    let connection = &source.connection;
    Some(
        Finding::warning(
            "plan::table_not_moved",
            source_place(project, connection).cloned(),
            format!(
                "no stream reads {} of `{connection}`: {}",
                counted(source.not_moved.len(), "table"),
                all(&source.not_moved)
            ),
        )
        .label("not read as a whole")
        .help(format!(
            "write a stream, or say in project.toml why not: [ignore.tables] \"{connection}.{first}\" = \"…\""
        )),
    )
}

/// At the first stream that reads the table.
pub(super) fn columns_not_moved(table: &TableRef, columns: &[String], readings: &[&Reading<'_>]) -> Option<Finding> {
    let stream = readings.first()?.stream;
    let first = columns.first()?;
    let help = if readings.len() == 1 {
        format!("map it, or say why not: ignore = {{ {first} = \"…\" }} in the stream")
    } else {
        format!("map it in a stream, or say in project.toml why not: [ignore.columns] \"{table}.{first}\" = \"…\"")
    };
    Some(
        Finding::warning(
            "plan::column_not_moved",
            Some(stream.place.clone()),
            format!(
                "no stream moves {} of `{table}`: {}",
                counted(columns.len(), "column"),
                all(columns)
            ),
        )
        .label("reads the table")
        .help(help),
    )
}

pub(super) fn unknown_table(table: &TableRef, place: &Place, known: &[TableName]) -> Finding {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    Finding::error(
        "plan::unknown_table",
        Some(place.clone()),
        format!("source `{}` has no table `{}`", table.connection, table.table),
    )
    .label("not there")
    .help_nearest(&table.table.to_string(), known.iter().map(String::as_str))
}

pub(super) fn unknown_column(name: &Located<ColumnRef>, known: &[&str]) -> Finding {
    Finding::error(
        "plan::unknown_column",
        Some(name.place.clone()),
        format!("`{}` has no column `{}`", name.value.table, name.value.column),
    )
    .label("not there")
    .help_nearest(&name.value.column, known.iter().copied())
}

pub(super) fn moved_after_all(what: &impl Display, place: &Place, reading: &Reading<'_>) -> Finding {
    Finding::warning(
        "plan::ignored_but_moved",
        Some(place.clone()),
        format!(
            "`{what}` is to be left out, but stream `{}` moves it",
            reading.stream.name.value
        ),
    )
    .label("moved after all")
    .help("take it out of `ignore`")
}
