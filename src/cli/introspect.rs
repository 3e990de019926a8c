//! `dbferry introspect`: looks at both ends and writes a starter project.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::failure::ErrorDocument;
use super::figures::counted;
use super::files::open_sink;
use super::intent::{IntrospectIntent, Invocation};
use super::output::{Console, visible};
use super::table::{Align, Grid};
use crate::config::Config;
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::finding::listed;
use crate::data::table::{Table, TableName};
use crate::starter::{self, End, Ends, Found, Outline, Starter};
use crate::{Error, ErrorKind, Result, error, source};

const TABLES_FIRST: &str = "a starter pairs tables that exist: create those of the targets first";

/// What was written, for programs.
#[derive(Debug, Serialize)]
struct IntrospectDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    folder: String,
    files: Vec<FileDocument<'a>>,
    streams: Vec<StreamDocument<'a>>,
    unread: Vec<String>,
    next: String,
    error: Option<ErrorDocument>,
}

/// One file.
#[derive(Debug, Serialize)]
struct FileDocument<'a> {
    path: String,
    /// Of a file that was not written.
    text: Option<&'a str>,
}

/// One stream.
#[derive(Debug, Serialize)]
struct StreamDocument<'a> {
    name: &'a str,
    from: Option<String>,
    to: String,
    columns: usize,
    mapped: usize,
    choose: &'a [String],
    commented: Option<&'a str>,
}

pub(super) async fn run(intent: &IntrospectIntent, console: &Console) -> Result<u8> {
    let invocation = &intent.invocation;
    let config = Config::load(&invocation.config_dir, &invocation.environment)?;
    if let Some(both) = intent.from.iter().find(|name| intent.to.contains(name)) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("connection `{both}` is named after --from and after --to"),
        )
        .hint("a project moves from one database to another"));
    }
    let ends = Ends {
        project: intent.name.clone(),
        schemas: schemas(invocation),
        sources: sources(&config, &intent.from).await?,
        sinks: sinks(&config, &intent.to, invocation).await?,
        guess: intent.guess,
    };
    let starter = starter::starter(&ends);
    if !intent.print {
        write(&starter, invocation, intent.force)?;
    }
    tell(intent, &starter, console)?;
    Ok(error::EXIT_DONE)
}

async fn sources(config: &Config, names: &[String]) -> Result<Vec<End>> {
    let mut ends = Vec::new();
    for connection in resolved(config, names)? {
        let source = source::open(&connection).await?;
        let mut tables = Vec::new();
        for name in source.tables().await? {
            let shape = source.table(&name).await;
            tables.extend(found(name, shape)?);
        }
        ends.push(end(connection, tables)?);
    }
    Ok(ends)
}

async fn sinks(config: &Config, names: &[String], invocation: &Invocation) -> Result<Vec<End>> {
    let mut ends = Vec::new();
    for connection in resolved(config, names)? {
        if matches!(connection.kind, ConnectionKind::Redis(_)) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("connection `{}` holds keys, and a starter pairs tables", connection.name),
            )
            .hint("write such streams by hand: docs/mapping.md, \"Writing keys\""));
        }
        let sink = open_sink(&connection, invocation).await.map_err(|error| match error.kind() {
            ErrorKind::Missing => error.hint(TABLES_FIRST),
            _ => error,
        })?;
        let mut tables = Vec::new();
        for name in sink.tables().await? {
            let shape = sink.table(&name).await;
            tables.extend(found(name, shape)?);
        }
        ends.push(end(connection, tables)?);
    }
    Ok(ends)
}

/// The connections; all mistakes of the configuration are told together.
fn resolved(config: &Config, names: &[String]) -> Result<Vec<Connection>> {
    let mut connections = Vec::new();
    let mut findings = Vec::new();
    for name in names {
        match config.resolve(name) {
            Ok(connection) => connections.push(connection),
            Err(error) if error.list().is_empty() => return Err(error),
            Err(error) => findings.extend(error.into_findings()),
        }
    }
    findings.dedup();
    if findings.is_empty() {
        Ok(connections)
    } else {
        Err(Error::findings(ErrorKind::Config, findings))
    }
}

/// A table that cannot be used is no reason to stop: the starter names it.
fn found(name: TableName, shape: Result<Option<Table>>) -> Result<Option<Found>> {
    let shape = match shape {
        Ok(Some(table)) => Ok(table),
        // Dropped in this moment.
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::Mapping => Err(error.to_string()),
        Err(error) => return Err(error),
    };
    Ok(Some(Found { name, shape }))
}

fn end(connection: Connection, tables: Vec<Found>) -> Result<End> {
    if tables.is_empty() {
        return Err(Error::new(ErrorKind::Missing, format!("connection `{}` has no tables", connection.name)).hint(TABLES_FIRST));
    }
    Ok(End {
        connection: connection.name,
        tables,
    })
}

/// Where the files of the project find the JSON Schemas.
fn schemas(invocation: &Invocation) -> String {
    let to = invocation.config_dir.join("schema");
    let path = match (std::path::absolute(&invocation.project), std::path::absolute(&to)) {
        (Ok(from), Ok(to)) => relative(&from, &to),
        _ => to,
    };
    path.to_string_lossy().replace('\\', "/")
}

/// `to` as seen from the folder `from`, both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to) = (plain(from), plain(to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    up.chain(to[shared..].iter().copied()).collect()
}

/// The parts of an absolute path, without steps up.
fn plain(path: &Path) -> Vec<Component<'_>> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir if parts.len() > 1 => drop(parts.pop()),
            Component::ParentDir => {}
            part => parts.push(part),
        }
    }
    parts
}

/// Writes the files: all that would be overwritten are named before anything is touched.
fn write(starter: &Starter, invocation: &Invocation, force: bool) -> Result<()> {
    let folder = &invocation.project;
    let there: Vec<String> = starter
        .files
        .iter()
        .map(|file| folder.join(&file.name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !force && !there.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("there is already {}", listed(&there)))
            .hint("`--out` names another folder, `--force` writes over them, `--print` writes nothing"));
    }
    for file in &starter.files {
        let path = folder.join(&file.name);
        let refused = |error: std::io::Error| {
            Error::new(ErrorKind::Missing, format!("cannot write {}", path.display()))
                .because(error)
                .hint("check that the folder can be written to")
        };
        std::fs::create_dir_all(folder).map_err(refused)?;
        std::fs::write(&path, &file.text).map_err(refused)?;
    }
    Ok(())
}

fn tell(intent: &IntrospectIntent, starter: &Starter, console: &Console) -> Result<()> {
    let invocation = &intent.invocation;
    let paths = starter
        .files
        .iter()
        .map(|file| invocation.project.join(&file.name).display().to_string());
    let next = invocation.command("plan", &[]);
    if console.is_json() {
        let files = starter.files.iter().zip(paths).map(|(file, path)| FileDocument {
            path,
            text: intent.print.then_some(file.text.as_str()),
        });
        return console.document(&IntrospectDocument {
            project: &intent.name,
            environment: &invocation.environment,
            status: "done",
            folder: invocation.project.display().to_string(),
            files: files.collect(),
            streams: starter.streams.iter().map(StreamDocument::of).collect(),
            unread: starter.unread.iter().map(ToString::to_string).collect(),
            next,
            error: None,
        });
    }
    if intent.print {
        let pages = starter
            .files
            .iter()
            .zip(paths)
            .map(|(file, path)| format!("# ---- {}\n{}", visible(&path), file.text));
        console.result(&pages.collect::<Vec<_>>().join("\n"))?;
        console.note(&text(starter, console.note_color));
        return Ok(());
    }
    for path in paths {
        console.note(&format!("wrote {}", visible(&path)));
    }
    console.result(&format!(
        "{}\n{}",
        text(starter, console.result_color),
        last_words(starter, &next)
    ))
}

impl<'a> StreamDocument<'a> {
    fn of(outline: &'a Outline) -> Self {
        Self {
            name: &outline.name,
            from: outline.from.as_ref().map(ToString::to_string),
            to: outline.to.to_string(),
            columns: outline.columns,
            mapped: outline.mapped,
            choose: &outline.choose,
            commented: outline.commented.as_deref(),
        }
    }
}

/// The streams, and what is left to somebody.
fn text(starter: &Starter, color: bool) -> String {
    let heads = [
        ("stream", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("columns", Align::Right),
        ("", Align::Left),
    ];
    let mut grid = Grid::new(&heads, color);
    for outline in &starter.streams {
        let note = match (&outline.commented, outline.choose.as_slice()) {
            (Some(why), _) => format!("commented out: {why}"),
            (None, []) => String::new(),
            (None, choose) => format!("choose a value for {}", listed(choose)),
        };
        grid.row([
            outline.name.clone(),
            outline.from.as_ref().map(ToString::to_string).unwrap_or_default(),
            outline.to.to_string(),
            format!("{} of {}", outline.mapped, outline.columns),
            note,
        ]);
    }
    let mut text = grid.render();
    if !starter.unread.is_empty() {
        let tables: Vec<_> = starter.unread.iter().map(ToString::to_string).collect();
        text.push_str(&visible(&format!("read by no stream: {}", listed(&tables))));
        text.push('\n');
    }
    text
}

fn last_words(starter: &Starter, next: &str) -> String {
    let live = starter.streams.iter().filter(|outline| outline.commented.is_none()).count();
    let live = u64::try_from(live).unwrap_or(u64::MAX);
    if live == 0 {
        "no table of a target has a source: `--guess` pairs tables by their columns, or write `from` in what is commented out"
            .to_owned()
    } else {
        format!("{}; next: {}", counted(live, "stream"), visible(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_found_from_anywhere() {
        let seen = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(seen("/w/mappings/x", "/w/config/schema"), "../../config/schema");
        assert_eq!(seen("/w/x", "/etc/dbferry/schema"), "../../etc/dbferry/schema");
        assert_eq!(seen("/w/config/schema/x", "/w/config/schema"), "..");
        assert_eq!(seen("/w/here/../x", "/w/config/schema"), "../config/schema");
    }
}
