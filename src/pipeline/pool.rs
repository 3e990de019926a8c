//! Sessions of one sink connection: the one that holds the lease, and those that join it.
//!
//! A stream borrows a session for its time. Who borrows several takes their permits at once and
//! in the order of connection names, so that no two wait for each other. A session whose
//! connection broke is dropped; when it held the lease, the next borrower takes the lease anew,
//! which fences every session of the old epoch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};

use super::shutdown::{self, Shutdown};
use crate::ledger::Checkpoint;
use crate::sink::{LeaseRequest, Session, Sink};
use crate::{Error, ErrorKind, Result};

/// How long a lease is waited for that a broken connection of this run may still hold: the
/// server needs a while to notice.
const OWN_LEASE_WAIT: Duration = Duration::from_secs(30);

/// How long a session that comes back is waited for at a time.
const RETURN_WAIT: Duration = Duration::from_secs(5);

/// The right to borrow sessions.
pub(super) type Permit = OwnedSemaphorePermit;

/// A borrowed session.
pub(super) struct Lent {
    /// The session.
    pub(super) session: Box<dyn Session>,
    holds_lease: bool,
}

/// The sessions of one connection.
pub(super) struct Pool {
    sink: Arc<dyn Sink>,
    request: LeaseRequest,
    sessions_max: usize,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    /// A session came back, or one is gone.
    returned: Notify,
}

/// What comes of asking for a session.
pub(super) enum Borrowed {
    /// One.
    Session(Lent),
    /// The server grants no further connection, but others are lent.
    Crowded,
}

#[derive(Default)]
struct State {
    /// Epoch of the lease; `None` before it was taken and after it was lost.
    epoch: Option<i64>,
    /// It was taken before: an orphan of ours may hold it.
    taken: bool,
    idle: Vec<Lent>,
    /// Sessions that somebody has.
    lent: usize,
    checkpoints: Option<Vec<Checkpoint>>,
}

impl Pool {
    /// No session yet.
    pub(super) fn new(sink: Arc<dyn Sink>, request: LeaseRequest) -> Self {
        let sessions_max = sessions_max(sink.as_ref(), request.dry_run);
        Self {
            sink,
            request,
            sessions_max,
            permits: Arc::new(Semaphore::new(sessions_max)),
            state: Mutex::default(),
            returned: Notify::new(),
        }
    }

    /// Most sessions that may be borrowed at once.
    pub(super) const fn sessions_max(&self) -> usize {
        self.sessions_max
    }

    /// Takes the lease.
    pub(super) async fn open(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.epoch.is_none() {
            let lent = self.acquire(&mut state).await?;
            state.idle.push(lent);
        }
        Ok(())
    }

    /// The right to borrow `count` sessions, as soon as they are free.
    pub(super) async fn permits(&self, count: usize, stop: &Shutdown) -> Result<Permit> {
        let count = u32::try_from(count.min(self.sessions_max)).unwrap_or(u32::MAX);
        tokio::select! {
            permit = Arc::clone(&self.permits).acquire_many_owned(count) => {
                permit.map_err(|_| Error::new(ErrorKind::Internal, "the sessions of a run were closed while it went on"))
            }
            () = stop.cancelled() => Err(shutdown::interrupted()),
        }
    }

    /// Borrows a session; the caller has a permit for it.
    pub(super) async fn borrow(&self) -> Result<Borrowed> {
        let mut state = self.state.lock().await;
        let lent = match (state.idle.pop(), state.epoch) {
            (Some(lent), _) => lent,
            (None, None) => self.acquire(&mut state).await?,
            (None, Some(epoch)) => match self.sink.join(&self.request, epoch).await {
                Ok(session) => Lent {
                    session,
                    holds_lease: false,
                },
                // One more connection is a convenience: that there is none is no reason to stop.
                Err(error) if error.kind() == ErrorKind::Busy && state.lent > 0 => return Ok(Borrowed::Crowded),
                Err(error) => return Err(error),
            },
        };
        state.lent += 1;
        Ok(Borrowed::Session(lent))
    }

    /// Borrows a session as soon as there is one.
    pub(super) async fn borrow_or_wait(&self, stop: &Shutdown) -> Result<Lent> {
        loop {
            match self.borrow().await? {
                Borrowed::Session(lent) => return Ok(lent),
                Borrowed::Crowded => self.wait_for_return(stop).await?,
            }
        }
    }

    /// Waits until it makes sense to ask again.
    pub(super) async fn wait_for_return(&self, stop: &Shutdown) -> Result<()> {
        tokio::select! {
            () = self.returned.notified() => Ok(()),
            () = tokio::time::sleep(RETURN_WAIT) => Ok(()),
            () = stop.cancelled() => Err(shutdown::interrupted()),
        }
    }

    async fn acquire(&self, state: &mut State) -> Result<Lent> {
        let wait = if state.taken { OWN_LEASE_WAIT } else { Duration::ZERO };
        let session = self
            .sink
            .acquire(&LeaseRequest {
                wait,
                ..self.request.clone()
            })
            .await?;
        state.taken = true;
        state.epoch = Some(session.epoch());
        Ok(Lent {
            session,
            holds_lease: true,
        })
    }

    /// Gives a session back.
    pub(super) async fn give_back(&self, lent: Lent) {
        let mut state = self.state.lock().await;
        state.lent = state.lent.saturating_sub(1);
        if state.epoch == Some(lent.session.epoch()) {
            state.idle.push(lent);
        }
        self.returned.notify_one();
    }

    /// Drops a session whose connection broke.
    pub(super) async fn lost(&self, lent: Lent) {
        let mut state = self.state.lock().await;
        state.lent = state.lent.saturating_sub(1);
        if lent.holds_lease && state.epoch == Some(lent.session.epoch()) {
            state.epoch = None;
            state.idle.clear();
        }
        self.returned.notify_one();
    }

    /// Checkpoints of the project as they were when first asked for under the lease; `anew` asks
    /// again.
    pub(super) async fn checkpoints(&self, anew: bool) -> Result<Vec<Checkpoint>> {
        let mut state = self.state.lock().await;
        if state.epoch.is_none() {
            let lent = self.acquire(&mut state).await?;
            state.idle.push(lent);
        }
        if let Some(known) = state.checkpoints.as_ref().filter(|_| !anew) {
            return Ok(known.clone());
        }
        let found = self.sink.checkpoints(&self.request.project).await?;
        state.checkpoints = Some(found.clone());
        Ok(found)
    }

    /// Records how the run ended, on the session that holds the lease, after the others are gone.
    pub(super) async fn finish(&self, status: &str) -> Result<()> {
        let mut state = self.state.lock().await;
        let idle = std::mem::take(&mut state.idle);
        state.epoch = None;
        let (leases, joined): (Vec<_>, Vec<_>) = idle.into_iter().partition(|lent| lent.holds_lease);
        for mut lent in joined {
            if let Err(error) = lent.session.finish(status).await {
                tracing::debug!(%error, "a joined session was not closed in order");
            }
        }
        for mut lent in leases {
            lent.session.finish(status).await?;
        }
        Ok(())
    }
}

/// A rehearsal is one transaction.
pub(super) fn sessions_max(sink: &dyn Sink, dry_run: bool) -> usize {
    if dry_run { 1 } else { sink.sessions_max().max(1) }
}
