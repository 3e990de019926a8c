//! A place that the service does not accept any more: the range is read again from its beginning,
//! over what is there, and nothing is doubled.

use azure_core::base64::{decode_url_safe, encode_url_safe};
use serde_json::{Value, json};

use super::harness::{Cosmos, fault, status};
use super::toy::{Documents, STREAM, TOYS, Toy, pages, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::harness::until;

const COUNT: u64 = 300;

fn account() -> (Cosmos, Documents) {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
    let (documents, text) = toys(u32::try_from(COUNT).expect("a few"), 60);
    cosmos.seed(TOYS, &text);
    (cosmos, documents)
}

/// A target with some of the documents, as a killed run leaves it.
fn half_done(cosmos: &Cosmos, toy: &Toy) -> u64 {
    // Every range has begun, and none is done.
    cosmos.faults(&["0", "1"].map(|partition| Fault {
        on: vec![Kind::Query],
        partition: Some(partition.to_owned()),
        skip: 4,
        ..fault(What::Hold, 1_000_000)
    }));
    let mut child = toy.project.start_unheard(&["run", "mappings/demo", "--batch-size", "12"]);
    let readers = if toy.has_one_session() { 1 } else { 2 };
    until("a page of every reader that is held", || {
        cosmos.hits().iter().filter(|hits| **hits > 0).count() == readers
    });
    let begun = format!("select count(*) from {} where sequence > 0", toy.ledger("checkpoint"));
    until("a batch of every reader", || toy.query(&begun)[0][0] == readers.to_string());
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
    toy.settle();
    cosmos.faults(&[]);
    let moved = toy.documents().len() as u64;
    assert!(moved > 0 && moved < COUNT, "{moved}");
    moved
}

/// Positions by split, as the target has them.
fn positions(toy: &Toy) -> Vec<(String, Value)> {
    let rows = toy.query(&format!(
        "select cast(split as text), position from {} order by split",
        toy.ledger("checkpoint")
    ));
    let parse = |row: Vec<String>| (row[0].clone(), serde_json::from_str(&row[1]).expect("a position"));
    rows.into_iter().map(parse).collect()
}

fn set_positions(toy: &Toy, positions: &[(String, Value)]) {
    for (split, position) in positions {
        let position = position.to_string().replace('\'', "''");
        toy.execute(&format!(
            "update {} set position = '{position}' where split = {split}",
            toy.ledger("checkpoint")
        ));
    }
}

/// The token with something changed in it.
fn changed(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let text = token.strip_prefix("c1.").expect("a token");
    let bytes = decode_url_safe(text).expect("base64");
    let mut inside: Value = serde_json::from_slice(&bytes).expect("JSON");
    change(&mut inside);
    format!("c1.{}", encode_url_safe(inside.to_string()))
}

/// What may have become of a token, and its name.
fn voids(token: &str) -> Vec<(&'static str, String)> {
    vec![
        ("no base64", "c1.!!!".to_owned()),
        ("cut off", token[..token.len() - 9].to_owned()),
        ("no JSON", format!("c1.{}", encode_url_safe("not JSON"))),
        ("of a later version", token.replacen("c1.", "c2.", 1)),
        ("opaque", "eyJhIjoxfQ==".to_owned()),
        ("empty", String::new()),
        (
            "of another container",
            changed(token, |inside| inside["rid"] = json!("AAAAAAAAAAA=")),
        ),
        (
            "of the change feed",
            changed(token, |inside| inside["op"] = json!("ChangeFeed")),
        ),
        (
            "of another shape",
            changed(token, |inside| inside["root"] = json!({ "kind": "unknown" })),
        ),
    ]
}

#[test]
fn a_range_whose_place_is_void_is_read_again_over_what_is_there() {
    let (cosmos, documents) = account();
    let sample = Toy::into_sqlite(&cosmos);
    half_done(&cosmos, &sample);
    let token = positions(&sample)[0].1["range"]["after"]
        .as_str()
        .expect("a token")
        .to_owned();
    for (number, (name, void)) in voids(&token).into_iter().enumerate() {
        let toy = if number % 2 == 0 {
            Toy::into_sqlite(&cosmos)
        } else {
            Toy::into_postgres(&cosmos)
        };
        half_done(&cosmos, &toy);
        let mut found = positions(&toy);
        for (_, position) in found.iter_mut().filter(|(_, position)| !position["range"]["after"].is_null()) {
            position["range"]["after"] = json!(void);
        }
        set_positions(&toy, &found);
        cosmos.clear_log();
        toy.project.run(&["run", "mappings/demo"]).expect(0);
        assert!(toy.documents() == documents, "{name}");
        // Pages that the killed run was held at may be answered only now.
        let log = cosmos.log();
        let asked = pages(&log).into_iter().filter(|page| page.fault.is_none());
        let read: u64 = asked.filter_map(|page| page.documents).sum();
        assert_eq!(read, COUNT, "{name}: from the beginning");
        assert_eq!(toy.run(&[]), [0; 5], "{name}: complete");
    }
}

#[test]
fn tokens_of_other_ranges_and_those_that_the_service_refuses_are_void() {
    let (cosmos, documents) = account();
    for refused in [false, true] {
        let toy = Toy::into_postgres(&cosmos);
        half_done(&cosmos, &toy);
        if refused {
            // Of each range the page that goes on where the killed run stopped.
            cosmos.faults(&["0", "1"].map(|partition| Fault {
                on: vec![Kind::Query],
                partition: Some(partition.to_owned()),
                continued: Some(true),
                ..status(400, 1)
            }));
        } else {
            let mut found = positions(&toy);
            let of = |place: usize| found[place].1["range"]["after"].clone();
            let (first, second) = (of(0), of(1));
            found[0].1["range"]["after"] = second;
            found[1].1["range"]["after"] = first;
            set_positions(&toy, &found);
        }
        toy.project.run(&["run", "mappings/demo"]).expect(0);
        assert!(toy.documents() == documents);
        assert_eq!(toy.run(&[]), [0; 5]);
        cosmos.faults(&[]);
    }
}

#[test]
fn what_is_there_is_no_conflict_whatever_the_policy() {
    for into in [Toy::into_postgres, Toy::into_sqlite] {
        for policy in ["error", "skip", "update"] {
            let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
            let (documents, text) = toys(500, 40);
            cosmos.seed(TOYS, &text);
            let toy = into(&cosmos);
            let stream = STREAM.replace("key = [", &format!("on_conflict = \"{policy}\"\nkey = ["));
            toy.project.write("mappings/demo/streams.toml", &stream);
            half_done(&cosmos, &toy);
            let checkpoint = toy.ledger("checkpoint");
            let before: u64 = toy.query(&format!("select cast(sum(rows_read) as text) from {checkpoint}"))[0][0]
                .parse()
                .expect("a number");
            assert!((1..500).contains(&before), "{policy}: {before}");
            toy.query(&format!(
                "update {checkpoint} set position = replace(position, '\"after\":\"c1.', '\"after\":\"c1.AA') where position like '%\"after\":\"c1%' returning split"
            ));
            let ended = toy.project.run(&["run", "mappings/demo", "--output", "json"]);
            ended.expect(0).says("read again from its beginning, over what is there");
            let report = ended.json();
            let figure = |name: &str| report["streams"][0][name].as_u64().expect("a figure");
            assert_eq!(
                (figure("read"), figure("inserted"), figure("skipped"), figure("rejected")),
                (500, 500 - before, before, 0),
                "{policy}"
            );
            assert_eq!(toy.documents(), documents, "{policy}");
            let whole =
                format!("select cast(sum(rows_read) as text), cast(min(cast(complete as integer)) as text) from {checkpoint}");
            assert_eq!(toy.query(&whole), [["500", "1"]], "{policy}");
            assert_eq!(toy.run(&[]), [0; 5], "complete before");
            assert_eq!(toy.run(&["--since-last"]), [0; 5]);
        }
    }
}
