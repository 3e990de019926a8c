//! Lists and streams that have not taken their place: those that an earlier run had begun are copied when
//! a run goes on with them, and put back when that is taken back.

use redis::Value;
use uuid::Uuid;

use super::super::command::Command;
use super::super::form::{bytes, number, parts, unreadable};
use super::super::link::Link;
use super::super::names::Names;
use super::super::ordered::Grown;
use super::super::publish::Pages;
use super::super::session::RedisSession;
use super::super::transact::words;
use super::super::{forget, ledger_read};
use super::state;
use crate::Result;

/// Lists and streams that have not taken their place: their keys, each with the elements that the run
/// has added.
pub(super) async fn growing(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<Vec<(Vec<u8>, u64)>> {
    let mut last = settled(link, names, (run, stream)).await?;
    for batch in ledger_read::batches(link, names, run).await? {
        if batch.entry.stream == stream && batch.entry.split == 0 {
            last = last.max(batch.entry.sequence);
        }
    }
    let mut found = Vec::new();
    let mut pages = Pages::new(names.touched(stream, 0));
    while let Some(page) = pages.next(link).await? {
        let keys: Vec<&[u8]> = page.iter().map(|(key, _)| key.as_slice()).collect();
        let before = grown_before(link, names, (run, stream), &keys).await?;
        let own = page.iter().zip(before);
        found.extend(own.map(|((key, grown), before)| (key.clone(), length(*grown, last).saturating_sub(before))));
    }
    Ok(found)
}

/// How many elements lists and streams had before the run, that an earlier one had begun.
pub(super) async fn grown_before(link: &mut Link, names: &Names, (run, stream): (Uuid, &str), keys: &[&[u8]]) -> Result<Vec<u64>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut question = Command::of("HMGET", &names.undo_saved(run, stream, "touched"));
    question.extend(keys);
    let found = parts(link.ask(question).await?);
    let settled = settled(link, names, (run, stream)).await?;
    let before = |found: &Value| bytes(found).and_then(Grown::read).map_or(0, |grown| length(grown, settled));
    Ok(found.iter().map(before).collect())
}

/// How long a list was after a batch: one beyond it was not proven, and what it added is cut off again.
const fn length(grown: Grown, batch: i64) -> u64 {
    if grown.sequence > batch { grown.before } else { grown.after }
}

/// The last batch of the stream that was proven when the run began.
async fn settled(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<i64> {
    let question = Command::of("HGET", &names.undo_record(run, stream)).arg(b"settled");
    Ok(number(&link.ask(question).await?).unwrap_or_default())
}

/// Copies the lists and streams that an earlier run had begun. That there may be copies is said first: a
/// run that is killed meanwhile has no log that could tell.
pub(super) async fn save(session: &mut RedisSession, (run, stream): (Uuid, &str)) -> Result<()> {
    let names = session.names.clone();
    let copies = format!("{run}:{stream}");
    session
        .change(&[words("SADD", &[&names.undo_copies(), copies.as_bytes()])])
        .await?;
    let mut pages = Pages::new(names.touched(stream, 0));
    while let Some(page) = pages.next(&mut session.reader).await? {
        let copies = page.iter().map(|(key, _)| {
            let (staged, saved) = (names.staged(stream, key), names.undo_staged(run, stream, key));
            Command::of("COPY", &staged).arg(&saved)
        });
        session.reader.ask_each(copies.collect()).await?;
    }
    Ok(())
}

/// Puts the copies back. They stay until the log says that the run is taken back: whoever is killed before
/// puts them back once more.
pub(super) async fn put_back(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<()> {
    let mut pages = Pages::new(names.undo_saved(run, stream, "touched"));
    while let Some(page) = pages.next(link).await? {
        let copies = page.iter().map(|(key, _)| {
            let (staged, saved) = (names.staged(stream, key), names.undo_staged(run, stream, key));
            Command::of("COPY", &saved).arg(&staged).arg(b"REPLACE")
        });
        link.ask_each(copies.collect()).await?;
    }
    Ok(())
}

/// Removes copies that no log will ever put back: of runs that were killed before they had one, that are
/// taken back, and whose logs are forgotten. Those of the session's own run may still be in the making.
pub(super) async fn sweep(session: &mut RedisSession) -> Result<()> {
    let names = session.names.clone();
    for copies in parts(session.reader.ask(Command::of("SMEMBERS", &names.undo_copies())).await?) {
        let text = bytes(&copies).and_then(|copies| std::str::from_utf8(copies).ok());
        let (run, stream) = text.and_then(|copies| copies.split_once(':')).ok_or_else(unreadable)?;
        let run: Uuid = run.parse().map_err(|_| unreadable())?;
        let record = state::record(&mut session.reader, &names, (run, stream)).await?;
        if run == session.identity.run || record.is_some_and(|record| !record.complete) {
            continue;
        }
        forget::matching(&mut session.reader, &names.undo_staged_glob(run, stream), |_| true).await?;
        let text = format!("{run}:{stream}");
        session
            .change(&[words("SREM", &[&names.undo_copies(), text.as_bytes()])])
            .await?;
    }
    Ok(())
}
