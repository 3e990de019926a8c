//! Verification of CQL tables: equal after the move, whatever the types, and every small change is
//! found and named; rows that end by themselves are missed by nobody.

use dbferry::pipeline::plan::Options;
use dbferry::verify::VerifyOptions;
use scylla::value::CqlValue;
use serde_json::Value;

use super::toy::{Toy, items, streams};
use crate::cassandra::Keyspace;
use crate::harness::{Database, Project};
use crate::projects::postgres;
use crate::verify::{figures, is_equal, only, short, stream, try_verify, verified};

const SOURCE: &str = "create table wide (
    id bigint primary key, tiny smallint, small smallint, i integer, huge numeric(60,0), dec numeric, f real, d double precision,
    ok boolean, s text, a text, b bytea, u uuid, tu uuid, t timestamptz(3), day date, tm time, ip text, iv interval,
    l integer[], fl text[], st text[], sn numeric[], v real[], m jsonb, p jsonb, tup jsonb, nest jsonb);
    insert into wide select i, i % 256 - 128, -i, i * 7, (i || repeat('0', 40))::numeric, i / 7.0, i / 7.0, i / 7.0, i % 2 = 0,
    'text ' || i, 'a' || i, decode(md5(i::text), 'hex'), md5(i::text)::uuid,
    ('c2b4f3a0-0000-1000-8000-' || lpad(i::text, 12, '0'))::uuid,
    '2024-02-29 12:00:00.123Z'::timestamptz + i * interval '1.001 s', '2024-02-29'::date + i, '23:59:59.999999',
    '10.0.0.' || i % 256, i * interval '1 day 2 hours',
    array[i, i, -i], array['', 'x' || i], array['z' || i, 'b', ''], array[i, 1.5, -i - 0.25],
    array[i, 0.5, -1], jsonb_build_object('b', i, 'a', -i),
    jsonb_build_object('Age', i, 'name', 'n' || i, 'tags', jsonb_build_array('x', 'y' || i)),
    jsonb_build_array('t' || i, null), jsonb_build_array(jsonb_build_object('k', 'v' || i), '{}'::jsonb)
    from generate_series(1, 300) i;
    insert into wide (id) values (1001);
    insert into wide (id, s, a, b, fl, f, d, dec, p, day) values
    (1002, '', '', '', '{}', 'NaN', '-0', 1e30, '{}', '0001-01-01'),
    (1003, E'\\u0001\\n\"', ' ', '\\x00', '{\"\"}', '-Infinity', 1e300, 1.500, '{\"name\":\"\"}', '9999-12-31')";

const TARGET: [&str; 2] = [
    "CREATE TYPE person (name text, \"Age\" int, tags frozen<set<text>>)",
    "CREATE TABLE wide (
        id bigint PRIMARY KEY, tiny tinyint, small smallint, i int, huge varint, dec decimal, f float, d double,
        ok boolean, s text, a ascii, b blob, u uuid, tu timeuuid, t timestamp, day date, tm time, ip inet, iv duration,
        l list<int>, fl frozen<list<text>>, st set<text>, sn set<decimal>, v vector<float, 3>, m map<text, int>, p frozen<person>,
        tup tuple<text, int>, nest list<frozen<map<text, text>>>)",
];

/// A small change of each column.
const FAULTS: [(&str, &str); 27] = [
    ("tiny", "99"),
    ("small", "99"),
    ("i", "1"),
    ("huge", "10000000000000000000000000000000000000001"),
    ("dec", "1.42857142857142857143"),
    ("f", "1.4285716"),
    ("d", "1.4285714285714288"),
    ("ok", "null"),
    ("s", "'text 10 '"),
    ("a", "''"),
    ("b", "0x"),
    ("u", "00000000-0000-4000-8000-0000000000ff"),
    ("tu", "c2b4f3a0-0000-1000-8000-0000000000ff"),
    ("t", "1709208000124"),
    ("day", "'2024-02-29'"),
    ("tm", "'23:59:59.999998'"),
    ("ip", "'::1'"),
    ("iv", "1d2h1us"),
    ("l", "[1]"),
    ("fl", "[]"),
    ("st", "{'b', ''}"),
    ("sn", "{1.5}"),
    ("v", "[1, 0.5, -1.0000001]"),
    ("m", "{'a': 1}"),
    ("p", "{name: 'n'}"),
    ("tup", "('t', 0)"),
    ("nest", "[{}]"),
];

/// Columns of the table, each as it is.
fn same_names() -> String {
    let columns = FAULTS.iter().map(|(column, _)| format!("{column} = \"{column}\"\n"));
    format!("[stream.columns]\nid = \"id\"\n{}", columns.collect::<String>())
}

struct Wide {
    project: Project,
    /// Dropped at the end.
    _source: Database,
    keyspace: Keyspace,
}

impl Wide {
    fn of(mapping: &str, source: &str, target: &[&str]) -> Self {
        let (database, keyspace) = (Database::create(), Keyspace::fresh());
        database.query(source);
        keyspace.run(target.iter().copied());
        let mut project = Project::new();
        let app = postgres(&mut project, "app", &database.url);
        project.set("WIDE_URL", &keyspace.url());
        project.write(
            "config/development.toml",
            &format!("{app}[connection.wide]\nkind = \"scylla\"\nurl = {{ env = \"WIDE_URL\" }}\n"),
        );
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"wide\"]\nmax_rejects = 1000\n",
        );
        project.write("mappings/demo/streams.toml", mapping);
        Self {
            project,
            _source: database,
            keyspace,
        }
    }
}

fn mapping(rest: &str) -> String {
    format!("[[stream]]\nname = \"wide\"\nfrom = \"app.wide\"\nto = \"wide.wide\"\nkey = [\"id\"]\n{rest}")
}

#[test]
fn every_type_arrives_and_a_small_change_of_any_is_named() {
    let wide = Wide::of(&mapping(&same_names()), SOURCE, &TARGET);
    wide.project.run(&["run", "mappings/demo"]).expect(0);
    is_equal(&verified(&wide.project));
    for (number, (column, literal)) in FAULTS.iter().enumerate() {
        let id = 10 + number;
        wide.keyspace
            .rows(&format!("UPDATE wide SET {column} = {literal} WHERE id = {id}"));
    }
    let report = verified(&wide.project);
    let differences = &only(&report).differences;
    let shorts: Vec<_> = differences.iter().map(short).collect();
    assert!(
        differences.iter().all(|difference| difference.columns.len() == 1),
        "{shorts:#?}"
    );
    let found: Vec<&str> = differences
        .iter()
        .map(|difference| difference.columns[0].column.as_str())
        .collect();
    let expected: Vec<&str> = FAULTS.iter().map(|(column, _)| *column).collect();
    assert_eq!(found, expected, "{shorts:#?}");
    for (number, difference) in differences.iter().enumerate() {
        assert_eq!(difference.key[0].value.text, Some((10 + number).to_string()));
    }
}

/// A set has no order, and no element twice; a collection that is not frozen is never empty.
#[test]
fn sets_are_the_same_in_any_order_and_what_they_would_lose_is_refused() {
    let wide = Wide::of(
        &mapping("[stream.columns]\nid = \"id\"\nst = \"st\"\nl = \"l\"\n"),
        "create table wide (id bigint primary key, st text[], l integer[]);
         insert into wide values (1, '{c,a,b}', '{3,1,2}'), (2, '{a,a}', null), (3, '{}', null), (4, null, '{}'),
         (5, '{a,null}', null), (6, '{\"\"}', '{1,1}')",
        &["CREATE TABLE wide (id bigint PRIMARY KEY, st set<text>, l list<int>)"],
    );
    wide.project.run(&["run", "mappings/demo"]).expect(4);
    let report = verified(&wide.project);
    let verdict = only(&report);
    assert_eq!(verdict.source_rows, 6);
    let ids: Vec<_> = wide.keyspace.texts("SELECT id FROM wide").into_iter().flatten().collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    let mut reasons: Vec<String> = wide
        .keyspace
        .rows("SELECT record FROM dbferry_reject")
        .into_iter()
        .map(|row| match &row[0] {
            Some(CqlValue::Text(record)) => {
                let record: Value = serde_json::from_str(record).expect("a record");
                record["reason"].as_str().expect("a reason").to_owned()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["duplicate", "inexact", "inexact", "null_value"]);
    wide.keyspace.run(["UPDATE wide SET st = {'a', 'b'} WHERE id = 1"]);
    assert_eq!(only(&verified(&wide.project)).different, 1);
}

#[test]
fn rows_that_end_by_themselves_are_expected_until_then() {
    let wide = Wide::of(
        &mapping("expires_at = \"until\"\n[stream.columns]\nid = \"id\"\ns = \"s\"\nuntil = \"until\"\n"),
        "create table wide (id bigint primary key, s text, until timestamptz(3));
         insert into wide select i, 's' || i, case i % 4 when 0 then null when 1 then now() + interval '1 hour'
         when 2 then now() - interval '1 hour' else now() + interval '25 s' end from generate_series(1, 400) i",
        &["CREATE TABLE wide (id bigint PRIMARY KEY, s text, until timestamp)"],
    );
    wide.project.run(&["run", "mappings/demo"]).expect(0);
    let report = verified(&wide.project);
    let verdict = only(&report);
    assert_eq!(figures(verdict), (0, 0, 0), "{verdict:#?}");
    assert!(verdict.expired == 100 || verdict.expired == 200, "{verdict:#?}");
    crate::harness::until("rows end by themselves", || wide.keyspace.count("wide") == 200);
    let report = verified(&wide.project);
    let verdict = only(&report);
    assert_eq!((figures(verdict), verdict.expired), ((0, 0, 0), 200), "{verdict:#?}");
    wide.keyspace.run([
        // It has ended long ago, and is there all the same.
        "INSERT INTO wide (id, s, until) VALUES (2, 's2', 1000)",
        "DELETE FROM wide WHERE id = 4",
        "DELETE FROM wide WHERE id = 5",
        "INSERT INTO wide (id, s) VALUES (5000, '')",
    ]);
    let report = verified(&wide.project);
    let found: Vec<String> = only(&report).differences.iter().map(short).collect();
    let begins: Vec<&str> = found.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(begins, ["extra", "missing", "missing", "extra"], "{found:#?}");
    assert!(
        found[0].starts_with("extra 2") && found[3].starts_with("extra 5000"),
        "{found:#?}"
    );
}

#[test]
fn the_rows_of_a_subject_are_fetched_by_their_keys() {
    let toy = Toy::of(300, "error");
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    let verify = [
        "verify",
        "mappings/demo",
        "--for",
        "group=g5",
        "--only",
        "items",
        "--output",
        "json",
    ];
    let report = toy.project.run(&verify).expect(0).json();
    let stream = &report["streams"][0];
    assert_eq!(stream["extra_checked"], Value::Bool(false), "{stream}");
    assert!(stream["notes"].to_string().contains("were not looked for"), "{stream}");
    toy.keyspace
        .run(["UPDATE items SET name = 'another' WHERE grp = 'g5' AND id = 9007199254740997"]);
    let report = toy.project.run(&verify).expect(5).json();
    assert_eq!(report["streams"][0]["different"], 1, "{report}");
    let others = ["verify", "mappings/demo", "--for", "group=g3", "--only", "items"];
    toy.project.run(&others).expect(0);
}

#[test]
fn samples_and_repairs_read_by_key() {
    let toy = Toy::with(Keyspace::fresh(), super::toy::TABLES, &streams("update"), &items(2_000));
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    let sampled = VerifyOptions {
        sample: Some(200),
        ..VerifyOptions::default()
    };
    let report = try_verify(&toy.project, Options::default(), sampled).expect("a sample");
    assert_eq!(figures(stream(&report, "items")), (0, 0, 0));
    toy.keyspace.run([
        "UPDATE items SET name = 'another' WHERE grp = 'g1' AND id = 9007199254740993",
        "DELETE FROM items WHERE grp = 'g3' AND id = 9007199254740995",
        "INSERT INTO items (grp, id, name) VALUES ('g3', -1, 'nobody')",
    ]);
    let report = toy.project.path("report.json");
    let verify = [
        "verify",
        "mappings/demo",
        "--only",
        "items",
        "--report",
        report.to_str().expect("text"),
    ];
    toy.project.run(&verify).expect(5);
    let found = try_verify(&toy.project, Options::default(), VerifyOptions::default()).expect("a verification");
    assert_eq!(figures(stream(&found, "items")), (1, 1, 1));
    let repair = ["repair", "report.json", "mappings/demo", "--delete-extra", "--yes"];
    toy.project.run(&repair).expect(0);
    let mended = try_verify(&toy.project, Options::default(), VerifyOptions::default()).expect("a verification");
    assert_eq!(figures(stream(&mended, "items")), (0, 0, 0));
}

#[test]
fn no_stream_reads_from_a_keyspace() {
    let toy = Toy::of(10, "error");
    let reversed = streams("error").replace("from = \"app.items\"", "from = \"other.items\"");
    toy.project.write("mappings/demo/streams.toml", &reversed);
    toy.project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"other\"]\nsinks = [\"wide\"]\n",
    );
    let config = toy.project.text("config/development.toml");
    toy.project.write(
        "config/development.toml",
        &(config.clone()
            + &config
                .replace("connection.wide", "connection.other")
                .replace("connection.app", "connection.unused")),
    );
    let plan = toy.project.run(&["plan", "mappings/demo"]);
    plan.expect(2)
        .says("which is written and verified, and never read by a stream");
}
