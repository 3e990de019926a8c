//! Wire form of `project.toml` and stream files, and loading them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::stream::{From, Located, Project, Stream, TableRef};
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, SourceFile, listed, nearest};
use crate::data::json_schema;
use crate::data::stream::{OnConflict, Triggers};
use crate::{Error, ErrorKind, Result};

/// File of a project folder that makes it one.
const PROJECT_FILE: &str = "project.toml";

/// A project of dbferry, `mappings/<project>/project.toml`: what its streams read and write.
/// The streams themselves are in the other TOML files of the folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dbferry project")]
struct ProjectFile {
    /// Name of the project: `name = "game"`. It is kept with every checkpoint in the target, so
    /// that another name begins everything anew.
    #[schemars(required, example = &"game")]
    name: Option<Marked<String>>,
    /// Connections that streams read from, as named in the configuration:
    /// `sources = ["pocketbase"]`.
    #[schemars(required, example = ["pocketbase"])]
    sources: Option<Marked<Vec<Marked<String>>>>,
    /// Connections that streams write to: `sinks = ["game"]`.
    #[schemars(required, example = ["game"])]
    sinks: Option<Marked<Vec<Marked<String>>>>,
    /// How many rows may be refused before a run stops; it stops at one more. Goes before the
    /// limit of the configuration, and behind `--max-rejects`: `max_rejects = 100`.
    #[schemars(example = 100)]
    max_rejects: Option<u64>,
}

/// Streams of a dbferry project, `mappings/<project>/<any name>.toml`: one file per stream, or a
/// few together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dbferry mapping")]
struct StreamsFile {
    /// One named flow from a table or query to a target table: `[[stream]]`.
    #[serde(default)]
    stream: Vec<Marked<StreamEntry>>,
}

/// One named flow from a table or query to a target table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [[stream]]")]
#[schemars(transform = from_or_query)]
struct StreamEntry {
    /// Name, unique within the project: `name = "players"`. It is kept with the checkpoint, so
    /// that another name begins the stream anew.
    #[schemars(required, example = &"players")]
    name: Option<Marked<String>>,
    /// Table, view or collection that is read, `connection.table` or `connection.schema.table`:
    /// `from = "pocketbase.users"`. A part with a dot or a space in it is quoted:
    /// `from = 'old."user table"'`.
    #[schemars(example = &"pocketbase.users")]
    from: Option<Marked<String>>,
    /// Instead of `from`: a query that the source runs, `[stream.query]`.
    query: Option<Marked<QueryEntry>>,
    /// Table that is written, `connection.table` or `connection.schema.table`:
    /// `to = "game.players"`.
    #[schemars(required, example = &"game.players")]
    to: Option<Marked<String>>,
    /// Columns of the target that tell its rows apart: `key = ["id"]`.
    #[schemars(required, example = ["id"])]
    key: Option<Marked<Vec<Marked<String>>>>,
    /// Columns of the source by which its rows are read in order, so that a stopped run goes on
    /// where it was: `source_key = ["id"]`. A table's own primary key is found without it; a
    /// query without it is moved as a whole, from its beginning.
    #[schemars(example = ["id"])]
    source_key: Option<Marked<Vec<Marked<String>>>>,
    /// What happens to a row whose key the target already has: `on_conflict = "update"`. The
    /// default is "error".
    #[serde(default)]
    on_conflict: OnConflict,
    /// Whether the target's own row triggers fire: `triggers = "on"`. The default is "off".
    #[serde(default)]
    triggers: Triggers,
    /// Streams that must be complete before this one, beside those that foreign keys of the
    /// target demand: `after = ["players"]`.
    #[serde(default)]
    #[schemars(example = ["players"])]
    after: Vec<Marked<String>>,
    /// SQL condition over source columns; rows for which it is not true are left out and counted
    /// as filtered: `where = "verified and level > 0"`.
    #[schemars(example = &"verified and level > 0")]
    r#where: Option<Marked<String>>,
    /// Target columns that `columns` does not mention take the source column of the same name,
    /// where there is one: `same_name_columns = true`. The default is false.
    #[schemars(example = true)]
    same_name_columns: Option<Marked<bool>>,
    /// Target columns whose values may lose fraction digits, which are then rounded; elsewhere a
    /// row that would lose some is a reject: `allow_precision_loss = ["created_at"]`.
    #[serde(default)]
    #[schemars(example = ["created_at"])]
    allow_precision_loss: Vec<Marked<String>>,
    /// Named SQL conditions over source columns; a row that breaks one is a reject that names it
    /// (NULL breaks none): `rules = { positive_score = "score >= 0" }`.
    #[serde(default)]
    #[schemars(example = one_pair("positive_score", "score >= 0"))]
    rules: BTreeMap<Marked<String>, Marked<String>>,
    /// How the rows of one subject are found, as a condition over source columns in which `$key`
    /// stands for the key that the user gives: `subject = { user = "id = $key" }`.
    #[serde(default)]
    #[schemars(example = one_pair("user", "id = $key"))]
    subject: BTreeMap<Marked<String>, Marked<String>>,
    /// Types that source columns are read as, where the source's own is not meant:
    /// `types = { total_score = "bigint" }`. A type is written as in PostgreSQL: `boolean`,
    /// `smallint`, `integer`, `bigint`, `real`, `double precision`, `numeric(7,2)`, `text`,
    /// `varchar(50)`, `bytea`, `date`, `time`, `timestamp(3)`, `timestamptz`, `interval`, `uuid`,
    /// `json`, `jsonb`, and `[]` behind any of them.
    #[serde(default)]
    #[schemars(example = one_pair("total_score", "bigint"))]
    types: BTreeMap<Marked<String>, Marked<String>>,
    /// Target column = SQL expression over source columns: `columns = { email = "lower(email)" }`.
    /// The expression must give the same value for the same row, always.
    #[serde(default)]
    #[schemars(example = one_pair("email", "lower(email)"))]
    columns: BTreeMap<Marked<String>, Marked<String>>,
}

/// A query that the source runs in its own SQL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [stream.query]")]
struct QueryEntry {
    /// Connection that runs it: `connection = "pocketbase"`.
    #[schemars(required, example = &"pocketbase")]
    connection: Option<Marked<String>>,
    /// One read-only statement; joins and aggregations belong here:
    /// `sql = "select user_id, sum(score) as score from leaderboard group by user_id"`.
    #[schemars(required, example = &"select user_id, sum(score) as score from leaderboard group by user_id")]
    sql: Option<Marked<String>>,
}

fn one_pair(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn from_or_query(schema: &mut schemars::Schema) {
    schema.insert(
        "oneOf".to_owned(),
        serde_json::json!([{ "required": ["from"] }, { "required": ["query"] }]),
    );
}

/// Loads `<folder>/project.toml` and every other `*.toml` in the folder (by name), and collects
/// all mistakes of all files before it returns.
///
/// # Errors
/// [`ErrorKind::Mapping`] with every finding; [`ErrorKind::Usage`] where the folder is no project.
pub fn load(folder: &Path) -> Result<Project> {
    let path = folder.join(PROJECT_FILE);
    if !path.is_file() {
        return Err(no_project(folder));
    }
    let (mut project, mut findings) = project(folder, &path)?;
    for path in stream_files(folder)? {
        let (mut reader, wire) = read::<StreamsFile>(&path)?;
        for entry in wire.map_or_else(Vec::new, |wire| wire.stream) {
            project.streams.extend(stream(&mut reader, entry));
        }
        reader.sort();
        findings.extend(reader.findings);
    }
    if !findings.is_empty() {
        return Err(Error::findings(ErrorKind::Mapping, findings));
    }
    if project.streams.is_empty() {
        return Err(
            Error::new(ErrorKind::Mapping, format!("there is no stream in {}", folder.display()))
                .hint("write one into a TOML file beside project.toml: [[stream]]"),
        );
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
        streams: Vec::new(),
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
    let to = to.and_then(|to| table_ref(reader, to));
    Some(Stream {
        name: name?,
        from: from?,
        to: to?,
        key: located(reader, key?.value),
        source_key: entry.source_key.map(|list| located(reader, list.into_inner())),
        on_conflict: entry.on_conflict,
        triggers: entry.triggers,
        after: located(reader, entry.after),
        filter: entry.r#where.map(|filter| reader.locate(filter)),
        rules: pairs(reader, entry.rules),
        columns: pairs(reader, entry.columns),
        same_name_columns: entry.same_name_columns.map(|flag| reader.locate(flag)),
        types: pairs(reader, entry.types),
        allow_precision_loss: located(reader, entry.allow_precision_loss),
        subjects: pairs(reader, entry.subject),
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

fn table_ref(reader: &mut Reader, text: Located<String>) -> Option<Located<TableRef>> {
    let Some(value) = TableRef::parse(&text.value) else {
        reader.findings.push(
            Finding::error("mapping::table_name", Some(text.place), "this is not the name of a table")
                .label("not connection.table")
                .help("connection.table or connection.schema.table; a part with a dot or space in it is \"quoted\""),
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
