//! Which connections of a project are saved, and which keys of its stores.

use crate::backup::manifest::{Role as SavedAs, Selection};
use crate::backup::{Part, of_ledger, of_prefix, of_staged};
use crate::cli::files::{Files, Role};
use crate::cli::intent::MakeIntent;
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::keyed::Pattern;
use crate::data::keyed::pattern::escape_glob;
use crate::{Error, ErrorKind, Result};

/// Connections to be saved, and those that are left out, in words.
pub(super) fn chosen(files: &Files, intent: &MakeIntent) -> Result<(Vec<Part>, Vec<String>)> {
    let streams = files.writers();
    let mut resolved = files.resolve(&streams)?;
    let ends = Files::ends(&streams);
    let is_target = |name: &str| ends.iter().any(|(other, role)| other == name && *role == Role::Sink);
    let (mut parts, mut left_out) = (Vec::new(), Vec::new());
    for (name, role) in &ends {
        // What is read and written is a target.
        if *role == Role::Source && is_target(name) {
            continue;
        }
        let Some(connection) = resolved.remove(name) else { continue };
        let wanted = match (&connection.kind, role) {
            (_, Role::Sink) => true,
            (ConnectionKind::Postgres { .. }, Role::Source) => intent.sources,
            (_, Role::Source) => intent.files,
        };
        if !wanted {
            if intent.files {
                left_out.push(format!("{name}, a Postgres source: --sources saves it, too"));
            }
            continue;
        }
        let keys = match &connection.kind {
            ConnectionKind::Redis(server) => selections(files, &connection, &server.key_prefix, &intent.keys)?,
            _ => Vec::new(),
        };
        let role = match role {
            Role::Source => SavedAs::Source,
            Role::Sink => SavedAs::Target,
        };
        parts.push(Part { connection, role, keys });
    }
    if !intent.keys.is_empty() && parts.iter().all(|part| part.keys.is_empty()) {
        return Err(Error::new(
            ErrorKind::Usage,
            "`--keys` is about targets in Redis, and the project has none",
        ));
    }
    // Targets first: they are what a restore is for.
    parts.sort_by_key(|part| part.role == SavedAs::Source);
    Ok((parts, left_out))
}

/// Keys of a store: those that were asked for, or those of the streams; and always the ledger's.
fn selections(files: &Files, connection: &Connection, prefix: &str, asked: &[String]) -> Result<Vec<Selection>> {
    let mut selections = Vec::new();
    let streams = files
        .streams(&[])
        .into_iter()
        .filter(|stream| stream.to.value.connection == connection.name);
    let mut staged = Vec::new();
    for stream in streams {
        let text = &stream.to.value.table.name;
        staged.push(of_staged(prefix, &stream.name.value));
        if !asked.is_empty() {
            continue;
        }
        let pattern = Pattern::parse(text)
            .map_err(|fault| Error::new(ErrorKind::Internal, format!("`{text}` is no pattern of keys: {}", fault.why)))?;
        let selection = Selection {
            name: text.clone(),
            glob: format!("{}{}", escape_glob(prefix), pattern.glob()),
        };
        // Streams may write to the same keys.
        if !selections.contains(&selection) {
            selections.push(selection);
        }
    }
    selections.extend(asked.iter().map(|beginning| of_prefix(prefix, beginning)));
    selections.push(of_ledger(prefix, &files.project.name));
    selections.extend(staged);
    Ok(selections)
}
