//! The fence: further connections of a run that writes, through the trait, against a real server.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dbferry::ErrorKind;
use dbferry::data::stream::{OnConflict, StreamTarget};
use dbferry::sink::{self, LeaseRequest, Sink};
use uuid::Uuid;

use crate::faults::host_and_port;
use crate::harness::Database;
use crate::postgres_sink::{connection, lease, move_rows, open, pairs, stream};
use crate::proxy::{Cut, Proxy};

async fn with_table() -> (Database, Box<dyn Sink>, StreamTarget) {
    let database = Database::create();
    database.query("create table t (id int primary key, name text)");
    let sink = open(&database).await;
    let mut target = stream(sink.as_ref(), "t", &["id", "name"], &["id"]).await;
    target.on_conflict = OnConflict::Error;
    (database, sink, target)
}

fn another() -> LeaseRequest {
    LeaseRequest {
        run: Uuid::new_v4(),
        holder: "process 1 elsewhere".to_owned(),
        ..lease("demo")
    }
}

fn again(lease: &LeaseRequest) -> LeaseRequest {
    LeaseRequest {
        wait: Duration::from_secs(10),
        ..lease.clone()
    }
}

/// Ends the backend that holds the lease, as if its server process had crashed alone.
fn end_lease_holder(database: &Database) {
    let ended = database.value(
        "select count(pg_terminate_backend(pid)) from pg_locks
         where locktype = 'advisory' and mode = 'ExclusiveLock' and granted and database = (select oid from pg_database where datname = current_database())",
    );
    assert_eq!(ended, "1");
}

#[tokio::test]
async fn nobody_else_is_given_the_lease_while_a_joined_session_lives() {
    let (database, sink, target) = with_table().await;
    let ours = lease("demo");
    let first = sink.acquire(&ours).await.expect("free");
    let mut joined = sink.join(&ours, first.epoch()).await.expect("joined");
    joined.open_stream(&target, 0, false).await.expect("opened");
    end_lease_holder(&database);
    drop(first);
    let error = sink.acquire(&another()).await.err().expect("a writer lives");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains(&ours.run.to_string()), "{error}");
    move_rows(joined.as_mut(), &ours, &target, 1, &pairs(&target, &[(1, "a")])).await;
    joined.finish("done").await.expect("left");
    let other = sink.acquire(&another()).await.expect("nobody writes");
    assert_eq!(other.epoch(), 2);
    // What comes too late is refused.
    let error = sink.join(&ours, 1).await.err().expect("another epoch");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    assert_eq!(database.value("select count(*) from t"), "1");
}

#[tokio::test]
async fn whoever_takes_its_own_lease_again_ends_the_sessions_of_the_old_epoch() {
    let (database, sink, target) = with_table().await;
    let ours = lease("demo");
    let first = sink.acquire(&ours).await.expect("free");
    let mut joined = sink.join(&ours, first.epoch()).await.expect("joined");
    joined.open_stream(&target, 0, false).await.expect("opened");
    joined.begin(0, true).await.expect("begun");
    joined.write(&pairs(&target, &[(1, "a")])).await.expect("written");
    end_lease_holder(&database);
    drop(first);
    let second = sink.acquire(&again(&ours)).await.expect("ours");
    assert_eq!(second.epoch(), 2);
    let error = joined.write(&pairs(&target, &[(2, "b")])).await.expect_err("ended");
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    let mut joined = sink.join(&ours, 2).await.expect("joined anew");
    assert!(joined.open_stream(&target, 0, false).await.expect("opened").is_none());
    move_rows(joined.as_mut(), &ours, &target, 1, &pairs(&target, &[(1, "a")])).await;
    // A rehearsal lets nobody in until it ends.
    drop((second, joined));
    let dry = LeaseRequest {
        dry_run: true,
        ..another()
    };
    let mut rehearsal = sink.acquire(&dry).await.expect("free");
    assert_eq!(sink.join(&ours, 2).await.err().expect("alone").kind(), ErrorKind::Busy);
    rehearsal.finish("done").await.expect("ended");
    sink.join(&ours, 2).await.expect("rolled back");
}

#[tokio::test]
async fn a_joined_session_that_comes_back_ends_what_it_left_behind() {
    let (database, _, target) = with_table().await;
    let proxy = Proxy::start(host_and_port(&database.url), vec![(2, Cut::Unnoticed), (4, Cut::AfterCommit)]);
    let through = database
        .url
        .replace(&host_and_port(&database.url), &format!("127.0.0.1:{}", proxy.port));
    let sink = sink::open(&connection(&through, false)).await.expect("the proxy");
    let ours = lease("demo");
    // COMMIT 1 is that of the lease.
    let first = sink.acquire(&ours).await.expect("free");
    let mut rows = 0;
    for (lost, kept) in [(1, 0), (2, 2)] {
        let mut joined = sink.join(&ours, first.epoch()).await.expect("joined");
        let found = joined.open_stream(&target, 0, false).await.expect("opened");
        let sequence = found.map_or(0, |checkpoint| checkpoint.sequence);
        joined.begin(sequence, true).await.expect("begun");
        joined.write(&pairs(&target, &[(rows + 1, "a")])).await.expect("written");
        let (checkpoint, entry) = crate::postgres_sink::after(
            joined.as_ref(),
            &ours,
            &target.stream,
            sequence + 1,
            dbferry::data::counts::Counts::default(),
        );
        let error = joined.commit(&checkpoint, &entry).await.expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
        drop(joined);
        assert_eq!(proxy.cuts.load(Ordering::SeqCst), lost);
        let began = Instant::now();
        let mut joined = sink.join(&ours, first.epoch()).await.expect("joined anew");
        let found = joined.open_stream(&target, 0, false).await.expect("opened");
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
        assert_eq!(found.map_or(0, |checkpoint| checkpoint.sequence), kept);
        if kept == 0 {
            // COMMIT 3.
            move_rows(joined.as_mut(), &ours, &target, 1, &pairs(&target, &[(rows + 1, "a")])).await;
            rows += 1;
        }
        joined.finish("done").await.expect("left");
    }
    assert_eq!(database.value("select count(*) from t"), "2");
    assert_eq!(
        database.value("select count(*) from pg_stat_activity where state like 'idle in%' and datname = current_database()"),
        "0"
    );
}
