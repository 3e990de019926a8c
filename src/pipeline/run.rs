//! A run: leases, then stream after stream, then how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::event::{Event, Events};
use super::holder::holder;
use super::plan::Plan;
use super::report::{RunReport, RunStatus, StreamReport, StreamStatus};
use super::retry::{self, Patience};
use super::retry_rejects;
use super::shutdown::{self, Shutdown};
use super::validate;
use super::worker::{self, Job, Progress};
use crate::sink::{LeaseRequest, Session};
use crate::{Error, ErrorKind, Result};

/// What kind of run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Do everything including the writes, then roll all of it back.
    pub dry_run: bool,
    /// Forget checkpoints and move the streams from their beginning.
    pub restart: bool,
    /// Move only the rows in the reject store.
    pub retry_rejects: bool,
}

/// One execution of a plan.
struct Run {
    id: Uuid,
    plan: Plan,
    options: RunOptions,
    events: Events,
    shutdown: Shutdown,
    /// Sessions by sink connection; `None` after a connection was lost.
    sessions: BTreeMap<String, Option<Box<dyn Session>>>,
    moments: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// Runs a plan. Never an `Err`: what went wrong is in the report.
pub async fn run(plan: Plan, options: RunOptions, events: Events, shutdown: Shutdown) -> RunReport {
    let mut report = RunReport {
        run: String::new(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        dry_run: options.dry_run,
        status: RunStatus::Done,
        streams: plan.streams.iter().map(StreamReport::pending).collect(),
        warnings: Vec::new(),
        error: None,
        hint: None,
        error_kind: None,
    };
    let mut run = Run {
        id: Uuid::new_v4(),
        plan,
        options,
        events,
        shutdown,
        sessions: BTreeMap::new(),
        moments: BTreeMap::new(),
        warnings: Vec::new(),
    };
    report.run = run.id.to_string();
    let outcome = run.move_all(&mut report).await;
    let rejected = report.streams.iter().any(|stream| stream.rejects_open > 0);
    report.status = match &outcome {
        Ok(()) if rejected => RunStatus::Rejects,
        Ok(()) => RunStatus::Done,
        Err(error) => match error.kind() {
            ErrorKind::Interrupted => RunStatus::Interrupted,
            ErrorKind::Rejects => RunStatus::TooManyRejects,
            _ => RunStatus::Failed,
        },
    };
    if let Err(error) = outcome {
        report.error = Some(chain(&error));
        report.hint = Some(error.advice().to_owned());
        report.error_kind = Some(error.kind());
    }
    run.finish(report.status).await;
    report.warnings = run.warnings;
    report
}

/// The message with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Run {
    async fn move_all(&mut self, report: &mut RunReport) -> Result<()> {
        let wanted: BTreeSet<_> = self
            .plan
            .streams
            .iter()
            .map(|stream| stream.sink_connection.clone())
            .collect();
        for connection in wanted {
            let session = self.acquire(&connection, Duration::ZERO).await?;
            self.sessions.insert(connection, Some(session));
        }
        if crate::ledger::BARE {
            self.warnings
                .push("built for the benchmark: nothing is validated, and an interrupted run cannot go on".to_owned());
        }
        for (name, source) in &self.plan.sources {
            self.moments.insert(name.clone(), source.moment().await?);
        }
        self.count_sources(report).await?;
        let streams = report
            .streams
            .iter()
            .map(|stream| (stream.name.clone(), stream.source_rows.unwrap_or(0)))
            .collect();
        (self.events)(Event::RunStarted {
            run: self.id,
            streams,
            dry_run: self.options.dry_run,
        });
        for index in 0..self.plan.streams.len() {
            if self.shutdown.is_cancelled() {
                return Err(shutdown::interrupted());
            }
            self.move_one(index, &mut report.streams).await?;
        }
        Ok(())
    }

    async fn count_sources(&self, report: &mut RunReport) -> Result<()> {
        let mut open = BTreeMap::new();
        if !self.options.restart {
            // What begins anew forgets them. The store itself is asked: rejects may have been
            // resolved by hand.
            for (name, sink) in &self.plan.sinks {
                open.insert(name.clone(), sink.reject_counts(&self.plan.project).await?);
            }
        }
        for (stream, report) in self.plan.streams.iter().zip(&mut report.streams) {
            let open = open.get(&stream.sink_connection).into_iter().flatten();
            report.rejects_open = open.filter(|(name, _)| *name == stream.name).map(|(_, rows)| rows).sum();
            if crate::ledger::BARE {
                continue;
            }
            let source = &self.plan.sources[&stream.source_connection];
            report.source_rows = Some(source.count(&stream.origin).await?);
        }
        Ok(())
    }

    async fn acquire(&self, connection: &str, wait: Duration) -> Result<Box<dyn Session>> {
        let lease = LeaseRequest {
            project: self.plan.project.clone(),
            environment: self.plan.environment.clone(),
            run: self.id,
            holder: holder(),
            dry_run: self.options.dry_run,
            wait,
        };
        self.plan.sinks[connection].acquire(&lease).await
    }

    /// Moves one stream, over as many connections as it takes.
    async fn move_one(&mut self, index: usize, reports: &mut [StreamReport]) -> Result<()> {
        let began = Instant::now();
        let mut progress = Progress::default();
        let before = reports.iter().map(|report| report.rejects_open).sum();
        let outcome = self.drive(index, before, &mut progress, &reports[index]).await;
        let report = &mut reports[index];
        report.seconds = began.elapsed().as_secs_f64();
        report.set_counts(progress.tally.counts);
        report.batches = progress.tally.batches;
        report.reasons = progress.tally.reasons.report();
        report.rejects_open = (report.rejects_open + progress.tally.counts.rejected).saturating_sub(progress.resolved);
        report.target_rows = progress.target_rows;
        self.warnings.append(&mut progress.warnings);
        if let Some(checkpoint) = &progress.checkpoint {
            report.status = match (checkpoint.complete, progress.tally.batches) {
                (true, 0) => StreamStatus::AlreadyComplete,
                (true, _) => StreamStatus::Complete,
                (false, _) => StreamStatus::Partial,
            };
        }
        outcome
    }

    async fn drive(&mut self, index: usize, before: u64, progress: &mut Progress, report: &StreamReport) -> Result<()> {
        let connection = self.plan.streams[index].sink_connection.clone();
        let mut patience = Patience::new(Duration::from_secs(self.plan.limits.retry_seconds_max));
        let mut batches = 0;
        self.started(index, report.source_rows.unwrap_or(0));
        loop {
            let mut session = match self.sessions.get_mut(&connection).and_then(Option::take) {
                Some(session) => Ok(session),
                // The server may need a while to notice that our old connection is gone.
                None => self.acquire(&connection, Duration::from_secs(30)).await,
            };
            let outcome = match &mut session {
                Ok(session) => self.attempt(index, before, session.as_mut(), progress, report).await,
                Err(_) => Ok(()),
            };
            let error = match (session, outcome) {
                (Ok(session), Ok(())) => {
                    self.sessions.insert(connection, Some(session));
                    return Ok(());
                }
                (Ok(session), Err(error)) => {
                    if error.kind().policy().retry != crate::error::Retry::Backoff {
                        self.sessions.insert(connection, Some(session));
                        return Err(error);
                    }
                    error
                }
                (Err(error), _) => error,
            };
            if self.options.dry_run {
                return Err(error.during("the rehearsal lost its one transaction, and nothing of it was kept"));
            }
            if progress.tally.batches > batches {
                batches = progress.tally.batches;
                patience.restore();
            }
            let (pause, attempt, error) = patience.next(error)?;
            let stream = self.plan.streams[index].name.clone();
            (self.events)(Event::Retrying {
                stream,
                error: error.to_string(),
                attempt,
                pause,
            });
            retry::pause(pause, &self.shutdown).await?;
        }
    }

    fn started(&self, index: usize, rows: u64) {
        let stream = &self.plan.streams[index];
        let resumed = stream.checkpoint.as_ref().filter(|_| !self.options.restart);
        if let Some(checkpoint) = resumed.filter(|checkpoint| checkpoint.complete && !self.options.retry_rejects) {
            (self.events)(Event::StreamSkipped {
                stream: stream.name.clone(),
                counts: checkpoint.counts,
            });
        } else {
            let resumed = resumed.map(|checkpoint| checkpoint.counts);
            (self.events)(Event::StreamStarted {
                stream: stream.name.clone(),
                rows,
                resumed,
            });
        }
    }

    /// One attempt over one connection, from the checkpoint that the target holds.
    async fn attempt(
        &mut self,
        index: usize,
        rejects_before: u64,
        session: &mut dyn Session,
        progress: &mut Progress,
        report: &StreamReport,
    ) -> Result<()> {
        let stream = &self.plan.streams[index];
        let sink = &self.plan.sinks[&stream.sink_connection];
        let job = Job {
            run: self.id,
            project: &self.plan.project,
            stream,
            source: self.plan.sources[&stream.source_connection].as_ref(),
            moment: &self.moments[&stream.source_connection],
            limits: &self.plan.limits,
            restart: self.options.restart,
            source_rows: report.source_rows,
            rejects_before,
            events: &self.events,
            shutdown: &self.shutdown,
        };
        if self.options.retry_rejects {
            let gone = retry_rejects::retry_stream(&job, sink.as_ref(), session, progress).await?;
            if gone > 0 {
                self.warnings.push(format!(
                    "stream `{}`: {gone} rejected rows are no longer in the source; their rejects stay open",
                    stream.name
                ));
            }
            return Ok(());
        }
        let checkpoint = worker::move_stream(&job, session, progress).await?;
        if progress.tally.batches == 0 {
            return validate::complete_before(&job, session, &checkpoint, progress).await;
        }
        session.finish_stream().await?;
        (self.events)(Event::StreamFinished {
            stream: stream.name.clone(),
            counts: checkpoint.counts,
        });
        Ok(())
    }

    async fn finish(&mut self, status: RunStatus) {
        let status = match status {
            RunStatus::Done => "done",
            RunStatus::Rejects | RunStatus::TooManyRejects => "rejects",
            RunStatus::Interrupted => "interrupted",
            RunStatus::Failed => "failed",
        };
        for (connection, session) in &mut self.sessions {
            if let Some(session) = session
                && let Err(error) = session.finish(status).await
            {
                self.warnings
                    .push(format!("the end of the run could not be recorded in `{connection}`: {error}"));
            }
        }
    }
}
