//! Triggers fire where the stream wants them; actions of foreign keys always do.

use dbferry::ErrorKind;
use dbferry::data::column::ColumnType;
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, Triggers};
use dbferry::data::table::{Column, Fill};

use super::{Target, begin, commit, int, lease, rows};

#[tokio::test(flavor = "multi_thread")]
async fn triggers_fire_only_where_the_stream_says_and_may_drop_nothing() {
    let target = Target::new(
        "create table t (id integer primary key, n integer); create table log (id integer);
         create trigger t_log after insert on t begin insert into log values (new.id); end;
         create trigger t_ignore before insert on t when new.n = 1 begin select raise(ignore); end;
         create trigger t_abort before insert on t when new.n = 2 begin select raise(abort, 'canary'); end;
         create trigger t_delete after insert on t when new.n = 3 begin delete from t where id = new.id; end;
         create trigger t_rollback before insert on t when new.n = 4 begin select raise(rollback, 'canary'); end;",
    );
    let mut stream = target.stream("t", &["id"], OnConflict::Error).await;
    let batch = |id: i64, n: i64| {
        let columns = target_columns();
        rows(&columns, vec![int(&[Some(id)]), int(&[Some(n)])])
    };
    let lease = lease();
    let mut session = target.session(&lease).await;
    begin(session.as_mut(), &stream, 0).await;
    for n in 0..5 {
        assert_eq!(session.write(&batch(n, n)).await.expect("off").inserted, 1);
    }
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select count(*) from log"), 0);

    stream.triggers = Triggers::On;
    begin(session.as_mut(), &stream, 1).await;
    assert_eq!(session.write(&batch(10, 0)).await.expect("on").inserted, 1);
    for n in 1..4 {
        let error = session.write(&batch(10 + n, n)).await.expect_err("refused");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::Trigger, "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = session.write(&batch(14, 4)).await.expect_err("rolled back");
    assert_eq!(error.kind(), ErrorKind::Mapping, "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
    // Nothing may be written outside of a transaction.
    assert!(session.write(&batch(15, 0)).await.is_err());
    session.rollback().await.expect("a rollback");
    session.begin(1, false).await.expect("a batch");
    session.write(&batch(16, 0)).await.expect("a row");
    commit(&lease, session.as_mut(), "t", 2).await.expect("a commit");
    assert_eq!(target.texts("select cast(id as text) from log"), ["16"]);
    assert_eq!(target.number("select count(*) from t"), 6);
}

fn target_columns() -> Vec<Column> {
    ["id", "n"]
        .map(|name| Column {
            name: name.to_owned(),
            ty: ColumnType::Int64,
            nullable: true,
            fill: Fill::Nothing,
            flexible: false,
            wire: None,
            unordered: false,
        })
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_of_foreign_keys_work_with_triggers_off() {
    let target = Target::new(
        "create table t (id integer primary key, n integer unique); insert into t values (1, 5);
         create table child (n integer references t (n) on update cascade); insert into child values (5);
         create trigger no before update on t begin select raise(abort, 'no'); end;",
    );
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    begin(session.as_mut(), &stream, 0).await;
    let batch = rows(&stream.columns, vec![int(&[Some(1)]), int(&[Some(6)])]);
    assert_eq!(session.write(&batch).await.expect("a row").updated, 1);
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select n from child"), 6);
}
