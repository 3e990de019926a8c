//! Collections as PocketBase describes them, and what their fields mean as columns.
//!
//! `_collections` is trusted, not the tables' DDL, which varies with a database's age. Two
//! generations describe fields differently:
//!
//! | generation | fields in | options of a field | system columns |
//! |---|---|---|---|
//! | 0.23 and newer | `fields` | beside its name and type | listed |
//! | 0.22 and older | `schema` | in its `options` | implied |

use std::collections::HashMap;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::data::column::ColumnType;
use crate::source::sqlite::{Empty, Meaning, Meanings, TableMeaning};
use crate::{Error, ErrorKind, Result};

/// How fields are described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// `_collections.fields`.
    Fields,
    /// `_collections.schema`.
    Schema,
}

/// A field as both generations describe it; what is not listed here does not matter.
#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Value,
    #[serde(default, rename = "maxSelect")]
    max_select: Value,
    #[serde(default, rename = "onlyInt")]
    only_int: bool,
}

/// Reads what all collections mean.
///
/// # Errors
/// [`ErrorKind::Unreadable`] where this is not a PocketBase database.
pub(super) fn meanings(connection: &Connection) -> Result<Meanings> {
    let generation = generation(connection)?;
    let column = match generation {
        Generation::Fields => "fields",
        Generation::Schema => "schema",
    };
    let list = || {
        connection
            .prepare(&format!("select name, type, cast(\"{column}\" as text) from _collections"))?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<Vec<(String, String, String)>>>()
    };
    let rows = list().map_err(|_| Error::new(ErrorKind::Unreadable, "the list of collections cannot be read"))?;
    let mut meanings = Meanings::default();
    for (name, kind, fields) in rows {
        let fields: Vec<Field> = serde_json::from_str(&fields).map_err(|error| {
            Error::new(
                ErrorKind::Unreadable,
                format!("the fields of collection `{name}` are not described as PocketBase does"),
            )
            .hint("the database may be of a newer generation of PocketBase than this version knows")
            .because(error)
        })?;
        let meaning = table(generation, &kind, &fields);
        meanings.tables.insert(name, meaning);
    }
    Ok(meanings)
}

fn generation(connection: &Connection) -> Result<Generation> {
    let columns = || {
        connection
            .prepare("select name from pragma_table_xinfo('_collections', 'main')")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()
    };
    let columns = columns().map_err(|_| Error::new(ErrorKind::Unreadable, "the list of collections cannot be read"))?;
    let has = |name: &str| columns.iter().any(|column| column == name);
    if has("fields") {
        Ok(Generation::Fields)
    } else if has("schema") {
        Ok(Generation::Schema)
    } else {
        Err(Error::new(
            ErrorKind::Unreadable,
            "this is an SQLite database, but not one of PocketBase: it has no `_collections`",
        )
        .hint("for any other SQLite database say `kind = \"sqlite\"`"))
    }
}

fn table(generation: Generation, kind: &str, fields: &[Field]) -> TableMeaning {
    let mut columns = match generation {
        Generation::Fields => HashMap::new(),
        Generation::Schema => implied(kind),
    };
    let mut notes = Vec::new();
    for field in fields {
        let meaning = meaning(generation, field).unwrap_or_else(|| {
            notes.push(format!(
                "field `{}` is of the type `{}`, which this version does not know: it is read as text",
                field.name, field.kind
            ));
            plain(ColumnType::TEXT)
        });
        columns.insert(field.name.clone(), meaning);
    }
    TableMeaning { columns, notes }
}

const fn plain(ty: ColumnType) -> Meaning {
    Meaning { ty, empty: Empty::Text }
}

const fn empty_is_null(ty: ColumnType) -> Meaning {
    Meaning { ty, empty: Empty::Null }
}

const DATE: ColumnType = ColumnType::Timestamp { digits: 3, zoned: true };

/// Columns that 0.22 does not list.
fn implied(kind: &str) -> HashMap<String, Meaning> {
    let mut columns = vec![
        ("id", plain(ColumnType::TEXT)),
        ("created", empty_is_null(DATE)),
        ("updated", empty_is_null(DATE)),
    ];
    if kind == "auth" {
        columns.extend([
            ("username", plain(ColumnType::TEXT)),
            ("email", plain(ColumnType::TEXT)),
            ("emailVisibility", plain(ColumnType::Bool)),
            ("verified", plain(ColumnType::Bool)),
            ("tokenKey", plain(ColumnType::TEXT)),
            ("passwordHash", plain(ColumnType::TEXT)),
            ("lastResetSentAt", empty_is_null(DATE)),
            ("lastVerificationSentAt", empty_is_null(DATE)),
            ("lastLoginAlertSentAt", empty_is_null(DATE)),
        ]);
    }
    columns
        .into_iter()
        .map(|(name, meaning)| (name.to_owned(), meaning))
        .collect()
}

/// What a field's column holds; `None` for a type that is not known.
fn meaning(generation: Generation, field: &Field) -> Option<Meaning> {
    Some(match field.kind.as_str() {
        "text" | "email" | "url" | "editor" | "password" => plain(ColumnType::TEXT),
        "number" if field.only_int || field.options["noDecimal"] == true => plain(ColumnType::Int64),
        "number" => plain(ColumnType::Float64),
        "bool" => plain(ColumnType::Bool),
        "date" | "autodate" => empty_is_null(DATE),
        "select" | "file" | "relation" if is_multiple(generation, field) => Meaning {
            ty: ColumnType::List(Box::new(ColumnType::TEXT)),
            empty: Empty::List,
        },
        "select" | "file" | "relation" => empty_is_null(ColumnType::TEXT),
        "json" | "geoPoint" => plain(ColumnType::Json { binary: false }),
        _ => return None,
    })
}

/// As PocketBase itself decides it: more than one, and in 0.22 also a relation without limit.
fn is_multiple(generation: Generation, field: &Field) -> bool {
    let max_select = match generation {
        Generation::Fields => &field.max_select,
        Generation::Schema => &field.options["maxSelect"],
    };
    let unlimited = generation == Generation::Schema && field.kind == "relation" && max_select.is_null();
    unlimited || max_select.as_f64().is_some_and(|most| most > 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(generation: Generation, field: &str) -> Option<(String, Empty)> {
        let field: Field = serde_json::from_str(field).expect("a field");
        meaning(generation, &field).map(|meaning| (meaning.ty.to_string(), meaning.empty))
    }

    #[test]
    fn every_field_type_of_the_current_generation() {
        for (field, ty, empty) in [
            (r#"{"name":"a","type":"text"}"#, "text", Empty::Text),
            (r#"{"name":"a","type":"email"}"#, "text", Empty::Text),
            (r#"{"name":"a","type":"url"}"#, "text", Empty::Text),
            (r#"{"name":"a","type":"editor"}"#, "text", Empty::Text),
            (r#"{"name":"a","type":"password"}"#, "text", Empty::Text),
            (
                r#"{"name":"a","type":"number","onlyInt":false}"#,
                "double precision",
                Empty::Text,
            ),
            (r#"{"name":"a","type":"number","onlyInt":true}"#, "bigint", Empty::Text),
            (r#"{"name":"a","type":"bool"}"#, "boolean", Empty::Text),
            (r#"{"name":"a","type":"date"}"#, "timestamptz(3)", Empty::Null),
            (r#"{"name":"a","type":"autodate"}"#, "timestamptz(3)", Empty::Null),
            (r#"{"name":"a","type":"select","maxSelect":1}"#, "text", Empty::Null),
            (r#"{"name":"a","type":"select","maxSelect":3}"#, "text[]", Empty::List),
            (r#"{"name":"a","type":"file","maxSelect":0}"#, "text", Empty::Null),
            (r#"{"name":"a","type":"relation"}"#, "text", Empty::Null),
            (r#"{"name":"a","type":"relation","maxSelect":999}"#, "text[]", Empty::List),
            (r#"{"name":"a","type":"json"}"#, "json", Empty::Text),
            (r#"{"name":"a","type":"geoPoint"}"#, "json", Empty::Text),
        ] {
            assert_eq!(read(Generation::Fields, field), Some((ty.to_owned(), empty)), "{field}");
        }
        assert_eq!(read(Generation::Fields, r#"{"name":"a","type":"vector"}"#), None);
    }

    #[test]
    fn options_of_the_older_generation() {
        for (field, ty) in [
            (r#"{"name":"a","type":"number","options":{"noDecimal":true}}"#, "bigint"),
            (
                r#"{"name":"a","type":"number","options":{"noDecimal":false}}"#,
                "double precision",
            ),
            (r#"{"name":"a","type":"select","options":{"maxSelect":2}}"#, "text[]"),
            (r#"{"name":"a","type":"select","options":{"maxSelect":1}}"#, "text"),
            (r#"{"name":"a","type":"relation","options":{"maxSelect":null}}"#, "text[]"),
            (r#"{"name":"a","type":"relation","options":{"maxSelect":1}}"#, "text"),
            (r#"{"name":"a","type":"file","options":{}}"#, "text"),
        ] {
            assert_eq!(
                read(Generation::Schema, field).map(|(ty, _)| ty).as_deref(),
                Some(ty),
                "{field}"
            );
        }
    }
}
