//! Every type of key and of column, read back exactly.

use super::dump::{Content, Dump, Held, assert_same};
use super::store::Store;
use super::toy::{Toy, assert_tidy, every_type, items, stream};
use crate::harness::sqlite_rows;

const KINDS: &str = r#"
create table kinds (id integer primary key, big bigint, price text, wide text, flag boolean, made timestamptz, wall timestamp,
  day date, clock time, raw blob, uid uuid, doc json, word text, ratio double precision);
insert into kinds values (1, 9007199254740993, '1234567890123456.7890', '123456789012345678901234567890.12345', 1,
  '2026-11-21 20:37:58.123Z', '2026-11-21 20:37:58', '2024-02-29', '23:59:59.5', x'00ff7b7d25',
  'F47AC10B-58CC-4372-A567-0E02B2C3D479', '{"a": 1.50}', 'a' || char(0) || '🦀{}%', 0.1);
insert into kinds (id, big, word, raw) values (2, -9223372036854775808, '', x'');
create table times (id integer primary key, made timestamptz);
insert into times values (1, '2026-11-21 20:37:58Z'), (2, '2026-11-21 20:37:58.123Z'), (3, '1969-12-31 23:59:59.999999Z'), (4, null);
"#;

const COLUMNS: [&str; 14] = [
    "id", "big", "price", "wide", "flag", "made", "wall", "day", "clock", "raw", "uid", "doc", "word", "ratio",
];

const TYPES: &str = "[stream.types]\nprice = \"numeric(20,4)\"\nwide = \"numeric\"\n\n";

fn held(kind: &str, content: Content) -> Held {
    Held {
        kind: kind.to_owned(),
        content,
        minutes: None,
    }
}

fn keyed(all: Vec<(&str, Held)>) -> Dump {
    all.into_iter().map(|(key, held)| (key.into(), held)).collect()
}

/// Hashes, JSON, strings and entries with values of every type.
#[expect(clippy::too_many_lines, reason = "a table of what is expected, line by line")]
pub(super) fn columns_of_every_type(store: &Store) {
    let fields = |name: &str, rest: &str| stream(name, "kinds", rest, &COLUMNS) + TYPES;
    let text = |moments: &str, letter: &str| {
        let rest = format!("key = \"{letter}:{{id}}\"\ntype = \"string\"\nmoments = \"{moments}\"");
        stream(moments, "times", &rest, &["id", "made"])
    };
    let streams = [
        fields("hashes", "key = \"h:{{{id}}}\"\ntype = \"hash\""),
        fields("documents", "key = \"j:{id}\"\ntype = \"json\""),
        stream(
            "entries",
            "kinds",
            "key = \"x\"\ntype = \"stream\"",
            &["big", "word", "raw", "doc"],
        ),
        stream(
            "bytes",
            "kinds",
            "key = \"b:{raw}:{word}\"\ntype = \"string\"\nvalue = [\"raw\"]",
            &["raw", "word"],
        ),
        text("rfc3339", "r"),
        text("unix_seconds", "s"),
        text("unix_milliseconds", "m"),
        text("unix_microseconds", "u"),
    ]
    .concat();
    let toy = Toy::of(&store.url(), KINDS, &streams);
    let figures = toy.figures(4, &[]);
    assert_eq!(figures["hashes"], [2, 2, 0, 0, 0, 0]);
    assert_eq!(figures["rfc3339"], [4, 3, 0, 0, 0, 1], "NULL is no string");
    assert_eq!(figures["unix_seconds"], [4, 1, 0, 0, 0, 3]);
    assert_eq!(figures["unix_milliseconds"], [4, 2, 0, 0, 0, 2]);
    assert_eq!(figures["unix_microseconds"], [4, 3, 0, 0, 0, 1]);
    let bytes = |bytes: &[u8]| held("string", Content::Bytes(bytes.to_vec()));
    let raw = b"\0\xff{}%";
    let word = "a\0🦀{}%";
    let mut full = Content::fields(&[
        ("big", "9007199254740993"),
        ("price", "1234567890123456.7890"),
        ("wide", "123456789012345678901234567890.12345"),
        ("flag", "1"),
        ("made", "2026-11-21T20:37:58.123Z"),
        ("wall", "2026-11-21T20:37:58"),
        ("day", "2024-02-29"),
        ("clock", "23:59:59.500"),
        ("uid", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        ("doc", r#"{"a": 1.50}"#),
        ("word", word),
        ("ratio", "0.1"),
    ]);
    if let Content::Fields(fields) = &mut full {
        fields.insert(b"raw".to_vec(), raw.to_vec());
    }
    let entry = |pairs: &[(&str, &[u8])]| -> Vec<Vec<u8>> {
        pairs
            .iter()
            .flat_map(|(name, value)| [name.as_bytes().to_vec(), value.to_vec()])
            .collect()
    };
    let document = r#"{"big":9007199254740993,"price":1234567890123456.7890,"wide":123456789012345678901234567890.12345,"flag":true,"made":"2026-11-21T20:37:58.123Z","wall":"2026-11-21T20:37:58","day":"2024-02-29","clock":"23:59:59.500","raw":"00ff7b7d25","uid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","doc":{"a": 1.50},"word":"a\u0000🦀{}%","ratio":0.1}"#;
    let nulls = r#"{"big":-9223372036854775808,"price":null,"wide":null,"flag":null,"made":null,"wall":null,"day":null,"clock":null,"raw":"","uid":null,"doc":null,"word":"","ratio":null}"#;
    let mut expected = keyed(vec![
        ("h:{1}", held("hash", full)),
        (
            "h:{2}",
            held(
                "hash",
                Content::fields(&[("big", "-9223372036854775808"), ("word", ""), ("raw", "")]),
            ),
        ),
        ("j:1", bytes(document.as_bytes())),
        ("j:2", bytes(nulls.as_bytes())),
        (
            "x",
            held(
                "stream",
                Content::Entries(vec![
                    entry(&[
                        ("big", b"9007199254740993"),
                        ("word", word.as_bytes()),
                        ("raw", raw),
                        ("doc", br#"{"a": 1.50}"#),
                    ]),
                    entry(&[("big", b"-9223372036854775808"), ("word", b""), ("raw", b"")]),
                ]),
            ),
        ),
        ("b::", bytes(b"")),
        ("r:1", bytes(b"2026-11-21T20:37:58Z")),
        ("r:2", bytes(b"2026-11-21T20:37:58.123Z")),
        ("r:3", bytes(b"1969-12-31T23:59:59.999999Z")),
        ("s:1", bytes(b"1795293478")),
        ("m:1", bytes(b"1795293478000")),
        ("m:2", bytes(b"1795293478123")),
        ("u:1", bytes(b"1795293478000000")),
        ("u:2", bytes(b"1795293478123000")),
        ("u:3", bytes(b"-1")),
    ]);
    let key = [&b"b:\0\xff%7B%7D%25:a\0"[..], "🦀%7B%7D%25".as_bytes()].concat();
    expected.insert(key, bytes(raw));
    assert_same(&store.dump(), &expected);
    assert_tidy(store);
}

/// All streams of [`every_type`], compared with what the source says in SQL.
#[expect(clippy::too_many_lines, reason = "a table of what is expected, line by line")]
pub(super) fn keys_of_every_type(store: &Store, rows: u32) {
    let toy = Toy::of(&store.url(), &items(rows), &every_type("error"));
    let figures = toy.figures(4, &["--batch-size", "200"]);
    let dump = store.dump();
    let file = toy.project.path("app.db");
    let count = |sql: &str| -> u64 {
        let line = sqlite_rows(&file, sql).pop().unwrap_or_default();
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a count")
    };
    let all = |of: &str| count(&format!("select count(*) from items where {of}"));
    let total = u64::from(rows);
    let texts = all("grp is not null and name is not null");
    assert_eq!(figures["texts"], [total, texts, 0, 0, 0, total - texts]);
    assert_eq!(figures["documents"], [total, total, 0, 0, 0, 0]);
    let expired = all("id % 10 = 0");
    assert_eq!(figures["profiles"], [total, total - expired, 0, 0, expired, 0]);
    let names = count("select count(distinct name) from items");
    assert_eq!(figures["names"], [total, names, 0, 0, 0, total - names]);
    let groups = count("select count(distinct grp) from items");
    let [_, new, updated, .., refused] = figures["last"];
    assert_eq!(
        (new, updated, refused),
        (groups, all("grp is not null") - groups, all("grp is null"))
    );
    let board = all("grp is not null and points <= 9007199254740992");
    assert_eq!(figures["board"], [total, board, 0, 0, 0, total - board]);
    assert_eq!(figures["everything"], [total, total, 0, 0, 0, 0]);
    assert_eq!(figures["counts"], [total, total, 0, 0, 0, 0]);

    let of = |prefix: &'static str| dump.iter().filter(move |(key, _)| key.starts_with(prefix.as_bytes()));
    assert_eq!(of("h:").count() as u64, total - expired);
    assert!(of("h:").all(|(_, held)| held.minutes.is_none_or(|minutes| minutes > 60 * 24 * 365)));
    assert_eq!(
        of("h:").filter(|(_, held)| held.minutes.is_none()).count() as u64,
        all("id % 10 = 1")
    );
    assert!(of("j:").all(|(_, held)| held.minutes == Some(24 * 60)));
    assert!(of("z:").all(|(_, held)| held.minutes == Some(2 * 60)));
    assert!(of("q:").all(|(_, held)| held.minutes == Some(7 * 24 * 60)));
    assert_eq!(
        dump[&b"queue"[..]].content,
        Content::Elements((1..=rows).map(|id| id.to_string().into()).collect())
    );
    for prefix in ["q:", "x:", "t:", "z:", "last:"] {
        assert_eq!(of(prefix).count() as u64, groups, "{prefix}");
    }
    for (key, held) in of("q:") {
        let group = String::from_utf8_lossy(&key[2..])
            .replace("%7B", "{")
            .replace("%7D", "}")
            .replace("%25", "%");
        let sql = format!("select name from items where grp = '{group}' and name is not null order by id");
        let expected: Vec<String> = sqlite_rows(&file, &sql);
        let Content::Elements(found) = &held.content else {
            panic!("{held:?}")
        };
        let found: Vec<String> = found
            .iter()
            .map(|name| format!("{:?}|", rusqlite::types::ValueRef::Text(name)))
            .collect();
        assert_eq!(found, expected, "{group}");
    }
    let rejected: u64 = figures.values().map(|figures| figures[5]).sum();
    let stats = toy.stats(&[]).0;
    assert_eq!(
        stats
            .values()
            .filter_map(|stream| stream["rejects_open"].as_u64())
            .sum::<u64>(),
        rejected
    );
    assert_eq!(stats["texts"]["target_rows"], texts);
    assert_eq!(stats["everything"]["target_rows"], total);
    assert_eq!(stats["board"]["target_rows"], board);
    assert_tidy(store);
    // Nothing is left to do, and nothing changes.
    let again = toy.figures(4, &[]);
    assert!(again.values().all(|figures| figures[0] == 0), "{again:?}");
    assert_same(&store.dump(), &dump);
}

#[test]
fn columns_of_every_type_are_read_back_exactly() {
    columns_of_every_type(&Store::single());
}

#[test]
fn keys_of_every_type_are_what_the_source_says() {
    keys_of_every_type(&Store::single(), 1_500);
}

#[test]
fn a_run_is_told_batch_by_batch() {
    let store = Store::single();
    let toy = Toy::of(&store.url(), &items(100), &every_type("update"));
    let run = toy.run(&["--batch-size", "40"]).expect(4).json();
    let batches = crate::trail::batches(&toy.project, &run);
    assert!(batches.len() > 30, "{} batches", batches.len());
}
