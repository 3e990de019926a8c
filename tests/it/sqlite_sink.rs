//! The SQLite sink through its public interface: what arrives in the file, and what is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{IntervalMonthDayNano, Schema};
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::column::ColumnType;
use dbferry::data::counts::{Counts, Written};
use dbferry::data::digest::Digest;
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, StreamTarget, Triggers};
use dbferry::data::table::{Column, Fill, TableName};
use dbferry::ledger::{BatchEntry, Checkpoint};
use dbferry::sink::{self, LeaseRequest, Session, Sink};
use dbferry::{Error, ErrorKind};
use rusqlite::types::Value;
use uuid::Uuid;

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

/// A checkpoint after a number of batches.
pub(crate) fn checkpoint(lease: &LeaseRequest, session: &dyn Session, stream: &str, sequence: i64) -> Checkpoint {
    Checkpoint {
        project: lease.project.clone(),
        stream: stream.to_owned(),
        split: 0,
        sequence,
        run: lease.run,
        epoch: session.epoch(),
        fingerprint: "f00d".to_owned(),
        moment: "then".to_owned(),
        one_moment: true,
        position: None,
        counts: Counts::default(),
        digest: Digest::default(),
        target_was_empty: true,
        complete: false,
    }
}

/// The ledger entry beside it.
pub(crate) fn entry(checkpoint: &Checkpoint) -> BatchEntry {
    BatchEntry {
        run: checkpoint.run,
        stream: checkpoint.stream.clone(),
        split: 0,
        sequence: checkpoint.sequence,
        first_key: None,
        last_key: None,
        counts: checkpoint.counts,
        digest: checkpoint.digest,
        seconds: 0.5,
        retry: false,
    }
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

fn uuid(value: u128) -> ArrayRef {
    let bytes = [value.to_be_bytes()];
    Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter()).expect("16 bytes"))
}

fn list(declared: &str, items: ArrayRef) -> ArrayRef {
    let element = ColumnType::parse(declared).expect("a type").field("item", true);
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    Arc::new(ListArray::new(Arc::new(element), offsets, items, None))
}

fn at(microseconds: i64) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(vec![microseconds])
}

/// Declaration, value, and what the file holds for it.
type Stored = (&'static str, ArrayRef, Value);

fn is(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn numbers() -> Vec<Stored> {
    vec![
        ("boolean", array(BooleanArray::from(vec![true])), Value::Integer(1)),
        ("smallint", array(Int16Array::from(vec![i16::MIN])), Value::Integer(-32768)),
        ("int4", array(Int32Array::from(vec![i32::MAX])), Value::Integer(2_147_483_647)),
        ("integer", int(&[Some(i64::MIN)]), Value::Integer(i64::MIN)),
        ("bigint", int(&[Some(i64::MAX)]), Value::Integer(i64::MAX)),
        ("real", array(Float64Array::from(vec![0.1 + 0.2])), Value::Real(0.1 + 0.2)),
        ("double precision", array(Float64Array::from(vec![7.0])), Value::Real(7.0)),
        (
            "double",
            array(Float64Array::from(vec![f64::NEG_INFINITY])),
            Value::Real(f64::NEG_INFINITY),
        ),
        ("float4", array(Float32Array::from(vec![0.1])), Value::Real(f64::from(0.1f32))),
        ("double text", array(Float64Array::from(vec![f64::NAN])), is("NaN")),
        ("numeric(7,2)", decimal(1_234_560, 7, 2), Value::Real(12_345.6)),
        (
            "numeric(18,0)",
            decimal(123_456_789_012_345_678, 18, 0),
            Value::Integer(123_456_789_012_345_678),
        ),
        ("numeric text(38,10)", decimal(-1, 38, 10), is("-0.0000000001")),
        (
            "decimal text",
            text(&[Some("123456789012345678901234567890.10")]),
            is("123456789012345678901234567890.10"),
        ),
    ]
}

fn texts_and_times() -> Vec<Stored> {
    let leap = 1_709_208_000_123_000;
    vec![
        ("text", text(&[Some("a\0ü 007")]), is("a\0ü 007")),
        ("varchar(5)", text(&[Some("007")]), is("007")),
        ("char(3)", text(&[Some("1  ")]), is("1  ")),
        ("string text", text(&[Some("1e5")]), is("1e5")),
        (
            "blob",
            array(BinaryArray::from(vec![&b"\0\xff1"[..]])),
            Value::Blob(b"\0\xff1".to_vec()),
        ),
        ("json", text(&[Some("{\"b\":1.0, \"a\":[]}")]), is("{\"b\":1.0, \"a\":[]}")),
        (
            "json text",
            text(&[Some("12345678901234567890.0")]),
            is("12345678901234567890.0"),
        ),
        ("jsonb text", text(&[Some("1")]), is("1")),
        ("date", array(Date32Array::from(vec![19_782])), is("2024-02-29")),
        ("date text", array(Date32Array::from(vec![-719_528])), is("0000-01-01")),
        (
            "time",
            array(Time64MicrosecondArray::from(vec![86_399_999_999])),
            is("23:59:59.999999"),
        ),
        ("timestamp", array(at(leap)), is("2024-02-29 12:00:00.123")),
        ("timestamp text(0)", array(at(-1_000_000)), is("1969-12-31 23:59:59")),
        ("datetime", array(at(1)), is("1970-01-01 00:00:00.000001")),
        (
            "timestamptz text",
            array(at(leap).with_timezone("UTC")),
            is("2024-02-29 12:00:00.123Z"),
        ),
        ("uuid", uuid(0x12), is("00000000-0000-0000-0000-000000000012")),
        ("uuid text", uuid(u128::MAX), is("ffffffff-ffff-ffff-ffff-ffffffffffff")),
        (
            "interval text",
            array(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(
                13,
                -2,
                1_500_000_000,
            )])),
            is("P1Y1M-2DT1.5S"),
        ),
        (
            "\"text[]\"",
            list("text", text(&[Some("a\"\u{1}"), None, Some("")])),
            is(r#"["a\"\u0001",null,""]"#),
        ),
        (
            "\"bigint[]\"",
            list("bigint", int(&[Some(i64::MAX), None])),
            is("[9223372036854775807,null]"),
        ),
        (
            "\"numeric(5,2)[]\"",
            list("numeric(5,2)", decimal(150, 5, 2)),
            is(r#"["1.50"]"#),
        ),
        (
            "\"timestamptz[]\"",
            list("timestamptz", array(at(leap).with_timezone("UTC"))),
            is(r#"["2024-02-29 12:00:00.123Z"]"#),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_type_arrives_exactly() {
    let values = [numbers(), texts_and_times()].concat();
    let declared: Vec<String> = values.iter().enumerate().map(|(i, (ty, ..))| format!("c{i} {ty}")).collect();
    let target = Target::new(&format!("create table t (id integer primary key, {})", declared.join(", ")));
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let mut arrays = vec![int(&[Some(1), Some(2)])];
    for (_, value, _) in &values {
        let null = new_null_array(value.data_type(), 1);
        arrays.push(concat(&[value.as_ref(), null.as_ref()]).expect("one type"));
    }
    let batch = rows(&stream.columns, arrays);
    let lease = lease();
    let mut session = target.session(&lease).await;
    assert_eq!(session.open_stream(&stream, 0, false).await.expect("a stream"), None);
    session.begin(0, false).await.expect("a batch");
    let written = session.write(&batch).await.expect("rows");
    assert_eq!(
        written,
        Written {
            inserted: 2,
            ..Written::default()
        }
    );
    // Equal rows are known as equal, whatever the column did to their form.
    let again = session.write(&batch).await.expect("rows");
    assert_eq!(
        again,
        Written {
            skipped: 2,
            ..Written::default()
        }
    );
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    for (i, (declaration, _, expected)) in values.iter().enumerate() {
        let found = target.row(&format!("select c{i} from t where id = 1"));
        assert_eq!(found, std::slice::from_ref(expected), "{declaration}");
        let null = target.row(&format!("select c{i} from t where id = 2"));
        assert_eq!(null, [Value::Null], "{declaration}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_and_without_rowid_tables_are_written_and_views_are_not() {
    let target = Target::new(
        "create table t (a text, b any, n integer, x real, z blob, g integer as (n + 1) stored, primary key (b, a)) strict, without rowid;
         create view v as select 1 as one; create virtual table f using fts5(one);",
    );
    let sink = target.open(false).await.expect("the file opens");
    for name in ["v", "f"] {
        let error = sink.table(&TableName::new(name)).await.expect_err("no table");
        assert_eq!(error.kind(), ErrorKind::Mapping, "{error}");
    }
    assert_eq!(
        sink.table(&TableName::new("T")).await.expect("an answer"),
        None,
        "case is kept"
    );
    let shape = sink.table(&TableName::new("t")).await.expect("a shape").expect("a table");
    assert!(shape.text_holds_nul && shape.key == ["b", "a"]);
    let stream = target.stream("t", &["a", "b"], OnConflict::Update).await;
    assert_eq!(stream.columns.len(), 5, "generated columns are left out");
    let batch = |n: i64| {
        rows(
            &stream.columns,
            vec![
                text(&[Some("k")]),
                text(&[Some("007")]),
                int(&[Some(n)]),
                array(Float64Array::from(vec![1.0])),
                array(BinaryArray::from(vec![&b"z"[..]])),
            ],
        )
    };
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(0, true).await.expect("a batch");
    session.write(&batch(1)).await.expect("a row");
    assert_eq!(session.write(&batch(2)).await.expect("a row").updated, 1);
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(
        target.row("select a, b, n, x, z, g from t"),
        [
            Value::Text("k".to_owned()),
            Value::Text("007".to_owned()),
            Value::Integer(2),
            Value::Real(1.0),
            Value::Blob(b"z".to_vec()),
            Value::Integer(3)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_counted_and_only_rows_that_differ_are_changed() {
    let ddl = "create table t (id text primary key on conflict replace, n integer, note text collate nocase);
               create table log (id text);
               create trigger changed after update on t begin insert into log values (new.id); end;
               insert into t values ('a', 1, 'x'), ('b', 2, 'y'), ('c', null, null)";
    let arrays = || {
        vec![
            text(&[Some("a"), Some("b"), Some("c"), Some("d")]),
            int(&[Some(1), Some(3), Some(4), Some(5)]),
            text(&[Some("X"), Some("y"), None, None]),
        ]
    };
    let expected = [
        (OnConflict::Skip, (1, 0, 3), ["a:1:x", "b:2:y", "c:-:-", "d:5:-"]),
        (OnConflict::Update, (1, 3, 0), ["a:1:X", "b:3:y", "c:4:-", "d:5:-"]),
    ];
    for (policy, (inserted, updated, skipped), after) in expected {
        let target = Target::new(ddl);
        let mut stream = target.stream("t", &["id"], policy).await;
        stream.triggers = Triggers::On;
        let lease = lease();
        let mut session = target.session(&lease).await;
        session.open_stream(&stream, 0, false).await.expect("a stream");
        assert!(!session.is_empty().await.expect("an answer"));
        session.begin(0, true).await.expect("a batch");
        let written = session.write(&rows(&stream.columns, arrays())).await.expect("rows");
        assert_eq!(
            written,
            Written {
                inserted,
                updated,
                skipped
            },
            "{policy:?}"
        );
        let again = session.write(&rows(&stream.columns, arrays())).await.expect("rows");
        assert_eq!(
            again,
            Written {
                skipped: 4,
                ..Written::default()
            },
            "{policy:?}"
        );
        commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
        assert_eq!(session.count().await.expect("a count"), 4);
        let all = "select id || ':' || coalesce(n, '-') || ':' || coalesce(note, '-') from t order by id";
        assert_eq!(target.texts(all), after, "{policy:?}");
        assert_eq!(
            target.number("select count(*) from log"),
            i64::try_from(updated).expect("small")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_key_is_a_duplicate_and_replaces_nothing() {
    let target = Target::new(
        "create table t (id text primary key on conflict replace, n integer unique on conflict ignore);
         insert into t values ('a', 1)",
    );
    let stream = target.stream("t", &["id"], OnConflict::Error).await;
    let mut session = target.session(&lease()).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(0, false).await.expect("a batch");
    for (id, n, column) in [("a", 2, "id"), ("b", 1, "n")] {
        let error = session
            .write(&rows(&stream.columns, vec![text(&[Some(id)]), int(&[Some(n)])]))
            .await
            .expect_err("refused");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!((refusal.reason, refusal.column.as_deref()), (Reason::Duplicate, Some(column)));
    }
    assert_eq!(session.count().await.expect("a count"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_a_collation_takes_for_the_same_is_refused() {
    let target = Target::new("create table t (id text collate nocase primary key, n integer); insert into t values ('a', 1)");
    for policy in [OnConflict::Skip, OnConflict::Update] {
        let stream = target.stream("t", &["id"], policy).await;
        let mut session = target.session(&lease()).await;
        session.open_stream(&stream, 0, false).await.expect("a stream");
        session.begin(0, false).await.expect("a batch");
        let error = session
            .write(&rows(&stream.columns, vec![text(&[Some("A")]), int(&[Some(2)])]))
            .await
            .expect_err("refused");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::Duplicate);
    }
}

/// A row of the table below.
fn refusable(
    stream: &StreamTarget,
    id: Option<i64>,
    name: Option<&str>,
    size: i64,
    code: &str,
    [doc, label, mail]: [&str; 3],
    price: i128,
) -> RecordBatch {
    rows(
        &stream.columns,
        vec![
            int(&[id]),
            text(&[name]),
            int(&[Some(size)]),
            text(&[Some(code)]),
            text(&[Some(doc)]),
            text(&[Some(label)]),
            decimal(price, 20, 4),
            text(&[Some(mail)]),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_told_by_column_and_leaves_the_batch_usable() {
    let target = Target::new(
        "create table t (id integer primary key, name text not null, size integer constraint small check (size < 10), code text unique,
             doc json, label string, price numeric(20,4), mail text, up text as (json_extract(mail, '$.a')) stored);
         create unique index mails on t (lower(mail));",
    );
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let row = |id, name, size, code, rest, price| refusable(&stream, id, name, size, code, rest, price);
    let (name, fine) = (Some("canary"), ["{}", "canary", "{\"a\":\"canary\"}"]);
    let cases = [
        (row(None, name, 1, "c", fine, 0), Some("id"), Reason::NullValue),
        (row(Some(2), None, 1, "c", fine, 0), Some("name"), Reason::NullValue),
        (row(Some(2), name, 77, "c", fine, 0), None, Reason::Constraint),
        (
            row(Some(2), name, 1, "canary", ["{}", "x", "{}"], 0),
            Some("code"),
            Reason::Duplicate,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{\"A\":\"CANARY\"}"], 0),
            None,
            Reason::Duplicate,
        ),
        (
            row(Some(2), name, 1, "c", ["1.50", "x", "{}"], 0),
            Some("doc"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "42", "{}"], 0),
            Some("label"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{}"], 12_345_678_901_234_567),
            Some("price"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{canary"], 0),
            None,
            Reason::Constraint,
        ),
    ];
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(0, false).await.expect("a batch");
    session.write(&row(Some(1), name, 1, "canary", fine, 0)).await.expect("a row");
    let good = row(Some(3), name, 1, "d", ["[]", "y", "[1]"], 15_000);
    for (bad, column, reason) in cases {
        // The good row before the bad one goes with it.
        let both = arrow::compute::concat_batches(&bad.schema(), [&good, &bad]).expect("one schema");
        let error = session.write(&both).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        let refusal = error.refusal().expect("a refusal").clone();
        assert_eq!(
            (refusal.column.as_deref(), refusal.reason),
            (column, reason),
            "{}",
            refusal.detail
        );
        assert!(
            !format!("{error:?} {}", refusal.detail).to_lowercase().contains("canary"),
            "{error:?}"
        );
        assert_eq!(session.count().await.expect("a count"), 1, "{}", refusal.detail);
    }
    assert_eq!(session.write(&good).await.expect("a row").inserted, 1);
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select count(*) from t"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_hold_and_deferred_ones_are_looked_at_with_every_portion() {
    let target = Target::new(
        "create table p (id text primary key collate nocase); insert into p values ('A');
         create table now (id integer primary key, p text references p, other text default 'none' references p);
         create table later (id integer primary key, p text references p deferrable initially deferred,
             other text default 'A' references p deferrable initially deferred, up integer references later deferrable initially deferred);
         create table wrong (id integer primary key, p text, other text default 'nobody' references p deferrable initially deferred);",
    );
    let lease = lease();
    let mut session = target.session(&lease).await;
    for table in ["now", "later", "wrong"] {
        let mut stream = target.stream(table, &["id"], OnConflict::Update).await;
        stream.columns.retain(|column| column.name != "other");
        let self_reference = stream.columns.len() == 3;
        let batch = |id: &[i64], p: &[Option<&str>], up: &[Option<i64>]| {
            let ids: Vec<_> = id.iter().copied().map(Some).collect();
            let mut arrays = vec![int(&ids), text(p)];
            if self_reference {
                arrays.push(int(up));
            }
            rows(&stream.columns, arrays)
        };
        session.open_stream(&stream, 0, false).await.expect("a stream");
        session.begin(0, false).await.expect("a batch");
        let refused = async |session: &mut Box<dyn Session>, batch: RecordBatch| {
            let error = session.write(&batch).await.expect_err("refused");
            let refusal = error.refusal().unwrap_or_else(|| panic!("{error:?}")).clone();
            assert_eq!(refusal.reason, Reason::ForeignKey, "{table}: {}", refusal.detail);
            refusal.column
        };
        if table == "wrong" {
            let found = refused(&mut session, batch(&[1], &[Some("A")], &[])).await;
            assert_eq!(found.as_deref(), Some("other"), "also what a default gives");
            session.rollback().await.expect("a rollback");
            continue;
        }
        if table == "now" {
            // Its default refers to nothing, and its column is not written.
            assert_eq!(refused(&mut session, batch(&[1], &[Some("A")], &[])).await, None);
            session.rollback().await.expect("a rollback");
            target.sql("insert into p values ('none')");
            session.begin(0, false).await.expect("a batch");
        }
        let found = refused(&mut session, batch(&[1, 2], &[Some("a"), Some("z")], &[None, None])).await;
        assert_eq!(found.as_deref(), Some("p"), "{table}");
        session
            .write(&batch(&[1, 2], &[Some("a"), None], &[Some(2), Some(1)]))
            .await
            .unwrap_or_else(|error| panic!("{table}: {error:?}"));
        if self_reference {
            let found = refused(&mut session, batch(&[3], &[None], &[Some(9)])).await;
            assert_eq!(found.as_deref(), Some("up"));
        }
        commit(&lease, session.as_mut(), table, 1).await.expect("a commit");
        assert_eq!(target.number(&format!("select count(*) from {table}")), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_fire_only_where_the_stream_says_and_may_drop_nothing() {
    let target = Target::new(
        "create table t (id integer primary key, n integer); create table log (id integer);
         create trigger t_log after insert on t begin insert into log values (new.id); end;
         create trigger t_ignore before insert on t when new.n = 1 begin select raise(ignore); end;
         create trigger t_abort before insert on t when new.n = 2 begin select raise(abort, 'canary'); end;
         create trigger t_delete after insert on t when new.n = 3 begin delete from t where id = new.id; end;
         create trigger t_rollback before insert on t when new.n = 4 begin select raise(rollback, 'canary'); end;",
    );
    let mut stream = target.stream("t", &["id"], OnConflict::Error).await;
    let batch = |id: i64, n: i64| {
        let columns = target_columns();
        rows(&columns, vec![int(&[Some(id)]), int(&[Some(n)])])
    };
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(0, false).await.expect("a batch");
    for n in 0..5 {
        assert_eq!(session.write(&batch(n, n)).await.expect("off").inserted, 1);
    }
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select count(*) from log"), 0);

    stream.triggers = Triggers::On;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(1, false).await.expect("a batch");
    assert_eq!(session.write(&batch(10, 0)).await.expect("on").inserted, 1);
    for n in 1..4 {
        let error = session.write(&batch(10 + n, n)).await.expect_err("refused");
        assert_eq!(error.refusal().expect("a refusal").reason, Reason::Trigger, "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = session.write(&batch(14, 4)).await.expect_err("rolled back");
    assert_eq!(error.kind(), ErrorKind::Mapping, "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
    // Nothing may be written outside of a transaction.
    assert!(session.write(&batch(15, 0)).await.is_err());
    session.rollback().await.expect("a rollback");
    session.begin(1, false).await.expect("a batch");
    session.write(&batch(16, 0)).await.expect("a row");
    commit(&lease, session.as_mut(), "t", 2).await.expect("a commit");
    assert_eq!(target.texts("select cast(id as text) from log"), ["16"]);
    assert_eq!(target.number("select count(*) from t"), 6);
}

fn target_columns() -> Vec<Column> {
    ["id", "n"]
        .map(|name| Column {
            name: name.to_owned(),
            ty: ColumnType::Int64,
            nullable: true,
            fill: Fill::Nothing,
            flexible: false,
            wire: None,
        })
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_of_foreign_keys_work_with_triggers_off() {
    let target = Target::new(
        "create table t (id integer primary key, n integer unique); insert into t values (1, 5);
         create table child (n integer references t (n) on update cascade); insert into child values (5);
         create trigger no before update on t begin select raise(abort, 'no'); end;",
    );
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let lease = lease();
    let mut session = target.session(&lease).await;
    session.open_stream(&stream, 0, false).await.expect("a stream");
    session.begin(0, false).await.expect("a batch");
    let batch = rows(&stream.columns, vec![int(&[Some(1)]), int(&[Some(6)])]);
    assert_eq!(session.write(&batch).await.expect("a row").updated, 1);
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select n from child"), 6);
}
