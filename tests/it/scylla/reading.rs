//! Tables of a keyspace as verification reads them: every type exactly, every row once, by ranges of
//! tokens or by key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::position::{Key, KeyValue};
use dbferry::data::stream::{Order, Origin, ReadColumn, ReadRequest};
use dbferry::data::table::{Table, TableName};
use dbferry::source;

use crate::cassandra::Keyspace;
use crate::cassandra::node::Node;
use crate::harness::block_on;

/// Reads columns of a table: all rows, or those of some keys.
fn read(keyspace: &Keyspace, table: &str, columns: &[&str], only: Option<Vec<Key>>) -> Vec<SourceBatch> {
    let connection = keyspace.connection("wide", false);
    let name = TableName::new(table);
    let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    block_on(async move {
        let source = source::open(&connection).await.expect("a keyspace");
        let table: Table = source.table(&name).await.expect("its tables").expect("the table");
        let column = |name: &String| ReadColumn {
            name: name.clone(),
            ty: table.column(name).expect("a column").ty.clone(),
            json_is_checked: false,
        };
        let request = ReadRequest {
            origin: Origin::Table(name),
            columns: columns.iter().map(column).collect(),
            key: table.key.clone(),
            order: Order::Any,
            after: None,
            subject: None,
            only,
            piece: None,
            rows_max: 700,
            bytes_max: 1 << 20,
            patience: std::time::Duration::from_secs(20),
        };
        let mut batches = source.read(request).await.expect("a reading");
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.push(batch.expect("rows"));
        }
        all
    })
}

/// Values by key and column, as the rows of a reject show them; rejects with their reasons.
fn shown(batches: &[SourceBatch]) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for batch in batches {
        for row in 0..batch.rows.num_rows() {
            let text = (batch.row_json)(&batch.rows, row);
            let again = rows.insert(batch.keys.get(row).to_string(), text);
            assert!(again.is_none(), "a row came twice");
        }
        for reject in &batch.rejects {
            let column = reject.column.clone().unwrap_or_default();
            rows.insert(
                reject.key.to_string(),
                format!("{column}: {} {}", reject.reason, reject.detail),
            );
        }
    }
    rows
}

#[test]
fn scalars_are_what_the_server_was_given() {
    let keyspace = Keyspace::fresh();
    keyspace.run([
        "CREATE TABLE scalars (id int PRIMARY KEY, ti tinyint, si smallint, bi bigint, vi varint, de decimal, fl float, \
         dou double, ok boolean, te text, asc_ ascii, bl blob, uu uuid, tu timeuuid, ts timestamp, da date, tm time, \
         ip inet, du duration)",
        "INSERT INTO scalars (id, ti, si, bi, vi, de, fl, dou, ok, te, asc_, bl, uu, tu, ts, da, tm, ip, du) VALUES \
         (1, -128, -32768, -9223372036854775808, -170141183460469231731687303715884105729, -0.0000000000000000000000000000000000000001, \
          -0.1, -1.7976931348623157e308, true, 'é''\"', '~', 0x00ff, 00000000-0000-4000-8000-0000000000ff, \
          c2b4f3a0-0000-1000-8000-000000000001, -1, '-0044-03-15', '23:59:59.999999', '2001:db8::1', -1y2mo3d4h5ms)",
        "INSERT INTO scalars (id, vi, de, fl, dou, ok, te, asc_, bl, ip, du) VALUES \
         (2, 0, 1E+3, NaN, Infinity, false, '', '', 0x, '127.0.0.1', 0s)",
        "INSERT INTO scalars (id) VALUES (3)",
        "INSERT INTO scalars (id, tm) VALUES (4, '00:00:00.000000001')",
        "INSERT INTO scalars (id, ts) VALUES (5, 9223372036854775807)",
        "INSERT INTO scalars (id, da) VALUES (6, 0)",
        "INSERT INTO scalars (id, bi) VALUES (7, blobAsBigint(0x))",
    ]);
    let columns = [
        "id", "ti", "si", "bi", "vi", "de", "fl", "dou", "ok", "te", "asc_", "bl", "uu", "tu", "ts", "da", "tm", "ip", "du",
    ];
    let rows = shown(&read(&keyspace, "scalars", &columns, None));
    assert_eq!(rows.len(), 7);
    let row: serde_json::Value = serde_json::from_str(&rows["1"]).expect("a row");
    for (column, value) in [
        ("ti", "-128"),
        ("si", "-32768"),
        ("bi", "-9223372036854775808"),
        ("vi", "\"-170141183460469231731687303715884105729\""),
        ("de", "\"-0.0000000000000000000000000000000000000001\""),
        ("fl", "\"-0.1\""),
        ("dou", "\"-1.7976931348623157e308\""),
        ("ok", "true"),
        ("te", "\"é'\\\"\""),
        ("asc_", "\"~\""),
        ("bl", "\"00ff\""),
        ("uu", "\"000000000000400080000000000000ff\""),
        ("tu", "\"c2b4f3a0000010008000000000000001\""),
        ("ts", "\"1969-12-31T23:59:59.999Z\""),
        ("da", "\"-0044-03-15\""),
        ("tm", "\"23:59:59.999999\""),
        ("ip", "\"2001:db8::1\""),
    ] {
        assert_eq!(row[column].to_string(), value, "{column}");
    }
    let row: serde_json::Value = serde_json::from_str(&rows["2"]).expect("a row");
    for (column, value) in [
        ("vi", "\"0\""),
        ("de", "\"1000\""),
        ("fl", "\"NaN\""),
        ("dou", "\"inf\""),
        ("ok", "false"),
        ("te", "\"\""),
        ("asc_", "\"\""),
        ("bl", "\"\""),
        ("ip", "\"127.0.0.1\""),
        ("ti", "null"),
    ] {
        assert_eq!(row[column].to_string(), value, "{column}");
    }
    let row: serde_json::Value = serde_json::from_str(&rows["3"]).expect("a row");
    assert!(columns[1..].iter().all(|column| row[column].is_null()), "{row}");
    for (key, begins) in [
        ("4", "tm: inexact"),
        ("5", "ts: out_of_range"),
        ("6", "da: out_of_range"),
        ("7", "bi: unreadable"),
    ] {
        assert!(rows[key].starts_with(begins), "{}", rows[key]);
    }
}

/// What is put together is read as the JSON that the server itself writes for it.
#[test]
fn documents_are_what_the_server_writes_as_json() {
    let keyspace = Keyspace::fresh();
    keyspace.run([
        "CREATE TYPE inner_ (n varint, at timestamp)",
        "CREATE TYPE person (name text, age int, inside frozen<inner_>)",
        "CREATE TABLE docs (id int PRIMARY KEY, m map<text, double>, mi map<int, frozen<list<text>>>, \
         t tuple<text, int, blob>, p person, fp frozen<person>, n list<frozen<map<text, decimal>>>, s set<frozen<tuple<int, uuid>>>, \
         mt map<timestamp, date>, mu map<uuid, time>, v vector<text, 2>)",
        "INSERT INTO docs (id, m, mi, t, p, fp, n, s, mt, mu) VALUES (1, {'b': 0.1, 'a\"': -1e300, '': 5}, {-1: ['x', ''], 2: []}, \
         ('é', -1, 0x00ff), {name: 'a', age: 1, inside: {n: 123456789012345678901234567890, at: '2024-02-29 12:00:00.123Z'}}, \
         {name: 'b', age: 2, inside: {n: 0, at: 0}}, [{'x': 1.50, 'y': -0.1}, {}], \
         {(2, 00000000-0000-4000-8000-0000000000ff), (-1, 00000000-0000-4000-8000-0000000000aa)}, \
         {'1969-12-31 23:59:59.999Z': '2024-02-29'}, {00000000-0000-4000-8000-0000000000ff: '01:02:03.000000004'})",
        "INSERT INTO docs (id, v, fp) VALUES (2, ['one', ''], {name: 'only'})",
    ]);
    let columns = ["m", "mi", "t", "p", "fp", "n", "s", "mt", "mu"];
    let rows = shown(&read(&keyspace, "docs", &columns, None));
    let read_row: serde_json::Value = serde_json::from_str(&rows["1"]).expect("a row");
    let asked: Vec<String> = columns.iter().map(|column| format!("toJson({column})")).collect();
    let server = keyspace.texts(&format!("SELECT {} FROM docs WHERE id = 1", asked.join(", ")));
    for (column, expected) in columns.iter().zip(&server[0]) {
        let ours: serde_json::Value = serde_json::from_str(read_row[column].as_str().expect("text")).expect("JSON");
        let expected = expected.trim_matches('\'').replace("''", "'");
        let theirs: serde_json::Value = serde_json::from_str(&expected).expect("JSON of the server's");
        assert_eq!(plain(&ours), plain(&theirs), "{column}");
    }
    let row: serde_json::Value = serde_json::from_str(&rows["2"]).expect("a row");
    assert_eq!(row["fp"], "{\"name\":\"only\"}", "what is not there is left out");
}

/// Numbers by value, not by their digits.
fn plain(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::Number(number) => {
            let text = number.to_string();
            let scientific: Option<f64> = text.contains(['e', 'E', '.']).then(|| text.parse().expect("a number"));
            scientific.map_or(text, |number| format!("{number:e}"))
        }
        serde_json::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", plain(value)))
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// A table with one wide partition beside many narrow ones; how many rows it has.
fn fill(keyspace: &Keyspace) -> usize {
    keyspace.run(["CREATE TABLE many (part text, n int, note text, PRIMARY KEY (part, n))"]);
    for batch in 0..60 {
        let mut text = "BEGIN UNLOGGED BATCH ".to_owned();
        for n in 0..100 {
            let part = if batch < 40 {
                "wide".to_owned()
            } else {
                format!("p{batch}-{n}")
            };
            let note = "x".repeat(n);
            write!(
                text,
                "INSERT INTO many (part, n, note) VALUES ('{part}', {}, '{note}'); ",
                batch * 100 + n
            )
            .expect("text");
        }
        keyspace.rows(&(text + "APPLY BATCH"));
    }
    6_000
}

#[test]
fn every_row_comes_once_in_however_many_pages_and_ranges() {
    let keyspace = Keyspace::fresh();
    let rows = fill(&keyspace);
    let batches = read(&keyspace, "many", &["note", "n"], None);
    assert!(batches.iter().all(|batch| batch.rows.num_rows() <= 700));
    assert!(batches.len() >= rows / 700);
    assert_eq!(shown(&batches).len(), rows);
    let connection = keyspace.connection("wide", false);
    let (count, moment, version) = block_on(async move {
        let source = source::open(&connection).await.expect("a keyspace");
        let origin = Origin::Table(TableName::new("many"));
        assert!(source.is_live());
        let count = source.count(&origin).await.expect("a count");
        (
            count,
            source.moment().await.expect("a moment"),
            source.version().await.expect("a version"),
        )
    });
    assert_eq!(count, Some(rows as u64));
    assert!(moment.contains("live since"), "{moment}");
    assert!(
        version.is_some_and(|version| version.starts_with("Cassandra 5")),
        "the server's"
    );
    let key = |part: &str, n: i64| Key(vec![KeyValue::Text(part.to_owned()), KeyValue::Int(n)]);
    let some = vec![
        key("wide", 0),
        key("wide", 3_999),
        key("nobody", 1),
        key("p59-99", 5_999),
        key("wide", i64::MAX),
    ];
    let found: Vec<String> = shown(&read(&keyspace, "many", &["n"], Some(some))).into_keys().collect();
    assert_eq!(found, ["p59-99, 5999", "wide, 0", "wide, 3999"], "those that are there");
}

/// What came before the server died is not read twice, and what was to come comes when it is back.
#[test]
fn a_reading_goes_on_when_its_server_comes_back() {
    let node = std::sync::Arc::new(Node::start());
    let keyspace = Keyspace::fresh_on(&node.url(), 1);
    let rows = fill(&keyspace);
    let connection = keyspace.connection("wide", false);
    let batches = block_on(async move {
        let source = source::open(&connection).await.expect("a keyspace");
        let request = ReadRequest {
            origin: Origin::Table(TableName::new("many")),
            columns: vec![ReadColumn {
                name: "note".to_owned(),
                ty: ColumnType::TEXT,
                json_is_checked: false,
            }],
            key: vec!["part".to_owned(), "n".to_owned()],
            order: Order::Any,
            after: None,
            subject: None,
            only: None,
            piece: None,
            rows_max: 50,
            bytes_max: 1 << 20,
            patience: std::time::Duration::from_mins(2),
        };
        let mut batches = source.read(request).await.expect("a reading");
        let mut all = vec![batches.recv().await.expect("a batch").expect("rows")];
        let _node = tokio::task::spawn_blocking(move || {
            node.kill();
            std::thread::sleep(std::time::Duration::from_secs(1));
            node.restart();
            node
        })
        .await
        .expect("a node that comes back");
        while let Some(batch) = batches.recv().await {
            all.push(batch.expect("rows"));
        }
        all
    });
    assert!(batches.len() >= rows / 50);
    assert_eq!(shown(&batches).len(), rows);
}

/// Keys of every type are found again by what they are called.
#[test]
fn rows_are_found_again_by_keys_of_every_type() {
    let keyspace = Keyspace::fresh();
    for (number, (ty, values)) in [
        ("boolean", vec!["true", "false"]),
        ("tinyint", vec!["-128", "127"]),
        ("varint", vec!["-170141183460469231731687303715884105729", "0"]),
        ("decimal", vec!["1.50", "-7"]),
        ("float", vec!["-0.1", "NaN"]),
        ("double", vec!["-0.0", "Infinity", "5e-324"]),
        ("text", vec!["'é'", "'null'"]),
        ("ascii", vec!["'a'"]),
        ("blob", vec!["0x00ff", "0x01"]),
        ("uuid", vec!["00000000-0000-4000-8000-0000000000ff"]),
        ("timeuuid", vec!["c2b4f3a0-0000-1000-8000-000000000001"]),
        ("timestamp", vec!["-1", "9223372036854775"]),
        ("date", vec!["'2024-02-29'", "'-0044-03-15'"]),
        ("time", vec!["'23:59:59.999999'"]),
        ("inet", vec!["'::1'", "'127.0.0.1'"]),
        ("frozen<list<int>>", vec!["[1, 2]", "[]"]),
        ("frozen<map<text, int>>", vec!["{'b': 1, 'a': 2}"]),
        ("frozen<set<text>>", vec!["{'b', 'a'}"]),
        ("tuple<int, text>", vec!["(1, 'a')"]),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("keys{number}");
        keyspace.rows(&format!("CREATE TABLE {table} (p int, k {ty}, v int, PRIMARY KEY (p, k))"));
        for value in &values {
            keyspace.rows(&format!("INSERT INTO {table} (p, k, v) VALUES (1, {value}, 7)"));
        }
        let all = read(&keyspace, &table, &["v"], None);
        let keys: Vec<Key> = all
            .iter()
            .flat_map(|batch| (0..batch.keys.len()).map(|row| batch.keys.get(row)))
            .collect();
        assert_eq!(keys.len(), values.len(), "{ty}");
        let again = read(&keyspace, &table, &["v", "k"], Some(keys.clone()));
        let found: usize = again.iter().map(|batch| batch.rows.num_rows() + batch.rejects.len()).sum();
        assert_eq!(found, values.len(), "{ty}: {keys:?}");
    }
}

#[test]
fn shapes_tell_sets_from_lists() {
    let keyspace = Keyspace::fresh();
    keyspace.run(["CREATE TABLE shapes (id int PRIMARY KEY, l list<text>, s set<text>, m map<text, text>)"]);
    let connection = keyspace.connection("wide", false);
    let table = block_on(async move {
        let source = source::open(&connection).await.expect("a keyspace");
        source
            .table(&TableName::new("shapes"))
            .await
            .expect("its tables")
            .expect("the table")
    });
    let column = |name: &str| table.column(name).map(|column| (column.ty.clone(), column.unordered));
    let texts = || ColumnType::List(Box::new(ColumnType::TEXT));
    assert_eq!(column("l"), Some((texts(), false)));
    assert_eq!(column("s"), Some((texts(), true)));
    assert_eq!(column("m"), Some((ColumnType::Json { binary: true }, false)));
}
