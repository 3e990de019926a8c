//! Trying the migrations of a target in a scratch database: up, down, and up again.
//!
//! What the second way up makes has to be what the first one made, and the way down has to leave what was
//! there at the beginning. Both are told by the catalog. The scratch database goes whatever happens; one
//! of a process that was killed goes with the next call.

use std::path::Path;
use std::time::Duration;

use super::change::{self, Allowed, Order};
use super::folder::{self, Script};
use super::inventory::Difference;
use super::{Database, Watch, cql, language, no_target, postgres, sqlite};
use crate::config::connection::{Connection, ConnectionKind};
use crate::{Error, ErrorKind, Result};

/// How the names of scratch databases, keyspaces and folders begin.
pub(super) const PREFIX: &str = "dbferry_test_";
/// How often it is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a trial.
#[derive(Debug)]
pub struct Rehearsal {
    /// Migrations that went up.
    pub applied: usize,
    /// Those of them that went down, and up again.
    pub reverted: usize,
    /// The newest version that has no file which undoes it: what is below stayed.
    pub kept: Option<i64>,
    /// What the way down left that was not there before, or the other way round.
    pub left_behind: Vec<Difference>,
    /// How the schema after the second way up differs from that after the first.
    pub changed: Vec<Difference>,
    /// Scratch databases of processes that are gone, removed by this call.
    pub removed: Vec<String>,
}

impl Rehearsal {
    /// Whether the way down undoes the way up, and both can be repeated.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.left_behind.is_empty() && self.changed.is_empty()
    }
}

/// A scratch database of any kind.
enum Scratch {
    Postgres(postgres::scratch::Scratch),
    Sqlite(sqlite::scratch::Scratch),
    Cql(cql::scratch::Scratch),
}

/// Tries the migrations of a folder, as the connection's target would take them. The target itself is
/// not touched.
///
/// # Errors
/// Those of [`apply`](super::apply) and [`revert`](super::revert), saying on which way.
pub async fn rehearse(connection: &Connection, folder: &Path, watch: &dyn Watch) -> Result<Rehearsal> {
    let scripts = folder::read(folder, language(connection))?;
    let (scratch, mut database, removed) = make(connection).await?;
    let outcome = tokio::select! {
        outcome = climb(&mut *database, &connection.name, folder, &scripts, watch) => outcome,
        () = over(watch) => Err(Error::new(ErrorKind::Interrupted, "stopped on request").hint("the scratch database is gone")),
    };
    database.release().await;
    drop(database);
    let gone = scratch.remove().await;
    let mut rehearsal = outcome?;
    gone?;
    rehearsal.removed = removed;
    Ok(rehearsal)
}

async fn over(watch: &dyn Watch) {
    while !watch.is_over() {
        tokio::time::sleep(PAUSE).await;
    }
}

async fn make(connection: &Connection) -> Result<(Scratch, Box<dyn Database>, Vec<String>)> {
    let name = &connection.name;
    Ok(match &connection.kind {
        ConnectionKind::Postgres { url, .. } => {
            let (scratch, database, removed) = postgres::scratch::make(name, url).await?;
            (Scratch::Postgres(scratch), Box::new(database), removed)
        }
        ConnectionKind::Sqlite { .. } => {
            let (scratch, database, removed) = sqlite::scratch::make(name)?;
            (Scratch::Sqlite(scratch), Box::new(database), removed)
        }
        ConnectionKind::Scylla(cluster) => {
            let (scratch, database, removed) = cql::scratch::make(name, cluster).await?;
            (Scratch::Cql(scratch), Box::new(database), removed)
        }
        ConnectionKind::Pocketbase { .. } | ConnectionKind::Cosmos(_) | ConnectionKind::Redis(_) => {
            return Err(no_target(connection));
        }
    })
}

impl Scratch {
    async fn remove(self) -> Result<()> {
        match self {
            Self::Postgres(scratch) => scratch.remove().await,
            Self::Sqlite(scratch) => scratch.remove(),
            Self::Cql(scratch) => scratch.remove().await,
        }
    }
}

/// Up, down, and up again.
async fn climb(
    database: &mut dyn Database,
    connection: &str,
    folder: &Path,
    scripts: &[Script],
    watch: &dyn Watch,
) -> Result<Rehearsal> {
    let at = (connection, folder);
    let kept = scripts
        .iter()
        .rev()
        .find(|script| script.down.is_none())
        .map(|script| script.version);
    database.prepare(watch).await?;
    let mut applied = 0;
    if kept.is_some() {
        applied += up(database, at, scripts, kept, watch, "the way up").await?;
    }
    let before = database.inventory().await?;
    applied += up(database, at, scripts, None, watch, "the way up").await?;
    let first = database.inventory().await?;
    let reverted = change::revert_all(database, at, scripts, Some(kept.unwrap_or(0)), watch).await;
    let reverted = reverted.map_err(|stopped| on(connection, "the way down", stopped.error))?;
    let after = database.inventory().await?;
    up(database, at, scripts, None, watch, "the second way up").await?;
    let second = database.inventory().await?;
    Ok(Rehearsal {
        applied,
        reverted: reverted.len(),
        kept,
        left_behind: before.differences(&after),
        changed: first.differences(&second),
        removed: Vec::new(),
    })
}

async fn up(
    database: &mut dyn Database,
    (connection, folder): (&str, &Path),
    scripts: &[Script],
    to: Option<i64>,
    watch: &dyn Watch,
    way: &str,
) -> Result<usize> {
    let order = Order {
        to,
        allowed: Allowed::All,
        watch,
    };
    let applied = change::apply_all(database, connection, scripts, folder, &order).await;
    applied
        .map(|all| all.len())
        .map_err(|stopped| on(connection, way, stopped.error))
}

fn on(connection: &str, way: &str, error: Error) -> Error {
    error.during(format_args!("connection `{connection}`, {way}"))
}
