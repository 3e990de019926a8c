//! What SQLite itself tells of a table: columns, keys, indexes, estimates.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _};

use super::declared;
use super::failure::reading;
use super::meaning::{Empty, Meaning};
use crate::Result;
use crate::data::table::Fill;

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    WithoutRowId,
    View,
    Virtual,
}

/// A column as `pragma table_xinfo` tells it.
pub(super) struct Declared {
    pub(super) name: String,
    ty: String,
    not_null: bool,
    has_default: bool,
    key_place: i64,
    generated: bool,
}

impl Declared {
    pub(super) fn meaning(&self) -> Meaning {
        Meaning {
            ty: declared::column_type(&self.ty),
            empty: Empty::Text,
        }
    }

    pub(super) const fn fill(&self, is_row_id: bool) -> Fill {
        if self.generated {
            Fill::Generated
        } else if is_row_id {
            Fill::Sequence
        } else if self.has_default {
            Fill::Default
        } else {
            Fill::Nothing
        }
    }
}

pub(super) fn kind(connection: &Connection, name: &str) -> Result<Option<Kind>> {
    let found = connection
        .query_row(
            "select type, wr from pragma_table_list where schema = 'main' and name = ?1",
            [name],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)),
        )
        .optional()
        .map_err(reading)?;
    Ok(found.map(|(ty, without_row_id)| match ty.as_str() {
        "view" => Kind::View,
        "virtual" => Kind::Virtual,
        _ if without_row_id => Kind::WithoutRowId,
        _ => Kind::Table,
    }))
}

pub(super) fn columns(connection: &Connection, table: &str) -> Result<Vec<Declared>> {
    let list = || {
        connection
            .prepare(
                "select name, type, \"notnull\", dflt_value is not null, pk, hidden \
                 from pragma_table_xinfo(?1, 'main') where hidden <> 1 order by cid",
            )?
            .query_map([table], |row| {
                Ok(Declared {
                    name: row.get(0)?,
                    ty: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                    not_null: row.get(2)?,
                    has_default: row.get(3)?,
                    key_place: row.get(4)?,
                    generated: row.get::<_, i64>(5)? > 1,
                })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    list().map_err(reading)
}

pub(super) fn never_null(kind: Kind, columns: &[Declared], row_id: Option<&str>) -> HashSet<String> {
    let holds_none = |column: &&Declared| {
        column.not_null || (kind == Kind::WithoutRowId && column.key_place > 0) || Some(column.name.as_str()) == row_id
    };
    columns.iter().filter(holds_none).map(|column| column.name.clone()).collect()
}

pub(super) fn primary_key(columns: &[Declared]) -> Vec<String> {
    let mut key: Vec<_> = columns.iter().filter(|column| column.key_place > 0).collect();
    key.sort_by_key(|column| column.key_place);
    key.into_iter().map(|column| column.name.clone()).collect()
}

pub(super) fn row_id_name(columns: &[Declared]) -> Option<&'static str> {
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)))
}

/// The column that is another name for the row id: the only one of a primary key that needs no
/// index of its own.
pub(super) fn row_id_column(connection: &Connection, table: &str, columns: &[Declared]) -> Result<Option<String>> {
    let mut key = primary_key(columns);
    if key.len() != 1 {
        return Ok(None);
    }
    let indexed: bool = connection
        .query_row(
            "select exists (select 1 from pragma_index_list(?1, 'main') where origin = 'pk')",
            [table],
            |row| row.get(0),
        )
        .map_err(reading)?;
    Ok(if indexed { None } else { key.pop() })
}

/// Column sets with a plain unique index. What is unique under NOCASE or RTRIM is so byte for
/// byte; an application's own collation may say anything.
pub(super) fn unique_indexes(connection: &Connection, table: &str) -> Result<Vec<Vec<String>>> {
    let list = || {
        let mut indexes: Vec<(i64, bool, Vec<String>)> = Vec::new();
        let mut statement = connection.prepare(
            "select l.seq, x.name, x.cid, x.coll in ('BINARY', 'NOCASE', 'RTRIM') \
             from pragma_index_list(?1, 'main') l, pragma_index_xinfo(l.name, 'main') x \
             where l.\"unique\" = 1 and l.partial = 0 and x.key = 1 order by l.seq desc, x.seqno",
        )?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let sequence = row.get(0)?;
            if indexes.last().is_none_or(|(last, ..)| *last != sequence) {
                indexes.push((sequence, true, Vec::new()));
            }
            let plain = row.get::<_, i64>(2)? >= 0 && row.get(3)?;
            if let Some((_, all_plain, columns)) = indexes.last_mut() {
                *all_plain &= plain;
                columns.extend(row.get::<_, Option<String>>(1)?);
            }
        }
        rusqlite::Result::Ok(indexes)
    };
    let indexes = list().map_err(reading)?;
    Ok(indexes
        .into_iter()
        .filter_map(|(_, plain, columns)| plain.then_some(columns))
        .collect())
}

pub(super) fn collation_notes(connection: &Connection, kind: Kind, table: &str, key: &[String]) -> Vec<String> {
    if !matches!(kind, Kind::Table | Kind::WithoutRowId) {
        return Vec::new();
    }
    let collation = |column: &String| {
        let (_, collation, ..) = connection.column_metadata(Some("main"), table, column.as_str()).ok()?;
        let collation = collation?.to_str().ok()?;
        (!collation.eq_ignore_ascii_case("binary")).then(|| {
            format!("key column `{column}` compares by {collation}: its rows are sorted byte by byte before the first is read")
        })
    };
    key.iter().filter_map(collation).collect()
}

/// What `analyze` last counted.
pub(super) fn rows_estimate(connection: &Connection, table: &str) -> Option<u64> {
    let stat: String = connection
        .query_row(
            "select stat from sqlite_stat1 where tbl = ?1 order by idx is not null limit 1",
            [table],
            |row| row.get(0),
        )
        .ok()?;
    stat.split_ascii_whitespace().next()?.parse().ok()
}
