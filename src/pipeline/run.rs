//! A run: leases, then streams side by side as their needs allow, then how it ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::deferred;
use super::ending::{conclude, finish, take_in};
use super::event::{Event, Events};
use super::foreign_keys;
use super::holder::holder;
use super::lane::Ended;
use super::later::Rest;
use super::not_covered;
use super::passes;
use super::plan::Plan;
use super::pool::Pool;
use super::report::{RunReport, RunStatus, StreamReport, StreamStatus};
use super::shutdown::{self, Shutdown};
use super::spending::Spending;
use super::unit;
use super::work::Run;
use crate::data::stream::Origin;
use crate::error::Retry;
use crate::ledger::BackupNote;
use crate::sink::LeaseRequest;
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

/// Runs a plan. Never an `Err`: what went wrong is in the report.
pub async fn run(plan: Plan, options: RunOptions, events: Events, shutdown: Shutdown) -> RunReport {
    let began = Instant::now();
    let spending = Spending::watch(&plan.sources, &events);
    let mut report = whole(plan, options, events, shutdown).await;
    report.spent = spending.end();
    report.not_covered = not_covered::of(&report.streams);
    report.seconds = began.elapsed().as_secs_f64();
    report
}

/// All passes of a run.
async fn whole(mut plan: Plan, options: RunOptions, events: Events, shutdown: Shutdown) -> RunReport {
    let id = Uuid::new_v4();
    let mut report = blank(id, &plan, options);
    let Some(later) = plan.later.take() else {
        let outcome = pass(plan, (id, options), &events, &shutdown, &mut report).await;
        conclude(&mut report, outcome);
        return report;
    };
    let rest = Rest {
        id,
        options,
        events: Arc::clone(&events),
        shutdown: shutdown.clone(),
        sources: plan.sources.clone(),
        retry: Duration::from_secs(plan.limits.retry_seconds_max),
    };
    later.tell(&events);
    let mut outcome = pass(plan, (id, options), &later.announced(&events), &shutdown, &mut report).await;
    report.streams.extend(later.reports());
    let may_go_on = |error: &Error| error.kind().policy().retry == Retry::Backoff;
    if outcome.as_ref().err().is_none_or(may_go_on) {
        let moved = later.go_on(&rest, &mut report).await;
        outcome = outcome.and(moved);
    }
    conclude(&mut report, outcome);
    report
}

/// The report of a run that has not begun.
pub(super) fn blank(id: Uuid, plan: &Plan, options: RunOptions) -> RunReport {
    RunReport {
        run: id.to_string(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        dry_run: options.dry_run,
        status: RunStatus::Done,
        seconds: 0.0,
        streams: plan.streams.iter().map(StreamReport::pending).collect(),
        spent: Vec::new(),
        not_covered: Vec::new(),
        warnings: Vec::new(),
        error: None,
        hint: None,
        error_kind: None,
    }
}

/// Moves the streams of one plan as part of a run.
pub(super) async fn pass(
    plan: Plan,
    (id, options): (Uuid, RunOptions),
    events: &Events,
    shutdown: &Shutdown,
    report: &mut RunReport,
) -> Result<()> {
    let pools = pools(id, &plan, options);
    let mut run = Run::new(id, plan, options, Arc::clone(events), shutdown, pools);
    for warning in std::mem::take(&mut run.plan.warnings) {
        run.note(warning);
    }
    if let Err(error) = begin(&mut run, report).await {
        return finish(&run, Err(error), report).await;
    }
    let shared = Arc::new(run);
    let outcome = Box::pin(move_all(&shared, shutdown, report)).await;
    // Every task has ended by now.
    finish(&shared, outcome, report).await
}

fn pools(id: Uuid, plan: &Plan, options: RunOptions) -> BTreeMap<String, Pool> {
    let pool = |connection: &String| {
        let request = LeaseRequest {
            project: plan.project.clone(),
            environment: plan.environment.clone(),
            run: id,
            holder: holder(),
            dry_run: options.dry_run,
            wait: Duration::ZERO,
        };
        Pool::new(Arc::clone(&plan.sinks[connection]), request)
    };
    let wanted = plan.streams.iter().map(|stream| &stream.sink_connection);
    wanted.map(|connection| (connection.clone(), pool(connection))).collect()
}

/// Takes the leases, and asks the sources what there is.
async fn begin(run: &mut Run, report: &mut RunReport) -> Result<()> {
    for pool in run.pools.values() {
        // What is away by now is waited for by its streams; the others begin.
        or_away(run, pool.open().await)?;
    }
    note_backup(run).await;
    if crate::ledger::BARE {
        run.note("built for the benchmark: nothing is validated, and an interrupted run cannot go on".to_owned());
    }
    let mut moments = BTreeMap::new();
    for (name, source) in &run.plan.sources {
        moments.insert(name.clone(), source.moment().await?);
    }
    run.moments = moments.into();
    deferred::put_back(run).await?;
    count_rejects(run, report).await?;
    count_sources(run, report).await?;
    let streams = (0..run.plan.streams.len())
        .map(|index| (run.stream(index).name.clone(), run.rows_expected(index)))
        .collect();
    (run.events)(Event::RunStarted {
        run: run.id,
        streams,
        dry_run: run.options.dry_run,
    });
    Ok(())
}

/// A backup that is not noted is good all the same.
async fn note_backup(run: &Run) {
    let Some(backup) = &run.plan.backup else { return };
    let note = BackupNote {
        run: run.id,
        ..backup.clone()
    };
    for (name, sink) in &run.plan.sinks {
        if let Err(error) = sink.note_backup(&run.plan.project, &note).await {
            run.note(format!(
                "the ledger of `{name}` does not note the backup {}: {error}",
                note.folder
            ));
        }
    }
}

/// Of a sink that was lost since the run was planned nothing is known yet.
fn or_away<T: Default>(run: &Run, outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(error) if error.kind().policy().retry == Retry::Backoff && !run.options.dry_run => Ok(T::default()),
        outcome => outcome,
    }
}

/// The store itself is asked: rejects may have been resolved by hand.
async fn count_rejects(run: &Run, report: &mut RunReport) -> Result<()> {
    if run.options.restart || run.plan.streams.iter().any(|stream| stream.subject.is_some()) {
        // What begins anew forgets them; those of others are no concern of a subject's run.
        return Ok(());
    }
    let mut open = BTreeMap::new();
    for (name, sink) in &run.plan.sinks {
        open.insert(name, or_away(run, sink.reject_counts(&run.plan.project).await)?);
    }
    for (stream, report) in run.plan.streams.iter().zip(&mut report.streams) {
        let open = open.get(&stream.sink_connection).into_iter().flatten();
        report.rejects_open = open.filter(|(name, _)| *name == stream.name).map(|(_, rows)| rows).sum();
    }
    let all = report.streams.iter().map(|stream| stream.rejects_open).sum();
    run.rejects.fetch_add(all, Ordering::Relaxed);
    Ok(())
}

/// Rows of each stream; what several of them read is counted once.
async fn count_sources(run: &mut Run, report: &mut RunReport) -> Result<()> {
    if crate::ledger::BARE {
        return Ok(());
    }
    let mut counted: Vec<(&str, &Origin, Option<u64>)> = Vec::new();
    for (index, stream) in run.plan.streams.iter().enumerate() {
        if stream.subject.is_some() {
            report.streams[index].source_rows = stream.subject_rows;
            continue;
        }
        let known = counted
            .iter()
            .find(|(connection, origin, _)| *connection == stream.source_connection && **origin == stream.origin);
        let rows = match known {
            Some((.., rows)) => *rows,
            None => run.source(index).count(&stream.origin).await?,
        };
        counted.push((&stream.source_connection, &stream.origin, rows));
        report.streams[index].source_rows = rows;
    }
    run.source_rows = report.streams.iter().map(|stream| stream.source_rows).collect();
    Ok(())
}

/// Begins streams as soon as they may, until none is left or the run is stopped.
async fn move_all(run: &Arc<Run>, shutdown: &Shutdown, report: &mut RunReport) -> Result<()> {
    let mut schedule = passes::schedule(&run.plan, run.options.retry_rejects, |sink| run.pools[sink].sessions_max());
    let (told, mut hear) = mpsc::unbounded_channel();
    let mut units = JoinSet::new();
    let mut away: Option<Error> = None;
    loop {
        if !run.stop.is_cancelled() {
            for members in schedule.begin() {
                units.spawn(unit::move_unit(Arc::clone(run), members, told.clone()));
            }
        }
        let Some(ended) = next(&mut units, &mut hear).await? else {
            break;
        };
        let index = ended.index;
        match take_in(run, ended, &mut report.streams[index]) {
            Ok(()) => schedule.complete(index),
            // Others go on; it is told at the end.
            Err(error) if error.kind().policy().retry == Retry::Backoff => away = away.or(Some(error)),
            Err(error) => run.fail(error),
        }
    }
    let complete = |stream: &StreamReport| matches!(stream.status, StreamStatus::Complete | StreamStatus::AlreadyComplete);
    match run.failure() {
        Some(error) => Err(error),
        None if shutdown.is_cancelled() && !report.streams.iter().all(complete) => Err(shutdown::interrupted()),
        None => {
            let restored = foreign_keys::restore(run, &mut report.streams).await;
            away.map_or(restored, Err)
        }
    }
}

/// The next stream that ended; `None` when none is under way.
async fn next(units: &mut JoinSet<()>, hear: &mut UnboundedReceiver<Ended>) -> Result<Option<Ended>> {
    loop {
        // What was told is heard before its unit is missed.
        if let Ok(ended) = hear.try_recv() {
            return Ok(Some(ended));
        }
        tokio::select! {
            biased;
            Some(ended) = hear.recv() => return Ok(Some(ended)),
            unit = units.join_next() => match unit {
                None => return Ok(hear.try_recv().ok()),
                Some(Ok(())) => {}
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return Err(Error::new(ErrorKind::Internal, "a stream was given up")),
                },
            },
        }
    }
}
