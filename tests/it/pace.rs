//! The pace of a run: rates, pauses, how large batches are, and when they are on the disk.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Database, Ended, Project, until};
use crate::projects::{SAME_NAMES, stream};

mod crashed;
mod rates;
mod standby;

/// A source in an SQLite file: tables `t1`, `t2`, … of rows of one width.
fn fill(project: &Project, tables: u32, rows: u32, width: u32) {
    for table in 1..=tables {
        project.sqlite(
            "app.db",
            &format!(
                "create table t{table} (id integer primary key not null, note text not null);
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
                 insert into t{table} select 100000 + i, substr(replace(hex(zeroblob({width})), '0', 'x'), 1, {width}) from n;"
            ),
        );
    }
}

fn streams(tables: u32) -> String {
    (1..=tables)
        .map(|table| {
            stream(
                &format!("t{table}"),
                &format!("app.t{table}"),
                &format!("target.t{table}"),
                SAME_NAMES,
            )
        })
        .collect()
}

/// The tables of a Postgres target.
fn make_tables(database: &Database, tables: u32) {
    for table in 1..=tables {
        database.query(&format!("create table t{table} (id bigint primary key, note text not null)"));
    }
}

fn into_postgres(url: &str, limits: &str, tables: u32) -> Project {
    let mut project = Project::new();
    project.set("TARGET_URL", url);
    project.write(
        "config/development.toml",
        &format!(
            "[limits]\n{limits}\n[connection.app]\nkind = \"sqlite\"\npath = {{ value = \"app.db\" }}\n\n\
             [connection.target]\nkind = \"postgres\"\nurl = {{ env = \"TARGET_URL\" }}\n"
        ),
    );
    declare(&project, tables);
    project
}

fn declare(project: &Project, tables: u32) {
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", &streams(tables));
}

fn interrupt(process: u32) {
    let sent = Command::new("kill").args(["-INT", &process.to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn a_stop_ends_a_wait_at_once_and_keeps_what_is_there() {
    let database = Database::create();
    make_tables(&database, 1);
    // At this rate the second portion is due in a day.
    let project = into_postgres(&database.url, "max_bytes_per_second = 20000", 1);
    fill(&project, 1, 2, 200_000);
    let child = project.start(&["run", "mappings/demo", "--max-bytes-per-second", "10000"]);
    let rows = || database.value("select count(*) from t1");
    until("the first row is due after 20 s", || rows() == "1");
    let asked = Instant::now();
    interrupt(child.id());
    Ended::of_child(child).expect(130);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert_eq!(rows(), "1");
    let ended = project.run(&[
        "run",
        "mappings/demo",
        "--max-bytes-per-second",
        "1000000",
        "--output",
        "json",
    ]);
    let report = ended.expect(0).json();
    assert_eq!(report["streams"][0]["inserted"], 1, "{report}");
    assert!(report["streams"][0]["waited_seconds"].as_f64() > Some(0.15), "{report}");
    assert_eq!(rows(), "2");
}

#[test]
fn batches_grow_from_a_small_first_one_unless_their_size_is_given() {
    let rows_of = |arguments: &[&str], limits: &str| -> Vec<u64> {
        let database = Database::create();
        make_tables(&database, 1);
        let project = into_postgres(&database.url, limits, 1);
        fill(&project, 1, 6_000, 10);
        project.run(&[&["run", "mappings/demo"], arguments].concat()).expect(0);
        assert_eq!(database.value("select count(*) from t1"), "6000");
        let rows = database.query("select rows_read::text from dbferry.batch order by sequence");
        let rows = rows.iter().map(|row| row[0].as_ref().and_then(|rows| rows.parse().ok()));
        rows.map(|rows| rows.expect("a number")).collect()
    };
    let found = rows_of(&[], "portion_rows_max = 200\nbatch_milliseconds_max = 60000");
    assert_eq!(found[..2], [200, 400], "{found:?}");
    assert_eq!(found.iter().sum::<u64>(), 6_000);
    let given = rows_of(&["--batch-size", "1500"], "batch_milliseconds_max = 60000");
    assert_eq!(given, [1_500; 4]);
}

/// While a source keeps silent nothing is open in the target.
#[test]
fn a_source_that_takes_its_time_keeps_no_transaction_open() {
    let (source, target) = (Database::create(), Database::create());
    target.query("create table t (id integer primary key, note text)");
    let project = crate::projects::between(&source, &target, "portion_rows_max = 100", "");
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"t\"\nto = \"target.t\"\nkey = [\"id\"]\nsource_key = [\"id\"]\nsame_name_columns = true\n\n\
         [stream.query]\nconnection = \"app\"\nsql = \"select i as id, case when i = 1500 then pg_sleep(6)::text end as note \
         from generate_series(1, 3000) i\"\n",
    );
    let mut child = project.start(&["run", "mappings/demo", "--batch-size", "3000"]);
    let mut longest = 0.0_f64;
    let open = "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) from pg_stat_activity
        where datname = current_database() and application_name like 'dbferry %'";
    while child.try_wait().expect("its state").is_none() {
        longest = longest.max(target.value(open).parse().expect("seconds"));
        std::thread::sleep(Duration::from_millis(50));
    }
    Ended::of_child(child).expect(0);
    assert!(longest < 5.0, "a transaction was open for {longest} s");
    assert_eq!(target.value("select count(*) from t"), "3000");
    let read = "select sum(rows_read)::text, (select rows_read::text from dbferry.checkpoint where complete) from dbferry.batch";
    let all = Some("3000".to_owned());
    assert_eq!(target.query(read), [[all.clone(), all]]);
    project.run(&["verify", "mappings/demo"]).expect(0);
    project.run(&["verify", "mappings/demo", "--ledger"]).expect(0);
}
