//! How a column is written as an expression.

use super::names;
use super::syntax::Text;
use crate::data::column::ColumnType;
use crate::data::finding::{Located, Place};
use crate::data::table::{Column, Table, TableName};

/// Words that PostgreSQL reserves, in order: bare they would be read as columns here, but nowhere
/// else that the expression may be copied to.
const RESERVED: [&str; 78] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "system_user",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// A source column as an expression: its bare name where SQL reads that as a column wherever it
/// stands, else "quoted".
#[must_use]
pub fn column_expression(name: &str) -> String {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let reserved = RESERVED.binary_search(&name.to_ascii_lowercase().as_str()).is_ok();
    if plain && !reserved && super::deep(|| reads_as_column(name)) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A name between double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether the bare name is nothing but that column, in the places where people put columns.
fn reads_as_column(name: &str) -> bool {
    let value = format!("case when {name} is null then coalesce({name}, {name}) || {name}::text else {name} end");
    let sql = Located {
        value,
        place: Place::nowhere(),
    };
    let table = Table::new(TableName::new("source"), vec![Column::new(name, ColumnType::TEXT)]);
    let Ok((text, mut tree)) = Text::parse(&sql) else {
        return false;
    };
    // Exactly the one cast that was written: `date x` and the like would be another.
    names::check(&text, &mut tree, &table).is_ok_and(|found| found.columns == [name] && found.casts.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stand_where_sql_needs_them() {
        for name in [
            "id",
            "createdAt",
            "_x",
            "name",
            "type",
            "status",
            "role",
            "action",
            "content",
            "position",
        ] {
            assert_eq!(column_expression(name), name);
        }
        assert!(RESERVED.is_sorted());
        for name in ["true", "null", "case", "end", "Order", "user", "select", "not", "interval"] {
            assert_eq!(column_expression(name), format!("\"{name}\""));
        }
        for (name, written) in [
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("1st", "\"1st\""),
            ("größe", "\"größe\""),
            ("a.b", "\"a.b\""),
            ("", "\"\""),
        ] {
            assert_eq!(column_expression(name), written);
        }
    }
}
