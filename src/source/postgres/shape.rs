//! Shapes of tables, views and queries, with what reading them in order takes.

use sqlx::postgres::PgColumn;
use sqlx::{Column as _, PgConnection};

use super::failure;
use crate::data::column::ColumnType;
use crate::data::stream::Origin;
use crate::data::table::{Column, Table, TableName};
use crate::postgres::catalog::{self, get, id_of};
use crate::postgres::error::classify;
use crate::postgres::wire_type::resolve;
use crate::postgres::{quote, type_row};
use crate::{Error, ErrorKind, Result};

/// The collation that a database gives where a column names none.
const DEFAULT_COLLATION: i64 = 100;

/// What a stream reads from.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) table: Table,
    /// Object id, if it is a relation.
    pub(super) oid: Option<i64>,
    /// What stands behind `from`; its alias is `s`.
    pub(super) from: String,
    /// Per column, in the same order.
    facts: Vec<Fact>,
}

/// What ordering and comparing by a column takes.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// Type that a text of a value is cast to.
    pub(super) cast: String,
    /// Quoted collation, where it is not the database's own.
    pub(super) collation: Option<String>,
    /// Texts that are not the same bytes may be equal, or nobody knows whether.
    pub(super) loose: bool,
}

impl Shape {
    /// A column with its facts.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] for a column that is not there.
    pub(super) fn column(&self, name: &str) -> Result<(&Column, &Fact)> {
        let at = self.table.columns.iter().position(|column| column.name == name);
        at.map(|at| (&self.table.columns[at], &self.facts[at]))
            .ok_or_else(|| Error::new(ErrorKind::Mapping, format!("`{}` has no column `{name}`", self.table.name)))
    }

    /// Whether the database itself sees to it that no two rows share these columns' values.
    pub(super) fn is_unique(&self, key: &[String]) -> bool {
        let never_null = |column: &String| self.table.column(column).is_some_and(|column| !column.nullable);
        self.table
            .uniques
            .iter()
            .any(|unique| unique.iter().all(|column| key.contains(column) && never_null(column)))
    }
}

/// Shape of what a stream reads.
///
/// # Errors
/// [`ErrorKind::Mapping`] where there is no such table, or the query is not valid.
pub(super) async fn shape(connection: &mut PgConnection, origin: &Origin) -> Result<Shape> {
    match origin {
        Origin::Query { sql } => query(connection, sql).await,
        Origin::Table(name) => table(connection, name)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Mapping, format!("the source has no table or view `{name}`"))),
    }
}

/// Shape of a table or view; `None` where there is none of exactly that name.
pub(super) async fn table(connection: &mut PgConnection, name: &TableName) -> Result<Option<Shape>> {
    let Some(oid) = find(connection, name).await? else {
        return Ok(None);
    };
    let Some(found) = catalog::table_of(connection, oid).await? else {
        return Ok(None);
    };
    let rows = sqlx::query(
        "select a.atttypid::int8, a.attcollation::int8 from pg_catalog.pg_attribute a
         where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum",
    )
    .bind(oid)
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let kinds: Vec<(i64, i64)> = rows
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect::<Result<_>>()?;
    let mut facts = facts(connection, &kinds).await?;
    for (fact, detail) in facts.iter_mut().zip(&found.details) {
        fact.loose |= detail.loose;
    }
    Ok(Some(Shape {
        from: format!("{} as s", quote::table(&found.table.name)?),
        oid: Some(oid),
        table: found.table,
        facts,
    }))
}

/// The relation of a name: the one that the search path finds, or would find if the role might
/// use its schema, so that a missing privilege is told from a missing table.
pub(super) async fn find(connection: &mut PgConnection, name: &TableName) -> Result<Option<i64>> {
    quote::table(name)?;
    let row = sqlx::query(
        "select c.oid::int8 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f') and case when $2::text is not null then n.nspname = $2
             else pg_catalog.pg_table_is_visible(c.oid)
                 or n.nspname = current_user and current_setting('search_path') like '%\"$user\"%'
                 or n.nspname = any (select pg_catalog.btrim(part, ' \"')
                     from unnest(pg_catalog.string_to_array(current_setting('search_path'), ',')) part) end
         order by pg_catalog.pg_table_is_visible(c.oid) desc, n.nspname limit 1",
    )
    .bind(&name.name)
    .bind(&name.schema)
    .fetch_optional(connection)
    .await
    .map_err(|error| classify(&error))?;
    row.map(|row| get(&row, 0)).transpose()
}

/// Per type and collation.
async fn facts(connection: &mut PgConnection, kinds: &[(i64, i64)]) -> Result<Vec<Fact>> {
    let (types, collations): (Vec<i64>, Vec<i64>) = kinds.iter().copied().unzip();
    let rows = sqlx::query(
        "select pg_catalog.format_type((with recursive based as (
                 select t.oid, t.typbasetype, t.typtype from pg_catalog.pg_type t where t.oid = k.type::oid
                 union all
                 select t.oid, t.typbasetype, t.typtype from based b join pg_catalog.pg_type t on t.oid = b.typbasetype
                 where b.typtype = 'd') select oid from based where typtype <> 'd'), -1),
             case when k.collated <> $3 then quote_ident(n.nspname) || '.' || quote_ident(l.collname) end,
             coalesce(not l.collisdeterministic, false)
         from unnest($1::int8[], $2::int8[]) with ordinality k(type, collated, place)
         left join pg_catalog.pg_collation l on l.oid = k.collated::oid
         left join pg_catalog.pg_namespace n on n.oid = l.collnamespace
         order by k.place",
    )
    .bind(types)
    .bind(collations)
    .bind(DEFAULT_COLLATION)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            Ok(Fact {
                cast: get(row, 0)?,
                collation: get(row, 1)?,
                loose: get(row, 2)?,
            })
        })
        .collect()
}

/// Shape of a query: one statement that gives rows with distinct column names. It is prepared
/// alone, then as the subquery that it is read as, so that nothing can reach out of it.
pub(super) async fn query(connection: &mut PgConnection, sql: &str) -> Result<Shape> {
    let statement = failure::prepare(connection, sql, "query").await?;
    if statement.columns.is_empty() {
        return Err(
            Error::new(ErrorKind::Mapping, "the query is not a statement that only reads rows")
                .hint("write one `select`, `with … select` or `values` statement"),
        );
    }
    if !statement.parameters.is_empty() {
        return Err(Error::new(
            ErrorKind::Mapping,
            "the query has parameters, which nothing gives a value to",
        ));
    }
    let from = format!("(\n{sql}\n) as s");
    failure::prepare(connection, &format!("select s.* from {from}"), "query").await?;
    let kinds = origins(connection, &statement.columns).await?;
    let ids: Vec<i64> = kinds.iter().map(|(id, ..)| *id).collect();
    let types = type_row::types(connection, &ids).await?;
    let facts_of: Vec<(i64, i64)> = kinds.iter().map(|(id, _, collation)| (*id, *collation)).collect();
    let mut facts = facts(connection, &facts_of).await?;
    let mut columns: Vec<Column> = Vec::new();
    for ((column, (id, modifier, collation)), fact) in statement.columns.iter().zip(kinds).zip(&mut facts) {
        if columns.iter().any(|other| other.name == column.name()) {
            return Err(Error::new(
                ErrorKind::Mapping,
                format!("the query has two columns named `{}`", column.name()),
            )
            .hint("give each its own name with `as`"));
        }
        let resolved = resolve(&types, id_of(id)?, modifier);
        // What an expression is collated by is not told.
        let unknown = collation == 0 && matches!(resolved.ty, ColumnType::Text { .. });
        fact.loose |= resolved.loose || unknown;
        columns.push(Column {
            wire: resolved.wire,
            ..Column::new(column.name(), resolved.ty)
        });
    }
    Ok(Shape {
        table: Table::new(TableName::new("query"), columns),
        oid: None,
        from,
        facts,
    })
}

/// Type, modifier and collation of a query's columns. The last two are told only of those that
/// are a table's column and nothing else.
async fn origins(connection: &mut PgConnection, columns: &[PgColumn]) -> Result<Vec<(i64, i32, i64)>> {
    let relations: Vec<Option<i64>> = columns
        .iter()
        .map(|column| column.relation_id().map(|id| i64::from(id.0)))
        .collect();
    let numbers: Vec<Option<i16>> = columns.iter().map(PgColumn::relation_attribute_no).collect();
    let rows = sqlx::query(
        "select coalesce(a.atttypmod, -1), coalesce(a.attcollation::int8, 0)
         from unnest($1::int8[], $2::int2[]) with ordinality o(relation, number, place)
         left join pg_catalog.pg_attribute a on a.attrelid = o.relation::oid and a.attnum = o.number
         order by o.place",
    )
    .bind(relations)
    .bind(numbers)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    columns
        .iter()
        .zip(&rows)
        .map(|(column, row)| {
            let id = column.type_info().oid().map(|id| i64::from(id.0));
            let id = id.ok_or_else(|| Error::new(ErrorKind::Internal, "a column of the query has no type"))?;
            Ok((id, get(row, 0)?, get(row, 1)?))
        })
        .collect()
}
