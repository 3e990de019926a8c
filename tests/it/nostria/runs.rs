//! What a copy asks of the account, and what other commands do with the project.

use super::*;
use crate::cosmos::harness::of_kind;
use crate::emulator::kind::Kind as Asked;
use crate::harness::sqlite_rows;

#[test]
fn seven_streams_share_one_pass_over_the_container() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    let report = nostria.run(&["run", "--apply-schema", "--output", "json"]).expect(0).json();
    let log = nostria.cosmos.log();
    let queries = of_kind(&log, Asked::Query);
    let all = documents("documents.jsonl").len() as u64;
    let read: u64 = queries.iter().filter_map(|query| query.documents).sum();
    assert_eq!(read, all, "every document is paid for once: {queries:?}");
    for partition in nostria.cosmos.partitions(DOCUMENTS) {
        let pages = queries
            .iter()
            .filter(|query| query.partition.as_deref() == Some(&partition.to_string()));
        let begun = pages.filter(|query| !query.continued).count();
        assert_eq!(begun, 1, "partition {partition}: {queries:?}");
    }
    assert_eq!(of_kind(&log, Asked::Read).len(), 0, "{log:?}");
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(7));
    // The keys are back.
    let keys = "select count(*) from pg_constraint where contype = 'f' and convalidated and conrelid::regclass::text in ('backup_jobs', 'notification_logs')";
    assert_eq!(nostria.database.value(keys), "2");

    nostria.cosmos.clear_log();
    let again = nostria.run(&["run"]);
    again.expect(0);
    assert_eq!(again.stdout.matches("complete before").count(), 7, "{}", again.stdout);
    assert!(of_kind(&nostria.cosmos.log(), Asked::Query).is_empty());
}

#[test]
fn a_dry_run_says_what_would_be_and_leaves_nothing() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    nostria.run(&["schema", "apply"]).expect(0);
    let counts = |report: &Value| {
        let streams = report["streams"].as_array().expect("streams");
        let count = |stream: &Value| {
            let number = |name: &str| stream[name].as_u64().expect("a number");
            (
                stream["name"].as_str().expect("a name").to_owned(),
                (number("read"), number("inserted"), number("rejected")),
            )
        };
        streams.iter().map(count).collect::<BTreeMap<_, _>>()
    };
    let rehearsed = nostria.run(&["run", "--dry-run", "--output", "json"]).expect(4).json();
    for kind in &KINDS {
        assert!(nostria.ids(kind.table).is_empty(), "{}", kind.table);
    }
    let ledger = "select count(*) from pg_tables where schemaname = 'dbferry' and tablename = 'checkpoint'";
    if nostria.database.value(ledger) == "1" {
        assert_eq!(nostria.database.value("select count(*) from dbferry.checkpoint"), "0");
        assert_eq!(nostria.database.value("select count(*) from dbferry.reject"), "0");
    }
    let report = nostria.run(&["run", "--output", "json"]).expect(4).json();
    assert_eq!(counts(&rehearsed), counts(&report));
    assert_eq!(rehearsed["not_covered"], report["not_covered"]);
}

#[test]
fn the_plan_knows_of_nothing_that_was_forgotten() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    nostria.run(&["schema", "apply"]).expect(0);
    let plan = nostria.run(&["plan", "--strict", "--output", "json"]).expect(0).json();
    let streams = plan["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 7);
    assert_eq!(plan["findings"].as_array().map(Vec::len), Some(0), "{plan}");
    let notes = |name: &str| {
        let stream = streams.iter().find(|stream| stream["name"] == name).expect("a stream");
        stream["notes"].to_string()
    };
    assert!(
        notes("backup_jobs").contains("filled in the same pass over the source"),
        "{}",
        notes("backup_jobs")
    );
    assert!(!notes("payments").contains("left out"), "{}", notes("payments"));
    assert_eq!(nostria.ids("accounts").len(), 0);
}

#[test]
fn what_was_mended_follows_with_what_refers_to_it() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    nostria.run(&["run", "--apply-schema"]).expect(4);
    let account = "account-ffffffff00000000000000000000000000000000000000000000000000000018";
    assert!(!nostria.ids("accounts").contains(account));
    // Its tier is there now.
    nostria.cosmos.seed(DOCUMENTS, &text(&format!("{SAMPLE}/changes.jsonl")));
    nostria.run(&["run", "--retry-rejects"]).expect(4);
    assert!(nostria.ids("accounts").contains(account));
    assert!(nostria.ids("backup_jobs").contains("trap-job-rejected-account"));
    let rejects = nostria.rejects();
    assert!(!rejects.contains_key(account) && !rejects.contains_key("trap-job-rejected-account"));
    assert!(rejects.contains_key("trap-job-orphan-1"));
}

#[test]
fn a_connection_string_enters_the_account_as_well() {
    let mut nostria = Nostria::seeded(&["documents.jsonl"]);
    let url = nostria.cosmos.url().to_owned();
    nostria.project.set(
        "COSMOS_CONNECTION_STRING",
        &format!("AccountEndpoint={url};AccountKey={KEY};"),
    );
    nostria.project.set("COSMOS_KEY", "");
    nostria.run(&["run", "--apply-schema", "--only", "payments"]).expect(0);
    assert_eq!(nostria.ids("payments").len(), 26);
}

#[test]
fn changes_follow_a_copy_until_the_target_equals_the_source() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    nostria.run(&["run", "--apply-schema"]).expect(4);
    nostria.cosmos.seed(DOCUMENTS, &text(&format!("{SAMPLE}/changes.jsonl")));
    nostria.cosmos.clear_log();
    nostria.run(&["run", "--since-last"]).expect(4);
    assert!(
        of_kind(&nostria.cosmos.log(), Asked::Query).is_empty(),
        "nothing is copied again"
    );
    let changes = documents("changes.jsonl");
    let rows: BTreeMap<&str, Rows> = KINDS.iter().map(|kind| (kind.table, nostria.rows(kind))).collect();
    let is_unchanged = |document: &&Value| !changes.iter().any(|change| change["id"] == document["id"]);
    for document in documents("documents.jsonl").iter().filter(is_unchanged).chain(&changes) {
        let kind = kind(document["type"].as_str().expect("a type")).expect("one of the seven");
        rows[kind.table].holds(kind, document, None);
    }
    // Its account has a tier by now, and is there.
    assert!(nostria.ids("backup_jobs").contains("trap-job-rejected-account"));
    let again = nostria.run(&["run", "--since-last", "--output", "json"]).expect(4).json();
    let sum = |name: &str| {
        let streams = again["streams"].as_array().expect("streams");
        streams.iter().filter_map(|stream| stream[name].as_u64()).sum::<u64>()
    };
    assert_eq!((sum("inserted"), sum("updated")), (0, 0), "{again}");
}

#[test]
fn a_file_takes_one_stream_after_the_other() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    let config = "config/embedded.toml";
    nostria.project.write(config, &text(config));
    nostria.run(&["run", "--env", "embedded", "--apply-schema"]).expect(0);
    let all = documents("documents.jsonl").len() as u64;
    let log = nostria.cosmos.log();
    let read: u64 = of_kind(&log, Asked::Query).iter().filter_map(|query| query.documents).sum();
    assert_eq!(read, 7 * all, "a file has one writer");
    let file = nostria.project.path("nostria.db");
    let rows = |kind: &Kind| sqlite_rows(&file, &format!("select id from {}", kind.table)).len() as u64;
    assert_eq!(KINDS.iter().map(rows).sum::<u64>(), all);
}

#[test]
fn the_runbook_works_from_the_first_command_to_the_last() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    crate::runbook::follow("nostria", &nostria.project);
}
