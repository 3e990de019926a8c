//! The lease: one writing run at a time for each project and server.
//!
//! A key that names the holder and expires unless it is renewed, and a number that counts the
//! leases. Who writes proves with every batch that the number is still its own, so that a run which
//! lost its lease is fenced off whatever it believes. A holder whose connection is gone is not
//! waited for.

use std::time::{Duration, Instant};

use redis::Value;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::LeaseRequest;
use super::command::Command;
use super::form::{self, bytes, json, number};
use super::link::Link;
use super::moment;
use super::names::Names;
use super::server::Server;
use super::transact::{Condition, Outcome, transact, words};
use crate::ledger::RunRecord;
use crate::{Error, ErrorKind, Result};

/// How long a lease is good for when nobody renews it.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);
/// How long a holder is waited for: the connection of a program that was killed is gone at once.
const GRACE: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Who holds it.
#[derive(Serialize, Deserialize)]
struct Holder {
    run: Uuid,
    place: String,
    since: String,
    /// Connection that stays open as long as it is held, by the server's number.
    client: i64,
}

/// A lease that is held, and renewed until this is dropped.
pub(super) struct Held {
    value: Vec<u8>,
    renewal: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Takes the lease and records the run; `reader` is the connection that stands for the holder, and
/// renews the lease.
pub(super) async fn acquire(
    server: &Server,
    reader: &mut Link,
    link: &mut Link,
    names: &Names,
    lease: &LeaseRequest,
) -> Result<(i64, Held)> {
    let client = reader.ask(Command::keyless("CLIENT", &names.lease()).arg(b"ID")).await?;
    let since = moment::now(link, names).await?.text;
    let holder = Holder {
        run: lease.run,
        place: lease.holder.clone(),
        since: since.clone(),
        client: number(&client).unwrap_or_default(),
    };
    let value = json(&holder).into_bytes();
    let began = Instant::now();
    let epoch = loop {
        let found = look(link, names).await?;
        if let Some((_, holder)) = &found
            && !is_void(link, names, holder, lease).await
        {
            if began.elapsed() > GRACE.max(lease.wait) {
                return Err(busy(server, &lease.project, holder));
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let before = found.map(|(text, _)| text).unwrap_or_default();
        if let Some(epoch) = take(link, names, lease, (before, &value, &since)).await? {
            break epoch;
        }
    };
    let renewal = tokio::spawn(renew(reader.clone(), names.lease(), value.clone()));
    Ok((epoch, Held { value, renewal }))
}

/// Nobody who is alive holds the lease: otherwise what a rehearsal finds out may be wrong by the
/// next moment, and what is cleaned away may be written again.
///
/// # Errors
/// [`ErrorKind::Busy`] naming the holder.
pub(super) async fn check_free(server: &Server, link: &mut Link, names: &Names, project: &str) -> Result<()> {
    match look(link, names).await? {
        Some((_, holder)) if !is_gone(link, names, &holder).await => Err(busy(server, project, &holder)),
        _ => Ok(()),
    }
}

/// Gives the lease back and records how the run ended.
pub(super) async fn release(link: &mut Link, names: &Names, held: &Held, ended: Option<RunRecord>) -> Result<()> {
    let condition = Condition {
        key: names.lease(),
        field: "",
        value: held.value.clone(),
    };
    let mut commands = vec![words("DEL", &[&names.lease()])];
    if let Some(run) = ended {
        commands.push(words(
            "HSET",
            &[&names.runs(), run.run.to_string().as_bytes(), json(&run).as_bytes()],
        ));
    }
    transact(link, &[condition], &commands).await.map(drop)
}

async fn look(link: &mut Link, names: &Names) -> Result<Option<(Vec<u8>, Holder)>> {
    let found = link.ask(Command::of("GET", &names.lease())).await?;
    let Some(text) = bytes(&found) else { return Ok(None) };
    let holder = serde_json::from_slice(text).map_err(|_| form::unreadable())?;
    Ok(Some((text.to_vec(), holder)))
}

/// Whether nobody is behind a lease any more: it is this run's own, of a connection that it lost,
/// or its connection is gone.
async fn is_void(link: &mut Link, names: &Names, holder: &Holder, lease: &LeaseRequest) -> bool {
    (holder.run == lease.run && !lease.wait.is_zero()) || is_gone(link, names, holder).await
}

/// Whether the holder's connection is gone.
async fn is_gone(link: &mut Link, names: &Names, holder: &Holder) -> bool {
    let list = Command::keyless("CLIENT", &names.lease())
        .arg(b"LIST")
        .arg(b"ID")
        .number(holder.client);
    // Who may not ask waits until the lease expires.
    match link.ask(list).await {
        Ok(Value::VerbatimString { text, .. }) => text.trim().is_empty(),
        Ok(reply) => bytes(&reply).is_some_and(|text| text.trim_ascii().is_empty()),
        Err(_) => false,
    }
}

/// `None` where somebody was faster.
async fn take(
    link: &mut Link,
    names: &Names,
    lease: &LeaseRequest,
    (before, value, since): (Vec<u8>, &[u8], &str),
) -> Result<Option<i64>> {
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
    let milliseconds = LEASE.as_millis().to_string();
    let condition = Condition {
        key: names.lease(),
        field: "",
        value: before,
    };
    let commands = [
        words("SET", &[&names.lease(), value, b"PX", milliseconds.as_bytes()]),
        words("INCR", &[&names.epoch()]),
        words(
            "HSETNX",
            &[&names.runs(), lease.run.to_string().as_bytes(), json(&record).as_bytes()],
        ),
    ];
    match transact(link, &[condition], &commands).await? {
        Outcome::Unmet(_) => Ok(None),
        Outcome::Done => {
            let epoch = link.ask(Command::of("GET", &names.epoch())).await?;
            Ok(number(&epoch))
        }
    }
}

async fn renew(mut link: Link, key: Vec<u8>, value: Vec<u8>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match link.ask(Command::of("GET", &key)).await {
            Ok(found) if bytes(&found) == Some(&value) => {
                let milliseconds = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
                let renewed = link.ask(Command::of("PEXPIRE", &key).number(milliseconds)).await;
                if renewed.is_err() {
                    tracing::debug!("the lease was not renewed this time");
                }
            }
            // Another run has it; the fence tells the session so.
            Ok(_) => return,
            Err(_) => tracing::debug!("the lease could not be read this time"),
        }
    }
}

/// The lease is of another epoch than a session of `run`: because another run has it, or because
/// this run has taken it anew when it lost a connection, so that its other sessions come again.
pub(super) async fn fenced_off(link: &mut Link, names: &Names, (project, run): (&str, Uuid)) -> Error {
    let known = link.ask(Command::of("GET", &names.epoch())).await;
    let holder = look(link, names).await;
    match (known, holder) {
        (Err(error), _) | (_, Err(error)) => error,
        // A server that forgets is found out when the lease is taken anew.
        (Ok(Value::Nil), _) => Error::new(ErrorKind::Lost, "the lease is gone"),
        (_, Ok(Some((_, holder)))) if holder.run == run => {
            Error::new(ErrorKind::Lost, "another connection of this run has taken the lease anew")
        }
        _ => taken_over(project),
    }
}

fn taken_over(project: &str) -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        format!("another run has taken over project `{project}` since this one began"),
    )
    .hint("nothing of this batch was kept; let the other run finish, then run again")
}

fn busy(server: &Server, project: &str, holder: &Holder) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "connection `{}`: run {} on {} has been writing project `{project}` since {}",
            server.name, holder.run, holder.place, holder.since
        ),
    )
    .hint(format!(
        "wait until it has ended; a lease whose holder is gone expires after {} seconds",
        LEASE.as_secs()
    ))
}
