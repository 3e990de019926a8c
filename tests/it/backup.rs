//! Backups and the way back: what is restored is compared row by row, on real servers, and whoever is
//! killed on the way leaves the old or the new.

mod files;
mod kept;
mod keys;
mod killed;
mod postgres;
mod refused;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::harness::{Project, file_connection, postgres_url, query, url_connection, value};

/// A role that may create databases, with a database of its own; both go at the end, with all other
/// databases of that role.
struct Tenant {
    name: String,
    url: String,
}

impl Tenant {
    fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tenant_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let tenant = Self {
            url: url_of(&name, &name),
            name,
        };
        tenant.remove();
        let name = &tenant.name;
        query(
            &postgres_url(),
            &format!("create role {name} login createdb password 'secret'"),
        );
        query(&postgres_url(), &format!("create database {name} owner {name}"));
        tenant
    }

    /// Its databases.
    fn databases(&self) -> Vec<String> {
        let rows = query(
            &postgres_url(),
            &format!(
                "select datname from pg_database d join pg_roles r on r.oid = d.datdba where rolname = '{}' order by 1",
                self.name
            ),
        );
        rows.into_iter().flatten().flatten().collect()
    }

    /// How many of its role's sessions there are.
    fn sessions(&self) -> String {
        let sql = format!("select count(*) from pg_stat_activity where usename = '{}'", self.name);
        value(&postgres_url(), &sql)
    }

    fn remove(&self) {
        for database in self.databases() {
            query(
                &postgres_url(),
                &format!("drop database if exists \"{database}\" with (force)"),
            );
        }
        query(&postgres_url(), &format!("drop role if exists {}", self.name));
    }

    fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        query(&self.url, sql)
    }

    /// Rows of both tables, and how far dbferry's own ledger is.
    fn rows(&self) -> Vec<Vec<Option<String>>> {
        let mut rows = self.query("select * from items order by id");
        rows.extend(self.query("select stream, sequence, rows_inserted, complete from dbferry.checkpoint order by 1"));
        rows
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        // Also where the test has failed.
        let tenant = Self {
            name: self.name.clone(),
            url: String::new(),
        };
        let removed = std::thread::spawn(move || {
            tenant.remove();
            std::mem::forget(tenant);
        });
        drop(removed.join());
    }
}

/// URL of a database for a role of a test's.
fn url_of(role: &str, database: &str) -> String {
    let server = postgres_url();
    let (start, rest) = server.split_once("://").expect("a URL");
    let (_, host) = rest.split_once('@').expect("a URL with a user");
    let (host, _) = host.split_once('/').expect("a URL with a database");
    format!("{start}://{role}:secret@{host}/{database}")
}

/// Rows of the source.
const ROWS: u32 = 3_000;

/// The source of most tests.
fn source(rows: u32) -> String {
    format!(
        "create table items (id integer primary key, name text not null, body blob, points integer);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into items select i, 'näme ''' || i || ' 🦀', case when i % 3 = 0 then null else unhex(printf('ff00%06x', i)) end, i * 7 % 1009 from n;"
    )
}

/// A stream that writes all of it.
fn stream(name: &str, to: &str) -> String {
    format!(
        "[[stream]]\nname = \"{name}\"\nfrom = \"app.items\"\nto = \"{to}\"\nkey = [\"id\"]\n\n[stream.columns]\nid = \"id\"\nname = \"name\"\nbody = \"body\"\npoints = \"points\"\n\n"
    )
}

const TABLE: &str = "create table items (id bigint primary key, name text not null, body bytea, points bigint);
    create index on items (points);";

/// A project that has moved its rows into a Postgres database of its own.
fn moved(tenant: &Tenant) -> Project {
    let mut project = Project::new();
    project.set("GAME_URL", &tenant.url);
    let config = format!(
        "{}{}",
        file_connection("app", "sqlite", "app.db"),
        url_connection("game", "GAME_URL")
    );
    project.write("config/development.toml", &config);
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"game\"]\n",
    );
    project.write("mappings/demo/streams.toml", &stream("items", "game.items"));
    project.sqlite("app.db", &source(ROWS));
    tenant.query(TABLE);
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

/// A backup, and its folder.
#[track_caller]
fn backed_up(project: &Project, more: &[&str]) -> (PathBuf, Value) {
    let document = project
        .run(&[&["backup", "mappings/demo", "--output", "json"], more].concat())
        .expect(0)
        .json();
    let folder = project.path(document["folder"].as_str().expect("a folder"));
    (folder, document)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a file");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

/// What lies in a folder, without the folders in it.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
