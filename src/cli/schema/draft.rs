//! `dbferry schema new`: the files of a new migration.

use serde::Serialize;

use crate::cli::failure::ErrorDocument;
use crate::cli::files::Files;
use crate::cli::output::{Console, visible};
use crate::data::finding::listed;
use crate::schema;
use crate::{Error, ErrorKind, Result, error};

/// New files for programs.
#[derive(Debug, Serialize)]
struct DraftDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    connection: &'a str,
    version: i64,
    files: [String; 2],
    error: Option<ErrorDocument>,
}

pub(super) fn run(files: &Files, name: &str, connection: Option<&str>, console: &Console) -> Result<u8> {
    let (connection, kind) = target(files, connection)?;
    let draft = schema::draft(&files.project, connection, kind, name)?;
    let paths = [&draft.up, &draft.down].map(|path| path.display().to_string());
    if console.is_json() {
        console.document(&DraftDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: "done",
            connection,
            version: draft.version,
            files: paths,
            error: None,
        })?;
    } else {
        console.result(&paths.map(|path| visible(&path)).join("\n"))?;
    }
    Ok(error::EXIT_DONE)
}

/// The target that is named, or the only one. No variable has to be set for it.
fn target<'a>(files: &'a Files, wanted: Option<&str>) -> Result<(&'a str, &'static str)> {
    let kind = |name: &str| files.config.kind(name).filter(|kind| schema::has_migrations(kind));
    let names: Vec<&str> = files.project.sinks.iter().map(|sink| sink.value.as_str()).collect();
    let targets: Vec<(&str, &'static str)> = names.into_iter().filter_map(|name| Some((name, kind(name)?))).collect();
    let project = &files.project.name;
    let names: Vec<&str> = targets.iter().map(|(name, _)| *name).collect();
    let choose = || format!("--connection with one of {}", listed(&names));
    match (wanted, targets.as_slice()) {
        (_, []) => Err(Error::new(
            ErrorKind::Usage,
            format!("project `{project}` has no target that takes migrations"),
        )),
        (None, [only]) => Ok(*only),
        (None, _) => Err(Error::new(
            ErrorKind::Usage,
            format!("project `{project}` has several targets, and none is named"),
        )
        .hint(choose())),
        (Some(wanted), _) => targets.iter().find(|(name, _)| *name == wanted).copied().ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("project `{project}` has no target `{wanted}` that takes migrations"),
            )
            .hint(choose())
        }),
    }
}
