//! Faults in keys, mended by the report that names them.

use std::collections::BTreeMap;

use ::redis::Value as Reply;
use serde_json::Value;

use super::faults::{ROWS, faults, streams};
use crate::redis::dump::{Dump, assert_same};
use crate::redis::store::Store;
use crate::redis::toy::Toy;

/// Streams of elements that have a place and no key.
const ORDERED: [&str; 2] = ["events", "queues"];

/// All faults at once are mended, but those of lists and streams, which are refused by name.
pub(super) fn mended(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams());
    toy.run(&[]).expect(0);
    let moved = store.dump();
    for command in faults().iter().flat_map(|fault| &fault.commands) {
        store.query::<Reply>(command);
    }
    store.query::<()>(&["PEXPIRE", "j:19", "90000000"]);
    let verify = ["verify", "mappings/demo", "--report", "r.json", "--max-differences", "1000"];
    toy.project.run(&verify).expect(5);
    let words = ["repair", "r.json", "--yes", "--delete-extra", "--output", "json"];
    let report = toy.project.run(&words).expect(5).json();
    let streams: BTreeMap<&str, &Value> = report["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| (stream["name"].as_str().expect("a name"), stream))
        .collect();
    for (name, stream) in &streams {
        if ORDERED.contains(name) {
            let why = stream["refused"].as_str().expect("why");
            assert!(why.contains("its elements have places") && why.contains("--restart"), "{why}");
        } else {
            assert_eq!(stream["refused"], Value::Null, "{stream:#}");
            assert_eq!(
                stream["left"],
                serde_json::json!({"missing": 0, "extra": 0, "different": 0}),
                "{stream:#}"
            );
            assert_eq!(stream["rejected"], 0, "{stream:#}");
        }
    }
    let others: Vec<&str> = streams.keys().copied().filter(|name| !ORDERED.contains(name)).collect();
    let only = others.join(",");
    super::assert_equal(&toy, &["--only", &only]);
    toy.project.run(&["repair", "r.json", "--yes", "--only", &only]).expect(0);
    let keyed = |dump: Dump| -> Dump {
        let ordered = |key: &[u8]| key.starts_with(b"q:") || key.starts_with(b"x:");
        dump.into_iter().filter(|(key, _)| !ordered(key)).collect()
    };
    assert_same(&keyed(store.dump()), &keyed(moved));
}
