//! `dbferry clean`: removes the keys of a rehearsal, which all begin with its prefix.

use serde::Serialize;

use super::failure::ErrorDocument;
use super::figures;
use super::files::{Files, Role, open_sink};
use super::intent::Invocation;
use super::output::{Console, visible};
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::finding::listed;
use crate::{Error, ErrorKind, Result, error};

/// What was removed, for programs.
#[derive(Debug, Serialize)]
struct CleanDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    key_prefix: &'a str,
    removed: &'a [Removed],
    error: Option<ErrorDocument>,
}

/// Keys that were removed from one connection.
#[derive(Debug, Serialize)]
struct Removed {
    connection: String,
    keys: u64,
}

pub(super) async fn run(invocation: &Invocation, ask: bool, console: &Console) -> Result<u8> {
    let Some(prefix) = &invocation.key_prefix else {
        return Err(Error::new(
            ErrorKind::Usage,
            "only keys of a rehearsal are removed, and no prefix says of which",
        )
        .hint("name the `--key-prefix` of that run: all keys that begin with it, and nothing else, are removed"));
    };
    let files = Files::load(invocation)?;
    let connections = key_value(&files)?;
    if ask {
        agreed(prefix.as_str(), &connections, console)?;
    }
    let mut removed = Vec::new();
    let mut nothing = None;
    for connection in &connections {
        let sink = open_sink(connection, invocation).await?;
        match sink.clean(&files.project.name).await {
            Ok(keys) => removed.push(Removed {
                connection: connection.name.clone(),
                keys,
            }),
            // The rehearsal may have been one of some streams alone.
            Err(error) if error.kind() == ErrorKind::Missing => nothing = Some(error),
            Err(error) => return Err(error),
        }
    }
    if let (Some(error), true) = (nothing, removed.is_empty()) {
        return Err(error);
    }
    if console.is_json() {
        console.document(&CleanDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: "done",
            key_prefix: prefix.as_str(),
            removed: &removed,
            error: None,
        })?;
    } else {
        let line = |removed: &Removed| {
            visible(&format!(
                "{}: removed {} that began with {prefix}",
                removed.connection,
                figures::counted(removed.keys, "key")
            ))
        };
        let lines: Vec<String> = removed.iter().map(line).collect();
        console.result(&lines.join("\n"))?;
    }
    Ok(error::EXIT_DONE)
}

/// Targets of the project that hold keys.
fn key_value(files: &Files) -> Result<Vec<Connection>> {
    let streams = files.streams(&[]);
    let keyed: Vec<_> = streams.into_iter().filter(|stream| stream.keyed.is_some()).collect();
    let mut resolved = files.resolve(&keyed)?;
    let sinks = Files::ends(&keyed).into_iter().filter(|(_, role)| *role == Role::Sink);
    let found: Vec<_> = sinks.filter_map(|(name, _)| resolved.remove(&name)).collect();
    let found: Vec<_> = found
        .into_iter()
        .filter(|connection| matches!(connection.kind, ConnectionKind::Redis(_)))
        .collect();
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "no stream of project `{}` that is not left out writes keys",
                files.project.name
            ),
        )
        .hint("a prefix is put before the keys of Redis alone"));
    }
    Ok(found)
}

/// Somebody has to agree.
fn agreed(prefix: &str, connections: &[Connection], console: &Console) -> Result<()> {
    let names: Vec<_> = connections.iter().map(|connection| connection.name.as_str()).collect();
    let question = format!("remove all keys that begin with {prefix} from {}?", listed(&names));
    match console.ask(&visible(&question)) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was removed").hint("`--yes` removes without asking")),
        None => Err(
            Error::new(ErrorKind::Usage, "keys are to be removed, and nobody is there to agree")
                .hint("`--yes` removes without asking"),
        ),
    }
}
