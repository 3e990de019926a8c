//! A move of one user that is killed in between.

use std::time::Instant;

use crate::game::sqlite_query;
use crate::harness::{Project, until};
use crate::items;

use super::figures;

/// Many rows of one user: enough to be killed in between.
const MANY: u32 = 20_000;

/// The run's sessions that the server still has.
const SESSIONS: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'dbferry%'";

fn owned(project: &Project) {
    let streams = format!("{}\n", items::MAPPING).replace(
        "same_name_columns = true",
        "subject = { owner = \"amount % 2 = cast($key as integer)\" }\nsame_name_columns = true",
    );
    let second = streams
        .replace("\"items\"", "\"copies\"")
        .replace("target.items", "target.copies");
    project.write("mappings/demo/streams.toml", &format!("{streams}\n{second}"));
}

#[test]
fn killed_in_between_and_repeated_the_rows_are_those_of_an_undisturbed_move() {
    let (project, database) = items::into_postgres(MANY);
    database.query(&items::POSTGRES_DDL.replace("items", "copies"));
    owned(&project);
    let half = project.path("app.db");
    let source = rusqlite::Connection::open(half).expect("the source");
    let expected = sqlite_query(&source, "select id from items where amount % 2 = 1 order by id");
    let args = ["run", "mappings/demo", "--for", "owner=1", "--batch-size", "500"];
    let began = Instant::now();
    project.run(&args).expect(0);
    let whole = began.elapsed();
    let rows = |table: &str| database.query(&format!("select id from {table} order by id"));
    assert!(rows("items") == expected && rows("copies") == expected);

    let mut partly = 0;
    for round in 0..8_u32 {
        database.query("truncate items, copies; drop schema if exists dbferry cascade");
        let mut child = project.start_unheard(&args);
        std::thread::sleep(whole * (round + 1) / 9);
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
        // The server may still be at it.
        until("the end of the run's sessions", || database.value(SESSIONS) == "0");
        for table in ["items", "copies"] {
            let there = rows(table).len();
            assert!(
                there == 0 || there == expected.len(),
                "{table}: all of a stream's rows or none, not {there}"
            );
            partly += u32::from(there == 0);
        }
        let report = project.run(&[&args[..], &["--output", "json"]].concat()).expect(0).json();
        assert_eq!(figures(&report, "items")[0], expected.len() as u64);
        assert!(rows("items") == expected && rows("copies") == expected, "round {round}");
        let ledger = database.query(
            "select count(*)::text from dbferry.checkpoint c where sequence <> (select count(*) from dbferry.batch b where b.stream = c.stream)",
        );
        assert_eq!(ledger[0][0].as_deref(), Some("0"), "a batch for each step of the checkpoint");
    }
    assert!(partly > 0, "no round was killed in between");
}
