//! Keys that are there already, rows that meet in one key, and rejects that are mended.

use super::dump::{Content, Held, assert_same};
use super::killed::rejects;
use super::store::Store;
use super::toy::{Toy, stream};

/// Row 1 is new, 2 is there and equal, 3 is there and differs, 4 is there as another type.
const ROWS: &str = "create table rows (id integer primary key, name text, note text, points bigint);
    insert into rows values (1, 'one', 'first', 10), (2, 'two', null, 20), (3, 'three', null, 30), (4, 'four', 'x', 40);";

fn streams(policy: &str) -> String {
    let of =
        |name: &str, rest: &str, columns: &[&str]| stream(name, "rows", &format!("{rest}\non_conflict = \"{policy}\""), columns);
    [
        of(
            "hashes",
            "key = \"h:{id}\"\ntype = \"hash\"\nttl = \"2h\"",
            &["id", "name", "note"],
        ),
        of("forever", "key = \"f:{id}\"\ntype = \"hash\"", &["id", "name", "note"]),
        of("texts", "key = \"s:{id}\"\ntype = \"string\"\nttl = \"2h\"", &["id", "name"]),
        of("documents", "key = \"j:{id}\"\ntype = \"json\"", &["id", "name"]),
        of("counts", "key = \"c:{id}\"\ntype = \"counter\"", &["id", "points"]),
        of("tags", "key = \"t:{id}\"\ntype = \"set\"\nttl = \"2h\"", &["id", "name"]),
        of(
            "board",
            "key = \"z\"\ntype = \"zset\"\nvalue = [\"name\"]\nscore = \"points\"",
            &["name", "points"],
        ),
        of("queues", "key = \"q:{id}\"\ntype = \"list\"\nttl = \"2h\"", &["id", "name"]),
        of("events", "key = \"x:{id}\"\ntype = \"stream\"", &["id", "name"]),
    ]
    .concat()
}

fn fill(store: &Store) {
    let query = |words: &[&str]| drop(store.query::<::redis::Value>(words));
    for (hash, time) in [("h", None), ("f", Some("100000"))] {
        query(&["HSET", &format!("{hash}:2"), "name", "two"]);
        query(&["HSET", &format!("{hash}:3"), "name", "other", "note", "gone", "more", "kept"]);
        for key in [2, 3] {
            if let Some(time) = time {
                query(&["EXPIRE", &format!("{hash}:{key}"), time]);
            }
        }
        query(&["SET", &format!("{hash}:4"), "text"]);
    }
    query(&["SET", "s:2", "two"]);
    query(&["SET", "s:3", "other"]);
    query(&["RPUSH", "s:4", "element"]);
    query(&["SET", "j:2", r#"{"name":"two"}"#, "EX", "100000"]);
    query(&["SET", "j:3", r#"{"name":"other"}"#, "EX", "100000"]);
    query(&["SADD", "j:4", "member"]);
    query(&["SET", "c:2", "20"]);
    query(&["SET", "c:3", "31"]);
    query(&["HSET", "c:4", "f", "v"]);
    query(&["SADD", "t:2", "two"]);
    query(&["SADD", "t:3", "other"]);
    query(&["SET", "t:4", "text"]);
    query(&["ZADD", "z", "20", "two", "31", "three", "1", "somebody"]);
    query(&["RPUSH", "q:2", "two"]);
    query(&["RPUSH", "q:3", "other"]);
    query(&["SET", "q:4", "text"]);
    query(&["XADD", "x:2", "*", "name", "two"]);
    query(&["SET", "x:4", "text"]);
}

/// What a key holds, and for how many hours.
fn shown(store: &Store, key: &str) -> String {
    match store.dump().get(key.as_bytes()) {
        None => "nothing".to_owned(),
        Some(Held { content, minutes, .. }) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let parts: Vec<String> = match content {
                Content::Bytes(bytes) => vec![text(bytes)],
                Content::Fields(fields) => fields
                    .iter()
                    .map(|(name, value)| format!("{}={}", text(name), text(value)))
                    .collect(),
                Content::Members(members) => members.iter().map(|member| text(member)).collect(),
                Content::Scores(scores) => scores.iter().map(|(name, score)| format!("{}={score}", text(name))).collect(),
                Content::Elements(elements) => elements.iter().map(|element| text(element)).collect(),
                Content::Entries(entries) => entries.iter().map(|entry| text(&entry.join(&b'='))).collect(),
            };
            let hours = minutes
                .map(|minutes| format!(" for {} h", (minutes + 30) / 60))
                .unwrap_or_default();
            format!("{}{hours}", parts.join(" "))
        }
    }
}

/// Reasons of the open rejects of a stream, by the source's key.
fn refused(store: &Store, stream: &str) -> Vec<String> {
    let of_stream = |line: &String| line.starts_with(&format!("\"{stream}\" "));
    let found = rejects(store).into_iter().filter(of_stream);
    found
        .map(|line| {
            let id: String = line.chars().filter(char::is_ascii_digit).take(1).collect();
            let reason = ["duplicate", "refused", "key_collision"]
                .into_iter()
                .find(|reason| line.contains(&format!("\"{reason}\"")));
            format!("{id} {}", reason.unwrap_or(&line))
        })
        .collect()
}

pub(super) fn error(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams("error"));
    fill(store);
    let before = store.dump();
    let figures = toy.figures(4, &[]);
    for (stream, prefix) in [
        ("hashes", "h"),
        ("forever", "f"),
        ("texts", "s"),
        ("documents", "j"),
        ("counts", "c"),
        ("queues", "q"),
    ] {
        assert_eq!(figures[stream], [4, 1, 0, 0, 0, 3], "{stream}");
        assert_eq!(
            refused(store, stream),
            ["2 duplicate", "3 duplicate", "4 refused"],
            "{stream}"
        );
        for key in [2, 3, 4].map(|row| format!("{prefix}:{row}").into_bytes()) {
            assert_eq!(store.dump()[&key], before[&key]);
        }
    }
    assert_eq!(figures["tags"], [4, 2, 0, 0, 0, 2]);
    assert_eq!(refused(store, "tags"), ["2 duplicate", "4 refused"]);
    assert_eq!(figures["board"], [4, 2, 0, 0, 0, 2]);
    assert_eq!(refused(store, "board"), ["2 duplicate", "3 duplicate"]);
    assert_eq!(shown(store, "h:1"), "name=one note=first for 2 h");
    assert_eq!(shown(store, "t:3"), "other three for 2 h");
    assert_eq!(shown(store, "z"), "somebody=1 one=10 two=20 three=31 four=40");
}

pub(super) fn skip(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams("skip"));
    fill(store);
    let before = store.dump();
    let figures = toy.figures(4, &[]);
    for (stream, prefix) in [
        ("hashes", "h"),
        ("forever", "f"),
        ("texts", "s"),
        ("documents", "j"),
        ("counts", "c"),
    ] {
        assert_eq!(figures[stream], [4, 1, 0, 2, 0, 1], "{stream}");
        assert_eq!(refused(store, stream), ["4 refused"], "{stream}");
        for key in [2, 3, 4].map(|row| format!("{prefix}:{row}").into_bytes()) {
            assert_eq!(store.dump()[&key], before[&key]);
        }
    }
    assert_eq!(figures["queues"], [4, 1, 0, 2, 0, 1], "a key of another type is a reject");
    assert_eq!(shown(store, "q:2"), "two");
    assert_eq!(figures["board"], [4, 2, 0, 2, 0, 0]);
    assert_eq!(shown(store, "z"), "somebody=1 one=10 two=20 three=31 four=40");
}

pub(super) fn update(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams("update"));
    fill(store);
    let figures = toy.figures(4, &[]);
    for stream in ["hashes", "forever", "texts", "documents", "counts"] {
        assert_eq!(figures[stream], [4, 1, 1, 1, 0, 1], "{stream}");
        assert_eq!(refused(store, stream), ["4 refused"], "{stream}");
    }
    for (key, expected) in [
        ("h:1", "name=one note=first for 2 h"),
        ("h:2", "name=two for 2 h"),
        ("h:3", "more=kept name=three for 2 h"),
        ("h:4", "text"),
        ("f:2", "name=two"),
        ("f:3", "more=kept name=three"),
        ("s:2", "two for 2 h"),
        ("s:3", "three for 2 h"),
        ("s:4", "element"),
        ("j:2", r#"{"name":"two"}"#),
        ("j:3", r#"{"name":"three"}"#),
        ("c:3", "30"),
        ("t:2", "two for 2 h"),
        ("t:3", "other three for 2 h"),
        ("z", "somebody=1 one=10 two=20 three=30 four=40"),
        ("q:2", "two for 2 h"),
        ("q:3", "three for 2 h"),
        ("q:4", "text"),
        ("x:2", "name=two"),
        ("x:4", "text"),
    ] {
        assert_eq!(shown(store, key), expected, "{key}");
    }
    assert_eq!(refused(store, "queues"), ["4 refused"]);
    assert_eq!(refused(store, "events"), ["4 refused"]);
}

/// Rows that come to one key.
pub(super) fn collisions(store: &Store) {
    let source = "create table parts (id integer primary key, a text, b text, v text);
        insert into parts values (1, 'a:b', 'c', 'one'), (2, 'a', 'b:c', 'two'), (3, 'x', 'y', 'three'), (4, 'x', 'y', 'four'), (5, 'z', '', 'five');";
    let rest = |more: &str, letter: &str| format!("key = \"{letter}:{{a}}:{{b}}\"\ntype = \"string\"\nvalue = [\"v\"]\n{more}");
    let later = rest("on_collision = \"later_wins\"\non_conflict = \"update\"", "l");
    let streams = [
        stream("refuses", "parts", &rest("", "r"), &["a", "b", "v"]),
        stream("later", "parts", &later, &["a", "b", "v"]),
    ];
    for batch in ["1", "2", "100"] {
        store.clear();
        let toy = Toy::of(&store.url(), source, &streams.concat());
        let ended = toy.run(&["--batch-size", batch]);
        ended.expect(4);
        let report = ended.json();
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains("2 rows went over earlier rows"), "{warnings}");
        assert_eq!(refused(store, "refuses"), ["2 key_collision", "4 key_collision"]);
        assert_eq!(refused(store, "later"), Vec::<String>::new(), "batches of {batch}");
        for (key, expected) in [
            ("r:a:b:c", "one"),
            ("r:x:y", "three"),
            ("r:z:", "five"),
            ("l:a:b:c", "two"),
            ("l:x:y", "four"),
        ] {
            assert_eq!(shown(store, key), expected, "{key} in batches of {batch}");
        }
        let mut found = super::toy::records(store, "dbferry:{demo}:rejects").into_values();
        let named = found.any(|reject| reject["row"].as_str().is_some_and(|row| row.contains("collides_with")));
        assert!(named, "the reject names the other row");
    }
}

/// Rejects are mended in the source and in the store, and moved then.
pub(super) fn mended(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &streams("error"));
    fill(store);
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    toy.project.sqlite("app.db", "update rows set name = 'mended' where id = 4");
    for prefix in ["h", "f", "s", "j", "c", "t"] {
        store.query::<()>(&["DEL", &format!("{prefix}:4")]);
        store.query::<()>(&["DEL", &format!("{prefix}:2")]);
    }
    let figures = toy.figures(4, &["--retry-rejects"]);
    assert_eq!(figures["hashes"][1..], [2, 0, 0, 0, 1]);
    assert_eq!(shown(store, "h:4"), "name=mended note=x for 2 h");
    assert_eq!(shown(store, "s:4"), "mended for 2 h");
    assert_eq!(
        shown(store, "t:4"),
        "mended for 2 h",
        "a set that is added to gets its time too"
    );
    assert_eq!(shown(store, "c:2"), "20");
    assert_eq!(refused(store, "hashes"), ["3 duplicate"]);
    assert_eq!(refused(store, "queues").len(), 3, "lists are not mended one row at a time");
    // Anew over what is there.
    let before = store.dump();
    toy.project.write("mappings/demo/streams.toml", &streams("update"));
    let figures = toy.figures(4, &["--restart"]);
    assert_eq!(figures["hashes"], [4, 0, 1, 3, 0, 0]);
    assert_eq!(shown(store, "h:3"), "more=kept name=three for 2 h");
    assert_eq!(shown(store, "q:1"), "one for 2 h", "put in the place of the one before");
    assert!(store.dump().len() >= before.len());
}

/// The streams, each with a subject.
fn with_subjects() -> String {
    streams("update").replace("[[stream]]", "[[stream]]\nsubject = { row = \"id = $key\" }")
}

/// One subject's rows.
pub(super) fn subject(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &with_subjects());
    let figures = toy.figures(0, &["--for", "row=1"]);
    assert_eq!(figures["hashes"], [1, 1, 0, 0, 0, 0]);
    assert_eq!(shown(store, "h:1"), "name=one note=first for 2 h");
    assert_eq!(shown(store, "s:1"), "one for 2 h");
    assert_eq!(shown(store, "t:1"), "one for 2 h");
    assert_eq!(shown(store, "z"), "one=10");
    assert_eq!(shown(store, "q:1"), "nothing", "a list is moved as a whole");
    let dump = store.dump();
    toy.figures(0, &["--for", "row=1"]);
    assert_same(&store.dump(), &dump);
    toy.figures(0, &[]);
    assert_eq!(shown(store, "q:1"), "one for 2 h");
    assert_eq!(shown(store, "h:3"), "name=three for 2 h");
    assert_eq!(shown(store, "z"), "one=10 two=20 three=30 four=40");
}

/// One subject's rows beside a batch that is not proven: its stream knows that rows are there now, and
/// everything else of its checkpoint stays.
pub(super) fn subject_beside_an_unproven_batch(store: &Store) {
    let toy = Toy::of(&store.url(), ROWS, &with_subjects());
    toy.figures(0, &[]);
    let checkpoint = "dbferry:{demo}:checkpoint:0:hashes";
    store.query::<()>(&["HSET", checkpoint, "proven", "0"]);
    let now = |field: &str| store.query::<String>(&["HGET", checkpoint, field]);
    let before = now("now");
    assert!(before.contains(r#""target_was_empty":true"#), "{before}");
    toy.figures(0, &["--for", "row=1"]);
    let told = before.replace(r#""target_was_empty":true"#, r#""target_was_empty":false"#);
    assert_eq!(now("now"), told);
    assert_eq!((now("sequence"), now("proven")), ("1".to_owned(), "0".to_owned()));
}

macro_rules! on_a_server {
    ($($name:ident => $what:ident,)*) => {
        $(#[test]
        fn $name() {
            $what(&Store::single());
        })*
    };
}

on_a_server! {
    with_error_what_is_there_stays_and_the_row_is_a_reject => error,
    with_skip_what_is_there_stays => skip,
    with_update_what_is_there_becomes_the_row => update,
    rows_that_come_to_one_key_are_refused_or_the_later_one_wins => collisions,
    rejects_are_mended_and_streams_are_moved_anew => mended,
    rows_of_one_subject_are_moved_alone => subject,
    rows_of_one_subject_change_nothing_of_a_batch_that_is_not_proven => subject_beside_an_unproven_batch,
}
