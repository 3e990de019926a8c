//! Columns of views and queries that are columns of a table and nothing else.

use std::collections::HashMap;

use rusqlite::Connection;

use super::failure::reading;
use super::meaning::{Empty, Meaning, Meanings};
use super::pragma::columns;
use crate::Result;
use crate::data::column::ColumnType;

/// Meanings of a view's columns that pass a table's column through.
pub(super) fn view_origins(connection: &Connection, meanings: &Meanings, view: &str) -> Result<HashMap<String, Meaning>> {
    let sql = format!("select * from main.{}", super::statement::quoted(view));
    let statement = connection.prepare(&sql).map_err(reading)?;
    let one_origin = !is_compound(connection, view)?;
    let mut origins = HashMap::new();
    for column in statement.columns_with_metadata() {
        if let (Some(table), Some(origin)) = (column.table_name(), column.origin_name()) {
            let mut meaning = origin_meaning(connection, meanings, table, origin)?;
            if !one_origin {
                meaning.empty = Empty::Text;
            }
            origins.insert(column.name().to_owned(), meaning);
        }
    }
    Ok(origins)
}

pub(super) fn origin_meaning(connection: &Connection, meanings: &Meanings, table: &str, origin: &str) -> Result<Meaning> {
    if let Some(meaning) = meanings.of(table, origin) {
        return Ok(meaning.clone());
    }
    let columns = columns(connection, table)?;
    Ok(match columns.iter().find(|column| column.name == origin) {
        Some(column) => column.meaning(),
        None if ["rowid", "_rowid_", "oid"].contains(&origin) => Meaning {
            ty: ColumnType::Int64,
            empty: Empty::Text,
        },
        None => Meaning::UNKNOWN,
    })
}

/// Whether rows may come from several selects (`union` and its like), in the text itself or in a
/// view that it may name: SQLite then tells the origin of the first one only.
pub(super) fn is_compound(connection: &Connection, sql: &str) -> Result<bool> {
    let mut texts = vec![sql.to_ascii_lowercase()];
    let mut views = connection
        .prepare("select lower(name), lower(sql) from main.sqlite_schema where type = 'view'")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(String, String)>>>()
        })
        .map_err(reading)?;
    while let Some(text) = texts.pop() {
        if ["union", "intersect", "except"].iter().any(|word| text.contains(word)) {
            return Ok(true);
        }
        views.retain(|(name, sql)| {
            let named = text.contains(name.as_str());
            if named {
                texts.push(sql.clone());
            }
            !named
        });
    }
    Ok(false)
}
