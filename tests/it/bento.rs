//! The shipped bento project, run as its user would: one shared Postgres, made by the seed script,
//! into seven databases. What has to arrive is asked of the source by SQL that dbferry has no part in.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::harness::{Ended, Project, copy, postgres_url, query, repository, text, value};

mod interrupted;
mod moment;
mod moves;
mod seed;
mod streams;
mod traps;
mod verified;

use streams::{STREAMS, Stream};

/// The connections that are written.
pub(crate) const SERVICES: [&str; 7] = [
    "auth_db",
    "user_db",
    "post_db",
    "topic_db",
    "comment_db",
    "notification_db",
    "interaction_db",
];

/// The project in a folder of its own, with eight databases of its own that the program and the
/// seed script create.
struct Bento {
    project: Project,
    server: String,
    prefix: String,
    /// A role that may only read the source.
    reader: String,
}

/// Fills a database as the seed script does with these arguments.
pub(crate) fn seed(url: &str, arguments: &[&str]) -> Ended {
    let output = Command::new(repository("scripts/seed-bento.sh"))
        .args(arguments)
        .env("BENTO_SOCIAL_URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("the seed script starts");
    Ended::of(output)
}

impl Bento {
    /// With a source of as many users, and a role that may read it and nothing else.
    fn seeded(users: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t_bento_{}_{number}", std::process::id());
        let mut bento = Self {
            project: Project::new(),
            server: postgres_url(),
            reader: format!("{prefix}_reader"),
            prefix,
        };
        let Self { project, reader, .. } = &bento;
        copy(&repository("mappings/bento"), &project.path("mappings/bento"));
        project.write("config/development.toml", &text("config/development.toml"));
        let source = bento.url("source");
        seed(&source, &[&users.to_string()]).expect(0);
        query(
            &source,
            &format!(
                "create role {reader} login password 'reader';
                 grant connect on database {prefix}_source to {reader};
                 grant usage on schema public to {reader};
                 grant select on all tables in schema public to {reader};",
                prefix = bento.prefix
            ),
        );
        let (_, address) = source.rsplit_once('@').expect("a URL with a user");
        let source = format!("postgres://{reader}:reader@{address}");
        bento.project.set("BENTO_SOCIAL_URL", &source);
        for service in SERVICES {
            let url = bento.url(service);
            bento.project.set(&format!("{}_URL", service.to_uppercase()), &url);
        }
        bento
    }

    fn url(&self, name: &str) -> String {
        let (start, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{start}/{}_{name}", self.prefix)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let (command, more) = args.split_at(if args[0] == "schema" { 2 } else { 1 });
        self.project.run(&[command, &["mappings/bento"], more].concat())
    }

    /// Rows of a query over the source, as text, in order.
    fn wanted(&self, stream: &Stream, condition: &str) -> Vec<String> {
        let Stream { wanted, from, which, .. } = stream;
        self.rows(
            "source",
            &format!("select row({wanted})::text from {from} where ({which}) and ({condition})"),
        )
    }

    /// What a service has of a stream.
    fn found(&self, stream: &Stream) -> Vec<String> {
        self.rows(
            stream.service,
            &format!("select row({})::text from {}", stream.columns, stream.table()),
        )
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        let rows = query(&self.url(name), sql);
        let mut rows: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).expect("not NULL")).collect();
        rows.sort_unstable();
        rows
    }

    /// Every service has exactly the rows that the source's own SQL makes of it.
    #[track_caller]
    fn check_rows(&self) {
        for stream in &STREAMS {
            let (wanted, found) = (self.wanted(stream, "true"), self.found(stream));
            assert_eq!(wanted.len(), found.len(), "rows of {}", stream.name);
            for (wanted, found) in wanted.iter().zip(&found) {
                assert_eq!(wanted, found, "{}", stream.name);
            }
        }
    }

    /// Open rejects: stream and key, with column and reason.
    fn rejects(&self) -> BTreeMap<(String, String), (String, String)> {
        let mut all = BTreeMap::new();
        for service in SERVICES {
            let sql = "select stream, source_key, column_name, reason from dbferry.reject where resolved_at is null";
            for row in query(&self.url(service), sql) {
                let mut cells = row.into_iter().map(|cell| cell.expect("not NULL"));
                let mut next = || cells.next().expect("four columns");
                let (stream, key) = (next(), plain_key(&next()));
                let before = all.insert((stream.clone(), key.clone()), (next(), next()));
                assert_eq!(before, None, "{stream} {key} was rejected twice");
            }
        }
        all
    }

    /// Batches without gaps, whose sums are the checkpoint's.
    #[track_caller]
    fn check_ledgers(&self) {
        for service in SERVICES {
            let wrong = value(
                &self.url(service),
                "select string_agg(stream, ', ') from (
                     select c.stream from dbferry.checkpoint c left join dbferry.batch b using (project, stream, split)
                     group by c.project, c.stream, c.split
                     having not c.complete or count(b.sequence) <> c.sequence or max(b.sequence) <> c.sequence
                        or sum(b.rows_read) <> c.rows_read or sum(b.rows_inserted) <> c.rows_inserted
                 ) as wrong",
            );
            assert_eq!(wrong, "", "{service}");
        }
    }

    /// Empties the targets and their ledgers.
    fn forget(&self) {
        for service in SERVICES {
            query(&self.url(service), "drop schema dbferry cascade");
        }
        for stream in &STREAMS {
            query(&self.url(stream.service), &format!("truncate {}", stream.table()));
        }
    }
}

impl Drop for Bento {
    fn drop(&mut self) {
        let mut sql: Vec<String> = SERVICES
            .iter()
            .chain(&["source"])
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

/// `[{"text":"a"},{"text":"b"}]` as `a|b`.
fn plain_key(key: &str) -> String {
    let key: Value = serde_json::from_str(key).expect("a key in JSON");
    let parts = key.as_array().expect("a list").iter();
    let parts: Vec<&str> = parts.map(|part| part["text"].as_str().expect("text")).collect();
    parts.join("|")
}
