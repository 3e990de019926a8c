//! The command `verify`, and `run --verify`: exit codes, files, and what is kept out of all of them.

use serde_json::Value;

use crate::harness::Project;
use crate::items;

const VERIFY: [&str; 2] = ["verify", "mappings/demo"];

/// A moved project of so many items whose notes are personal.
fn moved(rows: u32) -> Project {
    let project = items::into_sqlite(rows);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name_columns", "pii = [\"note\"]\nsame_name_columns"),
    );
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

/// Plants a fault of every kind.
fn spoil(project: &Project) {
    project.sqlite(
        "out.db",
        "update items set amount = amount + 1, note = 'canary-of-the-target' where id = 'item-00000003';
         delete from items where id = 'item-00000004';
         insert into items select 'item-9', amount, price, note, made, flag, doc from items where id = 'item-00000005';",
    );
}

fn json(project: &Project, arguments: &[&str], code: i32) -> Value {
    project.run(&[arguments, &["--output", "json"]].concat()).expect(code).json()
}

fn files(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.path("")).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("report") || name.contains(".part"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_equal_and_what_is_not_have_their_exit_codes() {
    let project = moved(20);
    project.run(&VERIFY).expect(0).says("being compared");
    let equal = json(&project, &VERIFY, 0);
    assert_eq!(equal["status"], "equal");
    assert_eq!(equal["streams"][0]["source_rows"], 20);
    assert_eq!(equal["error"], Value::Null);

    spoil(&project);
    let found = json(&project, &VERIFY, 5);
    assert_eq!(found["status"], "different");
    let stream = &found["streams"][0];
    let figures = ["missing", "extra", "different", "rejected"].map(|name| stream[name].as_u64());
    assert_eq!(figures, [Some(1), Some(1), Some(1), Some(0)], "{found:#}");
    let listed = stream["differences"].as_array().expect("a list");
    assert_eq!(listed.len(), 3);
    let schema = jsonschema::validator_for(&dbferry::verify::report::json_schema()).expect("a schema");
    for document in [&equal, &found] {
        let faults: Vec<_> = schema.iter_errors(document).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new());
    }

    let counted = json(&project, &[&VERIFY[..], &["--max-differences", "1"]].concat(), 5);
    assert_eq!(counted["streams"][0]["not_listed"], 2);
    let text = project.run(&VERIFY);
    text.expect(5).says("next:").says("--report verify.html");
    for shown in ["different:", "item-00000004", "masked on both sides"] {
        assert!(text.stdout.contains(shown), "{shown}:\n{}", text.stdout);
    }
    let sampled = json(&project, &[&VERIFY[..], &["--sample", "5"]].concat(), 5);
    assert_ne!(sampled["status"], "equal", "a sample is never equal");
}

#[test]
fn where_nothing_is_compared_nothing_is_called_equal() {
    let project = moved(5);
    let config = project.text("config/development.toml");
    project.write("config/development.toml", &format!("{config}disabled = true\n"));
    let nothing = json(&project, &VERIFY, 5);
    assert_eq!(nothing["status"], "unchecked", "{nothing:#}");
    assert_eq!(nothing["restrictions"][0], "no stream at all");
}

#[test]
fn reports_are_files_and_what_is_personal_is_in_none_of_them() {
    let project = moved(20);
    spoil(&project);
    project.sqlite(
        "app.db",
        "update items set note = 'canary-of-the-source' where id = 'item-00000003'",
    );
    project.write("report.html", "an older one");
    let ended = project.run(
        &[
            &VERIFY[..],
            &["--report", "report.html", "--report", "report.json", "--output", "json"],
        ]
        .concat(),
    );
    ended.expect(5).says("wrote report.html").says("wrote report.json");
    assert_eq!(files(&project), ["report.html", "report.json"]);
    let read = |name: &str| std::fs::read_to_string(project.path(name)).expect("a report");
    let (page, document) = (read("report.html"), read("report.json"));
    assert_eq!(document, ended.stdout, "one document, wherever it goes");
    assert!(page.contains("item-00000003") && page.contains("masked"));
    let text = project.run(&VERIFY);
    for shown in [&page, &document, &ended.stderr, &text.stdout, &text.stderr] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_happens() {
    let project = items::into_sqlite(20);
    for arguments in [
        &["verify", "mappings/demo", "--report", "none/report.html"][..],
        &["run", "mappings/demo", "--verify", "--report", "none/report.html"],
    ] {
        project
            .run(arguments)
            .expect(3)
            .says("the report none/report.html cannot be written");
    }
    let stats = json(&project, &["stats", "mappings/demo"], 0);
    assert_eq!(stats["streams"][0]["status"], "pending", "nothing was moved");
}

#[test]
fn a_verification_that_fails_leaves_the_older_report_and_says_so() {
    let project = moved(5);
    project.write("report.json", "older");
    std::fs::rename(project.path("out.db"), project.path("gone.db")).expect("moved away");
    let ended = project.run(&[&VERIFY[..], &["--report", "report.json", "--output", "json"]].concat());
    let document = ended.expect(3).says("what is in report.json is older").json();
    assert_eq!(document["status"], "failed");
    assert_eq!(files(&project), ["report.json"]);
    assert!(!project.path("out.db").exists(), "a verification makes nothing");
}

#[test]
fn a_run_is_verified_once_it_is_complete() {
    let project = items::into_sqlite(20);
    project.sqlite("app.db", "update items set doc = '{broken' where id = 'item-00000003'");
    let run = ["run", "mappings/demo", "--verify", "--max-rejects", "5"];
    let first = json(&project, &run, 4);
    assert_eq!(first["status"], "rejects");
    assert_eq!(first["verification"]["status"], "equal", "{first:#}");
    assert_eq!(first["verification"]["streams"][0]["rejected"], 1);
    project.run(&VERIFY).expect(0);

    spoil(&project);
    let second = json(&project, &run, 5);
    assert_eq!(second["verification"]["streams"][0]["missing"], 1, "{second:#}");
    let text = project.run(&run);
    text.expect(5);
    let (moved, compared) = text.stdout.split_once("\n\nstream").expect("two tables");
    assert!(
        moved.contains("complete") && compared.contains("different:"),
        "{}",
        text.stdout
    );

    let stopped = items::into_sqlite(20);
    stopped.sqlite("app.db", "update items set doc = '{broken'");
    let ended = stopped.run(&["run", "mappings/demo", "--verify"]);
    ended.expect(4).says("not verified: not everything was moved");
}

#[test]
fn what_is_personal_may_change_without_moving_anything_again() {
    let project = items::into_sqlite(20);
    project.run(&["run", "mappings/demo"]).expect(0);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name_columns", "pii = [\"note\"]\nsame_name_columns"),
    );
    let again = json(&project, &["run", "mappings/demo"], 0);
    assert_eq!(again["streams"][0]["status"], "already_complete");
}
