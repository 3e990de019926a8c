//! The sample of the nostria project: its page speaks of every document, an account takes them all,
//! and the target's migrations go up and down.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::harness::{Cosmos, DOCUMENTS};
use crate::harness::{Database, repository, text};

const FOLDER: &str = "mappings/nostria/sample";

/// Types that the project moves.
const TYPES: [&str; 7] = [
    "account",
    "backup-job",
    "notification-log",
    "notification-settings",
    "notification-subscription",
    "payment",
    "user-settings",
];

fn documents(file: &str) -> Vec<Value> {
    let lines = text(&format!("{FOLDER}/{file}"));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}"));
    lines.lines().map(parse).collect()
}

fn type_of(document: &Value) -> String {
    document["type"].as_str().unwrap_or("(none)").to_owned()
}

fn id_of(document: &Value) -> String {
    document["id"].as_str().expect("an id").to_owned()
}

/// Cells of the page's tables with so many columns, without the titles.
fn table(columns: usize) -> Vec<Vec<String>> {
    let page = text(&format!("{FOLDER}/README.md"));
    let rows = page.lines().filter(|line| line.starts_with("| ")).map(|line| {
        let cells = line
            .trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>()
    });
    rows.filter(|cells| cells.len() == columns && cells[0] != "type").collect()
}

#[test]
fn the_page_says_of_every_trap_what_becomes_of_it() {
    let listed: BTreeMap<String, String> = table(4).into_iter().map(|row| (row[1].clone(), row[0].clone())).collect();
    let traps: BTreeMap<String, String> = documents("traps.jsonl")
        .iter()
        .map(|trap| (id_of(trap), type_of(trap)))
        .collect();
    let differ = |id: &&String| traps[*id] != listed[*id] && TYPES.contains(&listed[*id].as_str());
    assert_eq!(traps.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    assert_eq!(traps.keys().filter(differ).collect::<Vec<_>>(), Vec::<&String>::new());
    for row in table(4) {
        let becomes = &row[3];
        let known = ["moved", "rejected: ", "not covered: "]
            .iter()
            .any(|start| becomes.starts_with(start));
        assert!(known, "{}: {becomes}", row[1]);
    }
}

#[test]
fn the_page_counts_the_documents() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (file, is_trap) in [("documents.jsonl", false), ("traps.jsonl", true)] {
        for document in documents(file) {
            let known = TYPES.contains(&type_of(&document).as_str());
            let name = if known { type_of(&document) } else { "others".to_owned() };
            let count = counts.entry(name).or_default();
            if is_trap { count.1 += 1 } else { count.0 += 1 }
        }
    }
    let counted = |row: Vec<String>| Some((row[0].clone(), (row[1].parse().ok()?, row[2].parse().ok()?)));
    let told: BTreeMap<String, (usize, usize)> = table(3).into_iter().filter_map(counted).collect();
    assert_eq!(told, counts);
}

#[test]
fn an_account_takes_the_sample() {
    let cosmos = Cosmos::nostria();
    let mut keys = BTreeSet::new();
    for file in ["documents.jsonl", "traps.jsonl"] {
        let all = documents(file);
        assert_eq!(cosmos.seed(DOCUMENTS, &text(&format!("{FOLDER}/{file}"))), all.len() as u64);
        for document in all {
            let pubkey = document.get("pubkey").map(ToString::to_string);
            assert!(keys.insert((pubkey, id_of(&document))), "{} twice", id_of(&document));
        }
    }
    let changes = documents("changes.jsonl");
    assert_eq!(
        cosmos.seed(DOCUMENTS, &text(&format!("{FOLDER}/changes.jsonl"))),
        changes.len() as u64
    );
    let listed: BTreeSet<String> = table(3).into_iter().map(|row| row[1].clone()).collect();
    assert!(changes.iter().all(|change| listed.contains(&id_of(change))));
}

#[test]
fn the_target_is_made_and_taken_away() {
    let database = Database::create();
    let tables = "select count(*)::text from information_schema.tables where table_schema = 'public'";
    let folder = repository("mappings/nostria/migrations/nostria");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("migrations")
        .filter_map(|entry| entry.expect("readable").file_name().into_string().ok())
        .collect();
    names.sort();
    let apply = |name: &String| database.query(&text(&format!("mappings/nostria/migrations/nostria/{name}")));
    names
        .iter()
        .filter(|name| name.ends_with(".up.sql"))
        .map(apply)
        .for_each(drop);
    assert_eq!(database.value(tables), TYPES.len().to_string());
    names
        .iter()
        .rev()
        .filter(|name| name.ends_with(".down.sql"))
        .map(apply)
        .for_each(drop);
    assert_eq!(database.value(tables), "0");
}
