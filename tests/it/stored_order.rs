//! Tables of SQLite are read as they are stored, and gone on with where that is still known: a run that
//! was interrupted loses and doubles nothing, whatever became of the row that it read last.

use crate::harness::{Database, Ended, Project, until};
use crate::items;

const ROWS: u32 = 20_000;
const RUN: [&str; 4] = ["run", "mappings/demo", "--batch-size", "500"];

/// Items whose keys are in no order.
fn fill(project: &Project) {
    project.sqlite(
        "app.db",
        &format!(
            "delete from items;
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})
             insert into items select printf('item-%08d', i * 7919 % 20011), i, i / 4.0, 'note ' || i,
                 '2025-01-01 00:00:00Z', i % 2, null from n;"
        ),
    );
}

fn stop_half_way(project: &Project, database: &Database) {
    // So slow that it is met half-way, however busy this machine is.
    let mut child = project.start(&[&RUN[..], &["--max-rows-per-second", "6000"]].concat());
    until("some batches", || moved(database) >= 2_000);
    child.kill().expect("SIGKILL");
    Ended::of_child(child);
    assert!(moved(database) < ROWS, "it was interrupted");
}

/// Interrupted somewhere in the middle.
fn interrupted(policy: &str) -> (Project, Database) {
    let (project, database) = items::into_postgres(0);
    fill(&project);
    let mapping = project.text("mappings/demo/streams.toml");
    let mapping = mapping.replace("key = [\"id\"]", &format!("key = [\"id\"]\non_conflict = \"{policy}\""));
    project.write("mappings/demo/streams.toml", &mapping);
    stop_half_way(&project, &database);
    (project, database)
}

fn moved(database: &Database) -> u32 {
    let there = database.value("select (to_regclass('items') is not null and to_regclass('dbferry.checkpoint') is not null)::text");
    if there != "true" {
        return 0;
    }
    database.value("select count(*) from items").parse().expect("a count")
}

/// Key of the row that was read last.
fn last(database: &Database) -> String {
    database.value("select position::json -> 'stored' -> 'key' -> 0 ->> 'text' from dbferry.checkpoint")
}

/// Source and target hold the same keys and amounts.
fn assert_same(project: &Project, database: &Database) {
    let file = rusqlite::Connection::open(project.path("app.db")).expect("a file");
    let source: String = file
        .query_row(
            "select group_concat(row, ';') from (select id || ' ' || amount as row from items order by id)",
            [],
            |row| row.get(0),
        )
        .expect("rows");
    let target = database.value("select string_agg(id || ' ' || amount, ';' order by id collate \"C\") from items");
    let differs = source.split(';').zip(target.split(';')).find(|(one, other)| one != other);
    assert!(source == target, "{differs:?}");
}

#[test]
fn rows_come_as_they_are_stored_and_a_run_goes_on_behind_the_last() {
    let (project, database) = interrupted("error");
    let before = moved(&database);
    project.run(&RUN).expect(0);
    assert_same(&project, &database);
    assert_eq!(
        database.value("select rows_read::text from dbferry.checkpoint"),
        ROWS.to_string(),
        "{before} rows were not read again"
    );
    // In the order of amounts, which is that of storage.
    let first = database.value("select first_key::text from dbferry.batch where sequence = 1");
    assert!(first.contains("item-00007919"), "{first}");
}

#[test]
fn where_the_last_row_is_gone_the_table_is_read_again_over_what_is_there() {
    for policy in ["error", "update", "skip"] {
        let (project, database) = interrupted(policy);
        let last = last(&database);
        project.sqlite("app.db", &format!("delete from items where id = '{last}'"));
        let run = project.run(&RUN);
        run.expect(0).says("read again from its beginning");
        assert_eq!(database.value("select count(*) from items"), ROWS.to_string());
        database.query(&format!("delete from items where id = '{last}'"));
        assert_same(&project, &database);
        assert_eq!(
            database.value("select rows_read::text from dbferry.checkpoint"),
            (ROWS - 1).to_string(),
            "the figures are those of the new reading"
        );
    }
}

#[test]
fn a_file_that_was_rebuilt_is_read_again() {
    let (project, database) = interrupted("error");
    project.sqlite("app.db", "delete from items where amount < 300; vacuum");
    project.run(&RUN).expect(0).says("read again from its beginning");
    database.query("delete from items where amount < 300");
    assert_same(&project, &database);
}

#[test]
fn rows_that_were_replaced_meanwhile_are_met_again_and_not_doubled() {
    let (project, database) = interrupted("update");
    project.sqlite(
        "app.db",
        "replace into items select * from items where amount between 10 and 20;
         replace into items select id, amount + 1000000, price, note, made, flag, doc from items where amount between 30 and 40",
    );
    project.run(&RUN).expect(0);
    assert_same(&project, &database);

    let (project, database) = interrupted("error");
    project.sqlite(
        "app.db",
        "replace into items select * from items where amount between 10 and 20",
    );
    project.run(&RUN).expect(0);
    assert_same(&project, &database);
    let (project, database) = interrupted("error");
    project.sqlite(
        "app.db",
        "replace into items select id, amount + 1000000, price, note, made, flag, doc from items where amount = 15",
    );
    let run = project.run(&[&RUN[..], &["--max-rejects", "5"]].concat());
    run.expect(4);
    assert_eq!(database.value("select count(*) from items"), ROWS.to_string());
    assert_eq!(
        database.value("select string_agg(reason, ' ') from dbferry.reject"),
        "duplicate",
        "another row with this key was moved before"
    );
}

#[test]
fn keys_that_are_away_are_built_before_rows_can_come_twice() {
    let (project, database) = items::into_postgres(0);
    fill(&project);
    let mapping = project.text("mappings/demo/streams.toml");
    let mapping = mapping.replace("key = [\"id\"]", "key = [\"id\"]\ndefer_indexes = \"always\"");
    project.write("mappings/demo/streams.toml", &mapping);
    stop_half_way(&project, &database);
    let keys = "select count(*) from pg_constraint where conrelid = 'items'::regclass and contype = 'p'";
    assert_eq!(database.value(keys), "0");
    project.sqlite(
        "app.db",
        "replace into items select * from items where amount between 10 and 20",
    );
    project.run(&RUN).expect(0).says("building primary key");
    assert_eq!(database.value(keys), "1");
    assert_same(&project, &database);

    // Nothing has changed: the load goes on without its key.
    database.query("truncate items; drop schema dbferry cascade");
    stop_half_way(&project, &database);
    project.run(&RUN).expect(0);
    assert_eq!(database.value(keys), "1");
    assert_same(&project, &database);
}
