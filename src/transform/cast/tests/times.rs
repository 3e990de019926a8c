//! Timestamps, dates and times of day.

use super::*;

#[test]
fn timestamps_are_read_in_all_usual_spellings() {
    let all = [
        "2024-02-29 12:00:00",
        "2024-02-29T12:00:00Z",
        "2024-02-29 12:00:00.000Z",
        "2024-02-29 14:00:00+02",
        "2024-02-29T07:00:00-05:00",
        "2024-02-29 17:30:00 +0530",
        "2024-02-29 12:00",
        "2024-02-29t12:00z",
        "2024-02-29 12:00:00 UTC",
        "2024-02-29 12:53:28+00:53:28",
        "2024-02-28 20:01:00-15:59",
        "2024-03-01 03:59+1559",
    ];
    for text in all {
        assert_eq!(at(text), at("2024-02-29 12:00:00"), "{text}");
    }
    let bad = [
        "2023-02-29",
        "2024-13-01",
        "2024-00-01",
        "2024-01-32",
        "24-01-01",
        "2024-1-1",
        "2024-01-01 24:00:00",
        "2024-01-01 00:60",
        "2024-01-01 00:00:00.",
        "2024-01-01 ",
        "2024-01-01Z",
        "0000-01-01",
        "now",
        "",
        "2024-01-01 00:00:00+16",
        "1700000000",
        "infinity",
        "-infinity",
        "2024-01-01 00:00:00+0:30",
        "2024-01-01 00:00:00+0030:10",
        "2024-01-01 00:00:00+01:60",
        "2024-01-01 00:00:60",
        "2024-01-01  00:00:00",
        "2024-01-01 00:00:00 ",
        "2024-01-01 00:00:00,5",
    ];
    for text in bad {
        assert!(civil::read_timestamp(text).is_err(), "{text}");
    }
    assert_eq!(at("1970-01-01"), 0);
    assert_eq!(at("1969-12-31 23:59:59.999999"), -1);
    assert_eq!(at("2000-01-01"), 946_684_800_000_000);
    assert_eq!(civil::read_date("1900-02-29"), Err(Problem::Unreadable));
    assert_eq!(civil::read_date("2000-02-29"), Ok(11_016));
}

#[test]
fn timestamps_lose_nothing_unless_they_may() {
    let all = instants(&[
        "0001-01-01",
        "9999-12-31 23:59:59.999999",
        "2024-02-29 23:59:59.5",
        "1999-12-31 23:59:59.5",
        "0001-01-01 BC",
    ]);
    assert_eq!(
        cast(&all, "text", STRICT),
        [
            "0001-01-01 00:00:00Z",
            "9999-12-31 23:59:59.999999Z",
            "2024-02-29 23:59:59.5Z",
            "1999-12-31 23:59:59.5Z",
            "0001-01-01 00:00:00Z BC"
        ]
    );
    assert_eq!(
        cast(&all, "timestamp(0)", STRICT)[..4],
        ["0001-01-01T00:00:00", "!inexact", "!inexact", "!inexact"]
    );
    assert_eq!(
        cast(&all, "timestamp(0)", LOSSY)[1..4],
        ["+10000-01-01T00:00:00", "2024-03-01T00:00:00", "1999-12-31T23:59:59"],
        "Postgres rounds away from the year 2000"
    );
    assert_eq!(cast(&all, "timestamptz(3)", STRICT)[2], "2024-02-29T23:59:59.500Z");
    assert_eq!(cast(&all, "date", STRICT)[..3], ["0001-01-01", "!inexact", "!inexact"]);
    assert_eq!(cast(&all, "date", LOSSY)[2], "2024-02-29");
    assert_eq!(
        cast(
            &texts(&[
                "23:59:59.9999995",
                "2024-01-01 00:00:00.0000001",
                "2024-01-01 00:00:00.0000010"
            ]),
            "timestamp",
            STRICT
        ),
        ["!unreadable", "!inexact", "2024-01-01T00:00:00.000001"]
    );
    assert_eq!(
        cast(
            &texts(&[
                "2024-01-01 00:00:00.0000005",
                "2024-01-01 00:00:00.0000015",
                "1960-01-01 00:00:00.0000006"
            ]),
            "timestamp",
            LOSSY
        ),
        [
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.000002",
            "1960-01-01T00:00:00.000001"
        ],
        "half to even, as Postgres reads text"
    );
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001, -1_500]));
    assert_eq!(
        cast(&nanos, "timestamp", STRICT),
        ["1970-01-01T00:00:00.000001", "!inexact", "!inexact"]
    );
    assert_eq!(cast(&nanos, "timestamp", LOSSY)[1], "1970-01-01T00:00:00.000001");
}

#[test]
fn times_and_dates() {
    assert_eq!(
        cast(
            &texts(&["23:59:59.999999", "23:59:59.9999995", "24:00:00", "12:30", "1:00"]),
            "time",
            STRICT
        ),
        ["23:59:59.999999", "!inexact", "!unreadable", "12:30:00", "!unreadable"]
    );
    assert_eq!(
        cast(&texts(&["23:59:59.9999995", "12:00:00.5"]), "time(0)", LOSSY),
        ["!out_of_range", "12:00:01"]
    );
    let times: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![3_600_000_001, 0]));
    assert_eq!(cast(&times, "text", STRICT), ["01:00:00.000001", "00:00:00"]);
    assert_eq!(cast(&times, "time(3)", STRICT), ["!inexact", "00:00:00"]);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, -719_162, 19_782, i32::MAX - 1]));
    assert_eq!(
        cast(&dates, "text", STRICT),
        ["1970-01-01", "0001-01-01", "2024-02-29", "5881580-07-10"]
    );
    assert_eq!(
        cast(&dates, "timestamptz", STRICT)[1..],
        ["0001-01-01T00:00:00Z", "2024-02-29T00:00:00Z", "!out_of_range"]
    );
    assert_eq!(
        cast(
            &texts(&["2024-02-29", "2024-02-29 00:00:00.000Z", "2024-02-29 01:00:00", "2023-02-29"]),
            "date",
            STRICT
        ),
        ["2024-02-29", "2024-02-29", "!inexact", "!unreadable"]
    );
}

#[test]
fn timestamps_and_dates_end_where_targets_end() {
    reads(
        "timestamp",
        STRICT,
        &[
            ("4714-11-24 00:00:00 BC", "-4713-11-24T00:00:00"),
            ("4714-11-23 23:59:59.999999 BC", "!out_of_range"),
            ("0001-01-01 00:00:00+10", "0000-12-31T14:00:00"),
            ("9999-12-31 23:59:59.999999-12", "+10000-01-01T11:59:59.999999"),
            ("294247-01-10 04:00:54.775808", "!out_of_range"),
            ("999999-01-01", "!out_of_range"),
            ("9999999-01-01", "!out_of_range"),
        ],
    );
    reads(
        "date",
        STRICT,
        &[
            ("4714-11-24 BC", "-4713-11-24"),
            ("4714-11-23 BC", "!out_of_range"),
            ("9999-12-31", "9999-12-31"),
            ("5874898-01-01", "!out_of_range"),
        ],
    );
    let faults = |values: &ArrayRef, to: ColumnType| {
        let cast = Cast::plan(&Field::new("c", values.data_type().clone(), true), &to, STRICT).expect("possible");
        let faults = cast.run(values).expect("the planned type").faults;
        faults.iter().map(|fault| (fault.row, fault.reason)).collect::<Vec<_>>()
    };
    let days: ArrayRef = Arc::new(Date32Array::from(vec![-2_440_588, -2_440_589, 2_145_042_905, 2_145_042_906]));
    assert_eq!(
        faults(&days, ColumnType::Date),
        [(1, Reason::OutOfRange), (3, Reason::OutOfRange)]
    );
    assert_eq!(cast(&days, "text", STRICT)[0], "4714-11-24 BC");
    assert_eq!(cast(&days, "text", STRICT)[2], "5874897-12-31");
    let first = -210_866_803_200_000_000;
    let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX, first, first - 1]));
    assert_eq!(faults(&micros, ColumnType::INSTANT), [(3, Reason::OutOfRange)]);
}

#[test]
fn nanoseconds_are_no_microseconds() {
    let times: ArrayRef = Arc::new(Time64NanosecondArray::from(vec![1_000, 1_500, 86_399_999_999_000]));
    assert_eq!(
        cast(&times, "time", STRICT),
        ["00:00:00.000001", "!inexact", "23:59:59.999999"]
    );
    assert_eq!(
        cast(&times, "text", STRICT),
        ["00:00:00.000001", "!inexact", "23:59:59.999999"]
    );
    assert_eq!(cast(&times, "time", LOSSY)[1], "00:00:00.000002");
    let midnight: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0, 1, 86_400_000_000_000]));
    assert_eq!(cast(&midnight, "date", STRICT), ["1970-01-01", "!inexact", "1970-01-02"]);
    let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![-1, i64::MAX]));
    assert_eq!(
        cast(&millis, "timestamptz", STRICT),
        ["1969-12-31T23:59:59.999Z", "!out_of_range"]
    );
    let seconds: ArrayRef = Arc::new(Time32SecondArray::from(vec![3_661]));
    assert_eq!(cast(&seconds, "time(0)", STRICT), ["01:01:01"]);
}

proptest! {
    #[test]
    fn a_timestamp_comes_back_from_text(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000, zoned: bool) {
        let mut text = String::new();
        civil::write_timestamp(micros, zoned, &mut text);
        prop_assert_eq!(civil::read_timestamp(&text), Ok((micros, civil::Excess::None)));
    }

    #[test]
    fn an_offset_moves_the_instant(
        micros in -62_135_510_400_000_000_i64..253_402_214_400_000_000,
        seconds in -57_599_i64..=57_599,
        precision in 0..3,
    ) {
        // Offsets in hours, minutes or seconds.
        let east = match precision {
            0 => seconds / 3_600 * 3_600,
            1 => seconds / 60 * 60,
            _ => seconds,
        };
        let mut text = String::new();
        civil::write_timestamp(micros + east * 1_000_000, false, &mut text);
        let (sign, size) = (if east < 0 { '-' } else { '+' }, east.abs());
        let (hours, minutes, rest) = (size / 3_600, size / 60 % 60, size % 60);
        let zone = match precision {
            0 => format!("{sign}{hours:02}"),
            1 => format!("{sign}{hours:02}:{minutes:02}"),
            _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
        };
        let wanted = Ok((micros, civil::Excess::None));
        prop_assert_eq!(civil::read_timestamp(&format!("{text}{zone}")), wanted);
        prop_assert_eq!(civil::read_timestamp(&format!("{} {zone}", text.replace(' ', "T"))), wanted);
    }

    #[test]
    fn a_date_comes_back_from_text(days in -2_440_588_i32..=2_145_042_905) {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![days]));
        let text = cast(&dates, "text", STRICT);
        prop_assert_eq!(civil::read_date(&text[0]), Ok(days));
    }

    #[test]
    fn fewer_digits_are_the_nearest_ones(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000, digits in 0_u32..=6) {
        let unit = 10_i64.pow(6 - digits);
        let to = ty(&format!("timestamp({digits})"));
        let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![micros]));
        let from = Field::new("c", values.data_type().clone(), true);
        let strict = Cast::plan(&from, &to, STRICT).expect("possible").run(&values).expect("timestamps");
        prop_assert_eq!(strict.faults.is_empty(), micros.rem_euclid(unit) == 0);
        let lossy = Cast::plan(&from, &to, LOSSY).expect("possible").run(&values).expect("timestamps");
        prop_assert!(lossy.faults.is_empty());
        let rounded = lossy.array.as_primitive::<TimestampMicrosecondType>().value(0);
        prop_assert_eq!(rounded.rem_euclid(unit), 0);
        prop_assert!((rounded - micros).abs() * 2 <= unit);
    }
}
