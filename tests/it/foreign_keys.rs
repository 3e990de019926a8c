//! Foreign keys that no order of rows or streams can keep: away for the load, back afterwards as
//! they were, whatever happens in between; and rows that refer to nothing are rejects.

use std::time::{Duration, Instant};

use crate::harness::{Database, Ended, Project, sqlite_rows};
use crate::items;
use crate::projects::{SAME_NAMES, between, stream};
use crate::role::Role;

/// People and their devices refer to each other, devices and notes to their like, and most of
/// them to rows that come later.
fn source(rows: u32) -> String {
    format!(
        "pragma journal_mode = wal;
         create table people (id integer primary key, name text, device integer);
         create table devices (id integer primary key, person integer, linked_by integer);
         create table notes (id integer primary key, parent integer, person integer);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into people select i, 'person ' || i, case when i % 10 > 0 then {rows} + 1 - i end from n;
         insert into devices select id, {rows} + 1 - id, case when id % 3 > 0 then (id * 7919) % {rows} + 1 end from people;
         insert into notes select id, case when id % 4 > 0 then (id * 6007) % {rows} + 1 end, id from people;"
    )
}

const POSTGRES: &str = r#"
create table people (id bigint primary key, name text not null, device bigint);
create table devices (id bigint primary key, person bigint not null references people, linked_by bigint);
create table notes (id bigint primary key, parent bigint, person bigint references people on delete cascade);
alter table people add constraint "Main ""device""" foreign key (device) references devices on delete set null
    deferrable initially deferred;
comment on constraint "Main ""device""" on people is 'it''s the one';
alter table devices add constraint devices_linked_by_fkey foreign key (linked_by) references devices;
alter table notes add constraint notes_parent_fkey foreign key (parent) references notes on delete cascade on update cascade;
"#;

const SQLITE: &str = "
create table people (id integer primary key, name text not null, device bigint references devices on delete set null);
create table devices (id integer primary key, person bigint not null references people, linked_by bigint references devices);
create table notes (id integer primary key, parent bigint references notes on delete cascade, person bigint references people on delete cascade);
";

/// Every table moves into that of the same name.
fn mapping() -> String {
    ["people", "devices", "notes"]
        .map(|table| stream(table, &format!("app.{table}"), &format!("target.{table}"), SAME_NAMES))
        .concat()
}

/// How every constraint of the tables is.
const CONSTRAINTS: &str =
    "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferrable, condeferred, convalidated,
    obj_description(oid, 'pg_constraint') from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2";

/// One note refers to another that is not there, and no other refers to any.
const ONE_ORPHAN: &str = "update notes set parent = null; update notes set parent = 9999 where id = 250";

const RUN: [&str; 6] = ["run", "mappings/demo", "--batch-size", "100", "--output", "json"];

fn into_postgres(rows: u32) -> (Project, Database) {
    let database = Database::create();
    database.query(POSTGRES);
    let project = items::into(&database.url);
    project.write("mappings/demo/streams.toml", &mapping());
    project.sqlite("app.db", &source(rows));
    (project, database)
}

fn into_sqlite(rows: u32) -> Project {
    let project = items::into_sqlite(1);
    for end in ["app.db", "app.db-wal", "app.db-shm", "out.db", "out.db-wal", "out.db-shm"] {
        drop(std::fs::remove_file(project.path(end)));
    }
    project.write("mappings/demo/streams.toml", &mapping());
    project.sqlite("app.db", &source(rows));
    project.sqlite("out.db", SQLITE);
    project
}

fn away(database: &Database) -> String {
    database.value("select count(*) from dbferry.foreign_key")
}

fn rejects(database: &Database) -> Vec<String> {
    let rows = database.query(
        "select stream, source_key, coalesce(column_name, ''), reason from dbferry.reject where resolved_at is null
         order by stream, id",
    );
    rows.into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn circles_and_trees_arrive_over_many_batches_and_every_key_is_back_as_it_was() {
    let (project, database) = into_postgres(3_000);
    let before = database.query(CONSTRAINTS);
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    for what in ["notes_parent_fkey", "devices_linked_by_fkey", "Main \"device\"", "taken away"] {
        assert!(plan.contains(what), "no {what} in:\n{plan}");
    }
    let report = project.run(&RUN).expect(0).json();
    for stream in report["streams"].as_array().expect("streams") {
        assert_eq!((&stream["inserted"], &stream["rejected"]), (&3_000.into(), &0.into()));
    }
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
    assert_eq!(
        database.value("select count(*) from people p join devices d on d.id = p.device join devices l on l.id = d.linked_by"),
        "1800"
    );
    // Once more: nothing to do, and nothing is taken away.
    project.run(&RUN).expect(0);
    assert_eq!(database.query(CONSTRAINTS), before);
}

#[test]
fn a_rehearsal_leaves_every_key_and_tells_the_orphans() {
    let (project, database) = into_postgres(500);
    project.sqlite("app.db", "update people set device = 9999 where id = 7");
    let before = database.query(CONSTRAINTS);
    let arguments = [&RUN[..], &["--max-rejects", "1000"]].concat();
    let rehearsal = project.run(&[&arguments[..], &["--dry-run"]].concat()).expect(4).json();
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(database.value("select count(*) from people"), "0");
    let real = project.run(&arguments).expect(4).json();
    for at in 0..3 {
        for figure in [
            "name",
            "read",
            "inserted",
            "rejected",
            "rejects_open",
            "target_rows",
            "reasons",
        ] {
            let (left, right) = (&rehearsal["streams"][at][figure], &real["streams"][at][figure]);
            assert_eq!(left, right, "{figure}");
        }
    }
    assert_eq!(database.query(CONSTRAINTS), before);
}

#[test]
fn orphans_become_rejects_with_all_that_refers_to_them_and_move_when_the_source_is_mended() {
    let (project, database) = into_postgres(1_000);
    // A person without its device; one device, five notes and nobody else refer to it.
    project.sqlite(
        "app.db",
        "update people set device = 9999 where id = 7;
         update devices set linked_by = null;
         update notes set parent = null;
         update notes set person = 7 where id in (3, 900);
         update notes set parent = 900 where id = 20; update notes set parent = 20 where id = 950;
         update notes set parent = 424242 where id = 500;",
    );
    let before = database.query(CONSTRAINTS);
    let report = project.run(&[&RUN[..], &["--max-rejects", "50"]].concat()).expect(4).json();
    let mut found = rejects(&database);
    found.sort();
    let mut expected = vec![
        r#"people [{"int":7}] device foreign_key"#,
        // Its device, and the one who has that, in turn.
        r#"devices [{"int":994}] person foreign_key"#,
        r#"notes [{"int":3}] person foreign_key"#,
        r#"notes [{"int":7}] person foreign_key"#,
        r#"notes [{"int":900}] person foreign_key"#,
        r#"notes [{"int":20}] parent foreign_key"#,
        r#"notes [{"int":950}] parent foreign_key"#,
        r#"notes [{"int":500}] parent foreign_key"#,
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    for (at, table) in [(0, "people"), (1, "devices"), (2, "notes")] {
        let stream = &report["streams"][at];
        assert_eq!(stream["name"], table);
        assert_eq!(stream["read"], 1_000);
        let there = database.value(&format!("select count(*) from {table}"));
        assert_eq!(stream["inserted"].to_string(), there);
        assert_eq!(stream["target_rows"].to_string(), there);
        assert_eq!(
            database.value(&format!(
                "select rows_inserted || ' ' || rows_read - rows_rejected || ' ' || digest_rows from dbferry.checkpoint where stream = '{table}'"
            )),
            format!("{there} {there} {there}")
        );
    }
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
    // Half of it is mended.
    project.sqlite("app.db", "update people set device = 994 where id = 7");
    project
        .run(&[&RUN[..], &["--retry-rejects", "--max-rejects", "50"]].concat())
        .expect(4);
    assert_eq!(rejects(&database), [r#"notes [{"int":500}] parent foreign_key"#]);
    project.sqlite("app.db", "update notes set parent = 3 where id = 500");
    project.run(&[&RUN[..], &["--retry-rejects"]].concat()).expect(0);
    assert_eq!(database.value("select count(*) from notes"), "1000");
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
}

#[test]
fn more_orphans_than_allowed_stop_the_run_and_a_later_one_puts_the_keys_back() {
    let (project, database) = into_postgres(300);
    project.sqlite("app.db", ONE_ORPHAN);
    let before = database.query(CONSTRAINTS);
    project
        .run(&["run", "mappings/demo", "--batch-size", "100"])
        .expect(4)
        .says("still away");
    assert_eq!(rejects(&database), [r#"notes [{"int":250}] parent foreign_key"#]);
    assert_ne!(away(&database), "0");
    assert_ne!(database.query(CONSTRAINTS), before);
    let stats = project.run(&["stats", "mappings/demo"]);
    stats.expect(0).says("notes_parent_fkey").says("is still away");
    // Part of the project is enough, if its streams are complete.
    project.run(&["run", "mappings/demo", "--only", "people"]).expect(0);
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
}

#[test]
fn killed_while_keys_are_away_they_come_back_with_the_run_that_completes() {
    let (project, database) = into_postgres(4_000);
    let before = database.query(CONSTRAINTS);
    for stage in ["people", "devices", "notes"] {
        let mut child = project.start_unheard(&["run", "mappings/demo", "--batch-size", "25"]);
        let began = Instant::now();
        while database.value(&format!("select exists (select from {stage})")) != "t" {
            assert!(began.elapsed() < Duration::from_mins(1), "{stage} never began");
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("the child ends");
        assert_ne!(away(&database), "0");
        // A run of something else leaves them away.
        project.run(&["plan", "mappings/demo"]).expect(0);
    }
    assert_ne!(database.query(CONSTRAINTS), before);
    project.run(&["stats", "mappings/demo"]).expect(0).says("is still away");
    project.run(&RUN).expect(0);
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
    for table in ["people", "devices", "notes"] {
        assert_eq!(database.value(&format!("select count(*) from {table}")), "4000");
    }
}

#[test]
fn rows_that_no_stream_has_moved_are_never_touched() {
    let (project, database) = into_postgres(300);
    project.sqlite("app.db", ONE_ORPHAN);
    project.run(&RUN).expect(4);
    // The application writes while the key is away.
    database.query("insert into notes values (100000, 99999, null)");
    project
        .run(&["run", "mappings/demo", "--max-rejects", "9"])
        .expect(1)
        .says("1 rows that no stream of this run has moved refer to nothing")
        .says("still away");
    assert_eq!(database.value("select count(*) from notes where id = 100000"), "1");
    database.query("delete from notes where id = 100000");
    project.run(&["run", "mappings/demo", "--max-rejects", "9"]).expect(4);
    assert_eq!(away(&database), "0");
}

#[test]
fn a_key_that_was_never_validated_comes_back_as_such() {
    let (project, database) = into_postgres(300);
    database.query(
        "alter table notes drop constraint notes_parent_fkey;
         insert into notes values (100000, 99999, null);
         alter table notes add constraint notes_parent_fkey foreign key (parent) references notes match full not valid",
    );
    project.sqlite("app.db", ONE_ORPHAN);
    let before = database.query(CONSTRAINTS);
    project.run(&[&RUN[..], &["--max-rejects", "9"]].concat()).expect(4);
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(rejects(&database), [r#"notes [{"int":250}] parent foreign_key"#]);
    assert_eq!(database.value("select count(*) from notes where id >= 1000"), "1");
}

#[test]
fn partitions_lose_and_regain_their_key_together() {
    let (project, database) = into_postgres(300);
    database.query(
        "drop table notes;
         create table notes (id bigint primary key, parent bigint references notes, person bigint references people) partition by range (id);
         create table notes_low partition of notes for values from (1) to (100);
         create table notes_high partition of notes for values from (100) to (1000)",
    );
    project.sqlite("app.db", ONE_ORPHAN);
    let before = database.query(CONSTRAINTS);
    project.run(&[&RUN[..], &["--max-rejects", "9"]].concat()).expect(4);
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(database.value("select count(*) from notes"), "299");
}

#[test]
fn a_role_that_does_not_own_the_table_is_told_before_the_first_row() {
    let (mut project, database) = into_postgres(300);
    let role = Role::create(&database);
    database.query(&format!(
        "grant create on database {} to {role};
         grant select, insert, update on all tables in schema public to {role}",
        database.name,
        role = role.name
    ));
    project.set("TARGET_URL", &role.url);
    let plan = project.run(&["plan", "mappings/demo"]);
    plan.expect(2).says("mapping::cycle").says("own the tables");
    // Without the circle the order of the rows has to do, and the plan says so.
    database.query(r#"alter table people drop constraint "Main ""device""""#);
    project.sqlite(
        "app.db",
        "update devices set linked_by = null; update notes set parent = id - 1 where id > 1",
    );
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    assert!(plan.contains("the role may not take it away"), "{plan}");
    project.run(&RUN).expect(0);
}

#[test]
fn sqlite_looks_after_its_keys_at_the_end() {
    let project = into_sqlite(1_000);
    project.sqlite(
        "app.db",
        "update people set device = 9999 where id = 7;
         update devices set linked_by = null;
         update notes set parent = null;
         update notes set person = 4711 where id = 8;
         update notes set parent = 900 where id = 20; update notes set parent = 20 where id = 950;
         update notes set parent = 7 where id = 900;
         update notes set parent = 424242 where id = 500;",
    );
    let rehearsal = project.run(&[&RUN[..], &["--max-rejects", "50", "--dry-run"]].concat());
    rehearsal.expect(2).says("a rehearsal cannot");
    project.run(&[&RUN[..], &["--max-rejects", "50"]].concat()).expect(4);
    let file = project.path("out.db");
    let found = || {
        sqlite_rows(
            &file,
            "select stream, source_key, column_name from dbferry_reject where resolved_at is null order by 1, 2",
        )
    };
    let text = |stream: &str, key: u32, column: &str| {
        let [stream, key, column] = [stream.to_owned(), format!(r#"[{{"int":{key}}}]"#), column.to_owned()]
            .map(|text| format!("Text({:?})|", text.as_bytes()));
        format!("{stream}{key}{column}")
    };
    let mut expected = vec![
        text("people", 7, "device"),
        text("devices", 994, "person"),
        text("notes", 7, "person"),
        text("notes", 8, "person"),
        text("notes", 900, "parent"),
        text("notes", 20, "parent"),
        text("notes", 950, "parent"),
        text("notes", 500, "parent"),
    ];
    let mut seen = found();
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
    assert!(sqlite_rows(&file, "select * from pragma_foreign_key_check").is_empty());
    assert_eq!(
        sqlite_rows(&file, "select count(*) from dbferry_foreign_key"),
        ["Integer(0)|"]
    );
    project.sqlite(
        "app.db",
        "update people set device = null where id = 7; update notes set parent = null where id = 500; update notes set person = 8 where id = 8",
    );
    project.run(&[&RUN[..], &["--retry-rejects"]].concat()).expect(0);
    assert!(found().is_empty());
    assert!(sqlite_rows(&file, "select * from pragma_foreign_key_check").is_empty());
    assert_eq!(sqlite_rows(&file, "select count(*) from notes"), ["Integer(1000)|"]);
}

#[test]
fn sqlite_rehearses_circles_and_trees() {
    let project = into_sqlite(1_000);
    project.run(&[&RUN[..], &["--dry-run"]].concat()).expect(0);
    let file = project.path("out.db");
    assert_eq!(sqlite_rows(&file, "select count(*) from people"), ["Integer(0)|"]);
    let ended: Ended = project.run(&RUN);
    ended.expect(0);
    assert!(sqlite_rows(&file, "select * from pragma_foreign_key_check").is_empty());
    assert_eq!(
        sqlite_rows(&file, "select count(*) from devices where linked_by > 0"),
        ["Integer(667)|"]
    );
}

#[test]
fn a_stream_in_many_splits_loses_its_keys_once_and_its_orphans_from_any_of_them() {
    let from = Database::create();
    from.query(
        "create table people (id bigint primary key, name text, device bigint);
         create table devices (id bigint primary key, person bigint, linked_by bigint);
         create table notes (id bigint primary key, parent bigint, person bigint);
         insert into people select i, 'person ' || i, case when i % 10 > 0 then 20001 - i end from generate_series(1, 20000) i;
         insert into devices select i, 20001 - i, case when i % 3 > 0 then i * 7919 % 20000 + 1 end from generate_series(1, 20000) i;
         insert into notes select i, case when i % 4 > 0 then i * 6007::bigint % 20000 + 1 end, i from generate_series(1, 20000) i;
         update notes set parent = -1 where id % 2 = 0;
         update notes set parent = null where id % 2 = 1;
         analyze",
    );
    let database = Database::create();
    database.query(POSTGRES);
    let project = between(
        &from,
        &database,
        "split_rows_min = 1000\nsplits_max = 4\njobs = 4",
        &mapping(),
    );
    let before = database.query(CONSTRAINTS);
    project
        .run(&["run", "mappings/demo", "--batch-size", "1000", "--max-rejects", "20000"])
        .expect(4);
    assert_eq!(database.query(CONSTRAINTS), before);
    assert_eq!(away(&database), "0");
    assert_eq!(
        database.query("select stream, count(*)::text, sum(rows_read)::text, sum(rows_inserted)::text, sum(rows_rejected)::text from dbferry.checkpoint group by 1 order by 1"),
        [
            ["devices", "4", "20000", "20000", "0"],
            ["notes", "4", "20000", "10000", "10000"],
            ["people", "4", "20000", "20000", "0"]
        ]
        .map(|row| row.map(|text| Some(text.to_owned())).to_vec())
    );
    assert_eq!(database.value("select count(*) from notes"), "10000");
}
