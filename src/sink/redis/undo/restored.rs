//! The ledger as it was before a run.

use uuid::Uuid;

use super::super::command::Command;
use super::super::forget;
use super::super::form::{RejectForm, bytes, json, number, parts};
use super::super::ledger_read;
use super::super::link::Link;
use super::super::names::Names;
use super::super::session::RedisSession;
use super::super::transact::{Words, words};
use super::growing;
use super::state::Record;
use crate::Result;
use crate::ledger::undo::UNDO_SPLIT;

/// Fields in one command.
const FIELDS_MAX: usize = 500;

/// What puts the ledger back to what it was before the run, and removes the log but for its record.
pub(super) async fn restored(session: &mut RedisSession, run: Uuid, record: &Record) -> Result<Vec<Words>> {
    let (names, stream) = (session.names.clone(), session.open()?.target.stream.clone());
    let saved = |what: &str| names.undo_saved(run, &stream, what);
    let mut commands = Vec::new();
    if record.restart {
        commands.push(words("DEL", &[&names.claims(&stream)]));
    } else {
        forget_claims(&mut session.reader, &names, (run, &stream)).await?;
    }
    for (split, of) in ledger_read::splits(&mut session.reader, &names).await? {
        if of == stream && split != UNDO_SPLIT {
            commands.push(words("DEL", &[&names.checkpoint(&stream, split)]));
            commands.push(words("SREM", &[&names.streams(), &Names::member(&stream, split)]));
        }
    }
    let mut put_back = |what: &str, to: &[u8], wanted: bool| {
        let from = saved(what);
        if wanted {
            commands.push(words("COPY", &[&from, to, b"REPLACE"]));
        }
        commands.push(words("DEL", &[&from]));
    };
    for split in &record.splits {
        put_back(&format!("checkpoint:{split}"), &names.checkpoint(&stream, *split), true);
    }
    put_back("claims", &names.claims(&stream), record.restart);
    // Those too that a run has left without the ledger knowing of them.
    if session.open()?.layout.key_type.is_ordered() {
        forget::staged(&mut session.reader, &names, &stream).await?;
    }
    if record.grows {
        growing::put_back(&mut session.reader, &names, (run, &stream)).await?;
    }
    let touched = names.touched(&stream, 0);
    commands.push(words("DEL", &[&touched]));
    commands.push(words("COPY", &[&saved("touched"), &touched]));
    commands.push(words("DEL", &[&saved("touched")]));
    for split in &record.splits {
        commands.push(words("SADD", &[&names.streams(), &Names::member(&stream, *split)]));
    }
    commands.push(words("DEL", &[&saved("claimed")]));
    commands.push(words("DEL", &[&saved("grown")]));
    commands.extend(rejects(&mut session.reader, &names, (run, &stream)).await?);
    commands.push(words("DEL", &[&saved("rejects")]));
    commands.push(words("HSET", &[&names.undo_record(run, &stream), b"complete", b"1"]));
    commands.push(words("DEL", &[&names.undoing(&stream)]));
    Ok(commands)
}

/// Gives up the claims that the run made.
async fn forget_claims(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<()> {
    let claimed = names.undo_saved(run, stream, "claimed");
    let mut cursor = 0;
    loop {
        let scan = Command::of("SSCAN", &claimed).number(cursor).arg(b"COUNT").number(1_000);
        let mut reply = parts(link.ask(scan).await?);
        let page = parts(reply.pop().unwrap_or_default());
        for some in page.chunks(FIELDS_MAX) {
            let mut forget = Command::of("HDEL", &names.claims(stream));
            forget.extend(some.iter().filter_map(bytes));
            link.ask(forget).await?;
        }
        cursor = reply.pop().as_ref().and_then(number).unwrap_or_default();
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// The rejects of the run go, and those that it resolved or forgot are open again.
async fn rejects(link: &mut Link, names: &Names, (run, stream): (Uuid, &str)) -> Result<Vec<Words>> {
    let (key, mut commands) = (names.rejects(), Vec::new());
    ledger_read::scan(link, &key, |id, record| {
        let mut reject = RejectForm::read(record)?;
        if reject.stream == stream && reject.run == run {
            commands.push(words("HDEL", &[&key, id]));
        } else if reject.stream == stream && reject.resolved_by == Some(run) {
            reject.resolved_by = None;
            commands.push(words("HSET", &[&key, id, json(&reject).as_bytes()]));
        }
        Ok(())
    })
    .await?;
    let saved = names.undo_saved(run, stream, "rejects");
    ledger_read::scan(link, &saved, |id, record| {
        commands.push(words("HSET", &[&key, id, record]));
        Ok(())
    })
    .await?;
    Ok(commands)
}
