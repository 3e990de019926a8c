//! Coverage: source tables that no stream reads, and source columns that no stream moves.
//!
//! A column is moved where a stream takes it, computes with it, or decides by it (`where`,
//! `rules`). What `ignore` names is left out on purpose. Which columns a query reads is not
//! known: a table that only queries name is neither moved nor left out. Columns that the source
//! computes from others are not looked for.

use std::collections::BTreeMap;

use super::stream::{ColumnRef, Project, TableRef};
use super::{Located, Stream};
use crate::data::finding::{Finding, Place};
use crate::data::table::{Column, Fill, Table, TableName};

mod finding;
mod left_out;
mod query;

/// One stream that reads a table.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Stream.
    pub stream: &'a Stream,
    /// Source columns that it moves.
    pub moved: Vec<&'a str>,
    /// Shape of the table.
    pub table: &'a Table,
}

impl<'a> Reading<'a> {
    fn moves(&self, column: &str) -> bool {
        self.moved.contains(&column)
    }

    /// Columns of the table that are to be moved: neither fields of documents, which the stream
    /// has declared itself, nor what the source computes.
    fn own_columns(&self) -> Vec<&'a Column> {
        let is_field = |name: &str| self.stream.fields.iter().any(|field| field.name.value == name);
        let columns = self.table.columns.iter();
        columns
            .filter(|column| column.fill != Fill::Generated && !is_field(&column.name))
            .collect()
    }

    /// Why the stream leaves a column out, where it says so.
    fn ignores(&self, column: &str) -> Option<&'a str> {
        let entry = self.stream.ignore.iter().find(|(name, _)| name.value == column)?;
        Some(&entry.1.value)
    }
}

/// What the sources of a project hold.
#[derive(Debug, Default)]
pub struct Sources {
    /// All tables of each source that could be looked at.
    pub tables: BTreeMap<String, Vec<TableName>>,
    /// Columns of tables that `[ignore.columns]` names and no stream reads.
    pub columns: BTreeMap<TableRef, Vec<String>>,
}

/// What a project moves of its sources, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Every source that was looked at.
    pub sources: Vec<SourceCoverage>,
    /// Columns of tables that are read, but that no stream moves and nothing excuses.
    pub columns: Vec<TableColumns>,
    /// Columns that no stream moves and `ignore` names.
    pub ignored_columns: Vec<IgnoredColumn>,
    /// By stream: columns of its table that it leaves out on purpose, and those that it leaves
    /// out and others move, in words.
    pub left_out: BTreeMap<String, Vec<String>>,
}

/// The tables of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceCoverage {
    /// Connection.
    pub connection: String,
    /// Tables that a stream reads.
    pub read: Vec<String>,
    /// Tables that `ignore` names, with reasons.
    pub ignored: Vec<Ignored>,
    /// Tables that only queries name: what of them is moved is not known.
    pub in_queries: Vec<String>,
    /// Tables that only streams read that are left out because a connection is disabled.
    pub disabled: Vec<String>,
    /// Tables that nothing reads and nothing excuses.
    pub not_moved: Vec<String>,
}

/// Columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumns {
    /// `connection.table`.
    pub table: String,
    /// Columns.
    pub columns: Vec<String>,
}

/// A table that is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Table.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A column that is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredColumn {
    /// `connection.table`.
    pub table: String,
    /// Column.
    pub column: String,
    /// Why.
    pub reason: String,
    /// The project says so for all streams.
    pub by_project: bool,
}

/// Looks at all of a project. `disabled` are the streams that are not planned.
#[must_use]
pub fn coverage(project: &Project, sources: &Sources, readings: &[Reading<'_>], disabled: &[String]) -> (Coverage, Vec<Finding>) {
    let survey = Survey {
        project,
        sources,
        readings,
        disabled,
    };
    let mut findings = Vec::new();
    let mut coverage = Coverage::default();
    for (connection, tables) in &sources.tables {
        let source = survey.source(connection, tables);
        findings.extend(finding::tables_not_moved(project, &source));
        coverage.sources.push(source);
    }
    survey.columns(&mut coverage, &mut findings);
    survey.ignored(&mut findings);
    (coverage, findings)
}

struct Survey<'a> {
    project: &'a Project,
    sources: &'a Sources,
    readings: &'a [Reading<'a>],
    disabled: &'a [String],
}

/// Whether two names mean one table: a schema that is left out is any.
fn same(one: &TableName, other: &TableName) -> bool {
    one.name == other.name && (one.schema == other.schema || one.schema.is_none() || other.schema.is_none())
}

impl<'a> Survey<'a> {
    /// The table of a source that a name means: the one of that very name, else one whose schema
    /// is left out on either side.
    fn listed(&self, wanted: &TableRef) -> Option<&'a TableName> {
        let tables = self.sources.tables.get(&wanted.connection)?;
        let exact = tables.iter().find(|table| **table == wanted.table);
        exact.or_else(|| tables.iter().find(|table| same(table, &wanted.table)))
    }

    fn is(&self, wanted: &TableRef, connection: &str, table: &TableName) -> bool {
        wanted.connection == connection && self.listed(wanted) == Some(table)
    }

    fn source(&self, connection: &str, tables: &[TableName]) -> SourceCoverage {
        let mut source = SourceCoverage {
            connection: connection.to_owned(),
            ..SourceCoverage::default()
        };
        for table in tables {
            let reads = |stream: &Stream| from(stream).is_some_and(|from| self.is(from, connection, table));
            let planned = self.readings.iter().any(|reading| reads(reading.stream));
            let ignore = self.project.ignore.tables.iter();
            let mut ignored = ignore.filter(|(name, _)| self.is(&name.value, connection, table));
            let text = table.to_string();
            if planned {
                source.read.push(text);
            } else if let Some((_, reason)) = ignored.next() {
                source.ignored.push(Ignored {
                    name: text,
                    reason: reason.value.clone(),
                });
            } else if self
                .project
                .streams
                .iter()
                .any(|stream| self.is_disabled(stream) && reads(stream))
            {
                source.disabled.push(text);
            } else if query::names(&self.project.streams, connection, table) {
                source.in_queries.push(text);
            } else {
                source.not_moved.push(text);
            }
        }
        source
    }

    fn is_disabled(&self, stream: &Stream) -> bool {
        self.disabled.contains(&stream.name.value)
    }

    /// Readings by table, in file order.
    fn by_table(&self) -> Vec<(&'a TableRef, Vec<&'a Reading<'a>>)> {
        let mut tables: Vec<(&TableRef, Vec<&Reading<'_>>)> = Vec::new();
        for reading in self.readings {
            let Some(table) = from(reading.stream) else { continue };
            let one = |(other, _): &&mut (&TableRef, _)| self.are_one(other, table);
            match tables.iter_mut().find(one) {
                Some((_, readings)) => readings.push(reading),
                None => tables.push((table, vec![reading])),
            }
        }
        tables
    }

    fn are_one(&self, one: &TableRef, other: &TableRef) -> bool {
        let listed = (self.listed(one), self.listed(other));
        one == other || (one.connection == other.connection && listed.0.is_some() && listed.0 == listed.1)
    }

    fn columns(&self, coverage: &mut Coverage, findings: &mut Vec<Finding>) {
        for (table, readings) in self.by_table() {
            // What a stream that is left out would move is not known.
            let reads = |stream: &Stream| from(stream).is_some_and(|from| self.are_one(from, table));
            let known = !self
                .project
                .streams
                .iter()
                .any(|stream| self.is_disabled(stream) && reads(stream));
            let mut lost = Vec::new();
            let own = readings.first().map_or_else(Vec::new, |reading| reading.own_columns());
            for column in &own {
                if readings.iter().any(|reading| reading.moves(&column.name)) {
                    continue;
                }
                match self.excuse(table, &readings, &column.name) {
                    Some(ignored) => coverage.ignored_columns.push(ignored),
                    None => lost.push(column.name.clone()),
                }
            }
            if !lost.is_empty() && known {
                findings.extend(finding::columns_not_moved(table, &lost, &readings));
                coverage.columns.push(TableColumns {
                    table: table.to_string(),
                    columns: lost,
                });
            }
            for reading in &readings {
                let left = own.iter().map(|column| column.name.as_str()).filter(|column| {
                    !reading.moves(column) && reading.ignores(column).is_none() && self.by_project(table, column).is_none()
                });
                let notes = left_out::notes(reading, &left.collect::<Vec<_>>(), &readings);
                coverage.left_out.insert(reading.stream.name.value.clone(), notes);
            }
        }
    }

    /// Why no stream moves a column: the project says so, or every stream that reads its table.
    fn excuse(&self, table: &TableRef, readings: &[&Reading<'_>], column: &str) -> Option<IgnoredColumn> {
        let by_project = self.by_project(table, column);
        let by_streams = || {
            let reasons = readings.iter().map(|reading| reading.ignores(column));
            reasons.collect::<Option<Vec<_>>>()?.first().copied()
        };
        Some(IgnoredColumn {
            table: table.to_string(),
            column: column.to_owned(),
            reason: by_project.or_else(by_streams)?.to_owned(),
            by_project: by_project.is_some(),
        })
    }

    fn by_project(&self, table: &TableRef, column: &str) -> Option<&'a str> {
        let mut columns = self.project.ignore.columns.iter();
        let (_, reason) = columns.find(|(name, _)| self.is_column(&name.value, table, column))?;
        Some(&reason.value)
    }

    fn is_column(&self, name: &ColumnRef, table: &TableRef, column: &str) -> bool {
        name.column == column && self.are_one(&name.table, table)
    }

    /// Names under `[ignore]`: those that are not there, and those that are moved after all.
    fn ignored(&self, findings: &mut Vec<Finding>) {
        for (name, _) in &self.project.ignore.tables {
            let Some(tables) = self.sources.tables.get(&name.value.connection) else {
                continue;
            };
            if self.listed(&name.value).is_none() {
                findings.push(finding::unknown_table(&name.value, &name.place, tables));
            } else if let Some(reading) = self.reading(&name.value, None) {
                findings.push(finding::moved_after_all(&name.value, &name.place, reading));
            }
        }
        for (name, _) in &self.project.ignore.columns {
            if self.is_there(name, findings)
                && let Some(reading) = self.reading(&name.value.table, Some(&name.value.column))
            {
                findings.push(finding::moved_after_all(&name.value, &name.place, reading));
            }
        }
    }

    /// The stream that reads a table, or moves a column of it.
    fn reading(&self, table: &TableRef, column: Option<&str>) -> Option<&'a Reading<'a>> {
        self.readings.iter().find(|reading| {
            from(reading.stream).is_some_and(|from| self.are_one(from, table)) && column.is_none_or(|column| reading.moves(column))
        })
    }

    /// Whether a column under `[ignore.columns]` is in its source; true where that is not known.
    fn is_there(&self, name: &Located<ColumnRef>, findings: &mut Vec<Finding>) -> bool {
        let table = &name.value.table;
        let Some(tables) = self.sources.tables.get(&table.connection) else {
            return true;
        };
        let columns: Vec<&str> = match (self.reading(table, None), self.sources.columns.get(table)) {
            (Some(reading), _) => reading.table.columns.iter().map(|column| column.name.as_str()).collect(),
            (None, Some(columns)) => columns.iter().map(String::as_str).collect(),
            (None, None) => {
                findings.push(finding::unknown_table(table, &name.place, tables));
                return false;
            }
        };
        if columns.contains(&name.value.column.as_str()) {
            return true;
        }
        findings.push(finding::unknown_column(name, &columns));
        false
    }
}

fn from(stream: &Stream) -> Option<&TableRef> {
    match &stream.from {
        super::stream::From::Table(table) => Some(&table.value),
        super::stream::From::Query { .. } => None,
    }
}

/// Where a connection is named as a source.
fn source_place<'a>(project: &'a Project, connection: &str) -> Option<&'a Place> {
    let named = project.sources.iter().find(|source| source.value == connection)?;
    Some(&named.place)
}

#[cfg(test)]
mod tests;
