//! Taking indexes and keys away, all of a table in one transaction.

use sqlx::PgConnection;
use uuid::Uuid;

use super::found::{self, Candidates, Found};
use super::{NAME, TABLE, letter};
use crate::data::stream::StreamTarget;
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::Suspended;
use crate::ledger::deferred::{Deferral, Deferred};
use crate::postgres::catalog::{self, CatalogTable, get};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::sink::postgres::foreign_key::{self, Taker};
use crate::sink::postgres::ledger_table;
use crate::sink::postgres::session::execute;
use crate::{Error, ErrorKind, Result};

/// Taken while indexes are taken away, so that two streams whose tables refer to each other do not
/// wait for each other.
const DEFERRING_LOCK: i64 = 0x6462_6669_6478_0000;
/// How long a lock on a table is waited for: whoever comes after waits as long.
const LOCK_WAIT: &str = "3s";

/// The load that indexes are away for.
pub(in crate::sink::postgres) struct Load<'a> {
    pub(in crate::sink::postgres) project: &'a str,
    pub(in crate::sink::postgres) run: Uuid,
    pub(in crate::sink::postgres) target: &'a StreamTarget,
}

/// Columns in which all rows of a stream are known to differ; none where nothing is known.
fn distinct(target: &StreamTarget) -> &[String] {
    if target.keys_distinct { &target.key } else { &[] }
}

/// What would be away for the load of a table as it is now. Changes nothing.
pub(in crate::sink::postgres) async fn would_be_away(connection: &mut PgConnection, target: &StreamTarget) -> Result<Deferral> {
    let found = catalog::table(connection, &target.table).await?.ok_or_else(found::gone)?;
    look(connection, target, &found).await.map(|(deferral, _)| deferral)
}

async fn look(connection: &mut PgConnection, target: &StreamTarget, table: &CatalogTable) -> Result<(Deferral, Candidates)> {
    let candidates = found::candidates(connection, table, distinct(target)).await?;
    let own = table.table.foreign_keys.iter().filter(|key| key.removable);
    let mut foreign_keys: Vec<String> = own.map(|key| format!("foreign key `{}`", key.name)).collect();
    let others = candidates.resting.iter().filter(|one| one.table != table.table.name);
    foreign_keys.extend(others.map(|one| format!("foreign key `{}` of table `{}`", one.key.name, one.table)));
    let deferral = Deferral {
        indexes: candidates
            .indexes
            .iter()
            .map(|index| deferred(index, &target.stream, table))
            .collect(),
        foreign_keys,
        kept: candidates.kept.clone(),
        why_not: None,
        empty: is_empty(connection, table).await?,
    };
    if deferral.is_nothing() {
        return Ok((deferral, candidates));
    }
    let why_not = found::why_not(connection, table).await?;
    Ok((Deferral { why_not, ..deferral }, candidates))
}

fn deferred(index: &Found, stream: &str, table: &CatalogTable) -> Deferred {
    Deferred {
        stream: stream.to_owned(),
        table: table.table.name.clone(),
        name: index.name.clone(),
        kind: index.kind,
        waits: true,
    }
}

async fn is_empty(connection: &mut PgConnection, table: &CatalogTable) -> Result<bool> {
    if !table.may.select || table.guarded {
        return Ok(false);
    }
    let table = quote::table(&table.table.name)?;
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("select not exists (select from {table})")))
        .fetch_one(connection)
        .await
        .map_err(|error| classify(&error))?;
    get(&row, 0)
}

/// Records indexes and keys of an empty table and drops them, within the caller's transaction, which
/// is to be rolled back where nothing is away.
pub(in crate::sink::postgres) async fn take_away(connection: &mut PgConnection, load: &Load<'_>) -> Result<Deferral> {
    ledger_table::ensure_part(connection, NAME, TABLE).await?;
    sqlx::query("select pg_catalog.pg_advisory_xact_lock($1)")
        .bind(DEFERRING_LOCK)
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    execute(connection, &format!("set local lock_timeout = '{LOCK_WAIT}'")).await?;
    let table = catalog::table(connection, &load.target.table)
        .await?
        .ok_or_else(found::gone)?;
    if let Some(why) = found::why_not(connection, &table).await? {
        return Ok(Deferral::not(why));
    }
    let quoted = quote::table(&table.table.name)?;
    execute(connection, &format!("lock table only {quoted} in access exclusive mode")).await?;
    // As it is under the lock.
    let table = catalog::table(connection, &table.table.name).await?.ok_or_else(found::gone)?;
    if !is_empty(connection, &table).await? {
        return Ok(Deferral::not("the table is not empty"));
    }
    let path = found::qualified(connection).await?;
    let looked = look(connection, load.target, &table).await;
    found::unqualified(connection, &path).await?;
    let (deferral, candidates) = looked?;
    if deferral.why_not.is_some() || deferral.is_nothing() {
        return Ok(deferral);
    }
    let taker = Taker {
        project: load.project,
        run: load.run,
    };
    foreign_key::suspend(connection, &taker, &foreign_keys(load, &table, &candidates)).await?;
    for (place, index) in (0..).zip(&candidates.indexes) {
        record(connection, load, &quoted, (place, index)).await?;
        let name = quote::ident(&index.name)?;
        let sql = match letter(index.kind) {
            "p" | "u" => format!("alter table {quoted} drop constraint {name}"),
            _ => format!("drop index {}.{name}", schema(&table)?),
        };
        execute(connection, &sql)
            .await
            .map_err(|error| error.during(format_args!("{} `{}`", index.kind.name(), index.name)))?;
    }
    Ok(deferral)
}

fn schema(table: &CatalogTable) -> Result<String> {
    let schema = table.table.name.schema.as_deref();
    quote::ident(schema.ok_or_else(|| Error::new(ErrorKind::Internal, "a table without a schema"))?)
}

/// Foreign keys of the table, and those that rest on what is dropped.
fn foreign_keys(load: &Load<'_>, table: &CatalogTable, candidates: &Candidates) -> Vec<Suspended> {
    let name = &table.table.name;
    let suspended = |of: &TableName, key: &ForeignKey| Suspended {
        stream: load.target.stream.clone(),
        table: of.clone(),
        key: key.clone(),
        validated: true,
        until: vec![load.target.stream.clone()],
    };
    let own = table.table.foreign_keys.iter().filter(|key| key.removable);
    let mut keys: Vec<_> = own.map(|key| suspended(name, key)).collect();
    let others = candidates.resting.iter().filter(|one| one.table != *name);
    keys.extend(others.map(|one| suspended(&one.table, &one.key)));
    keys
}

async fn record(connection: &mut PgConnection, load: &Load<'_>, table: &str, (place, index): (i32, &Found)) -> Result<()> {
    // Whatever an earlier record says: the index was there just now.
    sqlx::query(
        "insert into dbferry.deferred_index as d (project, stream, table_name, name, place, kind, definition, timing, unique_columns,
             tablespace, comment, constraint_comment, clustered, replica_identity, statistics, run)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (table_name, name) do update set project = excluded.project, stream = excluded.stream,
             place = excluded.place, kind = excluded.kind, definition = excluded.definition, timing = excluded.timing,
             unique_columns = excluded.unique_columns, tablespace = excluded.tablespace, comment = excluded.comment,
             constraint_comment = excluded.constraint_comment, clustered = excluded.clustered,
             replica_identity = excluded.replica_identity, statistics = excluded.statistics, run = excluded.run,
             dropped_at = excluded.dropped_at",
    )
    .bind(load.project)
    .bind(&load.target.stream)
    .bind(table)
    .bind(&index.name)
    .bind(place)
    .bind(letter(index.kind))
    .bind(&index.definition)
    .bind(&index.timing)
    .bind(index.unique_columns())
    .bind(&index.tablespace)
    .bind(&index.comment)
    .bind(&index.constraint_comment)
    .bind(index.clustered)
    .bind(index.replica_identity)
    .bind(&index.statistics)
    .bind(load.run)
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| classify(&error))
}
