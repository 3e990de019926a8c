//! Finding values in documents.

use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = r#" {"a":{"b":[10,{"c":1.00,"a/b":"s","m~n":2}, [ 7 ]]},"b":null, "":0,"t":"x\"\u00e4\ud83d\ude00\n","0":"zero","\u0061b":true} "#;

fn get(path: &str) -> (Option<String>, Option<String>) {
    (
        one("json_get", vec![text(DOCUMENT), text(path)]),
        one("json_get_text", vec![text(DOCUMENT), text(path)]),
    )
}

#[test]
fn a_path_leads_to_a_value_as_it_is_spelt() {
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(get("/a/b/0"), both("10"));
    assert_eq!(get("/a/b/1/c"), both("1.00"));
    assert_eq!(get("/a/b/2"), both("[ 7 ]"));
    assert_eq!(get("/a/b/2/0"), both("7"));
    assert_eq!(get("/a/b/1/m~0n"), both("2"));
    assert_eq!(get("/a/b/1/a~1b"), (Some(r#""s""#.to_owned()), Some("s".to_owned())));
    assert_eq!(get("/"), both("0"), "the member with the empty name");
    assert_eq!(get(""), both(DOCUMENT.trim()), "the whole document");
    assert_eq!(get("b"), (Some("null".to_owned()), None));
    assert_eq!(get("0"), (Some(r#""zero""#.to_owned()), Some("zero".to_owned())));
    assert_eq!(get("ab"), both("true"), "an escaped name");
    assert_eq!(
        get("t"),
        (Some(r#""x\"\u00e4\ud83d\ude00\n""#.to_owned()), Some("x\"ä😀\n".to_owned()))
    );
    for nothing in [
        "c",
        "/a/c",
        "/a/b/3",
        "/a/b/00",
        "/a/b/-",
        "/a/b/+1",
        "/a/b/0/x",
        "/b/x",
        "/t/0",
        "/a/b/1/c/0",
        "a/b",
    ] {
        assert_eq!(get(nothing), (None, None), "{nothing}");
    }
    assert_eq!(
        one("json_get", vec![text("[1,[2,3],4]"), text("1")]).as_deref(),
        Some("[2,3]"),
        "an element by a bare number"
    );
    assert_eq!(one("json_get_text", vec![text("\"top\""), text("")]).as_deref(), Some("top"));
    let documents = texts(&[Some("{\"a\":1}"), None, Some("{}")]);
    assert_eq!(
        call("json_get", vec![documents.clone(), text("a")]).expect("values"),
        [Some("1".to_owned()), None, None]
    );
    assert_eq!(
        call("json_get", vec![documents.clone(), texts(&[Some("a"), Some("a"), Some("")])]).expect("values"),
        [Some("1".to_owned()), None, Some("{}".to_owned())]
    );
    assert_eq!(
        call("json_get_text", vec![documents, null()]).expect("values"),
        [None, None, None]
    );
}

/// What a lookup says of a document that it refuses.
fn why(document: &str, path: &str) -> &'static str {
    let error = call("json_get_text", vec![texts(&[Some(document)]), text(path)]).expect_err("refused");
    said(&error).expect("one of our sentences")
}

#[test]
fn a_document_that_is_none_or_ambiguous_is_refused() {
    for broken in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "1 2",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "nul",
        "truex",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"",
        "[}",
        "{]",
        "]",
        ",",
        "{\"a\":}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "\u{feff}1",
        "'a'",
        "NaN",
        "[1],",
    ] {
        assert_eq!(why(broken, "a"), "not valid JSON", "{broken}");
    }
}

#[test]
fn an_ambiguous_or_endless_document_is_refused() {
    assert_eq!(
        why(r#"{"a":1,"\u0061":2}"#, "a"),
        "JSON with the key asked for twice in one object"
    );
    assert_eq!(
        why(r#"{"a":{"b":1},"x":0,"a":{}}"#, "/a/b"),
        "JSON with the key asked for twice in one object"
    );
    assert_eq!(
        one(
            "json_get",
            vec![text(r#"{"x":1,"x":2,"a":{"x":1,"x":2}, "b":{"a":0}}"#), text("/b/a")]
        )
        .as_deref(),
        Some("0")
    );
    assert_eq!(
        why(r#"{"a":"\ud800"}"#, "a"),
        "JSON with half a surrogate pair, which jsonb cannot hold"
    );
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(one("json_get", vec![text(&nested(1_024)), text("/0/0/1")]), None);
    assert_eq!(why(&nested(1_025), "a"), "JSON nested more than 1024 deep");
    assert_eq!(why(&"[".repeat(1_000_000), "a"), "JSON nested more than 1024 deep");
    assert!(
        fails("json_get", vec![texts(&[Some("{}")]), text("/a~2")]).contains("neither a name nor a JSON pointer"),
        "while planning"
    );
    let error = call("json_get", vec![text("{}"), texts(&[Some("/a~")])]).expect_err("refused");
    assert_eq!(said(&error), Some(pointer::BAD_PATH));
    let error = call("parse_json", vec![text("secret")]).expect_err("refused");
    assert_eq!(said(&error), Some("not valid JSON"));
    assert!(!error.to_string().contains("secret"));
    assert_eq!(said(&DataFusionError::Execution("secret".to_owned())), None);
}

proptest! {
    #[test]
    fn paths_agree_with_serde(value in document(), path in "(/(a|b|0|1|~0|~1)?){0,4}") {
        let json = value.to_string();
        let found = one("json_get", vec![text(&json), text(&path)]);
        prop_assert_eq!(found, value.pointer(&path).map(ToString::to_string));
    }
}

/// Documents whose members are found by the paths above now and then.
fn document() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab01/~]?", inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
