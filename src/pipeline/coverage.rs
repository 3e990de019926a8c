//! Coverage of a plan: asks every source of the project what it holds, and compares with what
//! the streams read.

use std::sync::Arc;

use super::ends::Ends;
use super::shape::Shape;
use crate::Result;
use crate::config::Config;
use crate::data::finding::{Finding, Severity};
use crate::mapping::coverage::{self, Coverage, Reading, Sources};
use crate::mapping::stream::{From, TableRef};
use crate::mapping::{Project, Stream};
use crate::source::{self, Source};

/// Streams of a plan with their shapes, and those that were left out.
pub(super) struct Planned<'a> {
    pub(super) streams: &'a [&'a Stream],
    pub(super) shapes: &'a [Option<Shape>],
    pub(super) disabled: &'a [String],
}

/// What the project moves of its sources. Sources of disabled connections are not looked at.
/// With `strict` what is not moved is an error.
///
/// # Errors
/// What a source fails with.
pub(super) async fn coverage(
    project: &Project,
    config: &Config,
    ends: &Ends,
    planned: &Planned<'_>,
    strict: bool,
) -> Result<(Coverage, Vec<Finding>)> {
    let mut sources = Sources::default();
    for named in &project.sources {
        if config.is_disabled(&named.value) {
            continue;
        }
        let source = match ends.sources.get(&named.value) {
            Some(source) => Arc::clone(source),
            None => Arc::from(source::open(&config.resolve(&named.value)?).await?),
        };
        sources.tables.insert(named.value.clone(), source.tables().await?);
        ignored_columns(project, &named.value, source.as_ref(), planned, &mut sources).await?;
    }
    let readings: Vec<Reading<'_>> = planned
        .streams
        .iter()
        .zip(planned.shapes)
        .filter_map(|(stream, shape)| {
            let shape = shape.as_ref()?;
            let moved = shape.transform.moved_columns().iter().map(String::as_str);
            Some(Reading {
                stream,
                moved: moved.collect(),
                table: &shape.source,
            })
        })
        .collect();
    let (coverage, mut findings) = coverage::coverage(project, &sources, &readings, planned.disabled);
    for finding in &mut findings {
        if strict && matches!(finding.code, "plan::table_not_moved" | "plan::column_not_moved") {
            finding.severity = Severity::Error;
        }
    }
    Ok((coverage, findings))
}

/// Columns of the tables under `[ignore.columns]` that no stream reads: their names are checked.
async fn ignored_columns(
    project: &Project,
    connection: &str,
    source: &dyn Source,
    planned: &Planned<'_>,
    sources: &mut Sources,
) -> Result<()> {
    let reads = |stream: &Stream, name: &TableRef| matches!(&stream.from, From::Table(table) if table.value == *name);
    for (name, _) in &project.ignore.columns {
        let table = &name.value.table;
        let known = sources.columns.contains_key(table) || planned.streams.iter().any(|stream| reads(stream, table));
        if table.connection == connection
            && !known
            && let Some(shape) = source.table(&table.table).await?
        {
            let columns = shape.columns.into_iter().map(|column| column.name);
            sources.columns.insert(table.clone(), columns.collect());
        }
    }
    Ok(())
}

/// A subject of the project, and the streams that do not say how their rows belong to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name.
    pub name: String,
    /// Streams.
    pub streams_without: Vec<String>,
}

/// The subjects that a project declares.
pub(super) fn subjects(project: &Project) -> Vec<Subject> {
    let without = |subject: &str| {
        let tells = |stream: &&Stream| !stream.subjects.iter().any(|(name, _)| name.value == subject);
        let streams = project.streams.iter().filter(tells);
        streams.map(|stream| stream.name.value.clone()).collect()
    };
    let subjects = project.subjects.iter().map(|subject| Subject {
        name: subject.value.clone(),
        streams_without: without(&subject.value),
    });
    subjects.collect()
}
