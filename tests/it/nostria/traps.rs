//! A copy of the whole sample: every document is found again, in the target or among the rejects,
//! or is counted as not covered.

use super::*;
use crate::cosmos::harness::of_kind;
use crate::emulator::kind::Kind as Asked;

/// A line of the page's table.
struct Trap {
    kind: String,
    id: String,
    becomes: String,
}

fn traps() -> Vec<Trap> {
    let page = text(&format!("{SAMPLE}/README.md"));
    let traps = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [kind, id, _, becomes] = cells.as_slice() else {
            return None;
        };
        Some(Trap {
            kind: (*kind).to_owned(),
            id: id.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
            becomes: (*becomes).to_owned(),
        })
    });
    traps.collect()
}

/// The documents that the page speaks of, by id.
fn samples() -> BTreeMap<String, Value> {
    let documents = documents("traps.jsonl").into_iter();
    documents.map(|document| (id_of(&document).to_owned(), document)).collect()
}

#[test]
fn every_document_ends_as_the_page_says() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    let ended = nostria.run(&["run", "--apply-schema", "--output", "json"]);
    let report = ended.expect(4).json();
    let mut rejects = nostria.rejects();
    let details = details();
    let samples = samples();
    let rows: BTreeMap<&str, Rows> = KINDS.iter().map(|kind| (kind.table, nostria.rows(kind))).collect();
    let moved: BTreeMap<&str, BTreeSet<String>> = KINDS.iter().map(|kind| (kind.name, nostria.ids(kind.table))).collect();
    let mut left: BTreeMap<&str, BTreeSet<String>> = moved.clone();
    let mut take = |kind: &str, id: &str| left.get_mut(kind).is_some_and(|ids| ids.remove(id));

    let mut twins: Vec<(String, bool)> = Vec::new();
    let mut not_covered: BTreeMap<String, u64> = BTreeMap::new();
    for trap in traps() {
        let id = &trap.id;
        let document = samples.get(id).unwrap_or_else(|| panic!("{id} is not in the sample"));
        if trap.becomes.starts_with("not covered: ") {
            *not_covered.entry(trap.kind.clone()).or_default() += 1;
            assert!(
                moved.values().all(|ids| !ids.contains(id)) && !rejects.contains_key(id),
                "{id}"
            );
            continue;
        }
        let kind = kind(&trap.kind).expect("a type that is moved");
        let reject = rejects.remove(id);
        let is_moved = take(kind.name, id);
        assert_eq!(is_moved, reject.is_none(), "{id} is either moved or rejected");
        if let Some(reject) = &reject {
            reject.keeps(kind, document);
        }
        match reject {
            None => rows[kind.table].holds(kind, document, details.moved.get(id)),
            Some(reject) if trap.becomes.contains("as its twin") => {
                assert_eq!(reject.reason, "duplicate", "{id}");
            }
            Some(reject) => {
                let (reason, column) = details.rejected.get(id).unwrap_or_else(|| panic!("{id} has no details"));
                assert_eq!((&reject.reason, &reject.column), (reason, column), "{id}");
            }
        }
        if trap.becomes.contains("as its twin") {
            twins.push((id.clone(), is_moved));
        } else {
            assert_eq!(is_moved, trap.becomes.starts_with("moved"), "{id}: {}", trap.becomes);
        }
    }
    // They stand one below the other.
    for pair in twins.chunks(2) {
        assert_eq!(pair.iter().filter(|(_, moved)| *moved).count(), 1, "{pair:?}");
    }
    assert!(rejects.is_empty(), "{:?}", rejects.keys());
    for document in documents("documents.jsonl") {
        let kind = kind(document["type"].as_str().expect("a type")).expect("one of the seven");
        rows[kind.table].holds(kind, &document, None);
        assert!(take(kind.name, id_of(&document)));
    }
    assert!(left.values().all(BTreeSet::is_empty), "rows of no document: {left:?}");
    for (id, (column, digits)) in details.digits {
        let kind = KINDS.iter().find(|kind| moved[kind.name].contains(&id)).expect("moved");
        let sql = format!("select {column}::text from {} where id = '{id}'", kind.table);
        assert_eq!(nostria.database.value(&sql), digits, "{id}");
    }
    figures_are_right(&report, &not_covered);
    let orphans = details
        .rejected
        .values()
        .filter(|(reason, _)| reason == "foreign_key")
        .count();
    read_once_but_for(&nostria, orphans);
    ended.says("documents of cosmos.documents that no stream takes by /type: Account: 1 document relay-stats: 2 documents (none): 3 documents");
}

impl Reject {
    /// The reject store holds the document whole, under the stream that refused it.
    #[track_caller]
    fn keeps(&self, kind: &Kind, document: &Value) {
        let id = id_of(document);
        assert_eq!(self.stream, kind.table, "{id}");
        let kept: Value = serde_json::from_str(&self.document).expect("a document");
        let own = document.as_object().expect("an object");
        assert!(own.iter().all(|(name, value)| kept.get(name) == Some(value)), "{id}: {kept}");
    }
}

/// Every document was paid for once; only rows that refer to nothing were looked up, one by one.
fn read_once_but_for(nostria: &Nostria, orphans: usize) {
    let log = nostria.cosmos.log();
    let queries = of_kind(&log, Asked::Query);
    let all = documents("documents.jsonl").len() + documents("traps.jsonl").len();
    assert_eq!(queries.iter().filter_map(|query| query.documents).sum::<u64>(), all as u64);
    assert_eq!(of_kind(&log, Asked::Read).len(), orphans, "{log:?}");
}

/// The report adds up to the sample's documents, and lists those that nobody takes.
fn figures_are_right(report: &Value, not_covered: &BTreeMap<String, u64>) {
    let all = (documents("documents.jsonl").len() + documents("traps.jsonl").len()) as u64;
    let of = |stream: &Value, name: &str| stream[name].as_u64().expect("a number");
    let streams = report["streams"].as_array().expect("streams");
    let sum = |name: &str| streams.iter().map(|stream| of(stream, name)).sum::<u64>();
    assert!(streams.iter().all(|stream| of(stream, "read") == all), "{report}");
    assert_eq!(sum("inserted") + sum("rejected") + not_covered.values().sum::<u64>(), all);
    let listed: BTreeMap<String, u64> = report["not_covered"][0]["kinds"]
        .as_array()
        .expect("kinds")
        .iter()
        .map(|kind| (kind["kind"].as_str().unwrap_or("(none)").to_owned(), of(kind, "documents")))
        .collect();
    assert_eq!(listed, *not_covered);
    assert_eq!(
        report["not_covered"].as_array().map(Vec::len),
        Some(1),
        "counted once, not by every stream"
    );
}

#[test]
fn modified_is_when_the_service_wrote_the_document() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    nostria.run(&["run", "--apply-schema"]).expect(0);
    for kind in KINDS.iter().filter(|kind| kind.modified) {
        let table = kind.table;
        // Whole seconds, as milliseconds, of the last minutes.
        let sql = format!(
            "select count(*) from {table} where modified % 1000 <> 0
             or to_timestamp(modified / 1000) not between now() - interval '10 minutes' and now() + interval '1 minute'"
        );
        assert_eq!(nostria.database.value(&sql), "0", "{table}");
    }
}
