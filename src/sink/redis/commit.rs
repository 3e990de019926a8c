//! Sending a batch, and making it durable with its checkpoint.

use super::behind::{self, Executing, Last};
use super::command::Command;
use super::ledger_read;
use super::names::Names;
use super::ordered::Grown;
use super::planned::Planned;
use super::publish;
use super::queue::Queue;
use super::session::RedisSession;
use super::stream::{Batch, no_batch, not_open};
use super::transact::{Outcome, Words, transact, words};
use super::{form, kept};
use crate::ledger::undo::UNDO_SPLIT;
use crate::ledger::{BatchEntry, Checkpoint};
use crate::sink::Durable;
use crate::{Error, ErrorKind, Result};

/// Takes the commands of a portion into the batch: on one server they go into the open transaction
/// while the next portion is made, on a cluster they wait for the commit.
pub(super) async fn take(session: &mut RedisSession, planned: Planned) -> Result<()> {
    let is_cluster = session.link.is_cluster();
    let batch = session.batch.as_mut().ok_or_else(no_batch)?;
    batch.inserted += planned.written.inserted;
    batch.rows.extend(planned.rows);
    batch.touched.extend(planned.touched);
    batch.expected.extend(planned.expected);
    batch.times.extend(planned.times);
    if is_cluster {
        batch.commands.extend(planned.commands);
        return Ok(());
    }
    let link = &session.link;
    let queue = batch.queue.get_or_insert_with(|| Queue::open(link.clone()));
    let mut is_sent = true;
    if !std::mem::replace(&mut batch.in_transaction, true) {
        is_sent = queue.push(vec![Command::keyless("MULTI", &[])]).await;
    }
    if is_sent && queue.push(planned.commands).await {
        return Ok(());
    }
    arrived(batch).await?;
    Err(Error::new(ErrorKind::Internal, "a batch was closed while it was being sent"))
}

/// Waits until what was sent is in the transaction.
async fn arrived(batch: &mut Batch) -> Result<()> {
    match batch.queue.take() {
        Some(queue) => queue.close().await,
        None => Ok(()),
    }
}

/// Gives the batch up: of one server nothing has happened, on a cluster nothing was sent.
pub(super) async fn rollback(session: &mut RedisSession) -> Result<()> {
    session.walk = None;
    let last = behind::settle(session).await;
    let Some(mut batch) = session.batch.take() else {
        return last;
    };
    if session.identity.dry_run || session.link.is_cluster() {
        return last;
    }
    if let Err(error) = arrived(&mut batch).await {
        tracing::debug!(%error, "a batch that is given up was not taken either");
    }
    let end = if batch.in_transaction { "DISCARD" } else { "UNWATCH" };
    session.link.ask(Command::keyless(end, &[])).await?;
    last
}

/// Makes the batch durable.
pub(super) async fn commit(session: &mut RedisSession, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
    if checkpoint.complete {
        kept::check_evicted(session).await?;
    }
    let (batch, mut ledger) = closed(session, entry).await?;
    if checkpoint.split < 0 && checkpoint.split != UNDO_SPLIT {
        ledger.extend(not_empty(session, checkpoint).await?);
    }
    if session.link.is_cluster() {
        spread(session, batch, ledger, checkpoint).await?;
        session
            .server
            .committed
            .add(&checkpoint.stream, checkpoint.split, checkpoint.sequence);
    } else {
        let executing = execute(session, batch, ledger, checkpoint).await?;
        executing.proven(session).await?;
    }
    moved_on(session, checkpoint)?;
    if checkpoint.complete {
        prove(session).await?;
        publish::publish(session).await?;
    }
    Ok(())
}

/// Sends EXEC, and does not wait for it where the next batch can be begun behind this one.
pub(super) async fn commit_soon(session: &mut RedisSession, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<Durable> {
    if !behind::may_leave(session, checkpoint) {
        return commit(session, checkpoint, entry).await.map(|()| Durable::All);
    }
    let (batch, ledger) = closed(session, entry).await?;
    session.last = Last::Executing(execute(session, batch, ledger, checkpoint).await?);
    moved_on(session, checkpoint)?;
    Ok(Durable::Before)
}

/// Takes the batch that is open, once the one before it is proven and all of its rows are in the
/// transaction; with what goes into the ledger. A batch for which that does not hold is given up.
async fn closed(session: &mut RedisSession, entry: &BatchEntry) -> Result<(Batch, Vec<Words>)> {
    let mut batch = session.batch.take().ok_or_else(no_batch)?;
    let mut stands = behind::stands(session, &mut batch).await;
    if stands.is_ok() {
        stands = arrived(&mut batch).await;
    }
    if let Err(error) = stands {
        if error.kind() != ErrorKind::Lost {
            session.batch = Some(batch);
            if let Err(second) = rollback(session).await
                && second.kind() == ErrorKind::Lost
            {
                return Err(second);
            }
        }
        return Err(error);
    }
    let mut ledger = std::mem::take(&mut batch.ledger);
    let field = format!("{}:{}:{}", entry.split, entry.sequence, entry.run);
    let record = form::batch(entry, &batch.now_text);
    ledger.push(words(
        "HSET",
        &[&session.names.batches(&entry.stream), field.as_bytes(), record.as_bytes()],
    ));
    Ok((batch, ledger))
}

/// One server: everything at once.
async fn execute(session: &RedisSession, batch: Batch, mut ledger: Vec<Words>, checkpoint: &Checkpoint) -> Result<Executing> {
    ledger.extend(grown_words(session, &batch, checkpoint.sequence)?);
    let open = session.open()?;
    let before = open.settled.as_ref();
    ledger.extend(checkpoint_words(
        &session.names,
        checkpoint,
        before,
        open.sequence,
        open.replay,
    ));
    Executing::begin(session, batch, &ledger, checkpoint).await
}

/// The stream goes on behind this batch.
fn moved_on(session: &mut RedisSession, checkpoint: &Checkpoint) -> Result<()> {
    let is_cluster = session.link.is_cluster();
    let open = session.stream.as_mut().ok_or_else(not_open)?;
    open.settled = Some(checkpoint.clone());
    open.sequence = checkpoint.sequence;
    open.is_kept = true;
    if is_cluster {
        open.proven = checkpoint.sequence;
    }
    if open.replay <= checkpoint.counts.read {
        open.replay = 0;
    }
    Ok(())
}

/// A cluster: first how far it may get, then the rows, then the checkpoint.
async fn spread(session: &mut RedisSession, batch: Batch, mut ledger: Vec<Words>, checkpoint: &Checkpoint) -> Result<()> {
    let open = session.open()?;
    let key = session.names.checkpoint(&checkpoint.stream, checkpoint.split);
    let replay = checkpoint.counts.read.max(open.replay);
    let conditions = session.fence(open.sequence)?;
    let mut intent = intent_words(&session.names, (&checkpoint.stream, checkpoint.split), open.sequence, replay);
    intent.extend(grown_words(session, &batch, checkpoint.sequence)?);
    if let Outcome::Unmet(unmet) = transact(&mut session.link, &conditions, &intent).await? {
        return Err(session.fenced(unmet).await);
    }
    let replies = session.link.write_all(batch.commands).await?;
    behind::check(session, &batch.expected, &replies)?;
    let open = session.open()?;
    let conditions = [
        session.epoch_holds(),
        super::transact::Condition {
            key,
            field: "sequence",
            value: open.sequence.to_string().into_bytes(),
        },
    ];
    let left = if replay > checkpoint.counts.read { replay } else { 0 };
    let before = open.settled.as_ref();
    ledger.extend(checkpoint_words(
        &session.names,
        checkpoint,
        before,
        checkpoint.sequence,
        left,
    ));
    match transact(&mut session.link, &conditions, &ledger).await? {
        Outcome::Done => Ok(()),
        Outcome::Unmet(unmet) => Err(session.fenced(unmet).await),
    }
}

/// What the ledger keeps of keys that are not what they will be.
fn grown_words(session: &RedisSession, batch: &Batch, sequence: i64) -> Result<Vec<Words>> {
    let open = session.open()?;
    let touched = session.names.touched(&open.target.stream, open.split);
    let of = |(key, touch): (&Vec<u8>, &super::planned::Touch)| {
        let grown = Grown {
            before: touch.before,
            after: touch.after,
            sequence,
        };
        words("HSET", &[&touched, key, grown.text().as_bytes()])
    };
    Ok(batch.touched.iter().map(of).collect())
}

/// A checkpoint with the one before it.
pub(super) fn checkpoint_words(
    names: &Names,
    checkpoint: &Checkpoint,
    before: Option<&Checkpoint>,
    proven: i64,
    replay: u64,
) -> Vec<Words> {
    let key = names.checkpoint(&checkpoint.stream, checkpoint.split);
    let now = form::checkpoint(checkpoint);
    let before = before.map(form::checkpoint).unwrap_or_default();
    vec![
        words(
            "HSET",
            &[
                &key,
                b"now",
                now.as_bytes(),
                b"before",
                before.as_bytes(),
                b"sequence",
                checkpoint.sequence.to_string().as_bytes(),
                b"proven",
                proven.to_string().as_bytes(),
                b"replay",
                replay.to_string().as_bytes(),
                b"published",
                if checkpoint.complete { b"0" } else { b"" },
            ],
        ),
        index_words(names, &checkpoint.stream, checkpoint.split),
    ]
}

/// How far rows may be there before their checkpoint is.
pub(super) fn intent_words(names: &Names, (stream, split): (&str, i32), sequence: i64, replay: u64) -> Vec<Words> {
    let key = names.checkpoint(stream, split);
    let (sequence, replay) = (sequence.to_string(), replay.to_string());
    vec![
        words(
            "HSET",
            &[&key, b"sequence", sequence.as_bytes(), b"replay", replay.as_bytes()],
        ),
        index_words(names, stream, split),
    ]
}

fn index_words(names: &Names, stream: &str, split: i32) -> Words {
    words("SADD", &[&names.streams(), &Names::member(stream, split)])
}

/// Says in the ledger that the last batch was seen to be right.
pub(super) async fn prove(session: &mut RedisSession) -> Result<()> {
    let Some(open) = &session.stream else { return Ok(()) };
    if session.identity.dry_run || open.proven >= open.sequence {
        return Ok(());
    }
    let (sequence, conditions) = (open.sequence, session.fence(open.sequence)?);
    let key = session.names.checkpoint(&open.target.stream, open.split);
    let proof = words("HSET", &[&key, b"proven", sequence.to_string().as_bytes()]);
    if let Outcome::Unmet(unmet) = transact(&mut session.link, &conditions, &[proof]).await? {
        return Err(session.fenced(unmet).await);
    }
    if let Some(open) = &mut session.stream {
        open.proven = sequence;
    }
    Ok(())
}

/// Rows are there now that the streams' own checkpoints do not know of: neither the last one nor the
/// one before it says any more that the target was empty. Nothing else of them changes.
async fn not_empty(session: &mut RedisSession, of: &Checkpoint) -> Result<Vec<Words>> {
    let mut commands = Vec::new();
    let splits = ledger_read::splits(&mut session.reader, &session.names).await?;
    for (split, _) in splits
        .into_iter()
        .filter(|(split, stream)| *split >= 0 && *stream == of.stream)
    {
        let key = session.names.checkpoint(&of.stream, split);
        let question = Command::of("HMGET", &key).arg(b"now").arg(b"before");
        let found = form::parts(session.reader.ask(question).await?);
        for (field, found) in [b"now".as_slice(), b"before"].into_iter().zip(&found) {
            let Some(text) = form::bytes(found).filter(|text| !text.is_empty()) else {
                continue;
            };
            let checkpoint = form::read_checkpoint(text, (&of.project, &of.stream, split))?;
            let changed = Checkpoint {
                target_was_empty: false,
                ..checkpoint
            };
            commands.push(words("HSET", &[&key, field, form::checkpoint(&changed).as_bytes()]));
        }
    }
    Ok(commands)
}
