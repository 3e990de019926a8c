//! Projects of one stream or a few that move whole documents, and what the target has of them then.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::harness::{At, Cosmos, KEY};
use crate::emulator::kind::Kind;
use crate::emulator::log::Entry;
use crate::harness::{Database, Project, until};

/// The container of most tests here.
pub(crate) const TOYS: At<'static> = At("shop", "Toys");

/// The one stream of a toy.
pub(crate) const STREAM: &str = r#"
[[stream]]
name = "toys"
from = "cosmos.toys"
to = "target.toys"
key = ["partition", "id"]

[stream.columns]
partition = "_partition"
id = "id"
ts = "_ts"
etag = "_etag"
document = "document"
"#;

/// A project that moves toys.
pub(crate) struct Toy {
    pub(crate) project: Project,
    target: Target,
}

enum Target {
    Postgres(Database),
    Sqlite,
}

/// Documents by partition key and id, without what the service adds to them.
pub(crate) type Documents = BTreeMap<(String, String), Value>;

impl Toy {
    /// Into a database of its own, over several sessions.
    pub(crate) fn into_postgres(cosmos: &Cosmos) -> Self {
        Self::from_url_into_postgres(cosmos.url())
    }

    /// The same from an account that is nobody's own.
    pub(crate) fn from_url_into_postgres(url: &str) -> Self {
        let database = Database::create();
        database.query(
            "create table toys (partition text, id text, ts bigint not null, etag text not null, document jsonb not null,
               primary key (partition, id))",
        );
        let mut project = Project::new();
        project.set("TARGET_URL", &database.url);
        let toy = Self {
            project,
            target: Target::Postgres(database),
        };
        toy.filled(url)
    }

    /// Into a file, over one session.
    pub(crate) fn into_sqlite(cosmos: &Cosmos) -> Self {
        Self::from_url_into_sqlite(cosmos.url())
    }

    /// The same from an account that is nobody's own.
    pub(crate) fn from_url_into_sqlite(url: &str) -> Self {
        let project = Project::new();
        project.sqlite(
            "out.db",
            "create table toys (partition text, id text, ts bigint not null, etag text not null, document json text not null,
               primary key (partition, id))",
        );
        let toy = Self {
            project,
            target: Target::Sqlite,
        };
        toy.filled(url)
    }

    fn filled(mut self, url: &str) -> Self {
        self.project.set("COSMOS_KEY", KEY);
        self.project.set("COSMOS_ENDPOINT", url);
        self.configure("", "");
        self.project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"cosmos\"]\nsinks = [\"target\"]\n",
        );
        self.project.write("mappings/demo/streams.toml", STREAM);
        self
    }

    /// Writes the configuration with more limits and more keys of the source's connection.
    pub(crate) fn configure(&self, limits: &str, keys: &str) {
        let target = match &self.target {
            Target::Postgres(_) => "kind = \"postgres\"\nurl = { env = \"TARGET_URL\" }",
            Target::Sqlite => "kind = \"sqlite\"\npath = { value = \"out.db\" }",
        };
        let config = format!(
            "[limits]\n{limits}\n\n[connection.cosmos]\nkind = \"cosmos\"\nendpoint = {{ env = \"COSMOS_ENDPOINT\" }}\n\
             key = {{ env = \"COSMOS_KEY\" }}\ndatabase = {{ value = \"{}\" }}\ncontainers = {{ toys = {{ value = \"{}\" }} }}\n{keys}\n\n\
             [connection.target]\n{target}\n",
            TOYS.0, TOYS.1
        );
        self.project.write("config/development.toml", &config);
    }

    /// Rows of a query on the target, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        match &self.target {
            Target::Postgres(database) => {
                let rows = database.query(sql).into_iter();
                rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
                    .collect()
            }
            Target::Sqlite => {
                let connection = rusqlite::Connection::open(self.project.path("out.db")).expect("an SQLite file");
                let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                let columns = statement.column_count();
                let rows = statement.query_map([], |row| {
                    let cells = (0..columns).map(|column| match row.get_ref(column)? {
                        rusqlite::types::ValueRef::Integer(number) => Ok(number.to_string()),
                        rusqlite::types::ValueRef::Null => Ok(String::new()),
                        text => Ok(String::from_utf8_lossy(text.as_bytes()?).into_owned()),
                    });
                    cells.collect::<Result<Vec<_>, rusqlite::Error>>()
                });
                rows.expect("a query").map(|row| row.expect("a row")).collect()
            }
        }
    }

    /// Whether one session writes the target, so that its ranges are read one after the other.
    pub(crate) fn has_one_session(&self) -> bool {
        matches!(self.target, Target::Sqlite)
    }

    /// Waits until nothing of a killed run is at work in the target any more: its server may still
    /// be at the last commit.
    pub(crate) fn settle(&self) {
        let others = "select count(*) from pg_stat_activity
                      where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
        if let Target::Postgres(database) = &self.target {
            until("the connections of a killed run", || database.value(others) == "0");
        }
    }

    /// Changes the target by hand.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.target {
            Target::Postgres(database) => drop(database.query(sql)),
            Target::Sqlite => self.project.sqlite("out.db", sql),
        }
    }

    /// Whether there is such a table yet.
    pub(crate) fn has(&self, table: &str) -> bool {
        let sql = match &self.target {
            Target::Postgres(_) => format!("select 1 where to_regclass('{table}') is not null"),
            Target::Sqlite => format!("select 1 from sqlite_master where name = '{table}'"),
        };
        !self.query(&sql).is_empty()
    }

    /// A table of the ledger, as this target calls it.
    pub(crate) fn ledger(&self, table: &str) -> String {
        match &self.target {
            Target::Postgres(_) => format!("dbferry.{table}"),
            Target::Sqlite => format!("dbferry_{table}"),
        }
    }

    /// What has arrived, without what the service added, each looked at: its columns are its own.
    pub(crate) fn documents(&self) -> Documents {
        let mut found = Documents::new();
        for row in self.query("select partition, id, cast(ts as text), etag, cast(document as text) from toys") {
            let [partition, id, ts, etag, document] = <[String; 5]>::try_from(row).expect("five columns");
            let mut document: Value = serde_json::from_str(&document).expect("a document");
            assert_eq!(
                (
                    document["id"].as_str(),
                    document["_ts"].to_string(),
                    document["_etag"].as_str()
                ),
                (Some(id.as_str()), ts, Some(etag.as_str())),
            );
            let members = document.as_object_mut().expect("an object");
            members.retain(|name, _| !["_rid", "_self", "_etag", "_attachments", "_ts"].contains(&name.as_str()));
            assert!(found.insert((partition, id), document).is_none(), "twice");
        }
        found
    }

    /// Runs it to its end and returns the stream's figures: read, inserted, updated, skipped,
    /// rejected.
    #[track_caller]
    pub(crate) fn run(&self, more: &[&str]) -> [u64; 5] {
        let args = [&["run", "mappings/demo", "--output", "json"], more].concat();
        let report = self.project.run(&args).expect(0).json();
        ["read", "inserted", "updated", "skipped", "rejected"].map(|name| {
            report["streams"][0][name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {report:#}"))
        })
    }

    /// That every document is there exactly once, that the ledger says the same, and that all is
    /// complete.
    #[track_caller]
    pub(crate) fn expect(&self, documents: &Documents) {
        let found = self.documents();
        let missing: Vec<_> = documents.keys().filter(|key| !found.contains_key(key)).collect();
        let unknown: Vec<_> = found.keys().filter(|key| !documents.contains_key(key)).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "missing: {missing:?}, unknown: {unknown:?}"
        );
        for (key, document) in documents {
            assert_eq!(&found[key], document, "{key:?}");
        }
        let batches = self.ledger("batch");
        let sums = format!(
            "select cast(coalesce(sum(rows_read), 0) as text), cast(coalesce(sum(rows_inserted), 0) as text) from {batches}"
        );
        let count = documents.len().to_string();
        assert_eq!(self.query(&sums), [[count.clone(), count]], "the ledger's batches");
        let steps = format!(
            "select count(*) from {} c where sequence <> (select count(*) from {batches} b where b.stream = c.stream and b.split = c.split)
               or not complete",
            self.ledger("checkpoint")
        );
        assert_eq!(
            self.query(&steps),
            [["0"]],
            "a batch for each step of the checkpoints, which are complete"
        );
    }
}

/// Documents for a container by `/owner`, and their text to seed it with.
pub(crate) fn toys(count: u32, owners: u32) -> (Documents, String) {
    let documents = (0..count).map(|number| {
        json!({
            "id": format!("toy-{number}"),
            "owner": format!("owner-{}", number % owners),
            "number": number,
            "price": { "cents": u64::from(number) * 7919 + 9_007_199_254_740_993 },
            "note": "n".repeat(number as usize % 50),
        })
    });
    seed_of(documents, &["owner"])
}

/// Documents by the key that they should arrive with, and their text.
pub(crate) fn seed_of(documents: impl Iterator<Item = Value>, path: &[&str]) -> (Documents, String) {
    let mut text = String::new();
    let mut all = Documents::new();
    for document in documents {
        let key = path.iter().try_fold(&document, |value, name| value.get(name));
        let key = json!([key.unwrap_or(&json!({}))]).to_string();
        let id = document["id"].as_str().expect("an id").to_owned();
        text.push_str(&document.to_string());
        text.push('\n');
        assert!(all.insert((key, id), document).is_none(), "a seed has no doubles");
    }
    (all, text)
}

/// The pages of a log.
pub(crate) fn pages(log: &[Entry]) -> Vec<&Entry> {
    log.iter().filter(|entry| entry.kind == Kind::Query).collect()
}
