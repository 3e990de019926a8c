//! Building an index again as it was.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::kind_of;
use crate::ledger::deferred::{Deferred, IndexKind};
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::sink::postgres::session::execute;
use crate::{Error, ErrorKind, Result};

/// Most memory that building one index is given, unless the server's own setting gives more.
const BUILD_MEMORY: &str = "256MB";
/// Most workers that build one index beside the session, unless the server's own setting gives more.
const BUILD_WORKERS: u32 = 4;

/// Memory and workers that the server can spare, by what it is set to, and no less than it would give by
/// itself; and no end but ours. A server that learns only from an answer that we are gone would
/// go on building.
fn settings() -> String {
    format!(
        "select pg_catalog.set_config('maintenance_work_mem', greatest(
                 pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),
                 least(pg_catalog.pg_size_bytes('{BUILD_MEMORY}'),
                     2 * pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')))) / 1024 || 'kB', true),
             pg_catalog.set_config('max_parallel_maintenance_workers', greatest(
                 pg_catalog.current_setting('max_parallel_maintenance_workers')::int,
                 least({BUILD_WORKERS}, pg_catalog.current_setting('max_parallel_workers')::int / 2))::text, true),
             pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true),
             (select pg_catalog.set_config(name, '2000', true) from pg_catalog.pg_settings
                 where name = 'client_connection_check_interval' and pg_catalog.version() like '%linux%')"
    )
}

/// Builds an index as it was and forgets its record, within the caller's transaction.
///
/// # Errors
/// [`ErrorKind::Validation`] where rows are in its way.
pub(in crate::sink::postgres) async fn build(connection: &mut PgConnection, project: &str, index: &Deferred) -> Result<()> {
    let table = quote::table(&index.table)?;
    let row = sqlx::query(
        "delete from dbferry.deferred_index where project = $1 and table_name = $2 and name = $3
         returning kind, definition, timing, tablespace, comment, constraint_comment, clustered, replica_identity, statistics,
             pg_catalog.to_regclass(table_name) is not null,
             exists (select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
                 where i.indrelid = pg_catalog.to_regclass(table_name) and c.relname = deferred_index.name),
             exists (select from pg_catalog.pg_constraint k
                 where k.conrelid = pg_catalog.to_regclass(table_name) and k.conname = deferred_index.name)",
    )
    .bind(project)
    .bind(&table)
    .bind(&index.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let Some(row) = row else { return Ok(()) };
    if !get::<bool>(&row, 9)? {
        // Its table is gone.
        return Ok(());
    }
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(settings())))
        .await
        .map_err(|error| classify(&error))?;
    restore(connection, &table, index, &row).await.map_err(|error| {
        // What rows are in the way of is told without the rows.
        let told = match error.refusal() {
            Some(refusal) => Error::new(ErrorKind::Validation, refusal.detail.clone()).hint(
                "mend or delete the rows that are in its way, then run again: until then it stays away, and its definition is kept in \
                 `dbferry.deferred_index`",
            ),
            None => error,
        };
        told.during(format_args!("cannot put {} back", index.described()))
    })
}

async fn restore(connection: &mut PgConnection, table: &str, index: &Deferred, row: &PgRow) -> Result<()> {
    let name = quote::ident(&index.name)?;
    let schema = index.table.schema.as_deref();
    let schema = quote::ident(schema.ok_or_else(|| Error::new(ErrorKind::Internal, "a table without a schema"))?)?;
    let spelt = format!("{schema}.{name}");
    if !get::<bool>(row, 10)? {
        sqlx::query("select pg_catalog.set_config('default_tablespace', $1, true)")
            .bind(get::<String>(row, 3)?)
            .execute(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
        execute(connection, &get::<String>(row, 1)?).await?;
    }
    let constrained: bool = get(row, 11)?;
    let constraint = match kind_of(&get::<String>(row, 0)?)? {
        IndexKind::PrimaryKey => Some("primary key"),
        IndexKind::UniqueConstraint => Some("unique"),
        IndexKind::Index | IndexKind::UniqueIndex => None,
    };
    if let Some(constraint) = constraint.filter(|_| !constrained) {
        let timing: String = get(row, 2)?;
        execute(
            connection,
            &format!("alter table {table} add constraint {name} {constraint} using index {name}{timing}"),
        )
        .await?;
    }
    for setting in get::<Vec<String>>(row, 8)? {
        let Some((column, target)) = setting
            .split_once(' ')
            .and_then(|(column, target)| Some((column.parse::<u16>().ok()?, target.parse::<u16>().ok()?)))
        else {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                "the ledger records statistics in an unknown form",
            ));
        };
        execute(
            connection,
            &format!("alter index {spelt} alter column {column} set statistics {target}"),
        )
        .await?;
    }
    if get(row, 6)? {
        execute(connection, &format!("alter table {table} cluster on {name}")).await?;
    }
    if get(row, 7)? {
        execute(
            connection,
            &format!("alter table {table} replica identity using index {name}"),
        )
        .await?;
    }
    if let Some(text) = get::<Option<String>>(row, 4)? {
        comment(connection, &format!("index {spelt}"), &text).await?;
    }
    if let Some(text) = get::<Option<String>>(row, 5)? {
        comment(connection, &format!("constraint {name} on {table}"), &text).await?;
    }
    Ok(())
}

async fn comment(connection: &mut PgConnection, of: &str, text: &str) -> Result<()> {
    let text = text.replace('\'', "''");
    execute(
        connection,
        &format!("set local standard_conforming_strings = on; comment on {of} is '{text}'"),
    )
    .await
}
