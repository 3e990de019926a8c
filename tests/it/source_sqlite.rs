//! The SQLite and PocketBase sources, read through the public interface from real files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dbferry::ErrorKind;
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::position::Position;
use dbferry::data::stream::{Origin, ReadRequest};
use dbferry::data::table::TableName;
use dbferry::source::{self, Source};
use tempfile::TempDir;

use crate::reading::{batches, rows, table, table_names, three_at_a_time};

const SAMPLE: &str = "mappings/game/sample/pb_data/data.db";
const SAMPLE_0_22: &str = "tests/fixtures/pocketbase_0_22/data.db";

/// A file with tables, in a folder of its own.
fn file(sql: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.db");
    let connection = rusqlite::Connection::open(&path).expect("a file");
    connection.execute_batch(sql).expect("tables");
    (folder, path)
}

async fn sqlite(path: &Path) -> Box<dyn Source> {
    source::open(&Connection {
        name: "app".to_owned(),
        kind: ConnectionKind::Sqlite {
            path: path.to_owned(),
            create_database: false,
        },
    })
    .await
    .expect("a database")
}

async fn pocketbase(path: &str) -> Box<dyn Source> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    source::open(&Connection {
        name: "pb".to_owned(),
        kind: ConnectionKind::Pocketbase { path },
    })
    .await
    .expect("a PocketBase database")
}

/// Columns with types by name, three rows at a time.
fn request(origin: Origin, columns: &[(&str, &str)], key: &[&str]) -> ReadRequest {
    let columns = columns
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), ColumnType::parse(ty).expect("a type name")));
    three_at_a_time(origin, columns, key)
}

/// Reads a stream from its start, then again after each batch's position: what follows must be
/// the same rows.
async fn resumes_anywhere(source: &dyn Source, request: ReadRequest) -> Vec<String> {
    let whole = batches(source, request.clone()).await;
    for (i, batch) in whole.iter().enumerate() {
        let mut rest = request.clone();
        rest.after = Some(batch.position.clone());
        let rest = batches(source, rest).await;
        assert_eq!(rows(&rest), rows(&whole[i + 1..]), "after batch {i}");
    }
    rows(&whole)
}

/// Tables with every kind of key.
const KEYS: &str = "create table by_integer (id integer primary key, v text);
with recursive s(value) as (select 1 union all select value + 1 from s where value < 10)
insert into by_integer select value * 3 - 20, 'v' || value from s;
create table by_text (id text primary key collate nocase, v) without rowid;
insert into by_text values ('b', 1), ('A', 2), ('C', 3), ('a ', 4), ('', 5), ('é', 6), ('Z', 7);
create table by_two (a text, b integer, c blob, primary key (a, b));
insert into by_two values ('x', 2, x'00'), ('x', 1, null), (null, 1, x'01'), (null, 2, x'02'), ('y', -5, x''), (null, null, x'03');
create table by_row_id (v integer);
insert into by_row_id values (5), (4), (3), (2), (1);
create table mixed (k, v integer);
create unique index mixed_k on mixed (k);
insert into mixed values (2, 1), (1.5, 2), ('2', 3), (x'32', 4), (null, 5), (null, 6), (-9223372036854775808, 7), (1e300, 8);
create table shadowed (rowid text, v);
insert into shadowed values ('z', 1), ('y', 2);
create view seen as select v from by_row_id;";

#[tokio::test]
async fn every_kind_of_key_is_read_in_order_and_goes_on_after_any_row() {
    let (_folder, path) = file(KEYS);
    let source = sqlite(&path).await;
    assert_eq!(
        table_names(source.as_ref()).await,
        ["by_integer", "by_row_id", "by_text", "by_two", "mixed", "seen", "shadowed"]
    );
    let key_of = async |name: &str| {
        source
            .table(&TableName::new(name))
            .await
            .expect("a shape")
            .expect("a table")
            .key
    };
    assert_eq!(key_of("by_row_id").await, ["rowid"]);
    assert_eq!(key_of("shadowed").await, ["_rowid_"]);
    assert_eq!(key_of("by_two").await, ["a", "b"]);
    assert_eq!(key_of("seen").await, Vec::<String>::new());

    let read = async |name: &str, columns: &[(&str, &str)], key: &[&str]| {
        resumes_anywhere(source.as_ref(), request(table(name), columns, key)).await
    };
    assert_eq!(
        read("by_integer", &[("id", "bigint")], &["id"]).await,
        ["-17", "-14", "-11", "-8", "-5", "-2", "1", "4", "7", "10"]
    );
    assert_eq!(
        read("by_text", &[("id", "text")], &["id"]).await,
        ["", "A", "C", "Z", "a ", "b", "é"],
        "byte by byte, whatever the column's own collation"
    );
    assert_eq!(
        read("by_two", &[("a", "text"), ("b", "bigint"), ("c", "bytea")], &["a", "b"]).await,
        ["NULL|NULL|03", "NULL|1|01", "NULL|2|02", "x|1|NULL", "x|2|00", "y|-5|"]
    );
    assert_eq!(
        read("by_row_id", &[("v", "bigint")], &["rowid"]).await,
        ["5", "4", "3", "2", "1"]
    );
    assert_eq!(
        read("mixed", &[("v", "bigint")], &["k"]).await,
        ["5", "6", "7", "2", "1", "8", "3", "4"],
        "NULL, numbers, text, blobs; the row id tells equal keys apart"
    );
    assert_eq!(read("shadowed", &[("v", "bigint")], &["_rowid_"]).await, ["1", "2"]);

    let mut seen = rows(&batches(source.as_ref(), request(table("seen"), &[("v", "bigint")], &[])).await);
    seen.sort();
    assert_eq!(seen, ["1", "2", "3", "4", "5"], "a view without a key is read to its end");
}

#[tokio::test]
async fn a_row_that_does_not_decode_is_a_reject_beside_its_neighbours() {
    let (_folder, path) = file(
        "create table t (id integer primary key, v text);
         insert into t values (1, 'ok'), (2, cast(x'ff41' as text)), (3, 'fine'), (4, x'00'), (5, 'last');",
    );
    let source = sqlite(&path).await;
    let read = batches(
        source.as_ref(),
        request(table("t"), &[("id", "bigint"), ("v", "text")], &["id"]),
    )
    .await;
    assert_eq!(rows(&read), ["1|ok", "3|fine", "5|last"]);
    let rejects: Vec<_> = read.iter().flat_map(|batch| &batch.rejects).collect();
    let told: Vec<_> = rejects
        .iter()
        .map(|reject| {
            format!(
                "{} {} {} {}",
                reject.key,
                reject.column.as_deref().unwrap_or("-"),
                reject.reason,
                reject.row
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"2 v unreadable {"id":2,"v":{"text_hex":"ff41"}}"#,
            r#"4 v unreadable {"id":4,"v":{"hex":"00"}}"#
        ]
    );
    let mut again = request(table("t"), &[("id", "bigint"), ("v", "text")], &["id"]);
    again.only = Some(rejects.iter().map(|reject| reject.key.clone()).collect());
    let again = batches(source.as_ref(), again).await;
    assert_eq!(
        again.iter().map(SourceBatch::read).sum::<u64>(),
        2,
        "rejects are found again by their keys"
    );
}

#[tokio::test]
async fn one_moment_is_read_while_the_application_writes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("live.db");
    let application = rusqlite::Connection::open(&path).expect("a file");
    application
        .execute_batch(
            "pragma journal_mode = wal;
             create table t (id integer primary key, v integer);
             with recursive s(value) as (select 1 union all select value + 1 from s where value < 10)
             insert into t select value, 0 from s;",
        )
        .expect("tables");
    let source = sqlite(&path).await;
    let moment = source.moment().await.expect("a moment");
    application
        .execute_batch("update t set v = 1; insert into t values (11, 1); delete from t where id = 1")
        .expect("the application is not hindered");
    assert_eq!(source.count(&table("t")).await.expect("a count"), Some(10));
    let read = rows(
        &batches(
            source.as_ref(),
            request(table("t"), &[("id", "bigint"), ("v", "bigint")], &["id"]),
        )
        .await,
    );
    assert_eq!(read.len(), 10);
    assert!(read.iter().all(|row| row.ends_with("|0")), "{read:?}");
    assert_eq!(source.moment().await.expect("a moment"), moment);
    let later = sqlite(&path).await;
    assert_ne!(
        later.moment().await.expect("a moment"),
        moment,
        "what was written since is another moment"
    );
    assert_eq!(later.count(&table("t")).await.expect("a count"), Some(10));
}

#[tokio::test]
async fn the_source_is_never_written() {
    let (folder, path) = file("create table t (id integer primary key); insert into t values (1)");
    let before = std::fs::read(&path).expect("bytes");
    let source = sqlite(&path).await;
    for sql in [
        "insert into t values (2)",
        "delete from t returning id",
        "attach 'x.db' as x",
        "select 1; select 2",
        "select ?1",
        "pragma journal_mode = delete",
        "select id, id from t",
    ] {
        let error = source.query(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Mapping, "{sql}: {error}");
    }
    drop(source);
    assert_eq!(std::fs::read(&path).expect("bytes"), before);
    assert!(!folder.path().join("x.db").exists());
}

#[tokio::test]
async fn a_query_is_read_like_a_table() {
    let source = pocketbase(SAMPLE).await;
    let sql = "select u.id, u.username, (select count(*) from inventory i where i.user_id = u.id) as items from users u -- all";
    let shape = source.query(sql).await.expect("a shape");
    let columns: Vec<_> = shape
        .columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.ty))
        .collect();
    assert_eq!(columns, ["id text", "username text", "items text"]);
    let origin = Origin::Query { sql: sql.to_owned() };
    assert_eq!(source.count(&origin).await.expect("a count"), Some(226));
    let mut request = request(origin, &[("id", "text"), ("items", "bigint")], &["id"]);
    request.rows_max = 50;
    assert_eq!(resumes_anywhere(source.as_ref(), request).await.len(), 226);
}

#[tokio::test]
async fn both_generations_of_pocketbase_tell_their_collections() {
    let shape = async |source: &dyn Source, name: &str| {
        let table = source
            .table(&TableName::new(name))
            .await
            .expect("a shape")
            .expect("a collection");
        table
            .columns
            .iter()
            .map(|column| format!("{}: {}", column.name, column.ty))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (generation, path) in [("current", SAMPLE), ("0_22", SAMPLE_0_22)] {
        let source = pocketbase(path).await;
        let names = table_names(source.as_ref()).await;
        let mut told = format!("{}\n", names.join(" "));
        for name in ["users", "matches", "showcase", "top_players"] {
            if names.iter().any(|other| other == name) {
                let shape = shape(source.as_ref(), name).await;
                write!(told, "\n[{name}]\n{shape}\n").expect("writing to a string");
            }
        }
        insta::assert_snapshot!(format!("collections_{generation}"), told);
    }
}

#[tokio::test]
async fn multiple_values_are_lists() {
    let source = pocketbase(SAMPLE).await;
    let read = batches(
        source.as_ref(),
        request(table("showcase"), &[("id", "text"), ("tags", "text[]")], &["id"]),
    )
    .await;
    let rejects: Vec<_> = read
        .iter()
        .flat_map(|batch| &batch.rejects)
        .map(|reject| reject.key.to_string())
        .collect();
    assert_eq!(rejects, ["trapmultinums01", "trapmultisingle"]);
    let empty = rows(&read).into_iter().find(|row| row.starts_with("trapmultiempty1"));
    assert_eq!(empty.as_deref(), Some("trapmultiempty1|[]"));
    assert_eq!(read.iter().map(SourceBatch::read).sum::<u64>(), 16);
    assert!(matches!(read.last().map(|batch| &batch.position), Some(Position::Key(_))));
}
