//! Backends of this run: those whose connections are still held, and those that were left behind.
//!
//! A connection that broke may leave its backend at work: it still holds row locks, and may still
//! commit. Before a stream is opened again, every such backend is ended and its end waited for
//! (Invariant 12); what the checkpoint says after that, it says for good.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::postgres::catalog::get;
use crate::postgres::connect::writer_of;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// How long the end of a backend is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Process ids of one target's backends.
#[derive(Debug, Default)]
pub(super) struct Backends(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    held: BTreeSet<i32>,
    left: BTreeSet<i32>,
}

/// A backend whose connection is held. It counts as left behind when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: Arc<Backends>,
    process: i32,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut known = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.held.remove(&self.process);
        known.left.insert(self.process);
    }
}

impl Held {
    /// All backends of this target.
    pub(super) const fn all(&self) -> &Arc<Backends> {
        &self.all
    }
}

impl Backends {
    /// The backend of a connection that was just made.
    pub(super) fn hold(self: &Arc<Self>, process: i32) -> Held {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.left.remove(&process);
        known.held.insert(process);
        Held {
            all: Arc::clone(self),
            process,
        }
    }

    fn left(&self) -> Vec<i32> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.left.iter().copied().collect()
    }

    /// Waits until nothing is at work that was left behind, and ends it.
    ///
    /// # Errors
    /// [`ErrorKind::Lost`] where a backend does not end in time.
    pub(super) async fn end_left(&self, connection: &mut PgConnection, run: Uuid) -> Result<()> {
        let left = self.left();
        if left.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let alive = of_run(connection, run, &left).await?;
            if alive.is_empty() {
                break;
            }
            if began.elapsed() > WAIT_MAX {
                return Err(Error::new(
                    ErrorKind::Lost,
                    "a backend of this run, whose connection is gone, still holds its locks",
                )
                .hint("end it (see pg_stat_activity), then run again: it goes on after the last committed batch"));
            }
            for process in alive {
                end(connection, process).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.left.retain(|process| !left.contains(process));
        Ok(())
    }
}

/// Which of these backends are still there and this run's. A process id may be somebody else's by
/// now.
async fn of_run(connection: &mut PgConnection, run: Uuid, processes: &[i32]) -> Result<Vec<i32>> {
    let rows = sqlx::query("select pid, application_name from pg_catalog.pg_stat_activity where pid = any($1)")
        .bind(processes)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(&error))?;
    let mut alive = Vec::new();
    for row in &rows {
        let name: Option<String> = get(row, 1)?;
        if name.as_deref().and_then(writer_of).is_some_and(|(other, _)| other == run) {
            alive.push(get(row, 0)?);
        }
    }
    Ok(alive)
}

/// Ends a backend of our own run. It is only waited for where that is not allowed.
pub(super) async fn end(connection: &mut PgConnection, process: i32) {
    let ended = sqlx::query("select pg_catalog.pg_terminate_backend($1)")
        .bind(process)
        .execute(connection)
        .await;
    if ended.is_err() {
        tracing::debug!(process, "the old backend of this run may not be ended; waiting for it");
    }
}
