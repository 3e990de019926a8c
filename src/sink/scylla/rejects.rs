//! Rejects and claims of the open stream.
//!
//! A reject is written before the checkpoint of its batch, and counts from that checkpoint on: what an
//! attempt left that was cut short is removed when the stream is opened again. The same holds for the
//! mark that one is resolved.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::Shared;
use super::ledger::Ledger;
use super::ledger_read;
use super::session::ScyllaSession;
use super::stream::not_open;
use crate::cql::connect::Keyspace;
use crate::data::position::Key;
use crate::data::reject::Reject;
use crate::ledger::Claim;
use crate::sink::form::{self, RejectForm, json, unreadable};
use crate::{Error, ErrorKind, Result};

/// Largest record of a reject; of a larger row it keeps the rest.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// In place of such a row.
const TOO_LARGE: &str = "\"larger than what is kept here\"";
/// Requests for claims and rejects that are on their way at once.
const IN_FLIGHT: usize = 64;
/// Parts that the claims of a stream are kept in: a partition each.
const PARTS: u16 = 1_024;

type Row = (String, i64, String, Option<i32>, Option<i64>);

/// Ids of rejects: unique within a keyspace, for only one run writes at a time, and later ones greater.
pub(super) struct Ids {
    session: i64,
    last: i64,
}

/// Sessions of this process.
static SESSIONS: AtomicU8 = AtomicU8::new(0);
/// Milliseconds since 1970 from which ids count.
const IDS_BEGIN: i64 = 1_600_000_000_000;

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            session: i64::from(SESSIONS.fetch_add(1, Ordering::Relaxed)),
            last: 0,
        }
    }

    /// The next one: milliseconds, session, and a number within both.
    fn next(&mut self, now: i64) -> i64 {
        let first = ((now - IDS_BEGIN).max(1) << 20) | (self.session << 12);
        let follows = self.last + 1;
        // A millisecond has room for so many; further ones take that of the next.
        self.last = match (first > self.last, follows & 0xfff) {
            (true, _) => first,
            (false, 0) => (((self.last >> 20) + 1) << 20) | (self.session << 12),
            (false, _) => follows,
        };
        self.last
    }
}

/// Open rejects of a project, or of one stream of it, by id.
pub(super) async fn open(ledger: &Ledger, project: &str, stream: Option<&str>) -> Result<Vec<(i64, RejectForm)>> {
    // How far each split is decides what counts.
    let mut reached: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for (name, split, kept) in ledger_read::of_project(ledger, project).await? {
        let sequence = kept.settled.map_or(0, |settled| settled.sequence);
        reached.insert((name, split), sequence);
    }
    let mut streams: Vec<&str> = reached.keys().map(|(name, _)| name.as_str()).collect();
    streams.dedup();
    let mut found = Vec::new();
    for name in streams.into_iter().filter(|name| stream.is_none_or(|stream| stream == *name)) {
        for (_, id, record, split, sequence) in rows(ledger, project, name).await? {
            let reject: RejectForm = RejectForm::read(record.as_bytes())?;
            let counts = |split: i32, sequence: i64| {
                reached
                    .get(&(name.to_owned(), split))
                    .is_some_and(|reached| sequence <= *reached)
            };
            let resolved = split.zip(sequence).is_some_and(|(split, sequence)| counts(split, sequence));
            if counts(reject.split, reject.sequence) && !resolved {
                found.push((id, reject));
            }
        }
    }
    found.sort_by_key(|(id, _)| *id);
    Ok(found)
}

async fn rows(ledger: &Ledger, project: &str, stream: &str) -> Result<Vec<Row>> {
    let text = "SELECT stream, id, record, resolved_split, resolved_sequence FROM @reject WHERE project = ? AND stream = ?";
    ledger.ask(text, (project, stream)).await?.rows::<Row>()
}

/// Removes what an attempt left that was cut short: of this split, beyond the batch `sequence`.
pub(super) async fn clear(ledger: &Ledger, (project, stream, split): (&str, &str, i32), sequence: i64) -> Result<()> {
    for (_, id, record, resolved_split, resolved_sequence) in rows(ledger, project, stream).await? {
        let reject: RejectForm = RejectForm::read(record.as_bytes())?;
        if reject.split == split && reject.sequence > sequence {
            let text = "DELETE FROM @reject WHERE project = ? AND stream = ? AND id = ?";
            ledger.ask(text, (project, stream, id)).await?;
        } else if resolved_split == Some(split) && resolved_sequence.is_some_and(|resolved| resolved > sequence) {
            let text = "UPDATE @reject SET resolved_run = null, resolved_split = null, resolved_sequence = null \
                        WHERE project = ? AND stream = ? AND id = ?";
            ledger.ask(text, (project, stream, id)).await?;
        }
    }
    Ok(())
}

/// Stores rejects of a batch.
pub(super) async fn add(session: &mut ScyllaSession, run: Uuid, sequence: i64, rejects: &[Reject]) -> Result<()> {
    let ids: Vec<i64> = rejects.iter().map(|_| session.ids.next(session.clock.now())).collect();
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let (ledger, project, stream) = (
        &session.shared.ledger,
        session.identity.project.as_str(),
        open.target.stream.as_str(),
    );
    let now = session.clock.text();
    let store = |(id, reject): (i64, &Reject)| {
        let place = (stream, open.split);
        let mut record = form::reject(reject, place, run, sequence, &now);
        if record.len() > RECORD_BYTES_MAX {
            let without = Reject {
                row: TOO_LARGE.to_owned(),
                ..reject.clone()
            };
            record = form::reject(&without, place, run, sequence, &now);
        }
        async move {
            let text = "INSERT INTO @reject (project, stream, id, record) VALUES (?, ?, ?, ?)";
            ledger.ask(text, (project, stream, id, record)).await.map(drop)
        }
    };
    stream::iter(ids.into_iter().zip(rejects))
        .map(store)
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Marks rejects as resolved by the batch that follows the last one.
pub(super) async fn resolve(session: &mut ScyllaSession, ids: &[i64]) -> Result<()> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let (ledger, project, stream) = (
        &session.shared.ledger,
        session.identity.project.as_str(),
        open.target.stream.as_str(),
    );
    let (run, split, sequence) = (session.identity.run, open.split, open.sequence().unwrap_or(0) + 1);
    let mark = |id: i64| async move {
        let text = "UPDATE @reject SET resolved_run = ?, resolved_split = ?, resolved_sequence = ? \
                    WHERE project = ? AND stream = ? AND id = ?";
        ledger.ask(text, (run, split, sequence, project, stream, id)).await.map(drop)
    };
    stream::iter(ids.iter().copied())
        .map(mark)
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Marks the open rejects of the stream with these source keys as resolved.
pub(super) async fn resolve_keys(session: &mut ScyllaSession, keys: &[Key]) -> Result<u64> {
    let stream = session.stream.as_ref().ok_or_else(not_open)?.target.stream.clone();
    if !session.known_rejects.iter().any(|(name, _)| *name == stream) {
        let found = open(&session.shared.ledger, &session.identity.project, Some(&stream)).await?;
        session.known_rejects.push((stream.clone(), found));
    }
    let mut ids = Vec::new();
    for (_, rejects) in session.known_rejects.iter_mut().filter(|(name, _)| *name == stream) {
        rejects.retain(|(id, reject)| {
            let meant = keys.contains(&reject.key);
            if meant {
                ids.push(*id);
            }
            !meant
        });
    }
    if !session.identity.dry_run {
        resolve(session, &ids).await?;
    }
    Ok(ids.len() as u64)
}

/// Claims keys for source rows, at once: a claim of a batch that is given up is found again by the
/// same row.
pub(super) async fn claim(shared: &Shared, (project, stream): (&str, &str), claims: &[Claim]) -> Result<Vec<(usize, Key)>> {
    // The lease lets no other run in, and of this one's sessions one after the other.
    let _alone = shared.claiming.lock().await;
    let ledger = &shared.ledger;
    let look = |claim: &Claim| {
        let (part, digest) = place(claim);
        async move {
            let text = "SELECT source_key FROM @key_claim WHERE project = ? AND stream = ? AND part = ? AND digest = ?";
            let rows = ledger.ask(text, (project, stream, part, digest)).await?.rows::<(String,)>()?;
            let owner = rows
                .into_iter()
                .next()
                .map(|(key,)| serde_json::from_str::<Key>(&key).map_err(|_| unreadable()));
            owner.transpose()
        }
    };
    let owners: Vec<Option<Key>> = stream::iter(claims).map(look).buffered(IN_FLIGHT).try_collect().await?;
    let mut taken = Vec::new();
    let mut fresh: HashMap<u128, &Key> = HashMap::new();
    let mut new = Vec::new();
    for (at, (claim, owner)) in claims.iter().zip(owners).enumerate() {
        match owner {
            Some(owner) if owner != claim.key => taken.push((at, owner)),
            Some(_) => {}
            None => match fresh.get(&claim.digest) {
                Some(owner) if **owner != claim.key => taken.push((at, (*owner).clone())),
                Some(_) => {}
                None => {
                    fresh.insert(claim.digest, &claim.key);
                    new.push(claim);
                }
            },
        }
    }
    let store = |claim: &Claim| {
        let (part, digest) = place(claim);
        let key = json(&claim.key);
        async move {
            let text = "INSERT INTO @key_claim (project, stream, part, digest, source_key) VALUES (?, ?, ?, ?, ?)";
            ledger.ask(text, (project, stream, part, digest, key)).await.map(drop)
        }
    };
    stream::iter(new)
        .map(store)
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok(taken)
}

fn place(claim: &Claim) -> (i16, Vec<u8>) {
    let part = u16::try_from(claim.digest % u128::from(PARTS)).unwrap_or_default();
    (part.cast_signed(), claim.digest.to_be_bytes().to_vec())
}

/// Forgets rejects and claims of a stream.
pub(super) async fn forget(ledger: &Ledger, project: &str, name: &str) -> Result<()> {
    let text = "DELETE FROM @reject WHERE project = ? AND stream = ?";
    ledger.ask(text, (project, name)).await?;
    let part = |part: u16| async move {
        let text = "DELETE FROM @key_claim WHERE project = ? AND stream = ? AND part = ?";
        ledger.ask(text, (project, name, part.cast_signed())).await.map(drop)
    };
    let text = "SELECT part FROM @key_claim WHERE project = ? AND stream = ? AND part = ? LIMIT 1";
    let is_used = |part: u16| async move {
        let rows = ledger
            .ask(text, (project, name, part.cast_signed()))
            .await?
            .rows::<(i16,)>()?;
        Ok::<_, Error>((!rows.is_empty()).then_some(part))
    };
    let used: Vec<Option<u16>> = stream::iter(0..PARTS)
        .map(is_used)
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    stream::iter(used.into_iter().flatten())
        .map(part)
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Whether the ledger's tables are those of a keyspace that still has them.
pub(super) fn expect_ledger(keyspace: &Keyspace, exists: bool) -> Result<()> {
    if exists {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("connection `{}`: the ledger is gone", keyspace.connection),
    ))
}
