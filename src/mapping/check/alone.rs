//! Checks of a project that need no database: names, duplicates, references between streams and
//! to connections.

use std::collections::HashMap;

use super::fields::{TYPE_NAMES, fields};
use super::ignored::ignored;
use super::subject::subjects;
use super::{backfill, keyed, pii};
use crate::data::column::ColumnType;
use crate::data::document::NAME_BYTES_MAX;
use crate::data::finding::{Finding, Place, listed};
use crate::mapping::order::order;
use crate::mapping::stream::{From, Located, Project, Stream};

/// Checks that need no database: names, duplicates, references between streams and to
/// connections (`connections`: those that the configuration declares).
#[must_use]
pub fn alone(project: &Project, connections: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    declared_connections(project, connections, &mut findings);
    stream_names(project, &mut findings);
    for stream in &project.streams {
        used_connections(project, stream, &mut findings);
        keys(stream, &mut findings);
        source_key(stream, &mut findings);
        keyed::alone(stream, &mut findings);
        texts(stream, &mut findings);
        fields(stream, &mut findings);
        identifiers(stream, &mut findings);
        pii::alone(stream, &mut findings);
        predecessors(project, stream, &mut findings);
    }
    for backfill in &project.backfills {
        let stream = &backfill.stream;
        used_connections(project, stream, &mut findings);
        texts(stream, &mut findings);
        identifiers(stream, &mut findings);
        pii::alone(stream, &mut findings);
        backfill::alone(backfill, &mut findings);
    }
    writers(project, &mut findings);
    keyed::writers(project, &mut findings);
    ignored(project, &mut findings);
    subjects(project, &mut findings);
    if let Err(cycle) = order(&project.streams, &[], &[]) {
        findings.push(cycle);
    }
    findings
}

fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Finding {
    Finding::error(code, Some(place.clone()), message)
}

fn values(list: &[Located<String>]) -> impl Iterator<Item = &str> {
    list.iter().map(|located| located.value.as_str())
}

fn declared_connections(project: &Project, connections: &[&str], findings: &mut Vec<Finding>) {
    for named in project.sources.iter().chain(&project.sinks) {
        if !connections.contains(&named.value.as_str()) {
            findings.push(
                error(
                    "mapping::unknown_connection",
                    &named.place,
                    format!("the configuration has no connection `{}`", named.value),
                )
                .label("not in the configuration")
                .help_nearest(&named.value, connections.iter().copied()),
            );
        }
    }
}

/// Names of streams: usable, and each once.
fn stream_names(project: &Project, findings: &mut Vec<Finding>) {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    let backfills = project.backfills.iter().map(|backfill| &backfill.stream);
    let both = if project.backfills.is_empty() {
        "streams"
    } else {
        "streams or backfills"
    };
    for Stream { name, .. } in project.streams.iter().chain(backfills) {
        if let Some(first) = seen.insert(&name.value, &name.place) {
            findings.push(
                error(
                    "mapping::duplicate_stream",
                    &name.place,
                    format!("there are two {both} `{}`", name.value),
                )
                .label("the second")
                .help(format!(
                    "the first is at {}:{}; give one of them another name",
                    first.file.path,
                    first.line_column().0
                )),
            );
        }
    }
}

fn used_connections(project: &Project, stream: &Stream, findings: &mut Vec<Finding>) {
    let ends = [
        (
            stream.from.connection(),
            stream.from.connection_place(),
            "source",
            &project.sources,
            "sink",
            &project.sinks,
        ),
        (
            stream.to.value.connection.as_str(),
            &stream.to.place,
            "sink",
            &project.sinks,
            "source",
            &project.sources,
        ),
    ];
    for (name, place, role, right, other_role, other) in ends {
        // What a backfill changes, it also reads.
        if values(right).any(|known| known == name) || (stream.in_place && role == "source") {
            continue;
        }
        let finding = if values(other).any(|known| known == name) {
            error(
                "mapping::wrong_role",
                place,
                format!("`{name}` is a {other_role} of this project, not a {role}"),
            )
            .help(format!("project.toml: {role}s = [… \"{name}\"], if it is meant"))
        } else {
            error(
                "mapping::unknown_connection",
                place,
                format!("`{name}` is not a {role} of this project"),
            )
            .help_nearest(name, values(right))
        };
        findings.push(finding.label(format!("not a {role}")));
    }
}

fn keys(stream: &Stream, findings: &mut Vec<Finding>) {
    if stream.keyed.is_some() {
        // Its key is a pattern, which is looked at apart.
        return;
    }
    if stream.key.is_empty() {
        findings.push(
            error(
                "mapping::empty_key",
                &stream.place,
                format!("the key of stream `{}` is empty", stream.name.value),
            )
            .label("has an empty key")
            .help("key = [\"id\"]: the columns of the target that tell its rows apart"),
        );
    }
    let same_name = stream.same_name_columns.as_ref().is_some_and(|flag| flag.value);
    for (index, column) in stream.key.iter().enumerate() {
        let mapped = stream.columns.iter().any(|(name, _)| name.value == column.value);
        if !mapped && !same_name {
            findings.push(
                error(
                    "mapping::key_without_expression",
                    &column.place,
                    format!("key column `{}` has no expression", column.value),
                )
                .label("not in [stream.columns]")
                .help_nearest(&column.value, stream.columns.iter().map(|(name, _)| name.value.as_str())),
            );
        }
        repeated(&stream.key[..index], column, findings);
    }
}

fn source_key(stream: &Stream, findings: &mut Vec<Finding>) {
    if let Some(source_key) = &stream.source_key {
        if source_key.is_empty() {
            findings.push(
                error(
                    "mapping::empty_key",
                    &stream.place,
                    format!("the source_key of stream `{}` is empty", stream.name.value),
                )
                .label("has an empty source_key")
                .help("leave it out: the table's own key is found, and a query without one is moved as a whole"),
            );
        }
        for (index, column) in source_key.iter().enumerate() {
            repeated(&source_key[..index], column, findings);
        }
    }
}

pub(super) fn repeated(before: &[Located<String>], column: &Located<String>, findings: &mut Vec<Finding>) {
    if values(before).any(|name| name == column.value) {
        findings.push(
            error(
                "mapping::duplicate_column",
                &column.place,
                format!("`{}` is named twice", column.value),
            )
            .label("the second time"),
        );
    }
}

/// Texts that must say something: expressions, types, subjects.
fn texts(stream: &Stream, findings: &mut Vec<Finding>) {
    let pairs = stream.columns.iter().chain(&stream.rules).chain(&stream.subjects);
    let query = match &stream.from {
        From::Query { sql, .. } => Some(sql),
        From::Table(_) => None,
    };
    for text in pairs.map(|(_, text)| text).chain(&stream.filter).chain(query) {
        if text.value.trim().is_empty() {
            findings.push(
                error("mapping::empty_expression", &text.place, "there is no SQL in this text")
                    .label("empty")
                    .help("such as \"lower(email)\"; for NULL write \"null\""),
            );
        }
    }
    for (column, ty) in &stream.types {
        if ColumnType::parse(&ty.value).is_none() {
            findings.push(
                error(
                    "mapping::unknown_type",
                    &ty.place,
                    format!("`{}` cannot be read as `{}`, which is not a type", column.value, ty.value),
                )
                .label("not a type")
                .help_nearest(&ty.value, TYPE_NAMES.iter().copied()),
            );
        }
    }
}

/// Invariant 11: an identifier that the target would cut is refused.
fn identifiers(stream: &Stream, findings: &mut Vec<Finding>) {
    if stream.keyed.is_some() {
        // Neither keys nor their fields are cut.
        return;
    }
    let table = &stream.to.value.table;
    let of_table = table.schema.iter().chain([&table.name]).map(|name| (name, &stream.to.place));
    let of_columns = stream.columns.iter().map(|(name, _)| (&name.value, &name.place));
    let of_key = stream
        .key
        .iter()
        .filter(|key| !stream.columns.iter().any(|(name, _)| name.value == key.value))
        .map(|key| (&key.value, &key.place));
    for (name, place) in of_table.chain(of_columns).chain(of_key) {
        let finding = if name.len() > NAME_BYTES_MAX {
            error(
                "mapping::long_identifier",
                place,
                format!(
                    "a name of {} bytes: the target would cut it after {NAME_BYTES_MAX}",
                    name.len()
                ),
            )
            .label("too long")
            .help("write the name as the target keeps it")
        } else if name.is_empty() || name.contains('\0') {
            error("mapping::bad_identifier", place, "nothing in a target can have this name").label("not a name")
        } else {
            continue;
        };
        findings.push(finding);
    }
}

fn predecessors(project: &Project, stream: &Stream, findings: &mut Vec<Finding>) {
    for after in &stream.after {
        if !project.streams.iter().any(|other| other.name.value == after.value) {
            findings.push(
                error(
                    "mapping::unknown_stream",
                    &after.place,
                    format!("there is no stream `{}`", after.value),
                )
                .label("not a stream")
                .help_nearest(&after.value, project.streams.iter().map(|other| other.name.value.as_str())),
            );
        }
    }
}

/// Two streams may fill one table together, but not one column of it: the later would undo the
/// earlier (Invariant 3). Key columns are how they meet.
fn writers(project: &Project, findings: &mut Vec<Finding>) {
    let mut seen = HashMap::new();
    for stream in project
        .streams
        .iter()
        .filter(|stream| stream.keyed.is_none() && !stream.in_place)
    {
        for (column, _) in &stream.columns {
            if values(&stream.key).any(|key| key == column.value) {
                continue;
            }
            match seen.insert((&stream.to.value, &column.value), stream) {
                Some(first) if first.name.value != stream.name.value => findings.push(
                    error(
                        "mapping::two_writers",
                        &column.place,
                        format!("column `{}` of {} is written by two streams", column.value, stream.to.value),
                    )
                    .label(format!("`{}` writes it too", first.name.value))
                    .help(format!(
                        "leave it to one of {}",
                        listed(&[&first.name.value, &stream.name.value])
                    )),
                ),
                _ => {}
            }
        }
    }
}
