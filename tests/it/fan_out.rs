//! Fan-out: one table into several databases, each with its own columns, checkpoint and rejects.

use crate::harness::{Database, Project, sqlite_rows};
use crate::projects::{SAME_NAMES, postgres, stream};

const ROWS: u32 = 30_000;

/// Some columns, all of those of the same name, and some others.
fn mapping() -> String {
    [
        stream(
            "accounts",
            "app.users",
            "auth.accounts",
            "[stream.columns]\nid = \"id\"\nmail = \"lower(mail)\"\n",
        ),
        stream("profiles", "app.users", "user.profiles", SAME_NAMES),
        stream(
            "ages",
            "app.users",
            "file.ages",
            "[stream.columns]\nage = \"age\"\nid = \"id\"\n",
        ),
    ]
    .concat()
}

/// One source table, two Postgres databases and a file.
pub(crate) struct FanOut {
    pub(crate) project: Project,
    pub(crate) auth: Database,
    pub(crate) user: Database,
}

impl FanOut {
    pub(crate) fn new(rows: u32, limits: &str) -> Self {
        let (auth, user) = (Database::create(), Database::create());
        auth.query("create table accounts (id text primary key, mail text not null)");
        user.query("create table profiles (id text primary key, name text, mail text)");
        let mut project = Project::new();
        let postgres = [
            postgres(&mut project, "auth", &auth.url),
            postgres(&mut project, "user", &user.url),
        ]
        .concat();
        project.write(
            "config/development.toml",
            &format!(
                "[limits]\n{limits}\n\
                 [connection.app]\nkind = \"sqlite\"\npath = {{ value = \"app.db\" }}\n\
                 {postgres}\
                 [connection.file]\nkind = \"sqlite\"\npath = {{ value = \"out.db\" }}\n"
            ),
        );
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"auth\", \"user\", \"file\"]\n",
        );
        project.write("mappings/demo/streams.toml", &mapping());
        project.sqlite("out.db", "create table ages (id text primary key, age bigint)");
        project.sqlite(
            "app.db",
            &format!(
                "create table users (id text primary key not null, name text, mail text, age integer);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
                 insert into users select printf('u%08d', i), 'Name ' || i, 'M' || i || '@X.org', i % 90 from n;"
            ),
        );
        Self { project, auth, user }
    }

    /// Rows of the three targets, in key order.
    pub(crate) fn rows(&self) -> [Vec<String>; 3] {
        let flat = |rows: Vec<Vec<Option<String>>>| rows.into_iter().map(|row| format!("{row:?}")).collect();
        [
            flat(self.auth.query("select id, mail from accounts order by id")),
            flat(self.user.query("select id, name, mail from profiles order by id")),
            sqlite_rows(&self.project.path("out.db"), "select id, age from ages order by id"),
        ]
    }
}

#[test]
fn one_table_goes_into_three_databases_each_with_its_own_columns() {
    let fan = FanOut::new(ROWS, "");
    let run = fan
        .project
        .run(&["run", "mappings/demo", "--batch-size", "7000", "--output", "json"]);
    for stream in run.expect(0).json()["streams"].as_array().expect("streams") {
        assert_eq!(
            (stream["inserted"].as_u64(), stream["status"].as_str()),
            (Some(ROWS.into()), Some("complete")),
            "{stream}"
        );
    }
    let [accounts, profiles, ages] = fan.rows();
    assert_eq!([accounts.len(), profiles.len(), ages.len()], [ROWS as usize; 3]);
    assert_eq!(accounts[6], r#"[Some("u00000007"), Some("m7@x.org")]"#);
    assert_eq!(profiles[6], r#"[Some("u00000007"), Some("Name 7"), Some("M7@X.org")]"#);
    assert_eq!(ages[6], "Text([117, 48, 48, 48, 48, 48, 48, 48, 55])|Integer(7)|");
    // Four jobs and one come to the same.
    let alone = FanOut::new(ROWS, "");
    alone.project.run(&["run", "mappings/demo", "--jobs", "1"]).expect(0);
    assert!(alone.rows() == fan.rows());
    for (one, other) in [(&fan.auth, &alone.auth), (&fan.user, &alone.user)] {
        let digest = "select digest, rows_read from dbferry.checkpoint";
        assert_eq!(one.query(digest), other.query(digest));
    }
}

#[test]
fn a_row_that_one_stream_cannot_read_still_arrives_where_its_column_is_not_wanted() {
    let fan = FanOut::new(ROWS, "");
    fan.project.sqlite(
        "app.db",
        "update users set age = 'old' where id in ('u00000020', 'u00025000')",
    );
    let ended = fan
        .project
        .run(&["run", "mappings/demo", "--max-rejects", "9", "--output", "json"]);
    let report = ended.expect(4).json();
    let figures = |index: usize| {
        let stream = &report["streams"][index];
        (
            stream["read"].as_u64(),
            stream["inserted"].as_u64(),
            stream["rejected"].as_u64(),
        )
    };
    let rows = u64::from(ROWS);
    assert_eq!(figures(0), (Some(rows), Some(rows), Some(0)));
    assert_eq!(figures(1), (Some(rows), Some(rows), Some(0)));
    assert_eq!(figures(2), (Some(rows), Some(rows - 2), Some(2)));
    assert_eq!(
        fan.auth.value("select mail from accounts where id = 'u00000020'"),
        "m20@x.org"
    );
}

#[test]
fn a_target_that_was_behind_goes_on_from_its_own_checkpoint() {
    let fan = FanOut::new(ROWS, "");
    fan.project.run(&["run", "mappings/demo", "--only", "accounts"]).expect(0);
    // The others stop in the middle of the table, each at a place of its own.
    fan.user
        .query("alter table profiles add constraint small check (id < 'u00012000') not valid");
    fan.project
        .run(&["run", "mappings/demo", "--batch-size", "3000", "--only", "profiles"])
        .expect(4);
    fan.user.query("alter table profiles drop constraint small");
    let before = fan.user.value("select rows_read from dbferry.checkpoint");
    let ended = fan
        .project
        .run(&["run", "mappings/demo", "--max-rejects", "100000", "--output", "json"]);
    let report = ended.expect(4).json();
    assert_eq!(report["streams"][0]["status"], "already_complete");
    assert_eq!(
        report["streams"][1]["read"].as_u64(),
        Some(u64::from(ROWS) - before.parse::<u64>().expect("rows"))
    );
    assert_eq!(report["streams"][2]["inserted"].as_u64(), Some(ROWS.into()));
}
