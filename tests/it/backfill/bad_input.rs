//! What is wrong is told before anything is written, each mistake at its place.

use super::{MAPPING, TABLE, filled, project};
use crate::harness::{Database, file_connection};

/// Mistakes that stop before others are looked for, and what is said of each.
const SINGLE: &[(&str, &str)] = &[
    (
        "table = \"app.entries\"\nwhere = \"legcy is null\"\n[backfill.columns]\nhits = \"1\"",
        "column \"legcy\" does not exist",
    ),
    (
        "table = \"app.entries\"\npending = \"true) or (true\"\n[backfill.columns]\nhits = \"1\"",
        "a condition of backfill `x` is refused",
    ),
    (
        "table = \"app.entries\"\nwhere = \"id = $1\"\n[backfill.columns]\nhits = \"1\"",
        "the condition has parameters",
    ),
    ("table = \"app.keyless\"\n[backfill.columns]\nc = \"a\"", "has no primary key"),
    (
        "table = \"app.keyless\"\nkey = [\"b\"]\n[backfill.columns]\nc = \"a\"",
        "`b` may be NULL",
    ),
    (
        "table = \"app.entries\"\n[backfill.columns]\nid = \"id + 1\"",
        "is of the key of backfill `x`",
    ),
    (
        "table = \"app.nothing\"\n[backfill.columns]\nid = \"1\"",
        "has no table `nothing`",
    ),
    ("table = \"app.entries\"", "fills in no column"),
    (
        "table = \"app.entries\"\nmax_rows_per_second = 0\n[backfill.columns]\nhits = \"1\"",
        "at that rate",
    ),
    (
        "table = \"elsewhere.entries\"\n[backfill.columns]\nhits = \"1\"",
        "is not a sink of this project",
    ),
    (
        "table = \"app.entries\"\nfrom = \"app.entries\"\n[backfill.columns]\nhits = \"1\"",
        "from",
    ),
];

#[test]
fn all_mistakes_are_told_at_once() {
    let database = Database::create();
    database.query(TABLE);
    database.query(
        "create table keyless (a integer, b integer unique, c integer);
         create table computed (id integer primary key, a integer, b integer generated always as (a + 1) stored)",
    );
    let one = |name: &str, rest: &str| format!("[[backfill]]\nname = \"{name}\"\n{rest}\n");
    let mapping = [
        one("no_column", "table = \"app.entries\"\n[backfill.columns]\ndoubld = \"1\""),
        one(
            "no_source",
            "table = \"app.entries\"\n[backfill.columns]\ndoubled = \"legcy::bigint\"",
        ),
        one("wrong_type", "table = \"app.entries\"\n[backfill.columns]\ntouched = \"id\""),
        one("generated", "table = \"app.computed\"\n[backfill.columns]\nb = \"a\""),
        one("volatile", "table = \"app.entries\"\n[backfill.columns]\ntouched = \"now()\""),
        one(
            "not_unique",
            "table = \"app.entries\"\nkey = [\"hits\"]\n[backfill.columns]\ndoubled = \"1\"",
        ),
    ]
    .concat();
    let project = project(&database.url, &mapping, "");
    let ended = project.run(&["backfill", "mappings/demo"]);
    ended
        .expect(2)
        .says("has no column `doubld`")
        .says("did you mean `doubled`?")
        .says("legcy")
        .says("column `touched` is timestamptz")
        .says("the target computes column `b` itself")
        .says("now")
        .says("does not keep this key unique");
    for (rest, wanted) in SINGLE {
        project.write("mappings/demo/backfills.toml", &one("x", rest));
        let ended = project.run(&["backfill", "mappings/demo"]);
        assert!(matches!(ended.code, Some(2 | 3)), "{rest}: {ended:?}");
        ended.says(wanted);
    }
    project.write("mappings/demo/backfills.toml", MAPPING);
    project
        .run(&["backfill", "mappings/demo", "--only", "tripled"])
        .expect(2)
        .says("its backfills are: `doubled`");
    assert_eq!(
        database.value("select count(*) from pg_namespace where nspname = 'dbferry'"),
        "0"
    );
}

#[test]
fn a_condition_that_fails_on_a_row_is_no_defect() {
    let database = Database::create();
    filled(&database, 50);
    database.query("update entries set legacy = 'many' where id = 30");
    let project = project(
        &database.url,
        &MAPPING.replace("legacy is not null", "legacy::bigint > 0"),
        "",
    );
    project
        .run(&["backfill", "mappings/demo"])
        .expect(1)
        .says("the server failed to evaluate `where` or `pending` on some row (SQLSTATE 22P02)");
    let said = project.run(&["backfill", "mappings/demo"]);
    assert!(!said.stderr.contains("many"), "{}", said.stderr);
}

#[test]
fn only_tables_of_postgres_are_filled_in() {
    let database = Database::create();
    let project = project(&database.url, MAPPING, "");
    project.write("config/development.toml", &file_connection("app", "sqlite", "app.db"));
    project.sqlite(
        "app.db",
        "create table entries (id integer primary key, legacy text, doubled integer)",
    );
    project
        .run(&["backfill", "mappings/demo"])
        .expect(2)
        .says("is of kind sqlite, whose rows no backfill changes");
}

#[test]
fn rows_that_are_hidden_from_the_role_are_not_passed_over() {
    let database = Database::create();
    filled(&database, 100);
    let role = format!("{}_clerk", database.name);
    database.query(&format!(
        "create role {role} login password 'clerk'; grant select, update on entries to {role};
         grant create on database {} to {role};
         alter table entries enable row level security; create policy few on entries using (id < 50)",
        database.name
    ));
    let mut project = project(&database.url, MAPPING, "");
    let (_, server) = database.url.split_once('@').expect("a user in the URL");
    project.set("APP_URL", &format!("postgres://{role}:clerk@{server}"));
    let ended = project.run(&["backfill", "mappings/demo"]);
    let count = database.value("select count(*) from entries where doubled is not null");
    database.query(&format!("drop owned by {role}; drop role {role}"));
    ended.expect(3).says("security");
    assert_eq!(count, "0");
}
