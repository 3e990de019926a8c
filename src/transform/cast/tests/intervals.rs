//! Intervals.

use super::*;

#[test]
fn intervals_are_iso_texts() {
    for text in ["P1Y2M3DT4H5M6.000007S", "PT0S", "P-1D", "PT-1.5S", "P14M", "P1W"] {
        let (months, days, nanos) = interval::read_interval(text).expect(text);
        let mut out = String::new();
        interval::write_interval(months, days, nanos, &mut out);
        assert_eq!(
            interval::read_interval(&out),
            Some((months, days, nanos)),
            "{text} became {out}"
        );
    }
    assert_eq!(interval::read_interval("PT-1.5S"), Some((0, 0, -1_500_000_000)));
    for text in ["", "P", "PT", "1 day", "P1H", "P1.5D"] {
        assert_eq!(interval::read_interval(text), None, "{text}");
    }
    let out = cast(&texts(&["PT0.0000005S", "P1D"]), "interval", STRICT);
    assert_eq!(out[0], "!inexact");
    let from = Field::new("c", DataType::Interval(IntervalUnit::MonthDayNano), true);
    assert!(Cast::plan(&from, &ty("bigint"), STRICT).is_err());
}

proptest! {
    #[test]
    fn an_interval_comes_back_from_text(months: i32, days: i32, nanos: i64) {
        let mut text = String::new();
        interval::write_interval(months, days, nanos, &mut text);
        prop_assert_eq!(interval::read_interval(&text), Some((months, days, nanos)), "{}", text);
    }
}
