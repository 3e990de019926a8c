//! The lease: one writer at a time for each project and target.
//!
//! It is a session-level advisory lock on the writing connection itself: as long as that backend
//! lives nobody else writes, and when it ends, however it ends, its transaction has ended before
//! the lock is free. The row in `dbferry.lease` tells who it is and counts the epochs.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::LeaseRequest;
use super::ledger_table;
use crate::postgres::catalog::get;
use crate::postgres::connect::writer_of;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// How long a holder is waited for that shows no sign of life: the backend of a program that was
/// killed needs a moment to notice.
const GRACE: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// Statements that a holder begins or ends while it is watched, before it counts as alive: a
/// dead one may still finish what it was told last.
const SIGNS_OF_LIFE: u32 = 3;

/// Takes the lock, or says who has it.
pub(super) async fn lock(connection: &mut PgConnection, lease: &LeaseRequest) -> Result<()> {
    let key = lock_key(&lease.project);
    let began = Instant::now();
    let (mut last, mut signs) = (None, 0);
    loop {
        let row = sqlx::query("select pg_catalog.pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
        if get(&row, 0)? {
            return Ok(());
        }
        let holder = holder(connection, key).await?;
        // A wait is given only to a run that lost its connection and comes back: what holds the
        // lease in its name is that connection's orphan.
        let orphan = holder
            .as_ref()
            .filter(|holder| holder.run == Some(lease.run) && !lease.wait.is_zero());
        if let Some(orphan) = orphan {
            end(connection, orphan.process).await;
        }
        let sign = holder.as_ref().map(|holder| (holder.process, holder.changed.clone()));
        if last.is_some() && sign.is_some() && last != sign {
            signs += 1;
        }
        last = sign;
        let patience = if orphan.is_some() || holder.is_none() {
            lease.wait.max(GRACE)
        } else {
            GRACE
        };
        if began.elapsed() > patience || orphan.is_none() && signs >= SIGNS_OF_LIFE {
            return Err(busy(connection, lease, holder.as_ref()).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Records how a run ended.
pub(super) async fn ended(connection: &mut PgConnection, run: Uuid, status: &str) -> Result<()> {
    sqlx::query("update dbferry.run set status = $2, ended_at = clock_timestamp() where run = $1")
        .bind(run)
        .bind(status)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok(())
}

/// Gives the lock back before the connection ends.
pub(super) async fn unlock(connection: &mut PgConnection, project: &str) -> Result<()> {
    sqlx::query("select pg_catalog.pg_advisory_unlock($1)")
        .bind(lock_key(project))
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok(())
}

/// Writes the lease and the run, within the caller's transaction, making the ledger where it is
/// missing. Returns the epoch.
pub(super) async fn record(connection: &mut PgConnection, lease: &LeaseRequest) -> Result<i64> {
    ledger_table::ensure(connection).await?;
    let row = sqlx::query(
        "insert into dbferry.lease as l (project, epoch, run, holder) values ($1, 1, $2, $3)
         on conflict (project) do update set epoch = l.epoch + 1, run = excluded.run, holder = excluded.holder,
             acquired_at = clock_timestamp()
         returning epoch",
    )
    .bind(&lease.project)
    .bind(lease.run)
    .bind(&lease.holder)
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    // A run that takes its lease again after a lost connection is recorded already.
    sqlx::query(
        "insert into dbferry.run (run, project, environment, holder, version, status)
         values ($1, $2, $3, $4, $5, 'running') on conflict (run) do nothing",
    )
    .bind(lease.run)
    .bind(&lease.project)
    .bind(&lease.environment)
    .bind(&lease.holder)
    .bind(env!("CARGO_PKG_VERSION"))
    .execute(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    get(&row, 0)
}

/// Name of the lock: 64 bits of a hash, for Postgres takes a number.
fn lock_key(project: &str) -> i64 {
    let hash = Sha256::digest(format!("dbferry lease {project}"));
    let mut word = [0; 8];
    word.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(word)
}

/// The backend that holds the lock.
struct Holder {
    process: i32,
    /// From its application name, as well as who runs it.
    run: Option<Uuid>,
    place: Option<String>,
    since: Option<String>,
    /// When it last began or ended a statement.
    changed: Option<String>,
}

async fn holder(connection: &mut PgConnection, key: i64) -> Result<Option<Holder>> {
    let row = sqlx::query(
        r#"select l.pid, a.application_name,
               to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), a.state_change::text
           from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
           where l.locktype = 'advisory' and l.granted and l.objsubid = 1
             and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
             and l.classid::int8 = ($1 >> 32) & 4294967295 and l.objid::int8 = $1 & 4294967295"#,
    )
    .bind(key)
    .fetch_optional(connection)
    .await
    .map_err(|error| classify(&error))?;
    let Some(row) = row else { return Ok(None) };
    let name: Option<String> = get(&row, 1)?;
    let writer = name.as_deref().and_then(writer_of);
    Ok(Some(Holder {
        process: get(&row, 0)?,
        run: writer.map(|(run, _)| run),
        place: writer.map(|(_, place)| place.to_owned()).filter(|place| !place.is_empty()),
        since: get(&row, 2)?,
        changed: get(&row, 3)?,
    }))
}

/// Ends a backend of our own run whose connection is gone. It is only waited for where that is
/// not allowed.
async fn end(connection: &mut PgConnection, process: i32) {
    let ended = sqlx::query("select pg_catalog.pg_terminate_backend($1)")
        .bind(process)
        .execute(connection)
        .await;
    if ended.is_err() {
        tracing::debug!(process, "the old backend of this run may not be ended; waiting for it");
    }
}

async fn busy(connection: &mut PgConnection, lease: &LeaseRequest, holder: Option<&Holder>) -> Error {
    let run = holder.and_then(|holder| holder.run);
    let recorded = recorded(connection, &lease.project).await.unwrap_or_default();
    let who = match (recorded, holder) {
        (Some((known, place, since)), _) if run.is_none_or(|run| run == known) => format!("run {known}, {place}, since {since}"),
        // A rehearsal keeps its record to itself.
        (_, Some(holder)) => {
            let run = run.map_or_else(|| "another run".to_owned(), |run| format!("run {run}"));
            let place = holder.place.as_deref().map(|place| format!(", {place}")).unwrap_or_default();
            let since = holder
                .since
                .as_deref()
                .map(|since| format!(", since {since}"))
                .unwrap_or_default();
            format!("{run}{place}{since}")
        }
        (_, None) => "another run".to_owned(),
    };
    Error::new(
        ErrorKind::Busy,
        format!("project `{}` is being moved to this target already: {who}", lease.project),
    )
    .hint("wait until it has ended, or stop it")
}

/// Who took the lease last, as committed.
async fn recorded(connection: &mut PgConnection, project: &str) -> Result<Option<(Uuid, String, String)>> {
    if !ledger_table::exists(connection).await? {
        return Ok(None);
    }
    let row = sqlx::query(
        r#"select run, holder, to_char(acquired_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           from dbferry.lease where project = $1"#,
    )
    .bind(project)
    .fetch_optional(connection)
    .await
    .map_err(|error| classify(&error))?;
    row.map(|row| Ok((get(&row, 0)?, get(&row, 1)?, get(&row, 2)?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_s_name_is_pinned() {
        // Another version of dbferry must take the same lock.
        assert_eq!(lock_key("game"), -1_220_368_727_604_049_597);
        assert_ne!(lock_key("game"), lock_key("game2"));
    }
}
