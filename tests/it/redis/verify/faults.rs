//! Faults in keys of every type, planted all at once, each found and named, and nothing else.

use std::collections::BTreeSet;

use ::redis::Value as Reply;

use super::verified;
use crate::redis::store::Store;
use crate::redis::toy::{Toy, stream};

/// Sixty rows of three groups.
pub(super) const ROWS: &str = "create table rows (id integer primary key, grp text, name text, note text, points double precision,
      until timestamptz);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 60)
    insert into rows select i, 'g' || (i % 3), 'n' || i, case when i % 3 > 0 then 'note ' || i end, i * 0.1,
      case i when 20 then '2001-02-03 04:05:06Z' else '2099-01-01 00:00:00.5Z' end from n;";

pub(super) fn streams() -> String {
    let of = |name: &str, rest: &str, columns: &[&str]| stream(name, "rows", rest, columns);
    [
        of("texts", "key = \"s:{id}\"\ntype = \"string\"", &["id", "name"]),
        of(
            "documents",
            "key = \"j:{id}\"\ntype = \"json\"\nttl = \"24h\"",
            &["id", "name", "note"],
        ),
        of("hashes", "key = \"f:{id}\"\ntype = \"hash\"", &["id", "name", "note"]),
        of(
            "dated",
            "key = \"h:{id}\"\ntype = \"hash\"\nexpires_at = \"until\"",
            &["id", "name", "until"],
        ),
        of("tags", "key = \"t:{grp}\"\ntype = \"set\"", &["grp", "name"]),
        of(
            "board",
            "key = \"z:{grp}\"\ntype = \"zset\"\nvalue = [\"id\"]\nscore = \"points\"\nttl = \"2h\"",
            &["grp", "id", "points"],
        ),
        of("queues", "key = \"q:{grp}\"\ntype = \"list\"\nttl = \"7d\"", &["grp", "name"]),
        of("events", "key = \"x:{grp}\"\ntype = \"stream\"", &["grp", "id", "note"]),
        of(
            "counts",
            "key = \"c:{id}\"\ntype = \"counter\"\nvalue = [\"count\"]",
            &["id", "count"],
        )
        .replace("count = \"count\"", "count = \"id * 7\""),
    ]
    .concat()
}

/// A fault: what brings it about, and what is to be told of it.
pub(super) struct Fault {
    pub(super) commands: Vec<Vec<String>>,
    told: Vec<String>,
}

fn fault(commands: &[&[&str]], told: &[&str]) -> Fault {
    let owned = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Fault {
        commands: commands.iter().map(owned).collect(),
        told: told.iter().map(|line| (*line).to_owned()).collect(),
    }
}

#[expect(clippy::too_many_lines, reason = "a table of faults, line by line")]
pub(super) fn faults() -> Vec<Fault> {
    let next = (10.0_f64 * 0.1).next_up().to_string();
    let mut all = vec![
        // A bit of a value.
        fault(&[&["SETRANGE", "s:5", "0", "o"]], &["texts different s:5 value: n5 → o5"]),
        fault(&[&["DEL", "s:6"]], &["texts missing s:6"]),
        fault(&[&["SET", "s:999", "x"]], &["texts extra s:999"]),
        fault(
            &[&["SET", "s:not of this pattern's values", "x"]],
            &["texts extra s:not of this pattern's values"],
        ),
        fault(&[&["SET", "s:7", ""]], &["texts different s:7 value: n7 → "]),
        fault(
            &[&["HSET", "f:7", "name", "other"]],
            &["hashes different f:7 name: n7 → other"],
        ),
        fault(
            &[&["HSET", "f:8", "more", "kept"]],
            &["hashes different f:8 other fields: - → \"more\": \"kept\""],
        ),
        fault(&[&["HDEL", "f:10", "name"]], &["hashes different f:10 name: n10 → -"]),
        // Something empty is not nothing.
        fault(&[&["HSET", "f:9", "note", ""]], &["hashes different f:9 note: - → "]),
        fault(
            &[&["EXPIREAT", "f:13", "4070908800"]],
            &["hashes different f:13 ttl: none → 2099-01-01T00:00:00Z"],
        ),
        fault(
            &[&["PEXPIREAT", "h:14", "4070908800501"]],
            &["dated different h:14 ttl: 2099-01-01T00:00:00.500Z → 2099-01-01T00:00:00.501Z"],
        ),
        fault(
            &[&["PERSIST", "h:15"]],
            &["dated different h:15 ttl: 2099-01-01T00:00:00.500Z → none"],
        ),
        // A row that has expired is not to be there.
        fault(&[&["HSET", "h:20", "name", "n20"]], &["dated extra h:20"]),
        fault(&[&["PERSIST", "j:12"]], &["documents different j:12 ttl: set → none"]),
        fault(
            &[&["SET", "j:16", r#"{"name":"n16", "note":"note 16"}"#, "KEEPTTL"]],
            &[r#"documents different j:16 value: {"name":"n16","note":"note 16"} → {"name":"n16", "note":"note 16"}"#],
        ),
        fault(&[&["SREM", "t:g2", "n11"]], &["tags missing t:g2 n11"]),
        fault(&[&["SADD", "t:g0", "stranger"]], &["tags extra t:g0 stranger"]),
        fault(
            &[&["ZADD", "z:g1", "XX", &next, "10"]],
            &["board different z:g1 10 score: 1.0 → 1.0000000000000002"],
        ),
        fault(&[&["ZREM", "z:g1", "13"]], &["board missing z:g1 13"]),
        fault(&[&["ZADD", "z:g1", "0", "stranger"]], &["board extra z:g1 stranger"]),
        fault(
            &[&["LSET", "q:g1", "0", "n4"], &["LSET", "q:g1", "1", "n1"]],
            &[
                "queues different q:g1 0 value: n1 → n4",
                "queues different q:g1 1 value: n4 → n1",
            ],
        ),
        fault(&[&["RPOP", "q:g0"]], &["queues missing q:g0 19"]),
        fault(&[&["RPUSH", "q:g2", "more"]], &["queues extra q:g2 20"]),
        fault(&[&["XDEL", "x:g1", "0-3"]], &["events missing x:g1 0-3"]),
        fault(&[&["XADD", "x:g2", "7-7", "id", "1"]], &["events extra x:g2 7-7"]),
        fault(&[&["INCR", "c:17"]], &["counts different c:17 value: 119 → 120"]),
        // Keys of another type.
        fault(
            &[&["DEL", "c:18"], &["RPUSH", "c:18", "126"]],
            &["counts different c:18 value: 126 → -; type: string → list"],
        ),
    ];
    let mut other_type = fault(&[&["DEL", "x:g0"], &["SET", "x:g0", "text"]], &["events extra x:g0 -"]);
    other_type
        .told
        .extend((1..=20).map(|entry| format!("events missing x:g0 0-{entry}")));
    all.push(other_type);
    // The expiry of a key is that of each of its elements.
    let mut forever = fault(&[&["PERSIST", "z:g2"]], &[]);
    let members = (1..=60).filter(|id| id % 3 == 2);
    forever
        .told
        .extend(members.map(|id| format!("board different z:g2 {id} ttl: set → none")));
    all.push(forever);
    all
}

/// A difference in one line.
fn line(stream: &str, difference: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value["text"].as_str().unwrap_or("-").to_owned();
    let kind = difference["kind"].as_str().expect("a kind");
    let key = difference["key"].as_array().expect("a key").iter();
    let key: Vec<String> = key.map(|shown| text(&shown["value"])).collect();
    let columns = difference["columns"].as_array().expect("columns").iter();
    let columns: Vec<String> = columns
        .map(|column| {
            let name = column["column"].as_str().expect("a name");
            format!("{name}: {} → {}", text(&column["source"]), text(&column["target"]))
        })
        .collect();
    let line = format!("{stream} {kind} {} {}", key.join(" "), columns.join("; "));
    if columns.is_empty() {
        line.trim_end().to_owned()
    } else {
        line
    }
}

/// All faults at once: each is named, and nothing else is.
pub(super) fn planted(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams());
    toy.run(&[]).expect(0);
    super::assert_equal(&toy, &[]);
    let faults = faults();
    for command in faults.iter().flat_map(|fault| &fault.commands) {
        store.query::<Reply>(command);
    }
    // Longer than its stream says: how long exactly, is as the clock goes.
    store.query::<()>(&["PEXPIRE", "j:19", "90000000"]);
    let (streams, status) = verified(&toy, 5, &["--max-differences", "1000"]);
    assert_eq!(status, "different");
    let mut found = BTreeSet::new();
    for (name, stream) in &streams {
        for difference in stream["differences"].as_array().expect("differences") {
            let line = line(name, difference);
            assert!(found.insert(line.clone()), "twice: {line}");
        }
    }
    let longer: Vec<String> = found
        .iter()
        .filter(|line| line.starts_with("documents different j:19 "))
        .cloned()
        .collect();
    assert!(longer.len() == 1 && longer[0].contains("ttl: set → set, 89"), "{longer:?}");
    found.remove(&longer[0]);
    let expected: BTreeSet<String> = faults.into_iter().flat_map(|fault| fault.told).collect();
    let missed: Vec<_> = expected.difference(&found).collect();
    let besides: Vec<_> = found.difference(&expected).collect();
    assert!(
        missed.is_empty() && besides.is_empty(),
        "not found: {missed:#?}\nfound besides: {besides:#?}"
    );
    let sum = |figure: &str| streams.values().filter_map(|stream| stream[figure].as_u64()).sum::<u64>();
    let told = |kind: &str| expected.iter().filter(|line| line.contains(kind)).count() as u64;
    assert_eq!(sum("missing"), told(" missing "));
    assert_eq!(sum("extra"), told(" extra "));
    assert_eq!(sum("different"), told(" different ") + 1);
}
