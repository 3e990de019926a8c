//! Rows that are there already as they would be written: found by reading the table, not by looking each up.

use dbferry::data::stream::{OnConflict, StreamTarget};
use dbferry::sink::Session;

use crate::harness::Database;
use crate::server::until_it_stays;

use super::{lease, open, opened, pairs, refusal, stream, written};

const ROWS: i32 = 4_000;

/// A table of as many rows as numbers, each with its text.
async fn filled(on_conflict: OnConflict, definition: &str, key: &[&str]) -> (Database, Box<dyn Session>, StreamTarget) {
    let database = Database::create();
    database.query(&format!("create table numbers ({definition})"));
    database.query(&format!(
        "insert into numbers select i, 'text ' || i from generate_series(1, {ROWS}) i"
    ));
    // Rows of somebody else lie between them.
    database.query("insert into numbers select -i, 'other' from generate_series(1, 10) i");
    database.query("vacuum analyze numbers");
    let sink = open(&database).await;
    let target = StreamTarget {
        on_conflict,
        ..stream(sink.as_ref(), "numbers", &["n", "words"], key).await
    };
    let session = opened(sink.as_ref(), &lease("demo"), &target).await;
    (database, session, target)
}

fn texts(rows: impl Iterator<Item = i32>, of: impl Fn(i32) -> String) -> Vec<(i32, String)> {
    rows.map(|n| (n, of(n))).collect()
}

fn borrowed(rows: &[(i32, String)]) -> Vec<(i32, &str)> {
    rows.iter().map(|(n, text)| (*n, text.as_str())).collect()
}

/// How often the index was asked.
fn lookups(database: &Database) -> u64 {
    let asked = database.value("select idx_scan from pg_stat_user_indexes where indexrelname = 'numbers_pkey'");
    asked.parse().expect("a number")
}

#[tokio::test]
async fn equal_rows_are_found_without_looking_each_up() {
    for on_conflict in [OnConflict::Update, OnConflict::Skip, OnConflict::ErrorUnlessEqual] {
        let (database, mut session, target) = filled(on_conflict, "n int primary key, words text", &["n"]).await;
        session.begin(0, false).await.expect("begun");
        let all = texts(1..=ROWS, |n| format!("text {n}"));
        for portion in all.chunks(1_000) {
            let rows = pairs(&target, &borrowed(portion));
            assert_eq!(
                session.write(&rows).await.expect("written"),
                written(0, 0, 1_000),
                "{on_conflict:?}"
            );
        }
        session.rollback().await.expect("given up");
        session.finish("completed").await.expect("recorded");
        drop(session);
        // The server tells a while after the session has gone.
        let asked = until_it_stays(|| lookups(&database));
        assert!(
            (1..100).contains(&asked),
            "{on_conflict:?}: the index was asked {asked} times for {ROWS} rows"
        );
    }
}

#[tokio::test]
async fn what_differs_or_is_not_there_is_written_as_ever() {
    let of = |n: i32| if n % 7 == 0 { format!("new {n}") } else { format!("text {n}") };
    let differ = u64::from(ROWS.unsigned_abs() / 7);
    let equal = u64::from(ROWS.unsigned_abs()) - differ;
    for (on_conflict, expected) in [
        (OnConflict::Update, written(5, differ, equal)),
        (OnConflict::Skip, written(5, 0, equal + differ)),
    ] {
        let (database, mut session, target) = filled(on_conflict, "n int primary key, words text", &["n"]).await;
        // One value is held outside of its page.
        database.query("alter table numbers alter words set storage external");
        database.query("update numbers set words = repeat('long', 5000) where n = 1");
        let long = |n: i32| if n == 1 { "long".repeat(5_000) } else { of(n) };
        let rows = texts((1..=ROWS).chain(9_001..=9_005), long);
        session.begin(0, false).await.expect("begun");
        let batch = pairs(&target, &borrowed(&rows));
        assert_eq!(session.write(&batch).await.expect("written"), expected, "{on_conflict:?}");
        let again = written(0, 0, u64::from(ROWS.unsigned_abs()) + 5);
        assert_eq!(session.write(&batch).await.expect("again"), again, "{on_conflict:?}");
        let (checkpoint, entry) = super::after(session.as_ref(), &lease("demo"), &target.stream, 1, super::read(5));
        session.commit(&checkpoint, &entry).await.expect("committed");
        let found = database.value("select count(*) filter (where words like 'new %') || ' ' || count(*) filter (where words = repeat('long', 5000)) || ' ' || count(*) from numbers");
        let new = if on_conflict == OnConflict::Update { differ } else { 0 };
        // 9,002 is a multiple of seven.
        assert_eq!(found, format!("{} 1 {}", new + 1, ROWS + 15), "{on_conflict:?}");
    }
    let (_database, mut session, target) = filled(OnConflict::ErrorUnlessEqual, "n int primary key, words text", &["n"]).await;
    session.begin(0, false).await.expect("begun");
    let rows = texts(1..=ROWS, of);
    let refused = refusal(session.write(&pairs(&target, &borrowed(&rows))).await);
    assert!(refused.detail.contains("differs"), "{}", refused.detail);
    session.rollback().await.expect("given up");
}

#[tokio::test]
async fn the_order_is_the_indexs_and_a_portion_in_any_other_is_written_all_the_same() {
    let (database, mut session, target) = filled(OnConflict::Update, "n int, words text, unique (words, n)", &["n", "words"]).await;
    session.begin(0, false).await.expect("begun");
    // By their numbers, and the other way round: first and last are no ends of the index's order.
    for rows in [
        texts(1..=ROWS, |n| format!("text {n}")),
        texts((1..=ROWS).rev(), |n| format!("text {n}")),
    ] {
        for portion in rows.chunks(500) {
            let batch = pairs(&target, &borrowed(portion));
            assert_eq!(session.write(&batch).await.expect("written"), written(0, 0, 500));
        }
    }
    session.rollback().await.expect("given up");
    assert_eq!(database.value("select count(*) from numbers"), (ROWS + 10).to_string());
}
