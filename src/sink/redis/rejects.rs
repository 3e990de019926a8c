//! Rejects and claims of the open stream.

use redis::Value;
use uuid::Uuid;

use super::command::Command;
use super::form::{self, RejectForm, bytes, json, number};
use super::ledger_read;
use super::link::Link;
use super::session::RedisSession;
use super::stream::{no_batch, not_open};
use super::transact::words;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::ledger::Claim;
use crate::{Error, ErrorKind, Result};

/// Claims in one exchange.
const CLAIMS_MAX: usize = 2_000;

/// In place of a row that is larger than what the server takes.
const TOO_LARGE: &str = "\"larger than what is kept here\"";

/// Stores rejects with the batch.
pub(super) async fn add(session: &mut RedisSession, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
    let count = i64::try_from(rejects.len()).unwrap_or(i64::MAX);
    // Ids that a batch took which is given up are left out.
    let last = session
        .reader
        .ask(Command::of("INCRBY", &session.names.reject_id()).number(count))
        .await?;
    let first = number(&last).ok_or_else(form::unreadable)? - count + 1;
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let batch = session.batch.as_mut().ok_or_else(no_batch)?;
    let key = session.names.rejects();
    for (id, reject) in (first..).zip(rejects) {
        let place = (open.target.stream.as_str(), open.split);
        let mut record = form::reject(reject, place, run, sequence, &batch.now_text);
        if record.len() > session.server.bytes_max {
            let without = Reject {
                row: TOO_LARGE.to_owned(),
                ..reject.clone()
            };
            record = form::reject(&without, place, run, sequence, &batch.now_text);
        }
        batch
            .ledger
            .push(words("HSET", &[&key, id.to_string().as_bytes(), record.as_bytes()]));
    }
    Ok(())
}

/// Marks rejects as resolved with the batch.
pub(super) async fn resolve(session: &mut RedisSession, ids: &[i64]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let key = session.names.rejects();
    let mut question = Command::of("HMGET", &key);
    question.extend(ids.iter().map(i64::to_string));
    let found = form::parts(session.reader.ask(question).await?);
    let mut resolved = 0;
    let batch = session.batch.as_mut().ok_or_else(no_batch)?;
    for (id, found) in ids.iter().zip(&found) {
        let Some(text) = bytes(found) else { continue };
        let mut reject = RejectForm::read(text)?;
        if reject.resolved_by.replace(session.identity.run).is_none() {
            resolved += 1;
            batch
                .ledger
                .push(words("HSET", &[&key, id.to_string().as_bytes(), json(&reject).as_bytes()]));
        }
    }
    if resolved == ids.len() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("{} rejects were to be resolved, but {resolved} of them are open", ids.len()),
    ))
}

/// Marks the open rejects of the stream with these source keys as resolved.
pub(super) async fn resolve_keys(session: &mut RedisSession, keys: &[Key]) -> Result<u64> {
    let open = session.stream.as_mut().ok_or_else(not_open)?;
    let rejects = if let Some(rejects) = &mut open.rejects {
        rejects
    } else {
        let stream = open.target.stream.clone();
        let of_stream = |_: i64, reject: &RejectForm| reject.stream == stream;
        let found = ledger_read::rejects(&mut session.reader, &session.names, of_stream).await?;
        open.rejects.insert(found)
    };
    let mut ids = Vec::new();
    rejects.retain(|(id, reject)| {
        let meant = keys.contains(&reject.key);
        if meant {
            ids.push(*id);
        }
        !meant
    });
    if !session.identity.dry_run {
        resolve(session, &ids).await?;
    }
    Ok(ids.len() as u64)
}

/// Claims keys for source rows, at once: a claim of a batch that is given up is found again by the
/// same row.
/// An undo log is told of those that are new before they are claimed.
pub(super) async fn claim(link: &mut Link, (name, log): (&[u8], Option<Vec<u8>>), claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
    let mut taken = Vec::new();
    for (chunk, some) in claims.chunks(CLAIMS_MAX).enumerate() {
        if let Some(log) = &log {
            note(link, name, log, some).await?;
        }
        let claimed = some.iter().map(|claim| {
            Command::of("HSETNX", name)
                .arg(&claim.digest.to_be_bytes())
                .arg(json(&claim.key).as_bytes())
        });
        let claimed = link.ask_each(claimed.collect()).await?;
        let there: Vec<usize> = (0..some.len()).filter(|at| claimed[*at] == Value::Int(0)).collect();
        let asked = there
            .iter()
            .map(|at| Command::of("HGET", name).arg(&some[*at].digest.to_be_bytes()));
        for (at, owner) in there.iter().zip(link.ask_each(asked.collect()).await?) {
            let owner: Key = serde_json::from_slice(bytes(&owner).unwrap_or_default()).map_err(|_| form::unreadable())?;
            if owner != some[*at].key {
                taken.push((chunk * CLAIMS_MAX + at, owner));
            }
        }
    }
    Ok(taken)
}

/// Notes claims that nobody has made.
async fn note(link: &mut Link, name: &[u8], log: &[u8], claims: &[Claim]) -> Result<()> {
    let asked = claims
        .iter()
        .map(|claim| Command::of("HEXISTS", name).arg(&claim.digest.to_be_bytes()));
    let there = link.ask_each(asked.collect()).await?;
    let mut note = Command::of("SADD", log);
    let mut any = false;
    for (claim, there) in claims.iter().zip(&there) {
        if *there == Value::Int(0) {
            note.push(&claim.digest.to_be_bytes());
            any = true;
        }
    }
    if !any {
        return Ok(());
    }
    link.ask(note).await.map(drop)
}
