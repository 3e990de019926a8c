//! Wire form of `config/<environment>.toml`, and what a connection in it must look like.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::connection::NewDatabase;
use super::limits::Limits;
use super::secret::{Value, ValueEntry};
use super::url;
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Located};

/// A configuration file of dbferry, `config/<environment>.toml`: the connections of all
/// projects in one environment, and the limits of a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dbferry configuration")]
pub(super) struct ConfigFile {
    /// How much happens at once, and how much may go wrong: `[limits]`. All keys are optional.
    #[serde(default)]
    pub(super) limits: Limits,
    /// Connections by name: `[connection.game]`. Mappings name them before the dot in
    /// `game.players`. Only those that a command needs are resolved and opened.
    #[serde(default)]
    connection: BTreeMap<Marked<String>, Marked<ConnectionEntry>>,
}

/// One database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as [connection.game]")]
#[schemars(transform = keys_by_kind)]
struct ConnectionEntry {
    /// What kind of database it is: `kind = "postgres"`.
    #[schemars(required, example = &"postgres")]
    kind: Option<Marked<Kind>>,
    /// Of `sqlite` and `pocketbase`: where the file is, relative to the current directory. For
    /// PocketBase `data.db` or the `pb_data` folder that holds it:
    /// `path = { env = "POCKETBASE_DB", default = "pb_data/data.db" }`.
    path: Option<Marked<ValueEntry>>,
    /// Of `postgres`: `postgres://user:password@host:5432/database`, read from a variable or a
    /// file: `url = { env = "GAME_DATABASE_URL" }`.
    url: Option<Marked<ValueEntry>>,
    /// Create the database (or the SQLite file) where it is missing, when it is written to:
    /// `create_database = true`. The default is false.
    #[schemars(example = true)]
    create_database: Option<Marked<bool>>,
    /// Of `postgres` with `create_database = true`: the role that owns a database which is created:
    /// `owner = "game_owner"`. The role of the URL has to be a member of it. The default is the
    /// role of the URL.
    #[schemars(example = &"game_owner")]
    owner: Option<Marked<String>>,
    /// Of `postgres` with `create_database = true`: the encoding of a database which is created,
    /// as the server names it: `encoding = "UTF8"`. The default is UTF8.
    #[schemars(example = &"UTF8")]
    encoding: Option<Marked<String>>,
    /// Leave out all streams that read or write this connection; the run says so:
    /// `disabled = true`. The default is false.
    #[schemars(example = true)]
    disabled: Option<Marked<bool>>,
}

/// Kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An SQLite file.
    Sqlite,
    /// The `data.db` of a PocketBase; it is only read.
    Pocketbase,
    /// A PostgreSQL database; as a source it is only read.
    Postgres,
}

fn keys_by_kind(schema: &mut schemars::Schema) {
    let rule = |kind: &str, needed: &str, refused: &[&str]| {
        let refused: serde_json::Map<_, _> = refused.iter().map(|key| ((*key).to_owned(), false.into())).collect();
        serde_json::json!({
            "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] },
            "then": { "required": [needed], "properties": refused },
        })
    };
    schema.insert(
        "allOf".to_owned(),
        serde_json::json!([
            rule("sqlite", "path", &["url", "owner", "encoding"]),
            rule("pocketbase", "path", &["url", "create_database", "owner", "encoding"]),
            rule("postgres", "url", &["path"]),
        ]),
    );
}

/// A connection as declared: checked, with nothing looked up.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// Name.
    pub(super) name: Located<String>,
    /// Kind.
    pub(super) kind: Kind,
    /// Path or URL.
    pub(super) address: Value,
    /// Create what is missing.
    pub(super) create_database: bool,
    /// What is created is like this.
    pub(super) new_database: NewDatabase,
    /// Left out.
    pub(super) disabled: bool,
}

/// Checks all connections; they come back in file order.
pub(super) fn check(reader: &mut Reader, file: ConfigFile) -> Vec<Declared> {
    let mut entries: Vec<_> = file.connection.into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
        .into_iter()
        .filter_map(|(name, entry)| {
            let name = reader.locate(name);
            reader.check_name("a connection", &name.value, &name.place);
            connection(reader, name, entry)
        })
        .collect()
}

fn connection(reader: &mut Reader, name: Located<String>, entry: Marked<ConnectionEntry>) -> Option<Declared> {
    let span = entry.span();
    let entry = entry.into_inner();
    let owner = format!("connection `{}`", name.value);
    let kind = reader.required(entry.kind, &span, &owner, "kind = \"postgres\"")?.value;
    let (address, other, key, example) = match kind {
        Kind::Postgres => (entry.url, entry.path, "url", "url = { env = \"DATABASE_URL\" }"),
        Kind::Sqlite | Kind::Pocketbase => (entry.path, entry.url, "path", "path = { value = \"data.db\" }"),
    };
    if let Some(other) = other {
        let refused = if key == "url" { "path" } else { "url" };
        refuse(reader, &other, refused, kind, &format!("it needs `{key}`"));
    }
    if let Some(create) = entry.create_database.as_ref().filter(|_| kind == Kind::Pocketbase) {
        refuse(
            reader,
            create,
            "create_database",
            kind,
            "PocketBase is only read: leave it out",
        );
    }
    let created = entry.create_database.is_some_and(Marked::into_inner);
    let new_database = NewDatabase {
        owner: of_new_database(reader, entry.owner, "owner", kind, created),
        encoding: of_new_database(reader, entry.encoding, "encoding", kind, created),
    };
    let address = reader.required(address, &span, &owner, example)?;
    let address = Value::check(reader, key, address)?;
    if let Some(written) = address.written() {
        check_address(reader, kind, written);
    }
    Some(Declared {
        name,
        kind,
        address,
        create_database: created,
        new_database,
        disabled: entry.disabled.is_some_and(Marked::into_inner),
    })
}

/// A key that says what a created database is like.
fn of_new_database(reader: &mut Reader, value: Option<Marked<String>>, key: &str, kind: Kind, created: bool) -> Option<String> {
    let value = value?;
    if kind != Kind::Postgres {
        refuse(reader, &value, key, kind, "leave it out");
        return None;
    }
    let fault = if value.get().is_empty() {
        Some(("is empty", "name it, or leave the key out"))
    } else if !created {
        Some((
            "speaks of a database that is created, and none is",
            "add `create_database = true`, or leave it out",
        ))
    } else {
        None
    };
    if let Some((what, help)) = fault {
        let place = reader.place(value.span());
        reader.findings.push(
            Finding::error("config::new_database", Some(place), format!("`{key}` {what}"))
                .label("means nothing")
                .help(help),
        );
    }
    Some(value.into_inner())
}

fn refuse<T>(reader: &mut Reader, value: &Marked<T>, key: &str, kind: Kind, help: &str) {
    let place = reader.place(value.span());
    reader.findings.push(
        Finding::error(
            "config::key_of_other_kind",
            Some(place),
            format!("a connection of kind \"{}\" has no `{key}`", kind.name()),
        )
        .label("of another kind")
        .help(help),
    );
}

/// Checks what stands in the file itself.
fn check_address(reader: &mut Reader, kind: Kind, written: &Located<String>) {
    if kind == Kind::Postgres && url::has_password(&written.value) {
        reader.findings.push(
            Finding::error(
                "config::password_in_file",
                Some(written.place.clone()),
                "a password stands in this file",
            )
            .label("a secret")
            .help("put the URL into a variable or a file of its own: { env = \"NAME\" } or { file = \"path\" }"),
        );
    }
    if let Some(finding) = address_fault(kind, &written.value) {
        reader.findings.push(Finding {
            place: Some(written.place.clone()),
            ..finding
        });
    }
}

/// What is wrong with a path or URL, without any of it; the place is the caller's.
pub(super) fn address_fault(kind: Kind, text: &str) -> Option<Finding> {
    let (fault, help) = match kind {
        Kind::Postgres => url::postgres_fault(text)?,
        Kind::Sqlite | Kind::Pocketbase if text.contains('\0') => {
            ("it contains a NUL byte".to_owned(), "a path such as pb_data/data.db")
        }
        Kind::Sqlite | Kind::Pocketbase => return None,
    };
    let what = if kind == Kind::Postgres {
        "the URL of a Postgres database"
    } else {
        "a path"
    };
    Some(
        Finding::error("config::bad_address", None, format!("this is not {what}: {fault}"))
            .label("not usable")
            .help(format!("expected {help}")),
    )
}

impl Kind {
    /// As written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Pocketbase => "pocketbase",
            Self::Postgres => "postgres",
        }
    }
}
