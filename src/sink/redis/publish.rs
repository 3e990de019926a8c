//! The ends of a stream: where it goes on, and how its keys get their names and their expiry when
//! all rows are there.

use redis::Value;

use super::command::Command;
use super::form::{bytes, number, parts};
use super::link::Link;
use super::ordered::Grown;
use super::planned::{Expected, Planned};
use super::session::RedisSession;
use super::stream::not_open;
use super::transact::{Outcome, transact, words};
use super::undo::{self, Log};
use super::{ledger_read, moment};
use crate::data::keyed::{Expiry, KeyType};
use crate::data::stream::OnConflict;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

/// Fields of the ledger that are looked at together.
const PAGE: i64 = 500;

/// Finds out where the open stream goes on. A batch that is not proven is taken back in the
/// ledger, and what was added to lists is cut off again; what was left to do for a stream whose
/// rows are all there is done.
pub(super) async fn settle(session: &mut RedisSession, restart: bool) -> Result<Option<Checkpoint>> {
    let open = session.stream.as_mut().ok_or_else(not_open)?;
    let place = (session.identity.project.as_str(), open.target.stream.as_str(), open.split);
    let Some(mut kept) = ledger_read::kept(&mut session.reader, &session.names, place).await? else {
        return Ok(None);
    };
    open.is_kept = true;
    open.sequence = kept.sequence;
    if kept.unproven && session.server.committed.has(&open.target.stream, open.split, kept.sequence) {
        // We have seen it to be right, and lost the connection before the ledger could say so.
        open.proven = kept.sequence - 1;
        super::commit::prove(session).await?;
        let open = session.stream.as_ref().ok_or_else(not_open)?;
        let place = (session.identity.project.as_str(), open.target.stream.as_str(), open.split);
        let proven = ledger_read::kept(&mut session.reader, &session.names, place).await?;
        kept = proven.ok_or_else(super::form::unreadable)?;
    }
    let open = session.stream.as_mut().ok_or_else(not_open)?;
    if restart {
        if kept.settled.is_none() {
            // It was never begun but for a first batch that may be there.
            open.replay = kept.replay;
        }
        return Ok(None);
    }
    let sequence = kept.settled.as_ref().map_or(0, |settled| settled.sequence);
    open.settled = kept.settled;
    open.replay = kept.replay;
    open.proven = sequence;
    let (is_ordered, shown) = (open.layout.key_type.is_ordered(), open.sequence);
    if kept.unproven {
        take_back(session, shown, sequence, kept.attempted).await?;
    }
    if is_ordered && !kept.unpublished {
        cut_off(session, sequence).await?;
    }
    if kept.unpublished {
        publish(session).await?;
    }
    Ok(session.open()?.settled.clone())
}

/// The ledger is as it was before the batch that is not proven, but for how far it may have got.
async fn take_back(session: &mut RedisSession, shown: i64, sequence: i64, unproven: Option<Checkpoint>) -> Result<()> {
    let (stream, split, replay, settled) = {
        let open = session.open()?;
        (open.target.stream.clone(), open.split, open.replay, open.settled.clone())
    };
    let conditions = session.fence(shown)?;
    let key = session.names.checkpoint(&stream, split);
    let now = settled.as_ref().map(super::form::checkpoint).unwrap_or_default();
    let sequence_text = sequence.to_string();
    let mut commands = vec![words(
        "HSET",
        &[
            &key,
            b"now",
            now.as_bytes(),
            b"sequence",
            sequence_text.as_bytes(),
            b"proven",
            sequence_text.as_bytes(),
            b"replay",
            replay.to_string().as_bytes(),
        ],
    )];
    if let Some(unproven) = unproven {
        let field = format!("{split}:{}:{}", unproven.sequence, unproven.run);
        commands.push(words("HDEL", &[&session.names.batches(&stream), field.as_bytes()]));
    }
    let late =
        |_: i64, reject: &super::form::RejectForm| reject.stream == stream && reject.split == split && reject.sequence > sequence;
    for (id, _) in ledger_read::rejects(&mut session.reader, &session.names, late).await? {
        commands.push(words("HDEL", &[&session.names.rejects(), id.to_string().as_bytes()]));
    }
    if let Outcome::Unmet(unmet) = transact(&mut session.link, &conditions, &commands).await? {
        return Err(session.fenced(unmet).await);
    }
    if let Some(open) = &mut session.stream {
        open.sequence = sequence;
    }
    Ok(())
}

/// Lists and streams are as long as they were when the last proven batch was there.
async fn cut_off(session: &mut RedisSession, sequence: i64) -> Result<()> {
    let stream = session.open()?.target.stream.clone();
    let is_list = session.open()?.layout.key_type == KeyType::List;
    let touched = session.names.touched(&stream, session.open()?.split);
    let mut late = Vec::new();
    let mut pages = Pages::new(touched.clone());
    while let Some(page) = pages.next(&mut session.reader).await? {
        late.extend(page.into_iter().filter(|(_, grown)| grown.sequence > sequence));
    }
    for (key, grown) in late {
        let staged = session.names.staged(&stream, &key);
        cut(&mut session.reader, &staged, grown.before, is_list).await?;
        let known = if grown.before == 0 {
            words("HDEL", &[&touched, &key])
        } else {
            let known = Grown {
                before: grown.before,
                after: grown.before,
                sequence,
            };
            words("HSET", &[&touched, &key, known.text().as_bytes()])
        };
        session.change(&[known]).await?;
    }
    Ok(())
}

async fn cut(link: &mut Link, staged: &[u8], length: u64, is_list: bool) -> Result<()> {
    if length == 0 {
        return link.ask(Command::of("UNLINK", staged)).await.map(drop);
    }
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if is_list {
        let trim = Command::of("LTRIM", staged).number(0).number(length - 1);
        return link.ask(trim).await.map(drop);
    }
    loop {
        let from = format!("0-{}", length + 1);
        let range = Command::of("XRANGE", staged)
            .arg(from.as_bytes())
            .arg(b"+")
            .arg(b"COUNT")
            .number(PAGE);
        let entries = parts(link.ask(range).await?);
        if entries.is_empty() {
            break;
        }
        let mut delete = Command::of("XDEL", staged);
        for entry in entries {
            if let Some(id) = parts(entry).first().and_then(bytes) {
                delete.push(id);
            }
        }
        link.ask(delete).await?;
    }
    let last = Command::of("XSETID", staged).arg(format!("0-{length}").as_bytes());
    link.ask(last).await.map(drop)
}

/// Gives the keys of a stream whose rows are all there their names and their expiry. Done twice
/// it changes nothing more.
pub(super) async fn publish(session: &mut RedisSession) -> Result<()> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let (stream, split, sequence) = (open.target.stream.clone(), open.split, open.sequence);
    let layout = std::sync::Arc::clone(&open.layout);
    let policy = open.target.on_conflict;
    let touched = session.names.touched(&stream, split);
    if layout.key_type.gathers() {
        let now = moment::now(&mut session.reader, &session.names).await?.milliseconds;
        let expires = match &layout.expiry {
            Some(Expiry::After(after)) => Some(now.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))),
            _ => None,
        };
        let log = log_of(session, &stream).await?;
        let mut pages = Pages::new(touched.clone());
        while let Some(page) = pages.next(&mut session.reader).await? {
            let before = match &log {
                Some(log) => log.grown_before(&mut session.reader, &page).await?,
                None => vec![0; page.len()],
            };
            for ((key, grown), before) in page.into_iter().zip(before) {
                if layout.key_type.is_ordered() {
                    let staged = session.names.staged(&stream, &key);
                    put_in_place(
                        session,
                        (&staged, &key),
                        policy,
                        (log.as_ref(), grown.after.saturating_sub(before), expires),
                    )
                    .await?;
                }
                if let Some(moment) = expires {
                    expire(session, &key, (moment, layout.key_type), log.as_ref()).await?;
                }
            }
        }
    }
    let conditions = session.fence(sequence)?;
    let key = session.names.checkpoint(&stream, split);
    let done = [words("DEL", &[&touched]), words("HSET", &[&key, b"published", b"1"])];
    match transact(&mut session.link, &conditions, &done).await? {
        Outcome::Done => Ok(()),
        Outcome::Unmet(unmet) => Err(session.fenced(unmet).await),
    }
}

/// Where the run that wrote the stream's rows logs them: not this one, if another was cut short just
/// before its end.
async fn log_of(session: &mut RedisSession, stream: &str) -> Result<Option<Log>> {
    let run = session
        .open()?
        .settled
        .as_ref()
        .map_or(session.identity.run, |settled| settled.run);
    if !undo::is_kept(&mut session.reader, &session.names, run, stream).await? {
        return Ok(None);
    }
    undo::load(&mut session.reader).await?;
    let log = Log::new(session.names.clone(), run, stream.to_owned(), session.link.is_cluster());
    Ok(Some(log.of_batch(0, 0)))
}

/// Gives a key that gathers rows its expiry.
async fn expire(session: &mut RedisSession, key: &[u8], (moment, key_type): (i64, KeyType), log: Option<&Log>) -> Result<()> {
    let mut planned = Planned::default();
    planned.push(Command::of("PEXPIREAT", key).number(moment), Expected::Any);
    let mut logged = Planned::default();
    match log {
        // It has it already, from when it took its place.
        Some(_) if key_type.is_ordered() => {}
        Some(log) => log.members(&mut logged, (key, key_type == KeyType::Zset, true), &[], planned)?,
        None => logged = planned,
    }
    session.reader.ask_each(logged.commands).await.map(drop)
}

async fn put_in_place(
    session: &mut RedisSession,
    (staged, key): (&[u8], &[u8]),
    policy: OnConflict,
    (log, elements, expires): (Option<&Log>, u64, Option<i64>),
) -> Result<()> {
    if session.reader.ask(Command::of("EXISTS", staged)).await? == Value::Int(0) {
        // It was put in place before.
        return Ok(());
    }
    if let Some(log) = log {
        let mut own = Planned::default();
        own.push(Command::of("RENAME", staged).arg(key), Expected::Any);
        if let Some(moment) = expires {
            own.push(Command::of("PEXPIREAT", key).number(moment), Expected::Any);
        }
        let new = policy != OnConflict::Update;
        let placed = session.reader.ask(log.place((key, staged), elements, (new, own))?).await?;
        if placed != Value::Int(0) {
            return Ok(());
        }
        return in_the_way(session, staged, policy).await;
    }
    if policy == OnConflict::Update {
        return session.reader.ask(Command::of("RENAME", staged).arg(key)).await.map(drop);
    }
    let renamed = session.reader.ask(Command::of("RENAMENX", staged).arg(key)).await?;
    if renamed == Value::Int(1) {
        return Ok(());
    }
    in_the_way(session, staged, policy).await
}

/// A key is there that somebody else has made since.
async fn in_the_way(session: &mut RedisSession, staged: &[u8], policy: OnConflict) -> Result<()> {
    if policy == OnConflict::Skip {
        return session.reader.ask(Command::of("UNLINK", staged)).await.map(drop);
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "connection `{}`: a key of stream `{}` was made by somebody else while its rows were moved",
            session.server.name,
            session.open()?.target.stream
        ),
    )
    .hint("remove that key or set `on_conflict = \"update\"`, then run again: only names are missing"))
}

/// The keys of the ledger that remember how others have grown, page by page.
pub(super) struct Pages {
    touched: Vec<u8>,
    cursor: Option<i64>,
}

impl Pages {
    pub(super) const fn new(touched: Vec<u8>) -> Self {
        Self {
            touched,
            cursor: Some(0),
        }
    }

    /// Nothing where there are no more.
    pub(super) async fn next(&mut self, link: &mut Link) -> Result<Option<Vec<(Vec<u8>, Grown)>>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let scan = Command::of("HSCAN", &self.touched).number(cursor).arg(b"COUNT").number(PAGE);
        let mut reply = parts(link.ask(scan).await?);
        let page = parts(reply.pop().unwrap_or_default());
        self.cursor = reply.pop().as_ref().and_then(number).filter(|cursor| *cursor != 0);
        let read = page.chunks_exact(2).map(|pair| {
            let (key, grown) = (bytes(&pair[0])?, Grown::read(bytes(&pair[1])?)?);
            Some((key.to_vec(), grown))
        });
        read.collect::<Option<Vec<_>>>().map(Some).ok_or_else(super::form::unreadable)
    }
}
