//! The lease: one writing run at a time for each project and target.
//!
//! It is two session-level advisory locks on the writing connections themselves. The first is
//! held by the connection that has the lease. The second is the fence: every further connection
//! of the run holds it shared, and whoever takes the lease holds both alone until its new epoch is
//! committed, so that no connection of an older epoch is still at work then. As long as a backend
//! lives nobody else writes, and when it ends, however it ends, its transaction has ended before
//! its locks are free. The row in `dbferry.lease` tells who it is and counts the epochs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::LeaseRequest;
use super::{backend, ledger_table};
use crate::ledger::undo::ROLLED_BACK;
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

/// Takes both locks, or says who has one of them. [`lower_fence`] lets further connections in.
pub(super) async fn lock(connection: &mut PgConnection, lease: &LeaseRequest) -> Result<()> {
    let began = Instant::now();
    let mut watched = Watched::default();
    loop {
        let Some(held) = try_lock(connection, lease).await? else {
            return Ok(());
        };
        let holders = holders(connection, held).await?;
        // A wait is given only to a run that lost its connection and comes back: what holds a
        // lock in its name is of that connection's epoch, and void with it.
        let ours = |holder: &&Holder| holder.run == Some(lease.run) && !lease.wait.is_zero();
        for orphan in holders.iter().filter(ours) {
            backend::end(connection, orphan.process).await;
        }
        let strangers: Vec<_> = holders.iter().filter(|holder| !ours(holder)).collect();
        let signs = watched.signs(&strangers);
        let patience = if strangers.is_empty() { lease.wait.max(GRACE) } else { GRACE };
        if began.elapsed() > patience || signs >= SIGNS_OF_LIFE {
            return Err(busy(connection, lease, strangers.first().copied().or(holders.first())).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Both locks or none; returns the one that somebody holds.
async fn try_lock(connection: &mut PgConnection, lease: &LeaseRequest) -> Result<Option<i64>> {
    let (first, fence) = (lock_key(&lease.project), fence_key(&lease.project));
    if !ask(connection, "select pg_catalog.pg_try_advisory_lock($1)", first).await? {
        return Ok(Some(first));
    }
    if ask(connection, "select pg_catalog.pg_try_advisory_lock($1)", fence).await? {
        return Ok(None);
    }
    // Whoever waits for the fence must not be in the way of the run that is behind it.
    ask(connection, "select pg_catalog.pg_advisory_unlock($1)", first).await?;
    Ok(Some(fence))
}

/// Lets further connections of the run in: its epoch is committed.
pub(super) async fn lower_fence(connection: &mut PgConnection, project: &str) -> Result<()> {
    ask(connection, "select pg_catalog.pg_advisory_unlock($1)", fence_key(project))
        .await
        .map(drop)
}

/// Goes behind the fence with one more connection, as long as the lease is of this epoch.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] when the lease is another's by now, [`ErrorKind::Busy`] while somebody
/// takes it.
pub(super) async fn join(connection: &mut PgConnection, lease: &LeaseRequest, epoch: i64) -> Result<()> {
    let began = Instant::now();
    let fence = fence_key(&lease.project);
    while !ask(connection, "select pg_catalog.pg_try_advisory_lock_shared($1)", fence).await? {
        if began.elapsed() > GRACE {
            let holders = holders(connection, fence).await?;
            return Err(busy(connection, lease, holders.first()).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let row = sqlx::query("select epoch from dbferry.lease where project = $1")
        .bind(&lease.project)
        .fetch_optional(connection)
        .await
        .map_err(|error| classify(&error))?;
    if row.map(|row| get::<i64>(&row, 0)).transpose()? == Some(epoch) {
        return Ok(());
    }
    Err(taken_over(&lease.project))
}

/// Comes back from behind the fence before the connection ends.
pub(super) async fn leave(connection: &mut PgConnection, project: &str) -> Result<()> {
    ask(
        connection,
        "select pg_catalog.pg_advisory_unlock_shared($1)",
        fence_key(project),
    )
    .await
    .map(drop)
}

/// The lease is of another epoch than the session.
pub(super) fn taken_over(project: &str) -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        format!("another run has taken over project `{project}` since this one began"),
    )
    .hint("nothing of this batch was kept; let the other run finish, then run again")
}

async fn ask(connection: &mut PgConnection, sql: &'static str, key: i64) -> Result<bool> {
    let row = sqlx::query(sql)
        .bind(key)
        .fetch_one(connection)
        .await
        .map_err(|error| classify(&error))?;
    get(&row, 0)
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

/// Records that a run was taken back.
pub(super) async fn rolled_back(connection: &mut PgConnection, run: Uuid) -> Result<()> {
    sqlx::query("update dbferry.run set status = $2 where run = $1")
        .bind(run)
        .bind(ROLLED_BACK)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok(())
}

/// Gives the lock back before the connection ends.
pub(super) async fn unlock(connection: &mut PgConnection, project: &str) -> Result<()> {
    ask(connection, "select pg_catalog.pg_advisory_unlock($1)", lock_key(project))
        .await
        .map(drop)
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

/// Names of the locks: 64 bits of a hash, for Postgres takes a number.
fn lock_key(project: &str) -> i64 {
    key(&format!("dbferry lease {project}"))
}

fn fence_key(project: &str) -> i64 {
    key(&format!("dbferry fence {project}"))
}

fn key(name: &str) -> i64 {
    let hash = Sha256::digest(name);
    let mut word = [0; 8];
    word.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(word)
}

/// A backend that holds a lock.
struct Holder {
    process: i32,
    /// From its application name, as well as who runs it.
    run: Option<Uuid>,
    place: Option<String>,
    since: Option<String>,
    /// When it last began or ended a statement.
    changed: Option<String>,
}

/// What holders were seen to do.
#[derive(Default)]
struct Watched {
    changed: BTreeMap<i32, Option<String>>,
    signs: u32,
}

impl Watched {
    /// Signs of life of these holders so far. That another one holds the lock now is none.
    fn signs(&mut self, holders: &[&Holder]) -> u32 {
        let mut alive = false;
        for holder in holders {
            let before = self.changed.insert(holder.process, holder.changed.clone());
            alive |= before.is_some_and(|before| before != holder.changed);
        }
        self.signs += u32::from(alive);
        self.signs
    }
}

async fn holders(connection: &mut PgConnection, key: i64) -> Result<Vec<Holder>> {
    let rows = sqlx::query(
        r#"select l.pid, a.application_name,
               to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), a.state_change::text
           from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
           where l.locktype = 'advisory' and l.granted and l.objsubid = 1
             and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
             and l.classid::int8 = ($1 >> 32) & 4294967295 and l.objid::int8 = $1 & 4294967295
           order by l.pid"#,
    )
    .bind(key)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            let name: Option<String> = get(row, 1)?;
            let writer = name.as_deref().and_then(writer_of);
            Ok(Holder {
                process: get(row, 0)?,
                run: writer.map(|(run, _)| run),
                place: writer.map(|(_, place)| place.to_owned()).filter(|place| !place.is_empty()),
                since: get(row, 2)?,
                changed: get(row, 3)?,
            })
        })
        .collect()
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
    fn the_locks_names_are_pinned() {
        // Another version of dbferry must take the same locks.
        assert_eq!(lock_key("game"), -1_220_368_727_604_049_597);
        assert_eq!(fence_key("game"), 590_001_489_927_113_659);
        assert_ne!(lock_key("game"), lock_key("game2"));
    }
}
