//! Repair: what a verification has named is mended by key, and nothing else is touched.

use serde_json::Value;

use crate::harness::{Ended, Project, sqlite_rows};
use crate::items;

mod between;
mod postgres;

/// Verifies into `r.json`, which finds differences.
pub(crate) fn reported(project: &Project, more: &[&str]) -> Ended {
    let ended = project.run(&[&["verify", "mappings/demo", "--report", "r.json", "--output", "json"], more].concat());
    ended.expect(5);
    ended
}

/// Repairs by `r.json` without being asked; the document.
#[track_caller]
pub(crate) fn repaired(project: &Project, more: &[&str], code: i32) -> Value {
    let words = ["repair", "r.json", "--yes", "--output", "json"];
    project.run(&[&words, more].concat()).expect(code).json()
}

/// Some figures of the one stream of a document.
#[track_caller]
fn figures<const N: usize>(document: &Value, names: [&str; N]) -> [u64; N] {
    assert_eq!(document["streams"].as_array().map(Vec::len), Some(1), "{document:#}");
    names.map(|name| {
        document["streams"][0][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {document:#}"))
    })
}

const PROPOSED: [&str; 5] = ["insert", "correct", "delete", "extra", "equal"];
const DONE: [&str; 4] = ["inserted", "corrected", "deleted", "rejected"];

/// Items moved into SQLite, and one fault of every kind.
fn spoiled() -> Project {
    let project = items::into_sqlite(30);
    project.run(&["run", "mappings/demo"]).expect(0);
    project.sqlite(
        "out.db",
        "update items set amount = amount + 1 where id = 'item-00000003';
         delete from items where id = 'item-00000004';
         insert into items select 'item-9', amount, price, note, made, flag, doc from items where id = 'item-00000005';",
    );
    project
}

fn rows(project: &Project) -> Vec<String> {
    sqlite_rows(&project.path("out.db"), items::ALL_ROWS.replace("::text", "").as_str())
}

fn verifies(project: &Project) {
    project.run(&["verify", "mappings/demo"]).expect(0);
}

#[test]
fn what_a_report_names_is_mended_and_extra_rows_only_where_that_is_asked_for() {
    let project = spoiled();
    reported(&project, &[]).says("dbferry repair r.json");
    let before = rows(&project);
    let dry = project.run(&["repair", "r.json", "--dry-run"]);
    dry.expect(0).says("do it").says("dbferry repair r.json");
    for shown in ["to insert", "to correct", "extra, left alone", "planned: nothing was written"] {
        assert!(dry.stdout.contains(shown), "{shown}:\n{}", dry.stdout);
    }
    let alone = project.run(&["repair", "r.json"]);
    alone.expect(2).says("nobody is there to agree").says("--yes");
    assert!(
        alone.stdout.contains("to insert"),
        "the plan is shown first: {}",
        alone.stdout
    );
    assert_eq!(rows(&project), before, "nothing was written");

    let mended = repaired(&project, &[], 5);
    assert_eq!(mended["status"], "left");
    assert_eq!(figures(&mended, PROPOSED), [1, 1, 0, 1, 0]);
    assert_eq!(figures(&mended, DONE), [1, 1, 0, 0]);
    assert_eq!(
        mended["streams"][0]["left"],
        serde_json::json!({"missing": 0, "extra": 1, "different": 0})
    );
    assert_eq!(rows(&project).len(), 31);

    let deleted = repaired(&project, &["--delete-extra"], 0);
    assert_eq!(deleted["status"], "done");
    assert_eq!(figures(&deleted, PROPOSED), [0, 0, 1, 0, 2]);
    assert_eq!(figures(&deleted, DONE), [0, 0, 1, 0]);
    verifies(&project);

    let again = repaired(&project, &["--delete-extra"], 0);
    assert_eq!(figures(&again, PROPOSED), [0, 0, 0, 0, 3]);
    assert_eq!(again["run"], Value::Null, "nothing to write, no run");
    let run = mended["run"].as_str().expect("a run");
    let shown = project.run(&["runs", "show", run, "mappings/demo"]);
    assert!(shown.expect(0).stdout.contains("repaired"), "{}", shown.stdout);
    let run = deleted["run"].as_str().expect("a run");
    let shown = project.run(&["runs", "show", run, "mappings/demo"]);
    assert!(shown.expect(0).stdout.contains("deleted"), "{}", shown.stdout);
    // A run afterwards has nothing to do with it.
    project.run(&["run", "mappings/demo"]).expect(0);
    verifies(&project);
}

#[test]
fn what_has_changed_since_the_report_counts_as_it_is_now() {
    let project = spoiled();
    reported(&project, &[]);
    // The missing row and the one that differs are deleted in the source meanwhile; another is not
    // missing any more.
    project.sqlite("app.db", "delete from items where id in ('item-00000003', 'item-00000004')");
    let mended = repaired(&project, &[], 5);
    assert_eq!(figures(&mended, PROPOSED), [0, 0, 0, 2, 1]);
    assert!(
        !rows(&project).iter().any(|row| row.contains("item-00000004")),
        "not resurrected"
    );
    let mended = repaired(&project, &["--delete-extra"], 0);
    assert_eq!(figures(&mended, DONE), [0, 0, 2, 0]);
    verifies(&project);
}

#[test]
fn keys_that_are_personal_are_found_by_their_hashes() {
    let project = spoiled();
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name_columns", "pii = [\"id\", \"note\"]\nsame_name_columns"),
    );
    reported(&project, &[]);
    assert!(!project.text("r.json").contains("item-0000"), "no key is in the report");
    let ended = project.run(&["repair", "r.json", "--yes", "--delete-extra"]);
    ended.expect(0);
    for shown in [&ended.stdout, &ended.stderr] {
        assert!(!shown.contains("item-"), "{shown}");
    }
    verifies(&project);
}

#[test]
fn what_is_not_the_report_of_today_is_refused() {
    let project = spoiled();
    reported(&project, &[]);
    let refused = |arguments: &[&str], text: &str| {
        let ended = project.run(&[&["repair"], arguments, &["--yes"]].concat());
        ended.expect(2).says(text);
    };
    refused(&["none.json"], "the report none.json cannot be read");
    project.write("page.html", "<!doctype html>");
    refused(&["page.html"], "give the .json");
    project.write("other.json", "{\"format\": 1,\n \"id\": 2}");
    refused(&["other.json"], "is no report of a verification, at line 2");
    refused(
        &["r.json", "--only", "nothing"],
        "the report tells nothing of a stream `nothing`",
    );
    let config = project.text("config/development.toml");
    project.write("config/other.toml", &config);
    refused(&["r.json", "--env", "other"], "the report is of environment `development`");
    project.write(
        "older.json",
        &project.text("r.json").replacen("\"format\": 1", "\"format\": 99", 1),
    );
    refused(&["older.json"], "a report of form 99");
    project.write("named.json", &project.text("r.json").replacen("\"demo\"", "\"game\"", 1));
    refused(&["named.json", "mappings/demo"], "the report is of project `game`");
    let before = rows(&project);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("id = \"id\"", "id = \"id\"\nnote = \"upper(note)\""),
    );
    refused(&["r.json"], "stream `items` is not what it was when it was verified");
    assert_eq!(rows(&project), before);
}

#[test]
fn differences_that_are_not_listed_are_told_and_stay() {
    let project = spoiled();
    reported(&project, &["--max-differences", "1"]);
    let ended = project.run(&["repair", "r.json", "--yes", "--delete-extra"]);
    ended
        .expect(0)
        .says("2 differences that the report counts and does not list stay");
    project.run(&["verify", "mappings/demo"]).expect(5);
    reported(&project, &["--max-differences", "0"]);
    let ended = project.run(&["repair", "r.json", "--yes"]);
    ended
        .expect(0)
        .says("2 differences that the report counts and does not list stay");
}

/// Streams into a table that has no key, and from a source that has none.
const WITHOUT_KEYS: &str = r#"
[[stream]]
name = "notes"
from = "app.items"
to = "target.notes"
key = ["id"]
same_name_columns = true

[[stream]]
name = "log"
to = "target.log"
key = ["id"]
same_name_columns = true

[stream.query]
connection = "app"
sql = "select id, note from items"
"#;

#[test]
fn a_stream_whose_rows_are_not_found_by_key_is_refused_by_name_and_the_others_go_on() {
    let project = items::into_sqlite(30);
    project.sqlite(
        "out.db",
        "create table notes (id text not null, note text); create table log (id text primary key not null, note text)",
    );
    project.write("mappings/demo/streams.toml", &format!("{}{WITHOUT_KEYS}", items::MAPPING));
    project.run(&["run", "mappings/demo"]).expect(0);
    project.sqlite(
        "out.db",
        "delete from items where id = 'item-00000004'; delete from notes where id = 'item-00000005';
         delete from log where id = 'item-00000006'",
    );
    reported(&project, &[]);
    let mended = repaired(&project, &[], 5);
    let stream = |name: &str| {
        let streams = mended["streams"].as_array().expect("streams").iter();
        streams.clone().find(|stream| stream["name"] == name).expect(name).clone()
    };
    assert_eq!(stream("items")["inserted"], 1, "{mended:#}");
    for (name, text) in [
        ("notes", "does not keep (id) unique"),
        ("log", "`dbferry run mappings/demo --only log --restart`"),
    ] {
        let why = stream(name)["refused"].as_str().expect("why").to_owned();
        assert!(why.contains(text), "{why}");
    }
    let only = repaired(&project, &["--only", "items"], 0);
    assert_eq!(figures(&only, PROPOSED), [0, 0, 0, 0, 1]);
}

#[test]
fn streams_of_one_table_are_united_and_a_row_of_either_is_not_extra() {
    let project = items::into_sqlite(30);
    let one = |name: &str, condition: &str| {
        items::MAPPING
            .replace("name = \"items\"", &format!("name = \"{name}\""))
            .replace("same_name_columns", &format!("where = \"{condition}\"\nsame_name_columns"))
    };
    let streams = one("low", "id < 'item-00000010'") + &one("high", "id >= 'item-00000010'");
    project.write("mappings/demo/streams.toml", &streams);
    project.run(&["run", "mappings/demo"]).expect(0);
    let moved = rows(&project);
    project.sqlite(
        "out.db",
        "delete from items where id in ('item-00000004', 'item-00000020');
         insert into items select 'item-9', amount, price, note, made, flag, doc from items where id = 'item-00000005'",
    );
    reported(&project, &[]);
    let only = project.run(&["repair", "r.json", "--yes", "--delete-extra", "--only", "high"]);
    only.expect(0);
    assert_eq!(rows(&project).len(), 30, "only one row came, and none went");
    let mended = repaired(&project, &["--delete-extra"], 0);
    let sum = |name: &str| {
        let streams = mended["streams"].as_array().expect("streams").iter();
        streams.map(|stream| stream[name].as_u64().expect(name)).sum::<u64>()
    };
    assert_eq!([sum("inserted"), sum("deleted"), sum("equal")], [1, 1, 1], "{mended:#}");
    assert_eq!(rows(&project), moved);
    verifies(&project);
}

#[test]
fn in_sqlite_too_a_row_that_others_refer_to_stays_and_a_family_goes_together() {
    let project = spoiled();
    project.sqlite(
        "out.db",
        "create table parts (item text references items on delete cascade, rank integer);
         insert into parts values ('item-9', 1);
         insert into items select 'item-8', amount, price, note, made, flag, doc from items where id = 'item-00000005';",
    );
    reported(&project, &[]);
    let ended = project.run(&["repair", "r.json", "--yes", "--delete-extra"]);
    ended
        .expect(5)
        .says("items: 1 row could not be deleted: rows refer to them by foreign key (item) of table `parts`");
    assert_eq!(sqlite_rows(&project.path("out.db"), "select item from parts").len(), 1);
    assert_eq!(rows(&project).len(), 31, "the other one is gone");
    project.sqlite("out.db", "delete from parts");
    let mended = repaired(&project, &["--delete-extra"], 0);
    assert_eq!(figures(&mended, DONE), [0, 0, 1, 0]);
    verifies(&project);
}

#[test]
fn a_stream_that_is_not_complete_is_left_to_a_run() {
    let project = items::into_sqlite(30);
    project.sqlite("app.db", "update items set price = 'cheap' where id = 'item-00000020'");
    project.run(&["run", "mappings/demo", "--batch-size", "5"]).expect(4);
    reported(&project, &[]);
    let mended = repaired(&project, &[], 5);
    let why = mended["streams"][0]["refused"].as_str().expect("why");
    assert!(why.contains("it is not complete"), "{why}");
}
