//! The Postgres source, read through the public interface from a real server.

use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use dbferry::ErrorKind;
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::concern::Concern;
use dbferry::data::position::{Key, KeyValue, Position};
use dbferry::data::stream::{Origin, ReadColumn, ReadRequest, Subject};
use dbferry::data::table::TableName;
use dbferry::source::{self, Source};

use crate::harness::{Database, Project};

async fn open(database: &Database) -> Box<dyn Source> {
    open_url(&database.url).await
}

async fn open_url(url: &str) -> Box<dyn Source> {
    source::open(&Connection {
        name: "social".to_owned(),
        kind: ConnectionKind::Postgres {
            url: url.to_owned().into(),
            create_database: false,
            new_database: dbferry::config::connection::NewDatabase::default(),
        },
    })
    .await
    .expect("a database")
}

fn name(table: &str) -> TableName {
    match table.split_once('.') {
        Some((schema, name)) => TableName {
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        },
        None => TableName::new(table),
    }
}

fn table(table: &str) -> Origin {
    Origin::Table(name(table))
}

fn query(sql: &str) -> Origin {
    Origin::Query { sql: sql.to_owned() }
}

/// Columns with their own types, three rows at a time.
async fn request(source: &dyn Source, origin: Origin, columns: &[&str], key: &[&str]) -> ReadRequest {
    let shape = match &origin {
        Origin::Table(name) => source.table(name).await.expect("a catalog").expect("a table"),
        Origin::Query { sql } => source.query(sql).await.expect("a query"),
    };
    ReadRequest {
        origin,
        columns: columns
            .iter()
            .map(|name| ReadColumn {
                name: (*name).to_owned(),
                ty: shape.column(name).expect(name).ty.clone(),
            })
            .collect(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        after: None,
        subject: None,
        only: None,
        rows_max: 3,
        bytes_max: 1 << 20,
    }
}

async fn batches(source: &dyn Source, request: ReadRequest) -> Vec<SourceBatch> {
    let mut receiver = source.read(request).await.expect("a readable stream");
    let mut all = Vec::new();
    while let Some(batch) = receiver.recv().await {
        all.push(batch.expect("a batch"));
    }
    all
}

/// The error that preparing or reading ends in.
async fn failure(source: &dyn Source, request: ReadRequest) -> dbferry::Error {
    let mut receiver = match source.read(request).await {
        Ok(receiver) => receiver,
        Err(error) => return error,
    };
    while let Some(batch) = receiver.recv().await {
        if let Err(error) = batch {
            return error;
        }
    }
    panic!("it read to the end");
}

/// Rows as text, columns apart by `|`.
fn rows(batches: &[SourceBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all = Vec::new();
    for batch in batches {
        assert_eq!(batch.keys.len(), batch.rows.num_rows());
        let formatters: Vec<_> = batch
            .rows
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("a formatter"))
            .collect();
        for row in 0..batch.rows.num_rows() {
            let cells: Vec<_> = formatters.iter().map(|column| column.value(row).to_string()).collect();
            all.push(cells.join("|"));
        }
    }
    all
}

fn keys(batches: &[SourceBatch]) -> Vec<Key> {
    batches
        .iter()
        .flat_map(|batch| (0..batch.keys.len()).map(|row| batch.keys.get(row)))
        .collect()
}

fn text(value: &str) -> Key {
    Key(vec![KeyValue::Text(value.to_owned())])
}

/// Reads a stream from its start, then again after each row, up to each row, and by its keys:
/// what comes must be the same rows.
async fn goes_on_anywhere(source: &dyn Source, request: ReadRequest) -> Vec<String> {
    let whole = batches(source, request.clone()).await;
    let (all, keys) = (rows(&whole), keys(&whole));
    assert_eq!(all.len(), keys.len());
    for (i, key) in keys.iter().enumerate() {
        let mut rest = request.clone();
        rest.after = Some(Position::Key(key.clone()));
        assert_eq!(rows(&batches(source, rest).await), all[i + 1..], "after {key}");
        if i % 3 != 0 {
            continue;
        }
        let mut first = request.clone();
        first.after = Some(Position::Within {
            after: None,
            until: Some(key.clone()),
        });
        assert_eq!(rows(&batches(source, first).await), all[..=i], "until {key}");
    }
    if let [_, from, .., to] = keys.as_slice() {
        let mut middle = request.clone();
        middle.after = Some(Position::Within {
            after: Some(from.clone()),
            until: Some(to.clone()),
        });
        assert_eq!(rows(&batches(source, middle).await), all[2..]);
    }
    let mut only = request;
    only.only = Some(keys.iter().step_by(2).cloned().collect());
    let mut found = rows(&batches(source, only).await);
    let mut wanted: Vec<_> = all.iter().step_by(2).cloned().collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    all
}

#[tokio::test]
async fn reading_goes_on_after_any_key_of_any_type() {
    let database = Database::create();
    database.query(
        r#"create extension citext;
        create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        create type mood as enum ('sad', 'so so', 'Happy');
        create domain short as varchar(20);
        create table k (
            i int primary key, big bigint unique not null, t text unique not null, c text collate "C" unique not null,
            de text collate "de-x-icu" unique not null, nocase text collate nocase unique not null, ci citext unique not null,
            u uuid unique not null, at timestamptz unique not null, d date unique not null, n numeric unique not null,
            f float8 unique not null, m interval unique not null, b bytea unique not null, ch char(8) unique not null,
            vc varchar(20) unique not null, s short unique not null, a int[] unique not null, ip inet unique not null);
        insert into k select g::int - 4, g * 9000000000 - 20000000000, t, t, t, t || g, t || g,
            md5(g::text)::uuid, timestamptz '2024-03-31 01:00:00.000001+02' + g * interval '17 minutes 0.000003 seconds',
            date '0044-03-15 BC' + g::int * 1000, g * 1.10 - 3, g / 7.0, g * interval '25 hours', decode(lpad(to_hex(g * 31), 4, '0'), 'hex'),
            left(t, 7), t, t, array[g::int, null, -g::int], ('10.0.0.' || g)::inet
        from unnest(array['b', 'A', 'a', 'B', 'é', '', 'z', 'Ä''"\', 'a b']) with ordinality x(t, g);
        create table pair (t text, n int, v text, primary key (t, n));
        insert into pair select t, n, t || n from unnest(array['b', 'A', 'a', 'é']) t, generate_series(1, 3) n;
        create table moods (mood mood primary key);
        insert into moods values ('Happy'), ('sad'), ('so so');"#,
    );
    let source = open(&database).await;
    for key in [
        "i", "big", "t", "c", "de", "nocase", "ci", "u", "at", "d", "n", "f", "m", "b", "ch", "vc", "s", "a", "ip",
    ] {
        let request = request(&*source, table("k"), &["t", "i"], &[key]).await;
        assert_eq!(goes_on_anywhere(&*source, request).await.len(), 9, "{key}");
    }
    let by_int = request(&*source, table("k"), &["t"], &["i"]).await;
    assert_eq!(
        goes_on_anywhere(&*source, by_int).await,
        ["b", "A", "a", "B", "é", "", "z", "Ä'\"\\", "a b"]
    );
    let by_pair = request(&*source, table("pair"), &["v"], &["t", "n"]).await;
    assert_eq!(goes_on_anywhere(&*source, by_pair).await.len(), 12);
    let by_label = request(&*source, table("moods"), &["mood"], &["mood"]).await;
    assert_eq!(goes_on_anywhere(&*source, by_label).await, ["sad", "so so", "Happy"]);
    let by_query = request(
        &*source,
        query("select t, i % 2 as odd, i from k where i > -2"),
        &["t", "odd"],
        &["t"],
    )
    .await;
    assert_eq!(goes_on_anywhere(&*source, by_query).await.len(), 7);
    let by_float = request(
        &*source,
        query("select f / 3 as third, t || '' as t from k"),
        &["t"],
        &["third", "t"],
    )
    .await;
    assert_eq!(goes_on_anywhere(&*source, by_float).await.len(), 9);
}

#[tokio::test]
async fn keys_are_called_as_the_server_writes_them() {
    let database = Database::create();
    database.query(
        "create table k (u uuid, at timestamptz, n numeric, i smallint, b bytea, primary key (u, at, n, i, b));
         insert into k values ('0000000A-000b-000c-000d-00000000000E', '2024-01-02 03:04:05.6+02', 1.50, -7, '\\x00ff');",
    );
    let source = open(&database).await;
    let request = request(&*source, table("k"), &[], &["u", "at", "n", "i", "b"]).await;
    let key = Key(vec![
        KeyValue::Text("0000000a-000b-000c-000d-00000000000e".to_owned()),
        KeyValue::Text("2024-01-02 01:04:05.6+00".to_owned()),
        KeyValue::Text("1.50".to_owned()),
        KeyValue::Int(-7),
        KeyValue::Bytes(vec![0, 255]),
    ]);
    let read = batches(&*source, request).await;
    assert_eq!(keys(&read), std::slice::from_ref(&key));
    assert_eq!(read[0].position, Position::Key(key));
}

/// A project that moves `from` of one database to `to` of another.
fn project(source: &Database, target: &Database, streams: &str) -> Project {
    let mut project = Project::new();
    project.set("SOURCE_URL", &source.url);
    project.set("TARGET_URL", &target.url);
    project.write(
        "config/development.toml",
        "[connection.social]\nkind = \"postgres\"\nurl = { env = \"SOURCE_URL\" }\n\n[connection.target]\nkind = \"postgres\"\nurl = { env = \"TARGET_URL\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"social\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", streams);
    project
}

#[test]
fn the_program_moves_a_table_between_two_databases() {
    let (source, target) = (Database::create(), Database::create());
    let ddl = "create table users (id uuid primary key, name text not null, born date, score numeric(10,2),
        big numeric, doc jsonb, tags text[], at timestamptz, ok boolean, raw bytea, f float8)";
    source.query(ddl);
    target.query(ddl);
    source.query(
        "insert into users select md5(g::text)::uuid, 'name ' || g, date '2000-01-01' + g, g / 4.0, g ^ 20.0, jsonb_build_object('n', g),
             array['a', null, g::text], timestamptz '2024-01-01' + g * interval '1 second', g % 2 = 0, decode(md5(g::text), 'hex'), g / 3.0
         from generate_series(1, 20000) g",
    );
    let project = project(
        &source,
        &target,
        "[[stream]]\nname = \"users\"\nfrom = \"social.users\"\nto = \"target.users\"\nkey = [\"id\"]\nsame_name_columns = true\n",
    );
    project.run(&["check", "mappings/demo"]).expect(0);
    project.run(&["run", "mappings/demo"]).expect(0);
    let all = "select md5(string_agg(u::text, ',' order by id)), count(*)::text from users u";
    assert_eq!(target.query(all), source.query(all));
}

#[tokio::test]
async fn all_readers_see_one_moment_while_the_application_writes() {
    let database = Database::create();
    database.query("create table t (id int primary key, v text); insert into t select g, 'v' from generate_series(1, 10) g");
    let source = open(&database).await;
    let moment = source.moment().await.expect("a moment");
    assert!(moment.contains(&database.name) && moment.contains("snapshot"), "{moment}");
    let before = request(&*source, table("t"), &["id", "v"], &["id"]).await;
    let all = rows(&batches(&*source, before.clone()).await);
    database.query("update t set v = 'new'; delete from t where id = 1; insert into t values (11, 'new')");
    assert_eq!(rows(&batches(&*source, before.clone()).await), all);
    assert_eq!(source.count(&table("t")).await.expect("a count"), 10);
    assert_eq!(source.moment().await.expect("the same"), moment);
    // The holder has no lock on anything: the application may alter what is not being read.
    database.query("set lock_timeout = '2s'; alter table t add column extra int");
    let later = open(&database).await;
    assert_ne!(later.moment().await.expect("another"), moment);
    assert_eq!(rows(&batches(&*later, before).await)[0], "2|new");
}

/// Ends the backends of ours whose last statement looks like this.
fn end_backends(database: &Database, statement: &str) -> usize {
    database
        .query(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and application_name = 'dbferry' and query ilike '{statement}'"
        ))
        .len()
}

#[tokio::test]
async fn a_lost_holder_means_another_moment_and_is_told_as_lost() {
    let database = Database::create();
    database.query("create table t (id int primary key); insert into t values (1)");
    let source = open(&database).await;
    let moment = source.moment().await.expect("a moment");
    let again = request(&*source, table("t"), &["id"], &["id"]).await;
    assert_eq!(end_backends(&database, "%pg_export_snapshot%"), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    database.query("insert into t values (2)");
    assert_eq!(failure(&*source, again.clone()).await.kind(), ErrorKind::Lost);
    assert_ne!(source.moment().await.expect("another"), moment);
    assert_eq!(rows(&batches(&*source, again).await), ["1", "2"]);
}

/// A table whose rows do not fit into the channel and the sockets between.
const MANY: &str = "create table many (id int primary key, v text);
    insert into many select g, repeat('x', 1000) from generate_series(1, 50000) g";

#[tokio::test]
async fn a_reader_that_loses_its_connection_says_so() {
    let database = Database::create();
    database.query(MANY);
    let source = open(&database).await;
    let many = request(&*source, table("many"), &["id", "v"], &["id"]).await;
    let mut receiver = source.read(many).await.expect("a stream");
    receiver.recv().await.expect("a batch").expect("readable");
    assert_eq!(end_backends(&database, "copy%"), 1);
    let mut end = None;
    while let Some(batch) = receiver.recv().await {
        end = batch.err();
    }
    assert_eq!(end.expect("it broke off").kind(), ErrorKind::Lost);
}

#[tokio::test]
async fn nobody_waits_and_the_backend_ends() {
    let database = Database::create();
    database.query(MANY);
    let source = open(&database).await;
    let many = request(&*source, table("many"), &["id", "v"], &["id"]).await;
    // Both while rows come and while the server is still busy with a sort or a function.
    let slow = request(&*source, query("select 1 as n from pg_sleep(60)"), &["n"], &[]).await;
    let busy =
        "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'copy%' and state = 'active'";
    for (request, first) in [(many, true), (slow, false)] {
        let mut receiver = source.read(request).await.expect("a stream");
        if first {
            receiver.recv().await.expect("a batch").expect("readable");
        }
        while database.value(busy) != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(receiver);
        let began = std::time::Instant::now();
        while database.value(busy) != "0" {
            assert!(began.elapsed() < Duration::from_secs(10), "the backend goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(source.count(&table("many")).await.expect("the source goes on"), 50000);
}

#[tokio::test]
async fn a_table_that_lost_its_rows_since_the_moment_is_no_empty_table() {
    let database = Database::create();
    database.query(
        "create table plain (id int primary key, v int); insert into plain values (1, 1);
         create table rewritten (id int primary key, v int); insert into rewritten values (1, 1);
         create table parted (id int primary key) partition by range (id);
         create table part_one partition of parted for values from (0) to (10);
         create table part_two partition of parted for values from (10) to (20);
         insert into parted values (1), (11);
         create table behind (id int primary key); insert into behind values (1);
         create view front as select * from behind;
         create table untouched (id int primary key); insert into untouched values (1);",
    );
    let source = open(&database).await;
    source.moment().await.expect("a moment");
    let mut requests = Vec::new();
    for table_name in ["plain", "rewritten", "parted", "front"] {
        requests.push((table_name, request(&*source, table(table_name), &["id"], &["id"]).await));
    }
    let untouched = request(&*source, table("untouched"), &["id"], &["id"]).await;
    database.query("truncate plain, part_two, behind; alter table rewritten alter v type text");
    database.query("vacuum untouched");
    for (table_name, request) in requests {
        let error = failure(&*source, request).await;
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{table_name}: {error}");
        assert!(error.message().contains("truncated or rewritten"), "{error}");
        let error = source.count(&table(table_name)).await.expect_err("nothing to count");
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{table_name}: {error}");
    }
    assert_eq!(rows(&batches(&*source, untouched).await), ["1"]);
}

#[tokio::test]
async fn keys_that_hide_rows_are_refused() {
    let database = Database::create();
    database.query(
        "create table t (id int, again int not null); insert into t values (1, 1), (2, 1), (3, 2), (null, 3);
         create extension citext; create table c (id citext); insert into c values ('a'), ('A'), ('b');",
    );
    let source = open(&database).await;
    let nulls = request(&*source, table("t"), &["id"], &["id"]).await;
    let error = failure(&*source, nulls.clone()).await;
    assert!(
        error.kind() == ErrorKind::Mapping && error.message().contains("NULL"),
        "{error}"
    );
    let mut after = nulls;
    after.after = Some(Position::Key(Key(vec![KeyValue::Int(2)])));
    let error = failure(&*source, after).await;
    assert!(
        error.kind() == ErrorKind::Mapping && error.message().contains("NULL"),
        "{error}"
    );
    let doubled = request(&*source, table("t"), &["again"], &["again"]).await;
    let error = failure(&*source, doubled).await;
    assert!(error.message().contains("two rows have one source key"), "{error}");
    let mut cases = request(&*source, table("c"), &["id"], &["id"]).await;
    cases.rows_max = 1;
    assert_eq!(goes_on_anywhere(&*source, cases).await, ["A", "a", "b"]);
    let mut bytes = request(&*source, table("t"), &["again"], &["again"]).await;
    bytes.columns[0].ty = ColumnType::Int64;
    let error = failure(&*source, bytes).await;
    assert!(error.message().contains("is integer, not bigint"), "{error}");
    let mut other = request(&*source, table("t"), &["again"], &["again"]).await;
    other.after = Some(Position::Key(text("one")));
    assert_eq!(failure(&*source, other).await.kind(), ErrorKind::Checkpoint);
}

#[tokio::test]
async fn tables_of_all_sorts_are_found_and_read() {
    let database = Database::create();
    database.query(
        r#"create schema "My ""Schema";
        create table "My ""Schema"."Mixed ""Case" ("Id" int primary key, "a ""quoted"" column" text, "select" text,
            twice int generated always as ("Id" * 2) stored);
        insert into "My ""Schema"."Mixed ""Case" values (1, 'a', 's'), (2, 'b', null);
        create table parted (id int, at date, primary key (id, at)) partition by range (at);
        create table p2023 partition of parted for values from ('2023-01-01') to ('2024-01-01');
        create table p2024 partition of parted for values from ('2024-01-01') to ('2025-01-01');
        insert into parted values (2, '2023-05-05'), (1, '2024-05-05'), (1, '2023-05-05');
        create view odd as select id, at from parted where id % 2 = 1;
        create materialized view kept as select id from parted;
        create table keyless (v int); insert into keyless values (7), (7);
        create table nothing ();
        insert into nothing default values;
        create unlogged table volatile (id int);
        create schema dbferry; create table dbferry.run (id int);"#,
    );
    let source = open(&database).await;
    let names: Vec<String> = source
        .tables()
        .await
        .expect("a list")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names,
        [
            "My \"Schema.Mixed \"Case",
            "kept",
            "keyless",
            "nothing",
            "odd",
            "parted",
            "volatile"
        ]
    );
    assert!(source.table(&name("Parted")).await.expect("a catalog").is_none());
    let mixed = Origin::Table(TableName {
        schema: Some("My \"Schema".to_owned()),
        name: "Mixed \"Case".to_owned(),
    });
    let columns = ["select", "Id", "a \"quoted\" column", "twice"];
    let mixed = request(&*source, mixed, &columns, &["Id"]).await;
    assert_eq!(goes_on_anywhere(&*source, mixed).await, ["s|1|a|2", "NULL|2|b|4"]);
    let parted = request(&*source, table("parted"), &["id", "at"], &["id", "at"]).await;
    assert_eq!(
        goes_on_anywhere(&*source, parted).await,
        ["1|2023-05-05", "1|2024-05-05", "2|2023-05-05"]
    );
    let odd = request(&*source, table("odd"), &["id", "at"], &["at", "id"]).await;
    assert_eq!(goes_on_anywhere(&*source, odd).await, ["1|2023-05-05", "1|2024-05-05"]);
    for (table_name, column, found) in [("keyless", "v", vec!["7", "7"]), ("kept", "id", vec!["2", "1", "1"])] {
        let atomic = request(&*source, table(table_name), &[column], &[]).await;
        let read = batches(&*source, atomic).await;
        let mut values = rows(&read);
        values.sort();
        let mut found = found;
        found.sort_unstable();
        assert_eq!(values, found);
        assert_eq!(read.last().expect("rows").position, Position::End);
    }
    let nothing = request(&*source, table("nothing"), &[], &[]).await;
    assert_eq!(batches(&*source, nothing).await[0].read(), 1);
    let mut ended = request(&*source, table("keyless"), &["v"], &[]).await;
    ended.after = Some(Position::End);
    assert!(batches(&*source, ended).await.is_empty());
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_a_reject_with_its_whole_row() {
    let database = Database::create();
    database.query(
        "create table t (id int primary key, tags text[], at timestamp, doc jsonb);
         insert into t values (1, '{a}', '2024-01-01', '{}'), (2, '{{a,b},{c,d}}', '2024-01-02 03:04:05', '{\"k\": 1}'),
             (3, null, '294276-12-31 23:59:59', null), (4, '{}', '2024-01-04', 'null');",
    );
    let source = open(&database).await;
    let all = request(&*source, table("t"), &["tags", "at", "doc"], &["id"]).await;
    let read = batches(&*source, all.clone()).await;
    assert_eq!(rows(&read).len(), 2);
    let rejects: Vec<_> = read.iter().flat_map(|batch| &batch.rejects).collect();
    assert_eq!(
        rejects
            .iter()
            .map(|reject| (reject.key.to_string(), reject.column.as_deref()))
            .collect::<Vec<_>>(),
        [("2".to_owned(), Some("tags")), ("3".to_owned(), Some("at"))]
    );
    let row: serde_json::Value = serde_json::from_str(&rejects[0].row).expect("an object");
    assert_eq!(row["at"], "2024-01-02 03:04:05", "{row}");
    assert!(row["tags"]["hex"].is_string() && row["tags"]["type"] == "text[]", "{row}");
    let row: serde_json::Value = serde_json::from_str(&rejects[1].row).expect("an object");
    assert_eq!(row["at"], "294276-12-31 23:59:59", "{row}");
    let mut rest = all;
    rest.after = Some(Position::Key(Key(vec![KeyValue::Int(2)])));
    assert_eq!(batches(&*source, rest).await[0].read(), 2);
}

#[tokio::test]
async fn portions_keep_to_their_limits_and_a_large_row_passes() {
    let database = Database::create();
    database.query(
        "create table t (id int primary key, v text);
         insert into t select g, repeat('x', 1000) from generate_series(1, 10) g;
         insert into t values (11, repeat('long ', 6000000)), (12, 'y');",
    );
    let source = open(&database).await;
    let mut all = request(&*source, table("t"), &["id", "v"], &["id"]).await;
    (all.rows_max, all.bytes_max) = (100, 3000);
    let read = batches(&*source, all).await;
    assert_eq!(
        read.iter().map(|batch| batch.rows.num_rows()).collect::<Vec<_>>(),
        [3, 3, 3, 2, 1]
    );
    assert!(read[3].bytes > 30_000_000);
}

#[tokio::test]
async fn a_query_is_one_statement_that_only_reads() {
    let database = Database::create();
    database.query(
        "create table t (id int primary key, n numeric(7,2), t varchar(9)); insert into t values (1, 1.5, 'a');
         create function grab() returns int language sql volatile as 'insert into t values (9) returning id';",
    );
    let source = open(&database).await;
    let shape = source
        .query("select id, n, t, n * 2 as double, 'x' as word, null as nothing from t -- all of it")
        .await
        .expect("a query");
    let types: Vec<String> = shape.columns.iter().map(|column| column.ty.to_string()).collect();
    assert_eq!(types, ["integer", "numeric(7,2)", "varchar(9)", "numeric", "text", "text"]);
    for (sql, words) in [
        ("select 1; select 2", "more than one statement"),
        ("begin read write", "only reads rows"),
        ("set transaction read write", "only reads rows"),
        ("insert into t values (2) returning id", "not valid"),
        ("with w as (delete from t returning id) select id from w", "not valid"),
        ("select 1) as q; drop table t; --", "not valid"),
        ("select id from t) as s union all (select 1", "not valid"),
        ("explain select 1", "not valid"),
        ("show all", "not valid"),
        ("select id, id from t", "two columns named `id`"),
        ("select id from t where id = $1", "parameters"),
        ("select nme from t", "column \"nme\" does not exist"),
        ("selct 1", "syntax error"),
        ("", "only reads rows"),
        ("select '\0'", "NUL character"),
    ] {
        let error = source.query(sql).await.expect_err(sql);
        assert!(
            error.kind() == ErrorKind::Mapping && error.message().contains(words),
            "{sql}: {error}"
        );
    }
    for sql in ["select id from t for update", "select grab() as id"] {
        let writes = request(&*source, query(sql), &["id"], &[]).await;
        let error = failure(&*source, writes).await;
        assert!(
            error.kind() == ErrorKind::Mapping && error.message().contains("writes"),
            "{sql}: {error}"
        );
    }
    let fails = request(&*source, query("select 1 / (id - 1) as q from t"), &["q"], &[]).await;
    assert_eq!(failure(&*source, fails).await.kind(), ErrorKind::Unreadable);
    assert_eq!(database.value("select count(*) from t"), "1");
}

#[tokio::test]
async fn a_subject_is_read_through_an_index() {
    let database = Database::create();
    database.query(
        "create table posts (id int primary key, author uuid not null, title text);
         insert into posts select g, md5((g % 500)::text)::uuid, 'post ''' || g || '''' from generate_series(1, 20000) g;
         create index on posts (author);
         create table follows (a int, b int, primary key (a, b)); create index on follows (b);
         insert into follows select g % 1000, (g * 7) % 1001 from generate_series(1, 20000) g on conflict do nothing;
         analyze; select pg_stat_reset();",
    );
    let source = open(&database).await;
    let key = database.value("select md5('7')::uuid");
    let of = |condition: &str, key: &str| {
        Some(Subject {
            condition: condition.to_owned(),
            key: key.to_owned(),
        })
    };
    let mut posts = request(&*source, table("posts"), &["id"], &["id"]).await;
    posts.subject = of("author = $key and title <> '$key' -- of one author", &key.to_uppercase());
    let found = rows(&batches(&*source, posts.clone()).await);
    assert_eq!((found.len(), found[0].as_str(), found[1].as_str()), (40, "7", "507"));
    let mut follows = request(&*source, table("follows"), &["a", "b"], &["a", "b"]).await;
    follows.subject = of("a = $key or b = $key", "7");
    let wanted = database.value("select count(*) from follows where a = 7 or b = 7");
    database.query("select pg_stat_reset()");
    assert_eq!(rows(&batches(&*source, follows.clone()).await).len().to_string(), wanted);
    batches(&*source, posts.clone()).await;
    // The figures arrive some time after the transactions.
    let began = std::time::Instant::now();
    let figures = "select string_agg(relname || ' ' || (idx_scan > 0) || ' ' || seq_scan, ', ' order by relname)
        from pg_stat_user_tables where idx_scan + seq_scan > 0";
    while database.value(figures) != "follows true 0, posts true 0" {
        assert!(began.elapsed() < Duration::from_secs(15), "{}", database.value(figures));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (condition, key, kind, words) in [
        ("author = $key", "canary", ErrorKind::Usage, "not a value of type uuid"),
        ("author = 'canary'", "7", ErrorKind::Mapping, "does not name `$key`"),
        ("writer = $key", "7", ErrorKind::Mapping, "\"writer\" does not exist"),
        ("id = $key) or (true", "7", ErrorKind::Mapping, "syntax error"),
        (
            "id = $key; drop table posts",
            "7",
            ErrorKind::Mapping,
            "more than one statement",
        ),
        ("id = $key and title = $2", "7", ErrorKind::Mapping, "parameters beside"),
    ] {
        let mut wrong = posts.clone();
        wrong.subject = of(condition, key);
        let error = failure(&*source, wrong).await;
        assert!(
            error.kind() == kind && error.message().contains(words),
            "{condition}: {error:?}"
        );
        assert!(!format!("{error:?} {}", error.advice()).contains("canary"), "{error:?}");
    }
}

/// A role that may only connect, dropped at the end.
struct Role<'a> {
    database: &'a Database,
    name: String,
    url: String,
}

impl<'a> Role<'a> {
    fn create(database: &'a Database) -> Self {
        let name = format!("reader_{}", database.name);
        database.query(&format!(
            "drop role if exists {name}; create role {name} login password 'secret'"
        ));
        let (start, rest) = database.url.split_once("://").expect("a URL");
        let (_, host) = rest.split_once('@').expect("a URL with a user");
        let url = format!("{start}://{name}:secret@{host}");
        Self { database, name, url }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.database.query(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{0}'; drop owned by {0}; drop role {0}",
            self.name
        ));
    }
}

#[tokio::test]
async fn a_role_that_may_only_select_is_enough_and_what_is_missing_is_named() {
    let database = Database::create();
    database.query(
        "create table users (id int primary key, name text, \"Secret\" text, other text);
         insert into users select g, 'n' || g, 's', 'o' from generate_series(1, 1000) g;
         create schema hidden; create table hidden.posts (id int primary key, t text); insert into hidden.posts values (1, 'p');
         create view blind as select * from users;
         create table guarded (id int primary key); alter table guarded enable row level security;
         create view behind as select * from guarded; alter view behind owner to pg_monitor; grant select on guarded to pg_monitor;
         grant usage on schema public to pg_monitor;",
    );
    let role = Role::create(&database);
    let source = open_url(&role.url).await;
    let may = |columns: &'static [&'static str], origin: &'static str| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let (source, role) = (&source, &role);
        async move {
            match source.permitted(&table(origin), &columns).await {
                Ok(()) => String::new(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unauthorised, "{error:?}");
                    format!("{error}; {}", error.advice()).replace(&role.name, "ROLE")
                }
            }
        }
    };
    assert_eq!(
        may(&["id", "name"], "users").await,
        "role ROLE has no SELECT on table `public.users`; grant select on \"public\".\"users\" to ROLE;"
    );
    assert_eq!(
        may(&["id"], "hidden.posts").await,
        "role ROLE has no USAGE on schema `hidden` and no SELECT on table `hidden.posts`; \
         grant usage on schema hidden to ROLE; grant select on \"hidden\".\"posts\" to ROLE;"
    );
    database.query(&format!(
        "grant select (id, name) on users to {0}; grant select on blind, guarded, behind to {0}; grant usage on schema hidden to {0}; grant select on hidden.posts to {0}",
        role.name
    ));
    assert_eq!(may(&["id", "name"], "users").await, "");
    assert_eq!(may(&["id", "t"], "hidden.posts").await, "");
    assert_eq!(may(&["id", "Secret"], "blind").await, "");
    assert_eq!(
        may(&["id", "Secret", "other"], "users").await,
        "role ROLE has no SELECT on `Secret`, `other` of `public.users`; grant select (\"Secret\", \"other\") on \"public\".\"users\" to ROLE;"
    );
    assert!(
        may(&["id"], "guarded")
            .await
            .contains("row level security of `public.guarded` applies to role ROLE")
    );
    assert!(may(&["id"], "behind").await.contains("row-level security"));
    let denied = source
        .permitted(&query("select id, other from users"), &["id".to_owned()])
        .await;
    assert!(
        denied
            .expect_err("a column that is not granted")
            .message()
            .contains("permission denied for table users")
    );
}

#[tokio::test]
async fn select_is_all_that_reading_needs() {
    let database = Database::create();
    database.query(
        "create table users (id int primary key, name text, \"Secret\" text);
         insert into users select g, 'n' || g, 's' from generate_series(1, 1000) g;
         create table guarded (id int primary key); alter table guarded enable row level security;",
    );
    let role = Role::create(&database);
    database.query(&format!(
        "grant select (id, name) on users to {0}; grant select on guarded to {0}",
        role.name
    ));
    let source = open_url(&role.url).await;
    assert!(source.moment().await.expect("a moment").contains("log "));
    assert_eq!(source.count(&table("users")).await.expect("a count"), 1000);
    let users = request(&*source, table("users"), &["name"], &["id"]).await;
    let mut few = users.clone();
    few.after = Some(Position::Key(Key(vec![KeyValue::Int(990)])));
    assert_eq!(rows(&batches(&*source, few.clone()).await).len(), 10);
    few.only = Some(vec![Key(vec![KeyValue::Int(7)])]);
    assert_eq!(rows(&batches(&*source, few).await), ["n7"]);
    let bounds = source.splits(&table("users"), &["id".to_owned()], 3).await.expect("splits");
    assert_eq!(bounds.len(), 2);
    let concern = Concern::Longer {
        column: "name".to_owned(),
        max_chars: 3,
    };
    assert_eq!(source.concerned(&table("users"), &concern).await.expect("a count"), Some(901));
    let mut secret = users;
    secret.columns[0].name = "Secret".to_owned();
    assert_eq!(failure(&*source, secret).await.kind(), ErrorKind::Unauthorised);
    let hidden = request(&*source, table("guarded"), &["id"], &["id"]).await;
    assert_eq!(failure(&*source, hidden).await.kind(), ErrorKind::Unauthorised);
}

#[test]
fn check_names_every_missing_privilege_of_every_stream() {
    let (source, target) = (Database::create(), Database::create());
    source.query("create table users (id int primary key, name text); create schema s; create table s.posts (id int primary key)");
    target.query("create table users (id int primary key, name text); create table posts (id int primary key)");
    let role = Role::create(&source);
    source.query(&format!("grant select (id) on users to {}", role.name));
    let mut project = project(
        &source,
        &target,
        "[[stream]]\nname = \"users\"\nfrom = \"social.users\"\nto = \"target.users\"\nkey = [\"id\"]\nsame_name_columns = true\n
         [[stream]]\nname = \"posts\"\nfrom = \"social.s.posts\"\nto = \"target.posts\"\nkey = [\"id\"]\nsame_name_columns = true\n",
    );
    project.set("SOURCE_URL", &role.url);
    let ended = project.run(&["check", "mappings/demo"]);
    ended.expect(3);
    for words in [
        "no SELECT on `name` of `public.users`",
        "no USAGE on schema `s`",
        "no SELECT on table `s.posts`",
    ] {
        ended.says(words);
    }
    ended.says(&format!("grant select (\"name\") on \"public\".\"users\" to {}", role.name));
    source.query(&format!(
        "grant select on users to {0}; grant usage on schema s to {0}; grant select on s.posts to {0}",
        role.name
    ));
    project.run(&["check", "mappings/demo"]).expect(0);
    project.run(&["run", "mappings/demo"]).expect(0);
}

#[tokio::test]
async fn splits_hold_every_row_once() {
    let database = Database::create();
    database.query(
        "create table t (id bigint primary key, u uuid unique not null, t text unique not null, a int not null, b int not null, unique (a, b));
         insert into t select g * 3, md5(g::text)::uuid, md5('t' || g), g % 7, g from generate_series(1, 30000) g;
         create table parted (id int primary key) partition by range (id);
         create table p1 partition of parted for values from (0) to (1000);
         create table p2 partition of parted for values from (1000) to (9000);
         insert into parted select g from generate_series(0, 8999) g;
         create view v as select * from t; create table small (id int primary key); insert into small values (1), (2);
         create table same (id int); insert into same select 1 from generate_series(1, 1000);",
    );
    let source = open(&database).await;
    for (origin, key, total) in [
        ("t", vec!["id"], 30000),
        ("t", vec!["u"], 30000),
        ("t", vec!["t"], 30000),
        ("t", vec!["a", "b"], 30000),
        ("parted", vec!["id"], 9000),
    ] {
        let names: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        let bounds = source.splits(&table(origin), &names, 4).await.expect("splits");
        assert_eq!(bounds.len(), 3, "{origin} {key:?}");
        let mut whole = request(&*source, table(origin), &key, &key).await;
        whole.rows_max = 8192;
        let all = rows(&batches(&*source, whole.clone()).await);
        assert_eq!(all.len(), total);
        let mut parts = Vec::new();
        for i in 0..=bounds.len() {
            let mut part = whole.clone();
            part.after = Some(Position::Within {
                after: i.checked_sub(1).map(|i| bounds[i].clone()),
                until: bounds.get(i).cloned(),
            });
            let part = rows(&batches(&*source, part).await);
            assert!(part.len() > total / 10, "{origin} {key:?}: part {i} has {}", part.len());
            parts.extend(part);
        }
        assert_eq!(parts, all, "{origin} {key:?}");
    }
    for (origin, key) in [("v", "id"), ("small", "id"), ("t", "id")] {
        let parts = if origin == "t" { 1 } else { 4 };
        let bounds = source.splits(&table(origin), &[key.to_owned()], parts).await.expect("none");
        assert!(bounds.is_empty(), "{origin}: {bounds:?}");
    }
    assert!(
        source
            .splits(&table("same"), &["id".to_owned()], 4)
            .await
            .expect("none")
            .len()
            < 2
    );
}

/// Values that a narrower target would be a concern for.
const CONCERNS: &str = "create type mood as enum ('a', 'b', 'C');
    create table t (id int, t text, at timestamp, tz timestamptz(3), ti time, n numeric, big bigint, mood mood, f float8);
    insert into t values (1, 'ééé', '2024-01-01 00:00:00.001', now(), '10:00:00.5', 1.25, 5, 'a', 1.5),
        (2, 'éé', 'infinity', '2024-01-01', '10:00', 999.994, 3000000000, 'b', 'NaN'),
        (2, null, '-infinity', null, null, 'NaN', -3000000000, null, 1e300),
        (2, 'éé', '2024-01-01', '2024-01-01', '00:00', 'Infinity', null, 'C', null),
        (null, '', '2024-01-01 00:00:00.000001', '2024-01-01', '00:00', 1000, 7, 'C', 1000);";

/// Counted of the table, and of a query over it.
async fn is_counted(source: &dyn Source, concern: Concern, rows: u64) {
    for origin in [table("t"), query("select * from t")] {
        let found = source.concerned(&origin, &concern).await.expect("a count");
        assert_eq!(found, Some(rows), "{concern:?} of {origin:?}");
    }
}

#[tokio::test]
async fn concerns_of_texts_and_times_are_counted_exactly() {
    let database = Database::create();
    database.query(CONCERNS);
    let source = open(&database).await;
    let column = |name: &str| name.to_owned();
    let finer = |name: &str, digits| Concern::FinerTime {
        column: name.to_owned(),
        digits,
    };
    let other = |labels: &[&str]| Concern::OtherLabel {
        column: "mood".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let longer = Concern::Longer {
        column: column("t"),
        max_chars: 2,
    };
    for (concern, rows) in [
        (Concern::Null { column: column("id") }, 1),
        (longer, 1),
        (finer("at", 0), 2),
        (finer("at", 3), 1),
        (finer("at", 6), 0),
        (finer("ti", 0), 1),
        (other(&["a", "c"]), 3),
        (other(&[]), 4),
        (
            Concern::Repeated {
                columns: vec![column("id")],
            },
            2,
        ),
        (
            Concern::Repeated {
                columns: vec![column("id"), column("t")],
            },
            1,
        ),
    ] {
        is_counted(&*source, concern, rows).await;
    }
}

#[tokio::test]
async fn concerns_of_numbers_are_counted_exactly() {
    let database = Database::create();
    database.query(CONCERNS);
    let source = open(&database).await;
    let wider = |name: &str, precision, scale| Concern::WiderNumber {
        column: name.to_owned(),
        precision,
        scale,
    };
    let outside = |min, max| Concern::OutOfRange {
        column: "big".to_owned(),
        min,
        max,
    };
    for (concern, rows) in [
        (wider("n", 5, 2), 4),
        (wider("n", 4, 0), 4),
        (wider("n", 10, 3), 2),
        (wider("big", 3, 3), 4),
        (wider("f", 4, 1), 3),
        (outside(i64::from(i32::MIN), i64::from(i32::MAX)), 2),
        (outside(i64::MIN, i64::MAX), 0),
    ] {
        is_counted(&*source, concern, rows).await;
    }
}

#[tokio::test]
async fn a_table_that_somebody_locks_is_told_as_busy() {
    let database = Database::create();
    database.query("create table t (id int primary key)");
    let source = open(&database).await;
    let locked = request(&*source, table("t"), &["id"], &["id"]).await;
    let url = database.url.clone();
    let holder = std::thread::spawn(move || {
        crate::harness::query(
            &url,
            "begin; lock table t in access exclusive mode; select pg_sleep(33); commit",
        );
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = failure(&*source, locked).await;
    assert!(
        error.kind() == ErrorKind::Busy && error.message().contains("lock"),
        "{error:?}"
    );
    holder.join().expect("the lock's holder");
}
