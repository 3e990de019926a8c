//! Checks of what is left out on purpose: every `ignore` has a reason and names a source once.

use std::collections::HashSet;
use std::fmt::Display;

use crate::data::finding::{Finding, Located};
use crate::mapping::stream::Project;

/// Checks `[ignore]` of the project and `ignore` of every stream, as far as no database is needed.
pub(super) fn ignored(project: &Project, findings: &mut Vec<Finding>) {
    let ignore = &project.ignore;
    entries(&ignore.tables, findings);
    entries(&ignore.columns, findings);
    for stream in &project.streams {
        entries(&stream.ignore, findings);
    }
    let of_tables = ignore.tables.iter().map(|(name, _)| (&name.value.connection, &name.place));
    let of_columns = ignore
        .columns
        .iter()
        .map(|(name, _)| (&name.value.table.connection, &name.place));
    for (connection, place) in of_tables.chain(of_columns) {
        if project.sources.iter().any(|source| source.value == *connection) {
            continue;
        }
        findings.push(
            Finding::error(
                "mapping::unknown_connection",
                Some(place.clone()),
                format!("`{connection}` is not a source of this project"),
            )
            .label("not a source")
            .help_nearest(connection, project.sources.iter().map(|source| source.value.as_str())),
        );
    }
}

/// A reason for each, and each named once: `a."b"` is the same name as `a.b`.
fn entries<T: Display>(entries: &[(Located<T>, Located<String>)], findings: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for (name, reason) in entries {
        if reason.value.trim().is_empty() {
            findings.push(
                Finding::error(
                    "mapping::empty_reason",
                    Some(reason.place.clone()),
                    format!("there is no reason why `{}` is left out", name.value),
                )
                .label("empty")
                .help("say in a few words why nothing is lost without it"),
            );
        }
        if !seen.insert(name.value.to_string()) {
            findings.push(
                Finding::error(
                    "mapping::duplicate_column",
                    Some(name.place.clone()),
                    format!("`{}` is named twice", name.value),
                )
                .label("the second time"),
            );
        }
    }
}
