//! Portions: how large they become, and which rows of them are rejects.

use dbferry::data::position::{Key, KeyValue, Position};

use crate::harness::Database;
use crate::reading::{batches, rows, table};

use super::{open, request};

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
        [3, 3, 3, 1, 1, 1],
        "a row that is wider than a portion is one of its own"
    );
    assert!(read[4].bytes > 30_000_000);
}
