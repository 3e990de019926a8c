//! Runs into SQLite files that are taken back by the command: every row, of every storage class, is as
//! before, whoever was killed on the way.

use std::time::Instant;

use serde_json::Value;

use crate::harness::{Ended, KillTimes, Project, file_connection, sqlite_rows};

mod sqlite;

/// A project from one SQLite file into another one.
struct Shop {
    project: Project,
}

impl Shop {
    /// With these streams, a source and a target that SQL makes.
    fn new(streams: &str, source: &str, target: &str) -> Self {
        let project = Project::new();
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"shop\"]\nmax_rejects = 100000\n",
        );
        project.write("mappings/demo/streams.toml", streams);
        let connections = [
            file_connection("app", "sqlite", "app.db"),
            file_connection("shop", "sqlite", "shop.db"),
        ];
        project.write("config/development.toml", &connections.concat());
        project.sqlite("app.db", source);
        project.sqlite("shop.db", target);
        Self { project }
    }

    /// Runs it with an undo log; returns the run and its report.
    #[track_caller]
    fn run(&self, code: i32, more: &[&str]) -> (String, Value) {
        let args = ["run", "mappings/demo", "--undo", "--output", "json", "--batch-size", "100"];
        let report = self.project.run(&[&args, more].concat()).expect(code).json();
        (report["run"].as_str().expect("a run").to_owned(), report)
    }

    fn rollback(&self, run: &str, more: &[&str]) -> Ended {
        let args = ["rollback", run, "mappings/demo", "--output", "json"];
        self.project.run(&[&args, more].concat())
    }

    /// Rows of the target, with the storage class of every value.
    fn rows(&self, sql: &str) -> Vec<String> {
        sqlite_rows(&self.project.path("shop.db"), sql)
    }

    /// Every table of the application.
    fn state(&self) -> Vec<Vec<String>> {
        let tables = ["audit", "lines", "orders", "tree", "users"];
        tables
            .map(|table| self.rows(&format!("select * from {table} order by 1, 2")))
            .to_vec()
    }

    /// Runs that are not taken back, the last one first.
    fn runs_left(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.project.path("shop.db")).expect("the file");
        let sql = "select run from dbferry_run where status <> 'rolled_back' order by started_at desc, rowid desc";
        let mut statement = connection.prepare(sql).expect("the ledger");
        let runs = statement.query_map([], |row| row.get(0)).expect("runs");
        runs.map(|run| run.expect("text")).collect()
    }

    /// What the ledger says of the streams.
    fn ledger(&self) -> Vec<Vec<String>> {
        let rollbacks = i32::MIN + 2;
        [
            format!("select stream, split, sequence, run, complete, rows_read from dbferry_checkpoint where split <> {rollbacks} order by 1, 2"),
            "select stream, hex(digest), source_key from dbferry_key_claim order by 1, 2".to_owned(),
            "select id, stream, run, source_key, reason, resolved_by from dbferry_reject order by 1".to_owned(),
        ]
        .iter()
        .map(|sql| self.rows(sql))
        .collect()
    }
}

fn figure(stream: &Value, name: &str) -> u64 {
    stream[name].as_u64().unwrap_or_else(|| panic!("{name}: {stream:#}"))
}

#[track_caller]
fn assert_adds_up(report: &Value) {
    for stream in report["streams"].as_array().expect("streams") {
        let written = figure(stream, "inserted") + figure(stream, "updated");
        let done: u64 = ["removed", "restored", "gone", "kept"]
            .iter()
            .map(|name| figure(stream, name))
            .sum();
        assert_eq!(written, done, "{stream:#}");
        assert_eq!(stream["complete"], true, "{stream:#}");
    }
}

/// Kills a command at random moments, so many times at most; returns how often it was killed.
fn killed(project: &Project, args: &[&str], (most, times): (u32, &mut KillTimes)) -> u32 {
    let mut killed = 0;
    for _ in 0..most {
        let mut child = project.start_unheard(args);
        times.wait();
        if child.try_wait().expect("the child's state").is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
        } else {
            times.too_late();
        }
        child.wait().expect("an end");
    }
    killed
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).expect("a short run")
}
