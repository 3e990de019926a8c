//! Numbers keep their value, whatever type they move to.

use super::*;

#[test]
fn integers_keep_their_value_or_are_out_of_range() {
    let all = ints(&[0, -1, 32_767, 32_768, -32_769, i64::MAX, i64::MIN, 2_147_483_648]);
    assert_eq!(
        cast(&all, "smallint", STRICT),
        [
            "0",
            "-1",
            "32767",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range"
        ]
    );
    assert_eq!(
        cast(&all, "integer", STRICT)[4..],
        ["-32769", "!out_of_range", "!out_of_range", "!out_of_range"]
    );
    assert_eq!(
        cast(&all, "bigint", STRICT)[5..7],
        ["9223372036854775807", "-9223372036854775808"]
    );
    assert_eq!(cast(&all, "numeric(6,1)", STRICT)[2..5], ["32767.0", "32768.0", "-32769.0"]);
    assert_eq!(cast(&ints(&[100_000]), "numeric(6,1)", STRICT), ["!out_of_range"]);
    assert_eq!(cast(&ints(&[i64::MIN]), "numeric", STRICT), ["-9223372036854775808"]);
    assert_eq!(cast(&ints(&[i64::MIN]), "text", STRICT), ["-9223372036854775808"]);
    assert_eq!(cast(&ints(&[i64::MIN]), "jsonb", STRICT), ["-9223372036854775808"]);
    let small: ArrayRef = Arc::new(Int16Array::from(vec![i16::MIN]));
    for to in [
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric(38,0)",
        "numeric",
        "text",
        "json",
    ] {
        assert!(cast(&small, to, STRICT)[0].starts_with("-32768"), "{to}");
    }
    let medium: ArrayRef = Arc::new(Int32Array::from(vec![i32::MIN]));
    assert_eq!(cast(&medium, "text", STRICT), ["-2147483648"]);
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 7]));
    assert_eq!(cast(&unsigned, "bigint", STRICT), ["!out_of_range", "7"]);
}

#[test]
fn an_integer_becomes_a_float_only_if_the_float_is_that_integer() {
    let edge = 1_i64 << 53;
    assert_eq!(
        cast(
            &ints(&[edge - 1, edge, edge + 1, i64::MIN, i64::MAX]),
            "double precision",
            STRICT
        ),
        [
            "9007199254740991.0",
            "9007199254740992.0",
            "!inexact",
            "-9.223372036854776e18",
            "!inexact"
        ]
    );
    assert_eq!(
        cast(&ints(&[(1 << 24) + 1, 1 << 24]), "real", STRICT),
        ["!inexact", "16777216.0"]
    );
    assert_eq!(cast(&ints(&[edge + 1]), "double precision", LOSSY), ["9007199254740992.0"]);
}

#[test]
fn a_float_is_its_integer_or_its_shortest_text() {
    let all = floats(&[1.0, -0.0, 1.5, 1e300, f64::NAN, f64::INFINITY, 9.223_372_036_854_776e18, 0.1]);
    assert_eq!(
        cast(&all, "bigint", STRICT),
        [
            "1",
            "0",
            "!inexact",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "!inexact"
        ]
    );
    assert_eq!(cast(&floats(&[2.5, -2.5, 0.4]), "bigint", LOSSY), ["3", "-3", "0"]);
    assert_eq!(
        cast(&all, "numeric(20,2)", STRICT),
        [
            "1.00",
            "0.00",
            "1.50",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "!out_of_range",
            "0.10"
        ]
    );
    assert_eq!(
        cast(&floats(&[0.1, 0.125, 9_007_199_254_740_993.0]), "numeric(38,2)", STRICT)[..2],
        ["0.10", "!inexact"]
    );
    assert_eq!(
        cast(&floats(&[0.125, -0.125, 0.124]), "numeric(38,2)", LOSSY),
        ["0.13", "-0.13", "0.12"]
    );
    assert_eq!(
        cast(&floats(&[0.1, 1e22, f64::NAN, f64::NEG_INFINITY, 1.5e-7]), "numeric", STRICT),
        ["0.1", "10000000000000000000000", "NaN", "-Infinity", "0.00000015"]
    );
    assert_eq!(
        cast(&all, "text", STRICT),
        ["1", "-0", "1.5", "1e+300", "NaN", "Infinity", "9.223372036854776e+18", "0.1"]
    );
    assert_eq!(
        cast(&all, "jsonb", STRICT),
        ["1", "-0", "1.5", "1e+300", "!json", "!json", "9.223372036854776e+18", "0.1"]
    );
    assert_eq!(
        cast(
            &floats(&[0.1, 1e39, f64::from(0.1_f32), 0.123_456_789, f64::NAN]),
            "real",
            STRICT
        ),
        ["0.1", "!out_of_range", "0.1", "!inexact", "NaN"]
    );
    let single: ArrayRef = Arc::new(Float32Array::from(vec![0.1_f32, 1e6, 16_777_216.0]));
    assert_eq!(
        cast(&single, "numeric(20,3)", STRICT),
        ["0.100", "1000000.000", "16777216.000"]
    );
    assert_eq!(cast(&single, "text", STRICT), ["0.1", "1e+06", "1.6777216e+07"]);
    assert_eq!(cast(&single, "double precision", STRICT)[0], "0.10000000149011612");
}

#[test]
fn decimals_move_between_scales_without_loss() {
    let most = 10_i128.pow(38) - 1;
    assert_eq!(
        cast(&decimals(&[most, -most], 38, 0), "numeric(38,0)", STRICT)[0],
        "9".repeat(38)
    );
    assert_eq!(cast(&decimals(&[most], 38, 0), "numeric(38,1)", STRICT), ["!out_of_range"]);
    assert_eq!(
        cast(&decimals(&[1250, 1255, -1255, 99_999], 7, 2), "numeric(4,1)", STRICT),
        ["12.5", "!inexact", "!inexact", "!inexact"]
    );
    assert_eq!(
        cast(&decimals(&[1250, 1255, -1255, 99_999], 7, 2), "numeric(4,1)", LOSSY),
        ["12.5", "12.6", "-12.6", "!out_of_range"]
    );
    assert_eq!(
        cast(&decimals(&[120_000], 7, 2), "numeric(5,2)", STRICT),
        ["!out_of_range"],
        "1200 into numeric(5,2)"
    );
    assert_eq!(cast(&decimals(&[100, 150], 5, 2), "integer", STRICT), ["1", "!inexact"]);
    assert_eq!(cast(&decimals(&[150, 249, -150], 5, 2), "integer", LOSSY), ["2", "2", "-2"]);
    assert_eq!(
        cast(&decimals(&[-5, 0, 1234], 5, 2), "text", STRICT),
        ["-0.05", "0.00", "12.34"]
    );
    assert_eq!(cast(&decimals(&[-5, 0], 5, 2), "jsonb", STRICT), ["-0.05", "0.00"]);
    assert_eq!(
        cast(&decimals(&[11, most], 38, 1), "double precision", STRICT),
        ["1.1", "!inexact"]
    );
    assert_eq!(cast(&decimals(&[1234], 5, 2), "numeric(50,1)", STRICT), ["!inexact"]);
    assert_eq!(cast(&decimals(&[1234], 5, 2), "numeric(50,1)", LOSSY), ["12.3"]);
}
