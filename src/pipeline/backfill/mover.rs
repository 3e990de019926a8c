//! Carrying backfills out, one after the other, each batch by batch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::super::ending::{chain, ending_of};
use super::super::event::{Event, Events};
use super::super::holder::holder;
use super::super::plan::Plan;
use super::super::report::{RunStatus, StreamStatus};
use super::super::resume;
use super::super::retry::{self, Patience};
use super::super::shutdown::{self, Shutdown};
use super::super::throttle::{Watch, Watched};
use super::super::worker::Progress;
use super::batch::{Batches, Work};
use super::planned::{BackfillPlan, Planned};
use super::report::{BackfillReport, Backfilled};
use crate::sink::{LeaseRequest, Session};
use crate::{Error, ErrorKind, Result};

/// How long a lease is waited for that a broken connection of this run may still hold.
const OWN_LEASE_WAIT: Duration = Duration::from_secs(30);

/// How backfills are carried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Do everything including the writes, and roll every batch back.
    pub dry_run: bool,
    /// Forget how far they were, and go through all rows.
    pub restart: bool,
}

/// A run of backfills.
pub(super) struct Run<'a> {
    pub(super) id: Uuid,
    pub(super) plan: &'a Plan,
    pub(super) how: How,
    pub(super) rejects: AtomicU64,
    pub(super) events: &'a Events,
    pub(super) shutdown: &'a Shutdown,
}

/// Carries backfills out. Never an `Err`: what went wrong is in the report.
pub async fn run(planned: &BackfillPlan, how: How, events: Events, shutdown: Shutdown) -> BackfillReport {
    let began = Instant::now();
    let run = Run {
        id: Uuid::new_v4(),
        plan: &planned.plan,
        how,
        rejects: AtomicU64::new(0),
        events: &events,
        shutdown: &shutdown,
    };
    let of_place = |backfill: &Planned| Backfilled::not_begun(&planned.plan.streams[backfill.place]);
    let mut report = BackfillReport {
        run: run.id.to_string(),
        project: planned.plan.project.clone(),
        environment: planned.plan.environment.clone(),
        dry_run: how.dry_run,
        status: RunStatus::Done,
        seconds: 0.0,
        backfills: planned.backfills.iter().map(of_place).collect(),
        warnings: Vec::new(),
        error: None,
        hint: None,
        error_kind: None,
    };
    let mut sessions = BTreeMap::new();
    let outcome = run.all(&planned.backfills, &mut sessions, &mut report).await;
    let rejected = report.backfills.iter().any(|backfill| backfill.rejects_open > 0);
    let (status, recorded) = ending_of(&outcome, rejected);
    report.status = status;
    for (connection, mut session) in sessions {
        if let Err(error) = session.finish(recorded).await {
            let warning = format!("the end of the run could not be recorded in `{connection}`: {error}");
            report.warnings.push(warning);
        }
    }
    if let Err(error) = outcome {
        report.error = Some(chain(&error));
        report.hint = Some(error.advice().to_owned());
        report.error_kind = Some(error.kind());
    }
    report.seconds = began.elapsed().as_secs_f64();
    report
}

/// Sessions by connection, kept from backfill to backfill.
type Sessions = BTreeMap<String, Box<dyn Session>>;

impl Run<'_> {
    async fn all(&self, backfills: &[Planned], sessions: &mut Sessions, report: &mut BackfillReport) -> Result<()> {
        self.count_rejects(backfills, report).await?;
        let streams = backfills.iter().map(|backfill| {
            let name = self.plan.streams[backfill.place].name.clone();
            (name, backfill.rows_estimate.unwrap_or(0))
        });
        (self.events)(Event::RunStarted {
            run: self.id,
            streams: streams.collect(),
            dry_run: self.how.dry_run,
        });
        for (place, backfill) in backfills.iter().enumerate() {
            if self.shutdown.is_cancelled() {
                return Err(shutdown::interrupted());
            }
            let entry = &mut report.backfills[place];
            let warning = self.one(backfill, sessions, entry).await?;
            report.warnings.extend(warning);
        }
        Ok(())
    }

    /// Those of earlier runs; what begins anew forgets them.
    async fn count_rejects(&self, backfills: &[Planned], report: &mut BackfillReport) -> Result<()> {
        for (backfill, entry) in backfills.iter().zip(&mut report.backfills) {
            let stream = &self.plan.streams[backfill.place];
            if self.begins_anew(backfill) {
                continue;
            }
            let open = self.plan.sinks[&stream.sink_connection]
                .reject_counts(&self.plan.project)
                .await?;
            entry.rejects_open = open
                .iter()
                .filter(|(name, _)| *name == stream.name)
                .map(|(_, rows)| rows)
                .sum();
            self.rejects.fetch_add(entry.rejects_open, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether it goes through the rows from the first one on, whatever an earlier run did: where rows
    /// tell by themselves which of them still need it, a complete one is gone through for these.
    pub(super) fn begins_anew(&self, backfill: &Planned) -> bool {
        let before = self.plan.streams[backfill.place].checkpoint.as_ref();
        self.how.restart || before.is_none() || before.is_some_and(|before| before.complete && backfill.has_pending())
    }

    /// Carries one out; what the operator should know of it.
    async fn one(&self, backfill: &Planned, sessions: &mut Sessions, entry: &mut Backfilled) -> Result<Option<String>> {
        let stream = &self.plan.streams[backfill.place];
        if let Some(before) = stream.checkpoint.as_ref().filter(|before| before.complete)
            && !self.begins_anew(backfill)
        {
            resume::check_fingerprint(stream, before)?;
            (self.events)(Event::StreamSkipped {
                stream: stream.name.clone(),
                counts: before.counts,
            });
            return Ok(Some(format!(
                "backfill `{}` is complete since an earlier run; `--restart` goes through its rows again",
                stream.name
            )));
        }
        let began = Instant::now();
        let work = Work {
            run: self,
            backfill,
            stream,
        };
        let mut progress = Progress::default();
        let mut batches = Batches::new(&work);
        let mut watch = Watch::default();
        let outcome = self
            .patiently(&work, (&mut batches, &mut watch), sessions, &mut progress)
            .await;
        entry.set_counts(progress.tally.counts);
        entry.batches = progress.tally.batches;
        entry.reasons = progress.tally.reasons.report();
        entry.rejects_open += progress.tally.counts.rejected;
        entry.lock_timeouts = batches.lock_timeouts;
        entry.paused_seconds = watch.paused.as_secs_f64();
        entry.status = match (&outcome, entry.batches) {
            (Ok(()), _) => StreamStatus::Complete,
            (Err(_), 0) if self.begins_anew(backfill) => StreamStatus::Pending,
            (Err(_), 0) => entry.status,
            (Err(_), _) => StreamStatus::Partial,
        };
        if outcome.is_ok() && backfill.has_pending() && !self.how.dry_run {
            let sink = &self.plan.sinks[&stream.sink_connection];
            entry.pending = Some(
                backfill
                    .still_pending(sink.as_ref(), &stream.write.table, self.shutdown)
                    .await?,
            );
        }
        entry.seconds = began.elapsed().as_secs_f64();
        outcome?;
        (self.events)(Event::StreamFinished {
            stream: stream.name.clone(),
            counts: progress.tally.counts,
        });
        let missed = entry.pending.unwrap_or(0).saturating_sub(entry.rejects_open);
        Ok((missed > 0).then(|| {
            format!(
                "backfill `{}`: {missed} rows were written or changed by others meanwhile and still need it: call it again",
                stream.name
            )
        }))
    }

    /// Goes on over new connections while these are lost.
    async fn patiently(
        &self,
        work: &Work<'_>,
        (batches, watch): (&mut Batches, &mut Watch),
        sessions: &mut Sessions,
        progress: &mut Progress,
    ) -> Result<()> {
        let connection = &work.stream.sink_connection;
        let mut patience = Patience::new(Duration::from_secs(self.plan.limits.retry_seconds_max));
        let mut again = false;
        loop {
            let done = progress.tally.batches;
            let error = match self
                .go_on(work, (&mut *batches, &mut *watch), (sessions, again), progress)
                .await
            {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if progress.tally.batches > done {
                patience.restore();
            }
            if error.kind() == ErrorKind::Lost {
                sessions.remove(connection);
                again = true;
            }
            let (pause, attempt, error) = patience.next(error)?;
            (self.events)(Event::Retrying {
                stream: work.stream.name.clone(),
                connection: connection.clone(),
                error: error.to_string(),
                attempt,
                pause,
            });
            retry::pause(pause, self.shutdown).await?;
        }
    }

    /// Batch after batch, from the checkpoint on.
    async fn go_on(
        &self,
        work: &Work<'_>,
        (batches, watch): (&mut Batches, &mut Watch),
        (sessions, again): (&mut Sessions, bool),
        progress: &mut Progress,
    ) -> Result<()> {
        let sink = &self.plan.sinks[&work.stream.sink_connection];
        let watched = Watched {
            sink: sink.as_ref(),
            table: &work.stream.write.table,
            stream: &work.stream.name,
            limits: &self.plan.limits,
            events: self.events,
            shutdown: self.shutdown,
        };
        let connection = &work.stream.sink_connection;
        let mut begun = false;
        loop {
            self.check_rejects()?;
            if self.shutdown.is_cancelled() {
                return Err(shutdown::interrupted());
            }
            batches.wait(self.shutdown).await?;
            watch.wait(&watched).await?;
            let mut session = match sessions.remove(connection) {
                Some(session) => session,
                None => sink.acquire(&self.request(again)).await?,
            };
            if !begun {
                batches.open(work, session.as_mut(), progress).await?;
                begun = true;
            }
            let outcome = batches.next(work, session.as_mut(), progress).await;
            if self.how.dry_run {
                // Each batch is a transaction of its own: none stays open while the next ones are tried.
                session.finish("dry run").await?;
                begun = false;
            } else {
                sessions.insert(connection.clone(), session);
            }
            if outcome? {
                return Ok(());
            }
        }
    }

    fn request(&self, again: bool) -> LeaseRequest {
        LeaseRequest {
            project: self.plan.project.clone(),
            environment: self.plan.environment.clone(),
            run: self.id,
            holder: holder(),
            dry_run: self.how.dry_run,
            wait: if again || self.how.dry_run {
                OWN_LEASE_WAIT
            } else {
                Duration::ZERO
            },
        }
    }

    /// More rejects than allowed end it in order. What is committed stays.
    fn check_rejects(&self) -> Result<()> {
        let (rejects, allowed) = (self.rejects.load(Ordering::Relaxed), self.plan.limits.max_rejects);
        if rejects <= allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Rejects,
            format!("stopped: {rejects} rejected rows, more than max_rejects = {allowed}"),
        )
        .hint("see them with `dbferry stats PROJECT`; mend the rows or the expression and go through all of them with `backfill --restart`, or allow more with `--max-rejects`"))
    }
}
