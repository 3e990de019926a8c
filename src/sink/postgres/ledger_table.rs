//! The ledger's tables, in schema `dbferry` of the target, and their version.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::ledger::FORM;
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, code};
use crate::{Error, ErrorKind, Result};

/// Taken while the ledger is made, so that two first runs do not make it twice.
const MAKING_LOCK: i64 = 0x6462_6665_7272_7900;

const TABLES: &str = r"
create schema if not exists dbferry;
comment on schema dbferry is 'checkpoints, batches and rejects of dbferry';
create table dbferry.meta (form integer not null);
create table dbferry.lease (
    project text primary key,
    epoch bigint not null,
    run uuid not null,
    holder text not null,
    acquired_at timestamptz not null default clock_timestamp()
);
create table dbferry.run (
    run uuid primary key,
    project text not null,
    environment text not null,
    holder text not null,
    version text not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    status text not null
);
create index on dbferry.run (project, started_at desc);
create table dbferry.checkpoint (
    project text not null,
    stream text not null,
    split integer not null,
    sequence bigint not null,
    run uuid not null,
    epoch bigint not null,
    fingerprint text not null,
    moment text not null,
    one_moment boolean not null,
    position text,
    rows_read bigint not null,
    rows_filtered bigint not null,
    rows_inserted bigint not null,
    rows_updated bigint not null,
    rows_skipped bigint not null,
    rows_rejected bigint not null,
    digest_rows bigint not null,
    digest text not null,
    target_was_empty boolean not null,
    complete boolean not null,
    changed_at timestamptz not null default clock_timestamp(),
    primary key (project, stream, split)
);
create table dbferry.batch (
    project text not null,
    stream text not null,
    split integer not null,
    sequence bigint not null,
    run uuid not null,
    first_key text,
    last_key text,
    rows_read bigint not null,
    rows_filtered bigint not null,
    rows_inserted bigint not null,
    rows_updated bigint not null,
    rows_skipped bigint not null,
    rows_rejected bigint not null,
    digest_rows bigint not null,
    digest text not null,
    seconds double precision not null,
    retry boolean not null,
    committed_at timestamptz not null default clock_timestamp(),
    primary key (project, stream, split, sequence, run)
);
create table dbferry.reject (
    id bigint generated always as identity primary key,
    project text not null,
    stream text not null,
    run uuid not null,
    sequence bigint not null,
    source_key text not null,
    column_name text,
    reason text not null,
    detail text not null,
    source_row text not null,
    created_at timestamptz not null default clock_timestamp(),
    resolved_by uuid,
    resolved_at timestamptz
);
create index on dbferry.reject (project, stream, id) where resolved_at is null;
create table dbferry.key_claim (
    project text not null,
    stream text not null,
    digest bytea not null,
    source_key text not null,
    primary key (project, stream, digest)
);
";

/// Foreign keys that are away for a load. It is made when the first one is: a ledger without it is
/// one that has none.
const FOREIGN_KEY: &str = r"
create table dbferry.foreign_key (
    project text not null,
    stream text not null,
    table_name text not null,
    name text not null,
    columns text[] not null,
    referred_table text not null,
    referred_columns text[] not null,
    match_full boolean not null,
    definition text not null,
    comment text,
    validated boolean not null,
    until text[] not null,
    run uuid not null,
    dropped_at timestamptz not null default clock_timestamp(),
    primary key (table_name, name)
)";

/// Backups that were made before runs; made, too, when the first one is noted.
const BACKUP: &str = r"
create table dbferry.backup (
    run uuid primary key,
    project text not null,
    folder text not null,
    taken_at text not null,
    manifest_sha256 text not null
)";

/// Whether there is a ledger, and one that this version understands.
pub(super) async fn exists(connection: &mut PgConnection) -> Result<bool> {
    if !has_table(connection, "meta").await? {
        return Ok(false);
    }
    let form = connection
        .fetch_optional("select form from dbferry.meta")
        .await
        .map_err(|error| classify(&error).during("cannot read the ledger in schema `dbferry`"))?;
    match form.as_ref().map(|row| get::<i32>(row, 0)).transpose()? {
        Some(FORM) => Ok(true),
        Some(form) => Err(Error::new(
            ErrorKind::Checkpoint,
            format!("the ledger in schema `dbferry` has form {form}, this version of dbferry writes form {FORM}"),
        )
        .hint("use the version that wrote it, or a newer one")),
        None => Err(
            Error::new(ErrorKind::Checkpoint, "the ledger in schema `dbferry` has no form")
                .hint("the schema is not dbferry's, or was changed: rename or drop it"),
        ),
    }
}

/// Whether a foreign key was ever taken away.
pub(super) async fn has_foreign_keys(connection: &mut PgConnection) -> Result<bool> {
    has_table(connection, "foreign_key").await
}

/// Whether a backup was ever noted.
pub(super) async fn has_backups(connection: &mut PgConnection) -> Result<bool> {
    has_table(connection, "backup").await
}

/// Whether the ledger's schema has a table. Read from the catalog's own table: what the backend
/// remembers of names may be older than the lock.
pub(super) async fn has_table(connection: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'dbferry' and c.relname = $1)",
    )
    .bind(name)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))
}

/// Makes the table of foreign keys where it is missing. Only within a transaction.
pub(super) async fn ensure_foreign_keys(connection: &mut PgConnection) -> Result<()> {
    ensure_part(connection, "foreign_key", FOREIGN_KEY).await
}

/// Makes the table of backups where it is missing. Only within a transaction.
pub(super) async fn ensure_backups(connection: &mut PgConnection) -> Result<()> {
    ensure_part(connection, "backup", BACKUP).await
}

/// Makes a part of the ledger, known by one of its tables, where it is missing. Only within a transaction.
pub(super) async fn ensure_part(connection: &mut PgConnection, table: &str, text: &str) -> Result<()> {
    if has_table(connection, table).await? {
        return Ok(());
    }
    making_lock(connection).await?;
    if has_table(connection, table).await? {
        return Ok(());
    }
    make(connection, text).await
}

/// Makes the ledger where it is missing. Only within a transaction.
pub(super) async fn ensure(connection: &mut PgConnection) -> Result<()> {
    if exists(connection).await? {
        return Ok(());
    }
    making_lock(connection).await?;
    if exists(connection).await? {
        return Ok(());
    }
    make(
        connection,
        &format!("{TABLES} insert into dbferry.meta (form) values ({FORM})"),
    )
    .await
}

pub(super) async fn making_lock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_catalog.pg_advisory_xact_lock($1)")
        .bind(MAKING_LOCK)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok(())
}

async fn make(connection: &mut PgConnection, text: &str) -> Result<()> {
    if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await {
        let made = classify(&error).during("cannot make the ledger in schema `dbferry`");
        return Err(match code(&error) {
            Some("42501") => made.hint("grant create on the database to the role, or let its owner run this once"),
            _ => made,
        });
    }
    Ok(())
}
