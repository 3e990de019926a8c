//! Backends of the server: lost, no longer waited for, and waiting for a lock.

use dbferry::ErrorKind;

use crate::harness::{Database, eventually};
use crate::reading::{batches, rows, table};

use super::{failure, open, query, request};

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
    eventually("the end of the holder", || {
        end_backends(&database, "%pg_export_snapshot%") == 0
    })
    .await;
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
    let slow = request(&*source, query("select 1 as n from pg_sleep(600)"), &["n"], &[]).await;
    let busy =
        "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'copy%' and state = 'active'";
    for (request, first) in [(many, true), (slow, false)] {
        let mut receiver = source.read(request).await.expect("a stream");
        if first {
            receiver.recv().await.expect("a batch").expect("readable");
        }
        eventually("beginning of the statement", || database.value(busy) == "1").await;
        drop(receiver);
        eventually("end of the backend", || database.value(busy) == "0").await;
    }
    assert_eq!(source.count(&table("many")).await.expect("the source goes on"), Some(50000));
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
    let held = "select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and granted";
    eventually("the lock", || database.value(held) == "1").await;
    let error = failure(&*source, locked).await;
    assert!(
        error.kind() == ErrorKind::Busy && error.message().contains("lock"),
        "{error:?}"
    );
    holder.join().expect("the lock's holder");
}
