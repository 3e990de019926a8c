//! Foreign keys that cannot hold while rows arrive in batches: taken away before the first batch
//! of their stream, put back when all rows that they speak of are there. Rows that then refer to
//! nothing become rejects ([`super::orphans`]).

use std::collections::BTreeSet;
use std::time::Duration;

use super::deferred;
use super::orphans::Orphans;
use super::plan::PlannedStream;
use super::pool::Pool;
use super::report::StreamReport;
use super::retry::{self, Patience};
use super::shutdown;
use super::work::Run;
use crate::Result;
use crate::data::table::{ForeignKey, Table, TableName};
use crate::error::Retry;
use crate::ledger::{Checkpoint, Suspended};
use crate::mapping::Stream;
use crate::sink::{Session, Sink};

/// Puts into a planned stream which keys of its target are suspended, and says so. `all` are the
/// streams planned with it and their targets, `filled` the tables of those that come before it.
pub(super) fn plan(
    stream: &mut PlannedStream,
    suspended: &[ForeignKey],
    all: (&[Stream], &[Option<Table>]),
    filled: &[&TableName],
) {
    let table = &stream.write.table;
    let writers = |named: &TableName| {
        let pairs = all.0.iter().zip(all.1);
        let writes = pairs.filter(|(other, target)| {
            other.to.value.connection == stream.sink_connection && target.as_ref().is_some_and(|target| target.name == *named)
        });
        writes.map(|(other, _)| other.name.value.clone()).collect::<BTreeSet<_>>()
    };
    for key in suspended {
        let mut until = writers(table);
        until.extend(writers(&key.table));
        let suspended = Suspended {
            stream: stream.name.clone(),
            table: table.clone(),
            key: key.clone(),
            validated: true,
            until: until.into_iter().collect(),
        };
        let why = if key.table == *table {
            "its own table".to_owned()
        } else if filled.contains(&&key.table) {
            format!("`{}`, which is filled in the same pass over the source", key.table)
        } else {
            format!("`{}`, which is filled later", key.table)
        };
        let name = suspended.key_named();
        stream.notes.push(format!(
            "{name} refers to {why}: it is taken away for the load and put back when all rows are there; rows that then refer to nothing become rejects"
        ));
        stream.suspended.push(suspended);
    }
    let at = all.0.iter().position(|other| other.name.value == stream.name);
    let target = at.and_then(|at| all.1[at].as_ref());
    for key in target.iter().flat_map(|target| &target.foreign_keys) {
        let written = key
            .columns
            .iter()
            .any(|name| stream.write.columns.iter().any(|column| column.name == *name));
        if written && key.table == *table && !key.removable {
            stream.refers_to_itself = true;
            stream.notes.push(format!(
                "foreign key `{}` refers to its own table, and the role may not take it away: a row that comes batches before the one it refers to becomes a reject (`run --retry-rejects` moves it)",
                key.name
            ));
        }
    }
}

/// Takes away what a stream cannot keep, on the session that has it open, before its first batch
/// (of all its splits). A stream that is complete needs nothing.
///
/// # Errors
/// As [`Session::suspend`].
pub(super) async fn suspend(stream: &PlannedStream, checkpoint: &Checkpoint, session: &mut dyn Session) -> Result<()> {
    if checkpoint.complete || stream.suspended.is_empty() {
        return Ok(());
    }
    session.suspend(&stream.suspended).await
}

/// For the end of a run that did not come so far, and for `plan` and `stats`: what is away.
///
/// # Errors
/// Where the target cannot be read.
pub async fn still_away(sink: &dyn Sink, project: &str) -> Result<Vec<String>> {
    let keys = sink.suspended(project).await?;
    Ok(keys.iter().map(described).collect())
}

fn described(key: &Suspended) -> String {
    let when = if key.until.is_empty() {
        "the next run puts it back".to_owned()
    } else {
        format!("the run that completes {} puts it back", quoted(&key.until))
    };
    format!("{} is still away; {when}", key.described())
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

/// Puts the keys of all targets back. Called when no stream of the run writes any more.
///
/// # Errors
/// As [`Orphans::expel`]; what session and source fail with. What was not put back stays
/// recorded.
pub(super) async fn restore(run: &Run, reports: &mut [StreamReport]) -> Result<()> {
    if run.plan.streams.iter().any(|stream| stream.subject.is_some()) {
        // A few rows are no reason to look through whole tables: a run of everything does.
        warn(run).await;
        return Ok(());
    }
    let mut failed = None;
    for (connection, pool) in &run.pools {
        if reports.iter().any(|report| report.waits_for.as_ref() == Some(connection)) {
            // It was waited for long enough.
            continue;
        }
        let mut patience = Patience::new(Duration::from_secs(run.plan.limits.retry_seconds_max));
        while let Err(error) = restore_over(run, connection, pool, reports).await {
            if run.options.dry_run || error.kind().policy().retry != Retry::Backoff {
                failed = failed.or(Some(error));
                break;
            }
            let waited = match patience.next(error) {
                Ok((pause, _, _)) => retry::pause(pause, &run.stop).await,
                Err(error) => Err(error),
            };
            if let Err(error) = waited {
                failed = failed.or(Some(error));
                break;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Over one connection.
async fn restore_over(run: &Run, connection: &str, pool: &Pool, reports: &mut [StreamReport]) -> Result<()> {
    let _permit = pool.permits(1, &run.stop).await?;
    let mut lent = pool.borrow_or_wait(&run.stop).await?;
    let restored = restore_all(run, connection, lent.session.as_mut(), reports).await;
    match &restored {
        Err(error) if error.kind().policy().retry == Retry::Backoff => pool.lost(lent).await,
        _ => pool.give_back(lent).await,
    }
    restored
}

/// Every key whose streams are complete.
async fn restore_all(run: &Run, connection: &str, session: &mut dyn Session, reports: &mut [StreamReport]) -> Result<()> {
    let orphans = Orphans { run, connection };
    loop {
        let (ready, waiting): (Vec<_>, Vec<_>) = session.suspended().await?.into_iter().partition(|key| {
            // A stream that the project no longer has is not waited for.
            key.until.iter().all(|name| !run.plan.stream_names.contains(name))
        });
        if ready.is_empty() {
            for key in &waiting {
                run.note(described(key));
            }
            return Ok(());
        }
        for key in &ready {
            if run.stop.is_cancelled() {
                return Err(shutdown::interrupted());
            }
            if !key.validated {
                orphans.expel(key, session, reports).await?;
                session.restore(key).await?;
            } else if !session.restore(key).await? {
                orphans.expel(key, session, reports).await?;
            }
        }
    }
}

/// A run that did not come to its end leaves keys away, and says so.
pub(super) async fn warn(run: &Run) {
    if run.options.dry_run {
        return;
    }
    for sink in run.plan.sinks.values() {
        match still_away(sink.as_ref(), &run.plan.project).await {
            Ok(texts) => {
                for text in texts {
                    run.note(text);
                }
            }
            Err(error) => tracing::debug!(%error, "which foreign keys are away is unknown"),
        }
        match deferred::still_away(sink.as_ref(), &run.plan.project).await {
            Ok(texts) => texts.into_iter().for_each(|text| run.note(text)),
            Err(error) => tracing::debug!(%error, "which indexes are away is unknown"),
        }
    }
}
