//! Indexes that are away for the load of their table, in `dbferry.deferred_index`.
//!
//! An index is dropped in the transaction that records how it was, and forgotten in the one that
//! builds it again: whatever happens between, the record says what is missing. Its definition is
//! the server's own text, with every name qualified.
//!
//! `found` tells which indexes may be away, `away` takes them away, `back` builds them again.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

use super::ledger_table;
use crate::data::table::TableName;
use crate::ledger::deferred::{Deferred, IndexKind};
use crate::postgres::catalog::{CatalogTable, get};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

mod away;
mod back;
mod found;

pub(super) use away::{Load, take_away, would_be_away};
pub(super) use back::build;

/// Name of the table in the ledger's schema.
const NAME: &str = "deferred_index";

/// It is made when the first index is taken away: a ledger without it is one that has none.
const TABLE: &str = r"
create table dbferry.deferred_index (
    project text not null,
    stream text not null,
    table_name text not null,
    name text not null,
    place integer not null,
    kind text not null,
    definition text not null,
    timing text not null,
    unique_columns text[],
    tablespace text not null,
    comment text,
    constraint_comment text,
    clustered boolean not null,
    replica_identity boolean not null,
    statistics text[] not null,
    run uuid not null,
    dropped_at timestamptz not null default clock_timestamp(),
    primary key (table_name, name)
)";

const RECORDED: &str = "select d.stream, (parse_ident(d.table_name))[1], (parse_ident(d.table_name))[2], d.name, d.kind,
         not coalesce((select bool_and(c.complete) from dbferry.checkpoint c
             where c.project = d.project and c.stream = d.stream and c.split >= 0), false)
     from dbferry.deferred_index d";

const fn letter(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::Index => "i",
        IndexKind::UniqueIndex => "n",
        IndexKind::UniqueConstraint => "u",
        IndexKind::PrimaryKey => "p",
    }
}

fn kind_of(letter: &str) -> Result<IndexKind> {
    match letter {
        "i" => Ok(IndexKind::Index),
        "n" => Ok(IndexKind::UniqueIndex),
        "u" => Ok(IndexKind::UniqueConstraint),
        "p" => Ok(IndexKind::PrimaryKey),
        _ => Err(Error::new(
            ErrorKind::Checkpoint,
            "the ledger records an index of an unknown kind as away",
        )),
    }
}

async fn is_there(connection: &mut PgConnection) -> Result<bool> {
    ledger_table::has_table(connection, NAME).await
}

/// Indexes of a project that are away, in the order in which they are to be built.
pub(super) async fn deferred(connection: &mut PgConnection, project: &str) -> Result<Vec<Deferred>> {
    if !is_there(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "{RECORDED} where d.project = $1 order by d.table_name, d.place, d.name"
    )))
    .bind(project)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter().map(deferred_of).collect()
}

/// Indexes of a table that are away, of whatever project.
pub(super) async fn of_table(connection: &mut PgConnection, table: &TableName) -> Result<Vec<Deferred>> {
    if !is_there(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "{RECORDED} where d.table_name = $1 order by d.place, d.name"
    )))
    .bind(quote::table(table)?)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter().map(deferred_of).collect()
}

fn deferred_of(row: &PgRow) -> Result<Deferred> {
    Ok(Deferred {
        stream: get(row, 0)?,
        table: TableName {
            schema: Some(get(row, 1)?),
            name: get(row, 2)?,
        },
        name: get(row, 3)?,
        kind: kind_of(&get::<String>(row, 4)?)?,
        waits: get(row, 5)?,
    })
}

/// Puts what is away back into the shape of a table, for it belongs to the table all the same.
pub(super) async fn complete(connection: &mut PgConnection, found: &mut CatalogTable) -> Result<()> {
    if !is_there(connection).await? {
        return Ok(());
    }
    let rows = sqlx::query(
        "select d.kind, d.unique_columns from dbferry.deferred_index d
         where d.table_name = $1 and d.unique_columns is not null and not exists (
             select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
             where i.indrelid = pg_catalog.to_regclass(d.table_name) and c.relname = d.name)
         order by d.place, d.name",
    )
    .bind(quote::table(&found.table.name)?)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    for row in rows.iter().rev() {
        let columns: Vec<String> = get(row, 1)?;
        if kind_of(&get::<String>(row, 0)?)? == IndexKind::PrimaryKey {
            found.table.key.clone_from(&columns);
        }
        if !found.table.uniques.contains(&columns) {
            found.table.uniques.insert(0, columns);
        }
    }
    Ok(())
}

/// A key is away that is needed for what was asked.
pub(super) fn needed(away: &[Deferred]) -> Error {
    let named: Vec<_> = away.iter().map(Deferred::named).collect();
    Error::new(
        ErrorKind::Busy,
        format!(
            "{} is away for a load, and needed to find rows that are there",
            named.join(", ")
        ),
    )
    .hint("`dbferry run PROJECT` puts back first what is away")
}
