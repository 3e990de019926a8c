//! The shipped vyry project, run as its user would: a messenger's Postgres, made by the seed script,
//! to a new one. What has to arrive is asked of the source by SQL that dbferry has no part in.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::harness::{Ended, Project, copy, postgres_url, query, repository, text};

mod deleted;
mod keyspace;
mod messages;
mod moves;
mod page;
mod seed;
mod subject;
mod tables;
mod traps;

use tables::{CqlTable, TABLES, Table};

/// The project in a folder of its own, with two databases of its own that the program and the seed
/// script create.
struct Vyry {
    project: Project,
    server: String,
    prefix: String,
    /// A role that may only read the source.
    reader: String,
    /// There may be a keyspace of that prefix's name.
    keyspace: bool,
}

/// Fills a database as the seed script does with these arguments.
fn seed_at(url: &str, arguments: &[&str]) -> Ended {
    let output = Command::new(repository("scripts/seed-vyry.sh"))
        .args(arguments)
        .env("VYRY_DATABASE_URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("the seed script starts");
    Ended::of(output)
}

impl Vyry {
    /// With a source of as many users and a role that may read it and nothing else; what goes to CQL is
    /// left out by the configuration.
    fn seeded(users: u32) -> Self {
        let vyry = Self::made(users);
        let connection = "[connection.scylla]\n";
        let config = text("config/development.toml").replace(connection, &format!("{connection}disabled = true\n"));
        vyry.project.write("config/development.toml", &config);
        vyry
    }

    /// With all of the project.
    fn with_cql(users: u32) -> Self {
        let mut vyry = Self::made(users);
        let url = format!("{}/{}", keyspace::server(), vyry.prefix);
        vyry.project.set("SCYLLA_URL", &url);
        vyry.keyspace = true;
        vyry
    }

    fn made(users: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t_vyry_{}_{number}", std::process::id());
        let mut vyry = Self {
            project: Project::new(),
            server: postgres_url(),
            reader: format!("{prefix}_reader"),
            prefix,
            keyspace: false,
        };
        let Self { project, reader, .. } = &vyry;
        copy(&repository("mappings/vyry"), &project.path("mappings/vyry"));
        project.write("config/development.toml", &text("config/development.toml"));
        let source = vyry.url("source");
        seed_at(&source, &[&users.to_string(), "--wide", "100"]).expect(0);
        query(
            &source,
            &format!(
                "create role {reader} login password 'reader';
                 grant connect on database {prefix}_source to {reader};
                 grant usage on schema public to {reader};
                 grant select on all tables in schema public to {reader};",
                prefix = vyry.prefix
            ),
        );
        let (_, address) = source.rsplit_once('@').expect("a URL with a user");
        let source = format!("postgres://{reader}:reader@{address}");
        vyry.project.set("VYRY_DATABASE_URL", &source);
        let target = vyry.url("target");
        vyry.project.set("VYRY_TARGET_URL", &target);
        vyry
    }

    /// Takes the files that leave users behind who are deleted.
    fn take_without_deleted(&self) {
        copy(
            &repository("mappings/vyry/without_deleted"),
            &self.project.path("mappings/vyry"),
        );
    }

    fn url(&self, name: &str) -> String {
        let (start, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{start}/{}_{name}", self.prefix)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let (command, more) = args.split_at(if args[0] == "schema" { 2 } else { 1 });
        self.project.run(&[command, &["mappings/vyry"], more].concat())
    }

    /// Rows of a table at one end, as text, in order.
    fn rows(&self, end: &str, table: &Table, condition: &str) -> Vec<String> {
        let sql = format!("select t::text from {} t where {condition}", table.name);
        let rows = query(&self.url(end), &sql);
        let mut rows: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).expect("not NULL")).collect();
        rows.sort_unstable();
        rows
    }

    /// The target has exactly the rows of the source that fulfil a condition.
    #[track_caller]
    fn check_rows(&self, condition: impl Fn(&Table) -> String) {
        for table in &TABLES {
            let (wanted, found) = (
                self.rows("source", table, &condition(table)),
                self.rows("target", table, "true"),
            );
            assert_eq!(wanted.len(), found.len(), "rows of {}", table.name);
            for (wanted, found) in wanted.iter().zip(&found) {
                assert_eq!(wanted, found, "{}", table.name);
            }
        }
    }

    /// What the keyspace has of a table, in the order of its numbers.
    fn found(&self, table: &CqlTable) -> Vec<Value> {
        let mut rows = keyspace::documents(&format!("select json * from {}.{}", self.prefix, table.name));
        rows.sort_by_key(CqlTable::numbers);
        rows
    }

    /// The keyspace has exactly the rows of the source that fulfil a condition and can be held.
    #[track_caller]
    fn check_cql(&self, condition: impl Fn(&CqlTable) -> String) {
        for table in [&tables::MESSAGES, &tables::DELIVERIES] {
            let CqlTable { name, wanted, held, .. } = table;
            let sql = format!(
                "set timezone = 'UTC'; select {wanted} from {name} where ({held}) and ({})",
                condition(table)
            );
            let rows = query(&self.url("source"), &sql).into_iter();
            let rows = rows.map(|mut row| row.remove(0).expect("not NULL"));
            let mut wanted: Vec<Value> = rows.map(|row| serde_json::from_str(&row).expect("JSON")).collect();
            wanted.sort_by_key(CqlTable::numbers);
            let found = self.found(table);
            assert_eq!(wanted.len(), found.len(), "rows of {name}");
            for (wanted, found) in wanted.iter().zip(&found) {
                assert_eq!(wanted, found, "{name}");
            }
        }
    }
}

impl Drop for Vyry {
    fn drop(&mut self) {
        if self.keyspace {
            let cql = format!("drop keyspace if exists {}", self.prefix);
            let dropped = std::thread::spawn(move || keyspace::change(&cql));
            drop(dropped.join());
        }
        let mut sql: Vec<String> = ["source", "target"]
            .iter()
            .map(|name| format!("drop database if exists {}_{name} with (force)", self.prefix))
            .collect();
        sql.push(format!("drop role if exists {}", self.reader));
        let server = self.server.clone();
        let dropped = std::thread::spawn(move || {
            for sql in sql {
                query(&server, &sql);
            }
        });
        drop(dropped.join());
    }
}

/// No condition.
fn all(_: &Table) -> String {
    "true".to_owned()
}
