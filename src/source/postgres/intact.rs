//! A snapshot is no shield against `truncate` or an `alter` that rewrites: the table reads empty,
//! and counts agree. What the snapshot's own catalog says of the files of all tables that a
//! transaction has touched is compared with the files that there are.

use sqlx::PgConnection;

use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// Whether all tables that this transaction has touched, by itself or through views and
/// partitions, are those of its moment. Its locks name them, and keep them as they are from here.
///
/// # Errors
/// [`ErrorKind::Unreadable`] where one was truncated, rewritten or dropped since.
pub(super) async fn check(connection: &mut PgConnection) -> Result<()> {
    let changed: Option<String> = sqlx::query_scalar(
        "select pg_catalog.min(c.oid::regclass::text)
         from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation
         where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and c.relkind in ('r', 'm') and c.relfilenode <> 0
             and c.relfilenode::int8 is distinct from pg_catalog.pg_relation_filenode(c.oid)::int8",
    )
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    match changed {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorKind::Unreadable,
            format!("table {table} was truncated or rewritten since the moment that is read: its rows of that moment are gone"),
        )
        .hint("run again: a new run reads a new moment; keep `truncate` and `alter table` away while it reads")),
    }
}
