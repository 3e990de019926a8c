//! Targets that have no types of their own: every column takes the type of its expression.

use arrow::datatypes::Schema;

use crate::data::column::ColumnType;
use crate::data::finding::Finding;
use crate::data::keyed::Layout;
use crate::data::table::{Column, Table};
use crate::mapping::Stream;

use super::expression::Parsed;
use super::reading;

/// The shape of what a stream that writes keys writes: a column for each of its mapping, of the
/// type that its expression has when source columns are read as `[stream.types]` or the source
/// itself says. Columns whose expression has no such type are left out, and told.
#[must_use]
pub fn natural(stream: &Stream, layout: &Layout, source: &Table) -> (Table, Vec<Finding>) {
    let read = source.columns.iter().map(|column| {
        let ty = reading::named(&stream.types, &column.name).map_or_else(|| column.ty.clone(), |(_, ty)| ty);
        ty.field(&column.name, true)
    });
    let schema = Schema::new(read.collect::<Vec<_>>());
    let mut findings = Vec::new();
    let mut columns = Vec::new();
    for (name, sql) in &stream.columns {
        // What cannot be read is told by compiling.
        let Ok(parsed) = Parsed::read(sql, source) else { continue };
        match ty(&parsed, &schema, &name.value) {
            Ok(ty) => columns.push(Column {
                nullable: layout.takes_null(&name.value),
                ..Column::new(&name.value, ty)
            }),
            Err(finding) => findings.push(finding),
        }
    }
    let target = Table {
        // Values are bytes.
        text_holds_nul: true,
        ..Table::new(stream.to.value.table.clone(), columns)
    };
    (target, findings)
}

fn ty(parsed: &Parsed<'_>, schema: &Schema, column: &str) -> Result<ColumnType, Finding> {
    let compiled = parsed.compile(schema)?;
    let finding = |message: String, help: &str| {
        let finding = parsed.finding("plan::type_mismatch", message);
        finding.label(format!("this is {}", compiled.type_name())).help(help)
    };
    match ColumnType::of_field(compiled.field()).map(written) {
        None => Err(finding(
            format!("what is written of column `{column}` has no type that can be told"),
            "give it one: null::text, say",
        )),
        Some(ColumnType::Opaque { name }) => Err(finding(
            format!("column `{column}` is {name}, which is not interpreted"),
            "convert it in a `query` of the source, such as column::text",
        )),
        Some(ty) => Ok(ty),
    }
}

/// Labels are texts where nothing limits them.
fn written(ty: ColumnType) -> ColumnType {
    match ty {
        ColumnType::Enum { .. } => ColumnType::TEXT,
        ColumnType::List(element) => ColumnType::List(Box::new(written(*element))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::keyed::{Collision, KeyType, Moments, Pattern};
    use crate::transform::compile;
    use crate::transform::sample::{stream, table, texts, told};

    fn layout(pattern: &str, values: &[&str]) -> Layout {
        Layout {
            pattern: Pattern::parse(pattern).expect("a pattern"),
            key_type: KeyType::Hash,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            score: None,
            expiry: None,
            moments: Moments::Rfc3339,
            collision: Collision::Reject,
        }
    }

    #[test]
    fn columns_have_the_types_of_what_fills_them() {
        let mut source = table(
            "users",
            &[
                "id bigint not null",
                "name varchar(5)",
                "at timestamp(3)",
                "price numeric(7,2)",
                "tags text[]",
                "xp double precision flexible",
                "kind text",
            ],
            &["id"],
        );
        source.columns[6].ty = ColumnType::Enum {
            name: "kind".to_owned(),
            labels: std::sync::Arc::new(["a".to_owned()]),
        };
        let columns = [
            ("id", "id"),
            ("name", "name"),
            ("at", "at"),
            ("price", "price"),
            ("tags", "tags"),
            ("xp", "xp"),
            ("kind", "kind"),
            ("more", "xp + 1"),
            ("upper", "upper(name)"),
        ];
        let mut stream = stream(&["id"], &columns);
        stream.types = texts(&[("xp", "bigint")]);
        let names: Vec<&str> = columns[1..].iter().map(|(name, _)| *name).collect();
        let (target, found) = natural(&stream, &layout("u:{id}", &names), &source);
        assert!(found.is_empty(), "{:?}", found.iter().map(told).collect::<Vec<_>>());
        let types: Vec<_> = target.columns.iter().map(|column| column.ty.to_string()).collect();
        assert_eq!(
            types,
            [
                "bigint",
                "text",
                "timestamp",
                "numeric(7,2)",
                "text[]",
                "bigint",
                "text",
                "bigint",
                "text"
            ]
        );
        assert!(!target.columns[0].nullable && target.columns[1].nullable);
        let compiled = compile(&stream, &source, &["id".to_owned()], &target);
        let compiled = compiled.unwrap_or_else(|found| panic!("{:?}", found.iter().map(told).collect::<Vec<_>>()));
        assert!(compiled.keys_distinct());
    }

    #[test]
    fn what_has_no_type_is_told_once() {
        let mut source = table("users", &["id bigint not null", "ip text", "name text"], &["id"]);
        source.columns[1].ty = ColumnType::Opaque { name: "inet".to_owned() };
        source.columns[1].wire = Some("inet".to_owned());
        let stream = stream(
            &["id"],
            &[("id", "id"), ("ip", "ip"), ("wrong", "name + 1"), ("typo", "nmae")],
        );
        let (target, found) = natural(&stream, &layout("u:{id}", &["ip", "wrong", "typo"]), &source);
        assert_eq!(target.columns.len(), 1);
        let mut found: Vec<_> = found.iter().map(told).collect();
        found.extend(
            compile(&stream, &source, &["id".to_owned()], &target)
                .err()
                .iter()
                .flatten()
                .map(told),
        );
        assert_eq!(
            found,
            [
                r#"plan::type_mismatch: "ip": column `ip` is inet, which is not interpreted (convert it in a `query` of the source, such as column::text)"#,
                r#"mapping::wrong_operands: "name + 1": `+` does not work between text and bigint (cast one of them, as in id::text)"#,
                r#"mapping::unknown_column: "nmae": the source users has no column `nmae` (did you mean `name`?)"#,
            ]
        );
    }
}
