//! Rows that the target refuses: told by column and constraint, never by value.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, StreamTarget};

use crate::harness::Database;

use super::{commit, lease, open, refusal, rows, stream, written};

#[tokio::test]
async fn what_the_target_refuses_is_told_by_column_and_constraint_without_the_value() {
    let database = Database::create();
    database.query(
        "create type colour as enum ('red');
         create domain short as varchar(3) not null;
         create table owners (id int primary key);
         create table things (id int primary key, a varchar(6) not null, b short default 'b', c colour, d numeric(5,2), e jsonb,
             f int references owners deferrable initially deferred, check (a <> 'canary'), g timestamp)",
    );
    let sink = open(&database).await;
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        for (column, value, reason, named) in [
            ("a", Some("canary1"), Reason::TooLong, Some("a")),
            ("a", Some("canary"), Reason::Constraint, Some("a")),
            ("a", None, Reason::NullValue, Some("a")),
            ("b", Some("canary"), Reason::TooLong, Some("b")),
            ("b", None, Reason::NullValue, Some("b")),
            ("c", Some("canary"), Reason::EnumLabel, Some("c")),
            ("a", Some("can\0ary"), Reason::NulByte, Some("a")),
            ("e", Some("{canary"), Reason::Json, Some("e")),
            ("e", Some("\"canary\\u0000\""), Reason::Json, Some("e")),
        ] {
            let mut names = vec!["id", column];
            names.extend((column != "a").then_some("a"));
            let target = StreamTarget {
                on_conflict,
                ..stream(sink.as_ref(), "things", &names, &["id"]).await
            };
            let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1])), Arc::new(StringArray::from(vec![value]))];
            columns.extend((column != "a").then(|| Arc::new(StringArray::from(vec!["x"])) as ArrayRef));
            session.open_stream(&target, 0, false).await.expect("opened");
            session.begin(0, false).await.expect("begun");
            let error = session.write(&rows(&target, columns)).await.expect_err("refused");
            assert!(!format!("{error:?} {}", error.advice()).contains("canary"), "{error:?}");
            let found = error.refusal().unwrap_or_else(|| panic!("no refusal: {error:?}"));
            assert_eq!(
                (found.reason, found.column.as_deref()),
                (reason, named),
                "{column} {value:?}: {}",
                found.detail
            );
            session.rollback().await.expect("given up");
        }
        session.finish("done").await.expect("recorded");
    }
}

#[tokio::test]
async fn a_deferred_foreign_key_speaks_up_for_the_rows_it_means() {
    let database = Database::create();
    database.query(
        "create table nodes (id int primary key, parent int references nodes deferrable initially deferred, name text,
             unique (name) deferrable initially deferred)",
    );
    let sink = open(&database).await;
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let target = StreamTarget {
            on_conflict,
            ..stream(sink.as_ref(), "nodes", &["id", "parent"], &["id"]).await
        };
        let node = |id: i32, parent: i32| -> Vec<ArrayRef> {
            vec![Arc::new(Int32Array::from(vec![id])), Arc::new(Int32Array::from(vec![parent]))]
        };
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, true).await.expect("opened");
        session.begin(0, false).await.expect("begun");
        assert_eq!(
            refusal(session.write(&rows(&target, node(1, 2))).await).reason,
            Reason::ForeignKey
        );
        let both: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(Int32Array::from(vec![2, 1]))];
        assert_eq!(session.write(&rows(&target, both)).await.expect("a circle"), written(2, 0, 0));
        session.write(&rows(&target, node(3, 1))).await.expect("parent is there");
        assert_eq!(
            refusal(session.write(&rows(&target, node(4, 9))).await).reason,
            Reason::ForeignKey
        );
        commit(session.as_mut(), &lease, &target, 1, 3).await;
        session.finish("done").await.expect("recorded");
        assert_eq!(database.value("select count(*) from nodes"), "3");
        database.query("truncate nodes");
    }
}
