//! Orphans: rows that refer to nothing by a key which is away. They are found by the server and
//! kept in temporary tables of the session, however many they are; rows of the source then tell
//! which of them are theirs, and take them out again.

use arrow::record_batch::RecordBatch;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::delete::without_triggers;
use super::session::execute;
use super::target::Target;
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::{Removal, Suspended};
use crate::postgres::catalog::get;
use crate::postgres::copy::copy_in;
use crate::postgres::encode::WireTable;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Keys of the orphans.
pub(super) const ORPHANS: &str = "pg_temp.dbferry_orphans";
/// Keys of the rows at hand, and their numbers from 1.
const AT_HAND: &str = "pg_temp.dbferry_at_hand";
/// Column of the numbers.
const NUMBER: &str = "\"dbferry number\"";

/// Finds the orphans of the target's table; returns their number.
pub(super) async fn find(connection: &mut PgConnection, target: &Target, key: &Suspended) -> Result<u64> {
    let row =
        sqlx::query("select coalesce(bool_or(match_full), false) from dbferry.foreign_key where table_name = $1 and name = $2")
            .bind(quote::table(&key.table)?)
            .bind(&key.key.name)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
    let match_full = get(&row, 0)?;
    let table = rows_of(connection, &target.table).await?;
    let referred = rows_of(connection, &quote::table(&key.key.table)?).await?;
    let keys = quote::idents(target.key.iter().map(String::as_str))?;
    let found = orphans(target, key, &table, &referred, match_full)?;
    let text = format!(
        "drop table if exists {ORPHANS}, {AT_HAND};
         create temporary table dbferry_orphans as {found};
         analyze {ORPHANS};
         create temporary table dbferry_at_hand as select {keys} from {table} with no data;
         alter table {AT_HAND} add column {NUMBER} bigint generated always as identity"
    );
    execute(connection, &text)
        .await
        .map_err(|error| error.during("looking for rows that refer to nothing"))?;
    super::count(connection, ORPHANS).await
}

/// How a query names the rows that a foreign key holds for: those of tables that inherit from an
/// ordinary one are none of its own.
async fn rows_of(connection: &mut PgConnection, table: &str) -> Result<String> {
    let row = sqlx::query("select relkind = 'p' from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1)")
        .bind(table)
        .fetch_optional(connection)
        .await
        .map_err(|error| classify(&error))?;
    match row.as_ref().map(|row| get(row, 0)).transpose()? {
        Some(true) => Ok(table.to_owned()),
        Some(false) => Ok(format!("only {table}")),
        None => Err(Error::new(ErrorKind::Missing, format!("table {table} is gone"))),
    }
}

fn orphans(target: &Target, key: &Suspended, table: &str, referred: &str, match_full: bool) -> Result<String> {
    let broken = broken(&key.key, referred, match_full)?;
    let (mut keys, mut heads, mut result) = (Vec::new(), Vec::new(), Vec::new());
    for (number, name) in target.key.iter().enumerate() {
        let name = quote::ident(name)?;
        keys.push(format!("o.{name}"));
        result.push(format!("k{number} as {name}"));
        heads.push(format!("k{number}"));
    }
    if key.key.table != key.table {
        return Ok(format!("select distinct {} from {table} o where {broken}", keys.join(", ")));
    }
    // What refers to an orphan is one when that is gone.
    let mut same = Vec::new();
    for (number, (column, reference)) in key.key.columns.iter().zip(&key.key.references).enumerate() {
        keys.push(format!("o.{}", quote::ident(reference)?));
        heads.push(format!("r{number}"));
        same.push(format!("o.{} = d.r{number}", quote::ident(column)?));
    }
    let (keys, heads) = (keys.join(", "), heads.join(", "));
    Ok(format!(
        "with recursive doomed({heads}) as (
             select {keys} from {table} o where {broken}
             union
             select {keys} from {table} o join doomed d on {}
         ) select distinct {} from doomed",
        same.join(" and "),
        result.join(", ")
    ))
}

/// The condition that a row `o` breaks the key.
fn broken(key: &ForeignKey, referred: &str, match_full: bool) -> Result<String> {
    let (mut given, mut null, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for (column, reference) in key.columns.iter().zip(&key.references) {
        let (column, reference) = (quote::ident(column)?, quote::ident(reference)?);
        given.push(format!("o.{column} is not null"));
        null.push(format!("o.{column} is null"));
        same.push(format!("p.{reference} = o.{column}"));
    }
    let missing = format!("not exists (select from {referred} p where {})", same.join(" and "));
    Ok(if match_full {
        format!("({}) and ({} or {missing})", given.join(" or "), null.join(" or "))
    } else {
        format!("{} and {missing}", given.join(" and "))
    })
}

/// Deletes those of the rows that are orphans, within a batch.
pub(super) async fn remove(
    connection: &mut PgConnection,
    target: &Target,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<Removal> {
    let found = at_hand(connection, target, rows, buffer).await?;
    if found.is_empty() {
        return Ok(Removal::Removed(found));
    }
    let mut same = Vec::new();
    let mut orphan = Vec::new();
    for name in &target.key {
        let name = quote::ident(name)?;
        same.push(format!("o.{name} = s.{name}"));
        orphan.push(format!("d.{name} = s.{name}"));
    }
    let (same, orphan) = (same.join(" and "), orphan.join(" and "));
    let doomed = format!(
        "from {AT_HAND} s join {ORPHANS} d on {orphan} join {} o on {same}",
        target.table
    );
    // Whoever begins to refer to them from here on waits for us.
    execute(connection, &format!("select 1 {doomed} for update of o")).await?;
    let referred = referring(connection, target, &doomed).await?;
    if !referred.is_empty() {
        return Ok(Removal::Referred(referred));
    }
    let gone = format!(
        "delete from {} o using {AT_HAND} s, {ORPHANS} d where {same} and {orphan}",
        target.table
    );
    let refused = |error: &sqlx::Error| classify(error).during("taking out rows that refer to nothing");
    let gone = without_triggers(connection, target, gone, refused).await?;
    if gone != found.len() as u64 {
        return Err(Error::new(
            ErrorKind::Validation,
            format!(
                "{} rows that refer to nothing were to be taken out, but {gone} were",
                found.len(),
            ),
        ));
    }
    execute(
        connection,
        &format!("delete from {ORPHANS} d using {AT_HAND} s where {orphan}"),
    )
    .await?;
    Ok(Removal::Removed(found))
}

/// Which of the rows are orphans.
async fn at_hand(connection: &mut PgConnection, target: &Target, rows: &RecordBatch, buffer: &mut Vec<u8>) -> Result<Vec<usize>> {
    let mut at = Vec::new();
    for name in &target.key {
        let found = target.wire.columns.iter().position(|column| column.name == *name);
        at.push(found.ok_or_else(|| Error::new(ErrorKind::Internal, "a key column that the stream does not write"))?);
    }
    let wire = WireTable {
        columns: at.iter().map(|at| target.wire.columns[*at].clone()).collect(),
        ..WireTable::default()
    };
    let rows = rows
        .project(&at)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take the key out of a batch").because(error))?;
    execute(connection, &format!("truncate {AT_HAND} restart identity")).await?;
    let names = quote::idents(target.key.iter().map(String::as_str))?;
    let copy = format!("copy {AT_HAND} ({names}) from stdin (format binary)");
    copy_in(connection, &copy, &rows, &wire, buffer).await?;
    let mut same = Vec::new();
    for name in &target.key {
        let name = quote::ident(name)?;
        same.push(format!("d.{name} = s.{name}"));
    }
    let found = connection
        .fetch_all(AssertSqlSafe(format!(
            "select s.{NUMBER} - 1 from {AT_HAND} s where exists (select from {ORPHANS} d where {}) order by 1",
            same.join(" and ")
        )))
        .await
        .map_err(|error| classify(&error))?;
    let number = |row| usize::try_from(get::<i64>(row, 0)?).map_err(|_| Error::new(ErrorKind::Internal, "a row without a number"));
    found.iter().map(number).collect()
}

/// Foreign keys by which rows refer to the doomed ones.
async fn referring(connection: &mut PgConnection, target: &Target, doomed: &str) -> Result<Vec<Suspended>> {
    let mut found = Vec::new();
    for key in referring_keys(connection, &target.table).await? {
        let (table, same) = (quote::table(&key.table)?, refers(&key.key)?);
        let row = connection
            .fetch_one(AssertSqlSafe(format!(
                "select exists (select {doomed} join {table} x on {same})"
            )))
            .await
            .map_err(|error| classify(&error))?;
        if get(&row, 0)? {
            found.push(key);
        }
    }
    Ok(found)
}

/// The condition that a row `x` refers to a row `o`.
pub(super) fn refers(key: &ForeignKey) -> Result<String> {
    let mut same = Vec::new();
    for (column, reference) in key.columns.iter().zip(&key.references) {
        same.push(format!("x.{} = o.{}", quote::ident(column)?, quote::ident(reference)?));
    }
    Ok(same.join(" and "))
}

/// Foreign keys that refer to a table.
pub(super) async fn referring_keys(connection: &mut PgConnection, table: &str) -> Result<Vec<Suspended>> {
    let rows = sqlx::query(
        "select n.nspname::text, c.relname::text, f.conname::text, f.convalidated,
             array(select a.attname::text from unnest(f.conkey) with ordinality k(number, n)
                   join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number order by k.n),
             array(select a.attname::text from unnest(f.confkey) with ordinality k(number, n)
                   join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.number order by k.n),
             pg_catalog.pg_has_role(c.relowner, 'usage') and f.conparentid = 0, t.nspname::text, r.relname::text
         from pg_catalog.pg_constraint f
         join pg_catalog.pg_class c on c.oid = f.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_class r on r.oid = f.confrelid join pg_catalog.pg_namespace t on t.oid = r.relnamespace
         where f.confrelid = pg_catalog.to_regclass($1) and f.contype = 'f' and (f.conparentid = 0 or
             not exists (select from pg_catalog.pg_constraint p where p.oid = f.conparentid and p.confrelid = f.confrelid))
         order by f.oid",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            Ok(Suspended {
                stream: String::new(),
                table: TableName {
                    schema: Some(get(row, 0)?),
                    name: get(row, 1)?,
                },
                key: ForeignKey {
                    name: get(row, 2)?,
                    columns: get(row, 4)?,
                    table: TableName {
                        schema: Some(get(row, 7)?),
                        name: get(row, 8)?,
                    },
                    references: get(row, 5)?,
                    removable: get(row, 6)?,
                },
                validated: get(row, 3)?,
                until: Vec::new(),
            })
        })
        .collect()
}
