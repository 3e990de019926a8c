//! Starter projects: they say what was found, hide nothing, and plan as they are.

use crate::harness::{Database, Project, file_connection, sqlite_rows, url_connection};

mod any_schemas;
mod shipped;

/// A source file `app.db`, a target file `out.db`, two servers, a file that is not there yet, and
/// a PocketBase that is only ever read.
fn config() -> String {
    let missing = file_connection("missing", "sqlite", "missing.db");
    [
        file_connection("app", "sqlite", "app.db"),
        file_connection("out", "sqlite", "out.db"),
        url_connection("shop", "SHOP_URL"),
        url_connection("old", "OLD_URL"),
        file_connection("pocketbase", "pocketbase", "data.db"),
        format!("{}\ncreate_database = true\n", missing.trim_end()),
    ]
    .concat()
}

fn project(source: &str, target: &str) -> Project {
    let project = Project::new();
    project.write("config/development.toml", &config());
    project.sqlite("app.db", source);
    project.sqlite("out.db", target);
    project
}

/// A project between two databases on the server, `old` and `shop`.
fn between(old: &Database, shop: &Database) -> Project {
    let mut project = Project::new();
    project.write("config/development.toml", &config());
    project.set("OLD_URL", &old.url);
    project.set("SHOP_URL", &shop.url);
    project
}

const ODD_SOURCE: &str = r#"
create table users (
    id varchar(36) primary key not null, username varchar(100) not null, bio text, status text, role text not null,
    points bigint not null, rating numeric(12,4), seen timestamp(3), token blob, "Nick Name" text, "say ""hi""" integer,
    "order" integer, "case" text, flag integer, extra text);
create table Orders (number integer, customer text not null, note text, total numeric(9,2) not null, unique (customer));
create table "weird table" (id integer primary key, "a.b" text);
create table audit_log (id integer primary key, what text);
create view busy as select id, username from users;
"#;

const ODD_TARGET: &str = r#"
create type "UserStatus" as enum ('active', 'it''s over');
create type "Topic Status" as enum ('open', 'closed');
create table users (
    id varchar(36) primary key, username varchar(50) not null unique, status "UserStatus" not null, role text not null,
    points integer not null, rating numeric(7,2), seen timestamp(0), token uuid, "Nick Name" text, "say ""hi""" bigint,
    "order" integer, "case" text not null, flag boolean not null, extra int[],
    "topic status" "Topic Status" not null, level integer not null default 1, total integer generated always as (points * 2) stored);
create table orders (id bigint generated always as identity primary key, number integer, customer varchar(36) references users (id),
    note text, total numeric(9,2) not null);
create table "weird table" (id integer primary key, "a.b" text, "c.d" integer not null);
create table user_profiles (id text primary key, username text not null, bio text not null, points integer);
create table unrelated (x integer primary key, y text not null);
create unlogged table cache (k text primary key);
create table parted (id integer primary key, at date) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10);
"#;

#[test]
fn every_oddity_is_told_and_the_project_plans() {
    let database = Database::create();
    database.query(ODD_TARGET);
    let mut project = project(ODD_SOURCE, "create table t (x integer)");
    project.set("SHOP_URL", &database.url);
    let ended = project.run(&["introspect", "--from", "app", "--to", "shop", "--name", "odd"]);
    ended
        .expect(0)
        .says("wrote mappings/odd/project.toml")
        .says("wrote mappings/odd/shop.toml");
    insta::assert_snapshot!("odd_result", ended.stdout);
    insta::assert_snapshot!("odd_project", project.text("mappings/odd/project.toml"));
    insta::assert_snapshot!("odd_streams", project.text("mappings/odd/shop.toml"));
    project.run(&["plan", "mappings/odd"]).expect(0);
}

/// Between two Postgres databases: types that only they have, schemas, partitions, views, tables
/// without a key, enums with other labels.
#[test]
fn a_postgres_pair_plans_and_moves() {
    let (old, shop) = (Database::create(), Database::create());
    old.query(
        r#"create schema archive;
        create type "Mood" as enum ('good', 'bad', 'ugly');
        create type state as enum ('on', 'off');
        create table users (id uuid primary key, email text not null, mood "Mood", state state, ip inet, tags text[], at timestamptz(3));
        create table archive.logs (at timestamp not null, what text);
        create table "Line Items" (no integer not null, "User" uuid not null, price numeric(12,4), doc jsonb, unique (no, "User"));
        create table parts (id bigint primary key) partition by range (id);
        create table parts_1 partition of parts for values from (0) to (10);
        create view totals as select "User", sum(price) as price from "Line Items" group by 1;
        insert into users values ('00000000-0000-0000-0000-000000000001', 'a', 'good', 'on', '10.0.0.1', '{a,null}', '2024-02-29 12:00:00.5+00');
        insert into "Line Items" values (1, '00000000-0000-0000-0000-000000000001', 1.5, '{"a": 1}');
        insert into parts values (1);"#,
    );
    shop.query(
        r#"create type "Mood" as enum ('bad', 'good');
        create table "Line Items" (no integer, "User" uuid references users (id), price numeric(12,2), doc jsonb, primary key (no, "User"));
        create table logs (at timestamp not null, what text);
        create table parts (id bigint primary key) partition by range (id);
        create table parts_1 partition of parts for values from (0) to (10);
        create table totals ("User" uuid primary key, price numeric);"#
            .replacen("create table \"Line", "create table users (id uuid primary key, email text not null unique, mood \"Mood\", state text, ip inet, tags text[], at timestamp(0));\ncreate table \"Line", 1)
            .as_str(),
    );
    let project = between(&old, &shop);
    let ended = project.run(&["introspect", "--from", "old", "--to", "shop", "--out", "mappings/shop"]);
    insta::assert_snapshot!("postgres_result", ended.expect(0).stdout);
    insta::assert_snapshot!("postgres_streams", project.text("mappings/shop/shop.toml"));
    project.run(&["plan", "mappings/shop"]).expect(0);
    let text = project.text("mappings/shop/shop.toml");
    project.write(
        "mappings/shop/shop.toml",
        &text.replace("# allow_precision_loss", "allow_precision_loss"),
    );
    project.run(&["run", "mappings/shop"]).expect(0);
    assert_eq!(
        shop.value("select mood || state || host(ip) || tags::text || at from users"),
        "goodon10.0.0.1{a,NULL}2024-02-29 12:00:01"
    );
}

#[test]
fn a_plain_pair_moves_without_a_change() {
    let table = "create table items (id text primary key not null, n bigint, note text);
        create table parts (id integer primary key, item text not null references items (id));";
    let rows = "insert into items values ('a', 1, 'x'), ('b', 2, null); insert into parts values (1, 'a'), (2, 'b');";
    let project = project(&format!("{table}{rows}"), table);
    let ended = project.run(&["introspect", "--from", "app", "--to", "out"]);
    assert!(
        ended.expect(0).stdout.contains("2 streams; next: dbferry plan mappings/app"),
        "{}",
        ended.stdout
    );
    let text = project.text("mappings/app/out.toml");
    assert!(text.find("name = \"items\"") < text.find("name = \"parts\""), "{text}");
    project.run(&["run", "mappings/app"]).expect(0);
    assert_eq!(
        sqlite_rows(&project.path("out.db"), "select count(*) from parts"),
        ["Integer(2)|"]
    );
}

#[test]
fn tables_of_two_targets_have_streams_of_their_own() {
    let users = "create table users (id text primary key not null, name text not null)";
    let database = Database::create();
    database.query("create table users (id text primary key, name text not null); create table topics (id text primary key)");
    let mut project = project(&format!("{users}; create table topics (id text primary key not null)"), users);
    project.set("SHOP_URL", &database.url);
    let ended = project.run(&[
        "introspect",
        "--from",
        "app",
        "--to",
        "shop,out",
        "--out",
        "mappings/two",
        "--output",
        "json",
    ]);
    let document = ended.expect(0).json();
    let names: Vec<_> = document["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| stream["name"].as_str())
        .collect();
    assert_eq!(names, [Some("topics"), Some("shop_users"), Some("out_users")]);
    assert_eq!(document["project"], "two");
    assert_eq!(document["files"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["next"], "dbferry plan mappings/two");
    project.run(&["plan", "mappings/two"]).expect(0);
}

#[test]
fn nothing_is_overwritten_unless_it_is_asked_for() {
    let table = "create table items (id text primary key not null)";
    let project = project(table, table);
    let introspect = ["introspect", "--from", "app", "--to", "out", "--out", "mappings/x"];
    let printed = project.run(&[&introspect[..], &["--print"]].concat());
    assert!(!project.path("mappings/x").exists());
    assert!(
        printed
            .expect(0)
            .stdout
            .contains("# ---- mappings/x/out.toml\n#:schema ../../config/schema/mapping.schema.json\n")
    );
    project.run(&introspect).expect(0);
    project.write("mappings/x/out.toml", "# mine\n");
    std::fs::remove_file(project.path("mappings/x/project.toml")).expect("it was there");
    project
        .run(&introspect)
        .expect(2)
        .says("there is already `mappings/x/out.toml`")
        .says("--force");
    assert_eq!(project.text("mappings/x/out.toml"), "# mine\n");
    assert!(!project.path("mappings/x/project.toml").exists(), "all or nothing");
    project.run(&[&introspect[..], &["--force"]].concat()).expect(0);
    project.run(&["plan", "mappings/x"]).expect(0);
}

#[test]
fn what_is_named_wrong_is_told() {
    let table = "create table items (id text primary key not null)";
    let project = project(table, table);
    project.sqlite("empty.db", "");
    project.write(
        "config/bare.toml",
        &config().replace("path = { value = \"out.db\" }", "path = { value = \"empty.db\" }"),
    );
    for (arguments, code, text) in [
        (&["--from", "ap", "--to", "out"][..], 2, "did you mean `app`?"),
        (&["--from", "app", "--to", "oout"], 2, "has no connection `oout`"),
        (&["--from", "app", "--to", "app"], 2, "after --from and after --to"),
        (&["--from", "app", "--to", "pocketbase"], 2, "only ever read"),
        (&["--from", "app", "--to", "shop"], 2, "SHOP_URL"),
        (&["--from", "app", "--to", "missing"], 3, "create those of the targets first"),
        (
            &["--from", "app", "--to", "out", "--env", "bare"],
            3,
            "connection `out` has no tables",
        ),
        (
            &["--from", "app", "--to", "out", "--name", "1st"],
            2,
            "a name begins with a letter",
        ),
        (&["--from", "app"], 2, "--to"),
    ] {
        let ended = project.run(&[&["introspect"], arguments].concat());
        ended.expect(code).says(text);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!project.path("mappings/app").exists(), "{arguments:?} wrote something");
        assert!(!project.path("missing.db").exists(), "{arguments:?} made a database");
    }
}
