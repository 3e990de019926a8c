//! Tables as they are declared: every type to the last bit, and every sort of table.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    IntervalMonthDayNanoArray, ListArray, Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::IntervalMonthDayNano;
use dbferry::ErrorKind;
use dbferry::data::column::ColumnType;
use dbferry::data::counts::Written;
use dbferry::data::stream::OnConflict;
use dbferry::data::table::TableName;
use rusqlite::types::Value;

use super::{Target, array, commit, decimal, int, lease, rows, text};

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
