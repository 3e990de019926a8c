//! Shapes of tables, views and queries, and what reading them in order takes.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _};

use super::declared;
use super::failure::{mapping, reading};
use crate::data::column::ColumnType;
use crate::data::table::{Column, Fill, Table, TableName};
use crate::{Error, ErrorKind, Result};

/// What an application says about its columns beyond their declarations.
#[derive(Debug, Default)]
pub(in crate::source) struct Meanings {
    /// By table name, then column name.
    pub(in crate::source) tables: HashMap<String, TableMeaning>,
}

/// Meaning of one table's columns.
#[derive(Debug, Default)]
pub(in crate::source) struct TableMeaning {
    /// By column name.
    pub(in crate::source) columns: HashMap<String, Meaning>,
    /// What the operator should know.
    pub(in crate::source) notes: Vec<String>,
}

/// Meaning of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Meaning {
    /// Type of its values.
    pub(in crate::source) ty: ColumnType,
    /// What `''` stands for.
    pub(in crate::source) empty: Empty,
}

/// What an application means by the empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Empty {
    /// Itself.
    Text,
    /// That there is no value.
    Null,
    /// That there are no elements.
    List,
}

impl Meanings {
    fn of(&self, table: &str, column: &str) -> Option<&Meaning> {
        self.tables.get(table)?.columns.get(column)
    }
}

/// A table's shape, and what only the reader needs to know.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) table: Table,
    /// Columns in which `''` stands for something else.
    empties: HashMap<String, Empty>,
    /// Columns that never hold a stored NULL.
    never_null: HashSet<String>,
    /// What makes any order of the rows total: the row id under an unshadowed name, or the
    /// primary key of a table without one. Empty for views, virtual tables and queries.
    pub(super) tie_breakers: Vec<String>,
    /// Name of the row id, if the table has one that can be named.
    pub(super) row_id: Option<&'static str>,
}

impl Shape {
    /// What `''` stands for in a column.
    pub(super) fn empty(&self, column: &str) -> Empty {
        self.empties.get(column).copied().unwrap_or(Empty::Text)
    }

    /// Whether these columns tell every row from every other.
    pub(super) fn is_unique(&self, key: &[String]) -> bool {
        let in_key = |column: &String| key.contains(column);
        self.row_id.is_some_and(|id| key.iter().any(|column| column == id))
            || self
                .table
                .uniques
                .iter()
                .any(|unique| unique.iter().all(|column| in_key(column) && self.never_null.contains(column)))
    }
}

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    WithoutRowId,
    View,
    Virtual,
}

/// Names of all tables and views that an application made.
pub(super) fn names(connection: &Connection) -> Result<Vec<TableName>> {
    let list = || {
        connection
            .prepare(
                "select name from pragma_table_list where schema = 'main' and type <> 'shadow' \
                 and name not like 'sqlite\\_%' escape '\\' and name not like 'dbferry\\_%' escape '\\' order by name",
            )?
            .query_map([], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()
    };
    Ok(list().map_err(reading)?.into_iter().map(TableName::new).collect())
}

/// Shape of a table or view; `None` where there is none of exactly that name.
pub(super) fn table(connection: &Connection, meanings: &Meanings, name: &TableName) -> Result<Option<Shape>> {
    if name.schema.as_deref().is_some_and(|schema| schema != "main") {
        return Ok(None);
    }
    let Some(kind) = kind(connection, &name.name)? else {
        return Ok(None);
    };
    let columns = columns(connection, &name.name)?;
    let row_id = (kind == Kind::Table).then(|| row_id_name(&columns)).flatten();
    let row_id_column = (kind == Kind::Table)
        .then(|| row_id_column(connection, &name.name, &columns))
        .transpose()?
        .flatten();
    let mut key = primary_key(&columns);
    let mut uniques = unique_indexes(connection, &name.name)?;
    if !key.is_empty() && !uniques.contains(&key) {
        uniques.insert(0, key.clone());
    }
    let mut notes = collation_notes(connection, kind, &name.name, &key);
    if kind == Kind::Table && key.is_empty() {
        match row_id {
            Some(id) => {
                key.push(id.to_owned());
                uniques.push(key.clone());
            }
            None => notes.push("all names of its row id are taken by columns: it has no key to go on after".to_owned()),
        }
    }
    let never_null = never_null(kind, &columns, row_id_column.as_deref());
    let origins = match kind {
        Kind::View => view_origins(connection, meanings, &name.name)?,
        _ => HashMap::new(),
    };
    let meaning = |column: &Declared| {
        meanings
            .of(&name.name, &column.name)
            .or_else(|| origins.get(&column.name))
            .cloned()
            .unwrap_or_else(|| column.meaning())
    };
    let mut shape = Shape {
        table: Table {
            name: name.clone(),
            columns: Vec::with_capacity(columns.len()),
            key,
            uniques,
            foreign_keys: Vec::new(),
            rows_estimate: rows_estimate(connection, &name.name),
            text_holds_nul: true,
            notes,
        },
        empties: HashMap::new(),
        tie_breakers: match kind {
            Kind::Table => row_id.map(str::to_owned).into_iter().collect(),
            Kind::WithoutRowId => primary_key(&columns),
            Kind::View | Kind::Virtual => Vec::new(),
        },
        never_null,
        row_id,
    };
    if let Some(meaning) = meanings.tables.get(&name.name) {
        shape.table.notes.extend(meaning.notes.iter().cloned());
    }
    for column in &columns {
        let is_row_id = Some(&column.name) == row_id_column.as_ref();
        let nullable = !shape.never_null.contains(&column.name);
        shape.push(&column.name, meaning(column), nullable, column.fill(is_row_id));
    }
    Ok(Some(shape))
}

/// Shape of a query: one read-only statement that gives rows with distinct column names. It is
/// prepared alone, then as the subquery that it is read as, so that nothing can reach out of it.
pub(super) fn query(connection: &Connection, meanings: &Meanings, sql: &str) -> Result<Shape> {
    if sql.contains('\0') {
        return Err(Error::new(ErrorKind::Mapping, "the query contains a NUL character"));
    }
    let statement = connection.prepare(sql).map_err(mapping)?;
    if !statement.readonly() || statement.column_count() == 0 || statement.is_explain() != 0 {
        return Err(
            Error::new(ErrorKind::Mapping, "the query is not a statement that only reads rows")
                .hint("write one `select`, `with … select` or `values` statement"),
        );
    }
    if statement.parameter_count() > 0 {
        return Err(Error::new(
            ErrorKind::Mapping,
            "the query has parameters, which nothing gives a value to",
        ));
    }
    connection.prepare(&format!("select * from (\n{sql}\n)")).map_err(mapping)?;
    let mut shape = Shape {
        table: Table {
            name: TableName::new("query"),
            columns: Vec::new(),
            key: Vec::new(),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            rows_estimate: None,
            text_holds_nul: true,
            notes: Vec::new(),
        },
        empties: HashMap::new(),
        never_null: HashSet::new(),
        tie_breakers: Vec::new(),
        row_id: None,
    };
    let one_origin = !is_compound(connection, sql)?;
    for column in statement.columns_with_metadata() {
        if shape.table.column(column.name()).is_some() {
            return Err(Error::new(
                ErrorKind::Mapping,
                format!("the query has two columns named `{}`", column.name()),
            )
            .hint("give each its own name with `as`"));
        }
        let mut meaning = match (column.table_name(), column.origin_name()) {
            (Some(table), Some(origin)) => origin_meaning(connection, meanings, table, origin)?,
            _ => Meaning::UNKNOWN,
        };
        if !one_origin {
            meaning.empty = Empty::Text;
        }
        shape.push(column.name(), meaning, true, Fill::Nothing);
    }
    Ok(shape)
}

impl Meaning {
    /// Of a column that is the result of an expression.
    const UNKNOWN: Self = Self {
        ty: ColumnType::TEXT,
        empty: Empty::Text,
    };
}

impl Shape {
    fn push(&mut self, name: &str, meaning: Meaning, nullable: bool, fill: Fill) {
        if meaning.empty != Empty::Text {
            self.empties.insert(name.to_owned(), meaning.empty);
        }
        self.table.columns.push(Column {
            name: name.to_owned(),
            ty: meaning.ty,
            nullable: nullable || meaning.empty == Empty::Null,
            fill,
            flexible: true,
        });
    }
}

/// A column as `pragma table_xinfo` tells it.
struct Declared {
    name: String,
    ty: String,
    not_null: bool,
    has_default: bool,
    key_place: i64,
    generated: bool,
}

impl Declared {
    fn meaning(&self) -> Meaning {
        Meaning {
            ty: declared::column_type(&self.ty),
            empty: Empty::Text,
        }
    }

    const fn fill(&self, is_row_id: bool) -> Fill {
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

fn kind(connection: &Connection, name: &str) -> Result<Option<Kind>> {
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

fn columns(connection: &Connection, table: &str) -> Result<Vec<Declared>> {
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

fn never_null(kind: Kind, columns: &[Declared], row_id: Option<&str>) -> HashSet<String> {
    let holds_none = |column: &&Declared| {
        column.not_null || (kind == Kind::WithoutRowId && column.key_place > 0) || Some(column.name.as_str()) == row_id
    };
    columns.iter().filter(holds_none).map(|column| column.name.clone()).collect()
}

fn primary_key(columns: &[Declared]) -> Vec<String> {
    let mut key: Vec<_> = columns.iter().filter(|column| column.key_place > 0).collect();
    key.sort_by_key(|column| column.key_place);
    key.into_iter().map(|column| column.name.clone()).collect()
}

fn row_id_name(columns: &[Declared]) -> Option<&'static str> {
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| !columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)))
}

/// The column that is another name for the row id: the only one of a primary key that needs no
/// index of its own.
fn row_id_column(connection: &Connection, table: &str, columns: &[Declared]) -> Result<Option<String>> {
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
fn unique_indexes(connection: &Connection, table: &str) -> Result<Vec<Vec<String>>> {
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

fn collation_notes(connection: &Connection, kind: Kind, table: &str, key: &[String]) -> Vec<String> {
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
fn rows_estimate(connection: &Connection, table: &str) -> Option<u64> {
    let stat: String = connection
        .query_row(
            "select stat from sqlite_stat1 where tbl = ?1 order by idx is not null limit 1",
            [table],
            |row| row.get(0),
        )
        .ok()?;
    stat.split_ascii_whitespace().next()?.parse().ok()
}

/// Meanings of a view's columns that pass a table's column through.
fn view_origins(connection: &Connection, meanings: &Meanings, view: &str) -> Result<HashMap<String, Meaning>> {
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

fn origin_meaning(connection: &Connection, meanings: &Meanings, table: &str, origin: &str) -> Result<Meaning> {
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
fn is_compound(connection: &Connection, sql: &str) -> Result<bool> {
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
