//! Keys compared with the rows that they were made of: equal after a move, and every fault named.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rights::{reset, rights, sent};
use super::store::Store;
use super::toy::{Toy, every_type, items, stream};

mod faults;
mod from_postgres;
mod repaired;

/// Each stream's verdict by its name, and the status of all.
#[track_caller]
fn verified(toy: &Toy, code: i32, more: &[&str]) -> (BTreeMap<String, Value>, String) {
    let args = [&["verify", "mappings/demo", "--output", "json"], more].concat();
    let report = toy.project.run(&args).expect(code).json();
    let streams = report["streams"].as_array().expect("streams").iter();
    let named = streams.map(|stream| (stream["name"].as_str().expect("a name").to_owned(), stream.clone()));
    (named.collect(), report["status"].as_str().expect("a status").to_owned())
}

/// Everything is as it should be, down to the figures.
#[track_caller]
fn assert_equal(toy: &Toy, more: &[&str]) -> BTreeMap<String, Value> {
    let (streams, status) = verified(toy, 0, more);
    assert_eq!(status, "equal");
    for (name, stream) in &streams {
        let figure = |figure: &str| stream[figure].as_u64().unwrap_or_else(|| panic!("{figure}: {stream:#}"));
        for none in ["missing", "extra", "different", "unsettled", "not_listed"] {
            assert_eq!(figure(none), 0, "{name}: {stream:#}");
        }
        let left_out = figure("filtered") + figure("expired") + figure("rejected");
        assert_eq!(figure("source_rows"), left_out + figure("covered_rows"), "{name}: {stream:#}");
        assert_eq!(figure("covered_rows"), figure("target_rows"), "{name}: {stream:#}");
    }
    streams
}

/// What is asked of keys, as docs/verify.md lists it.
const OF_KEYS: [&str; 22] = [
    "scan",
    "dbsize",
    "type",
    "strlen",
    "hlen",
    "scard",
    "zcard",
    "llen",
    "xlen",
    "pttl",
    "pexpiretime",
    "get",
    "hgetall",
    "hmget",
    "sscan",
    "sismember",
    "zrange",
    "zscore",
    "lrange",
    "lindex",
    "xrange",
    "hget",
];
/// What is asked of the ledger besides, of the server, and by the driver; the tests' own.
const BESIDES: [&str; 18] = [
    "hvals",
    "smembers",
    "exists",
    "hscan",
    "info",
    "time",
    "config|get",
    "cluster|slots",
    "ping",
    "auth",
    "hello",
    "select",
    "asking",
    "client|setinfo",
    "client|setname",
    "config|resetstat",
    "cluster|nodes",
    "cluster|myid",
];

/// After a move nothing differs, and nothing is written to find that out.
fn equal_after_a_move(store: &Store) {
    let mut toy = Toy::of(&store.url(), &items(900), &every_type("error"));
    toy.run(&[]).expect(4);
    store.query::<()>(&["SET", "unrelated", "1"]);
    let before = store.dump();
    let keys = store.keys("*");
    reset(store);
    let streams = assert_equal(&toy, &[]);
    let others: Vec<String> = sent(store)
        .into_iter()
        .filter(|name| !OF_KEYS.contains(&name.as_str()) && !BESIDES.contains(&name.as_str()))
        .collect();
    assert_eq!(others, Vec::<String>::new(), "commands besides those that read");
    assert_eq!(store.keys("*"), keys);
    super::dump::assert_same(&store.dump(), &before);
    let figure = |stream: &str, figure: &str| streams[stream][figure].as_u64().expect("a number");
    assert_eq!(figure("profiles", "expired"), 90);
    assert_eq!(figure("everything", "target_rows"), 900);
    assert!(
        figure("names", "rejected") > 5,
        "rows that met in one key are recorded rejects"
    );
    assert_eq!(figure("last", "target_rows"), 7, "of the rows of one key the last counts");

    let rights = rights("dbferry-verify");
    let words: Vec<&str> = rights.iter().map(String::as_str).collect();
    for node in store.masters() {
        node.query::<()>(&[&["ACL", "SETUSER", "reader", "on", ">secret", "~*"], &words[..]].concat());
    }
    let url = store.url().replacen("redis://", "redis://reader:secret@", 1);
    toy.project.set("REDIS_URL", &url);
    assert_equal(&toy, &[]);
}

/// A rehearsal is compared under its prefix, and what is beside it does not matter.
fn rehearsals(store: &Store) {
    let toy = Toy::of(&store.url(), &items(300), &every_type("error"));
    toy.run(&["--key-prefix", "rehearsal"]).expect(4);
    let (streams, status) = verified(&toy, 5, &["--only", "counts"]);
    assert_eq!(status, "different");
    assert_eq!(streams["counts"]["target_rows"], 0, "nothing is there without the prefix");
    store.query::<()>(&["SET", "c:9999", "1"]);
    assert_equal(&toy, &["--key-prefix", "rehearsal"]);
    store.query::<()>(&["SET", "rehearsal:c:9999", "1"]);
    let (streams, _) = verified(&toy, 5, &["--key-prefix", "rehearsal"]);
    assert_eq!(streams["counts"]["extra"], 1);
    assert_eq!(streams["counts"]["differences"][0]["key"][0]["value"]["text"], "c:9999");
    // What it names is repaired among the keys that were compared, and nowhere else.
    let prefixed = |words: &[&'static str]| [words, &["--key-prefix", "rehearsal"]].concat();
    toy.project
        .run(&prefixed(&["verify", "mappings/demo", "--report", "r.json"]))
        .expect(5);
    let repair = ["repair", "r.json", "--yes", "--delete-extra"];
    let refused = toy.project.run(&repair);
    refused.expect(2).says("begin with `rehearsal:`");
    refused.says("add --key-prefix rehearsal");
    toy.project.run(&prefixed(&repair)).expect(0);
    assert_equal(&toy, &["--key-prefix", "rehearsal"]);
    assert_eq!(store.keys("c:*"), ["c:9999"], "a key of somebody else's");
}

/// Keys that several patterns fit belong to one stream.
fn patterns_that_meet(store: &Store) {
    let streams = [
        stream(
            "users",
            "items",
            "key = \"u:{id}\"\ntype = \"string\"\nvalue = [\"raw\"]",
            &["id", "raw"],
        ),
        stream(
            "notes",
            "items",
            "key = \"u:{id}:note\"\ntype = \"string\"\nvalue = [\"points\"]",
            &["id", "points"],
        ),
    ];
    let toy = Toy::of(&store.url(), &items(90), &streams.concat());
    toy.run(&[]).expect(0);
    assert_equal(&toy, &[]);
    assert_equal(&toy, &["--only", "users"]);
    store.query::<()>(&["SET", "u:1000:note", "x"]);
    let (streams, _) = verified(&toy, 5, &[]);
    assert_eq!(streams["users"]["extra"], 0);
    assert_eq!(streams["notes"]["extra"], 1);
}

/// One subject: only its keys are read.
fn subjects(store: &Store) {
    let of = |name: &str, rest: &str, columns: &[&str]| {
        stream(
            name,
            "items",
            &format!("{rest}\nsubject = {{ user = \"id = $key\" }}"),
            columns,
        )
    };
    let streams = [
        of("profiles", "key = \"p:{id}\"\ntype = \"hash\"", &["id", "raw", "points"]),
        of(
            "board",
            "key = \"z\"\ntype = \"zset\"\nvalue = [\"id\"]\nscore = \"points\"",
            &["id", "points"],
        ),
        of("tags", "key = \"tags\"\ntype = \"set\"\nvalue = [\"id\"]", &["id"]),
    ];
    let toy = Toy::of(&store.url(), &items(70), &streams.concat());
    toy.run(&[]).expect(0);
    store.query::<()>(&["HSET", "p:6", "points", "0"]);
    reset(store);
    let (streams, status) = verified(&toy, 0, &["--for", "user=5"]);
    assert_eq!(status, "equal");
    assert!(
        streams
            .values()
            .all(|stream| stream["covered_rows"] == 1 && stream["target_rows"] == 1),
        "{streams:#?}"
    );
    let sent = sent(store);
    assert!(
        !sent.contains("scan") && !sent.contains("sscan") && !sent.contains("zrange"),
        "{sent:?}"
    );
    store.query::<()>(&["HSET", "p:5", "points", "0"]);
    store.query::<()>(&["ZREM", "z", "5"]);
    let (streams, _) = verified(&toy, 5, &["--for", "user=5"]);
    assert_eq!(streams["profiles"]["different"], 1);
    assert_eq!(streams["board"]["missing"], 1);
    assert_eq!(streams["tags"]["status"], "equal");
}

/// A condition and a sample: what is compared by them is told, and what cannot be is named.
fn some_rows(store: &Store) {
    let toy = Toy::of(&store.url(), &items(500), &every_type("error"));
    toy.run(&[]).expect(4);
    let only = "texts,documents,profiles,tags,board,counts,everything,queues,events";
    let condition = ["--where", "id between 30 and 60", "--only", only];
    let (streams, status) = verified(&toy, 5, &condition);
    assert_eq!(status, "unchecked", "lists and streams of entries have no places then");
    for (name, stream) in &streams {
        let is_ordered = ["everything", "queues", "events"].contains(&name.as_str());
        assert_eq!(
            stream["status"],
            if is_ordered { "unchecked" } else { "equal" },
            "{name}: {stream:#}"
        );
    }
    store.query::<()>(&["SET", "c:40", "1000"]);
    store.query::<()>(&["LSET", "queue", "3", "other"]);
    let (streams, _) = verified(&toy, 5, &condition);
    assert_eq!(streams["counts"]["different"], 1);
    let (streams, _) = verified(&toy, 5, &["--sample", "1000000", "--only", "everything,queues,events"]);
    assert_eq!(streams["everything"]["different"], 1);
    assert_eq!(streams["queues"]["different"], 0, "{:#}", streams["queues"]);
    let (streams, _) = verified(
        &toy,
        5,
        &["--recheck", "2", "--wait", "0", "--only", "counts,everything,tags"],
    );
    assert_eq!(streams["counts"]["different"], 1, "{:#}", streams["counts"]);
    assert_eq!(streams["everything"]["different"], 1, "{:#}", streams["everything"]);
    assert_eq!(streams["tags"]["status"], "equal");
}

#[test]
fn some_rows_are_compared_as_far_as_they_can_be() {
    some_rows(&Store::single());
}

#[test]
fn a_server_is_equal_after_a_move_and_only_read() {
    equal_after_a_move(&Store::single());
}

#[test]
fn a_rehearsal_is_compared_under_its_prefix() {
    rehearsals(&Store::single());
}

#[test]
fn a_key_belongs_to_one_stream() {
    patterns_that_meet(&Store::single());
}

#[test]
fn one_subject_costs_its_own_keys() {
    subjects(&Store::single());
}

#[test]
fn every_fault_is_found_and_named() {
    faults::planted(&Store::single());
}

#[test]
fn every_fault_of_what_has_a_key_is_mended() {
    repaired::mended(&Store::single());
}

#[test]
fn a_cluster_is_compared_as_a_server_is() {
    let store = Store::cluster(false);
    for what in [
        equal_after_a_move,
        rehearsals,
        subjects,
        some_rows,
        faults::planted,
        repaired::mended,
    ] {
        what(&store);
        store.clear();
    }
}
