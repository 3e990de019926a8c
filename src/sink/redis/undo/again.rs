//! What attempts at a batch have taken back that were cut short. Their marks are there, but no batch that
//! is proven has counted them: the one that is made in their place does.

use std::collections::HashSet;

use redis::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::super::command::Command;
use super::super::form::{bytes, number, parts};
use super::super::session::RedisSession;
use super::look::{LOOKED_AT_MAX, Looked, REMEMBERED_MAX, Way};
use super::walk::Walk;
use crate::Result;
use crate::ledger::undo::Undone;

/// What earlier attempts at the batch at hand have done. Asked for once, before its first row.
pub(super) async fn done_before(session: &mut RedisSession, way: &Way<'_>) -> Result<Undone> {
    let mut done = Undone::default();
    let mut walk = Walk::new(&session.names, way.log.run, &way.log.stream);
    let mut seen = HashSet::new();
    loop {
        let mut some = walk.some(&mut session.reader, LOOKED_AT_MAX).await?;
        if some.is_empty() {
            return Ok(done);
        }
        // The server may show one twice.
        some.retain(|log| seen.len() >= REMEMBERED_MAX || seen.insert(xxh3_128(log)));
        if way.has_members() {
            for log in &some {
                done += members(session, way, log).await?;
            }
        } else {
            let asked = some.iter().map(|log| Command::of("HGET", log).arg(b"r")).collect();
            for mark in session.reader.ask_each(asked).await? {
                done += of_mark(way, &mark, "");
            }
        }
    }
}

/// The same of the members of one key.
async fn members(session: &mut RedisSession, way: &Way<'_>, log: &[u8]) -> Result<Undone> {
    let (mut done, mut from, mut seen) = (Undone::default(), 0, HashSet::new());
    loop {
        let scan = Command::of("HSCAN", log)
            .number(from)
            .arg(b"MATCH")
            .arg(b"m*")
            .arg(b"COUNT")
            .number(1_000);
        let mut reply = parts(session.reader.ask(scan).await?);
        for pair in parts(reply.pop().unwrap_or_default()).chunks_exact(2) {
            let is_new = |name: &[u8]| seen.len() >= REMEMBERED_MAX || seen.insert(xxh3_128(name));
            if bytes(&pair[0]).is_some_and(is_new) {
                done += of_mark(way, &pair[1], "D ");
            }
        }
        from = reply.pop().as_ref().and_then(number).unwrap_or_default();
        if from == 0 {
            return Ok(done);
        }
    }
}

/// What a mark counts, where it is of another attempt at this batch.
fn of_mark(way: &Way<'_>, mark: &Value, lead: &str) -> Undone {
    let mark = bytes(mark).and_then(|mark| std::str::from_utf8(mark).ok());
    let mark = mark.and_then(|mark| mark.strip_prefix(lead)).unwrap_or_default();
    let attempt = mark.split(' ').next().unwrap_or_default();
    let is_lost = attempt != way.batch && attempt.split_once(':').is_some_and(|(number, _)| number == way.number);
    let looked = Looked::of_key(mark, attempt).filter(|_| is_lost);
    looked.map(|looked| looked.undone).unwrap_or_default()
}
