//! Rates are kept, whoever sets them and however many streams share them.

use super::{declare, fill, into_postgres, make_tables, streams};
use crate::harness::{Database, Ended, Project, sqlite_rows};
use crate::projects::between;

/// When each batch was committed, in seconds, and how many rows it read.
type Batches = Vec<(f64, f64)>;

const POSTGRES_BATCHES: &str =
    "select extract(epoch from committed_at)::text, rows_read::text from dbferry.batch order by committed_at";

fn of_postgres(database: &Database) -> Batches {
    let rows = database.query(POSTGRES_BATCHES);
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).expect("a number");
    rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}

fn of_sqlite(project: &Project) -> Batches {
    let sql = "select (julianday(committed_at) - 2440587.5) * 86400.0, rows_read * 1.0 from dbferry_batch order by committed_at";
    let number = |text: &str| {
        text.trim_start_matches("Real(")
            .trim_end_matches(')')
            .parse()
            .expect("a number")
    };
    let rows = sqlite_rows(&project.path("out.db"), sql);
    rows.iter()
        .map(|row| {
            let (at, rows) = row.trim_end_matches('|').split_once('|').expect("two columns");
            (number(at), number(rows))
        })
        .collect()
}

/// Between the first commit and the last the rate of rows is `rate`, and no second's worth comes at once.
fn check(what: &str, batches: &Batches, rate: f64) {
    let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
        panic!("{what}: nothing was committed");
    };
    let rows: f64 = batches[1..].iter().map(|(_, rows)| rows).sum();
    let seconds = last.0 - first.0;
    let found = rows / seconds;
    eprintln!("{what}: {found:.2} rows per second over {seconds:.2} s, {rate:.2} wanted");
    assert!(seconds > 3.0, "{what}: {seconds} s say little");
    assert!(found < rate * 1.05, "{what}: {found} rows per second, {rate} wanted");
    // A machine that stood still says nothing of how a rate is kept.
    let stood_still = batches.windows(2).any(|pair| pair[1].0 - pair[0].0 > 0.3);
    assert!(
        found > rate * 0.95 || stood_still,
        "{what}: {found} rows per second, {rate} wanted"
    );
    let largest = batches.iter().map(|(_, rows)| *rows).fold(0.0, f64::max);
    assert!(largest <= rate || stood_still, "{what}: {largest} rows at once");
}

fn moved(project: &Project, arguments: &[&str]) -> serde_json::Value {
    let ended: Ended = project.run(&[&["run", "mappings/demo", "--output", "json"], arguments].concat());
    ended.expect(0).json()
}

fn bytes_of_a_row(report: &serde_json::Value) -> f64 {
    let stream = &report["streams"][0];
    stream["bytes"].as_f64().expect("bytes") / stream["read"].as_f64().expect("rows")
}

fn into_sqlite(limits: &str, rows: u32, width: u32) -> Project {
    let project = Project::new();
    let file = |name: &str, path: &str| crate::harness::file_connection(name, "sqlite", path);
    project.write(
        "config/development.toml",
        &format!("[limits]\n{limits}\n{}{}", file("app", "app.db"), file("target", "out.db")),
    );
    declare(&project, 1);
    project.sqlite(
        "out.db",
        "create table t1 (id integer primary key not null, note text not null)",
    );
    fill(&project, 1, rows, width);
    project
}

#[test]
fn rows_into_postgres_and_sqlite_small_and_wide_come_at_the_rate_that_was_asked_for() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let database = Database::create();
            make_tables(&database, 1);
            let project = into_postgres(&database.url, "max_rows_per_second = 300", 1);
            fill(&project, 1, 1_500, 20);
            let report = moved(&project, &[]);
            check("small rows into Postgres", &of_postgres(&database), 300.0);
            let waited = report["streams"][0]["waited_seconds"].as_f64();
            assert!(waited > Some(0.0), "{report}");
        });
        scope.spawn(|| {
            let project = into_sqlite("max_rows_per_second = 1", 400, 20_000);
            moved(&project, &["--max-rows-per-second", "80"]);
            check("wide rows into SQLite", &of_sqlite(&project), 80.0);
        });
    });
}

#[test]
fn bytes_into_postgres_and_sqlite_come_at_the_rate_that_was_asked_for() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let database = Database::create();
            make_tables(&database, 1);
            let project = into_postgres(&database.url, "max_bytes_per_second = 1000000", 1);
            fill(&project, 1, 500, 10_000);
            let report = moved(&project, &[]);
            let rate = 1_000_000.0 / bytes_of_a_row(&report);
            check("bytes of wide rows into Postgres", &of_postgres(&database), rate);
        });
        scope.spawn(|| {
            let project = into_sqlite("", 6_000, 20);
            let report = moved(&project, &["--max-bytes-per-second", "40000"]);
            let rate = 40_000.0 / bytes_of_a_row(&report);
            check("bytes of small rows into SQLite", &of_sqlite(&project), rate);
        });
    });
}

#[test]
fn streams_and_splits_side_by_side_share_one_rate() {
    let (source, target) = (Database::create(), Database::create());
    make_tables(&source, 3);
    make_tables(&target, 3);
    for table in 1..=3 {
        source.query(&format!(
            "insert into t{table} select i, 'x' from generate_series(1, 900) i; analyze t{table}"
        ));
    }
    let limits = "splits_max = 3\nsplit_rows_min = 100\njobs = 3\nmax_rows_per_second = 500";
    let project = between(&source, &target, limits, &streams(3));
    let report = moved(&project, &[]);
    check("three streams with three splits", &of_postgres(&target), 500.0);
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(3));
    let splits = "select count(*) from dbferry.checkpoint where complete";
    assert_eq!(target.value(splits), "9", "they were cut");
    // Where both are given, the one that is met first holds.
    let again = between(&source, &target, limits, &streams(1));
    target.query("truncate t1, t2, t3; drop schema dbferry cascade");
    let report = moved(&again, &["--max-bytes-per-second", "2000"]);
    let rate = 2_000.0 / bytes_of_a_row(&report);
    assert!(rate < 400.0, "a row has {} bytes", 2_000.0 / rate);
    let batches = of_postgres(&target);
    let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
        panic!("nothing was committed");
    };
    let rows: f64 = batches[1..].iter().map(|(_, rows)| rows).sum();
    assert!(
        rows / (last.0 - first.0) < rate * 1.05,
        "{rows} rows in {} s",
        last.0 - first.0
    );
}
