//! What all streams of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::event::Events;
use super::plan::{Plan, PlannedStream};
use super::pool::Pool;
use super::run::RunOptions;
use super::shutdown::{self, Shutdown};
use super::throttle::{self, Pace, Throttle};
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// One execution of a plan.
pub(super) struct Run {
    pub(super) id: Uuid,
    pub(super) plan: Plan,
    pub(super) options: RunOptions,
    pub(super) events: Events,
    /// A stop was asked for, or something went wrong that trying again does not mend: batches in
    /// flight are finished, and nothing new is begun.
    pub(super) stop: Shutdown,
    /// Sessions by sink connection.
    pub(super) pools: BTreeMap<String, Pool>,
    /// Moments by source connection.
    pub(super) moments: Mutex<BTreeMap<String, String>>,
    pub(super) warnings: Mutex<Vec<String>>,
    /// Open rejects of all streams.
    pub(super) rejects: AtomicU64,
    /// Rows in the source by stream, as far as they were counted.
    pub(super) source_rows: Vec<Option<u64>>,
    /// The pace of each stream.
    pub(super) paces: Vec<Pace>,
    /// How many units move at once.
    pub(super) jobs: Arc<Semaphore>,
    /// What stopped the run.
    failure: Mutex<Option<Error>>,
}

/// One for each stream; the rates are those of all together.
fn paces(plan: &Plan, options: RunOptions, events: &Events) -> Vec<Pace> {
    let throttle = Arc::new(Throttle::new(&plan.limits));
    let pace = |stream: &PlannedStream| {
        let sink = plan.sinks.get(&stream.sink_connection).filter(|_| !options.dry_run);
        let target = sink.map(|sink| (sink, &stream.write.table));
        Pace::new(&throttle, target, &stream.name, &plan.limits, events)
    };
    plan.streams.iter().map(pace).collect()
}

impl Run {
    pub(super) fn new(
        id: Uuid,
        mut plan: Plan,
        options: RunOptions,
        events: Events,
        shutdown: &Shutdown,
        pools: BTreeMap<String, Pool>,
    ) -> Self {
        throttle::make_portions_small(&mut plan.limits);
        Self {
            paces: paces(&plan, options, &events),
            id,
            jobs: Arc::new(Semaphore::new(plan.limits.jobs.clamp(1, Semaphore::MAX_PERMITS))),
            source_rows: vec![None; plan.streams.len()],
            rejects: AtomicU64::new(plan.rejects_elsewhere),
            plan,
            options,
            events,
            stop: shutdown.child_token(),
            pools,
            moments: Mutex::default(),
            warnings: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    pub(super) fn stream(&self, index: usize) -> &PlannedStream {
        &self.plan.streams[index]
    }

    pub(super) fn source(&self, index: usize) -> &Arc<dyn Source> {
        &self.plan.sources[&self.plan.streams[index].source_connection]
    }

    /// Rows that a stream is about to read: as counted, or else as estimated.
    pub(super) fn rows_expected(&self, index: usize) -> u64 {
        let estimate = self.plan.streams[index].rows_estimate;
        self.source_rows[index].or(estimate).unwrap_or(0)
    }

    pub(super) fn pool(&self, index: usize) -> &Pool {
        &self.pools[&self.plan.streams[index].sink_connection]
    }

    /// The moment that a stream's source sees.
    pub(super) fn moment(&self, index: usize) -> String {
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments
            .get(&self.plan.streams[index].source_connection)
            .cloned()
            .unwrap_or_default()
    }

    /// Asks the source again which moment it sees, for it may have been lost with a connection.
    pub(super) async fn look_at_moment(&self, index: usize) -> Result<()> {
        let now = self.source(index).moment().await?;
        let connection = &self.plan.streams[index].source_connection;
        let before = {
            let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
            moments.insert(connection.clone(), now.clone())
        };
        if before.is_some_and(|before| before != now) {
            self.note(format!(
                "source `{connection}` was lost and shows another moment now: the rows of this run are of more than one moment"
            ));
        }
        Ok(())
    }

    /// Something to be told when the run has ended.
    pub(super) fn note(&self, warning: String) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// What was noted so far.
    pub(super) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops the run; the first failure is the one that is told.
    pub(super) fn fail(&self, error: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        // That it was stopped says less than why.
        if failure.as_ref().is_none_or(|known| known.kind() == ErrorKind::Interrupted) {
            *failure = Some(error);
        }
        self.stop.cancel();
    }

    /// What stopped the run, if anything did.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One of the jobs, for as long as it is held.
pub(super) type Held = Arc<OwnedSemaphorePermit>;

/// A unit's share of the jobs: held by whoever of it works, given back while all of it waits.
pub(super) struct Slot {
    jobs: Arc<Semaphore>,
    now: tokio::sync::Mutex<Weak<OwnedSemaphorePermit>>,
}

impl Slot {
    pub(super) fn new(jobs: &Arc<Semaphore>) -> Self {
        Self {
            jobs: Arc::clone(jobs),
            now: tokio::sync::Mutex::default(),
        }
    }

    /// The unit's job, or a new one as soon as there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] when the run is stopped meanwhile.
    pub(super) async fn hold(&self, stop: &Shutdown) -> Result<Held> {
        let mut now = self.now.lock().await;
        if let Some(held) = now.upgrade() {
            return Ok(held);
        }
        let permit = tokio::select! {
            permit = Arc::clone(&self.jobs).acquire_owned() => {
                permit.map_err(|_| Error::new(ErrorKind::Internal, "the jobs of a run were closed while it went on"))?
            }
            () = stop.cancelled() => return Err(shutdown::interrupted()),
        };
        let held = Arc::new(permit);
        *now = Arc::downgrade(&held);
        Ok(held)
    }
}
