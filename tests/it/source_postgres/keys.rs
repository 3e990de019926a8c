//! Keys of any type: their order, reading on after each of them, and those that cannot be read by.

use dbferry::ErrorKind;
use dbferry::data::column::ColumnType;
use dbferry::data::position::{Key, KeyValue, Position};

use crate::harness::Database;
use crate::reading::{batches, table};

use super::{failure, goes_on_anywhere, keys_of, open, query, request};

fn text(value: &str) -> Key {
    Key(vec![KeyValue::Text(value.to_owned())])
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
    assert_eq!(keys_of(&read), std::slice::from_ref(&key));
    assert_eq!(read[0].position, Position::Key(key));
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
