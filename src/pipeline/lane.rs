//! A lane: one split of one stream on its way, over as many connections as it takes.
//!
//! While a lane waits for a connection it holds neither a job nor a session nor a place at a
//! shared reader: others go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::cut::Start;
use super::event::Event;
use super::pool::{Borrowed, Permit};
use super::retry::{self, Patience};
use super::shared_read::Seat;
use super::stream_end::{Ending, StreamEnd};
use super::work::{Held, Run, Slot};
use super::worker::{self, Job, Progress};
use super::{deferred, follow, retry_rejects, subject, validate};
use crate::data::position::Position;
use crate::error::Retry;
use crate::ledger::Checkpoint;
use crate::sink::{Session, Sink};
use crate::{Error, ErrorKind, Result};

/// A stream that is being moved, over all its lanes.
pub(super) struct Moving {
    /// Its place in the plan.
    pub(super) index: usize,
    pub(super) is_cut: bool,
    pub(super) end: StreamEnd,
    /// Its checkpoints when it was begun.
    pub(super) found: Vec<Checkpoint>,
    /// Those of its copy, where its changes are followed.
    copied: Vec<Checkpoint>,
    began: Instant,
    lanes: Mutex<Lanes>,
    told: UnboundedSender<Ended>,
}

struct Lanes {
    open: usize,
    progress: Vec<Progress>,
    error: Option<Error>,
    waits_for: Option<String>,
}

/// A stream that moves no further in this run.
pub(super) struct Ended {
    pub(super) index: usize,
    pub(super) outcome: Result<()>,
    pub(super) seconds: f64,
    /// Connection that it still waits for.
    pub(super) waits_for: Option<String>,
    /// Of each lane.
    pub(super) progress: Vec<Progress>,
    /// Checkpoints of splits that no lane moved.
    pub(super) found: Vec<Checkpoint>,
}

impl Moving {
    pub(super) fn new(
        index: usize,
        Start {
            lanes,
            is_cut,
            found,
            copied,
        }: Start,
        began: Instant,
        told: UnboundedSender<Ended>,
    ) -> Self {
        let complete = found.iter().filter(|checkpoint| checkpoint.complete).cloned().collect();
        let lanes = lanes.len();
        let splits = if copied.is_empty() { found.len().max(1) } else { lanes };
        Self {
            index,
            is_cut,
            end: StreamEnd::new(splits, complete),
            found,
            copied,
            began,
            lanes: Mutex::new(Lanes {
                open: lanes,
                progress: Vec::new(),
                error: None,
                waits_for: None,
            }),
            told,
        }
    }

    /// A lane has ended; the last one tells of the stream.
    fn ended(&self, progress: Progress, outcome: Result<()>, waits_for: Option<String>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.open -= 1;
        lanes.progress.push(progress);
        lanes.waits_for = lanes.waits_for.take().or(waits_for);
        if let Err(error) = outcome
            // That it was stopped says less than why.
            && lanes.error.as_ref().is_none_or(|known| known.kind() == ErrorKind::Interrupted)
        {
            lanes.error = Some(error);
        }
        if lanes.open == 0 {
            let ended = Ended {
                index: self.index,
                outcome: lanes.error.take().map_or(Ok(()), Err),
                seconds: self.began.elapsed().as_secs_f64(),
                waits_for: lanes.waits_for.take(),
                progress: std::mem::take(&mut lanes.progress),
                found: self.found.clone(),
            };
            // The run waits for every stream that it began.
            drop(self.told.send(ended));
        }
    }
}

/// What an attempt came to that did not fail.
enum Attempt {
    Moved,
    /// There was no connection for it.
    Crowded,
}

/// One split of one stream.
pub(super) struct Lane {
    pub(super) run: Arc<Run>,
    pub(super) moving: Arc<Moving>,
    pub(super) split: i32,
    /// Where it stood when its unit began, as far as that was known.
    pub(super) begin: Option<Position>,
    pub(super) seat: Option<Seat>,
    pub(super) slot: Arc<Slot>,
}

impl Lane {
    /// Moves it to its end. `hold` is what it may begin with.
    pub(super) async fn drive(self, held: Held, permit: Permit) {
        let mut progress = Progress::default();
        let outcome = self.drive_with(&mut progress, held, permit).await;
        if let Err(error) = &outcome
            && (self.run.options.dry_run || error.kind().policy().retry != Retry::Backoff)
        {
            self.run.fail(error.again());
        }
        let waits_for = waits_for(&self.run, self.moving.index, &outcome, progress.source_failed);
        self.moving.ended(progress, outcome, waits_for);
    }

    /// It ends before it began.
    pub(super) fn not_begun(self, error: Error) {
        self.moving.ended(Progress::default(), Err(error), None);
    }

    async fn drive_with(&self, progress: &mut Progress, held: Held, permit: Permit) -> Result<()> {
        let mut patience = Patience::new(Duration::from_secs(self.run.plan.limits.retry_seconds_max));
        let mut batches = 0;
        let mut first = Some((held, permit));
        loop {
            let (held, permit) = if let Some(first) = first.take() {
                first
            } else {
                let held = self.slot.hold(&self.run.stop).await?;
                (held, self.run.pool(self.moving.index).permits(1, &self.run.stop).await?)
            };
            let outcome = Box::pin(self.attempt(progress)).await;
            drop((held, permit));
            let error = match outcome {
                Ok(Attempt::Moved) => return Ok(()),
                Ok(Attempt::Crowded) => {
                    // Those who have a session may be waiting for this one at the reader.
                    self.leave();
                    self.run.pool(self.moving.index).wait_for_return(&self.run.stop).await?;
                    continue;
                }
                Err(error) => error,
            };
            if error.kind().policy().retry != Retry::Backoff {
                return Err(error);
            }
            if self.run.options.dry_run {
                return Err(error.during("the rehearsal lost its one transaction, and nothing of it was kept"));
            }
            self.leave();
            if progress.tally.batches > batches {
                batches = progress.tally.batches;
                patience.restore();
            }
            wait(&self.run, self.moving.index, &mut patience, error, progress.source_failed).await?;
        }
    }

    /// From here on it reads alone.
    fn leave(&self) {
        if let Some(seat) = &self.seat {
            seat.leave();
        }
    }

    /// One attempt over one connection, from the checkpoint that the target holds.
    async fn attempt(&self, progress: &mut Progress) -> Result<Attempt> {
        let index = self.moving.index;
        if std::mem::take(&mut progress.source_failed) {
            let looked = self.run.look_at_moment(index).await;
            progress.source_failed = looked.is_err();
            looked?;
        }
        let pool = self.run.pool(index);
        let mut lent = match pool.borrow().await? {
            Borrowed::Session(lent) => lent,
            Borrowed::Crowded => return Ok(Attempt::Crowded),
        };
        let outcome = self.move_over(lent.session.as_mut(), progress).await;
        match &outcome {
            Err(error) if error.kind().policy().retry == Retry::Backoff && !progress.source_failed => pool.lost(lent).await,
            _ => pool.give_back(lent).await,
        }
        outcome.map(|()| Attempt::Moved)
    }

    async fn move_over(&self, session: &mut dyn Session, progress: &mut Progress) -> Result<()> {
        let run = &self.run;
        let moment = run.moment(self.moving.index);
        let stream = run.stream(self.moving.index);
        let job = Job {
            run: run.id,
            project: &run.plan.project,
            stream,
            source: run.source(self.moving.index).as_ref(),
            seat: self.seat.as_ref(),
            split: self.split,
            is_cut: self.moving.is_cut,
            end: &self.moving.end,
            moment: &moment,
            limits: &run.plan.limits,
            restart: run.options.restart,
            source_rows: run.source_rows[self.moving.index],
            rejects: &run.rejects,
            events: &run.events,
            shutdown: &run.stop,
            pace: run.paces.get(self.moving.index),
        };
        if run.options.retry_rejects {
            let sink = &run.plan.sinks[&stream.sink_connection];
            if stream.write.keyed.as_ref().is_some_and(|layout| layout.key_type.is_ordered()) {
                if !sink.rejects(job.project, Some(&stream.name), 0, 1).await?.is_empty() {
                    run.note(subject::order_kept(&stream.name));
                }
                return Ok(());
            }
            let every = |_: &str| true;
            let gone = retry_rejects::retry_stream(&job, &self.moving.found, every, sink.as_ref(), session, progress).await?;
            if gone > 0 {
                run.note(format!(
                    "stream `{}`: {gone} rejected rows are no longer in the source; their rejects stay open",
                    stream.name
                ));
            }
            return Ok(());
        }
        if stream.subject.is_some() {
            subject::move_rows(&job, session, progress).await?;
        } else if let (true, Some(begin)) = (stream.follows, &self.begin) {
            follow::move_changes(&job, begin.clone(), session, progress).await?;
        } else {
            worker::move_stream(&job, session, progress).await?;
        }
        let sink = &run.plan.sinks[&stream.sink_connection];
        let ended = end_stream(&job, &self.moving.copied, sink.as_ref(), session, progress).await;
        if ended.is_err() {
            job.end.left_undone().await;
        }
        ended
    }
}

/// After the last split of a stream: what is left to do once for all of it.
async fn end_stream(
    job: &Job<'_>,
    copied: &[Checkpoint],
    sink: &dyn Sink,
    session: &mut dyn Session,
    progress: &mut Progress,
) -> Result<()> {
    match job.end.ending().await {
        Ending::Nothing => Ok(()),
        Ending::Before(whole) => validate::complete_before(job, session, &whole, progress).await,
        Ending::Now(whole) => {
            if job.stream.follows {
                follow::retry_waiting(job, copied, sink, session, progress).await?;
            }
            deferred::rebuild(job, session).await?;
            session.finish_stream().await?;
            (job.events)(Event::StreamFinished {
                stream: job.stream.name.clone(),
                counts: whole.counts,
            });
            Ok(())
        }
    }
}

/// The connection that a stream waits for still.
pub(super) fn waits_for(run: &Run, index: usize, outcome: &Result<()>, source_failed: bool) -> Option<String> {
    let error = outcome.as_ref().err()?;
    let stream = run.stream(index);
    let connection = if source_failed {
        &stream.source_connection
    } else {
        &stream.sink_connection
    };
    (error.kind().policy().retry == Retry::Backoff).then(|| connection.clone())
}

/// Waits before the next attempt, as long as there is patience.
pub(super) async fn wait(run: &Run, index: usize, patience: &mut Patience, error: Error, source_failed: bool) -> Result<()> {
    let (pause, attempt, error) = patience.next(error)?;
    let stream = run.stream(index);
    let connection = if source_failed {
        &stream.source_connection
    } else {
        &stream.sink_connection
    };
    (run.events)(Event::Retrying {
        stream: stream.name.clone(),
        connection: connection.clone(),
        error: error.to_string(),
        attempt,
        pause,
    });
    retry::pause(pause, &run.stop).await
}
