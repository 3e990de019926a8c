//! The lease: one writing run at a time for each project and keyspace.
//!
//! A text that names the holder and expires unless it is renewed, and a number that counts the
//! leases. Checkpoints are written on the condition that the number is still the writer's own, so that
//! a run which lost its lease is fenced off whatever it believes. A holder that runs no more on this
//! machine is not waited for.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::LeaseRequest;
use super::clock::Clock;
use super::ledger::Ledger;
use crate::ledger::RunRecord;
use crate::sink::form::{self, json};
use crate::{Error, ErrorKind, Result};

/// How long a lease is good for when nobody renews it.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);
/// How long a holder is waited for that may be about to end.
const GRACE: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Who holds it.
#[derive(Serialize, Deserialize)]
struct Holder {
    run: Uuid,
    place: String,
    since: String,
}

/// A lease that is held, and renewed until this is dropped.
pub(super) struct Held {
    renewal: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Takes the lease and records the run.
pub(super) async fn acquire(ledger: &Ledger, lease: &LeaseRequest) -> Result<(i64, Held)> {
    let clock = Clock::of(ledger).await?;
    if clock.skew_seconds().abs() > 5 {
        tracing::warn!(
            seconds = clock.skew_seconds(),
            "the server's clock and this machine's are apart; rows are written and expire by the server's"
        );
    }
    let holder = Holder {
        run: lease.run,
        place: lease.holder.clone(),
        since: clock.text(),
    };
    let value = json(&holder);
    let began = Instant::now();
    let epoch = loop {
        let (epoch, found) = look(ledger, &lease.project).await?;
        if let Some(holder) = &found
            && !is_void(holder, lease)
        {
            if began.elapsed() > GRACE.max(lease.wait) {
                return Err(busy(ledger, &lease.project, holder));
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        match take(ledger, lease, epoch, &value).await {
            Ok(Some(epoch)) => break epoch,
            Ok(None) => {}
            // It is looked again whether it was taken.
            Err(error) if error.kind() == ErrorKind::Lost && began.elapsed() <= GRACE.max(lease.wait) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    };
    record(ledger, lease, &holder.since).await?;
    let renewal = tokio::spawn(renew(
        Ledger::new(std::sync::Arc::clone(&ledger.keyspace)),
        lease.project.clone(),
        epoch,
        value,
    ));
    Ok((epoch, Held { renewal }))
}

async fn record(ledger: &Ledger, lease: &LeaseRequest, since: &str) -> Result<()> {
    if super::ledger_read::run(ledger, &lease.project, lease.run).await?.is_some() {
        return Ok(());
    }
    let record = RunRecord {
        run: lease.run,
        project: lease.project.clone(),
        environment: lease.environment.clone(),
        holder: lease.holder.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: since.to_owned(),
        ended_at: None,
        status: "running".to_owned(),
    };
    write_record(ledger, &record).await
}

async fn write_record(ledger: &Ledger, record: &RunRecord) -> Result<()> {
    let text = "INSERT INTO @run (project, run, record) VALUES (?, ?, ?)";
    ledger.ask(text, (&record.project, record.run, json(record))).await.map(drop)
}

/// Nobody who is alive holds the lease: otherwise what a rehearsal finds out may be wrong by the next
/// moment.
///
/// # Errors
/// [`ErrorKind::Busy`] naming the holder.
pub(super) async fn check_free(ledger: &Ledger, lease: &LeaseRequest) -> Result<()> {
    if !ledger.exists() {
        return Ok(());
    }
    match look(ledger, &lease.project).await? {
        (_, Some(holder)) if !is_void(&holder, lease) => Err(busy(ledger, &lease.project, &holder)),
        _ => Ok(()),
    }
}

/// The lease is of this epoch.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] where another run has it, [`ErrorKind::Lost`] where this run has taken it
/// anew.
pub(super) async fn check_held(ledger: &Ledger, project: &str, run: Uuid, epoch: i64) -> Result<()> {
    let (found, holder) = look(ledger, project).await?;
    if found == Some(epoch) {
        return Ok(());
    }
    if holder.is_some_and(|holder| holder.run == run) {
        return Err(Error::new(
            ErrorKind::Lost,
            "another connection of this run has taken the lease anew",
        ));
    }
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("another run has taken over project `{project}` since this one began"),
    )
    .hint("its own rows go before those of this one; let the other run finish, then run again"))
}

/// Gives the lease back and records how the run ended.
pub(super) async fn release(ledger: &Ledger, (project, run, epoch): (&str, Uuid, i64), status: &str) -> Result<()> {
    if let Some(record) = super::ledger_read::run(ledger, project, run).await? {
        let now = Clock::of(ledger).await?;
        let ended = RunRecord {
            ended_at: Some(now.text()),
            status: status.to_owned(),
            ..record
        };
        write_record(ledger, &ended).await?;
    }
    let text = "UPDATE @checkpoint SET holder = null WHERE project = ? IF epoch = ?";
    ledger.change_if(text, (project, epoch)).await.map(drop)
}

async fn look(ledger: &Ledger, project: &str) -> Result<(Option<i64>, Option<Holder>)> {
    let text = "SELECT epoch, holder FROM @checkpoint WHERE project = ? LIMIT 1";
    let rows = ledger.ask_settled(text, (project,)).await?;
    let Some((epoch, holder)) = rows.rows::<(Option<i64>, Option<String>)>()?.into_iter().next() else {
        return Ok((None, None));
    };
    let holder = holder.map(|text| serde_json::from_str(&text)).transpose();
    Ok((epoch, holder.map_err(|_| form::unreadable())?))
}

/// Whether nobody is behind a lease any more: it is this run's own, of a session that it lost, or its
/// process is gone.
fn is_void(holder: &Holder, lease: &LeaseRequest) -> bool {
    (holder.run == lease.run && !lease.wait.is_zero()) || is_gone(&holder.place, &lease.holder)
}

/// Whether a process of this very machine is gone, from how both tell where they are.
fn is_gone(place: &str, ours: &str) -> bool {
    let parts = |place: &str| {
        let (process, host) = place.strip_prefix("process ")?.split_once(" on ")?;
        Some((process.parse::<u32>().ok()?, host.to_owned()))
    };
    match (parts(place), parts(ours)) {
        (Some((process, host)), Some((_, here))) => {
            host == here
                && std::path::Path::new("/proc/self").exists()
                && !std::path::Path::new(&format!("/proc/{process}")).exists()
        }
        _ => false,
    }
}

/// `None` where somebody was faster.
async fn take(ledger: &Ledger, lease: &LeaseRequest, before: Option<i64>, value: &str) -> Result<Option<i64>> {
    let epoch = before.unwrap_or_default() + 1;
    let project = &lease.project;
    let taken = if let Some(before) = before {
        let text = "UPDATE @checkpoint SET epoch = ? WHERE project = ? IF epoch = ?";
        ledger.change_if(text, (epoch, project, before)).await?
    } else {
        let text = "UPDATE @checkpoint SET epoch = ? WHERE project = ? IF epoch = null";
        ledger.change_if(text, (epoch, project)).await?
    };
    let named = taken && name(ledger, project, epoch, value).await?;
    Ok(named.then_some(epoch))
}

/// Puts the holder's name beside the number, for as long as a lease lasts.
async fn name(ledger: &Ledger, project: &str, epoch: i64, value: &str) -> Result<bool> {
    let seconds = i32::try_from(LEASE.as_secs()).unwrap_or(i32::MAX);
    let text = "UPDATE @checkpoint USING TTL ? SET holder = ? WHERE project = ? IF epoch = ?";
    ledger.change_if(text, (seconds, value, project, epoch)).await
}

async fn renew(ledger: Ledger, project: String, epoch: i64, value: String) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match name(&ledger, &project, epoch, &value).await {
            Ok(true) => {}
            // Another run has it; the fence tells the session so.
            Ok(false) => return,
            Err(_) => tracing::debug!("the lease could not be renewed this time"),
        }
    }
}

fn busy(ledger: &Ledger, project: &str, holder: &Holder) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "connection `{}`: run {} on {} has been writing project `{project}` since {}",
            ledger.keyspace.connection, holder.run, holder.place, holder.since
        ),
    )
    .hint(format!(
        "wait until it has ended; a lease whose holder is gone expires after {} seconds",
        LEASE.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_only_where_that_can_be_seen() {
        let ours = format!("process {} on here", std::process::id());
        assert!(!is_gone(&ours, &ours));
        assert!(is_gone("process 4294967294 on here", &ours));
        assert!(!is_gone("process 4294967294 on there", &ours));
        assert!(!is_gone("somebody", &ours));
    }
}
