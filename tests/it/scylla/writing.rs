//! Rows become rows of CQL tables, and what cannot is named.

use scylla::value::CqlValue;

use super::toy::{Toy, items, streams};
use crate::cassandra::Keyspace;
use crate::harness::Ended;

/// Figures of a stream in the report of a run.
pub(super) fn figures(run: &Ended, name: &str) -> [u64; 6] {
    let report = run.json();
    let streams = report["streams"].as_array().expect("streams");
    let stream = streams.iter().find(|stream| stream["name"] == name).expect("the stream");
    ["read", "inserted", "updated", "skipped", "expired", "rejected"].map(|count| stream[count].as_u64().expect("a number"))
}

const RUN: [&str; 4] = ["run", "mappings/demo", "--output", "json"];

#[test]
fn rows_arrive_with_their_exact_values_and_times_to_live() {
    let toy = Toy::of(1_000, "error");
    let run = toy.project.run(&RUN);
    run.expect(4);
    assert_eq!(figures(&run, "items"), [1_000, 980, 0, 0, 0, 20], "128 is no tinyint");
    assert_eq!(figures(&run, "notes"), [1_000, 800, 0, 0, 200, 0]);
    assert_eq!(figures(&run, "pairs"), [1_000, 1_000, 0, 0, 0, 0]);
    assert_eq!(figures(&run, "names"), [1_000, 976, 0, 0, 0, 24], "two rows have one name");
    for (table, rows) in [("items", 980), ("notes", 800), ("pairs", 1_000), ("names", 976)] {
        assert_eq!(toy.keyspace.count(table), rows, "{table}");
    }
    let id = 9_007_199_254_740_993_i64;
    let row = toy.keyspace.texts(&format!(
        "SELECT tiny, amount, huge, name, raw, at, day, flag FROM items WHERE grp = 'g1' AND id = {id}"
    ));
    let amount = toy
        .keyspace
        .value(&format!("SELECT amount FROM items WHERE grp = 'g1' AND id = {id}"));
    let Some(CqlValue::Decimal(amount)) = amount else {
        panic!("{amount:?}")
    };
    assert_eq!(
        amount.as_signed_be_bytes_slice_and_exponent(),
        ([0, 150].as_slice(), 2),
        "150 hundredths"
    );
    assert_eq!(row[0][0], "-49");
    let huge = toy
        .keyspace
        .value(&format!("SELECT huge FROM items WHERE grp = 'g1' AND id = {id}"));
    let Some(CqlValue::Varint(huge)) = huge else {
        panic!("{huge:?}")
    };
    // 10^30
    let bytes = [0x0c, 0x9f, 0x2c, 0x9c, 0xd0, 0x46, 0x74, 0xed, 0xea, 0x40, 0x00, 0x00, 0x00];
    assert_eq!(huge.as_signed_bytes_be_slice(), bytes);
    toy.assert_lives();
    toy.assert_ledger(4);
    let rejects = toy.rejects();
    assert_eq!(rejects.len(), 44);
    assert!(
        rejects.iter().any(|line| line.contains("a tinyint holds -128 to 127")),
        "{rejects:?}"
    );
    toy.project.run(&["verify", "mappings/demo"]).expect(0);
}

/// An absent value touches nothing: a column that nobody wrote has no moment of writing.
#[test]
fn absent_values_leave_no_tombstones() {
    let toy = Toy::of(50, "error");
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    let rows = toy.keyspace.rows("SELECT raw, writetime(raw), writetime(name) FROM items");
    let written: std::collections::BTreeSet<_> = rows.iter().map(|row| format!("{:?}", row[2])).collect();
    assert_eq!(written.len(), 1, "one timestamp for a run and stream: {written:?}");
    for row in rows {
        assert_eq!(row[0].is_some(), row[1].is_some(), "{row:?}");
    }
}

#[test]
fn a_table_of_counters_is_refused_with_the_reason() {
    let mapping = "[[stream]]\nname = \"hits\"\nfrom = \"app.items\"\nto = \"wide.hits\"\nkey = [\"id\"]\n[stream.columns]\nid = \"id\"\nhits = \"id\"\n";
    let toy = Toy::with(
        Keyspace::fresh(),
        "CREATE TABLE hits (id bigint PRIMARY KEY, hits counter)",
        mapping,
        &items(3),
    );
    let plan = toy.project.run(&["plan", "mappings/demo"]);
    plan.expect(2).says("holds counters (column `hits`)").says("count twice");
}

#[test]
fn what_cql_does_not_hold_is_a_named_reject() {
    let mapping = "
[[stream]]
name = \"odd\"
from = \"app.odd\"
to = \"wide.odd\"
key = [\"id\"]
[stream.columns]
id = \"id\"
at = \"at\"
word = \"word\"
address = \"address\"
made = \"made\"
big = \"big\"
part = \"part\"
[stream.types]
at = \"timestamptz\"
made = \"uuid\"
";
    let tables = "CREATE TABLE odd (part text, id int, at timestamp, word ascii, address inet, made timeuuid, big blob, PRIMARY KEY ((part), id))";
    let mapping = mapping.replace("key = [\"id\"]", "key = [\"part\", \"id\"]");
    let source = "
create table odd (id integer primary key, part text, at text, word text, address text, made text, big blob);
insert into odd values
    (1, 'p', '2025-01-01 00:00:00Z', 'plain', '192.0.2.1', '5f0ac1f0-0000-11ef-8000-000000000000', x'00'),
    (2, 'p', '2025-01-01 00:00:00Z', 'größe', null, null, null),
    (3, 'p', '2025-01-01 00:00:00Z', null, '2001:DB8::1', null, null),
    (4, 'p', '2025-01-01 00:00:00Z', null, null, 'c0000000-0000-4000-8000-000000000000', null),
    (5, 'p', '2025-01-01 00:00:00.0001Z', null, null, null, null),
    (6, '', '2025-01-01 00:00:00Z', null, null, null, null),
    (7, 'p', '2025-01-01 00:00:00Z', null, null, null, zeroblob(16800000)),
    (8, 'p', null, null, '::1', null, zeroblob(1000000));
";
    let toy = Toy::with(Keyspace::fresh(), tables, &mapping, source);
    let run = toy.project.run(&RUN);
    run.expect(4);
    assert_eq!(figures(&run, "odd"), [8, 2, 0, 0, 0, 6]);
    let rejects = toy.rejects().join("\n");
    for words in [
        "ascii holds no other characters",
        "not in its shortest lower-case spelling",
        "a timeuuid holds version 1 alone",
        "the key of a partition must not be empty",
        "16 MiB",
    ] {
        assert!(rejects.contains(words), "{words} in {rejects}");
    }
    assert!(!run.stdout.contains("größe") && !run.stderr.contains("größe"));
}

/// Several splits and portions, and batches that are all read back.
#[test]
fn a_table_in_several_splits_is_as_complete() {
    let toy = Toy::of(6_000, "update");
    let config = toy
        .project
        .text("config/development.toml")
        .replace("read_back_every_batches = 3", "read_back_every_batches = 1");
    toy.project.write(
        "config/development.toml",
        &format!("[limits]\nsplits_max = 3\nsplit_rows_min = 1000\nportion_rows_max = 300\nbatch_rows_max = 900\n{config}"),
    );
    toy.project.write(
        "mappings/demo/streams.toml",
        &streams("update").replace("name = \"names\"", "name = \"names\"\nwhere = \"false\""),
    );
    let run = toy.project.run(&RUN);
    run.expect(4);
    assert_eq!(figures(&run, "items"), [6_000, 5_880, 0, 0, 0, 120]);
    assert_eq!(toy.keyspace.count("items"), 5_880);
    toy.project.run(&["verify", "mappings/demo"]).expect(0);
}
