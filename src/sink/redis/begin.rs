//! The beginning of a batch: what an earlier run left is forgotten where that is asked for, and from then
//! on the batch happens only if neither the lease nor the checkpoint is touched.

use std::time::Instant;

use super::session::RedisSession;
use super::stream::Batch;
use super::transact::{Outcome, transact, watch};
use super::{behind, commit, forget, moment, undo};
use crate::ledger::check_follows;
use crate::ledger::undo::UNDO_SPLIT;
use crate::{Error, ErrorKind, Result};

/// Begins a batch; `direct` where no row of the stream can be there yet.
pub(super) async fn begin(session: &mut RedisSession, sequence: i64, direct: bool) -> Result<()> {
    if session.batch.is_some() {
        return Err(Error::new(ErrorKind::Internal, "a batch is open already"));
    }
    if session.identity.dry_run {
        let now = moment::now(&mut session.reader, &session.names).await?;
        session.batch = Some(Batch::new(now, false));
        return Ok(());
    }
    if behind::may_begin(session, direct) {
        check_sequence(session, sequence)?;
        return behind::begin(session).await;
    }
    behind::settle(session).await?;
    if session.open()?.restart {
        forget(session).await?;
    }
    check_sequence(session, sequence)?;
    if session.open()?.split == UNDO_SPLIT {
        // The end of a way back removes the marks that would count for a batch that is not proven.
        commit::prove(session).await?;
    }
    let conditions = session.fence(session.open()?.sequence)?;
    let is_cluster = session.link.is_cluster();
    let asked = async {
        if !is_cluster {
            return watch(&mut session.link, &conditions).await;
        }
        Ok(match transact(&mut session.link, &conditions, &[]).await? {
            Outcome::Done => None,
            Outcome::Unmet(unmet) => Some(unmet),
        })
    };
    // Over two connections at once: the server waits for the rows meanwhile.
    let (unmet, now) = tokio::join!(asked, moment::now(&mut session.reader, &session.names));
    if let Some(unmet) = unmet? {
        return Err(session.fenced(unmet).await);
    }
    let now = now?;
    session.clock = Some((now.milliseconds, Instant::now()));
    session.batch = Some(Batch::new(now, direct));
    if session.open()?.log.is_some() {
        undo::load(&mut session.reader).await?;
    }
    Ok(())
}

/// Forgets what earlier runs left of the stream.
async fn forget(session: &mut RedisSession) -> Result<()> {
    let stream = session.open()?.target.stream.clone();
    let mut commands = forget::stream(&mut session.reader, &session.names, &stream).await?;
    let (split, replay) = (session.open()?.split, session.open()?.replay);
    if replay > 0 {
        commands.extend(commit::intent_words(&session.names, (&stream, split), 0, replay));
    }
    session.change(&commands).await?;
    if let Some(open) = &mut session.stream {
        (open.restart, open.is_kept, open.sequence, open.proven) = (false, replay > 0, 0, 0);
        open.settled = None;
    }
    Ok(())
}

/// The batch is the one that the pipeline means.
fn check_sequence(session: &RedisSession, sequence: i64) -> Result<()> {
    let open = session.open()?;
    let found = open.settled.as_ref().map_or(0, |settled| settled.sequence);
    check_follows(&open.target.stream, found, sequence)
}
