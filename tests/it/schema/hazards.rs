//! Steps that lose something are named, and nothing is applied until somebody has agreed.

use super::changes::Command;
use crate::harness::Database;

fn tables(database: &Database) -> String {
    database.value("select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
}

#[test]
fn nothing_is_applied_until_losses_are_agreed_to() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write("target", "1_a.sql", "create table a (id integer primary key, note text);\n");
    command.run("apply", &[]).expect(0);
    command.write("target", "2_b.sql", "create table b (id integer);\n");
    command.write(
        "target",
        "3_c.sql",
        "-- drop table b\ncreate table c (id integer);\n  alter table a drop column note;\n",
    );
    let refused = command.run("apply", &[]);
    refused
        .expect(2)
        .says("drops column note of a")
        .says("3_c.sql:3:")
        .says("--allow-destructive");
    assert_eq!(tables(&database), "_sqlx_migrations a");
    let document = command.run("apply", &["--output", "json"]);
    assert_eq!(document.expect(2).json()["error"]["kind"], "usage");
    command.run("apply", &["--to", "2"]).expect(0);
    command.run("apply", &["--allow-destructive"]).expect(0);
    assert_eq!(command.status(), ["target 1 applied", "target 2 applied", "target 3 applied"]);
}

#[test]
fn what_rows_decide_is_asked_of_the_target() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write(
        "target",
        "1_a.sql",
        "create table a (id integer primary key, note text);\ncreate table \"B\" (id integer);\n",
    );
    command.run("apply", &[]).expect(0);
    command.write(
        "target",
        "2_b.sql",
        "alter table a alter note set not null;\nalter table \"B\" add column x int not null;\n",
    );
    command.write("target", "3_c.sql", "do $$ begin perform 1; end $$;\n");
    let hazards = || {
        let document = command.run("apply", &["--dry-run", "--output", "json"]).expect(0).json();
        let all = document["destructive"].as_array().expect("a list").clone();
        all.iter()
            .map(|one| one["what"].as_str().expect("words").to_owned())
            .collect::<Vec<_>>()
    };
    assert!(hazards().is_empty(), "an empty target loses nothing");
    database.query("insert into a values (1, 'x')");
    assert_eq!(
        hazards(),
        [
            "forbids NULL in note of a",
            "runs a DO block, of which it cannot be told what it does"
        ]
    );
    command.run("apply", &[]).expect(2).says("forbids NULL in note of a");
    database.query("insert into \"B\" values (1)");
    assert_eq!(hazards()[1], "adds column x of \"B\" without a value for its rows");
    database.query("delete from \"B\"");
    command.run("apply", &["--allow-destructive"]).expect(0);
}

#[test]
fn a_run_that_applies_migrations_asks_in_the_same_way() {
    let database = Database::create();
    let command = Command::on(&database);
    command.project.write(
        "config/development.toml",
        &format!(
            "[connection.app]\nkind = \"sqlite\"\npath = {{ value = \"app.db\" }}\n\n{}",
            crate::harness::url_connection("target", "TARGET_URL")
        ),
    );
    command.project.sqlite(
        "app.db",
        "create table a (id integer primary key); insert into a values (1), (2)",
    );
    command.project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    command.project.write(
        "mappings/demo/streams.toml",
        &crate::projects::stream("a", "app.a", "target.a", "[stream.columns]\nid = \"id\"\n"),
    );
    command.write(
        "target",
        "1_a.sql",
        "create table a (id bigint primary key);\ncreate table old (id integer);\n",
    );
    let run = |more: &[&str]| {
        command
            .project
            .run(&[&["run", "mappings/demo", "--apply-schema"], more].concat())
    };
    run(&[]).expect(0).says("applied migration 1 a");
    command.write("target", "2_old.sql", "drop table old;\n");
    run(&[]).expect(2).says("drops table old").says("--allow-destructive");
    assert_eq!(database.value("select count(*)::text from old"), "0");
    run(&["--allow-destructive"]).expect(0).says("applied migration 2 old");
    command
        .project
        .run(&["run", "mappings/demo", "--allow-destructive"])
        .expect(2);
}
