//! Values of every type, exact or refused.

use super::*;

/// What becomes of the values of `/v` in a column of the type of the field.
fn read(ty: &str, values: &[&str]) -> Vec<String> {
    let documents: Vec<String> = values.iter().map(|value| format!("{{\"v\": {value} }}")).collect();
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
    outcome(
        &transform(vec![field("value", "/v", ty)], &format!("value {ty}"), |_| {}),
        &documents,
    )
}

#[test]
fn integers_keep_every_digit_or_are_refused() {
    assert_eq!(
        read(
            "bigint",
            &[
                "9007199254740993",
                "-9223372036854775808",
                "1.7e12",
                "1700000000000.0",
                "-0",
                "1E2",
                "100e-2"
            ]
        ),
        [
            "9007199254740993",
            "-9223372036854775808",
            "1700000000000",
            "1700000000000",
            "0",
            "100",
            "1"
        ]
    );
    assert_eq!(
        read(
            "bigint",
            &["1.5", "9223372036854775808", "1e400", "\"7\"", "true", "{}", "[7]"]
        ),
        [
            "value inexact: /v: the numeric value has no exact form in bigint",
            "value out_of_range: /v: does not fit bigint",
            "value out_of_range: /v: does not fit bigint",
            "value unreadable: /v: text where a number is declared",
            "value unreadable: /v: a boolean where a number is declared",
            "value unreadable: /v: an object where a number is declared",
            "value unreadable: /v: an array where a number is declared",
        ]
    );
    assert_eq!(
        read("integer", &["2147483647", "2147483648"]),
        ["2147483647", "value out_of_range: /v: does not fit integer"]
    );
}

#[test]
fn decimals_and_floats_are_exact() {
    let digits = "123456789012345678901234567890.1234567890123456789012345";
    assert_eq!(read("numeric", &[digits, "1.50", "1e3"]), [digits, "1.50", "1000"]);
    assert_eq!(
        read("numeric(7,2)", &["12.50", "12.505", "100000"]),
        [
            "12.50",
            "value inexact: /v: the numeric value has no exact form in numeric(7,2)",
            "value out_of_range: /v: does not fit numeric(7,2)",
        ]
    );
    assert_eq!(
        read("double precision", &["0.1", "9007199254740993"]),
        [
            "0.1",
            "value inexact: /v: the numeric value has no exact form in double precision"
        ]
    );
}

#[test]
fn each_type_is_read_from_its_own_kind_of_value() {
    assert_eq!(
        read("text", &[r#""a\u00e4\n""#, r#""""#, "5"]),
        ["aä\n", "", "value unreadable: /v: a number where text is declared"]
    );
    assert_eq!(
        read("boolean", &["true", "false", "1", r#""true""#]),
        [
            "true",
            "false",
            "value unreadable: /v: a number where true or false is declared",
            "value unreadable: /v: text where true or false is declared",
        ]
    );
    assert_eq!(
        read(
            "timestamptz",
            &[r#""2024-02-29T12:00:00.5Z""#, r#""2024-02-30""#, "1700000000000"]
        ),
        [
            "2024-02-29T12:00:00.500Z",
            "value unreadable: /v: the text value is not a valid timestamptz",
            "value unreadable: /v: a number where text is declared",
        ]
    );
    assert_eq!(
        read(
            "jsonb",
            &[r#"{"b" : [1.0], "a":null}"#, "1.7e12", r#""x""#, r#"{"a":1,"a":2}"#]
        ),
        [
            r#"{"b" : [1.0], "a":null}"#,
            "1.7e12",
            r#""x""#,
            "value json: JSON with a key twice in one object, of which jsonb keeps only the last",
        ]
    );
    assert_eq!(
        read("varchar(2)", &[r#""ab""#, r#""abc""#, r#""\ud800""#]),
        [
            "ab",
            "value too_long: /v: longer than varchar(2) allows",
            "value unreadable: /v: JSON with half a surrogate pair, which jsonb cannot hold",
        ]
    );
}

#[test]
fn arrays_become_lists_of_elements_of_one_kind() {
    assert_eq!(
        read("bigint[]", &["[]", "[1, 2e1,null]", "[1,\"2\"]", "[1.5]", "{}", "[[1]]"]),
        [
            "[]",
            "[1, 20, ]",
            "value unreadable: /v: text where a number is declared",
            "value inexact: /v: the numeric[] value has no exact form in bigint[]",
            "value unreadable: /v: an object where an array is declared",
            "value unreadable: /v: an array where a number is declared",
        ]
    );
    assert_eq!(read("text[]", &[r#"["a","\u0062"]"#]), ["[a, b]"]);
    assert_eq!(read("boolean[]", &["[true,false]"]), ["[true, false]"]);
    assert_eq!(read("jsonb[]", &[r#"[{"a":[1,{}]}, 2, "x"]"#]), [r#"[{"a":[1,{}]}, 2, "x"]"#]);
}
