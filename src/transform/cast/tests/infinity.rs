//! The ends of time.

use super::*;

#[test]
fn infinity_stays_infinity() {
    let numbers = |array: &ArrayRef, to: &str| {
        let to = ColumnType::parse(to).expect(to);
        let cast = Cast::plan(&Field::new("c", array.data_type().clone(), true), &to, STRICT).expect("possible");
        let casted = cast.run(array).expect("the planned type");
        assert!(casted.faults.is_empty(), "{to}: {:?}", casted.faults);
        casted.array
    };
    let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX, i64::MIN]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN]));
    let words = texts(&["infinity", "-infinity"]);
    for input in [&micros, &days, &words] {
        for to in ["timestamp", "timestamp(0)", "date", "text"] {
            let output = numbers(input, to);
            let expected = match to {
                "text" => &words,
                "date" => &days,
                _ => &micros,
            };
            assert_eq!(&output, expected, "{} to {to}", input.data_type());
        }
        let zoned = numbers(input, "timestamptz(3)");
        assert_eq!(
            zoned.as_primitive::<TimestampMicrosecondType>().values(),
            &[i64::MAX, i64::MIN]
        );
    }
    // One microsecond before it would be the number that stands for it.
    reads(
        "timestamp",
        STRICT,
        &[
            ("294247-01-10 04:00:54.775807", "!out_of_range"),
            (" infinity", "!unreadable"),
            ("Infinity", "!unreadable"),
        ],
    );
}
