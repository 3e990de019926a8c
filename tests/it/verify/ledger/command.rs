//! `verify --ledger` as its user runs it: exit codes, documents, what is masked, and what it goes with.

use dbferry::verify::ledger::report::json_schema;
use serde_json::Value;

use super::{in_hundreds, moved_into_sqlite};
use crate::items;

const CHECK: [&str; 3] = ["verify", "mappings/demo", "--ledger"];

fn json(project: &crate::harness::Project, more: &[&str], code: i32) -> Value {
    let document = project
        .run(&[&CHECK[..], more, &["--output", "json"]].concat())
        .expect(code)
        .json();
    let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
    let faults: Vec<_> = schema.iter_errors(&document).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    document
}

#[test]
fn what_is_touched_and_what_is_not_have_their_exit_codes() {
    let project = moved_into_sqlite(500);
    let unchanged = json(&project, &[], 0);
    assert_eq!(
        (&unchanged["status"], &unchanged["error"]),
        (&"unchanged".into(), &Value::Null)
    );
    let text = project.run(&CHECK);
    text.expect(0).says("being compared");
    assert!(
        text.stdout
            .contains("5 batches of 1 stream hold what was committed, 500 rows"),
        "{}",
        text.stdout
    );
    assert!(!text.stdout.contains("equal"), "it never says so: {}", text.stdout);

    project.sqlite(
        "out.db",
        "update items set amount = amount + 1 where id in ('item-00000150', 'item-00000350')",
    );
    let changed = json(&project, &["--max-differences", "1"], 5);
    let stream = &changed["streams"][0];
    assert_eq!(
        (&changed["status"], &stream["changed"], &stream["not_listed"]),
        (&"changed".into(), &2.into(), &1.into())
    );
    assert_eq!(stream["findings"][0]["sequence"], 2);
    let text = project.run(&CHECK);
    text.expect(5).says("next:").says("dbferry verify mappings/demo --only items");
    assert!(text.stdout.contains("changed  batch 4: 100 rows"), "{}", text.stdout);
    json(&project, &["--only", "items"], 5);
}

#[test]
fn where_nothing_was_committed_nothing_is_called_unchanged() {
    let project = items::into_sqlite(5);
    let nothing = json(&project, &[], 5);
    assert_eq!(nothing["status"], "unchecked");
    assert_eq!(nothing["streams"][0]["notes"][0], "nothing of it was ever committed");
}

#[test]
fn keys_of_personal_columns_are_masked() {
    let project = items::into_sqlite(300);
    in_hundreds(&project);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name_columns", "pii = [\"id\"]\nsame_name_columns"),
    );
    project.run(&["run", "mappings/demo"]).expect(0);
    project.sqlite("out.db", "update items set amount = amount + 1 where id = 'item-00000150'");
    let document = project.run(&[&CHECK[..], &["--output", "json"]].concat());
    let text = project.run(&CHECK);
    for shown in [&document.stdout, &document.stderr, &text.stdout, &text.stderr] {
        assert!(!shown.contains("item-"), "{shown}");
    }
    assert!(text.stdout.contains("from id masked to id masked"), "{}", text.stdout);
}

#[test]
fn it_goes_with_nothing_that_asks_another_question() {
    let project = items::into_sqlite(5);
    for more in [
        &["--sample", "5"][..],
        &["--where", "true"],
        &["--for", "user=1"],
        &["--recheck", "2"],
        &["--report", "report.html"],
        &["--resume"],
    ] {
        project
            .run(&[&CHECK[..], more].concat())
            .expect(2)
            .says("'--ledger' cannot be used with");
    }
}
