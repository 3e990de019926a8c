//! What `plan` tells before a run: tables and columns that nothing moves, differences that matter
//! and the rows they concern, subjects, the order of streams.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Database, Ended, Project, file_connection, url_connection};

/// One shared database in small, with the traps that a move into several databases has.
const SOURCE: &str = "
pragma journal_mode = wal;
create table users (
    id varchar(36) primary key not null, username varchar(100) not null, password text not null, bio text, cover text,
    status text, karma integer not null default 0, rating numeric(12,3), created_at timestamp not null, initials char(3));
insert into users values
    ('u1', 'ann', 'x', 'hello', null, 'active', 1, '10.250', '2024-01-01 10:00:00', 'ann'),
    ('u2', 'ann', 'x', null, null, null, 3000000000, '10.255', '2024-01-01 10:00:00.5', 'a'),
    ('u3', 'bob', 'x', null, null, 'asleep', 2147483647, '123456.1', '2024-01-01 10:00:00.123456', null),
    ('u4', 'ann', 'x', null, null, 'gone for good', 7, null, '2024-01-02', 'eve');
create table posts (id varchar(36) primary key not null, author_id varchar(36) not null, content text not null, views integer);
create table comment_likes (comment_id varchar(36), user_id varchar(36), created_at timestamp, primary key (comment_id, user_id));
create table audit_log (id integer primary key, line text);
create view active_users as select id from users where status = 'active';
";

const AUTH: &str = "
create table users (
    id varchar(36) primary key, username varchar(2) not null unique, password text not null, status text not null,
    karma integer not null, rating numeric(7,2), created_at timestamp(0) not null)";

const SOCIAL: &str = "
create type status as enum ('active', 'asleep');
create table profiles (
    id varchar(36) primary key, username varchar(100) not null, bio text, status status, created_at timestamp(3) not null, initials char(3));
create table posts (id varchar(36) primary key, author_id varchar(36) not null references profiles, content varchar(10) not null)";

const STREAMS: &str = r#"
[[stream]]
name = "posts"
from = "shared.posts"
to = "social.posts"
key = ["id"]
same_name_columns = true
subject = { user = "author_id = $key" }

[[stream]]
name = "logins"
from = "shared.users"
to = "auth.users"
key = ["id"]
same_name_columns = true
allow_precision_loss = ["created_at"]
where = "id <> 'u9'"
subject = { user = "id = $key" }
ignore = { initials = "shown by profiles alone" }

[[stream]]
name = "profiles"
from = "shared.users"
to = "social.profiles"
key = ["id"]
same_name_columns = true
"#;

const PROJECT: &str = r#"
name = "demo"
sources = ["shared"]
sinks = ["auth", "social"]
subjects = ["user", "team"]

[ignore.tables]
"shared.comment_likes" = "no service counts likes of comments"
"shared.active_users" = "a view of users"
"#;

/// The project with databases of its own.
struct Shared {
    project: Project,
    _databases: [Database; 2],
}

impl Shared {
    fn new() -> Self {
        let databases = [Database::create(), Database::create()];
        let [auth, social] = &databases;
        auth.query(AUTH);
        social.query(SOCIAL);
        let mut project = Project::new();
        project.set("AUTH_URL", &auth.url);
        project.set("SOCIAL_URL", &social.url);
        project.write(
            "config/development.toml",
            &[
                file_connection("shared", "sqlite", "shared.db"),
                url_connection("auth", "AUTH_URL"),
                url_connection("social", "SOCIAL_URL"),
            ]
            .concat(),
        );
        project.sqlite("shared.db", SOURCE);
        project.write("mappings/demo/project.toml", PROJECT);
        project.write("mappings/demo/streams.toml", STREAMS);
        Self {
            project,
            _databases: databases,
        }
    }

    fn plan(&self, more: &[&str]) -> Ended {
        self.project.run(&[&["plan", "mappings/demo"], more].concat())
    }

    /// The document of a plan that is good.
    fn document(&self, more: &[&str]) -> Value {
        self.plan(&[more, &["--output", "json"]].concat()).expect(0).json()
    }
}

fn stream<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut streams = document["streams"].as_array().expect("streams").iter();
    streams.find(|stream| stream["name"] == name).expect("the stream")
}

/// `column kind rows` of a stream's differences.
fn differences(document: &Value, name: &str) -> Vec<String> {
    let list = stream(document, name)["differences"].as_array().expect("differences");
    let shown = list.iter().map(|one| {
        let text = |field: &str| one[field].as_str().expect("text").to_owned();
        format!("{}: {} {}", text("column"), text("kind"), one["rows"])
    });
    shown.collect()
}

#[test]
fn a_plan_tells_everything_that_matters_before_a_run() {
    let shared = Shared::new();
    let plan = shared.plan(&["--count"]);
    plan.expect(0);
    assert_snapshot!("plan_text", plan.stdout);
    assert_snapshot!("plan_findings", plan.stderr);
}

#[test]
fn the_rows_that_a_difference_concerns_are_counted() {
    let shared = Shared::new();
    let document = shared.document(&["--count"]);
    assert_eq!(
        differences(&document, "logins"),
        [
            "id: shorter 0",
            "username: shorter 4",
            "status: null 1",
            "karma: narrower_number 1",
            "rating: narrower_number 2",
            "created_at: coarser_time 2",
            "username: unique 2",
        ]
    );
    assert_eq!(
        differences(&document, "profiles"),
        [
            "id: shorter 0",
            "username: shorter 0",
            "status: other_labels 1",
            "created_at: coarser_time 1",
            "initials: shorter 0",
            "initials: padded null",
        ]
    );
    assert_eq!(
        differences(&document, "posts"),
        ["id: shorter 0", "author_id: shorter 0", "content: shorter 0"]
    );
    // Without the flag nothing is counted.
    let plain = shared.document(&[]);
    assert!(differences(&plain, "logins").iter().all(|line| line.ends_with("null")));
}

#[test]
fn what_is_counted_is_what_a_run_rejects() {
    let shared = Shared::new();
    let document = shared.project.run(&[
        "run",
        "mappings/demo",
        "--output",
        "json",
        "--max-rejects",
        "100",
        "--only",
        "profiles",
    ]);
    let reasons = &document.expect(4).json()["streams"][0]["reasons"];
    let of = |reason: &str, column: &str| {
        let mut list = reasons.as_array().expect("reasons").iter();
        let found = list.find(|one| one["reason"] == reason && one["column"] == column);
        found.map_or(0, |one| one["rows"].as_u64().expect("rows"))
    };
    assert_eq!(of("enum_label", "status"), 1, "{reasons}");
    assert_eq!(of("inexact", "created_at"), 1, "{reasons}");
}

#[test]
fn strict_refuses_what_nothing_moves() {
    let shared = Shared::new();
    let refused = shared.plan(&["--strict"]);
    refused
        .expect(2)
        .says("no stream reads 1 table of `shared`: `audit_log`")
        .says("no stream moves 1 column of `shared.users`: `cover`")
        .says("no stream moves 1 column of `shared.posts`: `views`");
    // What is said to be left out is not lost.
    shared.project.write(
        "mappings/demo/project.toml",
        &format!("{PROJECT}\"shared.audit_log\" = \"stays\"\n\n[ignore.columns]\n\"shared.users.cover\" = \"unused\"\n"),
    );
    shared.project.write(
        "mappings/demo/streams.toml",
        &STREAMS.replacen("subject", "ignore = { views = \"counted anew\" }\nsubject", 1),
    );
    let document = shared.document(&["--strict"]);
    assert_eq!(document["findings"], json!([]));
    assert_eq!(
        document["coverage"],
        json!({
            "sources": [{
                "connection": "shared",
                "read": ["posts", "users"],
                "ignored": {
                    "active_users": "a view of users",
                    "audit_log": "stays",
                    "comment_likes": "no service counts likes of comments",
                },
                "in_queries": [],
                "disabled": [],
                "not_moved": [],
            }],
            "columns_not_moved": {},
            "columns_ignored": {
                "shared.posts": { "views": "counted anew" },
                "shared.users": { "cover": "unused" },
            },
        })
    );
    assert_eq!(
        document["subjects"],
        json!([
            { "name": "user", "streams_without": ["profiles"] },
            { "name": "team", "streams_without": ["posts", "logins", "profiles"] },
        ])
    );
}

#[test]
fn a_part_of_a_project_covers_nothing() {
    let shared = Shared::new();
    let document = shared.document(&["--only", "posts"]);
    assert_eq!((&document["coverage"], &document["findings"]), (&Value::Null, &json!([])));
    shared
        .plan(&["--only", "posts", "--strict"])
        .expect(2)
        .says("cannot be used with");
}

#[test]
fn names_under_ignore_are_checked() {
    let shared = Shared::new();
    shared.project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"shared\"]\nsinks = [\"auth\", \"social\"]\n\n[ignore.tables]\n\"shared.audit_lgo\" = \"stays\"\n\n\
         [ignore.columns]\n\"shared.users.covr\" = \"unused\"\n\"shared.audit_log.lin\" = \"x\"\n\"shared.gone.line\" = \"x\"\n",
    );
    shared
        .plan(&[])
        .expect(2)
        .says("did you mean `audit_log`?")
        .says("did you mean `cover`?")
        .says("did you mean `line`?")
        .says("source `shared` has no table `gone`");
    shared.project.write(
        "mappings/demo/project.toml",
        &format!("{PROJECT}\"shared.posts\" = \"x\"\n\n[ignore.columns]\n\"shared.users.bio\" = \"x\"\n"),
    );
    shared
        .project
        .write("mappings/demo/streams.toml", &STREAMS.replace("initials =", "bio ="));
    shared
        .plan(&[])
        .expect(0)
        .says("`shared.posts` is to be left out, but stream `posts` moves it")
        .says("`shared.users.bio` is to be left out, but stream `profiles` moves it");
    shared
        .project
        .write("mappings/demo/streams.toml", &STREAMS.replace("initials =", "status ="));
    shared
        .plan(&[])
        .expect(0)
        .says("`status` is to be left out, but this stream moves it");
    shared
        .project
        .write("mappings/demo/streams.toml", &STREAMS.replace("initials =", "initails ="));
    shared.plan(&[]).expect(2).says("did you mean `initials`?");
}

#[test]
fn what_queries_and_disabled_streams_read_is_not_known() {
    let shared = Shared::new();
    let streams = STREAMS.replace(
        "from = \"shared.users\"\nto = \"social.profiles\"",
        "query = { connection = \"shared\", sql = \"select u.* from users as u -- audit_log\" }\nto = \"social.profiles\"",
    );
    shared.project.write("mappings/demo/streams.toml", &streams);
    let config = shared.project.text("config/development.toml").replace(
        "url = { env = \"AUTH_URL\" }",
        "url = { env = \"AUTH_URL\" }\ndisabled = true",
    );
    shared.project.write("config/development.toml", &config);
    let document = shared.document(&[]);
    let source = &document["coverage"]["sources"][0];
    assert_eq!(
        (
            &source["read"],
            &source["disabled"],
            &source["in_queries"],
            &source["not_moved"]
        ),
        (&json!(["posts"]), &json!(["users"]), &json!([]), &json!(["audit_log"]))
    );
    shared.project.write(
        "mappings/demo/streams.toml",
        &streams.replace("shared.users", "shared.audit_log"),
    );
    let document = shared.document(&[]);
    let source = &document["coverage"]["sources"][0];
    assert_eq!(
        (&source["in_queries"], &source["disabled"]),
        (&json!(["users"]), &json!(["audit_log"]))
    );
}

#[test]
fn the_game_leaves_out_nothing_without_a_reason() {
    let project = Project::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let run = |args: &[&str]| {
        let mut command = project.command(args);
        command.current_dir(root).env("GAME_DATABASE_FILE", project.path("game.db"));
        Ended::of(command.output().expect("the program starts"))
    };
    run(&["schema", "apply", "mappings/game", "--env", "embedded"]).expect(0);
    let plan = run(&["plan", "mappings/game", "--env", "embedded", "--strict", "--count"]);
    plan.expect(0);
    assert!(plan.stderr.is_empty(), "{}", plan.stderr);
}

#[test]
fn mistakes_in_reasons_and_subjects_are_told() {
    let shared = Shared::new();
    shared.project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"shared\"]\nsinks = [\"auth\", \"social\"]\nsubjects = [\"users\", \"users\"]\n\n[ignore.tables]\n\
         \"shared.audit_log\" = \" \"\n\"shred.x\" = \"x\"\n",
    );
    shared
        .plan(&[])
        .expect(2)
        .says("there is no reason why `shared.audit_log` is left out")
        .says("`shred` is not a source of this project")
        .says("subject `users` is declared twice")
        .says("the project has no subject `user`")
        .says("did you mean `users`?");
    shared.project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"shared\"]\nsinks = [\"auth\", \"social\"]\nsubjects = [\"no name\"]\n\n[ignore.tables]\nshared.audit_log = \"x\"\n\n\
         [ignore.columns]\n\"audit_log\" = \"x\"\n",
    );
    shared
        .plan(&[])
        .expect(2)
        .says("this cannot be the name of a subject")
        .says("this is not the name of a column")
        .says("`shared` is a table");
}

/// A Postgres source whose rows have one trap each, and a target that is narrower everywhere.
fn narrower() -> (Project, [Database; 2]) {
    let databases = [Database::create(), Database::create()];
    let [from, to] = &databases;
    from.query(
        "create type \"UserStatus\" as enum ('active', 'pending', 'gone away');
         create table users (
            id varchar(36) primary key, username varchar(100) not null, status \"UserStatus\", karma bigint, rating numeric(12,3),
            seen timestamp(3) not null, woken time(3), initials char(3), bio text, doubled varchar(36) generated always as (id || id) stored);
         insert into users values
            ('u1', 'ann', 'active', 1, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u2', 'ann', 'active', 1, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u3', 'too long', 'active', 1, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u4', 'u4', null, 1, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u5', 'u5', 'gone away', 1, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u6', 'u6', 'active', 3000000000, 10.25, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u7', 'u7', 'active', 1, 123456, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u8', 'u8', 'active', 1, 10.255, '2024-01-01 10:00:00', '08:00', 'abc', null),
            ('u9', 'u9', 'active', 1, 10.25, '2024-01-01 23:59:59.5', '08:00', 'abc', null),
            ('ua', 'ua', 'active', 1, 10.25, '2024-01-01 10:00:00', '08:00:00.001', 'abc', null);
         create schema audit;
         create table audit.users (id integer);
         create table \"Old Users\" (id integer)",
    );
    to.query(
        "create type status as enum ('pending', 'active');
         create table users (
            id varchar(36) primary key, username varchar(5) not null unique, status status not null, karma integer,
            rating numeric(7,2), seen timestamp(0) not null, woken time(0), initials varchar(3))",
    );
    let mut project = Project::new();
    project.set("FROM_URL", &from.url);
    project.set("TO_URL", &to.url);
    project.write(
        "config/development.toml",
        &(url_connection("old", "FROM_URL") + &url_connection("new", "TO_URL")),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"old\"]\nsinks = [\"new\"]\n\n[ignore.tables]\n\"old.audit.users\" = \"kept there\"\n",
    );
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"users\"\nfrom = \"old.public.users\"\nto = \"new.users\"\nkey = [\"id\"]\nsame_name_columns = true\n\
         allow_precision_loss = [\"seen\"]\n",
    );
    (project, databases)
}

#[test]
fn every_difference_between_two_postgres_databases_is_told_and_counted() {
    let (project, databases) = narrower();
    let document = project
        .run(&["plan", "mappings/demo", "--count", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        differences(&document, "users"),
        [
            "username: shorter 1",
            "status: null 1",
            "status: other_labels 1",
            "karma: narrower_number 1",
            "rating: narrower_number 2",
            "seen: coarser_time 1",
            "woken: coarser_time 1",
            "initials: padded null",
            "username: unique 1",
        ]
    );
    let source = &document["coverage"]["sources"][0];
    assert_eq!(
        (&source["read"], &source["ignored"], &source["not_moved"]),
        (
            &json!(["users"]),
            &json!({ "audit.users": "kept there" }),
            &json!(["Old Users"])
        )
    );
    assert_eq!(
        document["coverage"]["columns_not_moved"],
        json!({ "old.public.users": ["bio"] })
    );
    // Each of them is a row that does not arrive; the loss that is allowed is none.
    let run = project.run(&["run", "mappings/demo", "--max-rejects", "100", "--output", "json"]);
    let report = run.expect(4).json();
    assert_eq!(report["streams"][0]["rejected"], 8, "{report}");
    assert_eq!(
        databases[1].value("select string_agg(id, ',' order by id) from users"),
        "u1,u9"
    );
    let text = project.run(&["plan", "mappings/demo"]);
    assert_snapshot!("plan_text_postgres", text.expect(0).stdout);
}
