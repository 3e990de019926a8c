//! Columns that are passed on in the binary form that source and target share.

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array};

use super::*;
use crate::data::stream::ReadColumn;
use crate::transform::sample::{batch, stream, table, text, texts, told};

/// `name type`, with its binary form behind a slash.
fn with_forms(name: &str, columns: &[&str]) -> Table {
    let plain: Vec<&str> = columns.iter().map(|text| text.split('/').next().unwrap_or(text)).collect();
    let mut found = table(name, &plain, &["id"]);
    for (column, text) in found.columns.iter_mut().zip(columns) {
        column.wire = text.split_once('/').map(|(_, form)| form.to_owned());
        if let ColumnType::Bytes = column.ty {
            let name = column.wire.clone().unwrap_or_else(|| "aclitem".to_owned());
            column.ty = ColumnType::Opaque { name };
        }
    }
    found
}

fn source() -> Table {
    with_forms(
        "accounts",
        &[
            "id bigint/bigint",
            "at timestamptz(3)/timestamp with time zone",
            "price numeric(7,2)/numeric",
            "tags text[]/text[]",
            "name text/text",
            "ip bytea/inet",
            "bits bytea/bit#5",
            "acl bytea",
        ],
    )
}

fn target() -> Table {
    with_forms(
        "users",
        &[
            "id bigint not null/bigint",
            "at timestamptz/timestamp with time zone",
            "at_seconds timestamptz(0)/timestamp with time zone",
            "price numeric(9,2)/numeric",
            "price_text text/text",
            "tags text[]/text[]",
            "name text/text",
            "ip bytea not null/inet",
            "bits bytea/bit#6",
            "acl bytea",
        ],
    )
}

fn compile_with(columns: &[(&str, &str)], change: impl FnOnce(&mut Stream)) -> Result<Transform, Vec<String>> {
    let mut stream = stream(&["id"], columns);
    change(&mut stream);
    compile(&stream, &source(), &["id".to_owned()], &target()).map_err(|found| found.iter().map(told).collect())
}

fn reads(transform: &Transform) -> Vec<String> {
    let shown = |read: &ReadColumn| match &read.ty {
        ColumnType::Opaque { name } => format!("{} passed as {name}", read.name),
        ty => format!("{} {ty}", read.name),
    };
    transform.read_columns().iter().map(shown).collect()
}

#[test]
fn what_arrives_as_it_is_is_passed_on_and_all_else_is_read() {
    let bare = [
        ("id", "id"),
        ("at", "at"),
        ("price", "price"),
        ("tags", "tags"),
        ("name", "name"),
        ("ip", "ip"),
    ];
    let compiled = compile_with(&bare, |_| {}).expect("compiles");
    assert_eq!(
        reads(&compiled),
        [
            "id bigint",
            "at passed as timestamp with time zone",
            "price passed as numeric",
            "tags passed as text[]",
            "name text",
            "ip passed as inet",
        ]
    );
    assert!(compiled.keys_distinct());
    let read = |columns: &[(&str, &str)], change: &dyn Fn(&mut Stream)| reads(&compile_with(columns, change).expect("compiles"));
    // Computed with, into narrower limits, into another type, or named otherwise.
    let plain: &dyn Fn(&mut Stream) = &|_| {};
    assert_eq!(
        read(&[("id", "id"), ("at", "at")], &|stream| stream.filter =
            Some(text("at is not null"))),
        ["id bigint", "at timestamptz(3)"]
    );
    assert_eq!(
        read(&[("id", "id"), ("at", "at"), ("at_seconds", "at")], &|stream| stream
            .allow_precision_loss =
            vec![text("at_seconds")]),
        ["id bigint", "at timestamptz(3)"]
    );
    assert_eq!(
        read(&[("id", "id"), ("price", "price"), ("price_text", "price")], plain),
        ["id bigint", "price numeric(7,2)"]
    );
    assert_eq!(
        read(&[("id", "id"), ("price", "price")], &|stream| stream.types =
            texts(&[("price", "numeric(7,2)")])),
        ["id bigint", "price numeric(7,2)"]
    );
    // What is no number of columns stays in its form even where it is looked at.
    assert_eq!(
        read(&[("id", "id"), ("ip", "ip")], &|stream| stream.filter =
            Some(text("ip is not null"))),
        ["id bigint", "ip passed as inet"]
    );
    assert!(compiled.describe().contains("read \"at\" as binary timestamp with time zone"));
}

#[test]
fn passed_values_are_the_same_array_and_say_in_which_form_they_are() {
    let compiled = compile_with(&[("id", "id"), ("price", "price"), ("ip", "ip")], |_| {}).expect("compiles");
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&[1_u8, 2][..]), None, Some(&[])]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::clone(&bytes),
        Arc::clone(&bytes),
    ];
    let done = compiled.apply(&batch(compiled.read_columns(), columns, 3)).expect("applies");
    let form = |at: usize| ColumnType::of_field(done.rows.schema_ref().field(at)).map(|ty| ty.to_string());
    assert_eq!((form(1).as_deref(), form(2).as_deref()), (Some("numeric"), Some("inet")));
    assert_eq!((done.rows.num_rows(), done.rejects.len()), (2, 1), "ip refuses NULL");
    assert_eq!(done.rejects[0].column.as_deref(), Some("ip"));
    assert_eq!(done.rows.column(1).len(), 2);
}

#[test]
fn what_cannot_arrive_is_told_with_both_types() {
    for (columns, change, expected) in [
        (
            &[("id", "id"), ("bits", "bits")][..],
            None,
            "plan::type_mismatch: \"bits\": column `bits` is bit#6, and bit#5 is not interpreted and only passes into a column of the same type (convert it in a `query`, such as bits::text, or make the target column bit#5)",
        ),
        (
            &[("id", "id"), ("name", "ip")],
            None,
            "plan::type_mismatch: \"ip\": column `name` is text, and inet is not interpreted and only passes into a column of the same type (convert it in a `query`, such as ip::text, or make the target column inet)",
        ),
        (
            &[("id", "id"), ("acl", "acl")],
            None,
            "plan::type_mismatch: \"acl\": column `acl` is aclitem, and it has no binary form that means the same in another database (leave it out, or take it as text where that will do: a `query` with acl::text)",
        ),
        (
            &[("id", "id")],
            Some("ip = '1.2.3.4'"),
            "mapping::bare_column_only: \"ip\": `ip` is inet and can only be taken as it is (compute with it in a `query` of the source, such as ip::text)",
        ),
        (
            &[("id", "id")],
            Some("acl is null"),
            "plan::no_form: \"\": `acl` is aclitem, which has no binary form that means the same in another database (look at it in a `query` of the source)",
        ),
    ] {
        let found = compile_with(columns, |stream| stream.filter = change.map(text)).expect_err("does not compile");
        assert_eq!(found, [expected]);
    }
}
