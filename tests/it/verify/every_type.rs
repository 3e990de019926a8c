//! Every type, from every kind of database into every kind: equal after the move, and a small
//! change of any value is found.

use super::{is_equal, only, shorts, verified};
use crate::harness::{Database, Project};
use crate::projects::{SAME_NAMES, between, stream};

pub(super) const POSTGRES: &str = "create type mood as enum ('sad', 'ok');
create table wide (
    id integer primary key, b bytea, t timestamptz, w timestamp(3), day date, tm time, iv interval,
    s text, c char(5), v varchar(20), n numeric, d numeric(12,2), big numeric(60,10), f double precision, r real,
    j jsonb, k json, a integer[], ta text[], u uuid, m mood, ok boolean, i2 smallint, i8 bigint)";

const ROWS: &str = "insert into wide select i, decode(md5(i::text), 'hex'), '2024-02-29 12:00:00.123456Z'::timestamptz + i * interval '1.000001 s',
    '2024-02-29'::timestamp + i * interval '1 s', '2024-02-29'::date + i, '23:59:59.999999', i * interval '1 day 2 hours',
    'text ' || i, 'c' || i % 100, 'é' || i, i / 7.0, i / 4.0, i / 3.0, i / 7.0, i / 7.0,
    jsonb_build_object('b', i, 'a', jsonb_build_array(1.50, null, 'x' || i)), json_build_object('b', i, 'a', 2),
    array[i, null, i + 1], array['a,b', '', null, 'x' || i], md5(i::text)::uuid, case when i % 2 = 0 then 'sad' else 'ok' end::mood,
    i % 2 = 0, i, 9007199254740993 + i from generate_series(1, 300) i;
    insert into wide (id) values (1001);
    insert into wide (id, s, c, v, n, f, r, j, k, a, b) values
        (1002, '', '', '', 'NaN', '-0', '-0', '{}', '{}', '{}', ''),
        (1003, ' x ', 'x', ' ', 1.0, 1e300, 1e30, '[1.00, 1e2]', '{\"a\":1,\"a\":2}', null, '\\x00'),
        (1004, 'a', 'a', 'a', 1.00, 'NaN', 'NaN', '\"\\u00e9\"', ' [ 1 ] ', '{1}', '\\xff')";

const SQLITE: &str = "create table wide (
    id integer primary key, b blob, t timestamptz text, w timestamp text, day date text, tm time text, iv interval text,
    s text, c char(5), v varchar(20), n numeric text, d numeric text(12,2), big numeric text(60,10), f double precision, r real,
    j jsonb text, k json text, a \"integer[]\", ta \"text[]\", u uuid text, m text, ok boolean, i2 smallint, i8 bigint)";

/// A small change of each column.
pub(super) const FAULTS: [(&str, &str); 23] = [
    ("b", "set_bit(b, 3, 1 - get_bit(b, 3))"),
    ("t", "t + interval '1 microsecond'"),
    ("w", "w + interval '1 millisecond'"),
    ("day", "day + 1"),
    ("tm", "tm - interval '1 microsecond'"),
    ("iv", "iv + interval '24 hours'"),
    ("s", "s || ' '"),
    ("c", "c || 'x'"),
    ("v", "normalize(v, nfd)"),
    ("n", "n + 1e-30"),
    ("d", "d + 0.01"),
    ("big", "-big"),
    ("f", "f + 1e-12"),
    ("r", "r + 1e-4"),
    ("j", "j || '{\"c\":null}'"),
    ("k", "(k::text || ' ')::json"),
    ("a", "a || null::integer"),
    ("ta", "array_replace(ta, '', ' ')"),
    ("u", "gen_random_uuid()"),
    ("m", "case when m = 'ok' then 'sad' else 'ok' end::mood"),
    ("ok", "not ok"),
    ("i2", "-i2"),
    ("i8", "i8 + 1"),
];

pub(super) fn source() -> Database {
    let source = Database::create();
    source.query(POSTGRES);
    source.query(ROWS);
    source
}

#[test]
fn postgres_to_postgres() {
    let (source, target) = (source(), Database::create());
    target.query(POSTGRES);
    let project = between(&source, &target, "", &stream("wide", "app.wide", "target.wide", SAME_NAMES));
    project.run(&["run", "mappings/demo"]).expect(0);
    is_equal(&verified(&project));
    for (number, (column, change)) in FAULTS.iter().enumerate() {
        target.query(&format!("update wide set {column} = {change} where id = {}", 10 + number));
    }
    let report = verified(&project);
    let found = only(&report)
        .differences
        .iter()
        .map(|difference| difference.columns[0].column.as_str());
    let mut found: Vec<_> = found.collect();
    assert!(
        only(&report)
            .differences
            .iter()
            .all(|difference| difference.columns.len() == 1),
        "{:#?}",
        shorts(only(&report))
    );
    let mut expected: Vec<_> = FAULTS.iter().map(|(column, _)| *column).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn what_postgres_takes_for_the_same_is_no_difference() {
    let (source, target) = (source(), Database::create());
    target.query(POSTGRES);
    let project = between(&source, &target, "", &stream("wide", "app.wide", "target.wide", SAME_NAMES));
    project.run(&["run", "mappings/demo"]).expect(0);
    target.query("update wide set n = n * 1.000, j = (j || '{\"z\": 1}') - 'z', c = rtrim(c) where jsonb_typeof(j) = 'object'");
    is_equal(&verified(&project));
    target.query("update wide set f = 0 where id = 1002");
    assert_eq!(shorts(only(&verified(&project))), ["different 1002 f: -0.0 / 0.0"]);
}

#[test]
fn postgres_to_sqlite_and_on_to_sqlite_and_back() {
    let (source, back) = (source(), Database::create());
    source.query(
        "update wide set f = 1 where f = 'NaN'; update wide set r = 1 where r = 'NaN'; update wide set n = 2 where n = 'NaN'",
    );
    back.query(POSTGRES);
    let mut project = Project::new();
    let app = crate::projects::postgres(&mut project, "app", &source.url);
    let back_to = crate::projects::postgres(&mut project, "back", &back.url);
    let file = |name: &str| format!("[connection.{name}]\nkind = \"sqlite\"\npath = {{ value = \"{name}.db\" }}\n");
    for name in ["first", "second"] {
        project.sqlite(&format!("{name}.db"), SQLITE);
    }
    project.write(
        "config/development.toml",
        &format!("{app}{back_to}{}{}", file("first"), file("second")),
    );
    let hop = |from: &str, to: &str| {
        project.write(
            "mappings/demo/project.toml",
            &format!("name = \"demo\"\nsources = [\"{from}\"]\nsinks = [\"{to}\"]\n"),
        );
        let rest = "same_name_columns = true\nallow_precision_loss = [\"k\", \"big\"]\n[stream.columns]\nid = \"id\"\n";
        project.write(
            "mappings/demo/streams.toml",
            &stream("wide", &format!("{from}.wide"), &format!("{to}.wide"), rest),
        );
        let run = project.run(&["run", "mappings/demo"]);
        run.expect(0);
        is_equal(&verified(&project));
        super::ledger::is_unchanged(&super::ledger::checked(&project));
    };
    hop("app", "first");
    hop("first", "second");
    hop("second", "back");
}
