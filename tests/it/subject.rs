//! One user by key: exactly their rows, in the order of foreign keys, again and again without a
//! change, and without getting in the way of runs of everything.

use serde_json::Value;

use crate::game::{Row, sqlite_query};
use crate::harness::{Database, Ended, Project};
use crate::items;
use crate::projects::{SAME_NAMES, stream};

mod conditions;
mod game;
mod keys;
mod killed;
mod met_again;

/// A shop: users with numbers and texts for keys, what is theirs, and topics, which are nobody's.
const SOURCE: &str = r#"
pragma journal_mode = wal;
create table users (id text primary key not null, name text);
create table orders (id integer primary key, user_id text, total integer);
create index orders_user on orders (user_id);
create table tags (id integer primary key, label text, owners json);
create table topics (id integer primary key, label text);
insert into users values ('ann', 'Ann'), ('bob', 'Bob'), ('o''brien "100%_\', 'O'), ('Зоя 🦊', 'Z'), ('$key', 'K'), ('42', 'N');
insert into orders select 100 * u.rowid + n.value, u.id, n.value from users u, json_each('[1,2,3]') n;
insert into tags values (1, 'red', '["ann","bob"]'), (2, 'blue', '["bob"]'), (3, 'odd', '["42","$key"]');
insert into topics values (1, 'all');
"#;

const TABLES: &str = "
create table users (id varchar(50) primary key, name varchar(50) not null);
create table orders (id integer primary key, user_id varchar(50) not null references users (id), total integer not null);
create table tags (id integer primary key, label varchar(50) not null);
create table topics (id integer primary key, label varchar(50) not null);
";

/// The mapping, `orders` before `users` to show that foreign keys decide.
fn mapping(policy: &str) -> String {
    [
        ("orders", "subject = { user = \"user_id = $key\" }\n"),
        ("users", "subject = { user = \"id = $key -- not '$key'\" }\n"),
        (
            "tags",
            "subject = { user = \"exists (select 1 from json_each(owners) where value = $key)\" }\n",
        ),
        ("topics", ""),
    ]
    .map(|(table, subject)| {
        let (from, to) = (format!("app.{table}"), format!("target.{table}"));
        stream(
            table,
            &from,
            &to,
            &format!("on_conflict = \"{policy}\"\n{subject}{SAME_NAMES}"),
        )
    })
    .concat()
}

const EVERYTHING: [&str; 4] = [
    "select id, name from users order by id",
    "select cast(id as text), user_id, cast(total as text) from orders order by id",
    "select cast(id as text), label from tags order by id",
    "select cast(id as text), label from topics order by id",
];

struct Shop {
    project: Project,
    database: Option<Database>,
}

impl Shop {
    fn new(postgres: bool, policy: &str) -> Self {
        let (project, database) = if postgres {
            let database = Database::create();
            database.query(TABLES);
            (items::into(&database.url), Some(database))
        } else {
            let project = items::into_sqlite(0);
            project.sqlite("out.db", TABLES);
            std::fs::remove_file(project.path("app.db")).expect("the source of the items");
            (project, None)
        };
        project.write("mappings/demo/streams.toml", &mapping(policy));
        project.sqlite("app.db", SOURCE);
        Self { project, database }
    }

    /// On both targets.
    fn both(policy: &str) -> [Self; 2] {
        [Self::new(true, policy), Self::new(false, policy)]
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.project.run(&[&["run", "mappings/demo"], args].concat())
    }

    /// What a run that ends with this code reports.
    #[track_caller]
    fn report(&self, code: i32, args: &[&str]) -> Value {
        self.run(&[args, &["--output", "json"]].concat()).expect(code).json()
    }

    fn query(&self, sql: &str) -> Vec<Row> {
        if let Some(database) = &self.database {
            return database.query(sql);
        }
        let connection = rusqlite::Connection::open(self.project.path("out.db")).expect("an SQLite file");
        sqlite_query(&connection, &sql.replace("dbferry.", "dbferry_"))
    }

    fn value(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().unwrap_or_default()
    }

    fn change(&self, sql: &str) {
        match &self.database {
            Some(database) => drop(database.query(sql)),
            None => self.project.sqlite("out.db", sql),
        }
    }

    fn everything(&self) -> Vec<Vec<Row>> {
        EVERYTHING.iter().map(|sql| self.query(sql)).collect()
    }

    fn open_rejects(&self) -> Vec<Row> {
        self.query("select stream, source_key, reason from dbferry.reject where resolved_at is null order by stream, source_key")
    }
}

/// Figures of a stream in a document.
fn figures(report: &Value, stream: &str) -> [u64; 5] {
    let streams = report["streams"].as_array().expect("streams");
    let found = streams.iter().find(|found| found["name"] == stream).expect("the stream");
    ["read", "inserted", "updated", "skipped", "rejected"].map(|figure| found[figure].as_u64().expect("a figure"))
}
