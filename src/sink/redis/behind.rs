//! The next batch behind the last one: while the server carries out a transaction, what follows is on its
//! way already.
//!
//! All of it goes over one connection, so that the server takes it up in this order: EXEC of the last
//! batch, then WATCH and the values that the next one rests on, the clock, MULTI, rows. Nothing of the
//! next batch happens before its own EXEC, which is not sent before every reply to the last one was seen
//! to be right. So never more than one batch is unproven, as where each is waited for.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures::poll;
use redis::Value;

use super::command::Command;
use super::encoder::AHEAD_MILLISECONDS_MAX;
use super::fault;
use super::link::{COMMANDS_IN_FLIGHT_MAX, Link, chunks};
use super::moment::{self, Moment};
use super::planned::Expected;
use super::session::RedisSession;
use super::stream::{Batch, Writing};
use super::transact::{self, Condition, Words};
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

type Replies = Pin<Box<dyn Future<Output = Result<Vec<Value>>> + Send>>;

/// Replies to commands that were sent.
pub(super) struct Sent {
    /// Of those before the last pipeline.
    known: Vec<Value>,
    /// The lock is never taken: it lets a session be shared.
    last: Mutex<Replies>,
}

impl Sent {
    /// Sends commands behind all that was sent before. Only the last pipeline of them is not waited for.
    pub(super) async fn by(link: &Link, commands: Vec<Command>) -> Result<Self> {
        let mut known = Vec::new();
        let mut last: Replies = Box::pin(std::future::ready(Ok(Vec::new())));
        let mut pipelines = chunks(commands, COMMANDS_IN_FLIGHT_MAX).peekable();
        while let Some((pipeline, _)) = pipelines.next() {
            if pipelines.peek().is_some() {
                known.extend(link.send(pipeline).await?);
                continue;
            }
            last = Box::pin(link.send(pipeline));
            // Polled once, it is with the driver.
            if let Poll::Ready(replies) = poll!(&mut last) {
                last = Box::pin(std::future::ready(replies));
            }
        }
        Ok(Self {
            known,
            last: Mutex::new(last),
        })
    }

    pub(super) async fn replies(self) -> Result<Vec<Value>> {
        let mut replies = self.known;
        replies.extend(self.last.into_inner().unwrap_or_else(PoisonError::into_inner).await?);
        Ok(replies)
    }
}

/// A transaction whose EXEC is sent.
pub(super) struct Executing {
    sent: Sent,
    /// Replies that the rows' commands must have.
    expected: Vec<Expected>,
    /// Commands of the ledger, behind them.
    ledger: usize,
    /// Of the ledger's commands and EXEC: replies before its own.
    before: usize,
    /// Stream, split and sequence number of the batch.
    batch: (String, i32, i64),
}

impl Executing {
    /// Sends what is left of a batch, and EXEC.
    pub(super) async fn begin(session: &RedisSession, batch: Batch, ledger: &[Words], checkpoint: &Checkpoint) -> Result<Self> {
        let mut commands = Vec::with_capacity(ledger.len() + 2);
        if !batch.in_transaction {
            commands.push(Command::keyless("MULTI", &[]));
        }
        commands.extend(ledger.iter().map(transact::command));
        let before = commands.len();
        commands.push(Command::keyless("EXEC", &[]));
        Ok(Self {
            sent: Sent::by(&session.link, commands).await?,
            expected: batch.expected,
            ledger: ledger.len(),
            before,
            batch: (checkpoint.stream.clone(), checkpoint.split, checkpoint.sequence),
        })
    }

    /// Waits for the replies: everything has happened, as it was to be expected.
    pub(super) async fn proven(self, session: &mut RedisSession) -> Result<()> {
        let mut replies = self.sent.replies().await?;
        let executed = replies.pop().unwrap_or_default();
        if replies.len() != self.before {
            return Err(fault::unexpected(&session.server.name, "EXEC"));
        }
        for queued in replies {
            session.link.sound(queued, "MULTI")?;
        }
        let replies = match session.link.sound(executed, "EXEC")? {
            Value::Nil => return Err(session.fenced(0).await),
            Value::Array(replies) => replies,
            _ => return Err(fault::unexpected(&session.server.name, "EXEC")),
        };
        if replies.len() != self.expected.len() + self.ledger {
            return Err(fault::unexpected(&session.server.name, "EXEC"));
        }
        check(session, &self.expected, &replies)?;
        for reply in replies.into_iter().skip(self.expected.len()) {
            session.link.sound(reply, "EXEC")?;
        }
        let (stream, split, sequence) = self.batch;
        session.server.committed.add(&stream, split, sequence);
        Ok(())
    }
}

/// The last batch of a session, as far as it was not waited for.
#[derive(Default)]
pub(super) enum Last {
    /// It is proven.
    #[default]
    Proven,
    /// Its EXEC is sent.
    Executing(Executing),
    /// It is not there, or nobody knows.
    Failed(Error),
}

/// What a batch rests on that was begun behind another: whether it holds is known from the replies.
pub(super) struct Resting {
    sent: Sent,
    conditions: [Condition; 2],
}

/// Waits until the last batch is proven.
///
/// # Errors
/// Why it is not; every time again until a stream is opened.
pub(super) async fn settle(session: &mut RedisSession) -> Result<()> {
    let error = match std::mem::take(&mut session.last) {
        Last::Proven => return Ok(()),
        Last::Executing(executing) => match executing.proven(session).await {
            Ok(()) => return Ok(()),
            // Which rows of the next batch are sent has nothing to do with it: nobody shall look for
            // the row in that one.
            Err(error) if error.refusal().is_some() => {
                Error::new(ErrorKind::Lost, error.to_string()).hint("the batch is looked at and written again")
            }
            Err(error) => error,
        },
        Last::Failed(error) => error,
    };
    session.last = Last::Failed(error.again());
    Err(error)
}

/// Whether the next batch can be begun behind the last one: nothing has to be asked for it first.
pub(super) fn may_begin(session: &RedisSession, direct: bool) -> bool {
    direct && session.clock.is_some() && matches!(session.last, Last::Executing(_))
}

/// Whether a batch can be left behind while the next one is begun: nothing has to be asked for that.
pub(super) fn may_leave(session: &RedisSession, checkpoint: &Checkpoint) -> bool {
    let Some(open) = &session.stream else { return false };
    !checkpoint.complete
        && open.split >= 0
        && open.log.is_none()
        && !session.identity.dry_run
        && !session.link.is_cluster()
        && Writing::may_be_direct(&open.target)
}

/// Begins a batch behind the last one.
pub(super) async fn begin(session: &mut RedisSession) -> Result<()> {
    let conditions = session.fence(session.open()?.sequence)?;
    let mut commands = transact::watching(&conditions);
    commands.push(Command::keyless("TIME", &session.names.epoch()));
    let sent = Sent::by(&session.link, commands).await?;
    let (then, asked) = session
        .clock
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a batch was begun behind none that asked for the time"))?;
    let passed = i64::try_from(asked.elapsed().as_millis()).unwrap_or(i64::MAX);
    let about = Moment {
        milliseconds: then.saturating_add(passed),
        text: String::new(),
    };
    session.batch = Some(Batch {
        resting: Some(Resting { sent, conditions }),
        ..Batch::new(about, true)
    });
    Ok(())
}

/// Before a batch is carried out: the one before it is proven, and what it rests on holds.
pub(super) async fn stands(session: &mut RedisSession, batch: &mut Batch) -> Result<()> {
    settle(session).await?;
    let Some(Resting { sent, conditions }) = batch.resting.take() else {
        return Ok(());
    };
    let mut replies = Vec::new();
    for reply in sent.replies().await? {
        replies.push(session.link.sound(reply, "WATCH")?);
    }
    let time = replies.pop().unwrap_or_default();
    if let Some(unmet) = transact::unmet(&conditions, &replies) {
        return Err(session.fenced(unmet).await);
    }
    let now = moment::of(time);
    if now.milliseconds.abs_diff(batch.now) > AHEAD_MILLISECONDS_MAX && session.open()?.layout.expiry.is_some() {
        return Err(Error::new(
            ErrorKind::Lost,
            format!("connection `{}`: the server's clock has jumped", session.server.name),
        )
        .hint("the batch is written again, by the new time"));
    }
    batch.now_text = now.text;
    Ok(())
}

/// Every reply is the one that was to be expected: the rows are there, new where they were to be
/// new, with their expiry. Otherwise somebody else was at these keys in between: the batch is not
/// proven, and is written again.
pub(super) fn check(session: &RedisSession, expected: &[Expected], replies: &[Value]) -> Result<()> {
    for (expected, reply) in expected.iter().zip(replies) {
        if expected.is(reply) {
            continue;
        }
        session.link.sound(reply.clone(), "EXEC")?;
        return Err(Error::new(
            ErrorKind::Lost,
            format!(
                "connection `{}`: keys of the batch were changed by somebody else while it was written",
                session.server.name
            ),
        )
        .hint("the batch is looked at and written again; where it happens always, stop the application's writes to these keys"));
    }
    Ok(())
}
