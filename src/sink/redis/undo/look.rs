//! Looking at the logs of a run: what taking them back would do.

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use redis::Value;
use uuid::Uuid;

use super::super::command::Command;
use super::super::form::{self, bytes, parts};
use super::super::link::Link;
use super::super::names::Names;
use super::super::session::RedisSession;
use super::super::stream::not_open;
use super::walk::{Walk, members};
use super::{Log, script, state};
use crate::data::keyed::KeyType;
use crate::ledger::undo::{ChangedSince, Undone, Winner};
use crate::{Error, ErrorKind, Result};

/// Keys that are looked at together.
pub(super) const LOOKED_AT_MAX: usize = 500;

/// Logs and members that are remembered, for the server may show one twice; beyond that the figures of a
/// look may be too large.
pub(super) const REMEMBERED_MAX: usize = 2 << 20;

/// What taking a key back comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) undone: Undone,
    pub(super) changed: u64,
    /// The answer of the server, which has to be the same when it is done.
    pub(super) answer: String,
}

impl Looked {
    /// Of a key that is one row; nothing where there is nothing to do.
    pub(super) fn of_key(answer: &str, batch: &str) -> Option<Self> {
        let mut looked = Self {
            answer: answer.to_owned(),
            ..Self::default()
        };
        let words: Vec<&str> = answer.split(' ').collect();
        match words[..] {
            ["changed", times] => looked.changed = times.parse::<u64>().ok()?.max(1),
            [of, state, times] if of == batch => {
                let times = times.parse().ok()?;
                match state {
                    "removed" => looked.undone.removed = times,
                    "restored" => looked.undone.restored = times,
                    "gone" => looked.undone.gone = times,
                    _ => looked.undone.kept = times,
                }
            }
            _ => return None,
        }
        Some(looked)
    }

    fn of_members(answer: &str) -> Option<Self> {
        let figures: Vec<u64> = answer.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [removed, restored, gone, kept, changed] = figures[..] else {
            return None;
        };
        Some(Self {
            undone: Undone {
                removed,
                restored,
                gone,
                kept,
                more: false,
            },
            changed,
            answer: answer.to_owned(),
        })
    }
}

/// How a run is looked at, or taken back.
pub(super) struct Way<'a> {
    pub(super) log: &'a Log,
    pub(super) key_type: KeyType,
    pub(super) winner: Option<Winner>,
    /// Number of the rollback's batch.
    pub(super) number: String,
    /// The attempt at it: its number and the lease under which it is made, so that what another attempt
    /// has marked is told from what this one has.
    pub(super) batch: String,
    /// The last batch of the run in each split, as a script reads it.
    pub(super) last: String,
}

impl Way<'_> {
    /// Whether a key holds many rows, each of which is logged.
    pub(super) const fn has_members(&self) -> bool {
        matches!(self.key_type, KeyType::Set | KeyType::Zset)
    }

    const fn winner(&self) -> &'static [u8] {
        match self.winner {
            None => b"",
            Some(Winner::Target) => b"target",
            Some(Winner::Undo) => b"undo",
        }
    }

    /// The key of a log.
    pub(super) fn key_of(&self, log: &[u8]) -> Result<Vec<u8>> {
        Names::undone_key(self.log.run, &self.log.stream, log).ok_or_else(form::unreadable)
    }

    /// Takes a key back, or looks what that would do.
    pub(super) fn key(&self, doing: &[u8], (key, log): (&[u8], &[u8])) -> Command {
        script::BACK
            .on(&[key, log])
            .arg(doing)
            .arg(self.winner())
            .arg(self.batch.as_bytes())
            .arg(self.last.as_bytes())
    }

    /// Takes members back, or looks what that would do.
    pub(super) fn members(&self, doing: &[u8], (key, log): (&[u8], &[u8]), members: &[Vec<u8>]) -> Command {
        let scored: &[u8] = if self.key_type == KeyType::Zset { b"1" } else { b"0" };
        let mut command = script::BACK_MEMBERS
            .on(&[key, log])
            .arg(doing)
            .arg(self.winner())
            .arg(self.batch.as_bytes())
            .arg(self.last.as_bytes())
            .arg(scored);
        command.extend(members);
        command
    }

    /// What taking these keys back would do; nothing for those of which there is nothing to do.
    pub(super) async fn look_at_keys(&self, link: &mut Link, keys: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<Option<Looked>>> {
        let asked = keys.iter().map(|(key, log)| self.key(b"look", (key, log))).collect();
        let answers = link.ask_each(asked).await?;
        let read = answers.iter().map(|answer| {
            let answer = bytes(answer).and_then(|answer| std::str::from_utf8(answer).ok());
            let answer = answer.ok_or_else(form::unreadable)?;
            Ok(Looked::of_key(answer, &self.batch))
        });
        read.collect()
    }

    /// What taking these members back would do, and those that were changed since.
    pub(super) async fn look_at_members(
        &self,
        link: &mut Link,
        of: (&[u8], &[u8]),
        some: &[Vec<u8>],
    ) -> Result<(Looked, Vec<Value>)> {
        let mut answer = parts(link.ask(self.members(b"look", of, some)).await?).into_iter();
        let told = answer.next().unwrap_or_default();
        let told = bytes(&told).and_then(|told| std::str::from_utf8(told).ok());
        let looked = told.and_then(Looked::of_members).ok_or_else(form::unreadable)?;
        Ok((looked, answer.collect()))
    }
}

/// Keys, with the logs beside them and the members that are meant, if not all are.
pub(super) type Chosen = Vec<(Vec<u8>, Vec<u8>, Vec<Vec<u8>>)>;

/// The keys and members of some rows.
pub(super) fn chosen(log: &Log, rows: &RecordBatch) -> Result<Chosen> {
    let unknown = || Error::new(ErrorKind::Internal, "a row was to be taken back by what is no key");
    let column = |at: usize| {
        rows.columns()
            .get(at)
            .map(|column| column.as_binary_opt::<i32>().ok_or_else(unknown))
    };
    let keys = column(0).ok_or_else(unknown)??;
    let members = column(1).transpose()?;
    let mut found: Chosen = Vec::new();
    for row in 0..rows.num_rows() {
        let key = [log.names.prefix().as_bytes(), keys.value(row)].concat();
        let member = members
            .filter(|members| members.is_valid(row))
            .map(|members| members.value(row).to_vec());
        if let Some((_, _, members)) = found.iter_mut().find(|(known, ..)| *known == key) {
            members.extend(member);
        } else {
            let beside = log.key(&key)?;
            found.push((key, beside, member.into_iter().collect()));
        }
    }
    Ok(found)
}

/// What taking a run back would meet.
pub(in crate::sink::redis) async fn changed_since(
    session: &mut RedisSession,
    run: Uuid,
    only: Option<&RecordBatch>,
    keys_max: usize,
) -> Result<ChangedSince> {
    let mut since = ChangedSince::default();
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let (stream, key_type) = (open.target.stream.clone(), open.layout.key_type);
    let record = state::record(&mut session.reader, &session.names, (run, &stream)).await?;
    if record.ok_or_else(|| no_log(run, &stream))?.complete {
        return Ok(since);
    }
    super::load(&mut session.reader).await?;
    let log = Log::new(session.names.clone(), run, stream.clone(), session.link.is_cluster());
    let way = Way {
        log: &log,
        key_type,
        winner: None,
        number: "look".to_owned(),
        batch: "look".to_owned(),
        last: state::last_batches(&mut session.reader, &session.names, (run, &stream)).await?,
    };
    let mut looking = Looking {
        way: &way,
        since: &mut since,
        keys_max,
        link: &mut session.reader,
    };
    if let Some(rows) = only {
        for (key, log, members) in chosen(&log, rows)? {
            if way.has_members() {
                looking.members((&key, &log), &members).await?;
            } else {
                looking.keys(&[(key, log)]).await?;
            }
        }
        return Ok(since);
    }
    let mut walk = Walk::new(&session.names, run, &stream);
    let mut seen = std::collections::HashSet::new();
    loop {
        let mut some = walk.some(looking.link, LOOKED_AT_MAX).await?;
        if some.is_empty() {
            break;
        }
        some.retain(|log| seen.len() >= REMEMBERED_MAX || seen.insert(xxhash_rust::xxh3::xxh3_128(log)));
        let keys: Vec<_> = some
            .into_iter()
            .map(|log| Ok((way.key_of(&log)?, log)))
            .collect::<Result<_>>()?;
        if way.has_members() {
            for (key, log) in &keys {
                looking.all_members((key, log)).await?;
            }
        } else {
            looking.keys(&keys).await?;
        }
    }
    let growing = super::back::not_in_place(session, &log, &way.number).await?;
    since.unchanged.removed += growing.iter().map(|(_, elements)| elements).sum::<u64>();
    Ok(since)
}

struct Looking<'a> {
    way: &'a Way<'a>,
    since: &'a mut ChangedSince,
    keys_max: usize,
    link: &'a mut Link,
}

impl Looking<'_> {
    async fn keys(&mut self, keys: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let looked = self.way.look_at_keys(self.link, keys).await?;
        for ((key, _), looked) in keys.iter().zip(looked) {
            let Some(looked) = looked else { continue };
            self.since.unchanged += looked.undone;
            self.since.rows += looked.changed;
            if looked.changed > 0 && self.since.keys.len() < self.keys_max {
                self.since.keys.push(self.shown(key));
            }
        }
        Ok(())
    }

    async fn all_members(&mut self, of: (&[u8], &[u8])) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        let mut from = 0;
        loop {
            let (mut page, next) = members(self.link, of.1, from).await?;
            page.retain(|member| seen.len() >= REMEMBERED_MAX || seen.insert(xxhash_rust::xxh3::xxh3_128(member)));
            self.members(of, &page).await?;
            from = next;
            if from == 0 {
                return Ok(());
            }
        }
    }

    async fn members(&mut self, of: (&[u8], &[u8]), members: &[Vec<u8>]) -> Result<()> {
        for some in members.chunks(LOOKED_AT_MAX) {
            let (looked, changed) = self.way.look_at_members(self.link, of, some).await?;
            self.since.unchanged += looked.undone;
            self.since.rows += looked.changed;
            let room = self.keys_max.saturating_sub(self.since.keys.len());
            for member in changed.iter().filter_map(bytes).take(room) {
                let shown = format!("{} {}", self.shown(of.0), String::from_utf8_lossy(member));
                self.since.keys.push(shown);
            }
        }
        Ok(())
    }

    fn shown(&self, key: &[u8]) -> String {
        let prefix = self.way.log.names.prefix().len();
        String::from_utf8_lossy(&key[prefix..]).into_owned()
    }
}

pub(super) fn no_log(run: Uuid, stream: &str) -> Error {
    Error::new(ErrorKind::Missing, format!("run {run} left no undo log of stream `{stream}`"))
        .hint("restore a backup instead: `dbferry restore FOLDER`")
}
