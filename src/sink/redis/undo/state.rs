//! What the ledger knows of undo logs: which there are, and what the stream's checkpoints, claims and
//! rejects were before the run, copied by the server itself.

use std::collections::BTreeMap;

use redis::Value;
use uuid::Uuid;

use super::super::command::Command;
use super::super::form::{self, RejectForm, bytes, json, parts};
use super::super::ledger_read;
use super::super::link::Link;
use super::super::names::Names;
use super::super::session::RedisSession;
use super::super::transact::{Condition, Outcome, Words, transact, words};
use super::Log;
use super::growing;
use super::walk::Walk;
use crate::data::stream::StreamTarget;
use crate::data::table::TableName;
use crate::ledger::RunRecord;
use crate::ledger::undo::{ROLLED_BACK, UNDO_SPLIT, Undoable, Undone};
use crate::{Error, ErrorKind, Result};

/// Oldest version that tells when a key expires.
const VERSION_MIN: u32 = 7;

/// The log of one run and stream.
pub(super) struct Record {
    /// Splits that had a checkpoint before the run.
    pub(super) splits: Vec<i32>,
    /// Lists were growing that an earlier run had begun.
    pub(super) grows: bool,
    /// The stream's claims were forgotten.
    pub(super) restart: bool,
    pub(super) complete: bool,
    table: String,
    done: Undone,
}

/// Reads the record of a run and stream; `None` where it left no log.
pub(super) async fn record(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<Option<Record>> {
    // A batch that is not proven is done again, and counts then.
    let settled = ledger_read::kept(link, names, ("", stream, UNDO_SPLIT)).await?;
    let settled = settled.and_then(|kept| kept.settled).map_or(0, |settled| settled.sequence);
    let fields = parts(link.ask(Command::of("HGETALL", &names.undo_record(run, stream))).await?);
    if fields.is_empty() {
        return Ok(None);
    }
    let field = |name: &[u8]| {
        let at = fields.chunks_exact(2).find(|pair| bytes(&pair[0]) == Some(name));
        at.and_then(|pair| bytes(&pair[1]))
    };
    let splits = field(b"splits").and_then(|text| serde_json::from_slice(text).ok());
    let mut done = Undone::default();
    for pair in fields.chunks_exact(2) {
        if done_in(&pair[0]).is_some_and(|sequence| sequence <= settled) {
            done += bytes(&pair[1]).and_then(read_undone).ok_or_else(form::unreadable)?;
        }
    }
    Ok(Some(Record {
        splits: splits.ok_or_else(form::unreadable)?,
        grows: field(b"grows") == Some(b"1"),
        restart: field(b"restart") == Some(b"1"),
        complete: field(b"complete") == Some(b"1"),
        table: String::from_utf8_lossy(field(b"table").unwrap_or_default()).into_owned(),
        done,
    }))
}

/// The batch of a rollback whose figures these are.
fn done_in(name: &Value) -> Option<i64> {
    std::str::from_utf8(bytes(name)?).ok()?.strip_prefix("done:")?.parse().ok()
}

/// Figures as they are kept.
pub(super) fn undone_text(done: Undone) -> String {
    format!("{} {} {} {}", done.removed, done.restored, done.gone, done.kept)
}

fn read_undone(text: &[u8]) -> Option<Undone> {
    let mut figures = std::str::from_utf8(text).ok()?.split(' ').map(str::parse);
    let mut next = || figures.next()?.ok();
    Some(Undone {
        removed: next()?,
        restored: next()?,
        gone: next()?,
        kept: next()?,
        more: false,
    })
}

/// Nothing is written to a stream of which a run is half taken back.
pub(in crate::sink::redis) async fn check_whole(link: &mut Link, names: &Names, stream: &str) -> Result<()> {
    let run = link.ask(Command::of("GET", &names.undoing(stream))).await?;
    let Some(run) = bytes(&run) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!(
            "a part of run {} was taken back of stream `{stream}`, and the rest was not yet",
            String::from_utf8_lossy(run)
        ),
    )
    .hint("take back what is left of it first: `dbferry rollback` with that run"))
}

/// Whether a run keeps a log of a stream.
pub(in crate::sink::redis) async fn is_kept(link: &mut Link, names: &Names, run: Uuid, stream: &str) -> Result<bool> {
    let found = link.ask(Command::of("EXISTS", &names.undo_record(run, stream))).await?;
    Ok(found == Value::Int(1))
}

/// The log of a stream that is opened; where there is none, one is begun with what the ledger holds of the
/// stream now.
pub(in crate::sink::redis) async fn open(session: &mut RedisSession, target: &StreamTarget, restart: bool) -> Result<Log> {
    let (run, stream) = (session.identity.run, target.stream.as_str());
    let log = Log::new(session.names.clone(), run, stream.to_owned(), session.link.is_cluster());
    super::load(&mut session.reader).await?;
    if is_kept(&mut session.reader, &session.names, run, stream).await? {
        return Ok(log);
    }
    check_version(session).await?;
    let commands = begin(session, target, restart).await?;
    let conditions = [
        session.epoch_holds(),
        Condition {
            key: session.names.undo_record(run, stream),
            field: "splits",
            value: Vec::new(),
        },
    ];
    match transact(&mut session.link, &conditions, &commands).await? {
        // Another session of the run was faster.
        Outcome::Done | Outcome::Unmet(1) => Ok(log),
        Outcome::Unmet(_) => Err(session.fenced(0).await),
    }
}

async fn check_version(session: &mut RedisSession) -> Result<()> {
    let facts = session.server.facts(&mut session.reader, 0).await?;
    let version = facts.get("redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= VERSION_MIN) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Missing,
        format!(
            "connection `{}` is Redis {version}, and an undo log needs {VERSION_MIN}.0 or newer",
            session.server.name
        ),
    )
    .hint("update the server, or leave `undo` off"))
}

async fn begin(session: &mut RedisSession, target: &StreamTarget, restart: bool) -> Result<Vec<Words>> {
    let (names, run, stream) = (session.names.clone(), session.identity.run, target.stream.as_str());
    let is_ordered = target.keyed.as_ref().is_some_and(|layout| layout.key_type.is_ordered());
    let touched = names.touched(stream, 0);
    let grows = session.reader.ask(Command::of("EXISTS", &touched)).await? == Value::Int(1);
    let place = (session.identity.project.as_str(), stream, 0);
    let kept = ledger_read::kept(&mut session.reader, &names, place).await?;
    let settled = kept.and_then(|kept| kept.settled).map_or(0, |settled| settled.sequence);
    growing::sweep(session).await?;
    if is_ordered && grows {
        growing::save(session, (run, stream)).await?;
    }
    let found = ledger_read::splits(&mut session.reader, &names).await?;
    let splits: Vec<i32> = (found.into_iter())
        .filter(|(split, of)| *split != UNDO_SPLIT && of == stream)
        .map(|(split, _)| split)
        .collect();
    let flag = |set: bool| if set { b"1".as_slice() } else { b"0" };
    let mut commands = vec![
        words(
            "HSET",
            &[
                &names.undo_record(run, stream),
                b"splits",
                json(&splits).as_bytes(),
                b"grows",
                flag(is_ordered && grows),
                b"settled",
                settled.to_string().as_bytes(),
                b"restart",
                flag(restart),
                b"table",
                target.table.name.as_bytes(),
            ],
        ),
        words("SADD", &[&names.undo_streams(run), stream.as_bytes()]),
    ];
    let mut copy = |from: &[u8], what: &str| commands.push(words("COPY", &[from, &names.undo_saved(run, stream, what)]));
    for split in &splits {
        copy(&names.checkpoint(stream, *split), &format!("checkpoint:{split}"));
    }
    copy(&touched, "touched");
    if restart {
        copy(&names.claims(stream), "claims");
        let of_stream = |_: i64, reject: &RejectForm| reject.stream == stream;
        for (id, reject) in ledger_read::rejects(&mut session.reader, &names, of_stream).await? {
            let saved = names.undo_saved(run, stream, "rejects");
            commands.push(words("HSET", &[&saved, id.to_string().as_bytes(), json(&reject).as_bytes()]));
        }
    }
    Ok(commands)
}

/// What a run wrote, stream by stream.
pub(in crate::sink::redis) async fn undoable(link: &mut Link, names: &Names, run: Uuid) -> Result<Vec<Undoable>> {
    let mut found: Vec<Undoable> = Vec::new();
    let of = |stream: &str| Undoable {
        stream: stream.to_owned(),
        table: TableName::new(String::new()),
        key: Vec::new(),
        inserted: 0,
        updated: 0,
        logged: false,
        done: Undone::default(),
        complete: false,
        bytes: None,
    };
    for batch in ledger_read::batches(link, names, run).await? {
        let entry = batch.entry;
        if entry.split == UNDO_SPLIT {
            continue;
        }
        if found.last().is_none_or(|last| last.stream != entry.stream) {
            found.push(of(&entry.stream));
        }
        if let Some(stream) = found.last_mut() {
            stream.inserted += entry.counts.inserted;
            stream.updated += entry.counts.updated;
        }
    }
    for stream in parts(link.ask(Command::of("SMEMBERS", &names.undo_streams(run))).await?) {
        let stream = bytes(&stream).map(String::from_utf8_lossy).ok_or_else(form::unreadable)?;
        let Some(record) = record(link, names, (run, &stream)).await? else {
            continue;
        };
        if !found.iter().any(|known| known.stream == stream) {
            found.push(of(&stream));
        }
        if let Some(known) = found.iter_mut().find(|known| known.stream == stream) {
            known.table = TableName::new(record.table);
            known.logged = true;
            known.done = record.done;
            known.complete = record.complete;
        }
    }
    Ok(found)
}

/// Removes the logs of a run, but for those that were taken back; returns how many there were.
pub(in crate::sink::redis) async fn forget(session: &mut RedisSession, run: Uuid) -> Result<u64> {
    let names = session.names.clone();
    let streams = parts(session.reader.ask(Command::of("SMEMBERS", &names.undo_streams(run))).await?);
    let mut logs = Vec::new();
    for stream in &streams {
        let stream = bytes(stream).map(String::from_utf8_lossy).ok_or_else(form::unreadable)?;
        let doing = session.reader.ask(Command::of("GET", &names.undoing(&stream))).await?;
        if bytes(&doing) == Some(run.to_string().as_bytes()) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("run {run} is half-way back: without its undo log it would stay there"),
            )
            .hint(format!("`dbferry rollback {run} PROJECT` goes on with it")));
        }
        if let Some(record) = record(&mut session.reader, &names, (run, &stream))
            .await?
            .filter(|record| !record.complete)
        {
            logs.push((stream.into_owned(), record));
        }
    }
    for (stream, record) in &logs {
        // First what says that there is a log.
        let mut gone = vec![
            words("DEL", &[&names.undo_record(run, stream)]),
            words("SREM", &[&names.undo_streams(run), stream.as_bytes()]),
        ];
        let checkpoints = record.splits.iter().map(|split| format!("checkpoint:{split}"));
        let others = ["claims", "claimed", "rejects", "touched", "grown"].map(str::to_owned);
        for what in checkpoints.chain(others) {
            gone.push(words("DEL", &[&names.undo_saved(run, stream, &what)]));
        }
        session.change(&gone).await?;
        let mut walk = Walk::new(&names, run, stream);
        while let Some(page) = walk.page(&mut session.reader).await? {
            let commands = page.iter().map(|log| Command::of("UNLINK", log)).collect();
            session.reader.ask_each(commands).await?;
        }
    }
    growing::sweep(session).await?;
    Ok(logs.len() as u64)
}

/// Records that a run was taken back.
pub(in crate::sink::redis) async fn rolled_back(session: &mut RedisSession, run: Uuid) -> Result<()> {
    growing::sweep(session).await?;
    let Some(found) = ledger_read::run(&mut session.reader, &session.names, run).await? else {
        return Ok(());
    };
    let record = RunRecord {
        status: ROLLED_BACK.to_owned(),
        ..found
    };
    let command = words(
        "HSET",
        &[&session.names.runs(), run.to_string().as_bytes(), json(&record).as_bytes()],
    );
    session.change(&[command]).await
}

/// The last batch of a run in each split of a stream, as far as the ledger knows them.
pub(super) async fn last_batches(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<String> {
    let mut last = BTreeMap::new();
    for batch in ledger_read::batches(link, names, run).await? {
        if batch.entry.stream == stream {
            let known = last.entry(batch.entry.split).or_insert(0);
            *known = batch.entry.sequence.max(*known);
        }
    }
    let each: Vec<String> = last.iter().map(|(split, sequence)| format!("{split}:{sequence} ")).collect();
    Ok(format!(" {}", each.concat()))
}
