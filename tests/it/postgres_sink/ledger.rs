//! What is committed with the rows: checkpoint, ledger, rejects and claimed keys, in order and
//! under one epoch.

use std::sync::Arc;
use std::time::Duration;

use dbferry::ErrorKind;
use dbferry::data::position::{Key, KeyValue};
use dbferry::data::reject::{Reason, Reject};
use dbferry::data::stream::OnConflict;
use dbferry::ledger::Claim;
use dbferry::sink::{LeaseRequest, Sink};
use uuid::Uuid;

use super::{after, all, commit, lease, move_rows, opened, pairs, read, with_pairs, written};

#[tokio::test]
async fn a_batch_commits_with_its_checkpoint_and_ledger_and_reads_back() {
    let (database, sink, target) = with_pairs(OnConflict::Error).await;
    let lease = lease("demo");
    assert!(sink.checkpoints("demo").await.expect("no ledger yet").is_empty());
    let mut session = sink.acquire(&lease).await.expect("free");
    assert_eq!(session.epoch(), 1);
    assert_eq!(session.open_stream(&target, 0, false).await.expect("opened"), None);
    assert!(session.is_empty().await.expect("counted"));
    session.begin(0, true).await.expect("begun");
    let batch = pairs(&target, &[(1, "a"), (2, "b")]);
    assert_eq!(session.write(&batch).await.expect("written"), written(2, 0, 0));
    assert_eq!(session.write(&batch.slice(0, 0)).await.expect("nothing"), written(0, 0, 0));
    assert_eq!(database.value("select count(*) from pairs"), "0", "not before the commit");
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(2));
    session.commit(&checkpoint, &entry).await.expect("committed");
    assert_eq!(all(&database), "1a 2b");
    assert_eq!(
        sink.checkpoints("demo").await.expect("the ledger"),
        std::slice::from_ref(&checkpoint)
    );
    assert!(sink.checkpoints("other").await.expect("the ledger").is_empty());
    assert_eq!(
        session.open_stream(&target, 0, false).await.expect("opened"),
        Some(checkpoint)
    );
    assert_eq!(session.count().await.expect("counted"), 2);
    assert_eq!(sink.count(&target.table).await.expect("counted"), 2);
    session.finish("done").await.expect("recorded");
    let run = &sink.runs("demo", 10).await.expect("runs")[0];
    assert_eq!(
        (run.run, run.status.as_str(), run.environment.as_str()),
        (lease.run, "done", "test")
    );
    assert!(run.started_at.ends_with('Z') && run.ended_at.is_some(), "{run:?}");
    let ledger = database.query(
        "select stream, sequence::text, first_key, rows_read::text, digest_rows::text, digest, retry::text from dbferry.batch",
    );
    let digest = format!("{:032x}", u128::MAX - 5);
    assert_eq!(
        ledger[0].iter().flatten().map(String::as_str).collect::<Vec<_>>(),
        [
            "stream of pairs",
            "1",
            "[{\"text\":\"a\"}]",
            "2",
            "2",
            digest.as_str(),
            "false"
        ]
    );
}

#[tokio::test]
async fn many_first_runs_make_one_ledger() {
    let (database, sink, _) = with_pairs(OnConflict::Error).await;
    let sink: Arc<dyn Sink> = Arc::from(sink);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let sink = Arc::clone(&sink);
            tokio::spawn(async move {
                sink.acquire(&lease(&format!("project {number}")))
                    .await
                    .map(|session| session.epoch())
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic").expect("a lease of its own"), 1);
    }
    assert_eq!(database.value("select count(*) from dbferry.lease"), "8");
    assert_eq!(database.value("select count(*) from dbferry.meta"), "1");
    database.query("update dbferry.meta set form = 99");
    let error = sink.checkpoints("demo").await.expect_err("another form");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    assert!(error.message().contains("99"), "{error}");
}

#[tokio::test]
async fn a_batch_out_of_order_or_under_an_old_epoch_writes_nothing() {
    let (database, sink, target) = with_pairs(OnConflict::Error).await;
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a")])).await;
    for sequence in [0, 2] {
        let error = session.begin(sequence, false).await.expect_err("one batch is there");
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
    }
    // The commit checks by itself, too.
    session.begin(1, false).await.expect("begun");
    session.write(&pairs(&target, &[(2, "b")])).await.expect("written");
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 3, read(1));
    let error = session.commit(&checkpoint, &entry).await.expect_err("a gap");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    assert_eq!(all(&database), "1a");
    database.query("update dbferry.lease set epoch = epoch + 1");
    let error = session.begin(1, false).await.expect_err("another epoch");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    database.query("update dbferry.lease set epoch = epoch - 1; update dbferry.checkpoint set epoch = epoch + 1");
    assert_eq!(
        session.begin(1, false).await.expect_err("another epoch").kind(),
        ErrorKind::Checkpoint
    );
    database.query("update dbferry.checkpoint set epoch = epoch - 1");
    session.begin(1, false).await.expect("ours again");
    session.rollback().await.expect("given up");
    database.query("update dbferry.lease set epoch = epoch + 1");
    let error = session.open_stream(&target, 0, false).await.expect_err("another epoch");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
}

#[tokio::test]
async fn a_lost_connection_is_lost_and_the_next_one_finds_the_last_commit() {
    let (database, sink, target) = with_pairs(OnConflict::Update).await;
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a")])).await;
    session.begin(1, false).await.expect("begun");
    session.write(&pairs(&target, &[(2, "b")])).await.expect("written");
    database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'dbferry%' and datname = current_database()");
    let error = session.write(&pairs(&target, &[(3, "c")])).await.expect_err("ended");
    assert_eq!(error.kind(), ErrorKind::Lost, "{error:?}");
    let again = LeaseRequest {
        wait: Duration::from_secs(10),
        ..lease.clone()
    };
    let mut second = sink.acquire(&again).await.expect("taken over");
    let found = second
        .open_stream(&target, 0, false)
        .await
        .expect("opened")
        .expect("a checkpoint");
    assert_eq!(found.sequence, 1);
    move_rows(second.as_mut(), &again, &target, 2, &pairs(&target, &[(2, "b")])).await;
    assert_eq!(all(&database), "1a 2b");
    // The reading connection was ended as well, and is opened again.
    assert_eq!(sink.count(&target.table).await.expect("counted"), 2);
    assert_eq!(sink.runs("demo", 9).await.expect("runs").len(), 1);
}

#[tokio::test]
async fn rejects_are_stored_with_the_batch_counted_and_resolved() {
    let (database, sink, target) = with_pairs(OnConflict::Error).await;
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    session.begin(0, false).await.expect("begun");
    let reject = |id: i64, column: Option<&str>| Reject {
        key: Key(vec![KeyValue::Int(id)]),
        column: column.map(str::to_owned),
        reason: Reason::TooLong,
        detail: "too long".to_owned(),
        row: "{\"a\":\"\\u0000\"}".to_owned(),
    };
    let many: Vec<Reject> = (0..2_500).map(|id| reject(id, (id % 2 == 0).then_some("name"))).collect();
    session.reject(lease.run, 1, &many).await.expect("stored");
    commit(session.as_mut(), &lease, &target, 1, 0).await;
    let counts = sink.reject_counts("demo").await.expect("counted");
    assert_eq!(counts, [(target.stream.clone(), 2_500)]);
    let stored = sink.rejects("demo", Some(&target.stream), 0, 3).await.expect("read");
    assert_eq!(stored.len(), 3);
    assert_eq!(
        (stored[1].key.clone(), stored[1].column.clone()),
        (Key(vec![KeyValue::Int(1)]), None)
    );
    assert_eq!((stored[2].reason.as_str(), stored[2].run), ("too_long", lease.run));
    let text = database.query("select source_key, source_row from dbferry.reject order by id limit 1");
    assert_eq!(text[0][0].as_deref(), Some("[{\"int\":0}]"));
    assert_eq!(text[0][1].as_deref(), Some("{\"a\":\"\\u0000\"}"));
    session.begin(1, false).await.expect("begun");
    session.resolve(&[stored[0].id, stored[1].id]).await.expect("resolved");
    commit(session.as_mut(), &lease, &target, 2, 0).await;
    let open = sink.rejects("demo", None, 0, 9_999).await.expect("read");
    assert_eq!((open.len(), open[0].id), (2_498, stored[2].id));
    assert_eq!(
        database.value("select count(*) from dbferry.reject where resolved_at is not null and resolved_by is not null"),
        "2"
    );
    // Beginning again forgets what is open, with the first batch and not before it.
    assert_eq!(session.open_stream(&target, 0, true).await.expect("opened"), None);
    assert_eq!(database.value("select count(*) from dbferry.reject"), "2500");
    session.begin(0, false).await.expect("begun");
    session.rollback().await.expect("given up");
    session.begin(0, false).await.expect("begun anew");
    let (checkpoint, mut entry) = after(session.as_ref(), &lease, &target.stream, 1, read(0));
    entry.run = Uuid::new_v4();
    session.commit(&checkpoint, &entry).await.expect("committed");
    assert_eq!(database.value("select count(*) from dbferry.reject"), "2");
    assert_eq!(
        database.value("select count(*) from dbferry.batch"),
        "3",
        "the audit trail stays"
    );
    session.begin(1, false).await.expect("forgets only once");
}

#[tokio::test]
async fn a_key_is_claimed_by_the_first_source_row_for_good() {
    let (_database, sink, target) = with_pairs(OnConflict::Error).await;
    let lease = lease("demo");
    let mut session = opened(sink.as_ref(), &lease, &target).await;
    let claim = |digest: u128, row: &str| Claim {
        digest,
        key: Key(vec![KeyValue::Text(row.to_owned())]),
    };
    let row = |name: &str| Key(vec![KeyValue::Text(name.to_owned())]);
    session.begin(0, false).await.expect("begun");
    let taken = session
        .claim(&[claim(1, "a"), claim(u128::MAX, "b"), claim(1, "c"), claim(1, "a")])
        .await
        .expect("claimed");
    assert_eq!(taken, [(2, row("a"))]);
    commit(session.as_mut(), &lease, &target, 1, 0).await;
    session.begin(1, false).await.expect("begun");
    session.claim(&[claim(5, "x")]).await.expect("claimed, and given up");
    session.rollback().await.expect("given up");
    session.begin(1, false).await.expect("begun");
    let taken = session
        .claim(&[claim(5, "y"), claim(u128::MAX, "z"), claim(u128::MAX, "b")])
        .await
        .expect("claimed");
    assert_eq!(taken, [(1, row("b"))]);
}
