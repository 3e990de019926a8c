//! JSON texts.

use super::*;
use crate::document::scan;

#[test]
fn documents_arrive_unchanged_or_not_at_all() {
    let all = texts(&[
        r#"{"a": 1, "b": [true, null, 18446744073709551616]}"#,
        r#"{"a": 1, "a": 2}"#,
        r#"{"a": {"b": 1, "\u0062": 2}}"#,
        r#""\u0000""#,
        r#""\ud800""#,
        "plain text",
        "",
        "[1,]",
        "1 2",
        r#""a""#,
    ]);
    let jsonb = cast(&all, "jsonb", STRICT);
    assert_eq!(jsonb[0], r#"{"a": 1, "b": [true, null, 18446744073709551616]}"#);
    assert!(jsonb[1..9].iter().all(|value| value == "!json"), "{jsonb:?}");
    assert_eq!(jsonb[9], r#""a""#);
    let json = cast(&all, "json", STRICT);
    assert_eq!(json[1], r#"{"a": 1, "a": 2}"#, "json keeps the text as it is");
    assert_eq!(json[3], r#""\u0000""#);
    assert!(json[5..9].iter().all(|value| value == "!json"));
    assert_eq!(cast(&all, "jsonb", LOSSY)[1], r#"{"a": 1, "a": 2}"#, "allowed by name");
    let many: Vec<String> = (0..40).map(|n| format!("\"k{}\": 0", n % 39)).collect();
    let many = format!("{{{}}}", many.join(","));
    assert_eq!(cast(&texts(&[&many]), "jsonb", STRICT), ["!json"]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(cast(&texts(&[&deep]), "jsonb", STRICT), ["!json"], "no stack overflow");
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    assert_eq!(cast(&bools, "jsonb", STRICT), ["true", "false"]);
    let numeric = ColumnType::Numeric { limits: None }.field("c", true);
    assert_eq!(
        cast_as(&numeric, &texts(&["1.50", "NaN"]), &ty("jsonb"), STRICT),
        ["1.50", "!json"]
    );
}

/// What is wrong with a document for `jsonb`.
fn fault(text: &str) -> Option<String> {
    let cast = Cast::plan(&Field::new("c", DataType::Utf8, true), &ty("jsonb"), STRICT).expect("possible");
    let faults = cast.run(&texts(&[text])).expect("text").faults;
    faults.into_iter().next().map(|fault| {
        assert_eq!(fault.reason, Reason::Json);
        fault.detail
    })
}

#[test]
fn a_key_twice_is_found_at_any_depth() {
    let twice = Some("JSON with a key twice in one object, of which jsonb keeps only the last".to_owned());
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"[[{"x":{"y":[{"a":1,"\u0061":2}]}}]]"#,
        r#"{"":1,"":2}"#,
        r#"{"\n":1,"\u000a":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
        r#"{"x":{"a":1},"y":[],"x":2}"#,
        r#"{"a":{"b":1,"c":{"d":1},"b":2}}"#,
    ] {
        assert_eq!(fault(text), twice, "{text}");
        assert_eq!(cast(&texts(&[text]), "jsonb", LOSSY), [text], "allowed by name");
        assert_eq!(cast(&texts(&[text]), "json", STRICT), [text], "json keeps both");
    }
    for text in [
        r#"{"a":{"a":{"a":1}}}"#,
        r#"[{"a":1},{"a":1}]"#,
        "{\"a\":1,\"A\":2,\"\u{e1}\":3,\"a\u{301}\":4}",
        r#"{"a":"a","b":"a"}"#,
        r#"{"ab":1,"a":2,"b":3,"\u0061c":4}"#,
    ] {
        assert_eq!(fault(text), None, "{text}");
    }
}

#[test]
fn what_jsonb_cannot_hold_is_refused() {
    let nul = Some("JSON with \\u0000, which jsonb cannot hold".to_owned());
    for text in [r#""\u0000""#, r#"{"\u0000":1}"#, r#"[["a\u0000b"]]"#] {
        assert_eq!(fault(text), nul, "{text}");
        assert_eq!(cast(&texts(&[text]), "json", STRICT), [text]);
    }
    let half = Some("JSON with half a surrogate pair, which jsonb cannot hold".to_owned());
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\udc00\ud800""#,
        r#""\ud800\u0041""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#"{"\uDBFF":0}"#,
    ] {
        assert_eq!(fault(text), half, "{text}");
        assert_eq!(cast(&texts(&[text]), "json", STRICT), [text]);
    }
    assert_eq!(fault(r#""\ud83d\ude00\\u0000\/""#), None, "a pair; a backslash and u0000");
    let number = Some("JSON with a number of more digits than jsonb can hold".to_owned());
    for text in [
        "1e131072".to_owned(),
        "-1E+131072".to_owned(),
        "[1e-16384]".to_owned(),
        "0e-16384".to_owned(),
        "1.0e-16383".to_owned(),
        "1e99999999999".to_owned(),
        format!("1{}", "0".repeat(131_072)),
        format!("0.{}", "0".repeat(16_384)),
    ] {
        assert_eq!(fault(&text), number, "{text:.20}");
        assert_eq!(cast(&texts(&[&text]), "json", STRICT), [text]);
    }
    for text in [
        "1e131071".to_owned(),
        "1e-16383".to_owned(),
        "0e131072".to_owned(),
        "-0".to_owned(),
        "123456789012345678901234567890.123456789012345678901234567890".to_owned(),
        format!("1{}", "0".repeat(131_071)),
        format!("0.{}", "0".repeat(16_383)),
    ] {
        assert_eq!(cast(&texts(&[&text]), "jsonb", STRICT), [text]);
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}0{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for to in ["json", "jsonb"] {
        for text in [nested(1_024), objects(1_024)] {
            assert_eq!(cast(&texts(&[&text]), to, STRICT), [text]);
        }
        for text in [nested(1_025), objects(1_025), nested(1_000_000), "[".repeat(1_000_000)] {
            assert_eq!(cast(&texts(&[&text]), to, STRICT), ["!json"], "{to}");
        }
    }
    assert_eq!(fault(&nested(1_025)).as_deref(), Some("JSON nested more than 1024 deep"));
}

proptest! {
    /// serde_json is another reader of the same grammar.
    #[test]
    fn what_is_json_is_json_for_others_too(text in r#"[\[\]{}:,"a0-9.eE+\-\\u tfn]{0,12}|\[?(-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?|"(a|\\u00e4|\\n)*"|true|null|\{"k":0\})(,1)?\]?"#) {
        let ours = cast(&texts(&[&text]), "json", STRICT) == [text.as_str()];
        prop_assert_eq!(ours, serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn strings_mean_what_they_mean_for_others(inner in r#"([a"\\/bfnrtu0-9A-Fa-f]|\\u[dD][89a-fA-F][0-9a-f]{2}|\\u00[0-9a-f]{2}|[a-z]{3,9}|\x1f|\x7f|ä|😀){0,12}"#) {
        let text = format!("\"{inner}\"");
        let theirs = serde_json::from_str::<String>(&text).ok();
        let mut ours = String::new();
        let mut scan = scan::Scan::new(&text);
        let read = match (scan.next(), scan.finish()) {
            (Ok(Some(scan::Piece::Text(quoted))), Ok(())) => quoted.unescape(&mut ours).is_ok(),
            _ => false,
        };
        prop_assert_eq!(read.then_some(ours), theirs, "{}", text);
    }
}
