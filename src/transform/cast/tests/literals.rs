//! Numbers written as text.

use super::*;

#[test]
fn integers_are_read_whole_or_not_at_all() {
    reads(
        "bigint",
        STRICT,
        &[
            ("1", "1"),
            ("+1", "1"),
            ("-0", "0"),
            ("007", "7"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "!out_of_range"),
            ("99999999999999999999999999999999999999999", "!out_of_range"),
            ("1.0", "1"),
            ("1.5", "!inexact"),
            ("1e3", "1000"),
            ("1500e-2", "15"),
            ("1e400", "!out_of_range"),
            ("1e-99999999999", "!inexact"),
            ("0e99999999999", "0"),
        ],
    );
    reads(
        "smallint",
        STRICT,
        &[("32767", "32767"), ("32768", "!out_of_range"), ("-32769", "!out_of_range")],
    );
    let rounded = [
        ("2.5", "3"),
        ("-2.5", "-3"),
        ("2147483647.4", "2147483647"),
        ("2147483647.5", "!out_of_range"),
        ("1e-99999999999", "0"),
    ];
    reads("integer", LOSSY, &rounded);
}

#[test]
fn what_is_no_number_is_none_for_every_type() {
    let none = [
        "", " 1", "1 ", "0x10", "٣", "--1", "+-1", "1e", "1e+", "1e-", "1e+-5", "1e-+5", "1e5.0", ".", "-", "e5", "1_000", "1,5",
        "1\0",
    ];
    for text in none {
        for to in [
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric(5,2)",
            "numeric(50,2)",
            "numeric",
        ] {
            assert_eq!(cast(&texts(&[text]), to, LOSSY), ["!unreadable"], "{text} as {to}");
        }
    }
}

#[test]
fn floats_are_read_exactly_or_as_their_shortest_text() {
    reads(
        "double precision",
        STRICT,
        &[
            ("0.1", "0.1"),
            ("0.10000000000000000555", "!inexact"),
            ("0.1000000000000000055511151231257827021181583404541015625", "!inexact"),
            ("1e400", "!out_of_range"),
            ("-1e400", "!out_of_range"),
            ("1e-400", "!inexact"),
            ("5e-324", "5e-324"),
            ("2e-324", "!inexact"),
            ("1.7976931348623157e308", "1.7976931348623157e308"),
            ("NaN", "NaN"),
            ("-Infinity", "-inf"),
            ("abc", "!unreadable"),
            ("9007199254740992", "9007199254740992.0"),
            ("9007199254740993", "!inexact"),
            ("-0", "-0.0"),
        ],
    );
    reads(
        "real",
        STRICT,
        &[
            ("0.1", "0.1"),
            ("16777217", "!inexact"),
            ("3.4028235e38", "3.4028235e38"),
            ("3.5e38", "!out_of_range"),
            ("0.123456789", "!inexact"),
        ],
    );
    reads("real", LOSSY, &[("16777217", "16777216.0"), ("3.5e38", "!out_of_range")]);
    reads(
        "double precision",
        LOSSY,
        &[
            ("0.10000000000000000555", "0.1"),
            ("1e-400", "0.0"),
            ("1e400", "!out_of_range"),
        ],
    );
}

#[test]
fn decimals_are_read_whole_and_rounded_only_if_they_may() {
    reads(
        "numeric(5,2)",
        STRICT,
        &[
            ("12.50", "12.50"),
            ("12.500000", "12.50"),
            ("12.505", "!inexact"),
            ("1e2", "100.00"),
            ("1000", "!out_of_range"),
            ("1200", "!out_of_range"),
            ("999.99", "999.99"),
            ("NaN", "!out_of_range"),
            (".5", "0.50"),
            ("5.", "5.00"),
            ("+7", "7.00"),
            ("-0.00", "0.00"),
        ],
    );
    reads(
        "numeric(5,2)",
        LOSSY,
        &[
            ("12.505", "12.51"),
            ("-12.505", "-12.51"),
            ("12.5049999999999999999999999999999999999999", "12.50"),
            ("999.994", "999.99"),
            ("999.995", "!out_of_range"),
            ("-999.995", "!out_of_range"),
            ("-0.005", "-0.01"),
            ("0.0049", "0.00"),
            ("0.00049", "0.00"),
            ("5e-30", "0.00"),
        ],
    );
    let nines = "0.99999999999999999999999999999999999999";
    reads("numeric(38,38)", STRICT, &[(nines, nines), ("1", "!out_of_range")]);
    reads(
        "numeric(38,38)",
        LOSSY,
        &[("0.999999999999999999999999999999999999995", "!out_of_range")],
    );
}

#[test]
fn numbers_of_any_size_keep_their_digits() {
    reads(
        "numeric",
        STRICT,
        &[
            ("012.50", "12.50"),
            ("1e3", "1000"),
            ("1.5e-3", "0.0015"),
            ("1.50e1", "15.0"),
            ("-0.00", "0.00"),
            ("0e5", "0"),
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            ("-Infinity", "-Infinity"),
            ("1e131071", &format!("1{}", "0".repeat(131_071))),
            ("1e131072", "!out_of_range"),
            ("1e-16383", &format!("0.{}1", "0".repeat(16_382))),
            ("1e-16384", "!out_of_range"),
            ("1e99999999999", "!out_of_range"),
        ],
    );
    let nines = "99999999999999999999999999999999999999.5";
    let to = "numeric(40,-2)";
    reads(
        to,
        STRICT,
        &[
            (nines, "!inexact"),
            ("100", "100"),
            ("149", "!inexact"),
            ("Infinity", "!out_of_range"),
            ("NaN", "NaN"),
        ],
    );
    reads(
        "numeric(2,-2)",
        LOSSY,
        &[
            ("149", "100"),
            ("150", "200"),
            ("950", "1000"),
            ("40", "0"),
            ("50", "100"),
            ("-50", "-100"),
            ("9949", "9900"),
            ("9950", "!out_of_range"),
        ],
    );
    reads(
        "numeric(50,3)",
        STRICT,
        &[
            ("1.5", "1.500"),
            ("1.50000", "1.500"),
            ("0.0000000", "0.000"),
            ("1.0005", "!inexact"),
            ("1e47", "!out_of_range"),
            ("1e46", &format!("1{}.000", "0".repeat(46))),
        ],
    );
    reads(
        "numeric(50,3)",
        LOSSY,
        &[
            ("9.9995", "10.000"),
            ("-0.0004", "0.000"),
            ("-0.0005", "-0.001"),
            ("1.00049", "1.000"),
        ],
    );
}
