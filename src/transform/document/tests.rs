use std::sync::Arc;

use arrow::array::StringArray;

use crate::data::batch::TargetBatch;
use crate::data::finding::Finding;
use crate::mapping::document::{Absent, Content, Document, Field, Kinds};
use crate::mapping::{Stream, check};
use crate::transform::sample::{batch, shown, stream, table, text, texts, told};
use crate::transform::{Transform, compile};

mod values;

fn field(name: &str, path: &str, ty: &str) -> Field {
    Field {
        name: text(name),
        path: text(path),
        content: Content::Value(text(ty)),
        missing: Absent::Null,
        null: Absent::Null,
    }
}

fn planned(fields: Vec<Field>, target: &str, change: impl FnOnce(&mut Stream)) -> Result<Transform, Vec<Finding>> {
    let mut source = table("source", &["id bigint", "document text flexible"], &["id"]);
    let target = table("target", &["id bigint not null", target], &["id"]);
    let mut stream = stream(&["id"], &[("id", "id"), ("value", "value")]);
    stream.fields = fields;
    change(&mut stream);
    let findings = check::add_fields(&stream, &mut source);
    if !findings.is_empty() {
        return Err(findings);
    }
    compile(&stream, &source, &["id".to_owned()], &target)
}

fn transform(fields: Vec<Field>, target: &str, change: impl FnOnce(&mut Stream)) -> Transform {
    planned(fields, target, change).unwrap_or_else(|found| panic!("{:?}", found.iter().map(told).collect::<Vec<_>>()))
}

fn moved(transform: &Transform, documents: &[Option<&str>]) -> TargetBatch {
    let numbers: Vec<i64> = (0..).take(documents.len()).collect();
    let columns = vec![
        Arc::new(arrow::array::Int64Array::from(numbers)) as _,
        Arc::new(StringArray::from(documents.to_vec())) as _,
    ];
    let names: Vec<&str> = transform.read_columns().iter().map(|read| read.name.as_str()).collect();
    assert_eq!(names, ["id", "document"]);
    transform
        .apply(&batch(transform.read_columns(), columns, documents.len()))
        .expect("a batch")
}

/// What becomes of every document: the value, or `column reason: detail`.
fn outcome(transform: &Transform, documents: &[&str]) -> Vec<String> {
    let documents: Vec<Option<&str>> = documents.iter().copied().map(Some).collect();
    let target = moved(transform, &documents);
    let values = shown(target.rows.column(1));
    let mut all = vec![String::from("left out"); documents.len()];
    for (row, value) in target.origin.iter().zip(values) {
        all[*row as usize] = value;
    }
    for reject in &target.rejects {
        let row: usize = reject.key.to_string().parse().expect("a number");
        let column = reject.column.as_deref().unwrap_or("-");
        all[row] = format!("{column} {}: {}", reject.reason, reject.detail);
        assert!(reject.row.contains("document"), "the whole row is kept");
    }
    all
}

#[test]
fn missing_and_null_are_told_apart() {
    let documents = [r#"{"v":1}"#, r#"{"v":null}"#, "{}", r#"{"w":{"v":1}}"#, "5"];
    let with = |missing, null| {
        let field = Field {
            missing,
            null,
            ..field("value", "/v", "bigint")
        };
        outcome(&transform(vec![field], "value bigint", |_| {}), &documents)
    };
    let missing = "value null_value: /v: missing, which the mapping refuses";
    let null = "value null_value: /v: null, which the mapping refuses";
    assert_eq!(with(Absent::Null, Absent::Null), ["1", "null", "null", "null", "null"]);
    assert_eq!(with(Absent::Null, Absent::Reject), ["1", null, "null", "null", "null"]);
    assert_eq!(with(Absent::Reject, Absent::Null), ["1", "null", missing, missing, missing]);
    assert_eq!(with(Absent::Reject, Absent::Reject), ["1", null, missing, missing, missing]);
    let present = Field {
        content: Content::Present,
        ..field("value", "/v", "")
    };
    assert_eq!(
        outcome(&transform(vec![present], "value boolean", |_| {}), &documents),
        ["true", "true", "false", "false", "false"]
    );
}

#[test]
fn a_row_without_document_has_no_field() {
    let plain = transform(vec![field("value", "/v", "bigint")], "value bigint", |_| {});
    assert_eq!(shown(moved(&plain, &[None, Some("{}")]).rows.column(1)), ["null", "null"]);
}

#[test]
fn paths_lead_through_names_and_numbers() {
    let at = |path: &str, document: &str| {
        outcome(
            &transform(vec![field("value", path, "jsonb")], "value jsonb", |_| {}),
            &[document],
        )
        .remove(0)
    };
    assert_eq!(at("/a/b/0", r#"{"a":{"b":[5]}}"#), "5");
    assert_eq!(at("/a~1b/~0", r#"{"a/b":{"~":6}}"#), "6");
    assert_eq!(at("", r#"{"a": 7}"#), r#"{"a": 7}"#);
    assert_eq!(
        at("/a", r#"{"a":1,"\u0061":2}"#),
        "value json: /a: JSON with the key asked for twice in one object"
    );
    assert_eq!(at("/a", r#"{"b":1,"b":2,"a":3}"#), "3");
    assert_eq!(at("/a", r#"{"a":1"#), "document json: not valid JSON");
}

#[test]
fn a_row_has_its_first_fault_and_leaves_its_neighbours_alone() {
    let must = Field {
        missing: Absent::Reject,
        ..field("must", "/m", "text")
    };
    let both = transform(vec![field("value", "/v", "bigint"), must], "value bigint", |_| {});
    assert_eq!(
        outcome(
            &both,
            &[r#"{"v":1,"m":"x"}"#, r#"{"v":"1"}"#, r#"{"v":1.5}"#, r#"{"v":4,"m":"y"}"#]
        ),
        [
            "1",
            "value unreadable: /v: text where a number is declared",
            "must null_value: /m: missing, which the mapping refuses",
            "4",
        ]
    );
    assert_eq!(
        both.moved_columns(),
        ["id", "document", "value"],
        "a field that nothing takes is not moved"
    );
}

#[test]
fn documents_of_other_kinds_are_left_out_unseen_and_counted() {
    let accounts = transform(vec![field("value", "/v", "bigint")], "value bigint", |stream| {
        stream.document = Some(Document {
            column: None,
            kinds: Some(Kinds {
                path: text("/type"),
                is: vec![text("account"), text("alias")],
            }),
        });
        stream.filter = Some(text("value <> 3"));
    });
    let documents = [
        r#"{"type":"account","v":1}"#,
        r#"{"type":"payment","v":"no number"}"#,
        r#"{"v":2,"\u0074ype":"al\u0069as"}"#,
        r#"{"type":7}"#,
        "{}",
        r#"{"type":"account","v":3}"#,
        r#"{"type":"payment","v":1,"v":2}"#,
        r#"{"type":"account","type":"payment"}"#,
        "{",
        r#"{"type":"account","v":true}"#,
    ];
    assert_eq!(
        outcome(&accounts, &documents),
        [
            "1",
            "left out",
            "2",
            "left out",
            "left out",
            "left out",
            "left out",
            "document json: JSON with the key asked for twice in one object",
            "document json: not valid JSON",
            "value unreadable: /v: a boolean where a number is declared",
        ]
    );
    let target = moved(&accounts, &documents.map(Some));
    assert_eq!((target.filtered, target.kinds.total(), target.kinds.unnamed()), (5, 4, 2));
    assert_eq!(target.kinds.named().collect::<Vec<_>>(), [("payment", 2)]);
}

#[test]
fn fields_are_columns_of_expressions_rules_and_the_fingerprint() {
    let computed = |path: &str, missing| {
        let score = Field {
            missing,
            ..field("score", path, "bigint")
        };
        transform(vec![score, field("tier", "/tier", "text")], "value text", |stream| {
            stream.columns = texts(&[("id", "id"), ("value", "tier || ' ' || score * 2")]);
            stream.rules = texts(&[("positive", "score > 0")]);
        })
    };
    let one = computed("/score", Absent::Null);
    assert_eq!(
        outcome(&one, &[r#"{"score":21,"tier":"free"}"#, r#"{"score":-1,"tier":"free"}"#]),
        ["free 42", "positive rule: rule `positive` is broken"]
    );
    assert_ne!(one.describe(), computed("/points", Absent::Null).describe());
    assert_ne!(one.describe(), computed("/score", Absent::Reject).describe());
    assert_eq!(one.describe(), computed("/score", Absent::Null).describe());
}

#[test]
fn a_plan_tells_what_cannot_be_read() {
    let mistakes = |found: Result<Transform, Vec<Finding>>| found.expect_err("a mistake").iter().map(told).collect::<Vec<_>>();
    let other = |column: &'static str| {
        move |stream: &mut Stream| {
            stream.document = Some(Document {
                column: Some(text(column)),
                kinds: None,
            });
        }
    };
    assert_eq!(
        mistakes(planned(
            vec![field("value", "/v", "bigint")],
            "value bigint",
            other("payload")
        )),
        [
            "plan::no_document: \"'''payload'''\": the source source has no column `payload` with documents (name their column: [stream.document] column = \"…\")"
        ]
    );
    assert_eq!(
        mistakes(planned(vec![field("value", "/v", "bigint")], "value bigint", other("id"))),
        [
            "plan::no_document: \"'''id'''\": `id` is read as bigint, and documents are text or json (name the column of the documents: [stream.document] column = \"…\")"
        ]
    );
    assert_eq!(
        mistakes(planned(vec![field("id", "/id", "bigint")], "value bigint", |_| {})),
        ["mapping::duplicate_column: \"'''id'''\": the source source has a column `id` already (give the field another name)"]
    );
}
