//! One user by key: the pages of one partition-key query and nothing else, however many streams want
//! documents of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::harness::Cosmos;
use super::toy::{TOYS, Toy, pages};
use crate::emulator::kind::Kind;
use crate::emulator::log::Entry;

/// Two streams of one container, each with documents of its own kind.
const STREAMS: &str = r#"
[[stream]]
name = "orders"
from = "cosmos.toys"
to = "target.orders"
key = ["id"]
on_conflict = "update"
document = { path = "/type", is = ["order"] }
subject = { owner = "owner = $key" }
fields = { cents = { path = "/cents", type = "bigint", required = true } }
columns = { id = "id", cents = "cents" }

[[stream]]
name = "tags"
from = "cosmos.toys"
to = "target.tags"
key = ["id"]
on_conflict = "update"
document = { path = "/type", is = ["tag"] }
subject = { owner = "owner = $key" }
fields = { label = { path = "/label", type = "text" } }
columns = { id = "id", label = "label" }
"#;

fn with_streams(cosmos: &Cosmos, condition: &str) -> Toy {
    let toy = Toy::into_postgres(cosmos);
    toy.query("create table orders (id text primary key, cents bigint not null)");
    toy.query("create table tags (id text primary key, label text)");
    toy.project
        .write("mappings/demo/streams.toml", &STREAMS.replace("owner = $key", condition));
    toy
}

/// Documents of some owners, three orders to one tag.
fn documents(owners: &[Value], each: u32) -> String {
    let documents = owners.iter().enumerate().flat_map(|(place, owner)| {
        (0..each).map(move |number| {
            let id = format!("{place}-{number}");
            match number % 4 {
                0 => json!({ "id": id, "owner": owner, "type": "tag", "label": "red" }),
                _ => json!({ "id": id, "owner": owner, "type": "order", "cents": number }),
            }
        })
    });
    lines(documents)
}

/// Documents as text, one to a line.
fn lines(documents: impl Iterator<Item = Value>) -> String {
    documents.fold(String::new(), |mut text, document| {
        writeln!(text, "{document}").expect("writing to a string");
        text
    })
}

/// Figures of both streams: read, inserted, updated, skipped, rejected.
#[track_caller]
fn figures(report: &Value) -> [[u64; 5]; 2] {
    ["orders", "tags"].map(|name| {
        let streams = report["streams"].as_array().expect("streams");
        let stream = streams.iter().find(|one| one["name"] == name).expect("the stream");
        ["read", "inserted", "updated", "skipped", "rejected"].map(|name| stream[name].as_u64().expect("a number"))
    })
}

/// That the account was opened, one partition key was asked for, in so many pages, and nothing else.
#[track_caller]
fn asked_only(log: &[Entry], partition_key: &str, page_count: usize) {
    let shown: Vec<_> = log.iter().map(|entry| (entry.kind, &entry.method, &entry.path)).collect();
    let first = log.iter().position(|entry| entry.kind == Kind::Query).expect("a query");
    let (opening, read) = log.split_at(first);
    assert!(
        opening
            .iter()
            .all(|entry| matches!(entry.kind, Kind::Open | Kind::Partitions) && entry.method == "GET"),
        "{shown:?}"
    );
    for path in ["/", "/dbs/shop/colls/Toys"] {
        let times = opening.iter().filter(|entry| entry.path == path).count();
        assert!((1..=2).contains(&times), "{path} {times} times: {shown:?}");
    }
    assert!(opening.len() <= 5, "{shown:?}");
    assert_eq!(read.len(), page_count, "{shown:?}");
    for page in read {
        assert_eq!((page.kind, page.status), (Kind::Query, Some(200)), "{shown:?}");
        assert_eq!(page.partition_key.as_deref(), Some(partition_key), "{shown:?}");
    }
}

#[test]
fn a_user_is_one_query_however_many_streams_want_of_it() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    cosmos.seed(
        TOYS,
        &documents(&[json!("ann"), json!("bob"), json!("o'brien \"100%_\\")], 40),
    );
    let toy = with_streams(&cosmos, "owner = $key");
    let run = |more: &[&str]| {
        cosmos.clear_log();
        let args = [&["run", "mappings/demo", "--for", "owner=ann", "--output", "json"], more].concat();
        let report = toy.project.run(&args).expect(0).json();
        asked_only(&cosmos.log(), r#"["ann"]"#, 1);
        let read: u64 = pages(&cosmos.log()).iter().filter_map(|page| page.documents).sum();
        assert_eq!(read, 40, "documents of nobody else");
        figures(&report)
    };
    let count = || ["orders", "tags"].map(|table| toy.query(&format!("select id from {table}")).len());
    assert_eq!(run(&["--dry-run"]), [[40, 30, 0, 0, 0], [40, 10, 0, 0, 0]]);
    assert_eq!(count(), [0, 0], "nothing is kept of a rehearsal");
    assert_eq!(run(&[]), [[40, 30, 0, 0, 0], [40, 10, 0, 0, 0]]);
    assert_eq!(count(), [30, 10]);
    assert_eq!(
        run(&[]),
        [[40, 0, 0, 30, 0], [40, 0, 0, 10, 0]],
        "a second call changes nothing"
    );
    toy.project
        .run(&["run", "mappings/demo", "--for", "owner=o'brien \"100%_\\"])
        .expect(0)
        .says("one owner");
    assert_eq!(count(), [60, 20]);
    assert!(
        toy.query("select id from orders where id like '1-%'").is_empty(),
        "bob stays where he is"
    );
}

#[test]
fn a_user_with_many_documents_is_one_query_of_several_pages() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    cosmos.seed(TOYS, &documents(&[json!("ann"), json!("bob")], 1500));
    let toy = with_streams(&cosmos, "owner = $key");
    cosmos.clear_log();
    let report = toy
        .project
        .run(&["run", "mappings/demo", "--for", "owner=bob", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(figures(&report), [[1500, 1125, 0, 0, 0], [1500, 375, 0, 0, 0]]);
    asked_only(&cosmos.log(), r#"["bob"]"#, 2);
}

#[test]
fn a_user_that_does_not_exist_is_told() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    cosmos.seed(TOYS, &documents(&[json!("ann"), json!(42)], 4));
    let toy = with_streams(&cosmos, "owner = $key");
    for wanted in ["nobody", "ANN", "42", ""] {
        toy.project
            .run(&["run", "mappings/demo", "--for", &format!("owner={wanted}")])
            .expect(if wanted.is_empty() { 2 } else { 1 })
            .says(if wanted.is_empty() {
                "owner"
            } else {
                "no row belongs to owner"
            });
    }
}

#[test]
fn a_key_that_is_no_text_in_the_documents_is_declared_so() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    cosmos.seed(
        TOYS,
        &documents(&[json!("42"), json!(42), json!(4.25), json!(true), Value::Null], 8),
    );
    for (condition, key, asked) in [
        ("owner = $key", "42", r#"["42"]"#),
        ("owner = cast($key as bigint)", "42", "[42]"),
        ("owner = cast($key as numeric)", "4.250", "[4.25]"),
        ("owner = cast($key as boolean)", "true", "[true]"),
    ] {
        let toy = with_streams(&cosmos, condition);
        cosmos.clear_log();
        let wanted = format!("owner={key}");
        let report = toy
            .project
            .run(&["run", "mappings/demo", "--for", &wanted, "--output", "json"])
            .expect(0)
            .json();
        assert_eq!(figures(&report), [[8, 6, 0, 0, 0], [8, 2, 0, 0, 0]], "{condition}");
        let log = cosmos.log();
        let asked_for: f64 = serde_json::from_str::<Vec<Value>>(pages(&log)[0].partition_key.as_deref().expect("a key"))
            .expect("a list")[0]
            .as_f64()
            .unwrap_or_default();
        let wanted: f64 = serde_json::from_str::<Vec<Value>>(asked).expect("a list")[0]
            .as_f64()
            .unwrap_or_default();
        assert!((asked_for - wanted).abs() < 1e-9, "{condition}: {log:?}");
        asked_only(&log, pages(&log)[0].partition_key.as_deref().expect("a key"), 1);
    }
    let toy = with_streams(&cosmos, "owner = cast($key as bigint)");
    let ended = toy.project.run(&["run", "mappings/demo", "--for", "owner=ann"]);
    ended.expect(2).says("the key given is no number");
}

#[test]
fn of_a_hierarchical_key_the_first_part_is_the_user() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner,/session:4"]);
    let documents = (0..60_u32).map(|number| {
        json!({ "id": number.to_string(), "owner": format!("o{}", number % 3), "session": number % 20,
            "type": if number.is_multiple_of(2) { "order" } else { "tag" }, "cents": 1 })
    });
    cosmos.seed(TOYS, &lines(documents));
    let toy = with_streams(&cosmos, "owner = $key");
    for inserted in [[[20, 10, 0, 0, 0]; 2], [[20, 0, 0, 10, 0]; 2]] {
        cosmos.clear_log();
        let report = toy
            .project
            .run(&["run", "mappings/demo", "--for", "owner=o1", "--output", "json"])
            .expect(0)
            .json();
        assert_eq!(figures(&report), inserted);
        let log = cosmos.log();
        let read: u64 = pages(&log).iter().filter_map(|page| page.documents).sum();
        assert_eq!(read, 20, "documents of nobody else: {log:?}");
        assert!(
            log.iter()
                .all(|entry| matches!(entry.kind, Kind::Open | Kind::Partitions | Kind::Query)),
            "{log:?}"
        );
        let partitions: std::collections::BTreeSet<_> = pages(&log).iter().map(|page| page.partition.clone()).collect();
        assert_eq!(partitions.len(), 1, "the documents of a prefix are in one place: {log:?}");
    }
    let ended = toy.project.run(&["run", "mappings/demo", "--for", "owner=o7"]);
    ended.expect(1).says("no row belongs to owner o7");
}

#[test]
fn a_condition_that_would_read_the_container_is_refused_where_it_stands() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1"]);
    let toy = with_streams(&cosmos, "id = $key");
    let ended = toy
        .project
        .run(&["run", "mappings/demo", "--for", "owner=ann", "--output", "json"]);
    let finding = ended.expect(2).json()["error"]["findings"][0].clone();
    let line = STREAMS.lines().position(|line| line.starts_with("subject")).expect("a line") + 1;
    assert_eq!(
        (finding["line"].as_u64(), finding["column"].as_u64()),
        (Some(line as u64), Some(21)),
        "{finding}"
    );
    ended.says("found by the partition key").says("write `owner = $key`");
    assert!(pages(&cosmos.log()).is_empty(), "nothing was read");
}
