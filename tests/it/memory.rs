//! The memory limit: what the program takes of its own (anonymous memory, as the system counts it) stays
//! below it, whatever the rows are like, and rows that are too large for it are rejects with their sizes.

use std::fmt::Write as _;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Database, Ended, Project, file_connection};
use crate::projects::{self, SAME_NAMES, between, stream};

/// The limit where none is given, in bytes.
const DEFAULT: u64 = 256_000_000;

/// Hears a command to its end, and looks at its memory all the while.
fn watched(child: Child) -> (Ended, u64) {
    let status = format!("/proc/{}/status", child.id());
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                let status = std::fs::read_to_string(&status).unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
                let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
                peak = peak.max(kilobytes.unwrap_or(0) * 1024);
                std::thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let heard = Ended::of_child(child);
        ended.store(true, Ordering::Relaxed);
        (heard, watch.join().expect("the watch"))
    })
}

/// Runs a command that must stay within so many bytes.
#[track_caller]
fn within(project: &Project, bytes_max: u64, args: &[&str], code: i32) -> Ended {
    let (ended, peak) = watched(project.start(args));
    eprintln!("{args:?}: {} MB", peak / 1_000_000);
    ended.expect(code);
    assert!(peak > 1_000_000, "its memory was seen: {peak}");
    assert!(peak <= bytes_max, "{args:?}: {peak} bytes of {bytes_max}");
    ended
}

/// From an SQLite file into Postgres.
fn from_file(target: &Database, limits: &str, streams: &str) -> Project {
    projects::from(
        Project::new(),
        &file_connection("app", "sqlite", "app.db"),
        target,
        limits,
        streams,
    )
}

const RUN: &[&str] = &["run", "mappings/demo", "--max-rejects", "2", "--output", "json"];
const VERIFY: &[&str] = &["verify", "mappings/demo", "--output", "json"];

/// The rejects as the target keeps them: key, column, reason, detail, row.
fn rejects(target: &Database) -> Vec<Vec<String>> {
    let rows = target.query(
        "select source_key::text, column_name, reason, detail, source_row::text from dbferry.reject where resolved_at is null order by id",
    );
    let text = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
    rows.into_iter().map(text).collect()
}

#[test]
fn a_row_of_200_mb_in_a_file_is_a_reject_and_one_of_40_mb_arrives_whole() {
    let target = Database::create();
    target.query("create table files (id bigint primary key, name text, body bytea)");
    let project = from_file(&target, "", &stream("files", "app.files", "target.files", SAME_NAMES));
    project.sqlite(
        "app.db",
        "create table files (id integer primary key, name text, body blob);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
         insert into files select i, 'name ' || i, zeroblob(i) from n;
         update files set body = zeroblob(200000000) where id = 500;
         update files set body = zeroblob(40000000) where id in (501, 700);",
    );
    let run = within(&project, DEFAULT, RUN, 4).json();
    assert_eq!(run["streams"][0]["inserted"], 999, "{run}");
    let found = rejects(&target);
    assert_eq!(found.len(), 1);
    let [_, column, reason, detail, row] = found[0].as_slice() else {
        panic!("five columns")
    };
    assert_eq!((column.as_str(), reason.as_str()), ("body", "too_large"));
    assert!(detail.contains("200000000 bytes") && detail.contains("42666666"), "{detail}");
    let row: Value = serde_json::from_str(row).expect("JSON");
    assert_eq!(row["id"], 500);
    assert_eq!(row["body"]["bytes"], 200_000_000, "what was left out is said: {row}");
    assert_eq!(
        target.value("select count(*) || ' ' || sum(length(body)) || ' ' || count(*) filter (where body = decode(repeat('00', 40000000), 'hex')) from files"),
        format!("999 {} 2", (1..=1000).sum::<i64>() - 500 - 501 - 700 + 80_000_000)
    );
    let verified = within(&project, DEFAULT, VERIFY, 0).json();
    assert_eq!(verified["streams"][0]["status"], "equal", "{verified}");
}

#[test]
fn a_row_of_200_mb_in_postgres_is_a_reject_and_one_of_40_mb_arrives_whole() {
    let (source, target) = (Database::create(), Database::create());
    let table = "create table files (id bigint primary key, name text, body text, doc jsonb)";
    source.query(table);
    target.query(table);
    source.query(
        "insert into files select i, 'name ' || i, repeat('x', i), jsonb_build_object('i', i) from generate_series(1, 1000) i;
         update files set body = repeat('x', 200000000) where id = 500;
         update files set body = repeat(md5('y'), 1250000) where id in (501, 700);
         update files set doc = jsonb_build_object('long', repeat('z', 60000000)) where id = 800;",
    );
    let project = between(
        &source,
        &target,
        "",
        &stream("files", "app.files", "target.files", SAME_NAMES),
    );
    let run = within(&project, DEFAULT, RUN, 4).json();
    assert_eq!(run["streams"][0]["inserted"], 998, "{run}");
    let found = rejects(&target);
    let told: Vec<_> = found.iter().map(|reject| (reject[1].as_str(), reject[2].as_str())).collect();
    assert_eq!(told, [("body", "too_large"), ("doc", "too_large")]);
    assert!(found[0][3].contains("200000000 bytes"), "{}", found[0][3]);
    let row: Value = serde_json::from_str(&found[0][4]).expect("JSON");
    assert_eq!(
        (&row["id"], &row["body"]["bytes"]),
        (&500.into(), &200_000_000.into()),
        "{row}"
    );
    let all = "select count(*) || ' ' || md5(string_agg(md5(f::text), '' order by id)) from files f where id not in (500, 800)";
    assert_eq!(source.value(all), target.value(all));
    let verified = within(&project, DEFAULT, VERIFY, 0).json();
    assert_eq!(verified["streams"][0]["status"], "equal", "{verified}");
}

#[test]
fn a_row_that_was_too_large_is_moved_again_with_more_memory() {
    for kind in ["sqlite", "postgres"] {
        let (source, target) = (Database::create(), Database::create());
        target.query("create table notes (id bigint primary key, body text)");
        let streams = stream("notes", "app.notes", "target.notes", SAME_NAMES);
        let project = if kind == "sqlite" {
            let project = from_file(&target, "memory_limit_megabytes = 64", &streams);
            project.sqlite(
                "app.db",
                "create table notes (id integer primary key, body text);
                 insert into notes values (1, 'a'), (2, replace(hex(zeroblob(10000000)), '00', 'ab')), (3, 'c'),
                     (4, replace(hex(zeroblob(2000000)), '00', 'cd'));",
            );
            project
        } else {
            source.query(
                "create table notes (id bigint primary key, body text);
                 insert into notes values (1, 'a'), (2, repeat('ab', 10000000)), (3, 'c'), (4, repeat('cd', 2000000))",
            );
            between(&source, &target, "memory_limit_megabytes = 64", &streams)
        };
        within(&project, 64_000_000, RUN, 4);
        assert_eq!(
            target.value("select string_agg(id::text, ' ' order by id) from notes"),
            "1 3 4",
            "{kind}"
        );
        let again = ["run", "mappings/demo", "--retry-rejects", "--memory-limit", "256"];
        within(&project, DEFAULT, &again, 0);
        assert_eq!(
            target.value("select count(*) || ' ' || bool_and(body = repeat('ab', 10000000)) filter (where id = 2) from notes"),
            "4 true",
            "{kind}"
        );
    }
}

#[test]
fn a_limit_that_is_too_small_is_told_before_anything_is_moved() {
    let (source, target) = (Database::create(), Database::create());
    let table = "create table t (id bigint primary key)";
    source.query(table);
    target.query(table);
    let project = between(&source, &target, "", &stream("t", "app.t", "target.t", SAME_NAMES));
    let refused = project.run(&["run", "mappings/demo", "--memory-limit", "16"]);
    refused.expect(2).says("a memory limit of 16 megabytes is too small");
    let named = refused.stderr.split("--memory-limit ").nth(1).expect("the smallest is named");
    let smallest: String = named.chars().take_while(char::is_ascii_digit).collect();
    let bytes = smallest.parse::<u64>().expect("a number") * 1_000_000;
    within(&project, bytes, &["run", "mappings/demo", "--memory-limit", &smallest], 0);
}

#[test]
fn tables_of_as_many_columns_as_there_can_be_stay_within_the_limit() {
    // As many as fit a page of Postgres, and as many as SQLite takes.
    let each = |text: fn(usize) -> String| (1..1_600).map(text).collect::<Vec<_>>().concat();
    let (source, target) = (Database::create(), Database::create());
    let table = format!(
        "create table wide (id bigint primary key{})",
        each(|n| format!(", c{n} integer"))
    );
    source.query(&table);
    target.query(&table);
    let values = each(|n| format!(", i + {n}"));
    source.query(&format!("insert into wide select i{values} from generate_series(1, 2000) i"));
    let project = between(
        &source,
        &target,
        "memory_limit_megabytes = 128",
        &stream("wide", "app.wide", "target.wide", SAME_NAMES),
    );
    within(&project, 128_000_000, &["run", "mappings/demo"], 0);
    assert_eq!(
        target.value("select count(*) || ' ' || sum(c1599) from wide"),
        format!("2000 {}", 2000 * 1599 + 2000 * 2001 / 2)
    );
}

#[test]
fn many_jobs_and_splits_share_the_limit() {
    let (source, target) = (Database::create(), Database::create());
    let mut streams = String::new();
    for n in 0..16 {
        let table = format!("create table t{n} (id bigint primary key, body text)");
        source.query(&format!(
            "{table}; insert into t{n} select i, repeat(md5(i::text), 128) from generate_series(1, 2000) i; analyze t{n}"
        ));
        target.query(&table);
        streams.push_str(&stream(
            &format!("t{n}"),
            &format!("app.t{n}"),
            &format!("target.t{n}"),
            SAME_NAMES,
        ));
    }
    let limits = "memory_limit_megabytes = 128\njobs = 16\nsplits_max = 4\nsplit_rows_min = 1000";
    let project = between(&source, &target, limits, &streams);
    within(&project, 128_000_000, &["run", "mappings/demo"], 0);
    let rows: i64 = (0..16)
        .map(|n| {
            target
                .value(&format!("select count(*) from t{n} where length(body) = 4096"))
                .parse::<i64>()
                .expect("a count")
        })
        .sum();
    assert_eq!(rows, 32_000);
}

#[test]
fn two_hundred_streams_stay_within_the_limit() {
    let (source, target) = (Database::create(), Database::create());
    let mut streams = String::new();
    let mut tables = String::new();
    for n in 0..200 {
        writeln!(
            tables,
            "create table t{n} (id bigint primary key, body text, made timestamptz);"
        )
        .expect("into a text");
        streams.push_str(&stream(
            &format!("t{n}"),
            &format!("app.t{n}"),
            &format!("target.t{n}"),
            SAME_NAMES,
        ));
    }
    target.query(&tables);
    for n in 0..200 {
        let rows = "select i, 'text ' || i, now() from generate_series(1, 20) i";
        writeln!(tables, "insert into t{n} {rows};").expect("into a text");
    }
    source.query(&tables);
    let project = between(&source, &target, "jobs = 16", &streams);
    within(&project, DEFAULT, &["run", "mappings/demo"], 0);
    assert_eq!(target.value("select count(*) from t199"), "20");
}

#[test]
fn rejects_of_every_row_stay_within_the_limit() {
    let target = Database::create();
    target.query("create table t (id bigint primary key, body text)");
    let rest = format!("rules = {{ never = \"id < 0\" }}\n{SAME_NAMES}");
    let project = from_file(
        &target,
        "memory_limit_megabytes = 96",
        &stream("t", "app.t", "target.t", &rest),
    );
    project.sqlite(
        "app.db",
        "create table t (id integer primary key, body text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         insert into t select i, replace(hex(zeroblob(800)), '00', 'ab') from n;",
    );
    let run = ["run", "mappings/demo", "--max-rejects", "20000"];
    within(&project, 96_000_000, &run, 4);
    assert_eq!(target.value("select count(*) from dbferry.reject"), "20000");
}
