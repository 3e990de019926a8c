//! One moment: what is read of a table that is written to, altered or emptied meanwhile.

use dbferry::ErrorKind;

use crate::harness::Database;
use crate::reading::{batches, rows, table};

use super::{failure, open, request};

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
    assert_eq!(source.count(&table("t")).await.expect("a count"), Some(10));
    assert_eq!(source.moment().await.expect("the same"), moment);
    // The holder has no lock on anything: the application may alter what is not being read.
    database.query("set lock_timeout = '2s'; alter table t add column extra int");
    let later = open(&database).await;
    assert_ne!(later.moment().await.expect("another"), moment);
    assert_eq!(rows(&batches(&*later, before).await)[0], "2|new");
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
