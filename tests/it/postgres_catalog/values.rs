//! Every type to the last bit, on every way of writing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, IntervalMonthDayNano};
use dbferry::data::column::ColumnType;
use dbferry::data::counts::Written;
use dbferry::data::stream::{OnConflict, StreamTarget};

use crate::harness::Database;
use crate::postgres_sink::{lease, move_rows, open, rows, stream};

/// A column: declaration, three values, and how SQL shows them.
type Specimen = (&'static str, ArrayRef, [&'static str; 3]);

fn specimens() -> Vec<Specimen> {
    let mut all = integers();
    all.extend(fractions());
    all.extend(texts());
    all.extend(times());
    all.extend(others());
    all
}

fn integers() -> Vec<Specimen> {
    vec![
        (
            "boolean",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            ["true", "false", ""],
        ),
        (
            "smallint",
            Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
            ["-32768", "32767", ""],
        ),
        (
            "integer",
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None])),
            ["-2147483648", "2147483647", ""],
        ),
        (
            "bigint",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
            ["-9223372036854775808", "9223372036854775807", ""],
        ),
    ]
}

fn fractions() -> Vec<Specimen> {
    vec![
        (
            "real",
            Arc::new(Float32Array::from(vec![Some(f32::NAN), Some(0.1), None])),
            ["NaN", "0.1", ""],
        ),
        (
            "double precision",
            Arc::new(Float64Array::from(vec![
                Some(-0.0),
                Some(f64::MIN_POSITIVE),
                Some(f64::NEG_INFINITY),
            ])),
            ["-0", "2.2250738585072014e-308", "-Infinity"],
        ),
        (
            "numeric(7,2)",
            Arc::new(decimals(vec![Some(-9_999_999), Some(120_000), None], 7, 2)),
            ["-99999.99", "1200.00", ""],
        ),
        (
            "numeric(38,10)",
            Arc::new(decimals(vec![Some(10i128.pow(38) - 1), Some(1), Some(0)], 38, 10)),
            ["9999999999999999999999999999.9999999999", "0.0000000001", "0.0000000000"],
        ),
        (
            "numeric",
            Arc::new(StringArray::from(vec![Some("-12.500"), Some("1e-30"), Some("NaN")])),
            ["-12.500", "0.000000000000000000000000000001", "NaN"],
        ),
        (
            "numeric(60,5)",
            Arc::new(StringArray::from(vec![
                Some("1234567890123456789012345678901234567890123456789012345.00001"),
                Some("0"),
                None,
            ])),
            ["1234567890123456789012345678901234567890123456789012345.00001", "0.00000", ""],
        ),
    ]
}

fn texts() -> Vec<Specimen> {
    vec![
        (
            "text",
            Arc::new(StringArray::from(vec![Some("é'\"\\\n\t"), Some(""), None])),
            ["é'\"\\\n\t", "", ""],
        ),
        (
            "varchar(3)",
            Arc::new(StringArray::from(vec![Some("日本語"), Some("👍🏽"), None])),
            ["日本語", "👍🏽", ""],
        ),
        (
            "char(3)",
            Arc::new(StringArray::from(vec![Some("a"), Some("abc"), None])),
            ["a", "abc", ""],
        ),
        (
            "bytea",
            Arc::new(BinaryArray::from(vec![Some(&[0u8, 255, 10][..]), Some(&[]), None])),
            ["\\x00ff0a", "\\x", ""],
        ),
    ]
}

fn times() -> Vec<Specimen> {
    let micros = |values: Vec<Option<i64>>| Arc::new(TimestampMicrosecondArray::from(values));
    let span = IntervalMonthDayNano::new;
    vec![
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(-1), Some(19_782), Some(-2_440_588)])),
            ["1969-12-31", "2024-02-29", "4714-11-24 BC"],
        ),
        (
            "time",
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(0),
                Some(86_399_999_999),
                Some(86_400_000_000),
            ])),
            ["00:00:00", "23:59:59.999999", "24:00:00"],
        ),
        (
            "timestamp",
            micros(vec![Some(-1), Some(1_709_208_000_123_456), None]),
            ["1969-12-31 23:59:59.999999", "2024-02-29 12:00:00.123456", ""],
        ),
        (
            "timestamptz",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), Some(253_402_300_799_999_999), None]).with_timezone("UTC")),
            ["1970-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", ""],
        ),
        (
            "interval",
            Arc::new(IntervalMonthDayNanoArray::from(vec![
                Some(span(14, -3, 1_500_000_000)),
                Some(span(0, 0, -1_000)),
                None,
            ])),
            ["1 year 2 mons -3 days +00:00:01.5", "-00:00:00.000001", ""],
        ),
    ]
}

fn others() -> Vec<Specimen> {
    vec![
        (
            "uuid",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([0xab; 16]), Some([0; 16]), None].into_iter(), 16)
                    .expect("16 bytes"),
            ),
            [
                "abababab-abab-abab-abab-abababababab",
                "00000000-0000-0000-0000-000000000000",
                "",
            ],
        ),
        (
            "json",
            Arc::new(StringArray::from(vec![Some("{ \"b\":1, \"b\":2 }"), Some("null"), None])),
            ["{ \"b\":1, \"b\":2 }", "null", ""],
        ),
        (
            "jsonb",
            Arc::new(StringArray::from(vec![
                Some("{\"n\":12345678901234567890.10}"),
                Some("[]"),
                None,
            ])),
            ["{\"n\": 12345678901234567890.10}", "[]", ""],
        ),
        (
            "mood",
            Arc::new(StringArray::from(vec![Some("so so"), Some("fine"), None])),
            ["so so", "fine", ""],
        ),
        (
            "price",
            Arc::new(decimals(vec![Some(5), Some(100), None], 9, 2)),
            ["0.05", "1.00", ""],
        ),
        (
            "int[]",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
                Some(vec![Some(1), None, Some(-3)]),
                Some(vec![]),
                None,
            ])),
            ["{1,NULL,-3}", "{}", ""],
        ),
        ("price[]", Arc::new(list_of_prices()), ["{0.05,NULL}", "{}", ""]),
        (
            "inet",
            Arc::new(BinaryArray::from(vec![Some(&[2u8, 24, 0, 4, 10, 1, 2, 0][..]), None, None])),
            ["10.1.2.0/24", "", ""],
        ),
    ]
}

fn decimals(values: Vec<Option<i128>>, precision: u8, scale: i8) -> Decimal128Array {
    let array = Decimal128Array::from(values);
    array.with_precision_and_scale(precision, scale).expect("fits")
}

fn list_of_prices() -> ListArray {
    let items = decimals(vec![Some(5), None], 9, 2);
    let field = ColumnType::Decimal { precision: 9, scale: 2 }.field("item", true);
    let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 2, 2, 2].into());
    ListArray::new(
        Arc::new(field),
        offsets,
        Arc::new(items),
        Some(vec![true, true, false].into()),
    )
}

#[tokio::test]
async fn every_type_arrives_to_the_last_bit_on_every_way() {
    let specimens = specimens();
    let database = Database::create();
    database.query("create type mood as enum ('fine', 'so so'); create domain price as numeric(9,2) check (value > 0)");
    let names: Vec<String> = (0..specimens.len()).map(|number| format!("c{number}")).collect();
    let columns: Vec<String> = names
        .iter()
        .zip(&specimens)
        .map(|(name, (ty, ..))| format!("{name} {ty}"))
        .collect();
    database.query(&format!("create table t (id int primary key, {})", columns.join(", ")));
    let sink = open(&database).await;
    let mut all = vec!["id"];
    all.extend(names.iter().map(String::as_str));
    for on_conflict in [OnConflict::Error, OnConflict::Update] {
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("free");
        let target = StreamTarget {
            on_conflict,
            ..stream(sink.as_ref(), "t", &all, &["id"]).await
        };
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 2, 3]))];
        arrays.extend(specimens.iter().map(|(_, array, _)| Arc::clone(array)));
        let batch = rows(&target, arrays);
        session.open_stream(&target, 0, true).await.expect("opened");
        let mut expected = Written {
            inserted: 3,
            ..Written::default()
        };
        assert_eq!(move_rows(session.as_mut(), &lease, &target, 1, &batch).await, expected);
        if on_conflict == OnConflict::Update {
            // The same bytes are no change, whatever the type thinks of equality.
            expected = Written {
                skipped: 3,
                ..Written::default()
            };
            assert_eq!(move_rows(session.as_mut(), &lease, &target, 2, &batch).await, expected);
        }
        session.finish("done").await.expect("recorded");
        for (name, (ty, _, shown)) in names.iter().zip(&specimens) {
            let found = database.query(&format!(
                "set timezone = 'UTC'; select coalesce({name}::text, '') from t order by id"
            ));
            let found: Vec<String> = found.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect();
            assert_eq!(found, shown, "{ty}");
        }
        database.query("delete from t");
    }
}
