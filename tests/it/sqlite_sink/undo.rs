//! The undo log: what a run wrote is taken back to the byte, and what somebody else wrote since is
//! told.

use arrow::array::RecordBatch;
use dbferry::data::position::{Key, KeyValue};
use dbferry::data::stream::{OnConflict, StreamTarget, Triggers};
use dbferry::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undoable, Undone, Winner};
use dbferry::ledger::{Checkpoint, Claim};
use dbferry::sink::{LeaseRequest, Session};
use dbferry::{Error, ErrorKind};
use uuid::Uuid;

use super::{Target, int, lease, rows, text};
use crate::checkpoint::{checkpoint, entry};

/// A stream that keeps an undo log.
async fn logged(target: &Target, table: &str, key: &[&str], policy: OnConflict) -> StreamTarget {
    StreamTarget {
        undo: true,
        ..target.stream(table, key, policy).await
    }
}

/// Writes batches of a stream in one run, each with its checkpoint.
async fn moved(target: &Target, stream: &StreamTarget, batches: &[RecordBatch]) -> Uuid {
    let lease = lease();
    let mut session = target.session(&lease).await;
    let found = session.open_stream(stream, 0, false).await.expect("a stream");
    let mut sequence = found.map_or(0, |found| found.sequence);
    for batch in batches {
        session.begin(sequence, false).await.expect("a batch");
        let written = session.write(batch).await.expect("rows");
        sequence += 1;
        let mut after = checkpoint(&lease, session.as_ref(), &stream.stream, sequence);
        after.counts.inserted = written.inserted;
        after.counts.updated = written.updated;
        let entry = entry(&after);
        session.commit(&after, &entry).await.expect("a commit");
    }
    session.finish("done").await.expect("an end");
    lease.run
}

/// The checkpoint of a step of the way back.
fn step_done(lease: &LeaseRequest, session: &dyn Session, stream: &str, sequence: i64) -> Checkpoint {
    Checkpoint {
        split: UNDO_SPLIT,
        ..checkpoint(lease, session, stream, sequence)
    }
}

struct WayBack {
    lease: LeaseRequest,
    session: Box<dyn Session>,
    sequence: i64,
    stream: StreamTarget,
    run: Uuid,
}

impl WayBack {
    async fn begin(target: &Target, stream: &StreamTarget, run: Uuid) -> Self {
        let lease = lease();
        let mut session = target.session(&lease).await;
        let found = session.open_stream(stream, UNDO_SPLIT, false).await.expect("a stream");
        Self {
            lease,
            session,
            sequence: found.map_or(0, |found| found.sequence),
            stream: stream.clone(),
            run,
        }
    }

    async fn since(&mut self) -> ChangedSince {
        self.session.changed_since(self.run, None, 10).await.expect("a look")
    }

    async fn step(&mut self, rows_max: u64, winner: Option<Winner>, only: Option<&RecordBatch>) -> Result<Undone, Error> {
        let run = self.run;
        self.session.begin(self.sequence, false).await.expect("a batch");
        let step = UndoStep { run, rows_max, winner };
        match self.session.undo(step, only).await {
            Ok(undone) => self.commit().await.map(|()| undone),
            Err(error) => {
                self.session.rollback().await.expect("a rollback");
                Err(error)
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Error> {
        self.sequence += 1;
        let after = step_done(&self.lease, self.session.as_ref(), &self.stream.stream, self.sequence);
        let entry = dbferry::ledger::BatchEntry {
            split: UNDO_SPLIT,
            ..entry(&after)
        };
        self.session.commit(&after, &entry).await
    }

    /// All the way.
    async fn whole(mut self, winner: Option<Winner>) -> Undone {
        let mut done = Undone::default();
        loop {
            let step = self.step(2, winner, None).await.expect("a step");
            done += step;
            if step.rows() == 0 {
                break;
            }
        }
        self.session.begin(self.sequence, false).await.expect("a batch");
        self.session.undo_finished(self.run).await.expect("finished");
        self.commit().await.expect("a commit");
        self.session.rolled_back(self.run).await.expect("recorded");
        self.session.finish("done").await.expect("an end");
        done
    }
}

/// Every row with the storage class of every value.
fn dump(target: &Target, table: &str, columns: &[&str], order: &str) -> Vec<String> {
    let parts: Vec<_> = columns
        .iter()
        .map(|column| format!("typeof(\"{column}\") || ':' || quote(\"{column}\")"))
        .collect();
    target.texts(&format!("select {} from {table} order by {order}", parts.join(" || ' ' || ")))
}

fn checkpoints(target: &Target) -> Vec<String> {
    target.texts(&format!(
        "select stream || ' ' || split || ' ' || sequence || ' ' || run from dbferry_checkpoint where split <> {UNDO_SPLIT} order by 1"
    ))
}

async fn undoable(target: &Target, run: Uuid) -> Vec<Undoable> {
    let sink = target.open(false).await.expect("the file opens");
    sink.undoable("demo", run).await.expect("what can be taken back")
}

fn undone(removed: u64, restored: u64, gone: u64, kept: u64) -> Undone {
    Undone {
        removed,
        restored,
        gone,
        kept,
        more: false,
    }
}

const DDL: &str = "create table t (a text not null, b integer not null, v, g text as (a || b) stored, w text default 'd', primary key (a, b)) without rowid;
    insert into t (a, b, v, w) values ('x', 1, 1.5, null), ('x', 2, x'00ff', 'old'), ('y', 1, 'text', 'same'), ('z', 9, null, 'other')";
const COLUMNS: [&str; 5] = ["a", "b", "v", "g", "w"];

fn batch(stream: &StreamTarget, of: &[(&str, i64, &str)]) -> RecordBatch {
    let column = |of: Vec<Option<&str>>| text(&of);
    rows(
        &stream.columns,
        vec![
            column(of.iter().map(|row| Some(row.0)).collect()),
            int(&of.iter().map(|row| Some(row.1)).collect::<Vec<_>>()),
            column(of.iter().map(|row| Some(row.2)).collect()),
        ],
    )
}

/// A stream that writes `a`, `b` and `w`; `v` keeps whatever it holds.
async fn of_t(target: &Target, policy: OnConflict) -> StreamTarget {
    let mut stream = logged(target, "t", &["a", "b"], policy).await;
    stream.columns.retain(|column| column.name != "v");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_comes_back_as_it_was_and_counts_add_up() {
    for policy in [OnConflict::Update, OnConflict::Skip, OnConflict::Error] {
        let target = Target::new(DDL);
        let stream = of_t(&target, policy).await;
        let before = dump(&target, "t", &COLUMNS, "a, b");
        let mut batches = vec![batch(&stream, &[("n", 1, "new"), ("n", 2, "new")])];
        if policy != OnConflict::Error {
            batches.push(batch(
                &stream,
                &[("x", 1, "changed"), ("x", 2, "changed"), ("y", 1, "same"), ("n", 3, "new")],
            ));
            batches.push(batch(&stream, &[("x", 1, "again"), ("n", 1, "again")]));
        }
        let run = moved(&target, &stream, &batches).await;
        assert_ne!(dump(&target, "t", &COLUMNS, "a, b"), before);
        let [told] = undoable(&target, run).await.try_into().expect("one stream");
        let (inserted, updated) = match policy {
            OnConflict::Update => (3, 4),
            OnConflict::Skip => (3, 0),
            _ => (2, 0),
        };
        assert_eq!(
            (told.inserted, told.updated, told.logged, told.complete),
            (inserted, updated, true, false)
        );
        assert_eq!(told.key, ["a", "b"]);

        let mut back = WayBack::begin(&target, &stream, run).await;
        let since = back.since().await;
        assert_eq!(since.rows, 0, "{since:?}");
        assert_eq!(since.unchanged.rows(), inserted + updated);
        let done = back.whole(None).await;
        assert_eq!(done, since.unchanged);
        assert_eq!(dump(&target, "t", &COLUMNS, "a, b"), before, "{policy:?}");
        assert_eq!(checkpoints(&target), Vec::<String>::new());
        let [told] = undoable(&target, run).await.try_into().expect("one stream");
        assert!(told.complete && told.logged, "{told:?}");
        assert_eq!(told.done, done);
        assert_eq!(
            target.texts("select name from sqlite_schema where name like 'dbferry_undo_%'"),
            Vec::<String>::new()
        );
        assert_eq!(
            target.texts("select status from dbferry_run order by started_at, rowid limit 1"),
            ["rolled_back"]
        );

        // The same run again gives the same rows.
        let after = moved(&target, &stream, &batches).await;
        assert_eq!(undoable(&target, after).await[0].inserted, inserted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_changed_since_are_told_and_whoever_is_to_win_does() {
    for winner in [Winner::Target, Winner::Undo] {
        let target = Target::new(DDL);
        let stream = of_t(&target, OnConflict::Update).await;
        let before = dump(&target, "t", &COLUMNS, "a, b");
        let rows = [
            ("n", 1, "new"),
            ("n", 2, "new"),
            ("n", 3, "new"),
            ("x", 1, "run"),
            ("x", 2, "run"),
            ("y", 1, "run"),
        ];
        let run = moved(&target, &stream, &[batch(&stream, &rows)]).await;
        target.sql(
            "update t set v = 7 where a = 'n' and b = 1; delete from t where a = 'n' and b = 2;
             update t set w = 'user' where a = 'x' and b = 1; delete from t where a = 'x' and b = 2;",
        );
        let mut back = WayBack::begin(&target, &stream, run).await;
        let since = back.since().await;
        assert_eq!(since.rows, 3);
        let mut keys = since.keys.clone();
        keys.sort();
        assert_eq!(keys, ["n, 1", "x, 1", "x, 2"]);
        assert_eq!(since.unchanged, undone(1, 1, 1, 0));
        let refused = back.step(100, None, None).await.expect_err("nobody wins");
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
        let done = back.whole(Some(winner)).await;
        let now = dump(&target, "t", &COLUMNS, "a, b");
        if winner == Winner::Undo {
            assert_eq!(done, undone(2, 3, 1, 0));
            assert_eq!(now, before);
        } else {
            assert_eq!(done, undone(1, 1, 1, 3));
            let kept = now.iter().filter(|row| !before.contains(row)).count();
            assert_eq!((kept, now.len()), (2, 4), "{now:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_inserted_rows_is_told_and_nothing_cascades() {
    let target = Target::new(
        "create table p (id integer primary key, up integer references p on delete cascade, name text unique);
         create table c (id integer primary key, p integer references p on delete cascade);
         insert into p values (1, null, 'one'), (2, null, 'two')",
    );
    let stream = logged(&target, "p", &["id"], OnConflict::Update).await;
    let before = dump(&target, "p", &["id", "up", "name"], "id");
    let of = |rows_of: &[(i64, Option<i64>, &str)]| {
        rows(
            &stream.columns,
            vec![
                int(&rows_of.iter().map(|row| Some(row.0)).collect::<Vec<_>>()),
                int(&rows_of.iter().map(|row| row.1).collect::<Vec<_>>()),
                text(&rows_of.iter().map(|row| Some(row.2)).collect::<Vec<_>>()),
            ],
        )
    };
    // Two rows exchange their unique names over a third one, and new rows refer to each other.
    let batches = [
        of(&[(10, None, "ten"), (11, Some(10), "eleven"), (1, Some(11), "free")]),
        of(&[(2, None, "one"), (1, Some(11), "two")]),
    ];
    let run = moved(&target, &stream, &batches).await;
    target.sql("pragma foreign_keys = on; insert into c values (5, 10), (6, 1)");
    let mut back = WayBack::begin(&target, &stream, run).await;
    let since = back.since().await;
    assert_eq!(since.rows, 0);
    let referred: Vec<_> = since
        .referred
        .iter()
        .map(|(key, rows)| (key.table.name.as_str(), *rows))
        .collect();
    assert_eq!(referred, [("c", 1)]);
    for winner in [None, Some(Winner::Undo)] {
        let error = loop {
            match back.step(100, winner, None).await {
                Ok(step) => assert!(step.rows() > 0, "it must not end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    }
    assert_eq!(target.number("select count(*) from c"), 2);
    target.sql("delete from c where id = 5");
    let done = back.whole(None).await;
    assert_eq!(done, undone(2, 3, 0, 0));
    assert_eq!(dump(&target, "p", &["id", "up", "name"], "id"), before);
    assert_eq!(target.texts("select cast(p as text) from c"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_triggers_made_of_a_row_is_what_the_run_left() {
    let target = Target::new(
        "create table t (id integer primary key, n integer, stamp text default 'never');
         create trigger t_in after insert on t begin update t set stamp = 'in' || new.id where id = new.id; end;
         create trigger t_up after update of n on t begin update t set stamp = 'up' where id = new.id; end;
         create trigger t_gone after delete on t begin select raise(abort, 'not in the way back'); end;
         insert into t values (1, 1, 'mine')",
    );
    let mut stream = logged(&target, "t", &["id"], OnConflict::Update).await;
    stream.columns.retain(|column| column.name != "stamp");
    stream.triggers = Triggers::On;
    target.sql("update t set stamp = 'mine'");
    let before = dump(&target, "t", &["id", "n", "stamp"], "id");
    let some = rows(&stream.columns, vec![int(&[Some(1), Some(2)]), int(&[Some(5), Some(6)])]);
    let run = moved(&target, &stream, &[some]).await;
    assert_eq!(target.texts("select stamp from t order by id"), ["up", "in2"]);
    let mut back = WayBack::begin(&target, &stream, run).await;
    assert_eq!(back.since().await.unchanged, undone(1, 1, 0, 0));
    back.whole(None).await;
    assert_eq!(dump(&target, "t", &["id", "n", "stamp"], "id"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_was_cut_short_goes_on_and_nothing_is_written_in_between() {
    let target = Target::new(DDL);
    let stream = of_t(&target, OnConflict::Update).await;
    let first = moved(&target, &stream, &[batch(&stream, &[("m", 1, "first")])]).await;
    let before = dump(&target, "t", &COLUMNS, "a, b");
    let (points, claims) = (checkpoints(&target), "select count(*) from dbferry_key_claim");
    let many: Vec<_> = (0..9).map(|n| ("n", n, "new")).collect();
    let run = moved(&target, &stream, &[batch(&stream, &many), batch(&stream, &[("x", 1, "new")])]).await;
    {
        let mut back = WayBack::begin(&target, &stream, run).await;
        assert_eq!(back.step(4, None, None).await.expect("a step"), undone(3, 1, 0, 0));
        // Given up half-way: nothing of it is kept.
        back.session.begin(back.sequence, false).await.expect("a batch");
        let step = UndoStep {
            run,
            rows_max: 3,
            winner: None,
        };
        assert_eq!(back.session.undo(step, None).await.expect("a step").rows(), 3);
    }
    assert_eq!(undoable(&target, run).await[0].done, undone(3, 1, 0, 0));
    let lease = lease();
    let mut session = target.session(&lease).await;
    let error = session.open_stream(&stream, 0, false).await.expect_err("half a run");
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error:?}");
    assert!(error.message().contains(&run.to_string()), "{error:?}");
    drop(session);
    let done = WayBack::begin(&target, &stream, run).await.whole(None).await;
    assert_eq!(done, undone(6, 0, 0, 0));
    assert_eq!(dump(&target, "t", &COLUMNS, "a, b"), before);
    assert_eq!(checkpoints(&target), points);
    assert_eq!(target.number(claims), 0);
    assert_eq!(undoable(&target, run).await[0].done, undone(9, 1, 0, 0));
    assert!(undoable(&target, first).await[0].logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_rejects_are_those_before_the_run_and_a_log_can_be_forgotten() {
    let target = Target::new(DDL);
    let stream = of_t(&target, OnConflict::Update).await;
    let claim = |digest: u128, id: i64| Claim {
        digest,
        key: Key(vec![KeyValue::Int(id)]),
    };
    let mut runs = Vec::new();
    for (run, restart) in [(0, false), (1, false), (2, true)] {
        let lease = lease();
        let mut session = target.session(&lease).await;
        let found = session.open_stream(&stream, 0, restart).await.expect("a stream");
        let sequence = found.map_or(0, |found| found.sequence);
        session.begin(sequence, false).await.expect("a batch");
        session.claim(&[claim(7, 7), claim(100 + run, 100)]).await.expect("claims");
        session
            .write(&batch(&stream, &[("n", 1, &run.to_string())]))
            .await
            .expect("a row");
        let after = checkpoint(&lease, session.as_ref(), "t", sequence + 1);
        session.commit(&after, &entry(&after)).await.expect("a commit");
        runs.push((
            lease.run,
            target.texts("select hex(digest) || source_key from dbferry_key_claim order by 1"),
            checkpoints(&target),
        ));
    }
    let [(first, ..), (second, claims, points), (third, ..)] = runs.try_into().expect("three runs");
    WayBack::begin(&target, &stream, third).await.whole(None).await;
    assert_eq!(
        target.texts("select hex(digest) || source_key from dbferry_key_claim order by 1"),
        claims
    );
    assert_eq!(checkpoints(&target), points);
    assert_eq!(target.texts("select w from t where a = 'n'"), ["1"]);
    WayBack::begin(&target, &stream, second).await.whole(None).await;
    assert_eq!(target.number("select count(*) from dbferry_key_claim"), 2);
    let mut session = target.session(&lease()).await;
    assert_eq!(session.forget_undo(first).await.expect("forgotten"), 1);
    assert_eq!(session.forget_undo(second).await.expect("nothing is left"), 0);
    assert!(!undoable(&target, first).await[0].logged);
    assert!(undoable(&target, second).await[0].complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_rows_alone_are_taken_back() {
    let target = Target::new(DDL);
    let stream = of_t(&target, OnConflict::Update).await;
    let run = moved(
        &target,
        &stream,
        &[batch(&stream, &[("n", 1, "a"), ("n", 2, "b"), ("x", 1, "c"), ("x", 2, "d")])],
    )
    .await;
    let keys: Vec<_> = stream
        .columns
        .iter()
        .filter(|column| stream.key.contains(&column.name))
        .cloned()
        .collect();
    let only = rows(
        &keys,
        vec![text(&[Some("n"), Some("x"), Some("no")]), int(&[Some(2), Some(1), Some(1)])],
    );
    let mut back = WayBack::begin(&target, &stream, run).await;
    let since = back.session.changed_since(run, Some(&only), 10).await.expect("a look");
    assert_eq!(since.unchanged, undone(1, 1, 0, 0));
    assert_eq!(back.step(1, None, Some(&only)).await.expect("a step"), undone(1, 1, 0, 0));
    assert_eq!(back.step(1, None, Some(&only)).await.expect("a step"), undone(0, 0, 0, 0));
    assert_eq!(
        target.texts("select a || b from t where w in ('a', 'b', 'c', 'd') order by 1"),
        ["n1", "x2"]
    );
    drop(back);
    // The stream can still be moved.
    let later = moved(&target, &stream, &[]).await;
    assert_eq!(undoable(&target, later).await.len(), 1);
    assert_eq!(undoable(&target, run).await[0].done, undone(1, 1, 0, 0));
    let done = WayBack::begin(&target, &stream, run).await.whole(None).await;
    assert_eq!(done, undone(1, 1, 0, 0));
}
