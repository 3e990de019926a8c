//! Rows that are there already: refused, skipped or updated, and counted as what they are.

use dbferry::ErrorKind;
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, StreamTarget};

use crate::harness::Database;

use super::{all, commit, lease, move_rows, open, opened, pairs, refusal, stream, with_pairs, written};

#[tokio::test]
async fn a_row_that_exists_is_refused_skipped_or_updated_and_the_figures_say_so() {
    for (on_conflict, expected, there) in [
        (OnConflict::Skip, written(1, 0, 2), "1a 2b 3c"),
        (OnConflict::Update, written(1, 1, 1), "1a 2B 3c"),
    ] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query("insert into pairs values (1, 'a'), (2, 'b')");
        let lease = lease("demo");
        let mut session = opened(sink.as_ref(), &lease, &target).await;
        let batch = pairs(&target, &[(1, "a"), (2, "B"), (3, "c")]);
        assert_eq!(move_rows(session.as_mut(), &lease, &target, 1, &batch).await, expected);
        assert_eq!(all(&database), there);
        // Once more leaves it as it is (Invariant 3), also as several portions of one batch.
        session.begin(1, false).await.expect("begun");
        let settled = pairs(&target, &[(1, "a"), (2, if there.contains('B') { "B" } else { "b" })]);
        for _ in 0..2 {
            assert_eq!(session.write(&settled).await.expect("written"), written(0, 0, 2));
        }
        // Another unique column is no key: its violation is a refusal in every mode.
        let refused = refusal(session.write(&pairs(&target, &[(9, "c")])).await);
        assert_eq!((refused.reason, refused.column.as_deref()), (Reason::Duplicate, Some("name")));
        assert!(refused.detail.contains("pairs_name_key"), "{}", refused.detail);
        assert_eq!(session.write(&settled).await.expect("still usable"), written(0, 0, 2));
        session.rollback().await.expect("given up");
    }
    let (database, sink, target) = with_pairs(OnConflict::Error).await;
    database.query("insert into pairs values (1, 'a')");
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    session.begin(0, false).await.expect("begun");
    let batch = pairs(&target, &[(1, "a"), (2, "b")]);
    assert_eq!(refusal(session.write(&batch).await).reason, Reason::Duplicate);
    assert_eq!(
        session.write(&batch.slice(1, 1)).await.expect("the good one"),
        written(1, 0, 0)
    );
    session.rollback().await.expect("given up");
    assert_eq!(all(&database), "1a");
}

#[tokio::test]
async fn direct_writing_falls_back_when_a_row_is_there_after_all() {
    let (database, sink, target) = with_pairs(OnConflict::Update).await;
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    session.begin(0, true).await.expect("begun");
    assert_eq!(
        session.write(&pairs(&target, &[(1, "a")])).await.expect("direct"),
        written(1, 0, 0)
    );
    database.query("insert into pairs values (3, 'there')");
    let batch = pairs(&target, &[(2, "b"), (3, "c")]);
    assert_eq!(session.write(&batch).await.expect("with care"), written(1, 1, 0));
    assert_eq!(session.write(&batch).await.expect("again"), written(0, 0, 2));
    commit(session.as_mut(), &lease, &target, 1, 3).await;
    assert_eq!(all(&database), "1a 2b 3c");
}

#[tokio::test]
async fn two_rows_with_one_key_in_the_eyes_of_the_target_stop_the_run() {
    let database = Database::create();
    database.query("create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    database.query("create table names (name text collate loose primary key, n int)");
    let sink = open(&database).await;
    for on_conflict in [OnConflict::Update, OnConflict::Skip] {
        let target = StreamTarget {
            on_conflict,
            ..stream(sink.as_ref(), "names", &["n", "name"], &["name"]).await
        };
        let shape = sink.table(&target.table).await.expect("readable").expect("there");
        assert!(shape.notes.iter().any(|note| note.contains("`name`")), "{:?}", shape.notes);
        let mut session = opened(sink.as_ref(), &lease("demo"), &target).await;
        session.begin(0, false).await.expect("begun");
        let error = session
            .write(&pairs(&target, &[(1, "Ann"), (2, "ANN")]))
            .await
            .expect_err("one key");
        assert_eq!(error.kind(), ErrorKind::Validation, "{error:?}");
        session.rollback().await.expect("given up");
        session.finish("failed").await.expect("recorded");
    }
}
