//! Rows that are there already: refused, skipped or updated, and counted as what they are.

use dbferry::data::counts::Written;
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, Triggers};

use super::{Target, begin, commit, int, lease, rows, text};

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_counted_and_only_rows_that_differ_are_changed() {
    let ddl = "create table t (id text primary key on conflict replace, n integer, note text collate nocase);
               create table log (id text);
               create trigger changed after update on t begin insert into log values (new.id); end;
               insert into t values ('a', 1, 'x'), ('b', 2, 'y'), ('c', null, null)";
    let arrays = || {
        vec![
            text(&[Some("a"), Some("b"), Some("c"), Some("d")]),
            int(&[Some(1), Some(3), Some(4), Some(5)]),
            text(&[Some("X"), Some("y"), None, None]),
        ]
    };
    let expected = [
        (OnConflict::Skip, (1, 0, 3), ["a:1:x", "b:2:y", "c:-:-", "d:5:-"]),
        (OnConflict::Update, (1, 3, 0), ["a:1:X", "b:3:y", "c:4:-", "d:5:-"]),
    ];
    for (policy, (inserted, updated, skipped), after) in expected {
        let target = Target::new(ddl);
        let mut stream = target.stream("t", &["id"], policy).await;
        stream.triggers = Triggers::On;
        let lease = lease();
        let mut session = target.session(&lease).await;
        session.open_stream(&stream, 0, false).await.expect("a stream");
        assert!(!session.is_empty().await.expect("an answer"));
        session.begin(0, true).await.expect("a batch");
        let written = session.write(&rows(&stream.columns, arrays())).await.expect("rows");
        assert_eq!(
            written,
            Written {
                inserted,
                updated,
                skipped,
                expired: 0
            },
            "{policy:?}"
        );
        let again = session.write(&rows(&stream.columns, arrays())).await.expect("rows");
        assert_eq!(
            again,
            Written {
                skipped: 4,
                ..Written::default()
            },
            "{policy:?}"
        );
        commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
        assert_eq!(session.count().await.expect("a count"), 4);
        let all = "select id || ':' || coalesce(n, '-') || ':' || coalesce(note, '-') from t order by id";
        assert_eq!(target.texts(all), after, "{policy:?}");
        assert_eq!(
            target.number("select count(*) from log"),
            i64::try_from(updated).expect("small")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_key_is_a_duplicate_and_replaces_nothing() {
    let target = Target::new(
        "create table t (id text primary key on conflict replace, n integer unique on conflict ignore);
         insert into t values ('a', 1)",
    );
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let mut session = target.session(&lease()).await;
    begin(session.as_mut(), &stream, 0).await;
    for (id, n, column) in [("a", 2, "id"), ("b", 1, "n")] {
        let error = session
            .write(&rows(&stream.columns, vec![text(&[Some(id)]), int(&[Some(n)])]))
            .await
            .expect_err("refused");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!((refusal.reason, refusal.column.as_deref()), (Reason::Duplicate, Some(column)));
    }
    assert_eq!(session.count().await.expect("a count"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_a_collation_takes_for_the_same_is_refused() {
    let target = Target::new("create table t (id text collate nocase primary key, n integer); insert into t values ('a', 1)");
    for policy in [OnConflict::Skip, OnConflict::Update] {
        let stream = target.stream("t", &["id"], policy).await;
        let mut session = target.session(&lease()).await;
        begin(session.as_mut(), &stream, 0).await;
        let error = session
            .write(&rows(&stream.columns, vec![text(&[Some("A")]), int(&[Some(2)])]))
            .await
            .expect_err("refused");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::Duplicate);
    }
}
