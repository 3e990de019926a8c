//! The ledger check: what nobody touched is unchanged, and of what somebody did, precisely the batch
//! is named.

use std::sync::Arc;

use dbferry::config::Config;
use dbferry::pipeline::plan::{self, Options};
use dbferry::pipeline::shutdown::Shutdown;
use dbferry::verify::ledger;
use dbferry::verify::ledger::report::{BatchOutcome, LedgerFinding, LedgerReport, LedgerStatus};

use crate::harness::{Database, Project};
use crate::items;
use crate::projects::{SAME_NAMES, between, stream};

mod command;
mod doubts;
mod shipped;

pub(crate) use shipped::told;

/// Batches of a hundred rows.
pub(super) const HUNDREDS: &str = "[limits]\nbatch_rows_max = 100\nportion_rows_max = 100\n\n";

/// Checks the project `demo`.
pub(super) fn checked(project: &Project) -> LedgerReport {
    super::at_home(project);
    let (config, mapping) = (project.path("config"), project.path("mappings/demo"));
    crate::harness::block_on(async move {
        let config = Config::load(&config, "home")?;
        let project = dbferry::mapping::file::load(&mapping)?;
        let plan = Box::pin(plan::plan(&project, &config, &Options::default())).await?;
        Box::pin(ledger::check(plan, &config, 100, Arc::new(|_| ()), &Shutdown::new())).await
    })
    .expect("a ledger check")
}

/// What is found: outcome, stream, split and sequence.
pub(super) fn found(report: &LedgerReport) -> Vec<(BatchOutcome, &str, i32, i64)> {
    let of = |name| move |finding: &LedgerFinding| (finding.outcome, name, finding.split, finding.sequence);
    let streams = report.streams.iter();
    let found = streams.flat_map(|stream| stream.findings.iter().map(of(stream.name.as_str())));
    found.collect()
}

/// Outcomes and sequences of the one stream.
pub(super) fn batches(report: &LedgerReport) -> Vec<(BatchOutcome, i64)> {
    assert_eq!(report.streams.len(), 1);
    found(report).iter().map(|found| (found.0, found.3)).collect()
}

/// Nothing was touched, and all was compared.
#[track_caller]
pub(super) fn is_unchanged(report: &LedgerReport) {
    assert_eq!(found(report), [], "{report:#?}");
    assert_eq!(report.status, LedgerStatus::Unchanged, "{report:#?}");
    for stream in &report.streams {
        assert!(stream.batches > 0, "{stream:#?}");
        assert_eq!((stream.unchanged, stream.rows_unchanged), (stream.batches, stream.rows));
    }
}

/// Items in batches of a hundred, moved.
pub(super) fn moved_into_postgres(rows: u32) -> (Project, Database) {
    let (project, database) = items::into_postgres(rows);
    in_hundreds(&project);
    project.run(&["run", "mappings/demo"]).expect(0);
    (project, database)
}

pub(super) fn moved_into_sqlite(rows: u32) -> Project {
    let project = items::into_sqlite(rows);
    in_hundreds(&project);
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

pub(super) fn in_hundreds(project: &Project) {
    let config = project.text("config/development.toml");
    project.write("config/development.toml", &format!("{HUNDREDS}{config}"));
}

/// One fault in each of four batches.
const FAULTS: &str = "update items set amount = amount + 1 where id = 'item-00000250';
    update items set note = case id when 'item-00000411' then 'note 412' else 'note 411' end
        where id in ('item-00000411', 'item-00000412');
    delete from items where id = 'item-00000600';
    update items set note = null where id = 'item-00000707'";

const FOUND: [(BatchOutcome, i64); 4] = [
    (BatchOutcome::Changed, 3),
    (BatchOutcome::Changed, 5),
    (BatchOutcome::Gone, 6),
    (BatchOutcome::Changed, 8),
];

#[test]
fn what_was_touched_in_postgres_is_named_by_its_batch() {
    let (project, database) = moved_into_postgres(1_000);
    let before = database.rows_written();
    assert!(before > 1_000, "the server did not count: {before}");
    is_unchanged(&checked(&project));
    assert_eq!(database.rows_written(), before, "a ledger check writes nothing");
    database.query("insert into items select id || 'x', amount, price, note, made, flag, doc from items where amount % 7 = 0");
    is_unchanged(&checked(&project));
    database.query(FAULTS);
    let report = checked(&project);
    assert_eq!(batches(&report), FOUND, "{report:#?}");
    let stream = &report.streams[0];
    assert_eq!((stream.batches, stream.unchanged, stream.changed, stream.gone), (10, 6, 3, 1));
    assert_eq!(
        (report.status, stream.rows, stream.rows_unchanged),
        (LedgerStatus::Changed, 1_000, 600)
    );
    let gone = &stream.findings[2];
    assert_eq!((gone.rows_then, gone.rows_now), (100, Some(99)));
    let keys = [&gone.first_key, &gone.last_key].map(|key| (key[0].column.clone(), key[0].value.text.clone()));
    let key = |id: &str| ("id".to_owned(), Some(id.to_owned()));
    assert_eq!(keys, [key("item-00000501"), key("item-00000600")]);
    assert_eq!(gone.run, database.value("select run from dbferry.run"));
}

#[test]
fn what_was_touched_in_sqlite_is_named_by_its_batch() {
    let project = moved_into_sqlite(1_000);
    let bytes = || std::fs::read(project.path("out.db")).expect("the target");
    let before = bytes();
    is_unchanged(&checked(&project));
    assert!(before == bytes(), "a ledger check writes nothing");
    project.sqlite("out.db", FAULTS);
    assert_eq!(batches(&checked(&project)), FOUND);
}

/// Numbers for keys, in several splits.
fn split(limits: &str, key: &str) -> (Project, [Database; 2]) {
    let databases = [Database::create(), Database::create()];
    for database in &databases {
        database.query(&format!(
            "create table points (id {key} primary key, x double precision, y text not null)"
        ));
    }
    let id = if key == "uuid" { "md5(i::text)::uuid" } else { "i" };
    databases[0].query(&format!(
        "insert into points select {id}, i / 8.0, 'y' || i from generate_series(1, 4000) i; analyze points"
    ));
    let streams = stream("points", "app.points", "target.points", SAME_NAMES);
    let limits = format!("batch_rows_max = 100\nportion_rows_max = 100\n{limits}");
    let project = between(&databases[0], &databases[1], &limits, &streams);
    project.run(&["run", "mappings/demo"]).expect(0);
    (project, databases)
}

#[test]
fn batches_of_several_splits_are_told_apart() {
    for key in ["integer", "uuid"] {
        let (project, [source, target]) = split("splits_max = 3\nsplit_rows_min = 1000", key);
        let splits = target.value("select count(distinct split) from dbferry.batch");
        assert_eq!(splits, "3");
        is_unchanged(&checked(&project));
        // Rows between those that were committed are in no batch, on either side.
        let more = "insert into points select ID, 0, 'more' from generate_series(5000, 5100) i";
        let id = if key == "uuid" { "md5(i::text)::uuid" } else { "-i" };
        source.query(&more.replace("ID", id));
        target.query(&more.replace("ID", id).replace("5000", "5101").replace("5100", "5150"));
        is_unchanged(&checked(&project));
        let id = target.value("select id from points where y = 'y3333'");
        target.query(&format!("update points set y = y || ' ' where id = '{id}'"));
        let holds = target.query(
            &format!(
                "select split::text, sequence::text from dbferry.batch
             where last_key like '%{id}%' or '{id}' between first_key::json -> 0 ->> 'KIND' and last_key::json -> 0 ->> 'KIND'",
            )
            .replace("KIND", if key == "uuid" { "text" } else { "int" }),
        );
        let report = checked(&project);
        let named: Vec<_> = found(&report)
            .iter()
            .map(|found| (found.0, found.2.to_string(), found.3.to_string()))
            .collect();
        assert_eq!(named.len(), 1, "{report:#?}");
        assert_eq!(named[0].0, BatchOutcome::Changed);
        if key == "uuid" {
            let holds: Vec<_> = holds.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
            assert_eq!(holds, [(Some(named[0].1.clone()), Some(named[0].2.clone()))]);
        }
    }
}

#[test]
fn every_type_is_unchanged_and_a_change_in_any_column_is_found() {
    use super::every_type::{FAULTS, POSTGRES, source};
    let (source, target) = (source(), Database::create());
    target.query(POSTGRES);
    let project = between(
        &source,
        &target,
        "batch_rows_max = 10\nportion_rows_max = 10",
        &stream("wide", "app.wide", "target.wide", SAME_NAMES),
    );
    project.run(&["run", "mappings/demo"]).expect(0);
    is_unchanged(&checked(&project));
    // One row in each batch.
    let row = |number: usize| number * 10 + 5;
    for (number, (column, change)) in FAULTS.iter().enumerate() {
        target.query(&format!("update wide set {column} = {change} where id = {}", row(number)));
    }
    let expected: Vec<_> = (1..).take(FAULTS.len()).map(|batch| (BatchOutcome::Changed, batch)).collect();
    assert_eq!(batches(&checked(&project)), expected);
}
