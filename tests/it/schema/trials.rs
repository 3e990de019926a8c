//! Up, down, and up again in scratch databases that leave nothing behind.

use std::path::Path;

use super::changes::Command;
use super::interrupted::interrupt;
use crate::harness::{Database, Ended, postgres_url, query, until};

/// Scratch databases in which a table of that name is, or was tried: found by what only this test makes.
fn scratch_databases() -> Vec<String> {
    let rows = query(
        &postgres_url(),
        "select datname::text from pg_database where datname like 'dbferry\\_test\\_%'",
    );
    rows.into_iter().map(|row| row[0].clone().expect("a name")).collect()
}

fn document(command: &Command, code: i32) -> serde_json::Value {
    command.run("test", &["--output", "json"]).expect(code).json()["connections"][0].clone()
}

/// Kind and name of what a list of differences tells.
fn objects(list: &serde_json::Value) -> Vec<String> {
    let all = list.as_array().expect("a list");
    all.iter()
        .map(|one| {
            let object = &one["object"];
            format!(
                "{} {}",
                object["kind"].as_str().expect("a kind"),
                object["name"].as_str().expect("a name")
            )
        })
        .collect()
}

/// What a way down forgets is named, whatever it is.
#[test]
fn what_the_way_down_leaves_is_named() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write(
        "target",
        "1_a.up.sql",
        "create type mood as enum ('a', 'b');
         create sequence numbers start 5;
         create function f() returns trigger language plpgsql as $$ begin return new; end $$;
         create table kept (id integer primary key, note text default 'x' check (note <> ''));
         create table a (id integer references kept, m mood not null default 'a');
         create index i on kept (lower(note)) where id > 0;
         create view v as select id from kept;
         create trigger g before insert on kept for each row execute function f();
         alter table kept enable row level security;
         create policy p on kept using (id > 0);\n",
    );
    command.write("target", "1_a.down.sql", "drop table a;\n");
    // Up again fails on what was left: the way is named.
    command
        .run("test", &[])
        .expect(2)
        .says("the second way up")
        .says("already exists");
    let file = "mappings/demo/migrations/target/1_a.up.sql";
    let again = "drop table if exists kept cascade; drop type if exists mood cascade; drop sequence if exists numbers;
         drop function if exists f();\n";
    command.project.write(file, &format!("{again}{}", command.project.text(file)));
    let tried = document(&command, 5);
    assert_eq!(tried["verdict"], "different");
    assert_eq!(
        objects(&tried["left_behind"]),
        [
            "column kept.id",
            "column kept.note",
            "column v.id",
            "constraint kept: kept_note_check",
            "constraint kept: kept_pkey",
            "function f()",
            "index i",
            "index kept_pkey",
            "policy kept: p",
            "sequence numbers",
            "sequence numbers (settings)",
            "table kept",
            "trigger kept: g",
            "type mood",
            "view v",
        ]
    );
    assert!(objects(&tried["changed"]).is_empty());
    let text = command.run("test", &[]);
    assert!(
        text.expect(5).stdout.contains("table kept was not there before"),
        "{}",
        text.stdout
    );
    assert_eq!(
        database.value("select count(*)::text from pg_class where relnamespace = 'public'::regnamespace"),
        "0",
        "the target was touched"
    );
}

/// A way down that says less than it undoes shows in the second way up.
#[test]
fn a_second_way_up_that_makes_something_else_is_named() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write("target", "1_a.sql", "create table a (id integer primary key);\n");
    command.write(
        "target",
        "2_b.up.sql",
        "alter table a add column if not exists note text default 'new';\n",
    );
    command.write("target", "2_b.down.sql", "alter table a alter note set default 'old';\n");
    let tried = document(&command, 5);
    assert_eq!(tried["kept"], 1);
    assert_eq!((tried["applied"].as_u64(), tried["reverted"].as_u64()), (Some(2), Some(1)));
    assert_eq!(objects(&tried["left_behind"]), ["column a.note"]);
    assert_eq!(objects(&tried["changed"]), ["column a.note"]);
    assert_eq!(tried["changed"][0]["after"], "number 2 text default 'old'::text");
    command
        .run("test", &[])
        .expect(5)
        .says("migration 1 has no file that undoes it");
    command.write("target", "2_b.down.sql", "alter table a drop column note;\n");
    assert_eq!(document(&command, 0)["verdict"], "equal");
}

#[test]
fn an_sqlite_target_is_tried_in_a_file_of_its_own() {
    let mut command = Command::with(&["one"]);
    let temporary = command.project.path("temporary");
    std::fs::create_dir(&temporary).expect("a folder");
    command.project.set("TMPDIR", temporary.to_str().expect("a path"));
    command.write(
        "one",
        "1_a.up.sql",
        "create table a (id integer);\ncreate index i on a (id);\npragma user_version = 7;\n",
    );
    command.write("one", "1_a.down.sql", "drop table a;\n");
    assert_eq!(objects(&document(&command, 5)["left_behind"]), ["pragma user_version"]);
    command.write("one", "1_a.down.sql", "drop table a;\npragma user_version = 0;\n");
    assert_eq!(document(&command, 0)["verdict"], "equal");
    command.write("one", "2_b.up.sql", "selct 1;\n");
    command.run("test", &[]).expect(2).says("the way up").says("2_b.up.sql:1:1");
    let left = |folder: &Path| std::fs::read_dir(folder).expect("the folder").count();
    assert_eq!(left(&temporary), 0);
    assert!(!command.project.path("one.db").exists());
    // What a killed call has left is removed by the next one.
    std::fs::create_dir(temporary.join("dbferry_test_left")).expect("a folder");
    std::fs::write(temporary.join("dbferry_test_left/lock"), "").expect("a lock that nobody holds");
    std::fs::remove_file(command.project.path("mappings/demo/migrations/one/2_b.up.sql")).expect("a file");
    command.run("test", &[]).expect(0).says("dbferry_test_left");
    assert_eq!(left(&temporary), 0);
}

#[test]
fn interrupted_or_killed_nothing_stays_behind() {
    let database = Database::create();
    let command = Command::on(&database);
    // By this table the scratch database of this test is told from those of others.
    let mark = format!("mark_{}", database.name);
    command.write("target", "1_a.up.sql", &format!("create table {mark} (id integer);\n"));
    command.write("target", "1_a.down.sql", &format!("drop table {mark};\n"));
    command.write("target", "2_slow.up.sql", "select pg_sleep(600);\n");
    command.write("target", "2_slow.down.sql", "select 1;\n");
    let (server, _) = database.url.rsplit_once('/').expect("a URL");
    let mine = || {
        let busy = query(
            &postgres_url(),
            "select datname::text from pg_stat_activity where datname like 'dbferry\\_test\\_%' and query ~ 'pg_sleep'",
        );
        let names: Vec<String> = busy.into_iter().filter_map(|row| row[0].clone()).collect();
        names.into_iter().find(|name| {
            let sql = format!("select (to_regclass('{mark}') is not null)::text");
            crate::harness::value(&format!("{server}/{name}"), &sql) == "true"
        })
    };
    let begin = || {
        let child = command.project.start(&["schema", "test", "mappings/demo"]);
        let mut found = None;
        until("it is at work", || {
            found = mine();
            found.is_some()
        });
        (child, found.expect("a database"))
    };
    let (child, name) = begin();
    interrupt(child.id());
    Ended::of_child(child).expect(130).says("removing the scratch database");
    assert!(!scratch_databases().contains(&name));

    let (mut child, name) = begin();
    child.kill().expect("killed");
    child.wait().expect("an end");
    command.write("target", "2_slow.up.sql", "select 1;\n");
    until("the next call removes it", || {
        // Another test's call may have been the next one; the server notices a killed client late.
        command.run("test", &[]).expect(0);
        !scratch_databases().contains(&name)
    });
}
