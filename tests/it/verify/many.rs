//! More differences than are fetched by their keys: hashes on disk, exact counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbferry::pipeline::event::Event;
use dbferry::pipeline::plan::Options;
use dbferry::pipeline::shutdown::Shutdown;
use dbferry::verify::report::VerifyReport;
use dbferry::verify::{Recheck, VerifyOptions};

use super::{figures, moved_into_postgres, moved_into_sqlite, only, try_verify, verified, verify_telling};
use crate::harness::{Project, query};
use crate::items;

/// As if more than a few rows differed.
fn many(project: &Project) -> VerifyReport {
    let options = VerifyOptions {
        few_rows_max: 500,
        ..VerifyOptions::default()
    };
    try_verify(project, Options::default(), options).expect("a verification")
}

const MANY: &str = "delete from items where substr(id, 13, 1) = '3';
     update items set note = 'x' where substr(id, 13, 1) = '4';
     insert into items select id || 'x', amount, price, note, made, flag, doc from items where substr(id, 13, 1) in ('5', '6')";

#[test]
fn many_differences_are_counted_exactly() {
    let (project, database) = moved_into_postgres(20_000);
    database.query(MANY);
    let report = many(&project);
    let verdict = only(&report);
    assert_eq!(figures(verdict), (2_000, 4_000, 2_000));
    assert_eq!((verdict.differences.len(), verdict.not_listed), (100, 7_900));
    assert_eq!((verdict.source_rows, verdict.target_rows), (20_000, 22_000));
}

#[test]
fn tables_without_a_key_are_compared_as_sets_with_repetitions() {
    let project = Project::new();
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"sqlite\"\npath = { value = \"app.db\" }\n\n[connection.target]\nkind = \"sqlite\"\npath = { value = \"out.db\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    let mapping = items::MAPPING.replace(
        "from = \"app.items\"",
        "[stream.query]\nconnection = \"app\"\nsql = \"select * from items\"\n[stream.columns]\nid = \"id\"\n",
    );
    let (head, query) = mapping.split_once("[stream.query]").expect("a query");
    let head = format!("{head}to = \"target.items\"\nkey = [\"id\"]\nsame_name_columns = true\n");
    let query = query.split("\nto =").next().expect("the query");
    project.write("mappings/demo/streams.toml", &format!("{head}\n[stream.query]{query}"));
    project.sqlite("out.db", &items::SQLITE_DDL.replace(" primary key", ""));
    items::fill(&project, 5_000);
    project.run(&["run", "mappings/demo"]).expect(0);
    super::is_equal(&verified(&project));
    project.sqlite(
        "out.db",
        "delete from items where id = 'item-00000003';
         update items set note = 'x' where id = 'item-00000004';
         insert into items select * from items where id in ('item-00000005', 'item-00000006')",
    );
    assert_eq!(figures(only(&verified(&project))), (1, 2, 1));
    project.sqlite("out.db", "insert into items select * from items");
    assert_eq!(figures(only(&verified(&project))).1, 5_003);
}

#[test]
fn rows_of_a_target_that_cannot_be_read_are_differences_however_many() {
    // Notes that were empty before, of rows that can be read.
    const EMPTY: u64 = 1_200;
    let project = moved_into_sqlite(12_000);
    project.sqlite("out.db", "update items set price = 'cheap' where substr(id, 13, 1) = '4'");
    let report = many(&project);
    assert_eq!(figures(only(&report)), (0, 0, 1_200));
    project.sqlite("out.db", "update items set note = '' where substr(id, 13, 1) <> '4'");
    assert_eq!(figures(only(&many(&project))), (0, 0, 12_000 - EMPTY));
}

/// More than a few rows, looked at again.
fn again(recheck_keys_max: usize, few_rows_max: u64) -> VerifyOptions {
    VerifyOptions {
        few_rows_max,
        recheck: Some(Recheck {
            times: 2,
            wait: Duration::from_secs(1),
        }),
        recheck_keys_max,
        ..VerifyOptions::default()
    }
}

#[test]
fn many_differences_are_looked_at_again_and_only_what_stays_counts() {
    let (project, database) = moved_into_postgres(20_000);
    database.query("create table kept as table items");
    database.query(MANY);
    // Both sides are open once rows are read: what is written from then on is seen by later looks.
    let (begun, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let events = {
        let begun = Arc::clone(&begun);
        Arc::new(move |event| {
            if matches!(event, Event::Progress { .. }) {
                begun.store(true, Ordering::Relaxed);
            }
        })
    };
    let (url, done) = (database.url.clone(), Arc::clone(&ended));
    let writer = std::thread::spawn(move || {
        while !begun.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        query(&url, "insert into items select * from kept where substr(id, 13, 1) = '3'");
        while !done.load(Ordering::Relaxed) {
            query(
                &url,
                "update items set note = note || 'x' where substr(id, 13, 1) = '4' and id < 'item-00010000'",
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let report = verify_telling(&project, Options::default(), again(1_000_000, 500), events, Shutdown::new());
    ended.store(true, Ordering::Relaxed);
    writer.join().expect("the writer");
    let report = report.expect("a verification");
    let verdict = only(&report);
    assert_eq!(
        (figures(verdict), verdict.unsettled),
        ((0, 4_000, 1_000), 1_000),
        "{:?}",
        verdict.notes
    );
    assert_eq!((verdict.differences.len(), verdict.not_listed), (100, 5_900));
}

#[test]
fn too_many_differences_are_not_looked_at_again_and_the_report_says_so() {
    let (project, database) = moved_into_postgres(20_000);
    database.query(MANY);
    for (keys, looked_at) in [(7_999, false), (8_000, true)] {
        // The first look joins them, the second fetches them by key.
        let report = try_verify(&project, Options::default(), again(keys, 8_000)).expect("a verification");
        let verdict = only(&report);
        assert_eq!(figures(verdict), (2_000, 4_000, 2_000));
        let said = verdict
            .notes
            .iter()
            .any(|note| note.contains("none of the 8000 rows that differ was looked at again"));
        assert_eq!(said, !looked_at, "{:?}", verdict.notes);
    }
}
