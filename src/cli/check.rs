//! `dbferry check`: is everything there that a run needs? Every connection is tried, whatever
//! became of the others; then the mapping is held against both ends.

use std::path::Path;

use serde::Serialize;

use super::failure::{self, ErrorDocument, FindingDocument};
use super::figures;
use super::files::{Files, Role, open_sink};
use super::intent::Invocation;
use super::output::{Console, visible};
use super::schema;
use super::table::{Align, Grid};
use crate::config::connection::{Connection, ConnectionKind};
use crate::pipeline::plan::{self, Options};
use crate::{Error, Result, error, source};

/// What was found out, for programs.
#[derive(Debug, Serialize)]
struct CheckDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    connections: Vec<ConnectionDocument>,
    streams: Option<usize>,
    disabled: Vec<String>,
    findings: Vec<FindingDocument>,
    error: Option<ErrorDocument>,
}

/// One connection in one role.
#[derive(Debug, Serialize)]
struct ConnectionDocument {
    name: String,
    role: &'static str,
    kind: &'static str,
    status: &'static str,
    tables: Option<usize>,
    /// Room on the disk of a file that is written.
    free_bytes: Option<u64>,
    error: Option<ErrorDocument>,
}

/// A connection that was tried.
struct Tried {
    connection: Connection,
    role: Role,
    tables: Result<usize>,
}

pub(super) async fn run(invocation: &Invocation, console: &Console) -> Result<u8> {
    let files = Files::load(invocation)?;
    let tried = try_all(&files, invocation).await?;
    // Trying the mapping needs both ends of it; where one is away, its own error says enough.
    let plan = if tried.iter().all(|tried| tried.tables.is_ok()) {
        let options = Options::default();
        let plan = Box::pin(plan::plan(&files.project, &files.config, &options)).await;
        Some(match plan {
            Ok(plan) => Ok(plan),
            Err(error) => Err(schema::with_way_out(error, &files, &[], invocation).await),
        })
    } else {
        None
    };
    let findings = match &plan {
        Some(Ok(plan)) => plan.findings.clone(),
        _ => Vec::new(),
    };
    let streams = plan
        .as_ref()
        .and_then(|plan| plan.as_ref().ok())
        .map(|plan| plan.streams.len());
    let failed = first_error(&tried).or_else(|| plan.as_ref().and_then(|plan| plan.as_ref().err()));
    let exit = failed.map_or(error::EXIT_DONE, |error| error.kind().policy().exit);
    if console.is_json() {
        console.document(&CheckDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: if failed.is_some() { "failed" } else { "done" },
            connections: tried.iter().map(|tried| tried.document(invocation)).collect(),
            streams,
            disabled: files.disabled(),
            findings: FindingDocument::all(&findings, Some(invocation)),
            error: failed.map(|error| ErrorDocument::of(error, Some(invocation))),
        })?;
    } else {
        console.result(&text(&tried, &files, streams, console.result_color))?;
    }
    if !findings.is_empty() {
        console.note(&failure::findings(&findings, Some(invocation), console.note_color));
    }
    for error in tried.iter().filter_map(|tried| tried.tables.as_ref().err()) {
        console.note(&failure::render(error, Some(invocation), console.note_color));
    }
    if let Some(Err(error)) = &plan {
        console.note(&failure::render(error, Some(invocation), console.note_color));
    }
    Ok(exit)
}

async fn try_all(files: &Files, invocation: &Invocation) -> Result<Vec<Tried>> {
    let streams = files.streams(&[]);
    let resolved = files.resolve(&streams)?;
    let mut tried = Vec::new();
    for (name, role) in Files::ends(&streams) {
        let connection = resolved[&name].clone();
        let tables = try_one(&connection, role, invocation).await;
        tried.push(Tried {
            connection,
            role,
            tables,
        });
    }
    Ok(tried)
}

async fn try_one(connection: &Connection, role: Role, invocation: &Invocation) -> Result<usize> {
    let tables = match role {
        Role::Source => source::open(connection).await?.tables().await?,
        Role::Sink => open_sink(connection, invocation).await?.tables().await?,
    };
    Ok(tables.len())
}

fn first_error(tried: &[Tried]) -> Option<&Error> {
    tried.iter().find_map(|tried| tried.tables.as_ref().err())
}

impl Tried {
    fn document(&self, invocation: &Invocation) -> ConnectionDocument {
        ConnectionDocument {
            name: self.connection.name.clone(),
            role: self.role.name(),
            kind: self.connection.kind.name(),
            status: if self.tables.is_ok() { "done" } else { "failed" },
            tables: self.tables.as_ref().ok().copied(),
            free_bytes: self.free_bytes(),
            error: self
                .tables
                .as_ref()
                .err()
                .map(|error| ErrorDocument::of(error, Some(invocation))),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        match (&self.connection.kind, self.role) {
            (ConnectionKind::Sqlite { path, .. }, Role::Sink) => free_bytes(path),
            _ => None,
        }
    }
}

/// Room for an unprivileged user on the disk that holds a file, or would.
fn free_bytes(path: &Path) -> Option<u64> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn text(tried: &[Tried], files: &Files, streams: Option<usize>, color: bool) -> String {
    let heads = ["connection", "role", "kind", "result"].map(|head| (head, Align::Left));
    let mut grid = Grid::new(&heads, color);
    for tried in tried {
        let count = |tables: usize| u64::try_from(tables).unwrap_or(u64::MAX);
        let room = tried
            .free_bytes()
            .map(|free| format!(", {} free", figures::bytes(free)))
            .unwrap_or_default();
        let result = match &tried.tables {
            Ok(_) if matches!(tried.connection.kind, ConnectionKind::Redis(_)) => "ok".to_owned(),
            Ok(tables) => format!("ok, {}{room}", figures::counted(count(*tables), "table")),
            Err(_) => "failed, see below".to_owned(),
        };
        grid.row([
            &tried.connection.name,
            tried.role.name(),
            tried.connection.kind.name(),
            &result,
        ]);
    }
    let mut lines = vec![grid.render()];
    let disabled = files.disabled();
    lines.extend(
        disabled
            .iter()
            .map(|name| visible(&format!("left out, a connection of it is disabled: {name}"))),
    );
    let streams = streams.map(|streams| figures::counted(u64::try_from(streams).unwrap_or(u64::MAX), "stream"));
    lines.push(match streams {
        Some(streams) => format!("{streams} checked against both ends: a run can begin"),
        None => "a run cannot begin".to_owned(),
    });
    lines.join("\n")
}
