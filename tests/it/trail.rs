//! The audit trail of one run: `runs show` tells every batch, from the ledger of whatever the target is.

use serde_json::Value;

use crate::harness::Project;
use crate::items;

/// Batches of the newest run, whose figures must add up to what the run said of itself.
pub(crate) fn batches(project: &Project, run: &Value) -> Vec<Value> {
    let id = run["run"].as_str().expect("an id");
    let shown = project.run(&["runs", "show", &id[..8], "mappings/demo", "--output", "json"]);
    let shown = shown.expect(0).json();
    assert_eq!(shown["run"]["run"], run["run"]);
    assert_eq!(shown["run"]["status"], run["status"]);
    let batches = shown["batches"].as_array().expect("a list").clone();
    for stream in run["streams"].as_array().expect("streams") {
        let of_stream: Vec<&Value> = batches.iter().filter(|batch| batch["stream"] == stream["name"]).collect();
        for figure in ["read", "filtered", "inserted", "updated", "skipped", "rejected"] {
            let sum: u64 = of_stream.iter().map(|batch| batch[figure].as_u64().expect("a figure")).sum();
            assert_eq!(Some(sum), stream[figure].as_u64(), "{figure} of {stream}");
        }
        let sequences: Vec<u64> = of_stream
            .iter()
            .map(|batch| batch["sequence"].as_u64().expect("one"))
            .collect();
        let all: Vec<u64> = (1..=of_stream.len() as u64).collect();
        assert_eq!(sequences, all, "no batch is left out");
    }
    batches
}

fn tells(project: &Project) {
    let run = project.run(&["run", "mappings/demo", "--batch-size", "40", "--output", "json"]);
    let batches = batches(project, &run.expect(0).json());
    assert_eq!(batches.len(), 3);
    for batch in &batches {
        assert_eq!(batch["first_key"].as_array().map(Vec::len), Some(1), "{batch}");
        assert_eq!(batch["digest"].as_str().map(str::len), Some(32), "{batch}");
        assert!(batch["committed_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{batch}");
    }
    let listed = project.run(&["runs", "mappings/demo", "--output", "json"]).expect(0).json();
    let id = listed["runs"][0]["run"].as_str().expect("an id");
    let text = project.run(&["runs", "show", id, "mappings/demo"]);
    text.expect(0);
    assert!(text.stdout.starts_with(&format!("run {id}: done")), "{text:?}");
    assert_eq!(text.stdout.matches(" items ").count(), 3, "{text:?}");
    assert!(!text.stdout.contains("item-0000"), "keys are in the document alone: {text:?}");
}

#[test]
fn a_run_into_sqlite_is_told_batch_by_batch() {
    tells(&items::into_sqlite(100));
}

#[test]
fn a_run_into_postgres_is_told_batch_by_batch() {
    let (project, _database) = items::into_postgres(100);
    tells(&project);
}

#[test]
fn a_run_that_nobody_has_recorded_is_not_made_up() {
    let project = items::into_sqlite(10);
    project
        .run(&["runs", "show", "12345678", "mappings/demo"])
        .expect(2)
        .says("no target of project");
    project.run(&["runs", "show"]).expect(2);
    project.run(&["runs"]).expect(2);
    project.run(&["runs", "--limit", "3"]).expect(2).says("PROJECT");
}
