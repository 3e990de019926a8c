//! The JSON Schemas: those of the program, with a word on every key, and as strict as it is.

use std::fs;
use std::path::Path;

use dbferry::config::load::{self, Config};
use dbferry::mapping::{check, file};
use dbferry::verify::{ledger, report};
use serde_json::Value;

use super::{COLUMNS, faults, stream};
use crate::harness::{files_below, repository};

/// Schema files with what the program says.
fn schemas() -> [(&'static str, Value); 5] {
    [
        ("config.schema.json", load::json_schema()),
        ("project.schema.json", file::project_json_schema()),
        ("mapping.schema.json", file::mapping_json_schema()),
        ("report.schema.json", report::json_schema()),
        ("ledger-report.schema.json", ledger::report::json_schema()),
    ]
}

#[test]
fn schemas_are_those_of_the_program() {
    for (name, schema) in schemas() {
        let path = repository("config/schema").join(name);
        let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &text).expect("written");
        }
        let checked_in = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == text,
            "{} is not what the program says: UPDATE_SCHEMAS=1 cargo test --test it schemas",
            path.display()
        );
    }
}

#[test]
fn schemas_document_every_key() {
    fn walk(path: &str, schema: &Value) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, value) in properties {
                let path = format!("{path}.{key}");
                assert!(value["description"].is_string(), "{path} has no description");
                walk(&path, value);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
                walk(path, inner);
            }
        }
    }
    for (name, schema) in schemas() {
        walk(name, &schema);
    }
}

/// What a schema says against a file.
fn faults_of(schema: &Value, path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("readable");
    faults(schema, &text).expect("TOML")
}

#[test]
fn schemas_accept_every_shipped_file_and_so_does_the_program() {
    let [config, project, mapping, ..] = schemas().map(|(_, schema)| schema);
    let configs = files_below(&repository("config"), "toml");
    assert!(configs.len() >= 2);
    for path in configs {
        assert_eq!(faults_of(&config, &path), [""; 0], "{}", path.display());
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        Config::load(&repository("config"), name).expect("a good file");
    }
    for path in files_below(&repository("mappings"), "toml") {
        let is_project = path.ends_with("project.toml");
        let schema = if is_project { &project } else { &mapping };
        assert_eq!(faults_of(schema, &path), [""; 0], "{}", path.display());
        if is_project {
            let loaded = file::load_any(path.parent().expect("a folder")).expect("good form");
            let development = Config::load(&repository("config"), "development").expect("a good file");
            assert_eq!(check::alone(&loaded, &development.connections()), []);
        }
    }
}

#[test]
fn schemas_refuse_what_the_program_refuses() {
    let [config, _, mapping, ..] = schemas().map(|(_, schema)| schema);
    let refused = |schema: &Value, text: &str| !faults(schema, text).expect("TOML").is_empty();
    for text in [
        "colour = 1",
        "[connection.a]\nkind = 'postgres'\npath = { value = 'x' }",
        "[connection.a]\nkind = 'sqlite'\npath = 'x'",
        "[connection.a]\nkind = 'sqlite'\npath = { env = 'A', value = 'x' }",
        "[limits]\nbatch_rows_max = 0",
        "[connection.a]\nkind = 'sqlite'\npath = { env = 'A', optional = true }",
    ] {
        assert!(refused(&config, text), "{text}");
    }
    let cosmos = |lines: &str| {
        format!("[connection.a]\nkind = 'cosmos'\ndatabase = {{ env = 'D' }}\ncontainers = {{ c = {{ env = 'C' }} }}\n{lines}")
    };
    let (endpoint, key) = ("endpoint = { env = 'E' }\n", "key = { env = 'K', optional = true }\n");
    let string = "connection_string = { env = 'S', optional = true }\n";
    let credential = "credential = 'developer'\n";
    for lines in [
        &[endpoint, key][..],
        &[endpoint, key, string],
        &[string],
        &[endpoint, credential],
    ] {
        let text = cosmos(&lines.concat());
        assert_eq!(faults(&config, &text).expect("TOML"), [""; 0], "{text}");
    }
    for lines in [
        &[endpoint][..],
        &[key],
        &[credential],
        &[endpoint, key, credential],
        &[string, "url = { env = 'U' }"],
        &[string, "pages_in_flight_max = 0"],
        &[string, "endpoint = { env = 'E', optional = true }"],
        &[endpoint, "key = { env = 'K', default = 'aHVu', optional = true }"],
    ] {
        let text = cosmos(&lines.concat());
        assert!(refused(&config, &text), "{text}");
    }
    assert!(!refused(&mapping, &stream("players", COLUMNS)));
    assert!(refused(&mapping, &stream("players", "on_conflict = 'upsert'")));
    assert!(refused(
        &mapping,
        &stream("players", "query = { connection = 'a', sql = 'b' }")
    ));
}
