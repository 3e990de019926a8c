//! Shapes of tables, views and queries, and what reading them in order takes.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::failure::{mapping, reading};
use super::meaning::{Empty, Meaning, Meanings};
use super::origin::{is_compound, origin_meaning, view_origins};
use super::pragma::{
    Declared, Kind, collation_notes, columns, kind, never_null, primary_key, row_id_column, row_id_name, rows_estimate,
    unique_indexes,
};
use crate::data::table::{Column, Fill, Table, TableName};
use crate::{Error, ErrorKind, Result};

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
    /// The column that is the row id.
    pub(super) row_id_column: Option<String>,
}

impl Shape {
    /// What `''` stands for in a column.
    pub(super) fn empty(&self, column: &str) -> Empty {
        self.empties.get(column).copied().unwrap_or(Empty::Text)
    }

    /// What the place of a row is called; `None` where rows have none, or only by a name that a
    /// column has taken.
    pub(super) fn place(&self) -> Option<&str> {
        self.row_id_column.as_deref().or(self.row_id)
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
        row_id_column,
    };
    if let Some(meaning) = meanings.tables.get(&name.name) {
        shape.table.notes.extend(meaning.notes.iter().cloned());
    }
    for column in &columns {
        let is_row_id = Some(&column.name) == shape.row_id_column.as_ref();
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
            text_holds_nul: true,
            ..Table::new(TableName::new("query"), Vec::new())
        },
        empties: HashMap::new(),
        never_null: HashSet::new(),
        tie_breakers: Vec::new(),
        row_id: None,
        row_id_column: None,
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
            wire: None,
            unordered: false,
        });
    }
}
