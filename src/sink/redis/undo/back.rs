//! The way back: keys and members become what the log says they were, within a batch. Every command says
//! in which attempt at which batch of the rollback it is made, so that what an attempt has done that was
//! cut short counts when the batch is made again.

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::super::command::Command;
use super::super::commit;
use super::super::form::bytes;
use super::super::planned::{Expected, Planned, identity};
use super::super::session::RedisSession;
use super::super::stream::{no_batch, not_open};
use super::super::transact::words;
use super::look::{Chosen, LOOKED_AT_MAX, Looked, Way, chosen, no_log};
use super::walk::{Walk, members};
use super::{Log, again, growing, restored, script, state};
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::ledger::undo::{UndoStep, Undone};
use crate::{Error, ErrorKind, Result};

/// What a step has gathered so far.
struct Step<'a> {
    way: Way<'a>,
    planned: Planned,
    done: Undone,
}

/// Takes rows back, within a batch.
pub(in crate::sink::redis) async fn undo(session: &mut RedisSession, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let (stream, key_type, batch) = (open.target.stream.clone(), open.layout.key_type, open.batch());
    let record = state::record(&mut session.reader, &session.names, (step.run, &stream)).await?;
    if record.ok_or_else(|| no_log(step.run, &stream))?.complete {
        return Ok(Undone::default());
    }
    super::load(&mut session.reader).await?;
    let log = Log::new(session.names.clone(), step.run, stream.clone(), session.link.is_cluster());
    let mut gathered = Step {
        way: Way {
            log: &log,
            key_type,
            winner: step.winner,
            number: batch.to_string(),
            batch: format!("{batch}:{}", session.identity.epoch),
            last: state::last_batches(&mut session.reader, &session.names, (step.run, &stream)).await?,
        },
        planned: Planned::default(),
        done: Undone::default(),
    };
    if session.walk.is_none() {
        gathered.done += again::done_before(session, &gathered.way).await?;
        session.walk = Some(Walk::new(&session.names, step.run, &stream));
    }
    match only {
        Some(rows) => gathered.chosen(session, chosen(&log, rows)?).await?,
        None => gathered.walk(session, step.rows_max).await?,
    }
    let Step { planned, mut done, .. } = gathered;
    // What was written and equal is as it was, too: expiries that were set anew.
    done.more = done.rows() == 0 && !planned.commands.is_empty();
    let record = session.names.undo_record(step.run, &stream);
    let undoing = session.names.undoing(&stream);
    let open = session.batch.as_mut().ok_or_else(no_batch)?;
    open.undone += done;
    let (field, figures) = (format!("done:{batch}"), state::undone_text(open.undone));
    open.ledger
        .push(words("HSET", &[&record, field.as_bytes(), figures.as_bytes()]));
    if only.is_none() {
        open.ledger.push(words("SET", &[&undoing, step.run.to_string().as_bytes()]));
    }
    if !planned.commands.is_empty() {
        commit::take(session, planned).await?;
    }
    Ok(done)
}

impl Step<'_> {
    async fn chosen(&mut self, session: &mut RedisSession, keys: Chosen) -> Result<()> {
        for (key, log, members) in keys {
            if self.way.has_members() {
                self.members(session, (&key, &log), &members).await?;
            } else {
                self.keys(session, vec![(key, log)]).await?;
            }
        }
        Ok(())
    }

    async fn walk(&mut self, session: &mut RedisSession, rows_max: u64) -> Result<()> {
        let (run, stream) = (self.way.log.run, &self.way.log.stream);
        let mut walk = session.walk.take().unwrap_or_else(|| Walk::new(&session.names, run, stream));
        let most = usize::try_from(rows_max).unwrap_or(usize::MAX).clamp(1, LOOKED_AT_MAX);
        while self.done.rows() < rows_max {
            if let Some((log, from)) = walk.inside.take() {
                let (page, next) = members(&mut session.reader, &log, from).await?;
                walk.inside = (next != 0).then(|| (log.clone(), next));
                let key = self.way.key_of(&log)?;
                self.members(session, (&key, &log), &page).await?;
                continue;
            }
            let most = if self.way.has_members() { 1 } else { most };
            let some = walk.some(&mut session.reader, most).await?;
            if some.is_empty() {
                self.not_in_place(session).await?;
                break;
            }
            if self.way.has_members() {
                walk.inside = some.into_iter().next().map(|log| (log, 0));
                continue;
            }
            let keys = some.into_iter().map(|log| Ok((self.way.key_of(&log)?, log)));
            let keys = keys.collect::<Result<_>>()?;
            self.keys(session, keys).await?;
        }
        session.walk = Some(walk);
        Ok(())
    }

    async fn keys(&mut self, session: &mut RedisSession, mut keys: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let batch = session.batch.as_mut().ok_or_else(no_batch)?;
        // The server may show one twice.
        keys.retain(|(key, _)| batch.rows.insert(identity(key, &[])));
        let looked = self.way.look_at_keys(&mut session.reader, &keys).await?;
        for ((key, log), looked) in keys.iter().zip(looked) {
            let Some(looked) = looked else { continue };
            let command = self.way.key(b"do", (key, log));
            self.take(looked, command)?;
        }
        Ok(())
    }

    async fn members(&mut self, session: &mut RedisSession, of: (&[u8], &[u8]), members: &[Vec<u8>]) -> Result<()> {
        let batch = session.batch.as_mut().ok_or_else(no_batch)?;
        let new: Vec<Vec<u8>> = (members.iter())
            .filter(|member| batch.rows.insert(identity(of.0, member)))
            .cloned()
            .collect();
        for some in new.chunks(LOOKED_AT_MAX) {
            let (looked, _) = self.way.look_at_members(&mut session.reader, of, some).await?;
            let command = self.way.members(b"do", of, some);
            self.take(looked, command)?;
        }
        Ok(())
    }

    fn take(&mut self, looked: Looked, command: Command) -> Result<()> {
        if looked.changed > 0 {
            return Err(Error::refused(Refusal {
                column: None,
                reason: Reason::Refused,
                detail: "a row was changed since the run".to_owned(),
            }));
        }
        self.done += looked.undone;
        self.planned.push(command, Expected::Text(looked.answer));
        Ok(())
    }

    /// Lists and streams that were growing when the run was cut short.
    async fn not_in_place(&mut self, session: &mut RedisSession) -> Result<()> {
        let stream = self.way.log.stream.clone();
        let grown = session.names.undo_saved(self.way.log.run, &stream, "grown");
        for (key, elements) in not_in_place(session, self.way.log, &self.way.number).await? {
            let staged = session.names.staged(&stream, &key);
            self.planned.push(Command::of("UNLINK", &staged), Expected::Any);
            self.done.removed += elements;
            let batch = session.batch.as_mut().ok_or_else(no_batch)?;
            batch.ledger.push(words("HSET", &[&grown, &key, self.way.number.as_bytes()]));
        }
        Ok(())
    }
}

/// Keys of lists and streams that the run began and that have not taken their place, each with its
/// elements, but for those that another batch has taken back.
pub(super) async fn not_in_place(session: &mut RedisSession, log: &Log, number: &str) -> Result<Vec<(Vec<u8>, u64)>> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    if !open.layout.key_type.is_ordered() {
        return Ok(Vec::new());
    }
    let grown_so_far = growing::growing(&mut session.reader, &session.names, (log.run, &log.stream)).await?;
    let mut asked = Vec::with_capacity(grown_so_far.len() * 2);
    let grown = session.names.undo_saved(log.run, &log.stream, "grown");
    for (key, _) in &grown_so_far {
        asked.push(Command::of("EXISTS", &log.key(key)?));
        asked.push(Command::of("HGET", &grown).arg(key));
    }
    let found = session.reader.ask_each(asked).await?;
    let batch = session.batch.as_ref();
    let mut left = Vec::new();
    for ((key, elements), found) in grown_so_far.into_iter().zip(found.chunks_exact(2)) {
        let placed = found[0] != redis::Value::Int(0);
        let elsewhere = bytes(&found[1]).is_some_and(|by| by != number.as_bytes());
        let taken = batch.is_some_and(|batch| batch.ledger.iter().any(|words| words.get(2) == Some(&key)));
        if !(placed || elsewhere || taken) {
            left.push((key, elements));
        }
    }
    Ok(left)
}

/// Ends the way back, within a batch.
pub(in crate::sink::redis) async fn finish(session: &mut RedisSession, run: Uuid) -> Result<()> {
    let stream = session.open()?.target.stream.clone();
    let record = state::record(&mut session.reader, &session.names, (run, &stream)).await?;
    let record = record.ok_or_else(|| no_log(run, &stream))?;
    if record.complete {
        return Ok(());
    }
    super::load(&mut session.reader).await?;
    let mut walk = Walk::new(&session.names, run, &stream);
    loop {
        let some = walk.some(&mut session.reader, LOOKED_AT_MAX).await?;
        if some.is_empty() {
            break;
        }
        let mut commands = Vec::with_capacity(some.len());
        for log in &some {
            let key = super::super::names::Names::undone_key(run, &stream, log).ok_or_else(super::super::form::unreadable)?;
            commands.push(script::SETTLE.on(&[&key, log]));
        }
        for settled in session.reader.write_all(commands).await? {
            let settled = session.reader.sound(settled, "EVALSHA")?;
            if bytes(&settled) != Some(b"ok") {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!("rows of stream `{stream}` are left to take back"),
                )
                .hint("take the run back again: it goes on with what is left"));
            }
        }
    }
    let commands = restored::restored(session, run, &record).await?;
    let batch = session.batch.as_mut().ok_or_else(no_batch)?;
    batch.ledger.extend(commands);
    Ok(())
}
