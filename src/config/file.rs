//! Wire form of `config/<environment>.toml`, and what a connection in it must look like.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

use super::connection::NewDatabase;
use super::entry::{ConnectionEntry, Kind};
use super::limits::Limits;
use super::metrics::MetricsEntry;
use super::secret::{Environment, Value};
use super::{cosmos, redis, scylla, url};
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
    /// Figures of a run for Prometheus: `[metrics]`. Nothing is served without it.
    #[serde(default)]
    pub(super) metrics: MetricsEntry,
    /// Connections by name: `[connection.game]`. Mappings name them before the dot in
    /// `game.players`. Only those that a command needs are resolved and opened.
    #[serde(default)]
    connection: BTreeMap<Marked<String>, Marked<ConnectionEntry>>,
}

/// A connection as declared: checked, with nothing looked up.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// Name.
    pub(super) name: Located<String>,
    /// What it is and where.
    pub(super) address: Address,
    /// Left out.
    pub(super) disabled: bool,
}

impl Declared {
    /// Whether it is left out because its variable may be unset and is.
    pub(super) fn is_left_out(&self, environment: &Environment) -> bool {
        matches!(&self.address, Address::Redis(server) if server.is_left_out(environment))
    }

    /// Whether that depends on a variable.
    pub(super) const fn may_be_left_out(&self) -> bool {
        matches!(&self.address, Address::Redis(server) if server.may_be_left_out())
    }
}

/// What a connection leads to, by its kind.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// An SQLite file.
    Sqlite { path: Value, create_database: bool },
    /// The `data.db` of a PocketBase.
    Pocketbase { path: Value },
    /// A Postgres database.
    Postgres {
        url: Value,
        create_database: bool,
        new_database: NewDatabase,
    },
    /// A Cosmos account.
    Cosmos(Box<cosmos::Declared>),
    /// A Redis server or cluster.
    Redis(redis::Declared),
    /// A keyspace of a ScyllaDB or Cassandra cluster.
    Scylla(Box<scylla::Declared>),
}

impl Address {
    /// What kind of connection has it.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Sqlite { .. } => Kind::Sqlite,
            Self::Pocketbase { .. } => Kind::Pocketbase,
            Self::Postgres { .. } => Kind::Postgres,
            Self::Cosmos(_) => Kind::Cosmos,
            Self::Redis(_) => Kind::Redis,
            Self::Scylla(_) => Kind::Scylla,
        }
    }
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
    let mut entry = entry.into_inner();
    let owner = format!("connection `{}`", name.value);
    let kind = reader
        .required(entry.kind.take(), &span, &owner, "kind = \"postgres\"")?
        .value;
    refuse_others(reader, &entry, kind);
    let disabled = entry.disabled.take().is_some_and(Marked::into_inner);
    let address = match kind {
        Kind::Cosmos => Address::Cosmos(Box::new(cosmos::check(reader, entry, &span, &owner)?)),
        Kind::Redis => Address::Redis(redis::check(reader, entry, &span, &owner)?),
        Kind::Scylla => Address::Scylla(Box::new(scylla::check(reader, entry, &span, &owner)?)),
        _ => one_address(reader, entry, kind, (&span, &owner))?,
    };
    Some(Declared { name, address, disabled })
}

/// Of a database that one path or URL leads to. `at` is the table's range and name.
fn one_address(reader: &mut Reader, entry: ConnectionEntry, kind: Kind, at: (&Range<usize>, &str)) -> Option<Address> {
    let create_database = entry.create_database.is_some_and(Marked::into_inner);
    let new_database = NewDatabase {
        owner: of_new_database(reader, entry.owner, "owner", kind, create_database),
        encoding: of_new_database(reader, entry.encoding, "encoding", kind, create_database),
    };
    let (value, key, example) = match kind {
        Kind::Postgres => (entry.url, "url", "url = { env = \"DATABASE_URL\" }"),
        _ => (entry.path, "path", "path = { value = \"data.db\" }"),
    };
    let value = reader.required(value, at.0, at.1, example)?;
    let value = Value::check(reader, key, value)?;
    if let Some(written) = value.written() {
        check_address(reader, kind, written);
    }
    match kind {
        Kind::Sqlite => Some(Address::Sqlite {
            path: value,
            create_database,
        }),
        Kind::Pocketbase => Some(Address::Pocketbase { path: value }),
        Kind::Postgres => Some(Address::Postgres {
            url: value,
            create_database,
            new_database,
        }),
        Kind::Cosmos | Kind::Redis | Kind::Scylla => None,
    }
}

/// A key that says what a created database is like.
fn of_new_database(reader: &mut Reader, value: Option<Marked<String>>, key: &str, kind: Kind, created: bool) -> Option<String> {
    // Of another kind it is refused already.
    let value = value.filter(|_| kind == Kind::Postgres)?;
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

/// Keys of other kinds.
fn refuse_others(reader: &mut Reader, entry: &ConnectionEntry, kind: Kind) {
    for (key, span) in entry.given() {
        let Some(span) = span.filter(|_| !Kind::with(key).contains(&kind)) else {
            continue;
        };
        let help = match (key, kind) {
            ("path", Kind::Postgres | Kind::Redis | Kind::Scylla) => "it needs `url`",
            ("url", Kind::Sqlite | Kind::Pocketbase) => "it needs `path`",
            ("path" | "url", Kind::Cosmos) => "it needs `endpoint` and `key`, or `connection_string`",
            ("create_database", Kind::Pocketbase) => "PocketBase is only read: leave it out",
            ("create_database", Kind::Redis) => "a Redis server has nothing to create: leave it out",
            ("create_database", Kind::Cosmos) => "Cosmos is only read: leave it out",
            _ => "leave it out",
        };
        let place = reader.place(span);
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
}

/// Checks what stands in the file itself.
fn check_address(reader: &mut Reader, kind: Kind, written: &Located<String>) {
    if kind == Kind::Postgres && url::has_password(&written.value) {
        reader.findings.push(url::password_in_file(written.place.clone()));
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
        Kind::Sqlite | Kind::Pocketbase | Kind::Cosmos | Kind::Redis | Kind::Scylla => return None,
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
