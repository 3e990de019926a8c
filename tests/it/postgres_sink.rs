//! The Postgres sink through its trait, against a real server: what is written, what is counted,
//! what is refused, and what is left when something breaks.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use dbferry::config::connection::{Connection, ConnectionKind, NewDatabase};
use dbferry::data::counts::{Counts, Written};
use dbferry::data::digest::Digest;
use dbferry::data::position::{Key, KeyValue, Position};
use dbferry::data::stream::{OnConflict, RowOptions, StreamTarget, Triggers};
use dbferry::data::table::{Column, TableName};
use dbferry::error::Refusal;
use dbferry::ledger::{BatchEntry, Checkpoint};
use dbferry::sink::{self, LeaseRequest, Session, Sink};
use uuid::Uuid;

use crate::checkpoint::{checkpoint, entry};
use crate::harness::Database;

mod conflicts;
mod leases;
mod ledger;
mod looks;
mod refusals;
mod sequences;
mod triggers;

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
        keyed: None,
        options: RowOptions::default(),
        undo: false,
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
        position: Some(Position::Key(Key(vec![KeyValue::Int(sequence)]))),
        counts,
        digest,
        ..checkpoint(lease, session, stream, sequence)
    };
    let entry = BatchEntry {
        first_key: Some(Key(vec![KeyValue::Text("a".to_owned())])),
        ..entry(&checkpoint)
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

/// Takes the lease and opens the stream.
async fn opened(sink: &dyn Sink, lease: &LeaseRequest, target: &StreamTarget) -> Box<dyn Session> {
    let mut session = sink.acquire(lease).await.expect("free");
    session.open_stream(target, 0, false).await.expect("opened");
    session
}

/// Commits the open batch, which has read and inserted this many rows.
async fn commit(session: &mut dyn Session, lease: &LeaseRequest, target: &StreamTarget, sequence: i64, rows: u64) {
    let (checkpoint, entry) = after(session, lease, &target.stream, sequence, read(rows));
    session.commit(&checkpoint, &entry).await.expect("committed");
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
    commit(session, lease, target, sequence, batch.num_rows() as u64).await;
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
        expired: 0,
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
