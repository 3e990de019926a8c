//! The SQLite sink's lease, batches and ledger, and how it meets a file that it cannot write to.

use std::process::Command;
use std::time::Duration;

use arrow::array::RecordBatch;
use dbferry::ErrorKind;
use dbferry::data::counts::Counts;
use dbferry::data::digest::Digest;
use dbferry::data::position::{Key, KeyValue, Position};
use dbferry::data::reject::{Reason, Reject};
use dbferry::data::stream::{OnConflict, StreamTarget};
use dbferry::data::table::TableName;
use dbferry::ledger::Claim;
use dbferry::sink::LeaseRequest;
use uuid::Uuid;

use crate::checkpoint::{checkpoint, entry};
use crate::sqlite_sink::{Target, begin, commit, int, lease, rows, text};

const DDL: &str = "create table t (id integer primary key autoincrement, note text)";

fn numbered(stream: &StreamTarget, ids: std::ops::Range<i64>) -> RecordBatch {
    noted(stream, ids, "some text that takes a little room in its row")
}

fn noted(stream: &StreamTarget, ids: std::ops::Range<i64>, note: &str) -> RecordBatch {
    let ids: Vec<_> = ids.map(Some).collect();
    rows(&stream.columns, vec![int(&ids), text(&vec![Some(note); ids.len()])])
}

fn key(id: i64) -> Key {
    Key(vec![KeyValue::Int(id)])
}

fn reject(id: i64) -> Reject {
    Reject {
        key: key(id),
        column: Some("note".to_owned()),
        reason: Reason::TooLong,
        detail: "longer than 3".to_owned(),
        row: format!("{{\"id\":{id}}}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_refused_and_told_who_holds_the_lease() {
    let target = Target::new(DDL);
    let sink = target.open(false).await.expect("the file opens");
    let first = lease();
    let session = sink.acquire(&first).await.expect("free");
    assert_eq!(session.epoch(), 1);
    for project in ["demo", "other"] {
        let second = LeaseRequest {
            project: project.to_owned(),
            wait: Duration::from_millis(150),
            ..lease()
        };
        let Err(error) = sink.acquire(&second).await else {
            panic!("two hold the lease")
        };
        assert_eq!(error.kind(), ErrorKind::Busy);
        for part in [first.run.to_string().as_str(), "process 4711", "project `demo`"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
    drop(session);
    assert_eq!(sink.acquire(&lease()).await.expect("free again").epoch(), 2);
    assert_eq!(target.files(), ["out.db"], "nothing is left beside it");
    let runs = sink.runs("demo", 10).await.expect("runs");
    assert_eq!((runs.len(), runs[1].run, runs[1].status.as_str()), (2, first.run, "running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_the_lease_or_the_sequence_commits_nothing() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let (first, second) = (lease(), lease());
    let mut stale = target.session(&first).await;
    begin(stale.as_mut(), &stream, 0).await;
    stale.write(&numbered(&stream, 0..2)).await.expect("rows");
    commit(&first, stale.as_mut(), "t", 1).await.expect("a commit");
    for sequence in [0, 2] {
        let error = stale.begin(sequence, false).await.expect_err("another batch");
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.message().contains(&format!("at batch 1, not at {sequence}")), "{error}");
    }
    // Its lock is gone, as after a network file system has lost it.
    let lock = target.path.with_file_name("out.db.dbferry-lock");
    assert!(std::fs::read_to_string(&lock).expect("the lock").contains("process 4711"));
    std::fs::remove_file(&lock).expect("the lock file");
    let mut session = target.session(&second).await;
    let error = stale.begin(1, false).await.expect_err("fenced off");
    assert_eq!(error.kind(), ErrorKind::Checkpoint);
    assert!(error.message().contains("took over the lease"), "{error}");
    drop(stale);
    assert!(lock.exists(), "the lock of the other run stays");
    let found = session
        .open_stream(&stream, 0, false)
        .await
        .expect("a stream")
        .expect("a checkpoint");
    assert_eq!((found.sequence, found.epoch, found.run), (1, 1, first.run));
    session.begin(1, false).await.expect("a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_ledger_are_durable_together_or_not_at_all() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let sink = target.open(false).await.expect("the file opens");
    assert!(sink.checkpoints("demo").await.expect("none").is_empty());
    assert!(sink.runs("demo", 5).await.expect("none").is_empty());
    let mut session = sink.acquire(&lease).await.expect("free");
    begin(session.as_mut(), &stream, 0).await;
    session.write(&numbered(&stream, 1..4)).await.expect("rows");
    session.reject(lease.run, 1, &[reject(8), reject(9)]).await.expect("rejects");
    // Nobody else sees any of it yet.
    assert_eq!(target.number("select count(*) from t"), 0);
    assert!(sink.reject_counts("demo").await.expect("counts").is_empty());
    let mut after = checkpoint(&lease, session.as_ref(), "t", 1);
    after.position = Some(Position::Key(key(9)));
    after.counts = Counts {
        read: 5,
        inserted: 3,
        rejected: 2,
        ..Counts::default()
    };
    after.digest = Digest {
        rows: 3,
        sum: u128::MAX - 7,
    };
    let mut batch = entry(&after);
    (batch.first_key, batch.last_key) = (Some(key(1)), Some(key(9)));
    session.commit(&after, &batch).await.expect("a commit");

    assert_eq!(sink.checkpoints("demo").await.expect("one"), [after.clone()]);
    assert!(sink.checkpoints("other").await.expect("none").is_empty());
    assert_eq!(session.open_stream(&stream, 0, false).await.expect("a stream"), Some(after));
    assert_eq!(
        target.texts(
            "select sequence || '|' || first_key || '|' || last_key || '|' || rows_read || '|' || rows_inserted || '|' || rows_rejected
                || '|' || digest || '|' || seconds || '|' || retry || '|' || run from dbferry_batch"
        ),
        [format!(
            r#"1|[{{"int":1}}]|[{{"int":9}}]|5|3|2|fffffffffffffffffffffffffffffff8|0.5|0|{}"#,
            lease.run
        )]
    );
    assert_eq!(sink.reject_counts("demo").await.expect("counts"), [("t".to_owned(), 2)]);
    let stored = sink.rejects("demo", Some("t"), 0, 10).await.expect("rejects");
    assert_eq!((stored[0].key.clone(), stored[0].reason.as_str()), (key(8), "too_long"));
    assert_eq!(
        sink.rejects("demo", None, stored[0].id, 10).await.expect("rejects"),
        stored[1..]
    );

    session.finish("done").await.expect("the end");
    let runs = sink.runs("demo", 5).await.expect("runs");
    assert_eq!(runs[0].status, "done");
    assert!(runs[0].ended_at >= Some(runs[0].started_at.clone()), "{:?}", runs[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_reject_is_closed_and_cannot_be_resolved_again() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let sink = target.open(false).await.expect("the file opens");
    let mut session = sink.acquire(&lease).await.expect("free");
    begin(session.as_mut(), &stream, 0).await;
    session.reject(lease.run, 1, &[reject(8), reject(9)]).await.expect("rejects");
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    let stored = sink.rejects("demo", Some("t"), 0, 10).await.expect("rejects");
    session.begin(1, false).await.expect("a batch");
    session.resolve(&[stored[0].id]).await.expect("open");
    let error = session.resolve(&[stored[0].id]).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Validation);
    commit(&lease, session.as_mut(), "t", 2).await.expect("a commit");
    assert_eq!(sink.rejects("demo", None, 0, 10).await.expect("rejects"), stored[1..]);
    assert_eq!(
        target.texts("select resolved_by from dbferry_reject where resolved_at is not null"),
        [lease.run.to_string()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_given_up_leaves_nothing_and_one_in_flight_neither() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    for give_up in [true, false] {
        session.begin(0, false).await.expect("a batch");
        session.write(&numbered(&stream, 10..20)).await.expect("rows");
        session.reject(lease.run, 1, &[reject(7)]).await.expect("a reject");
        if give_up {
            session.rollback().await.expect("a rollback");
            session.rollback().await.expect("nothing to do");
        }
    }
    drop(session);
    for table in ["t", "dbferry_reject", "dbferry_batch", "dbferry_checkpoint"] {
        assert_eq!(target.number(&format!("select count(*) from {table}")), 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_with_its_first_batch_and_not_before() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let (first, second) = (lease(), lease());
    let claims = |id: i64| {
        [Claim {
            digest: 99,
            key: key(id),
        }]
    };
    let mut session = target.session(&first).await;
    begin(session.as_mut(), &stream, 0).await;
    assert!(session.claim(&claims(1)).await.expect("free").is_empty());
    assert!(session.claim(&claims(1)).await.expect("ours").is_empty());
    assert_eq!(session.claim(&claims(2)).await.expect("taken"), [(0, key(1))]);
    session.reject(first.run, 1, &[reject(5), reject(6)]).await.expect("rejects");
    session.resolve(&[1]).await.expect("the first reject");
    commit(&first, session.as_mut(), "t", 1).await.expect("a commit");
    drop(session);

    let mut session = target.session(&second).await;
    assert_eq!(session.open_stream(&stream, 0, true).await.expect("a stream"), None);
    session.begin(0, false).await.expect("a batch");
    assert!(session.claim(&claims(2)).await.expect("free again").is_empty());
    session.rollback().await.expect("a rollback");
    assert_eq!(
        target.number("select sequence from dbferry_checkpoint"),
        1,
        "nothing is forgotten yet"
    );
    assert_eq!(target.number("select count(*) from dbferry_reject"), 2);
    session.begin(0, false).await.expect("a batch");
    commit(&second, session.as_mut(), "t", 1).await.expect("a commit");
    session.begin(1, false).await.expect("the batch after it");
    session.rollback().await.expect("a rollback");
    assert_eq!(target.number("select count(*) from dbferry_key_claim"), 0);
    assert_eq!(
        target.number("select count(*) from dbferry_reject where resolved_at is null"),
        0
    );
    assert_eq!(
        target.number("select count(*) from dbferry_reject"),
        1,
        "what was resolved stays"
    );
    assert_eq!(
        target.number("select count(*) from dbferry_batch"),
        2,
        "the audit trail stays"
    );
    assert_eq!(target.texts("select run from dbferry_checkpoint"), [second.run.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_sees_what_it_writes_and_leaves_the_file_as_it_was() {
    for journal in ["delete", "wal"] {
        let target = Target::new(&format!(
            "pragma journal_mode = {journal}; {DDL}; insert into t values (1, 'old')"
        ));
        let before = std::fs::read(&target.path).expect("the file");
        let stream = target.stream("t", &["id"], OnConflict::Update).await;
        let rehearsal = LeaseRequest {
            dry_run: true,
            ..lease()
        };
        let mut session = target.session(&rehearsal).await;
        for sequence in 0..2 {
            begin(session.as_mut(), &stream, sequence).await;
            // More than the page cache holds.
            let fat = noted(&stream, 0..10_000, &"n".repeat(4_000));
            let written = session.write(&fat).await.expect("rows");
            let expected = [(9_999, 1), (0, 0)][usize::try_from(sequence).expect("small")];
            assert_eq!((written.inserted, written.updated), expected);
            commit(&rehearsal, session.as_mut(), "t", sequence + 1)
                .await
                .expect("a commit");
        }
        begin(session.as_mut(), &stream, 2).await;
        session.write(&numbered(&stream, 40_000..40_001)).await.expect("a row");
        session.rollback().await.expect("a rollback");
        assert_eq!(session.count().await.expect("a count"), 10_000);
        session.finish_stream().await.expect("the end");
        session.finish("done").await.expect("the end");
        drop(session);
        assert!(
            before == std::fs::read(&target.path).expect("the file"),
            "{journal}: the file has changed"
        );
        assert_eq!(target.files(), ["out.db"], "{journal}");
        assert_eq!(
            target.number("select count(*) from sqlite_schema where name like 'dbferry%'"),
            0
        );
    }
    let absent = Target::absent();
    let sink = absent.open(true).await.expect("a file to be made");
    let rehearsal = LeaseRequest {
        dry_run: true,
        ..lease()
    };
    assert_eq!(
        sink.acquire(&rehearsal).await.err().expect("no file").kind(),
        ErrorKind::Missing
    );
    assert!(absent.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_created_where_that_is_allowed() {
    let target = Target::absent();
    let error = target.open(false).await.err().expect("no file");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(
        error.message().contains("out.db") && error.advice().contains("create_database"),
        "{error}"
    );
    let sink = target.open(true).await.expect("an empty database");
    assert!(sink.tables().await.expect("none").is_empty());
    assert_eq!(sink.table(&TableName::new("t")).await.expect("none"), None);
    assert!(target.files().is_empty(), "looking creates nothing");
    drop(sink.acquire(&lease()).await.expect("a new file"));
    assert_eq!(target.files(), ["out.db"]);
    target.sql(DDL);
    assert_eq!(
        sink.tables().await.expect("one"),
        [TableName::new("t")],
        "the ledger is not listed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_the_table_go_on_after_the_highest_value() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    begin(session.as_mut(), &stream, 0).await;
    session.write(&numbered(&stream, 1_000..1_002)).await.expect("rows");
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    session.finish_stream().await.expect("the end");
    drop(session);
    target.sql("delete from t; insert into t (note) values ('next')");
    assert_eq!(target.number("select id from t"), 1_002);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_and_a_folder_are_told_apart() {
    let target = Target::absent();
    std::fs::write(&target.path, "this is no database ".repeat(100)).expect("a file");
    let error = target.open(true).await.err().expect("no database");
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert!(error.message().contains("not a database"), "{error}");
    std::fs::remove_file(&target.path).expect("the file");
    std::fs::create_dir(&target.path).expect("a folder");
    let error = target.open(true).await.err().expect("a folder");
    assert!(error.message().contains("folder"), "{error}");
    // A name that SQLite would take for a database in memory, or for a URI, is a file like others.
    for name in [":memory:", "file:x?mode=memory"] {
        let odd = Target::absent().beside(name);
        drop(odd.open(true).await.expect("a path").acquire(&lease()).await.expect("a file"));
        assert_eq!(odd.files(), [name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_waited_for_and_then_told() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    let other = rusqlite::Connection::open(&target.path).expect("the file");
    other.execute_batch("begin immediate").expect("the lock");
    let began = std::time::Instant::now();
    let error = session.begin(0, false).await.expect_err("locked");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("locked by another process"), "{error}");
    assert!((3..20).contains(&began.elapsed().as_secs()));
    other.execute_batch("rollback").expect("the end");
    session.begin(0, false).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_read_and_their_open_snapshot_stops_no_commit() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    let reader = rusqlite::Connection::open(&target.path).expect("the file");
    reader.execute_batch("begin; select * from t").expect("a snapshot");
    begin(session.as_mut(), &stream, 0).await;
    session.write(&numbered(&stream, 0..3)).await.expect("rows");
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
}

/// A small file system of its own, unmounted at the end.
struct Mounted(Target);

impl Mounted {
    fn new(options: &str) -> Self {
        let target = Target::absent();
        let mounted = Self(target);
        mounted.mount(&["-t", "tmpfs", "-o", options, "tmpfs"]);
        mounted
    }

    fn mount(&self, arguments: &[&str]) {
        let folder = self.0.path.parent().expect("a folder");
        let status = Command::new("mount").args(arguments).arg(folder).status();
        assert!(
            status.expect("mount").success(),
            "this test mounts a small tmpfs and needs the right to do so"
        );
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let folder = self.0.path.parent().expect("a folder");
        drop(Command::new("umount").arg("-l").arg(folder).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_with_whole_batches_and_goes_on_when_there_is_room() {
    let mounted = Mounted::new("size=3m");
    let target = &mounted.0;
    target.sql(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let first = lease();
    let mut session = target.session(&first).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    let mut sequence = 0;
    let error = loop {
        let ids = sequence * 2_000..(sequence + 1) * 2_000;
        let outcome = match session.begin(sequence, false).await {
            Ok(()) => match session.write(&numbered(&stream, ids)).await {
                Ok(_) => commit(&first, session.as_mut(), "t", sequence + 1).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => sequence += 1,
            Err(error) => break error,
        }
        assert!(sequence < 1_000, "the disk never fills");
    };
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
    assert!(error.message().contains("no space"), "{error}");
    session.rollback().await.expect("a rollback");
    // The record of the run's end may find no room either.
    drop(session.finish("failed").await);
    drop(session);
    mounted.mount(&["-o", "remount,size=30m"]);
    let mut session = target.session(&lease()).await;
    let found = session
        .open_stream(&stream, 0, false)
        .await
        .expect("a stream")
        .expect("a checkpoint");
    assert_eq!(found.sequence, sequence);
    assert_eq!(
        session.count().await.expect("a count"),
        u64::try_from(sequence).expect("small") * 2_000
    );
    session.begin(sequence, false).await.expect("a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_permission_to_write_is_read_but_not_written() {
    let mounted = Mounted::new("size=3m");
    let target = &mounted.0;
    target.sql(DDL);
    mounted.mount(&["-o", "remount,ro"]);
    let sink = target.open(false).await.expect("it can be read");
    assert_eq!(sink.count(&TableName::new("t")).await.expect("a count"), 0);
    let error = sink.acquire(&lease()).await.err().expect("read-only");
    assert_eq!(error.kind(), ErrorKind::Unauthorised);
    assert!(error.message().contains("permission"), "{error}");
    // A new file cannot be made there either.
    let new = target.beside("sub/new.db");
    let sink = new.open(true).await.expect("a path");
    assert_eq!(
        sink.acquire(&lease()).await.err().expect("read-only").kind(),
        ErrorKind::Unauthorised
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_another_form_is_left_alone() {
    let target = Target::new(DDL);
    drop(target.session(&lease()).await);
    target.sql("update dbferry_meta set form = 77");
    let sink = target.open(false).await.expect("the file opens");
    for error in [sink.checkpoints("demo").await.err(), sink.acquire(&lease()).await.err()] {
        let error = error.expect("another form");
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert!(error.message().contains("form 77"), "{error}");
    }
    assert_eq!(target.files(), ["out.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_written_outside_of_a_batch() {
    let target = Target::new(DDL);
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    assert_eq!(
        session.begin(0, false).await.expect_err("no stream").kind(),
        ErrorKind::Internal
    );
    session.open_stream(&stream, 0, false).await.expect("a stream");
    assert!(session.write(&numbered(&stream, 0..1)).await.is_err());
    assert!(session.reject(Uuid::nil(), 1, &[reject(1)]).await.is_err());
    assert!(session.resolve(&[1]).await.is_err());
    assert!(session.claim(&[]).await.is_err());
    assert!(commit(&lease, session.as_mut(), "t", 1).await.is_err());
    assert_eq!(target.number("select count(*) from t"), 0);
}
