//! The Postgres sink through its trait, against a real server: what is written, what is counted,
//! what is refused, and what is left when something breaks.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use dbferry::ErrorKind;
use dbferry::config::connection::{Connection, ConnectionKind, NewDatabase};
use dbferry::data::counts::{Counts, Written};
use dbferry::data::digest::Digest;
use dbferry::data::position::{Key, KeyValue, Position};
use dbferry::data::reject::{Reason, Reject};
use dbferry::data::stream::{OnConflict, StreamTarget, Triggers};
use dbferry::data::table::{Column, TableName};
use dbferry::error::Refusal;
use dbferry::ledger::{BatchEntry, Checkpoint, Claim};
use dbferry::sink::{self, LeaseRequest, Session, Sink};
use uuid::Uuid;

use crate::harness::Database;

/// A connection's configuration.
pub(crate) fn connection(url: &str, create_database: bool) -> Connection {
    Connection {
        name: "target".to_owned(),
        kind: ConnectionKind::Postgres {
            url: url.to_owned().into(),
            create_database,
            new_database: NewDatabase::default(),
        },
    }
}

pub(crate) async fn open(database: &Database) -> Box<dyn Sink> {
    sink::open(&connection(&database.url, false)).await.expect("the test server")
}

pub(crate) fn lease(project: &str) -> LeaseRequest {
    LeaseRequest {
        project: project.to_owned(),
        environment: "test".to_owned(),
        run: Uuid::new_v4(),
        holder: format!("process {} on a-host", std::process::id()),
        dry_run: false,
        wait: Duration::ZERO,
    }
}

/// A stream that writes these columns of a table, with their types as the table has them.
pub(crate) async fn stream(sink: &dyn Sink, table: &str, columns: &[&str], key: &[&str]) -> StreamTarget {
    let found = sink
        .table(&TableName::new(table))
        .await
        .expect("readable")
        .unwrap_or_else(|| panic!("no table {table}"));
    let of = |name: &&str| -> Column { found.column(name).unwrap_or_else(|| panic!("no column {name}")).clone() };
    StreamTarget {
        stream: format!("stream of {table}"),
        table: found.name.clone(),
        columns: columns.iter().map(of).collect(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        on_conflict: OnConflict::Error,
        triggers: Triggers::Off,
        keys_distinct: true,
    }
}

pub(crate) fn rows(target: &StreamTarget, columns: Vec<ArrayRef>) -> RecordBatch {
    let names = target.columns.iter().map(|column| column.name.clone());
    RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true)))
        .expect("columns of equal length")
}

/// Rows of an integer and a text.
pub(crate) fn pairs(target: &StreamTarget, rows_: &[(i32, &str)]) -> RecordBatch {
    rows(
        target,
        vec![
            Arc::new(Int32Array::from_iter_values(rows_.iter().map(|(id, _)| *id))),
            Arc::new(StringArray::from_iter_values(rows_.iter().map(|(_, text)| *text))),
        ],
    )
}

/// The checkpoint after a batch, and its ledger entry.
pub(crate) fn after(
    session: &dyn Session,
    lease: &LeaseRequest,
    stream: &str,
    sequence: i64,
    counts: Counts,
) -> (Checkpoint, BatchEntry) {
    let digest = Digest {
        rows: counts.read,
        sum: u128::MAX - 5,
    };
    let checkpoint = Checkpoint {
        project: lease.project.clone(),
        stream: stream.to_owned(),
        split: 0,
        sequence,
        run: lease.run,
        epoch: session.epoch(),
        fingerprint: "f00d".to_owned(),
        moment: "now".to_owned(),
        one_moment: true,
        position: Some(Position::Key(Key(vec![KeyValue::Int(sequence)]))),
        counts,
        digest,
        target_was_empty: true,
        complete: false,
    };
    let entry = BatchEntry {
        run: lease.run,
        stream: stream.to_owned(),
        split: 0,
        sequence,
        first_key: Some(Key(vec![KeyValue::Text("a".to_owned())])),
        last_key: None,
        counts,
        digest,
        seconds: 0.5,
        retry: false,
    };
    (checkpoint, entry)
}

fn read(rows: u64) -> Counts {
    Counts {
        read: rows,
        inserted: rows,
        ..Counts::default()
    }
}

/// One batch of one write, committed.
pub(crate) async fn move_rows(
    session: &mut dyn Session,
    lease: &LeaseRequest,
    target: &StreamTarget,
    sequence: i64,
    batch: &RecordBatch,
) -> Written {
    session.begin(sequence - 1, false).await.expect("begun");
    let written = session.write(batch).await.expect("written");
    let (checkpoint, entry) = after(session, lease, &target.stream, sequence, read(batch.num_rows() as u64));
    session.commit(&checkpoint, &entry).await.expect("committed");
    written
}

#[track_caller]
fn refusal(outcome: dbferry::Result<Written>) -> Refusal {
    let error = outcome.expect_err("refused");
    error.refusal().unwrap_or_else(|| panic!("no refusal: {error:?}")).clone()
}

fn written(inserted: u64, updated: u64, skipped: u64) -> Written {
    Written {
        inserted,
        updated,
        skipped,
    }
}

const PAIRS: &str = "create table pairs (id int primary key, name text unique check (name <> 'bad'))";

/// A database with a table of pairs, a sink on it, and the stream that writes it.
async fn with_pairs(on_conflict: OnConflict) -> (Database, Box<dyn Sink>, StreamTarget) {
    let database = Database::create();
    database.query(PAIRS);
    let sink = open(&database).await;
    let target = StreamTarget {
        on_conflict,
        ..stream(sink.as_ref(), "pairs", &["id", "name"], &["id"]).await
    };
    (database, sink, target)
}

fn all(database: &Database) -> String {
    database.value("select string_agg(id || name, ' ' order by id) from pairs")
}

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
async fn a_row_that_exists_is_refused_skipped_or_updated_and_the_figures_say_so() {
    for (on_conflict, expected, there) in [
        (OnConflict::Skip, written(1, 0, 2), "1a 2b 3c"),
        (OnConflict::Update, written(1, 1, 1), "1a 2B 3c"),
    ] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query("insert into pairs values (1, 'a'), (2, 'b')");
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, false).await.expect("opened");
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
    session.begin(0, true).await.expect("begun");
    assert_eq!(
        session.write(&pairs(&target, &[(1, "a")])).await.expect("direct"),
        written(1, 0, 0)
    );
    database.query("insert into pairs values (3, 'there')");
    let batch = pairs(&target, &[(2, "b"), (3, "c")]);
    assert_eq!(session.write(&batch).await.expect("with care"), written(1, 1, 0));
    assert_eq!(session.write(&batch).await.expect("again"), written(0, 0, 2));
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(3));
    session.commit(&checkpoint, &entry).await.expect("committed");
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
        let mut session = sink.acquire(&lease("demo")).await.expect("free");
        session.open_stream(&target, 0, false).await.expect("opened");
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

#[tokio::test]
async fn what_the_target_refuses_is_told_by_column_and_constraint_without_the_value() {
    let database = Database::create();
    database.query(
        "create type colour as enum ('red');
         create domain short as varchar(3) not null;
         create table owners (id int primary key);
         create table things (id int primary key, a varchar(6) not null, b short default 'b', c colour, d numeric(5,2), e jsonb,
             f int references owners deferrable initially deferred, check (a <> 'canary'), g timestamp)",
    );
    let sink = open(&database).await;
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        for (column, value, reason, named) in [
            ("a", Some("canary1"), Reason::TooLong, Some("a")),
            ("a", Some("canary"), Reason::Constraint, Some("a")),
            ("a", None, Reason::NullValue, Some("a")),
            ("b", Some("canary"), Reason::TooLong, Some("b")),
            ("b", None, Reason::NullValue, Some("b")),
            ("c", Some("canary"), Reason::EnumLabel, Some("c")),
            ("a", Some("can\0ary"), Reason::NulByte, Some("a")),
            ("e", Some("{canary"), Reason::Json, Some("e")),
            ("e", Some("\"canary\\u0000\""), Reason::Json, Some("e")),
        ] {
            let mut names = vec!["id", column];
            names.extend((column != "a").then_some("a"));
            let target = StreamTarget {
                on_conflict,
                ..stream(sink.as_ref(), "things", &names, &["id"]).await
            };
            let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1])), Arc::new(StringArray::from(vec![value]))];
            columns.extend((column != "a").then(|| Arc::new(StringArray::from(vec!["x"])) as ArrayRef));
            session.open_stream(&target, 0, false).await.expect("opened");
            session.begin(0, false).await.expect("begun");
            let error = session.write(&rows(&target, columns)).await.expect_err("refused");
            assert!(!format!("{error:?} {}", error.advice()).contains("canary"), "{error:?}");
            let found = error.refusal().unwrap_or_else(|| panic!("no refusal: {error:?}"));
            assert_eq!(
                (found.reason, found.column.as_deref()),
                (reason, named),
                "{column} {value:?}: {}",
                found.detail
            );
            session.rollback().await.expect("given up");
        }
        session.finish("done").await.expect("recorded");
    }
}

#[tokio::test]
async fn a_deferred_foreign_key_speaks_up_for_the_rows_it_means() {
    let database = Database::create();
    database.query(
        "create table nodes (id int primary key, parent int references nodes deferrable initially deferred, name text,
             unique (name) deferrable initially deferred)",
    );
    let sink = open(&database).await;
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let target = StreamTarget {
            on_conflict,
            ..stream(sink.as_ref(), "nodes", &["id", "parent"], &["id"]).await
        };
        let node = |id: i32, parent: i32| -> Vec<ArrayRef> {
            vec![Arc::new(Int32Array::from(vec![id])), Arc::new(Int32Array::from(vec![parent]))]
        };
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, true).await.expect("opened");
        session.begin(0, false).await.expect("begun");
        assert_eq!(
            refusal(session.write(&rows(&target, node(1, 2))).await).reason,
            Reason::ForeignKey
        );
        let both: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(Int32Array::from(vec![2, 1]))];
        assert_eq!(session.write(&rows(&target, both)).await.expect("a circle"), written(2, 0, 0));
        session.write(&rows(&target, node(3, 1))).await.expect("parent is there");
        assert_eq!(
            refusal(session.write(&rows(&target, node(4, 9))).await).reason,
            Reason::ForeignKey
        );
        let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(3));
        session.commit(&checkpoint, &entry).await.expect("committed");
        session.finish("done").await.expect("recorded");
        assert_eq!(database.value("select count(*) from nodes"), "3");
        database.query("truncate nodes");
    }
}

const TRIGGERS: &str = "
create table log (what text);
create function stamp() returns trigger language plpgsql as $$ begin new.name = new.name || '!'; return new; end $$;
create function note() returns trigger language plpgsql as $$ begin insert into log values (tg_name); return null; end $$;
create function drop_row() returns trigger language plpgsql as $$ begin if new.name = 'drop' then return null; end if;
    if new.name = 'raise' then raise exception 'canary %', new.name; end if; return new; end $$;
create trigger b_stamp before insert or update on pairs for each row execute function stamp();
create trigger \"C Note\" after insert on pairs for each statement execute function note();
alter table pairs enable always trigger \"C Note\";
create trigger d_off before insert on pairs for each row execute function stamp();
alter table pairs disable trigger d_off;
";

const STATES: &str =
    "select string_agg(tgname || ' ' || tgenabled::text, ' ' order by tgname) from pg_trigger where not tgisinternal";

#[tokio::test]
async fn triggers_are_off_for_the_batch_and_on_for_everybody_else() {
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query(TRIGGERS);
        let before = database.value(STATES);
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, false).await.expect("opened");
        move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a")])).await;
        assert_eq!(all(&database), "1a");
        assert_eq!(database.value(STATES), before);
        session.begin(1, false).await.expect("begun");
        session.write(&pairs(&target, &[(2, "b")])).await.expect("written");
        drop(session);
        assert_eq!(database.value("select count(*) from log"), "0");
        database.query("insert into pairs values (3, 'c')");
        assert_eq!(all(&database), "1a 3c!", "a batch that was cut off leaves them on");
        assert_eq!(database.value(STATES), before);
    }
}

#[tokio::test]
async fn triggers_that_are_wanted_fire_and_a_dropped_row_is_a_refusal() {
    for on_conflict in [OnConflict::Error, OnConflict::Skip, OnConflict::Update] {
        let (database, sink, target) = with_pairs(on_conflict).await;
        database.query(TRIGGERS);
        database.query("create trigger a_drop before insert or update on pairs for each row execute function drop_row()");
        let target = StreamTarget {
            triggers: Triggers::On,
            ..target
        };
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, false).await.expect("opened");
        session.begin(0, false).await.expect("begun");
        for (name, word) in [("drop", "dropped"), ("raise", "P0001")] {
            let refused = refusal(session.write(&pairs(&target, &[(1, "a"), (2, name)])).await);
            assert_eq!(refused.reason, Reason::Trigger, "{on_conflict:?}");
            assert!(
                refused.detail.contains(word) && !refused.detail.contains("canary"),
                "{}",
                refused.detail
            );
        }
        assert_eq!(
            session.write(&pairs(&target, &[(1, "a")])).await.expect("fired"),
            written(1, 0, 0)
        );
        let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(1));
        session.commit(&checkpoint, &entry).await.expect("committed");
        assert_eq!(all(&database), "1a!");
        assert_ne!(database.value("select count(*) from log"), "0");
    }
}

#[tokio::test]
async fn sequences_end_past_what_was_moved_and_never_go_back() {
    let database = Database::create();
    database.query(
        "create table numbered (id int generated always as identity primary key, old serial, down int generated by default as identity
             (increment -1 minvalue -100 maxvalue -1), name text)",
    );
    let sink = open(&database).await;
    let target = StreamTarget {
        on_conflict: OnConflict::Update,
        ..stream(sink.as_ref(), "numbered", &["id", "old", "down", "name"], &["id"]).await
    };
    let ints = |values: Vec<i32>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
    let name: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let batch = rows(&target, vec![ints(vec![7, 41]), ints(vec![5, 3]), ints(vec![-9, -2]), name]);
    let mut dry = lease("demo");
    dry.dry_run = true;
    for (lease, next) in [(dry, "1 1 -1"), (lease("demo"), "42 6 -10")] {
        let mut session = sink.acquire(&lease).await.expect("free");
        session.open_stream(&target, 0, false).await.expect("opened");
        assert_eq!(
            move_rows(session.as_mut(), &lease, &target, 1, &batch).await,
            written(2, 0, 0)
        );
        session.finish_stream().await.expect("set");
        session.finish_stream().await.expect("set again");
        session.finish("done").await.expect("recorded");
        let row = database.query(
            "select nextval('numbered_id_seq')::text, nextval('numbered_old_seq')::text, nextval('numbered_down_seq')::text",
        );
        assert_eq!(row[0].iter().flatten().cloned().collect::<Vec<_>>().join(" "), next);
    }
    assert_eq!(
        database.value("select string_agg(id || name, ' ' order by id) from numbered"),
        "7a 41b"
    );
    // The application has gone on meanwhile.
    database.query("select setval('numbered_id_seq', 1000)");
    let mut session = sink.acquire(&lease("demo")).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
    session.finish_stream().await.expect("set");
    assert_eq!(database.value("select nextval('numbered_id_seq')"), "1001");
}

#[tokio::test]
async fn a_complete_stream_s_sequences_are_set_before_it_counts_as_complete() {
    let database = Database::create();
    database.query("create table numbered (id serial primary key, name text)");
    let sink = open(&database).await;
    let target = stream(sink.as_ref(), "numbered", &["id", "name"], &["id"]).await;
    let lease = lease("demo");
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
    session.begin(0, true).await.expect("begun");
    session.write(&pairs(&target, &[(5, "a")])).await.expect("written");
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(1));
    let complete = Checkpoint {
        complete: true,
        ..checkpoint
    };
    session.commit(&complete, &entry).await.expect("committed");
    drop(session);
    assert_eq!(database.value("select nextval('numbered_id_seq')"), "6");
}

#[tokio::test]
async fn a_rehearsal_sees_its_own_rows_and_leaves_nothing() {
    let (database, sink, target) = with_pairs(OnConflict::Update).await;
    let mut lease = lease("demo");
    lease.dry_run = true;
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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

fn lease_of_another() -> LeaseRequest {
    LeaseRequest {
        holder: "process 1 on elsewhere".to_owned(),
        ..lease("demo")
    }
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(0));
    session.commit(&checkpoint, &entry).await.expect("committed");
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
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 2, read(0));
    session.commit(&checkpoint, &entry).await.expect("committed");
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
    let mut session = sink.acquire(&lease).await.expect("free");
    session.open_stream(&target, 0, false).await.expect("opened");
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
    let (checkpoint, entry) = after(session.as_ref(), &lease, &target.stream, 1, read(0));
    session.commit(&checkpoint, &entry).await.expect("committed");
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
