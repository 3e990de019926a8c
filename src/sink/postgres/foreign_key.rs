//! Foreign keys that are away for the load of their table, in `dbferry.foreign_key`.
//!
//! A key is dropped in the transaction that records how it was, and forgotten in the one that
//! puts it back: whatever happens between, the record says what is missing. Its definition is the
//! server's own text, with every name qualified.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::ledger_table;
use super::session::execute;
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::Suspended;
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, code};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// First half of the lock that is taken while a table's keys are taken away.
const SUSPENDING_LOCK: i32 = 0x6462_666b;

/// Who takes keys away.
pub(super) struct Taker<'a> {
    pub(super) project: &'a str,
    pub(super) run: Uuid,
}

/// Records keys and drops them, within the caller's transaction.
pub(super) async fn suspend(connection: &mut PgConnection, taker: &Taker<'_>, keys: &[Suspended]) -> Result<()> {
    ledger_table::ensure_foreign_keys(connection).await?;
    for key in keys {
        suspend_one(connection, taker, key)
            .await
            .map_err(|error| error.during(key.described()))?;
    }
    Ok(())
}

async fn suspend_one(connection: &mut PgConnection, taker: &Taker<'_>, key: &Suspended) -> Result<()> {
    let table = quote::table(&key.table)?;
    // Splits of a stream come together.
    sqlx::query("select pg_catalog.pg_advisory_xact_lock($1, pg_catalog.hashtext($2))")
        .bind(SUSPENDING_LOCK)
        .bind(&table)
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let recorded = sqlx::query("select project from dbferry.foreign_key where table_name = $1 and name = $2 for update")
        .bind(&table)
        .bind(&key.key.name)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let holder: Option<String> = recorded.as_ref().map(|row| get(row, 0)).transpose()?;
    if let Some(other) = holder.as_deref().filter(|holder| *holder != taker.project) {
        return Err(Error::new(ErrorKind::Busy, format!("project `{other}` has taken it away"))
            .hint(format!("let a run of project `{other}` end in order: it puts the key back")));
    }
    let Some(found) = definition(connection, &table, &key.key.name).await? else {
        if holder.is_some() {
            wait_for_more(connection, &table, key).await?;
        }
        return Ok(());
    };
    if !key.key.removable {
        return Err(
            Error::new(ErrorKind::Unauthorised, "the role may not take it away and put it back")
                .hint("let the role own the table and have `references` on the one referred to"),
        );
    }
    record(connection, taker, &table, key, &found).await?;
    let name = quote::ident(&key.key.name)?;
    execute(connection, &format!("alter table {table} drop constraint {name}")).await
}

/// How a key is.
struct Definition {
    text: String,
    validated: bool,
    match_full: bool,
    comment: Option<String>,
}

/// A key as the server writes it down, or none.
async fn definition(connection: &mut PgConnection, table: &str, name: &str) -> Result<Option<Definition>> {
    // Names are qualified only where the search path does not find them.
    let path = connection
        .fetch_one("select pg_catalog.current_setting('search_path'), pg_catalog.set_config('search_path', 'pg_catalog', true)")
        .await
        .map_err(|error| classify(&error))?;
    let row = sqlx::query(
        "select pg_catalog.pg_get_constraintdef(f.oid), f.convalidated, f.confmatchtype = 'f',
             pg_catalog.obj_description(f.oid, 'pg_constraint')
         from pg_catalog.pg_constraint f
         where f.conrelid = pg_catalog.to_regclass($1) and f.contype = 'f' and f.conname = $2",
    )
    .bind(table)
    .bind(name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    sqlx::query("select pg_catalog.set_config('search_path', $1, true)")
        .bind(get::<String>(&path, 0)?)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    let found = row.map(|row| {
        Ok(Definition {
            text: get(&row, 0)?,
            validated: get(&row, 1)?,
            match_full: get(&row, 2)?,
            comment: get(&row, 3)?,
        })
    });
    found.transpose()
}

async fn record(connection: &mut PgConnection, taker: &Taker<'_>, table: &str, key: &Suspended, found: &Definition) -> Result<()> {
    sqlx::query(
        "insert into dbferry.foreign_key as f (project, stream, table_name, name, columns, referred_table, referred_columns,
             match_full, definition, comment, validated, until, run)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (table_name, name) do update set stream = excluded.stream, columns = excluded.columns,
             referred_table = excluded.referred_table, referred_columns = excluded.referred_columns,
             match_full = excluded.match_full, definition = excluded.definition, comment = excluded.comment,
             validated = excluded.validated, until = excluded.until, run = excluded.run, dropped_at = excluded.dropped_at",
    )
    .bind(taker.project)
    .bind(&key.stream)
    .bind(table)
    .bind(&key.key.name)
    .bind(&key.key.columns)
    .bind(quote::table(&key.key.table)?)
    .bind(&key.key.references)
    .bind(found.match_full)
    .bind(&found.text)
    .bind(&found.comment)
    .bind(found.validated)
    .bind(&key.until)
    .bind(taker.run)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(())
}

/// A key that is away already: it waits for these streams, too.
async fn wait_for_more(connection: &mut PgConnection, table: &str, key: &Suspended) -> Result<()> {
    sqlx::query(
        "update dbferry.foreign_key set until = array(select unnest(until) union select unnest($3::text[]) order by 1)
         where table_name = $1 and name = $2",
    )
    .bind(table)
    .bind(&key.key.name)
    .bind(&key.until)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(())
}

/// Keys of a project that are away, and which streams each still waits for.
pub(super) async fn suspended(connection: &mut PgConnection, project: &str) -> Result<Vec<Suspended>> {
    if !ledger_table::has_foreign_keys(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "{RECORDED} where f.project = $1 order by f.dropped_at, f.table_name, f.name"
    )))
    .bind(project)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter().map(suspended_of).collect()
}

/// Keys of a table that are away, of any project: they are part of its shape all the same.
pub(super) async fn keys_of(connection: &mut PgConnection, table: &TableName) -> Result<Vec<ForeignKey>> {
    if !ledger_table::has_foreign_keys(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(AssertSqlSafe(format!(
        "{RECORDED} where f.table_name = $1 and not exists (select from pg_catalog.pg_constraint c
             where c.conrelid = pg_catalog.to_regclass(f.table_name) and c.conname = f.name) order by f.name"
    )))
    .bind(quote::table(table)?)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter().map(|row| Ok(suspended_of(row)?.key)).collect()
}

const RECORDED: &str = "select f.stream, (parse_ident(f.table_name))[1], (parse_ident(f.table_name))[2], f.name, f.columns,
         (parse_ident(f.referred_table))[1], (parse_ident(f.referred_table))[2], f.referred_columns, f.validated,
         array(select u.stream from unnest(f.until) u(stream) where not coalesce((select bool_and(c.complete)
             from dbferry.checkpoint c where c.project = f.project and c.stream = u.stream and c.split >= 0), false) order by 1)
     from dbferry.foreign_key f";

fn suspended_of(row: &PgRow) -> Result<Suspended> {
    let table = |at| -> Result<TableName> {
        Ok(TableName {
            schema: Some(get(row, at)?),
            name: get(row, at + 1)?,
        })
    };
    Ok(Suspended {
        stream: get(row, 0)?,
        table: table(1)?,
        key: ForeignKey {
            name: get(row, 3)?,
            columns: get(row, 4)?,
            table: table(5)?,
            references: get(row, 7)?,
            removable: true,
        },
        validated: get(row, 8)?,
        until: get(row, 9)?,
    })
}

/// Forgets the record of a key that stays away, within a transaction that is going to be rolled back.
pub(super) async fn pass_over(connection: &mut PgConnection, project: &str, key: &Suspended) -> Result<()> {
    sqlx::query("delete from dbferry.foreign_key where project = $1 and table_name = $2 and name = $3")
        .bind(project)
        .bind(quote::table(&key.table)?)
        .bind(&key.key.name)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| classify(&error))
}

/// Puts a key back and forgets its record, within the caller's transaction, which is to be rolled
/// back where it says `false`: rows refer to nothing.
pub(super) async fn restore(connection: &mut PgConnection, project: &str, key: &Suspended) -> Result<bool> {
    let table = quote::table(&key.table)?;
    let row = sqlx::query(
        "delete from dbferry.foreign_key where project = $1 and table_name = $2 and name = $3
         returning definition, validated, comment, pg_catalog.to_regclass(table_name) is not null",
    )
    .bind(project)
    .bind(&table)
    .bind(&key.key.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let Some(row) = row else { return Ok(true) };
    if !get::<bool>(&row, 3)? {
        // Its table is gone.
        return Ok(true);
    }
    let name = quote::ident(&key.key.name)?;
    let statement = match definition(connection, &table, &key.key.name).await? {
        // Somebody put it back meanwhile.
        Some(there) if there.validated || !get::<bool>(&row, 1)? => return Ok(true),
        Some(_) => format!("alter table {table} validate constraint {name}"),
        None => format!("alter table {table} add constraint {name} {}", get::<String>(&row, 0)?),
    };
    if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        if code(&error) == Some("23503") {
            return Ok(false);
        }
        return Err(classify(&error).during(format_args!("cannot put {} back", key.described())));
    }
    if let Some(comment) = get::<Option<String>>(&row, 2)? {
        let text = comment.replace('\'', "''");
        execute(
            connection,
            &format!("set local standard_conforming_strings = on; comment on constraint {name} on {table} is '{text}'"),
        )
        .await?;
    }
    Ok(true)
}
