//! The ledger's tables in an SQLite file: how its records are laid out, and who may write.
//!
//! Keys, positions and rejected rows are JSON text, run ids hyphenated text, digests hexadecimal,
//! times ISO 8601 in UTC.

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::fault;
use crate::ledger::FORM;
use crate::ledger::undo::ROLLED_BACK;
use crate::sink::LeaseRequest;
use crate::{Error, ErrorKind, Result};

const TABLES: &str = "
create table if not exists dbferry_meta (form integer not null) strict;
create table if not exists dbferry_lease (
    project text primary key not null, epoch integer not null, run text not null, holder text not null, acquired_at text not null
) strict;
create table if not exists dbferry_run (
    run text primary key not null, project text not null, environment text not null, holder text not null, version text not null,
    started_at text not null, ended_at text, status text not null
) strict;
create table if not exists dbferry_checkpoint (
    project text not null, stream text not null, split integer not null, sequence integer not null, run text not null,
    epoch integer not null, fingerprint text not null, moment text not null, one_moment integer not null, position text,
    rows_read integer not null, rows_filtered integer not null, rows_inserted integer not null, rows_updated integer not null,
    rows_skipped integer not null, rows_rejected integer not null, digest_rows integer not null, digest text not null,
    target_was_empty integer not null, complete integer not null, changed_at text not null,
    primary key (project, stream, split)
) strict;
create table if not exists dbferry_batch (
    project text not null, stream text not null, split integer not null, sequence integer not null, run text not null,
    first_key text, last_key text, rows_read integer not null, rows_filtered integer not null, rows_inserted integer not null,
    rows_updated integer not null, rows_skipped integer not null, rows_rejected integer not null, digest_rows integer not null,
    digest text not null, seconds real not null, retry integer not null, committed_at text not null,
    primary key (project, stream, split, sequence, run)
) strict;
create table if not exists dbferry_reject (
    id integer primary key autoincrement, project text not null, stream text not null, run text not null, sequence integer not null,
    source_key text not null, column_name text, reason text not null, detail text not null, source_row text not null,
    created_at text not null, resolved_by text, resolved_at text
) strict;
create index if not exists dbferry_reject_open on dbferry_reject (project, stream, id) where resolved_at is null;
create table if not exists dbferry_key_claim (
    project text not null, stream text not null, digest blob not null, source_key text not null,
    primary key (project, stream, digest)
) strict, without rowid;
create table if not exists dbferry_foreign_key (
    project text not null, stream text not null, table_name text not null, columns text not null, referred_table text not null,
    referred_columns text not null, until text not null, run text not null, suspended_at text not null,
    primary key (project, table_name, columns, referred_table)
) strict;
create table if not exists dbferry_undo (
    id integer primary key autoincrement, project text not null, run text not null, stream text not null, table_name text not null,
    key_columns text not null, columns text not null, logged integer not null, removed integer not null, restored integer not null,
    gone integer not null, kept integer not null, undoing integer not null, complete integer not null, begun_at text not null,
    unique (project, run, stream)
) strict;
";

/// The moment, as the database tells it.
pub(super) const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// Creates what is missing, within the open transaction.
pub(super) fn create(connection: &Connection) -> Result<()> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "creating the ledger");
    connection.execute_batch(TABLES).map_err(failed)?;
    match form(connection).map_err(failed)? {
        Some(form) => check(form),
        None => connection
            .execute("insert into dbferry_meta values (?)", [FORM])
            .map(drop)
            .map_err(failed),
    }
}

fn form(connection: &Connection) -> rusqlite::Result<Option<i32>> {
    connection
        .query_row("select form from dbferry_meta", [], |row| row.get(0))
        .optional()
}

fn check(form: i32) -> Result<()> {
    if form == FORM {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("the ledger in tables `dbferry_*` has form {form}, this version of dbferry writes form {FORM}"),
    )
    .hint("use the version that wrote it, or a newer one"))
}

/// Whether there is a ledger, and one that this version understands.
pub(super) fn exists(connection: &Connection) -> Result<bool> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "reading the ledger");
    let there = connection
        .query_row(
            "select exists (select 1 from sqlite_schema where type = 'table' and name = 'dbferry_meta')",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if there && let Some(form) = form(connection).map_err(failed)? {
        check(form)?;
    }
    Ok(there)
}

/// Whether the ledger has this table: one of an earlier version that was not written to since may
/// not.
pub(super) fn has(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "select exists (select 1 from sqlite_schema where type = 'table' and name = ?)",
        [table],
        |row| row.get(0),
    )
}

/// Takes the lease row: the epoch moves on, so that whoever held it before is fenced off.
pub(super) fn take_lease(connection: &Connection, lease: &LeaseRequest) -> rusqlite::Result<i64> {
    let run = lease.run.to_string();
    connection.execute(
        &format!("insert into dbferry_run values (?, ?, ?, ?, ?, {NOW}, null, 'running') on conflict (run) do nothing"),
        params![run, lease.project, lease.environment, lease.holder, env!("CARGO_PKG_VERSION")],
    )?;
    connection.query_row(
        &format!(
            "insert into dbferry_lease values (?, 1, ?, ?, {NOW}) on conflict (project) do update
             set epoch = epoch + 1, run = excluded.run, holder = excluded.holder, acquired_at = excluded.acquired_at returning epoch"
        ),
        params![lease.project, run, lease.holder],
        |row| row.get(0),
    )
}

/// Epoch of the lease row.
pub(super) fn lease_epoch(connection: &Connection, project: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row("select epoch from dbferry_lease where project = ?", [project], |row| {
            row.get(0)
        })
        .optional()
}

/// Records how a run ended.
pub(super) fn finish_run(connection: &Connection, run: Uuid, status: &str) -> rusqlite::Result<()> {
    connection
        .execute(
            &format!("update dbferry_run set ended_at = {NOW}, status = ? where run = ?"),
            params![status, run.to_string()],
        )
        .map(drop)
}

/// Records that a run was taken back.
pub(super) fn rolled_back(connection: &Connection, project: &str, run: Uuid) -> rusqlite::Result<()> {
    connection
        .execute(
            "update dbferry_run set status = ? where project = ? and run = ?",
            params![ROLLED_BACK, project, run.to_string()],
        )
        .map(drop)
}
