//! Every storage class read as every kind of type: the value that comes out, or the reason.

use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::data::reject::Reason;

/// What `value` becomes when it is read as `ty`, in Arrow's own display text.
fn read(ty: &str, value: ValueRef<'_>) -> Result<String, Reason> {
    let ty = ColumnType::parse(ty).expect("a type name");
    let mut reader = ColumnReader::new(&ty, Empty::Text, 1).expect("a readable type");
    reader.append(value).map_err(|fault| fault.reason)?;
    let array = reader.finish().expect("a column");
    assert_eq!(array.len(), 1);
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(&array, &options).expect("a formatter");
    Ok(formatter.value(0).to_string())
}

const INT: fn(i64) -> ValueRef<'static> = ValueRef::Integer;
const REAL: fn(f64) -> ValueRef<'static> = ValueRef::Real;

fn text(value: &str) -> ValueRef<'_> {
    ValueRef::Text(value.as_bytes())
}

#[track_caller]
fn check(cases: &[(&str, ValueRef<'_>, Result<&str, Reason>)]) {
    for (ty, value, wanted) in cases {
        let wanted = wanted.map(str::to_owned);
        assert_eq!(read(ty, *value), wanted, "{value:?} read as {ty}");
    }
}

#[test]
fn null_is_null_in_every_type() {
    for ty in [
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric(7,2)",
        "numeric",
        "text",
        "json",
        "bytea",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "interval",
        "uuid",
        "text[]",
    ] {
        assert_eq!(read(ty, ValueRef::Null), Ok("NULL".to_owned()), "{ty}");
    }
}

#[test]
fn integers_keep_every_digit_or_are_refused() {
    check(&[
        ("bigint", INT(i64::MIN), Ok("-9223372036854775808")),
        ("bigint", INT(9_007_199_254_740_993), Ok("9007199254740993")),
        ("bigint", text("9007199254740993"), Ok("9007199254740993")),
        ("bigint", text("42.0"), Ok("42")),
        ("bigint", text("1e3"), Ok("1000")),
        ("bigint", text("9223372036854775808"), Err(Reason::OutOfRange)),
        ("bigint", text("12.5"), Err(Reason::Inexact)),
        ("bigint", text(""), Err(Reason::Unreadable)),
        ("bigint", text(" 1"), Err(Reason::Unreadable)),
        ("bigint", text("NaN"), Err(Reason::Unreadable)),
        ("bigint", REAL(5.0), Ok("5")),
        ("bigint", REAL(12.5), Err(Reason::Inexact)),
        ("bigint", REAL(9_007_199_254_740_994.0), Err(Reason::Inexact)),
        ("bigint", ValueRef::Blob(b"1"), Err(Reason::Unreadable)),
        ("integer", INT(2_147_483_648), Err(Reason::OutOfRange)),
        ("integer", INT(-2_147_483_648), Ok("-2147483648")),
        ("smallint", INT(32_768), Err(Reason::OutOfRange)),
        ("boolean", INT(1), Ok("true")),
        ("boolean", INT(2), Err(Reason::OutOfRange)),
        ("boolean", text("f"), Ok("false")),
        ("boolean", text("yes"), Err(Reason::Unreadable)),
        ("boolean", REAL(1.0), Err(Reason::Unreadable)),
    ]);
}

#[test]
fn decimals_are_exact_or_refused() {
    check(&[
        ("numeric(7,2)", INT(99_999), Ok("99999.00")),
        ("numeric(7,2)", INT(100_000), Err(Reason::OutOfRange)),
        ("numeric(7,2)", REAL(0.1), Ok("0.10")),
        ("numeric(7,2)", REAL(0.125), Err(Reason::Inexact)),
        ("numeric(7,2)", text("-0.10"), Ok("-0.10")),
        ("numeric(7,2)", text("1.005"), Err(Reason::Inexact)),
        (
            "numeric(38,0)",
            text("99999999999999999999999999999999999999"),
            Ok("99999999999999999999999999999999999999"),
        ),
        (
            "numeric",
            text("123456789012345678901234567890123456789012345.6789"),
            Ok("123456789012345678901234567890123456789012345.6789"),
        ),
        ("numeric", INT(i64::MIN), Ok("-9223372036854775808")),
        ("numeric", REAL(1e-7), Ok("0.0000001")),
        ("numeric", text("1e999999999"), Err(Reason::OutOfRange)),
        ("numeric(50,2)", INT(7), Ok("7")),
        ("numeric(50,2)", text("0.005"), Err(Reason::Inexact)),
    ]);
}

#[test]
fn floats_are_the_same_float_or_refused() {
    check(&[
        ("double precision", REAL(0.1), Ok("0.1")),
        ("double precision", INT(9_007_199_254_740_992), Ok("9007199254740992.0")),
        ("double precision", INT(9_007_199_254_740_993), Err(Reason::Inexact)),
        ("double precision", text("0.1"), Ok("0.1")),
        ("double precision", text("0.10000000000000000000001"), Err(Reason::Inexact)),
        ("double precision", text("inf"), Err(Reason::Unreadable)),
        ("double precision", REAL(f64::INFINITY), Ok("inf")),
        ("real", REAL(0.5), Ok("0.5")),
        ("real", REAL(1e300), Err(Reason::OutOfRange)),
    ]);
}

#[test]
fn text_is_untouched() {
    check(&[
        ("text", text(""), Ok("")),
        ("text", text("nul\0byte"), Ok("nul\0byte")),
        ("text", text("Zoe\u{308}"), Ok("Zoe\u{308}")),
        ("text", ValueRef::Text(b"\xff\xfe"), Err(Reason::Unreadable)),
        ("text", INT(-7), Ok("-7")),
        ("text", REAL(1.5), Ok("1.5")),
        ("text", REAL(f64::NEG_INFINITY), Err(Reason::OutOfRange)),
        ("text", ValueRef::Blob(b"abc"), Err(Reason::Unreadable)),
        ("bytea", ValueRef::Blob(b"\x00\xff"), Ok("00ff")),
        ("bytea", text("abc"), Err(Reason::Unreadable)),
        (
            "json",
            text(r#"{"a":1,"a":18446744073709551616}"#),
            Ok(r#"{"a":1,"a":18446744073709551616}"#),
        ),
        ("json", text("{broken"), Err(Reason::Json)),
        ("json", text(""), Err(Reason::Json)),
        ("json", INT(42), Ok("42")),
        ("json", REAL(0.5), Ok("0.5")),
        ("json", REAL(1.234_567_890_123_456_8e22), Err(Reason::Inexact)),
    ]);
}

#[test]
fn moments_are_iso_or_refused() {
    check(&[
        ("date", text("2024-02-29"), Ok("2024-02-29")),
        ("date", text("2023-02-29"), Err(Reason::Unreadable)),
        ("date", text("2024-02-29 00:00:00.000Z"), Ok("2024-02-29")),
        ("date", text("2024-02-29 10:00:00.000Z"), Err(Reason::Inexact)),
        ("date", INT(0), Err(Reason::Unreadable)),
        ("time", text("23:59:59.999999"), Ok("23:59:59.999999")),
        ("time", text("24:00"), Err(Reason::Unreadable)),
        (
            "timestamp",
            text("2024-01-31 12:00:00.123456"),
            Ok("2024-01-31T12:00:00.123456"),
        ),
        ("timestamp", text("2024-01-31 12:00:00.1234567"), Err(Reason::Inexact)),
        ("timestamp", text("2024-01-31T12:00:00+02:00"), Ok("2024-01-31T10:00:00")),
        ("timestamp", text("yesterday"), Err(Reason::Unreadable)),
        ("timestamptz", text("0001-01-01 00:00:00Z"), Ok("0001-01-01T00:00:00Z")),
        ("timestamptz", REAL(2_460_000.5), Err(Reason::Unreadable)),
        ("interval", text("P1M2DT3.5S"), Ok("1 mons 2 days 3.500000000 secs")),
        ("interval", text("1 month"), Err(Reason::Unreadable)),
    ]);
}

#[test]
fn uuids_have_two_spellings_and_one_binary_form() {
    let hyphenated = "00000000-0000-4000-8000-0000000000ff";
    let plain = "000000000000400080000000000000ff";
    check(&[
        ("uuid", text(hyphenated), Ok(plain)),
        ("uuid", text(plain), Ok(plain)),
        ("uuid", ValueRef::Blob(b"\0\0\0\0\0\0\x40\0\x80\0\0\0\0\0\0\xff"), Ok(plain)),
        (
            "uuid",
            text("{00000000-0000-4000-8000-0000000000ff}"),
            Err(Reason::Unreadable),
        ),
        ("uuid", ValueRef::Blob(b"short"), Err(Reason::Unreadable)),
        ("uuid", text(""), Err(Reason::Unreadable)),
    ]);
}

#[test]
fn lists_are_json_arrays_of_such_elements() {
    check(&[
        ("text[]", text(r#"["a",null,"\u0041"]"#), Ok("[a, NULL, A]")),
        ("text[]", text("[]"), Ok("[]")),
        ("text[]", text("new"), Err(Reason::Unreadable)),
        ("text[]", text("[1]"), Err(Reason::Unreadable)),
        ("bigint[]", text("[9007199254740993]"), Ok("[9007199254740993]")),
        ("bigint[]", text("[1.5]"), Err(Reason::Inexact)),
        ("numeric(7,2)[]", text("[0.10]"), Ok("[0.10]")),
    ]);
}

#[test]
fn the_empty_text_stands_for_what_the_application_means() {
    let one = |ty: &str, empty: Empty| {
        let ty = ColumnType::parse(ty).expect("a type name");
        let mut reader = ColumnReader::new(&ty, empty, 1).expect("a readable type");
        reader.append(text("")).map_err(|fault| fault.reason)?;
        let array = reader.finish().expect("a column");
        Ok(if array.is_null(0) {
            "NULL".to_owned()
        } else {
            format!("{:?}", array.as_ref().slice(0, 1).len())
        })
    };
    assert_eq!(one("timestamptz", Empty::Null), Ok("NULL".to_owned()));
    assert_eq!(one("uuid", Empty::Null), Ok("NULL".to_owned()));
    assert_eq!(one("timestamptz", Empty::Text), Err(Reason::Unreadable));
    assert_eq!(one("text[]", Empty::List), Ok("1".to_owned()));
    assert_eq!(one("text[]", Empty::Text), Err(Reason::Unreadable));
}

#[test]
fn a_value_that_fails_leaves_the_column_as_it_was() {
    for (ty, bad, good, wanted) in [
        ("numeric", "x", "7", "7"),
        ("text[]", r#"["a",1]"#, r#"["b"]"#, "[b]"),
        ("json", "{", "{}", "{}"),
    ] {
        let ty = ColumnType::parse(ty).expect("a type name");
        let mut reader = ColumnReader::new(&ty, Empty::Text, 2).expect("a readable type");
        assert!(reader.append(text(bad)).is_err());
        reader.append_null();
        reader.append(text(good)).expect("a good value");
        let array = reader.finish().expect("a column");
        assert!(array.is_null(0), "{ty}");
        let options = FormatOptions::default().with_null("NULL");
        let formatter = ArrayFormatter::try_new(&array, &options).expect("a formatter");
        assert_eq!(formatter.value(1).to_string(), wanted, "{ty}");
    }
}
