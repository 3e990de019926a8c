//! The targets of a project that have migrations.

use std::path::PathBuf;

use crate::cli::files::{Files, Role};
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::finding::listed;
use crate::mapping::Stream;
use crate::schema;
use crate::{Error, ErrorKind, Result};

/// A target with the migrations that the project has for it.
pub(super) struct Target {
    pub(super) connection: Connection,
    pub(super) folder: PathBuf,
}

impl Target {
    pub(super) fn name(&self) -> &str {
        &self.connection.name
    }
}

/// All targets with migrations of these streams.
pub(super) fn of_streams(files: &Files, only: &[String]) -> Result<Vec<Target>> {
    let ends = Files::ends(&files.streams(only)).into_iter();
    with_migrations(
        files,
        ends.filter(|(_, role)| *role == Role::Sink).map(|(name, _)| name).collect(),
    )
}

/// All targets of a project that are not left out, whether or not streams write to them. Where all
/// streams that do are left out, it is, too.
fn names(files: &Files) -> Vec<String> {
    let streams = files.streams(&[]);
    let is_wanted = |name: &str| {
        let writes = |stream: &&Stream| stream.to.value.connection == name;
        let is_written = streams.iter().any(writes);
        !files.config.is_disabled(name) && (is_written || !files.project.streams.iter().any(|stream| writes(&stream)))
    };
    let ends = Files::ends(&streams).into_iter();
    let mut names: Vec<String> = ends.filter(|(_, role)| *role == Role::Sink).map(|(name, _)| name).collect();
    for sink in &files.project.sinks {
        if is_wanted(&sink.value) && !names.contains(&sink.value) {
            names.push(sink.value.clone());
        }
    }
    names
}

/// Those of these connections that the project has migrations for.
fn with_migrations(files: &Files, names: Vec<String>) -> Result<Vec<Target>> {
    let mut resolved = files.resolve_named(&names)?;
    let mut targets = Vec::new();
    for name in names {
        let Some(connection) = resolved.remove(&name) else { continue };
        if matches!(connection.kind, ConnectionKind::Redis(_)) {
            // There are no tables to make.
            continue;
        }
        if let Some(folder) = schema::folder_for(&files.project, &connection)? {
            targets.push(Target { connection, folder });
        }
    }
    Ok(targets)
}

/// The targets that a `schema` command is about; no variable of another one has to be set.
pub(super) fn chosen(files: &Files, only: &[String]) -> Result<Vec<Target>> {
    let all = names(files);
    let asked = all.iter().filter(|name| only.is_empty() || only.contains(name)).cloned();
    let targets = with_migrations(files, asked.collect())?;
    let unknown = only
        .iter()
        .find(|wanted| targets.iter().all(|target| target.name() != *wanted));
    if unknown.is_none() && !targets.is_empty() {
        return Ok(targets);
    }
    let project = &files.project.name;
    let error = match unknown {
        Some(wanted) => format!("project `{project}` has no migrations for connection `{wanted}`"),
        None => format!("project `{project}` has no migrations"),
    };
    let has_some = |name: &&String| {
        let kind = files.config.kind(name);
        kind.is_some_and(|kind| {
            schema::has_migrations(kind) && matches!(schema::folder_of(&files.project, name, kind), Ok(Some(_)))
        })
    };
    let known: Vec<&String> = all.iter().filter(has_some).collect();
    let error = Error::new(ErrorKind::Usage, error);
    Err(if known.is_empty() {
        let folder = files.project.folder.join("migrations");
        error.hint(format!("they are files in {}/CONNECTION", folder.display()))
    } else {
        error.hint(format!("it has some for {}", listed(&known)))
    })
}
