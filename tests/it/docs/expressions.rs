//! Every expression and every function gives what its page says.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use dbferry::data::batch::SourceBatch;
use dbferry::data::position::{KeyBuffer, KeyRef, Position};
use dbferry::transform;
use serde_json::Value;

use super::examples::{PROJECT, STREAMS, project, shape, users};
use super::{code, table_rows};
use crate::harness::{files_below, repository, text};

/// What an expression gives for a row without values, as text.
fn value(expression: &str) -> Result<Option<String>, String> {
    let columns = format!("[stream.columns]\nid = \"id\"\nout = {}\n", Value::from(expression));
    let project = project(PROJECT, &STREAMS.replace("same_name_columns = true\n", &columns), expression);
    let (source, target) = (users(), shape("players", [("id", "text"), ("out", "text")], false));
    let compiled = transform::compile(&project.streams[0], &source, &source.key, &target)
        .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let read = compiled.read_columns();
    let fields: Vec<_> = read.iter().map(|column| column.ty.field(&column.name, true)).collect();
    let arrays = read.iter().map(|column| match column.name.as_str() {
        "id" => Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
        _ => arrow::array::new_null_array(&column.ty.arrow(), 1),
    });
    let mut keys = KeyBuffer::with_capacity(1);
    keys.push(KeyRef::Text("a"));
    keys.end_row();
    let batch = SourceBatch {
        rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect()).expect("one row"),
        keys: keys.into(),
        rejects: Vec::new(),
        position: Position::End,
        row_json: dbferry::data::render::row_json,
        bytes: 0,
        memory: dbferry::data::memory::Held::default(),
    };
    let written = compiled.apply(&batch).expect("no defect");
    if let Some(reject) = written.rejects.first() {
        return Err(format!("{}: {}", reject.reason, reject.detail));
    }
    let out = written.rows.column_by_name("out").expect("the column").as_string::<i32>();
    Ok(out.is_valid(0).then(|| out.value(0).to_owned()))
}

/// A result in a table: code, or the word NULL.
fn result(cell: &str) -> Option<String> {
    let text = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
    assert!(text.is_some() || cell == "NULL", "{cell}");
    text.map(str::to_owned)
}

#[test]
fn every_expression_gives_what_its_page_says() {
    let page = text("docs/mapping.md");
    for row in table_rows(&page, "| expression | gives |") {
        let expression = row[0].trim_matches('`');
        assert_eq!(value(expression), Ok(result(&row[1])), "{expression}");
    }
}

#[test]
fn every_function_is_in_its_page_and_gives_what_it_says() {
    let page = text("docs/mapping.md");
    let mut told = BTreeSet::new();
    for row in table_rows(&page, "| function | gives | example | result |") {
        let example = row[2].trim_matches('`');
        assert_eq!(value(example), Ok(result(&row[3])), "{example}");
        told.insert(row[0].trim_matches('`').split('(').next().unwrap_or_default().to_owned());
    }
    assert_eq!(told, known());
    for row in table_rows(&page, "| kind | functions |") {
        for name in code(&row[1]) {
            // Without arguments few have a value; but none is unknown or refused as such.
            let outcome = value(&format!("{name}()"));
            let refused = ["unknown_function", "volatile_function", "over_rows"];
            assert!(
                !outcome.is_err_and(|why| refused.iter().any(|code| why.contains(code))),
                "{name}"
            );
        }
    }
}

/// Names of the functions in the program's own table of them.
fn known() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files_below(&repository("src/transform/functions"), "rs") {
        let text = std::fs::read_to_string(path).expect("readable");
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
        found.extend(names.map(str::to_owned));
    }
    found
}
