//! The SQLite sink through its public interface: what arrives in the file, and what is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use dbferry::Error;
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::stream::{OnConflict, RowOptions, StreamTarget, Triggers};
use dbferry::data::table::{Column, Fill, TableName};
use dbferry::sink::{self, LeaseRequest, Session, Sink};
use rusqlite::types::Value;
use uuid::Uuid;

use crate::checkpoint::{checkpoint, entry};

mod conflicts;
mod declared;
mod refusals;
mod triggers;
mod undo;

/// A target file in a folder of its own.
pub(crate) struct Target {
    folder: Arc<tempfile::TempDir>,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Target {
    /// Makes one with tables.
    pub(crate) fn new(ddl: &str) -> Self {
        let target = Self::absent();
        target.sql(ddl);
        target
    }

    /// A path where no file is yet.
    pub(crate) fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("out.db");
        Self {
            folder: Arc::new(folder),
            path,
        }
    }

    /// Another file in the same folder.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            path: self.folder.path().join(name),
        }
    }

    /// Runs SQL as somebody else.
    pub(crate) fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).expect("the file");
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The values of the first row.
    pub(crate) fn row(&self, sql: &str) -> Vec<Value> {
        let connection = rusqlite::Connection::open(&self.path).expect("the file");
        let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns = statement.column_count();
        statement
            .query_row([], |row| (0..columns).map(|column| row.get(column)).collect())
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A number.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match self.row(sql).as_slice() {
            [Value::Integer(number)] => *number,
            other => panic!("{sql} gives {other:?}"),
        }
    }

    /// All rows of a query with one text column.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        let connection = rusqlite::Connection::open(&self.path).expect("the file");
        let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows = statement.query_map([], |row| row.get(0)).expect("a query");
        rows.map(|row| row.expect("text")).collect()
    }

    /// Names of the files beside the database.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    /// Opens the sink.
    pub(crate) async fn open(&self, create_database: bool) -> Result<Box<dyn Sink>, Error> {
        sink::open(&Connection {
            name: "out".to_owned(),
            kind: ConnectionKind::Sqlite {
                path: self.path.clone(),
                create_database,
            },
        })
        .await
    }

    /// Opens the sink and takes the lease.
    pub(crate) async fn session(&self, lease: &LeaseRequest) -> Box<dyn Session> {
        let sink = self.open(false).await.expect("the file opens");
        sink.acquire(lease).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// A stream that writes all columns of a table.
    pub(crate) async fn stream(&self, table: &str, key: &[&str], on_conflict: OnConflict) -> StreamTarget {
        let sink = self.open(false).await.expect("the file opens");
        let shape = sink.table(&TableName::new(table)).await.expect("a shape").expect("the table");
        StreamTarget {
            stream: table.to_owned(),
            table: shape.name.clone(),
            columns: shape
                .columns
                .into_iter()
                .filter(|column| column.fill != Fill::Generated)
                .collect(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            on_conflict,
            triggers: Triggers::Off,
            keys_distinct: true,
            keyed: None,
            options: RowOptions::default(),
            undo: false,
        }
    }
}

/// A lease of a new run.
pub(crate) fn lease() -> LeaseRequest {
    LeaseRequest {
        project: "demo".to_owned(),
        environment: "test".to_owned(),
        run: Uuid::new_v4(),
        holder: "process 4711 on host".to_owned(),
        dry_run: false,
        wait: Duration::ZERO,
    }
}

/// Opens the stream and begins its batch after `sequence`.
pub(crate) async fn begin(session: &mut dyn Session, stream: &StreamTarget, sequence: i64) {
    session.open_stream(stream, 0, false).await.expect("a stream");
    session.begin(sequence, false).await.expect("a batch");
}

/// Commits the open batch as number `sequence`.
pub(crate) async fn commit(lease: &LeaseRequest, session: &mut dyn Session, stream: &str, sequence: i64) -> Result<(), Error> {
    let after = checkpoint(lease, session, stream, sequence);
    session.commit(&after, &entry(&after)).await
}

/// Rows of a stream.
pub(crate) fn rows(columns: &[Column], arrays: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|column| column.ty.field(&column.name, true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("arrays of the columns' types")
}

/// Text values.
pub(crate) fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Integers.
pub(crate) fn int(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(vec![value]);
    Arc::new(array.with_precision_and_scale(precision, scale).expect("it fits"))
}
