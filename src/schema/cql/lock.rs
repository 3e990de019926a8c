//! The lock of whoever migrates a keyspace: a row that expires unless it is renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scylla::frame::types::Consistency;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{WHAT, ask, change_if, make};
use crate::cql::connect::Keyspace;
use crate::cql::fault::expected;
use crate::schema::{Event, Watch};
use crate::{Error, ErrorKind, Result};

/// Table of the lock. It has one row, or none.
pub(super) const TABLE: &str = "dbferry_migration_lock";
/// How long the lock is good for when nobody renews it.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);
/// How long another process is waited for: longer than the lock of one that was killed lasts.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How long a table may take until every node has it.
const MAKING_MAX: Duration = Duration::from_secs(20);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// A lock that is held, and renewed until this is dropped. It is given back by [`Lock::release`], or
/// expires.
pub(super) struct Lock {
    keyspace: Arc<Keyspace>,
    claim: Uuid,
    lost: Arc<AtomicBool>,
    renewal: JoinHandle<()>,
}

impl Lock {
    /// Waits until no other process migrates the keyspace.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] naming who does, where that takes too long.
    pub(super) async fn take(keyspace: &Arc<Keyspace>, watch: &dyn Watch) -> Result<Self> {
        make(keyspace, TABLE, "id int PRIMARY KEY, holder text, claim uuid").await?;
        let claim = Uuid::new_v4();
        let began = Instant::now();
        let mut told = false;
        loop {
            let text = format!(
                "INSERT INTO @ (id, holder, claim) VALUES (0, ?, ?) IF NOT EXISTS USING TTL {}",
                LEASE.as_secs()
            );
            match change_if(keyspace, TABLE, &text, (holder(), claim)).await {
                Ok(true) => break,
                Ok(false) => {}
                // Another process is making the table, too, and not every node has it yet.
                Err(error) if error.kind() == ErrorKind::Missing && began.elapsed() < MAKING_MAX => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if let Some((other, found)) = held(keyspace).await? {
                // An attempt whose answer was lost may have succeeded.
                if found == claim {
                    break;
                }
                if began.elapsed() > WAIT_MAX {
                    return Err(busy(keyspace, &other));
                }
                if watch.is_over() {
                    return Err(Error::new(
                        ErrorKind::Interrupted,
                        "stopped on request while another process is migrating",
                    )
                    .hint("nothing was done; do it again when the other one has ended"));
                }
                if !told {
                    told = true;
                    watch.tell(&Event::Waiting {
                        connection: &keyspace.connection,
                        holder: Some(&other),
                    });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let lost = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(renew(Arc::clone(keyspace), claim, Arc::clone(&lost)));
        Ok(Self {
            keyspace: Arc::clone(keyspace),
            claim,
            lost,
            renewal,
        })
    }

    /// Whether it is still held.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where it could not be renewed in time.
    pub(super) fn check(&self) -> Result<()> {
        if self.lost.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "connection `{}`: the lock of migrations could not be renewed in time, and another process may have it",
                    self.keyspace.connection
                ),
            ));
        }
        Ok(())
    }

    /// Gives it back. Where that fails, it expires.
    pub(super) async fn release(self) {
        self.renewal.abort();
        let given = change_if(
            &self.keyspace,
            TABLE,
            "DELETE FROM @ WHERE id = 0 IF claim = ?",
            (self.claim,),
        )
        .await;
        if given.is_err() {
            tracing::debug!("the lock of migrations could not be given back; it expires");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Who holds the lock, and by which claim.
async fn held(keyspace: &Keyspace) -> Result<Option<(String, Uuid)>> {
    let answer = ask(
        keyspace,
        TABLE,
        "SELECT holder, claim FROM @ WHERE id = 0",
        (),
        Consistency::Serial,
    )
    .await?;
    let rows = expected(answer.rows::<(Option<String>, Option<Uuid>)>(), &keyspace.connection, WHAT)?;
    for row in rows {
        if let (Some(holder), Some(claim)) = expected(row, &keyspace.connection, WHAT)? {
            return Ok(Some((holder, claim)));
        }
    }
    Ok(None)
}

/// Renews until that is not possible any more.
async fn renew(keyspace: Arc<Keyspace>, claim: Uuid, lost: Arc<AtomicBool>) {
    let mut renewed = Instant::now();
    let text = format!(
        "UPDATE @ USING TTL {} SET holder = ?, claim = ? WHERE id = 0 IF claim = ?",
        LEASE.as_secs()
    );
    loop {
        tokio::time::sleep(RENEWAL).await;
        let now = Instant::now();
        let left = LEASE.saturating_sub(renewed.elapsed());
        match tokio::time::timeout(left, change_if(&keyspace, TABLE, &text, (holder(), claim, claim))).await {
            Ok(Ok(true)) => renewed = now,
            Ok(Err(_)) if renewed.elapsed() < LEASE => {}
            _ => break,
        }
    }
    lost.store(true, Ordering::Release);
}

fn busy(keyspace: &Keyspace, holder: &str) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("{holder} is migrating connection `{}`", keyspace.connection),
    )
    .hint(format!(
        "wait until it has ended; the lock of one that was killed expires after {} seconds",
        LEASE.as_secs()
    ))
}

fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("an unknown host");
    format!("process {} on {host}", std::process::id())
}
