//! Dry runs and rejects: a rehearsal tells exactly what the run that follows does, every bad row
//! is found again with its key, column and reason, and good rows beside it arrive.

use crate::harness::{Database, Project};
use crate::items;

/// Owners and things with one fault of every kind among good rows.
const SOURCE: &str = "
pragma journal_mode = wal;
create table owners (id text primary key not null, email text, name text);
create table things (id integer primary key, owner text, size integer, price numeric, made text, doc text, label text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into owners select printf('o%03d', i), 'owner' || i || '@example.org', 'Owner ' || i from n;
update owners set email = 'OWNER1@example.org' where id = 'o002';
update owners set name = null where id = 'o003';
update owners set name = 'nul' || char(0) || 'byte' where id = 'o004';
update owners set name = cast(x'ff41' as text) where id = 'o005';
with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into things select i, printf('o%03d', 10 + i % 400), i, i / 4.0, '2024-02-29 12:00:00.123Z', '{\"i\":1}', 'red' from n;
update things set owner = 'nobody' where id = 7;
update things set owner = 'o002' where id = 8;
update things set size = 3000000000 where id = 9;
update things set size = 'abc' where id = 10;
update things set price = 0.125 where id = 11;
update things set price = 99999999 where id = 12;
update things set made = '2024-02-30 00:00:00Z' where id = 13;
update things set doc = '{broken' where id = 14;
update things set label = 'mauve' where id = 15;
update things set label = null where id = 16;
";

const TARGET: &str = "
create type colour as enum ('red', 'green');
create table owners (id text primary key, email text not null, name varchar(50) not null);
create unique index owners_email on owners (lower(email));
create table things (id integer primary key, owner text not null references owners, size integer not null check (size < 490),
    price numeric(7,2) not null, made timestamptz not null, doc jsonb, label colour not null);
";

const MAPPING: &str = r#"
[[stream]]
name = "things"
from = "app.things"
to = "target.things"
key = ["id"]
same_name_columns = true
rules = { no_twenty = "size <> 20" }
[stream.columns]
id = "id"

[[stream]]
name = "owners"
from = "app.owners"
to = "target.owners"
key = ["id"]
same_name_columns = true
[stream.columns]
id = "id"
"#;

fn project() -> (Project, Database) {
    let database = Database::create();
    database.query(TARGET);
    let project = items::into(&database.url);
    project.write("mappings/demo/streams.toml", MAPPING);
    project.sqlite("app.db", SOURCE);
    (project, database)
}

const REJECTS: &str = "select stream, source_key, coalesce(column_name, ''), reason from dbferry.reject where resolved_at is null order by stream, id";

#[test]
fn every_bad_row_is_a_named_reject_and_every_good_row_arrives() {
    let (project, database) = project();
    let report = project
        .run(&["run", "mappings/demo", "--max-rejects", "1000", "--output", "json"])
        .expect(4)
        .json();
    let streams = report["streams"].as_array().expect("streams");
    for stream in streams {
        let count = |name: &str| stream[name].as_u64().expect(name);
        assert_eq!(
            count("read"),
            count("inserted") + count("updated") + count("skipped") + count("rejected") + count("filtered")
        );
        assert_eq!(count("read"), 500);
    }
    assert_eq!(streams[0]["name"], "owners", "the referenced table comes first");
    let found: Vec<String> = database
        .query(REJECTS)
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" "))
        .collect();
    let mut expected = vec![
        r#"owners [{"text":"o002"}] lower(email) duplicate"#,
        r#"owners [{"text":"o003"}] name null_value"#,
        r#"owners [{"text":"o004"}] name nul_byte"#,
        r#"owners [{"text":"o005"}] name unreadable"#,
        r#"things [{"int":7}] owner foreign_key"#,
        r#"things [{"int":8}] owner foreign_key"#,
        r#"things [{"int":9}] size out_of_range"#,
        r#"things [{"int":10}] size unreadable"#,
        r#"things [{"int":11}] price inexact"#,
        r#"things [{"int":12}] price out_of_range"#,
        r#"things [{"int":13}] made unreadable"#,
        r#"things [{"int":14}] doc json"#,
        r#"things [{"int":15}] label enum_label"#,
        r#"things [{"int":16}] label null_value"#,
        r#"things [{"int":20}] no_twenty rule"#,
    ];
    let checked: Vec<String> = (490..=500)
        .map(|i| format!(r#"things [{{"int":{i}}}] size constraint"#))
        .collect();
    expected.extend(checked.iter().map(String::as_str));
    let (mut found, mut expected) = (found, expected.into_iter().map(str::to_owned).collect::<Vec<_>>());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(database.value("select count(*) from owners"), "496");
    assert_eq!(database.value("select count(*) from things"), "478");
}

#[test]
fn a_rehearsal_leaves_nothing_and_its_figures_are_those_of_the_run_that_follows() {
    let (project, database) = project();
    let arguments = [
        "run",
        "mappings/demo",
        "--max-rejects",
        "1000",
        "--batch-size",
        "64",
        "--output",
        "json",
    ];
    let mut rehearsal = project.run(&[&arguments[..], &["--dry-run"]].concat()).expect(4).json();
    assert_eq!(database.value("select count(*) from owners"), "0");
    assert_eq!(
        database.value("select count(*) from pg_namespace where nspname = 'dbferry'"),
        "0"
    );
    let mut real = project.run(&arguments).expect(4).json();
    for report in [&mut rehearsal, &mut real] {
        for name in ["run", "dry_run", "seconds"] {
            report.as_object_mut().expect("an object").remove(name);
        }
        for stream in report["streams"].as_array_mut().expect("streams") {
            for name in ["seconds", "batches"] {
                stream.as_object_mut().expect("an object").remove(name);
            }
        }
    }
    assert_eq!(rehearsal, real);
}

#[test]
fn without_leave_the_run_stops_at_the_first_rejects_and_what_was_good_stays() {
    let (project, database) = project();
    project
        .run(&["run", "mappings/demo", "--only", "owners"])
        .expect(4)
        .says("max_rejects = 0")
        .says("--retry-rejects");
    assert_eq!(database.value("select count(*) from owners"), "496");
    assert_eq!(database.value("select count(*) from dbferry.reject"), "4");
}

#[test]
fn mended_rows_move_with_retry_rejects_and_the_ledger_follows() {
    let (project, database) = project();
    project.run(&["run", "mappings/demo", "--max-rejects", "1000"]).expect(4);
    project.sqlite(
        "app.db",
        "update owners set email = 'owner2@example.org' where id = 'o002'; update owners set name = 'mended' where id in ('o003', 'o005');
         update things set size = 9 where id = 9; update things set size = 10 where id = 10; delete from things where id = 11;",
    );
    let report = project
        .run(&[
            "run",
            "mappings/demo",
            "--max-rejects",
            "1000",
            "--retry-rejects",
            "--output",
            "json",
        ])
        .expect(4)
        .json();
    assert_eq!(database.value("select count(*) from owners"), "499");
    assert_eq!(database.value("select count(*) from things"), "481", "8, 9 and 10 came after");
    assert_eq!(report["streams"][0]["inserted"], 3);
    assert_eq!(report["streams"][1]["inserted"], 3);
    assert_eq!(report["streams"][0]["rejects_open"], 1);
    let sums = "select stream, rows_read - rows_inserted - rows_updated - rows_skipped - rows_rejected - rows_filtered from dbferry.checkpoint order by 1";
    for row in database.query(sums) {
        assert_eq!(row[1].as_deref(), Some("0"), "{row:?}");
    }
    assert_eq!(
        database.value("select count(*) from dbferry.reject where resolved_at is null and stream = 'owners'"),
        "1"
    );
    // Again: nothing changes.
    project
        .run(&["run", "mappings/demo", "--max-rejects", "1000", "--retry-rejects"])
        .expect(4);
    assert_eq!(database.value("select count(*) from things"), "481");
    assert_eq!(
        database.value("select count(*) from dbferry.reject where resolved_at is null and stream = 'owners'"),
        "1"
    );
}

#[test]
fn a_changed_mapping_is_refused_on_resume_and_restart_compares_what_is_there() {
    let (project, database) = items::into_postgres(3_000);
    let update = items::MAPPING.replace("same_name", "on_conflict = \"update\"\nsame_name");
    project.write("mappings/demo/streams.toml", &update);
    project.run(&["run", "mappings/demo"]).expect(0);
    let changed = update.replace("id = \"id\"", "id = \"id\"\nnote = \"upper(note)\"");
    project.write("mappings/demo/streams.toml", &changed);
    project
        .run(&["run", "mappings/demo"])
        .expect(1)
        .says("has changed")
        .says("--restart");
    let report = project
        .run(&["run", "mappings/demo", "--restart", "--output", "json"])
        .expect(0)
        .json();
    let stream = &report["streams"][0];
    let null_or_empty = database.value("select count(*) from items where note is null or note = ''");
    assert_eq!(
        (stream["inserted"].as_u64(), stream["skipped"].to_string()),
        (Some(0), null_or_empty)
    );
    assert_eq!(database.value("select count(*) from items where note like 'n%'"), "0");
    let again = project.run(&["run", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(again["streams"][0]["status"], "already_complete");
    assert_eq!(again["streams"][0]["read"], 0);
}

#[test]
fn two_source_rows_with_one_target_key_are_told_apart_across_batches_and_resumes() {
    let (project, database) = items::into_postgres(1_000);
    let mapping = items::MAPPING
        .replace("id = \"id\"", "id = \"'k' || CAST(amount % 400 AS VARCHAR)\"")
        .replace("same_name", "on_conflict = \"update\"\nsame_name");
    project.write("mappings/demo/streams.toml", &mapping);
    project
        .run(&["run", "mappings/demo", "--batch-size", "100", "--max-rejects", "5000"])
        .expect(4);
    let kept: u64 = database.value("select count(*) from items").parse().expect("a count");
    let rejected: u64 = database
        .value("select count(*) from dbferry.reject where reason = 'key_collision'")
        .parse()
        .expect("a count");
    assert!(
        kept > 0 && kept <= 400 && kept + rejected == 1_000,
        "{kept} kept, {rejected} rejected"
    );
    assert!(
        database
            .value("select source_row from dbferry.reject limit 1")
            .contains("collides_with")
    );
}

#[test]
fn a_complete_stream_whose_table_was_emptied_is_not_called_complete() {
    let (project, database) = items::into_postgres(300);
    project.run(&["run", "mappings/demo"]).expect(0);
    let again = project.run(&["run", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(again["streams"][0]["status"], "already_complete");
    assert_eq!(again["streams"][0]["target_rows"], 300);
    database.query("delete from items where id = 'item-00000007'");
    let again = project.run(&["run", "mappings/demo", "--output", "json"]).expect(0).json();
    let warning = again["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.contains("300 rows arrived, and the table holds 299 now"), "{warning}");
    database.query("truncate items");
    project
        .run(&["run", "mappings/demo"])
        .expect(1)
        .says("is complete since run")
        .says("its target table is empty now")
        .says("--restart");
    project.run(&["run", "mappings/demo", "--restart"]).expect(0);
    assert_eq!(database.value("select count(*) from items"), "300");
}
