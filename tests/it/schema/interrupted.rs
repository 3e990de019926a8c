//! Killed at any moment, and called again.

use std::process::Command as Process;

use super::changes::Command;
use crate::harness::{Database, Ended, KillTimes, sqlite_rows, until};

const MIGRATIONS: usize = 12;

/// Each makes a table and notes that it ran; a migration that ran twice would be noted twice.
fn write_twelve(command: &Command, connection: &str) {
    command.write(
        connection,
        "1_log.up.sql",
        "create table log (version integer);\ninsert into log values (1);\n",
    );
    command.write(connection, "1_log.down.sql", "drop table log;\n");
    for version in 2..=MIGRATIONS {
        let table = format!("t{version}");
        command.write(
            connection,
            &format!("{version}_t.up.sql"),
            &format!("create table {table} (id integer);\ninsert into {table} values (1), (2), (3);\ninsert into log values ({version});\n"),
        );
        command.write(
            connection,
            &format!("{version}_t.down.sql"),
            &format!("drop table {table};\ndelete from log where version = {version};\n"),
        );
    }
}

/// Kills applies until one is over; what stands agrees with what is recorded after each.
fn killed_again_and_again(command: &Command, connection: &str, ran: impl Fn() -> Vec<String>) {
    write_twelve(command, connection);
    let mut times = KillTimes::within(3000);
    let mut killed = 0;
    for _ in 0..25 {
        let mut child = command.project.start_unheard(&["schema", "apply", "mappings/demo"]);
        times.wait();
        if child.try_wait().expect("a state").is_none() {
            killed += 1;
        } else {
            times.too_late();
        }
        child.kill().ok();
        child.wait().expect("an end");
        // First, for it waits until the killed one is gone.
        let done = ran();
        let states = command.status();
        let applied = states.iter().filter(|state| state.ends_with(" applied")).count();
        assert!(
            states[..applied].iter().all(|state| state.ends_with(" applied")),
            "{states:?}"
        );
        assert!(
            states[applied..].iter().all(|state| state.ends_with(" pending")),
            "{states:?}"
        );
        assert_eq!(done.len(), applied, "{states:?}");
        if applied == MIGRATIONS {
            // From the beginning, until enough of them were killed.
            if killed >= 5 {
                break;
            }
            command.run("revert", &["--to", "0", "--yes"]).expect(0);
        }
    }
    assert!(killed > 0, "no apply was killed");
    command.run("apply", &[]).expect(0);
    let mut ran = ran();
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), MIGRATIONS);
}

#[test]
fn an_apply_to_postgres_that_is_killed_goes_on() {
    let database = Database::create();
    let command = Command::on(&database);
    killed_again_and_again(&command, "target", || {
        // A session whose client was killed may have a commit in flight.
        until("the killed session ends", || {
            database.value(
                "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'dbferry'",
            ) == "0"
        });
        if database.value("select to_regclass('log') is null") == "t" {
            return Vec::new();
        }
        let rows = database.query("select version::text from log");
        rows.into_iter().map(|row| row[0].clone().expect("a version")).collect()
    });
}

#[test]
fn an_apply_to_sqlite_that_is_killed_goes_on() {
    let command = Command::with(&["one"]);
    let file = command.project.path("one.db");
    killed_again_and_again(&command, "one", || {
        if !file.exists() || sqlite_rows(&file, "select 1 from sqlite_schema where name = 'log'").is_empty() {
            return Vec::new();
        }
        sqlite_rows(&file, "select version from log")
    });
}

/// Outside of a transaction nothing can be taken back: it is said what stands.
#[test]
fn a_file_without_a_transaction_that_is_killed_is_unfinished() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write("target", "1_a.sql", "create table a (id integer);\n");
    command.run("apply", &[]).expect(0);
    command.write("target", "2_slow.sql", "-- no-transaction\nselect pg_sleep(600);\n");
    let mut child = command.project.start_unheard(&["schema", "apply", "mappings/demo"]);
    until("it is begun", || {
        database.value("select count(*)::text from _sqlx_migrations where not success") == "1"
    });
    child.kill().expect("killed");
    child.wait().expect("an end");
    assert_eq!(command.status(), ["target 1 applied", "target 2 unfinished"]);
    database.query("select pg_terminate_backend(pid) from pg_stat_activity where query ~ 'pg_sleep' and pid <> pg_backend_pid() and datname = current_database()");
    command
        .run("apply", &[])
        .expect(1)
        .says("migration 2 (slow) was begun outside a transaction and not finished")
        .says("delete from _sqlx_migrations where version = 2");
    database.query("delete from _sqlx_migrations where version = 2");
    command.write("target", "2_slow.sql", "-- no-transaction\nselect 1;\n");
    command.run("apply", &[]).expect(0);
}

/// The first Ctrl-C finishes the migration in flight, and no other is begun.
#[test]
fn an_apply_that_is_interrupted_stops_between_two_migrations() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write(
        "target",
        "1_slow.sql",
        "create table slow (id integer);\nselect pg_sleep(4);\n",
    );
    command.write("target", "2_b.sql", "create table b (id integer);\n");
    let child = command
        .project
        .start(&["schema", "apply", "mappings/demo", "--output", "json"]);
    until("it is at work", || {
        database.value("select count(*)::text from pg_stat_activity where query ~ 'pg_sleep' and pid <> pg_backend_pid() and datname = current_database()") == "1"
    });
    interrupt(child.id());
    let ended = Ended::of_child(child);
    ended.expect(130).says("finishing the migration in flight");
    assert_eq!(Command::states(&ended.json()), ["target 1 applied", "target 2 pending"]);
    assert_eq!(command.status(), ["target 1 applied", "target 2 pending"]);
}

pub(super) fn interrupt(process: u32) {
    let sent = Process::new("kill").args(["-INT", &process.to_string()]).status();
    assert!(sent.expect("kill").success());
}
