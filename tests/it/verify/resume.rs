//! A verification that is interrupted, and goes on: what it has read is not read again, and what it
//! says in the end is what one in a single sitting says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};

use dbferry::ErrorKind;
use dbferry::pipeline::event::Event;
use dbferry::pipeline::plan::Options;
use dbferry::pipeline::shutdown::Shutdown;
use dbferry::verify::report::VerifyReport;
use dbferry::verify::{Keep, VerifyOptions};

use super::{figures, is_equal, moved_into_sqlite, only, shorts, stream, verified, verify_telling};
use crate::harness::{Database, Ended, Project, until, url_connection};
use crate::items;

/// Tables are read in many pieces.
const PIECES: &str = "\n[limits]\npiece_bytes_max = 65536\n";

/// What was heard of a sitting.
#[derive(Default)]
struct Heard {
    /// Rows that were read, by stream.
    read: BTreeMap<String, u64>,
    /// Rows that an earlier sitting has read, by stream.
    before: BTreeMap<String, u64>,
    skipped: Vec<String>,
    warnings: Vec<String>,
}

impl Heard {
    /// Rows read now and before of the stream `items`.
    fn rows(&self) -> (u64, u64) {
        let of = |rows: &BTreeMap<String, u64>| rows.get("items").copied().unwrap_or_default();
        (of(&self.read), of(&self.before))
    }

    fn warned(&self, text: &str) -> bool {
        self.warnings.iter().any(|warning| warning.contains(text))
    }
}

/// How a sitting is.
#[derive(Default)]
struct Sitting {
    resume: bool,
    /// It is stopped as soon as so many rows of this stream are read.
    stop: Option<(&'static str, u64)>,
    options: VerifyOptions,
}

fn going_on() -> Sitting {
    Sitting {
        resume: true,
        ..Sitting::default()
    }
}

fn folder(project: &Project) -> PathBuf {
    project.path(".state/sittings")
}

/// Files that are kept.
fn kept(project: &Project) -> usize {
    std::fs::read_dir(folder(project)).map_or(0, Iterator::count)
}

fn sit(project: &Project, sitting: Sitting) -> (dbferry::Result<VerifyReport>, Heard) {
    let options = VerifyOptions {
        keep: Some(Keep {
            folder: folder(project),
            resume: sitting.resume,
        }),
        ..sitting.options
    };
    let heard = Arc::new(Mutex::new(Heard::default()));
    let shutdown = Shutdown::new();
    let (listener, stopper, stop) = (Arc::clone(&heard), shutdown.clone(), sitting.stop);
    let events = move |event| {
        let mut heard = listener.lock().expect("no panic before");
        match event {
            Event::Progress { stream, rows, .. } => {
                let read = heard.read.entry(stream.clone()).or_default();
                *read += rows;
                if stop.is_some_and(|(of, rows)| of == stream && *read >= rows) {
                    stopper.cancel();
                }
            }
            Event::StreamStarted {
                stream,
                resumed: Some(counts),
                ..
            } => drop(heard.before.insert(stream, counts.read)),
            Event::StreamSkipped { stream, .. } => heard.skipped.push(stream),
            Event::Warning { message, .. } => heard.warnings.push(message),
            _ => {}
        }
    };
    let report = verify_telling(project, Options::default(), options, Arc::new(events), shutdown);
    let heard = std::mem::take(&mut *heard.lock().expect("no panic before"));
    (report, heard)
}

/// A sitting that is stopped after so many rows.
fn stopped_after(project: &Project, stream: &'static str, rows: u64) {
    let sitting = Sitting {
        stop: Some((stream, rows)),
        ..Sitting::default()
    };
    let (report, _) = sit(project, sitting);
    let error = report.expect_err("it was stopped");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert!(error.advice().contains("--resume"), "{}", error.advice());
}

/// The rest of it.
fn resumed(project: &Project) -> (VerifyReport, Heard) {
    let (report, heard) = sit(project, going_on());
    (report.expect("a verification"), heard)
}

/// As many items in a Postgres database, moved into another one.
fn between_postgres(rows: u32) -> (Project, Database, Database) {
    let (source, target) = (Database::create(), Database::create());
    source.query(items::POSTGRES_DDL);
    target.query(items::POSTGRES_DDL);
    source.query(&format!(
        "insert into items select 'item-' || lpad(i::text, 8, '0'), i, i / 4.0, 'note ' || i, now(), i % 2 = 0, json_build_object('n', i)
         from generate_series(1, {rows}) i"
    ));
    let mut project = Project::new();
    project.set("SOURCE_URL", &source.url);
    project.set("TARGET_URL", &target.url);
    let connections = url_connection("app", "SOURCE_URL") + &url_connection("target", "TARGET_URL");
    project.write("config/development.toml", &(connections + PIECES));
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", items::MAPPING);
    project.run(&["run", "mappings/demo"]).expect(0);
    (project, source, target)
}

fn between_sqlite(rows: u32) -> Project {
    let project = moved_into_sqlite(rows);
    let config = project.text("config/development.toml");
    project.write("config/development.toml", &(config + PIECES));
    project
}

/// What a report says of the one stream, but for its times and notes.
fn said(report: &VerifyReport) -> ((u64, u64, u64), u64, u64, Vec<String>) {
    let verdict = only(report);
    (figures(verdict), verdict.source_rows, verdict.target_rows, shorts(verdict))
}

#[test]
fn between_postgres_only_the_rest_is_read_and_what_differs_is_found_wherever_it_lies() {
    let (project, _source, target) = between_postgres(20_000);
    target.query(
        "update items set note = 'x' where id in ('item-00000003', 'item-00019990'); delete from items where id = 'item-00000004';
         insert into items select 'item-x', amount, price, note, made, flag, doc from items where id = 'item-00000005'",
    );
    stopped_after(&project, "items", 10_000);
    assert!(kept(&project) > 0);
    let (report, heard) = resumed(&project);
    let (read, before) = heard.rows();
    assert!(before >= 9_000 && read + before == 20_000, "{before} rows before, {read} now");
    assert_eq!(heard.warnings, Vec::<String>::new());
    assert!(
        only(&report).notes.iter().any(|note| note.contains("in 2 sittings")),
        "{report:#?}"
    );
    assert_eq!(said(&report), said(&verified(&project)));
    assert_eq!(figures(only(&report)), (1, 1, 2));
    assert_eq!(kept(&project), 0, "it came to its end");
}

#[test]
fn between_postgres_what_was_written_between_two_sittings_is_judged_as_it_is() {
    let (project, source, target) = between_postgres(20_000);
    // Room at the beginning, for rows of the end to move into; the target lacks those rows.
    for database in [&source, &target] {
        database.query("delete from items where id between 'item-00000100' and 'item-00000199'");
        database.query("vacuum (index_cleanup on) items");
    }
    target.query("delete from items where id in ('item-00000030') or id between 'item-00019000' and 'item-00019099'");
    stopped_after(&project, "items", 10_000);
    source.query(
        "update items set note = 'moved' where id between 'item-00019000' and 'item-00019099';
         update items set note = 'of the source alone' where id = 'item-00000010'",
    );
    let moved = source.value("select count(*) from items where note = 'moved' and ctid < '(40,0)'");
    assert_ne!(moved, "0", "rows moved into what was read");
    for database in [&source, &target] {
        database.query("update items set note = 'of both' where id in ('item-00000020', 'item-00019020')");
    }
    source.query("delete from items where id = 'item-00000030'");
    let (report, heard) = resumed(&project);
    assert!(heard.rows().1 > 0 && heard.warnings.is_empty(), "{:?}", heard.warnings);
    assert_eq!(figures(only(&report)), (100, 0, 1));
    assert_eq!(shorts(only(&report)), shorts(only(&verified(&project))));
}

#[test]
fn a_table_that_was_rewritten_between_two_sittings_is_read_again() {
    let (project, source, target) = between_postgres(20_000);
    stopped_after(&project, "items", 10_000);
    source.query("vacuum full items");
    let (report, heard) = resumed(&project);
    assert!(heard.warned("its source was written to or moved"), "{:?}", heard.warnings);
    assert_eq!(heard.rows(), (20_000, 0));
    is_equal(&report);
    // Another table in the same place.
    stopped_after(&project, "items", 10_000);
    target.query("drop table items");
    target.query(&items::POSTGRES_DDL.replace("table items", "table public.items"));
    let (report, _) = resumed(&project);
    assert_eq!(figures(only(&report)), (20_000, 0, 0));
}

#[test]
fn between_sqlite_only_the_rest_is_read_unless_the_file_was_written() {
    let project = between_sqlite(20_000);
    project.sqlite(
        "out.db",
        "update items set note = 'x' where id in ('item-00000003', 'item-00019990')",
    );
    stopped_after(&project, "items", 10_000);
    let (report, heard) = resumed(&project);
    let (read, before) = heard.rows();
    assert!(before >= 9_000 && read + before == 20_000, "{before} rows before, {read} now");
    assert_eq!(said(&report), said(&verified(&project)));
    assert_eq!(figures(only(&report)), (0, 0, 2));
    stopped_after(&project, "items", 10_000);
    project.sqlite("app.db", "update items set note = 'new' where id = 'item-00000007'");
    let (report, heard) = resumed(&project);
    assert!(heard.warned("its source was written to or moved"), "{:?}", heard.warnings);
    assert_eq!(heard.rows(), (20_000, 0));
    assert_eq!(figures(only(&report)), (0, 0, 3));
    assert_eq!(said(&report), said(&verified(&project)));
}

fn two_streams() -> Project {
    let project = between_sqlite(5_000);
    project.sqlite("out.db", &items::SQLITE_DDL.replace("table items", "table more"));
    let more = items::MAPPING
        .replace("name = \"items\"", "name = \"more\"\nafter = [\"items\"]")
        .replace("target.items", "target.more");
    project.write("mappings/demo/streams.toml", &(items::MAPPING.to_owned() + &more));
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

#[test]
fn streams_that_were_finished_keep_their_verdict() {
    let project = two_streams();
    stopped_after(&project, "more", 2_000);
    let (report, heard) = resumed(&project);
    assert_eq!(
        (heard.skipped, heard.read.contains_key("items")),
        (vec!["items".to_owned()], false)
    );
    is_equal(&report);
    let verdict = stream(&report, "items");
    assert_eq!(verdict.source_rows, 5_000);
    assert!(
        verdict.notes.iter().any(|note| note.contains("earlier sitting")),
        "{verdict:#?}"
    );
    assert!(verdict.source_read_at < stream(&report, "more").source_read_at);

    // What differs is looked at again, and there is nothing of any row in what is kept.
    project.sqlite("out.db", "update items set note = 'canary' where id = 'item-00000003'");
    stopped_after(&project, "more", 2_000);
    for entry in std::fs::read_dir(folder(&project)).expect("something is kept") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canary") && !text.contains("item-0"), "{text}");
    }
    let (report, heard) = resumed(&project);
    assert_eq!(heard.rows(), (0, 5_000), "its sums are kept");
    assert_eq!(figures(stream(&report, "items")), (0, 0, 1));
}

#[test]
fn what_does_not_fit_is_compared_anew_and_told() {
    let project = two_streams();
    let mapping = project.text("mappings/demo/streams.toml");
    stopped_after(&project, "more", 2_000);
    let changed = mapping.replacen("same_name_columns", "where = \"amount > 0\"\nsame_name_columns", 1);
    project.write("mappings/demo/streams.toml", &changed);
    let (report, heard) = resumed(&project);
    assert!(
        heard.warned("its mapping, or the shape of its tables, has changed"),
        "{:?}",
        heard.warnings
    );
    assert_eq!(heard.rows(), (5_000, 0));
    assert!(heard.before["more"] > 0, "the other one goes on");
    is_equal(&report);
    // Other rows are asked for.
    stopped_after(&project, "more", 2_000);
    let other = Sitting {
        options: VerifyOptions {
            condition: Some("amount > 1".to_owned()),
            ..VerifyOptions::default()
        },
        ..going_on()
    };
    let (report, heard) = sit(&project, other);
    assert!(
        report.is_ok() && heard.warned("nothing to go on from"),
        "{:?}",
        heard.warnings
    );
    // Nobody asked to go on: nothing old is told.
    let (report, heard) = sit(&project, Sitting::default());
    assert!(heard.skipped.is_empty() && heard.before.is_empty());
    assert!(only_new(&report.expect("a verification")));
    assert_eq!(kept(&project), 0);
    let (_, heard) = resumed(&project);
    assert!(heard.warned("nothing to go on from"), "{:?}", heard.warnings);
    // What was kept is broken, or another version's.
    stopped_after(&project, "more", 2_000);
    for entry in std::fs::read_dir(folder(&project)).expect("something is kept") {
        std::fs::write(entry.expect("an entry").path(), "{}").expect("writable");
    }
    let (report, heard) = resumed(&project);
    assert!(heard.warned("cannot be read"), "{:?}", heard.warnings);
    is_equal(&report.clone());
    assert!(only_new(&report));
}

/// Nothing of an earlier sitting is in it.
fn only_new(report: &VerifyReport) -> bool {
    let notes = report.streams.iter().flat_map(|verdict| &verdict.notes);
    !notes.into_iter().any(|note| note.contains("sitting"))
}

#[test]
fn a_place_that_cannot_be_written_keeps_no_verification_from_its_end() {
    let project = between_sqlite(3_000);
    project.write(".state/sittings", "a file");
    let (report, heard) = sit(&project, Sitting::default());
    is_equal(&report.expect("a verification"));
    assert!(
        heard.warned("cannot be noted") && heard.warnings.len() == 1,
        "{:?}",
        heard.warnings
    );
}

/// Waits until the program has noted a piece, and signals it.
fn signalled(project: &Project, signal: &str) -> Child {
    let child = project.start(&["verify", "mappings/demo"]);
    let state = project.path(".state/dbferry/verify/demo-development");
    until("a piece is noted", || {
        let entries = std::fs::read_dir(&state).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.extension().is_some_and(|ending| ending == "source"))
    });
    let status = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
    child
}

#[test]
fn the_program_says_how_to_go_on_and_goes_on_even_if_it_was_killed() {
    let project = between_sqlite(60_000);
    let config = project.text("config/development.toml").replace("65536", "1048576");
    project.write("config/development.toml", &config);
    let ended = Ended::of_child(signalled(&project, "-TERM"));
    ended.expect(130).says("next:").says("dbferry verify mappings/demo --resume");
    let killed = Ended::of_child(signalled(&project, "-KILL"));
    assert_eq!(killed.code, None);
    let ended = project.run(&["verify", "mappings/demo", "--resume"]);
    ended.expect(0).says("items: goes on after");
    assert!(!project.path(".state/dbferry/verify/demo-development").exists());
    let ended = project.run(&["verify", "mappings/demo", "--resume"]);
    ended.expect(0).says("nothing to go on from");
}
