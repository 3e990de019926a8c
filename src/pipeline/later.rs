//! Streams that wait: their target could not be reached when the run was planned. The others are
//! moved first; then these are planned and moved from the sources as they were opened, so that
//! all of them show one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::event::{Event, Events};
use super::plan::{self, Options, Plan};
use super::planned;
use super::report::{RunReport, StreamReport, StreamStatus};
use super::retry::{self, Patience};
use super::run::{self, RunOptions};
use super::shutdown::Shutdown;
use crate::config::Config;
use crate::error::Retry;
use crate::mapping::{Project, Stream};
use crate::source::Source;
use crate::{Error, Result};

/// A plan's streams that wait, and all that it takes to plan them.
pub(super) struct Later {
    project: Project,
    config: Config,
    options: Options,
    streams: Vec<Waiting>,
}

/// A stream that waits.
struct Waiting {
    name: String,
    source: String,
    target: String,
    /// The sink connection that it waits for: its own, or that of a stream that it needs.
    connection: String,
    after: Vec<String>,
}

impl Waiting {
    fn of(stream: &Stream, connection: &str) -> Self {
        Self {
            name: stream.name.value.clone(),
            source: planned::source_of(stream),
            target: stream.target(),
            connection: connection.to_owned(),
            after: stream.after.iter().map(|name| name.value.clone()).collect(),
        }
    }

    fn report(&self) -> StreamReport {
        let mut report = StreamReport::pending_at(&self.name, &self.source, &self.target);
        report.waits_for = Some(self.connection.clone());
        report
    }
}

/// Takes the streams out of `selected` whose sinks are away, and those that need them.
///
/// # Errors
/// Where no other stream is left: why the first of the sinks is away.
pub(super) fn set_aside(
    (project, config, options): (&Project, &Config, &Options),
    selected: &mut Vec<&Stream>,
    away: BTreeMap<String, Error>,
) -> Result<Option<Later>> {
    let mut streams: Vec<Waiting> = Vec::new();
    loop {
        let before = streams.len();
        selected.retain(|stream| {
            let sink = &stream.to.value.connection;
            let needed = || {
                streams
                    .iter()
                    .find(|waiting| stream.after.iter().any(|name| name.value == waiting.name))
            };
            let waits_for = if away.contains_key(sink) {
                Some(sink.clone())
            } else {
                needed().map(|waiting| waiting.connection.clone())
            };
            streams.extend(waits_for.iter().map(|connection| Waiting::of(stream, connection)));
            waits_for.is_none()
        });
        if streams.len() == before {
            break;
        }
    }
    if let Some(error) = away.into_values().next().filter(|_| selected.is_empty()) {
        return Err(error);
    }
    Ok((!streams.is_empty()).then(|| Later {
        project: project.clone(),
        config: config.clone(),
        options: options.clone(),
        streams,
    }))
}

/// What streams that wait need of the run that they belong to.
pub(super) struct Rest {
    pub(super) id: Uuid,
    pub(super) options: RunOptions,
    pub(super) events: Events,
    pub(super) shutdown: Shutdown,
    pub(super) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(super) retry: Duration,
}

impl Later {
    /// Tells of the streams that wait together with those that run.
    pub(super) fn announced(&self, events: &Events) -> Events {
        let names: Vec<String> = self.streams.iter().map(|stream| stream.name.clone()).collect();
        let events = Arc::clone(events);
        Arc::new(move |event| match event {
            Event::RunStarted {
                run,
                mut streams,
                dry_run,
            } => {
                streams.extend(names.iter().map(|name| (name.clone(), 0)));
                events(Event::RunStarted { run, streams, dry_run });
            }
            event => events(event),
        })
    }

    /// Says at the beginning which streams wait.
    pub(super) fn tell(&self, events: &Events) {
        for stream in &self.streams {
            events(Event::Warning {
                stream: Some(stream.name.clone()),
                message: format!(
                    "waits for connection `{}`, which cannot be reached; it is tried again after the others",
                    stream.connection
                ),
            });
        }
    }

    /// Reports of the streams that wait.
    pub(super) fn reports(&self) -> impl Iterator<Item = StreamReport> {
        self.streams.iter().map(Waiting::report)
    }

    /// Plans and moves what waits, as soon as its targets are back, and puts it into the report.
    ///
    /// # Errors
    /// When the patience is at its end, a stop is asked for, or something else is wrong.
    pub(super) async fn go_on(mut self, rest: &Rest, report: &mut RunReport) -> Result<()> {
        let mut patience = Patience::new(rest.retry);
        loop {
            self.drop_stranded(report);
            if self.streams.is_empty() {
                return Ok(());
            }
            match self.plan(rest).await {
                Ok(plan) => {
                    patience.restore();
                    self.pass(plan, rest, report).await?;
                }
                Err(error) if error.kind().policy().retry == Retry::Backoff => self.wait(rest, &mut patience, error).await?,
                Err(error) => return Err(told(error)),
            }
        }
    }

    /// A stream whose needs this run did not complete is left to the next run.
    fn drop_stranded(&mut self, report: &RunReport) {
        let is_stranded = |streams: &[Waiting], stream: &Waiting| {
            stream.after.iter().any(|name| {
                let complete =
                    |report: &StreamReport| matches!(report.status, StreamStatus::Complete | StreamStatus::AlreadyComplete);
                let found = report.streams.iter().find(|other| other.name == *name);
                found.is_some_and(|other| !complete(other)) && !streams.iter().any(|waiting| waiting.name == *name)
            })
        };
        while let Some(stranded) = self.streams.iter().position(|stream| is_stranded(&self.streams, stream)) {
            self.streams.remove(stranded);
        }
    }

    async fn plan(&self, rest: &Rest) -> Result<Plan> {
        let mut options = self.options.clone();
        options.only = self.streams.iter().map(|stream| stream.name.clone()).collect();
        Box::pin(plan::plan_over(&self.project, &self.config, &options, &rest.sources)).await
    }

    /// Moves the streams of a plan; those that still wait stay.
    async fn pass(&mut self, mut plan: Plan, rest: &Rest, report: &mut RunReport) -> Result<()> {
        self.streams
            .retain(|waiting| plan.streams.iter().all(|stream| stream.name != waiting.name));
        let events = Arc::clone(&rest.events);
        let quiet: Events = Arc::new(move |event| {
            if !matches!(event, Event::RunStarted { .. }) {
                events(event);
            }
        });
        plan.rejects_elsewhere = report.streams.iter().map(|stream| stream.rejects_open).sum();
        let mut part = run::blank(rest.id, &plan, rest.options);
        let outcome = Box::pin(run::pass(plan, (rest.id, rest.options), &quiet, &rest.shutdown, &mut part)).await;
        for moved in part.streams {
            if let Some(pending) = report.streams.iter_mut().find(|other| other.name == moved.name) {
                *pending = moved;
            }
        }
        report.warnings.append(&mut part.warnings);
        outcome
    }

    async fn wait(&self, rest: &Rest, patience: &mut Patience, error: Error) -> Result<()> {
        let (pause, attempt, error) = patience.next(error)?;
        for stream in &self.streams {
            (rest.events)(Event::Retrying {
                stream: stream.name.clone(),
                connection: stream.connection.clone(),
                error: error.to_string(),
                attempt,
                pause,
            });
        }
        retry::pause(pause, &rest.shutdown).await
    }
}

/// An error of a plan that is made while a run goes on: its findings in its message.
fn told(error: Error) -> Error {
    let findings: Vec<String> = error.list().iter().map(ToString::to_string).collect();
    if findings.is_empty() {
        return error;
    }
    let hint = error.advice().to_owned();
    Error::new(
        error.kind(),
        format!("a target that was away fits no longer: {}", findings.join("; ")),
    )
    .hint(hint)
}
