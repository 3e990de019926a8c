//! Buckets of days.

use arrow::array::{Date32Array, TimestampMicrosecondArray, TimestampNanosecondArray};

use super::*;

const DAY: i64 = 86_400_000_000;

fn buckets(micros: &[Option<i64>], days: i64) -> Vec<Option<String>> {
    let instants = TimestampMicrosecondArray::from(micros.to_vec());
    let clocks = call("day_bucket", vec![Array(Arc::new(instants.clone())), int(days)]).expect("buckets");
    let zoned = call("day_bucket", vec![Array(Arc::new(instants.with_timezone("UTC"))), int(days)]);
    assert_eq!(clocks, zoned.expect("buckets"), "a wall clock is read as UTC");
    clocks
}

#[test]
fn a_bucket_is_rounded_down_on_either_side_of_1970() {
    assert_eq!(
        buckets(
            &[
                Some(0),
                Some(-1),
                Some(10 * DAY - 1),
                Some(10 * DAY),
                Some(-10 * DAY),
                Some(-10 * DAY - 1),
                None
            ],
            10
        ),
        [
            Some("0".to_owned()),
            Some("-1".to_owned()),
            Some("0".to_owned()),
            Some("1".to_owned()),
            Some("-1".to_owned()),
            Some("-2".to_owned()),
            None
        ]
    );
    // The year 12000, the first day of Postgres, and the last microsecond that is no infinity.
    assert_eq!(
        buckets(
            &[
                Some(316_516_204_800_000_000),
                Some(-210_866_803_200_000_000),
                Some(i64::MAX - 1)
            ],
            1
        ),
        some(&["3663382", "-2440588", "106751991"])
    );
    assert_eq!(buckets(&[Some(DAY), Some(-DAY)], i64::MAX), some(&["0", "-1"]));
}

#[test]
fn a_date_is_its_midnight() {
    let dates = Array(Arc::new(Date32Array::from(vec![Some(0), Some(9), Some(10), Some(-1), None])));
    assert_eq!(
        call("day_bucket", vec![dates, int(10)]).expect("buckets"),
        [
            Some("0".to_owned()),
            Some("0".to_owned()),
            Some("1".to_owned()),
            Some("-1".to_owned()),
            None
        ]
    );
    assert_eq!(one("day_bucket", vec![null(), int(10)]), None);
    assert_eq!(one("day_bucket", vec![instant(None), int(10)]), None);
}

#[test]
fn infinity_is_in_no_bucket() {
    for end in [i64::MAX, i64::MIN] {
        let error = call("day_bucket", vec![instant(Some(end)), int(10)]).expect_err("infinity");
        assert_eq!(said(&error), Some("infinity is in no bucket of days"));
    }
    for end in [i32::MAX, i32::MIN] {
        let date = Array(Arc::new(Date32Array::from(vec![end])));
        let error = call("day_bucket", vec![date, int(10)]).expect_err("infinity");
        assert_eq!(said(&error), Some("infinity is in no bucket of days"));
    }
}

#[test]
fn the_number_of_days_is_written_out() {
    let moment = || instant(Some(0));
    let column = Array(Arc::new(Int64Array::from(vec![10])));
    for days in [int(0), int(-1), Scalar(ScalarValue::Int64(None)), null(), column] {
        let message = fails("day_bucket", vec![moment(), days]);
        assert_eq!(
            said_of_constant(&message),
            Some("the number of days is written out, 1 or more")
        );
    }
    assert!(fails("day_bucket", vec![moment(), text("10")]).contains("argument 2 is no bigint"));
    assert!(fails("day_bucket", vec![text("2024-02-29"), int(10)]).contains("argument 1 is no timestamp, timestamptz or date"));
    let nanos = Array(Arc::new(TimestampNanosecondArray::from(vec![0])));
    assert!(fails("day_bucket", vec![nanos, int(10)]).contains("argument 1 is no timestamp, timestamptz or date"));
    assert!(fails("day_bucket", vec![moment()]).contains("wrong number of arguments"));
    let (_, field) = call_with(
        "day_bucket",
        vec![moment(), int(10)],
        vec![
            Field::new("at", DataType::Null, false),
            Field::new("days", DataType::Int64, false),
        ],
    )
    .expect("a bucket");
    assert_eq!(ColumnType::of_field(&field), Some(ColumnType::Int32));
    assert!(!field.is_nullable());
}
