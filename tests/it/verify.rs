//! Verification: nothing is found where nothing differs, and everything where something does.

use std::sync::Arc;

use dbferry::config::Config;
use dbferry::pipeline::event::Events;
use dbferry::pipeline::plan::{self, Options};
use dbferry::pipeline::shutdown::Shutdown;
use dbferry::verify::report::{Difference, DifferenceKind, StreamVerdict, Verdict, VerifyReport};
use dbferry::verify::{self, Targets, VerifyOptions};

use crate::harness::{Database, Project};
use crate::items;

mod every_type;
mod faults;
pub(crate) mod ledger;
mod many;
mod one_table;
mod planted;
mod projects;
mod rejects;
mod restricted;
mod resume;

/// The project's environment with absolute paths and without variables, for a verification that
/// does not run in the project's folder.
fn at_home(project: &Project) {
    let mut text = project.text("config/development.toml");
    for (name, value) in project.variables() {
        project.write(&format!("secrets/{name}"), value);
        let file = format!("{{ file = \"{}\" }}", project.path(&format!("secrets/{name}")).display());
        text = text.replace(&format!("{{ env = \"{name}\" }}"), &file);
    }
    let here = format!("value = \"{}/", project.path("").display().to_string().trim_end_matches('/'));
    project.write("config/home.toml", &text.replace("value = \"", &here));
}

/// Verifies the project `demo`.
pub(crate) fn try_verify(project: &Project, plan: Options, options: VerifyOptions) -> dbferry::Result<VerifyReport> {
    verify_telling(project, plan, options, Arc::new(|_| ()), Shutdown::new())
}

/// The same, with somebody who hears of it and may stop it.
fn verify_telling(
    project: &Project,
    plan: Options,
    options: VerifyOptions,
    events: Events,
    shutdown: Shutdown,
) -> dbferry::Result<VerifyReport> {
    at_home(project);
    let (config, mapping) = (project.path("config"), project.path("mappings/demo"));
    crate::harness::block_on(async move {
        let config = Config::load(&config, "home")?;
        let project = dbferry::mapping::file::load(&mapping)?;
        let plan = Box::pin(plan::plan(&project, &config, &plan)).await?;
        let targets = Targets::open(&config, &plan).await?;
        Box::pin(verify::verify(plan, targets, &options, events, &shutdown)).await
    })
}

/// Verifies the project `demo`, all of it.
pub(crate) fn verified(project: &Project) -> VerifyReport {
    try_verify(project, Options::default(), VerifyOptions::default()).expect("a verification")
}

/// The one stream of a report.
pub(crate) fn only(report: &VerifyReport) -> &StreamVerdict {
    assert_eq!(report.streams.len(), 1, "{report:#?}");
    &report.streams[0]
}

/// A stream of a report.
pub(crate) fn stream<'a>(report: &'a VerifyReport, name: &str) -> &'a StreamVerdict {
    report.streams.iter().find(|stream| stream.name == name).expect(name)
}

/// Missing, extra, different.
pub(crate) fn figures(verdict: &StreamVerdict) -> (u64, u64, u64) {
    (verdict.missing, verdict.extra, verdict.different)
}

/// Everything is the same, and was compared.
#[track_caller]
pub(crate) fn is_equal(report: &VerifyReport) {
    for verdict in &report.streams {
        assert_eq!(figures(verdict), (0, 0, 0), "{verdict:#?}");
        assert_eq!(
            verdict.covered_rows,
            verdict.source_rows - verdict.filtered - verdict.rejected
        );
        assert_eq!(verdict.status, Verdict::Equal, "{verdict:#?}");
        assert!(verdict.differences.is_empty());
    }
    assert_eq!(report.status, Verdict::Equal);
}

/// A difference in short: kind, key, columns with both values.
pub(crate) fn short(difference: &Difference) -> String {
    let key: Vec<_> = difference
        .key
        .iter()
        .map(|part| part.value.text.clone().unwrap_or_default())
        .collect();
    let shown = |value: &dbferry::verify::report::Value| value.text.clone().unwrap_or_else(|| "NULL".to_owned());
    let columns: Vec<_> = difference
        .columns
        .iter()
        .map(|column| format!(" {}: {} / {}", column.column, shown(&column.source), shown(&column.target)))
        .collect();
    let kind = match difference.kind {
        DifferenceKind::Missing => "missing",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Different => "different",
        DifferenceKind::Unsettled => "unsettled",
    };
    format!("{kind} {}{}", key.join(","), columns.join(""))
}

/// All differences of a stream in short.
pub(crate) fn shorts(verdict: &StreamVerdict) -> Vec<String> {
    verdict.differences.iter().map(short).collect()
}

/// Items moved into Postgres.
fn moved_into_postgres(rows: u32) -> (Project, Database) {
    let (project, database) = items::into_postgres(rows);
    project.run(&["run", "mappings/demo"]).expect(0);
    (project, database)
}

/// Items moved into SQLite.
fn moved_into_sqlite(rows: u32) -> Project {
    let project = items::into_sqlite(rows);
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

#[test]
fn what_was_moved_is_equal_and_what_was_not_is_missing() {
    let (project, database) = items::into_postgres(3_000);
    let report = verified(&project);
    assert_eq!(figures(only(&report)), (3_000, 0, 0), "{report:#?}");
    assert_eq!(report.status, Verdict::Different);
    assert_eq!((only(&report).differences.len(), only(&report).not_listed), (100, 2_900));
    project.run(&["run", "mappings/demo"]).expect(0);
    let before = database.rows_written();
    let report = verified(&project);
    is_equal(&report);
    assert_eq!((only(&report).source_rows, only(&report).target_rows), (3_000, 3_000));
    assert_eq!(only(&report).extra_before, Some(0));
    let versions: Vec<_> = report.connections.iter().map(|read| read.version.as_deref()).collect();
    let of_server = database.value("show server_version");
    assert_eq!(versions, [Some(rusqlite::version()), Some(of_server.as_str())]);
    assert_eq!(database.rows_written(), before, "a verification writes nothing");
}

#[test]
fn what_was_moved_into_sqlite_is_equal_and_the_file_stays_as_it_is() {
    let project = moved_into_sqlite(3_000);
    let bytes = || std::fs::read(project.path("out.db")).expect("the target");
    let before = bytes();
    is_equal(&verified(&project));
    assert!(before == bytes(), "a verification writes nothing");
}

#[test]
fn a_role_that_may_only_read_is_enough() {
    let (mut project, database) = moved_into_postgres(500);
    let role = format!("{}_reader", database.name);
    database.query(&format!(
        "create role {role} login password 'r'; grant usage on schema public, dbferry to {role};
         grant select on all tables in schema public, dbferry to {role}"
    ));
    let (_, place) = database.url.split_once('@').expect("a user");
    project.set("TARGET_URL", &format!("postgres://{role}:r@{place}"));
    let report = verified(&project);
    let checked = ledger::checked(&project);
    database.query(&format!("drop owned by {role}; drop role {role}"));
    is_equal(&report);
    ledger::is_unchanged(&checked);
}
