//! Loading a project: `project.toml` and its stream files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::stream::{ColumnRef, From, Ignore, Located, Project, Stream, TableRef};
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, SourceFile, listed, nearest};
use crate::data::json_schema;
use crate::{Error, ErrorKind, Result};

mod backfill;
mod fields;
mod key;
mod keyed;
mod wire;

use wire::{ProjectFile, QueryEntry, StreamEntry, StreamsFile};

/// File of a project folder that makes it one.
const PROJECT_FILE: &str = "project.toml";

/// Loads `<folder>/project.toml` and every other `*.toml` in the folder (by name), and collects
/// all mistakes of all files before it returns.
///
/// # Errors
/// [`ErrorKind::Mapping`] with every finding; [`ErrorKind::Usage`] where the folder is no project.
pub fn load(folder: &Path) -> Result<Project> {
    let project = load_any(folder)?;
    if project.streams.is_empty() {
        let error = Error::new(ErrorKind::Mapping, format!("there is no stream in {}", folder.display()));
        return Err(if project.backfills.is_empty() {
            error.hint("write one into a TOML file beside project.toml: [[stream]]")
        } else {
            error.hint("what it has are backfills, which change rows where they are: `dbferry backfill PROJECT`")
        });
    }
    Ok(project)
}

/// Loads a project that may have no streams: its migrations need none.
///
/// # Errors
/// As [`load`].
pub fn load_any(folder: &Path) -> Result<Project> {
    let path = folder.join(PROJECT_FILE);
    if !path.is_file() {
        return Err(no_project(folder));
    }
    let (mut project, mut findings) = project(folder, &path)?;
    for path in stream_files(folder)? {
        let (mut reader, wire) = read::<StreamsFile>(&path)?;
        if let Some(wire) = wire {
            for entry in wire.stream {
                project.streams.extend(stream(&mut reader, entry));
            }
            for entry in wire.backfill {
                project.backfills.extend(backfill::backfill(&mut reader, entry));
            }
        }
        reader.sort();
        findings.extend(reader.findings);
    }
    if !findings.is_empty() {
        return Err(Error::findings(ErrorKind::Mapping, findings));
    }
    Ok(project)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<(Reader, Option<T>)> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(ErrorKind::Mapping, format!("cannot read {}", path.display())).because(error))?;
    let file = SourceFile {
        path: path.display().to_string(),
        text: text.clone(),
    };
    Ok(Reader::read(file, &text))
}

fn project(folder: &Path, path: &Path) -> Result<(Project, Vec<Finding>)> {
    let (mut reader, wire) = read::<ProjectFile>(path)?;
    let mut project = Project {
        name: String::new(),
        folder: folder.to_owned(),
        sources: Vec::new(),
        sinks: Vec::new(),
        max_rejects: None,
        subjects: Vec::new(),
        ignore: Ignore::default(),
        streams: Vec::new(),
        backfills: Vec::new(),
    };
    if let Some(wire) = wire {
        let whole = 0..0;
        if let Some(name) = reader.required(wire.name, &whole, "the project", "name = \"game\"") {
            reader.check_name("a project", &name.value, &name.place);
            project.name = name.value;
        }
        let sources = reader.required(wire.sources, &whole, "the project", "sources = [\"pocketbase\"]");
        project.sources = sources.map_or_else(Vec::new, |list| located(&reader, list.value));
        let sinks = reader.required(wire.sinks, &whole, "the project", "sinks = [\"game\"]");
        project.sinks = sinks.map_or_else(Vec::new, |list| located(&reader, list.value));
        project.max_rejects = wire.max_rejects;
        project.subjects = located(&reader, wire.subjects);
        for subject in &project.subjects {
            reader.check_name("a subject", &subject.value, &subject.place);
        }
        project.ignore = Ignore {
            tables: named(&mut reader, wire.ignore.tables, &TABLE, TableRef::parse),
            columns: named(&mut reader, wire.ignore.columns, &COLUMN, ColumnRef::parse),
        };
    }
    reader.sort();
    Ok((project, reader.findings))
}

fn located(reader: &Reader, list: Vec<Marked<String>>) -> Vec<Located<String>> {
    list.into_iter().map(|marked| reader.locate(marked)).collect()
}

/// Entries of a table in file order.
fn pairs(reader: &Reader, map: BTreeMap<Marked<String>, Marked<String>>) -> Vec<(Located<String>, Located<String>)> {
    let mut pairs: Vec<_> = map
        .into_iter()
        .map(|(key, value)| (reader.locate(key), reader.locate(value)))
        .collect();
    pairs.sort_by_key(|(key, _)| key.place.span.start);
    pairs
}

/// Entries of a table in file order, whose keys are dotted names.
fn named<T>(
    reader: &mut Reader,
    map: BTreeMap<Marked<String>, Marked<String>>,
    form: &NameForm,
    parse: fn(&str) -> Option<T>,
) -> Vec<(Located<T>, Located<String>)> {
    let pairs = pairs(reader, map);
    let read = pairs
        .into_iter()
        .filter_map(|(name, reason)| Some((dotted(reader, name, form, parse)?, reason)));
    read.collect()
}

fn stream(reader: &mut Reader, entry: Marked<StreamEntry>) -> Option<Stream> {
    let span = entry.span();
    let entry = entry.into_inner();
    let name = reader.required(entry.name, &span, "a stream", "name = \"players\"");
    if let Some(name) = &name {
        reader.check_name("a stream", &name.value, &name.place);
    }
    let owner = name.as_ref().map_or_else(
        || "a stream".to_owned(),
        |name| format!("stream `{}`", name.value.escape_debug()),
    );
    let to = reader.required(entry.to, &span, &owner, "to = \"game.players\"");
    let key = reader.required(entry.key, &span, &owner, "key = [\"id\"]");
    let from = from(reader, entry.from, entry.query, &span, &owner);
    let columns = pairs(reader, entry.columns);
    let same_name_columns = entry.same_name_columns.map(|flag| reader.locate(flag));
    let allow_precision_loss = located(reader, entry.allow_precision_loss);
    let consistency = entry.consistency.map(|consistency| reader.locate(consistency));
    let triggers = entry.triggers.as_ref().map(|triggers| *triggers.get()).unwrap_or_default();
    let options = keyed::Options {
        key_type: entry.r#type,
        value: entry.value,
        score: entry.score,
        ttl: entry.ttl,
        expires_at: entry.expires_at,
        moments: entry.moments,
        on_collision: entry.on_collision,
        triggers: entry.triggers,
        consistency: consistency.clone(),
        same_name_columns: same_name_columns.clone(),
        allow_precision_loss: allow_precision_loss.clone(),
    };
    let target = keyed::target(reader, to, key, options, &columns, (&span, &owner));
    let (name, from, target) = (name?, from?, target?);
    Some(Stream {
        name,
        from,
        to: target.to,
        key: target.key,
        keyed: target.keyed,
        consistency,
        expires_at: target.expires_at,
        source_key: entry.source_key.map(|list| located(reader, list.into_inner())),
        on_conflict: entry.on_conflict,
        triggers,
        undo: entry.undo.map(|flag| reader.locate(flag)),
        defer_indexes: entry.defer_indexes.map(|defer| reader.locate(defer)),
        in_place: false,
        after: located(reader, entry.after),
        filter: entry.r#where.map(|filter| reader.locate(filter)),
        rules: pairs(reader, entry.rules),
        columns,
        same_name_columns,
        document: entry.document.map(|document| fields::document(reader, document)),
        fields: fields::fields(reader, entry.fields),
        types: pairs(reader, entry.types),
        allow_precision_loss,
        pii: located(reader, entry.pii),
        subjects: pairs(reader, entry.subject),
        ignore: pairs(reader, entry.ignore),
        place: reader.place(span),
    })
}

fn from(
    reader: &mut Reader,
    table: Option<Marked<String>>,
    query: Option<Marked<QueryEntry>>,
    span: &std::ops::Range<usize>,
    owner: &str,
) -> Option<From> {
    let (place, message) = match (table, query) {
        (Some(table), None) => {
            let table = reader.locate(table);
            return table_ref(reader, table).map(From::Table);
        }
        (None, Some(query)) => {
            let span = query.span();
            let query = query.into_inner();
            let connection = reader.required(query.connection, &span, "the query", "connection = \"pocketbase\"");
            let sql = reader.required(query.sql, &span, "the query", "sql = \"select …\"");
            return Some(From::Query {
                connection: connection?,
                sql: sql?,
            });
        }
        (Some(table), Some(_)) => (reader.place(table.span()), format!("{owner} has both `from` and `query`")),
        (None, None) if reader.is_damaged(span) => return None,
        (None, None) => (
            reader.place(span.clone()),
            format!("{owner} has neither `from` nor `[stream.query]`"),
        ),
    };
    reader.findings.push(
        Finding::error("mapping::from", Some(place), message)
            .label("where does it read?")
            .help("exactly one of: from = \"pocketbase.users\", or [stream.query] with connection and sql"),
    );
    None
}

/// A kind of dotted name, for messages.
struct NameForm {
    code: &'static str,
    what: &'static str,
    form: &'static str,
}

const TABLE: NameForm = NameForm {
    code: "mapping::table_name",
    what: "table",
    form: "connection.table or connection.schema.table",
};

const COLUMN: NameForm = NameForm {
    code: "mapping::column_name",
    what: "column",
    form: "connection.table.column or connection.schema.table.column",
};

fn table_ref(reader: &mut Reader, text: Located<String>) -> Option<Located<TableRef>> {
    dotted(reader, text, &TABLE, TableRef::parse)
}

fn dotted<T>(reader: &mut Reader, text: Located<String>, form: &NameForm, parse: fn(&str) -> Option<T>) -> Option<Located<T>> {
    let NameForm { code, what, form } = form;
    let Some(value) = parse(&text.value) else {
        let short = form.split(' ').next().unwrap_or(form);
        reader.findings.push(
            Finding::error(code, Some(text.place), format!("this is not the name of a {what}"))
                .label(format!("not {short}"))
                .help(format!("{form}; a part with a dot or space in it is \"quoted\"")),
        );
        return None;
    };
    Some(Located {
        value,
        place: text.place,
    })
}

fn stream_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::new(ErrorKind::Mapping, format!("cannot read {}", folder.display())).because(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let toml = path.extension().is_some_and(|extension| extension == "toml");
        if toml && path.is_file() && path.file_name().is_some_and(|name| name != PROJECT_FILE) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn no_project(folder: &Path) -> Error {
    let error = Error::new(
        ErrorKind::Usage,
        format!("{} is not a project: it has no {PROJECT_FILE}", folder.display()),
    );
    let beside = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or(Path::new("mappings"));
    let mut names: Vec<String> = std::fs::read_dir(beside)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join(PROJECT_FILE).is_file())
        .map(|path| path.display().to_string())
        .collect();
    names.sort();
    match nearest(&folder.display().to_string(), names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if names.is_empty() => error.hint("a project is a folder such as mappings/game"),
        None => error.hint(format!("projects there: {}", listed(&names))),
    }
}

/// JSON Schema of `project.toml`.
#[must_use]
pub fn project_json_schema() -> serde_json::Value {
    json_schema::of::<ProjectFile>()
}

/// JSON Schema of stream files.
#[must_use]
pub fn mapping_json_schema() -> serde_json::Value {
    json_schema::of::<StreamsFile>()
}
