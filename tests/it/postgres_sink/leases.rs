//! Who may write: one run at a time, and a rehearsal counts as one.

use std::time::Duration;

use dbferry::ErrorKind;
use dbferry::data::reject::Reason;
use dbferry::data::stream::OnConflict;
use dbferry::sink::LeaseRequest;

use super::{lease, move_rows, opened, pairs, refusal, with_pairs, written};

fn lease_of_another() -> LeaseRequest {
    LeaseRequest {
        holder: "process 1 on elsewhere".to_owned(),
        ..lease("demo")
    }
}

#[tokio::test]
async fn a_rehearsal_sees_its_own_rows_and_leaves_nothing() {
    let (database, sink, target) = with_pairs(OnConflict::Update).await;
    let mut lease = lease("demo");
    lease.dry_run = true;
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a"), (2, "b")])).await;
    session.begin(1, false).await.expect("begun");
    assert_eq!(
        session.write(&pairs(&target, &[(1, "A")])).await.expect("its own row"),
        written(0, 1, 0)
    );
    assert_eq!(
        refusal(session.write(&pairs(&target, &[(5, "bad")])).await).reason,
        Reason::Constraint
    );
    session.rollback().await.expect("given up");
    assert_eq!(session.count().await.expect("counted"), 2);
    let found = session
        .open_stream(&target, 0, false)
        .await
        .expect("opened")
        .expect("its own checkpoint");
    assert_eq!(found.sequence, 1);
    // Who asks meanwhile is told.
    let other = lease_of_another();
    let error = sink.acquire(&other).await.err().expect("held");
    assert_eq!(error.kind(), ErrorKind::Busy);
    for word in [lease.run.to_string(), format!("process {}", std::process::id())] {
        assert!(error.message().contains(&word), "{error}");
    }
    session.finish("done").await.expect("ended");
    assert_eq!(database.value("select count(*) from pairs"), "0");
    assert_eq!(
        database.value("select count(*) from pg_namespace where nspname = 'dbferry'"),
        "0"
    );
    sink.acquire(&other).await.expect("free again");
}

#[tokio::test]
async fn a_lease_is_one_for_each_project_and_its_holder_is_named() {
    let (_database, sink, _) = with_pairs(OnConflict::Error).await;
    let first = lease("demo");
    let session = sink.acquire(&first).await.expect("free");
    let error = sink.acquire(&lease_of_another()).await.err().expect("held");
    assert_eq!(error.kind(), ErrorKind::Busy);
    for word in [first.run.to_string(), first.holder.clone(), "since 20".to_owned()] {
        assert!(error.message().contains(&word), "no {word}: {error}");
    }
    assert_eq!(sink.acquire(&lease("other")).await.expect("another project").epoch(), 1);
    drop(session);
    assert_eq!(sink.acquire(&lease_of_another()).await.expect("free").epoch(), 2);
    // A connection of our own that the server has not missed yet is ended.
    let lost = sink.acquire(&first).await.expect("free");
    let again = LeaseRequest {
        wait: Duration::from_secs(10),
        ..first
    };
    assert_eq!(sink.acquire(&again).await.expect("taken over").epoch(), 4);
    drop(lost);
}
