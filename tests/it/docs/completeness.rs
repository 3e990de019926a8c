//! Every key, reason and code of the program is in its page.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema;
use crate::harness::{files_below, repository, text};

/// Names of all properties within a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| properties(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_in_its_page() {
    for (name, path) in [
        ("config", "docs/configuration.md"),
        ("project", "docs/mapping.md"),
        ("mapping", "docs/mapping.md"),
        ("report", "docs/output.md"),
    ] {
        let mut names = BTreeSet::new();
        properties(&schema(name), &mut names);
        let page = text(path);
        for name in names {
            let shown =
                page.contains(&format!("`{name}`")) || page.contains(&format!("[{name}]`")) || page.contains(&format!("[{name}."));
            assert!(shown, "{path} does not tell of `{name}`");
        }
    }
}

#[test]
fn every_reason_of_a_reject_is_in_its_page() {
    let page = text("docs/mapping.md");
    for name in quoted_in("src/data/reject.rs", "const fn name(self)") {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/mapping.md does not tell of `{name}`"
        );
    }
}

/// Texts in the body of a function.
fn quoted_in(path: &str, function: &str) -> Vec<String> {
    let text = text(path);
    let body = text.split(function).nth(1).expect("the function");
    let body = body.split("\n    }\n").next().expect("its end");
    let found: Vec<_> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!found.is_empty(), "{path}: {function}");
    found
}

/// Codes of findings in the program's own files.
fn codes() -> BTreeSet<String> {
    let is_code = |text: &&str| {
        let known = ["config::", "file::", "mapping::", "plan::"]
            .iter()
            .any(|part| text.starts_with(part));
        known && text.chars().all(|c| c.is_ascii_lowercase() || c == ':' || c == '_')
    };
    let mut found = BTreeSet::new();
    for path in files_below(&repository("src"), "rs") {
        let text = std::fs::read_to_string(path).expect("readable");
        found.extend(text.split('"').skip(1).step_by(2).filter(is_code).map(str::to_owned));
    }
    found
}

#[test]
fn every_code_of_a_mistake_is_in_a_page() {
    let found = codes();
    assert!(found.len() > 30, "{found:?}");
    let pages = text("docs/mapping.md") + &text("docs/configuration.md");
    // Names that tests make up end in one letter.
    let untold: Vec<_> = found
        .iter()
        .filter(|code| !code.ends_with("::x") && !pages.contains(&format!("`{code}`")))
        .collect();
    assert!(untold.is_empty(), "{untold:?}");
}
