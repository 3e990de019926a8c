//! Indexes and keys that are away while an empty table is loaded: taken away before the first batch
//! of their stream, built again when it is complete and before anybody is told so. Whatever a run
//! that was cut short left away, the next one builds first, unless it goes on with that load.

use std::time::{Duration, Instant};

use super::event::{Event, Events};
use super::plan::{Plan, PlannedStream};
use super::pool::Pool;
use super::retry::{self, Patience};
use super::shutdown::{self, Shutdown};
use super::work::Run;
use super::worker::Job;
use crate::Result;
use crate::config::limits::Limits;
use crate::data::position::Position;
use crate::data::stream::DeferIndexes;
use crate::data::table::TableName;
use crate::error::Retry;
use crate::ledger::deferred::{Deferral, Deferred};
use crate::ledger::{Checkpoint, Suspended};
use crate::sink::{Session, Sink};

/// Puts into the streams of a plan whether their indexes may be away, and says which would be.
///
/// # Errors
/// Where a target cannot be asked.
pub(super) async fn plan(plan: &mut Plan) -> Result<()> {
    for stream in &mut plan.streams {
        let Some(sink) = plan.sinks.get(&stream.sink_connection) else {
            continue;
        };
        stream.write.options.deferred = may_be_away(stream);
        if !stream.write.options.deferred || stream.checkpoint.is_some() {
            continue;
        }
        if let Some(deferral) = sink.deferrable(&stream.write).await? {
            let note = told(stream, &deferral, plan.limits.defer_indexes_rows_min);
            stream.notes.extend(note);
        }
    }
    for (connection, sink) in &plan.sinks {
        for (name, text) in away_by_stream(sink.as_ref(), &plan.project).await? {
            let mut streams = plan.streams.iter_mut();
            if let Some(stream) = streams.find(|stream| stream.name == name && stream.sink_connection == *connection) {
                stream.notes.push(text);
            }
        }
    }
    Ok(())
}

/// Nothing but the stream's own load writes the table, and nothing of it has to be found again.
fn may_be_away(stream: &PlannedStream) -> bool {
    let moves_few = stream.subject.is_some() || stream.follows || stream.write.options.in_place;
    let rests = stream.write.undo || stream.keyed.is_some();
    stream.defer_indexes != DeferIndexes::Never && !moves_few && !rests && stream.shares_with.is_empty()
}

/// What the plan says of it.
fn told(stream: &PlannedStream, deferral: &Deferral, rows_min: u64) -> Option<String> {
    let always = stream.defer_indexes == DeferIndexes::Always;
    if deferral.is_nothing() {
        return None;
    }
    let condition = match stream.rows_estimate {
        _ if always => String::new(),
        Some(rows) if rows >= rows_min => String::new(),
        Some(_) => return None,
        None => format!(" if there are at least {rows_min} rows"),
    };
    if !deferral.empty {
        return always.then(|| "its indexes and keys stay for the load, for the table is not empty".to_owned());
    }
    if let Some(why) = &deferral.why_not {
        return Some(format!("its indexes and keys stay for the load: {why}"));
    }
    let mut told = vec![format!(
        "away for the load{condition}, and built when all rows are there: {}",
        named(deferral)
    )];
    told.extend(deferral.kept.iter().cloned());
    Some(told.join("; "))
}

fn named(deferral: &Deferral) -> String {
    let mut names: Vec<_> = deferral.indexes.iter().map(Deferred::named).collect();
    names.extend(deferral.foreign_keys.iter().cloned());
    names.join(", ")
}

/// Takes away what may be away, on the session that has the stream open, before its first batch (of
/// all its splits). `rows` is how many are expected.
///
/// # Errors
/// As [`Session::defer`].
pub(super) async fn take_away(
    stream: &PlannedStream,
    (rows, limits): (Option<u64>, &Limits),
    target_was_empty: bool,
    session: &mut dyn Session,
    events: &Events,
) -> Result<()> {
    let many = rows
        .or(stream.rows_estimate)
        .is_some_and(|rows| rows >= limits.defer_indexes_rows_min);
    let wanted = many || stream.defer_indexes == DeferIndexes::Always;
    if !(wanted && target_was_empty && stream.write.options.deferred) {
        return Ok(());
    }
    let deferral = session.defer(&stream.write).await?;
    if let Some(why) = deferral.why_not {
        events(Event::Warning {
            stream: Some(stream.name.clone()),
            message: format!("its indexes and keys stay for the load: {why}"),
        });
    }
    Ok(())
}

/// Builds what is away for a stream that is complete, and puts the foreign keys back that were away
/// with it, as far as rows allow.
///
/// # Errors
/// As [`Session::build`]; [`crate::ErrorKind::Interrupted`] between two of them when a stop is asked for.
pub(super) async fn rebuild(job: &Job<'_>, session: &mut dyn Session) -> Result<()> {
    if !job.stream.write.options.deferred {
        return Ok(());
    }
    let mut away = session.deferred().await?;
    away.retain(|index| index.stream == job.stream.name);
    if away.is_empty() && session.suspended().await?.is_empty() {
        return Ok(());
    }
    build(&away, session, job.events, job.shutdown).await?;
    let own = (&job.stream.name, &job.stream.write.table);
    restore_keys(session, job.shutdown, |key| is_freed(key, own)).await
}

/// Builds indexes one after the other.
async fn build(away: &[Deferred], session: &mut dyn Session, events: &Events, stop: &Shutdown) -> Result<()> {
    for index in away {
        if stop.is_cancelled() {
            return Err(shutdown::interrupted());
        }
        events(Event::Building {
            stream: index.stream.clone(),
            what: index.named(),
        });
        let began = Instant::now();
        session.build(index).await?;
        events(Event::Built {
            stream: index.stream.clone(),
            what: index.named(),
            took: began.elapsed(),
        });
    }
    Ok(())
}

/// Whether a key was away with the load of a table, and no rows of ours are to be looked through for
/// it: one that was never validated would not find them.
fn is_freed(key: &Suspended, (stream, table): (&String, &TableName)) -> bool {
    key.stream == *stream && (key.validated || key.table != *table)
}

/// Puts those foreign keys back that wait for nothing any more. What rows are in the way of is left to
/// the end of the run, where these are looked for.
async fn restore_keys(session: &mut dyn Session, stop: &Shutdown, wanted: impl Fn(&Suspended) -> bool) -> Result<()> {
    for key in session.suspended().await? {
        if stop.is_cancelled() {
            return Err(shutdown::interrupted());
        }
        if key.until.is_empty() && wanted(&key) {
            session.restore(&key).await?;
        }
    }
    Ok(())
}

/// Before the first stream begins: builds what earlier runs left away, but for loads that this one
/// goes on with.
///
/// # Errors
/// As [`Session::build`]; a target that is away now is left to its streams.
pub(super) async fn put_back(run: &Run) -> Result<()> {
    if run.options.dry_run {
        return Ok(());
    }
    for (connection, pool) in &run.pools {
        let mut patience = Patience::new(Duration::from_secs(run.plan.limits.retry_seconds_max));
        while let Err(error) = put_back_over(run, connection, pool).await {
            if error.kind().policy().retry != Retry::Backoff {
                return Err(error);
            }
            let (pause, ..) = patience.next(error)?;
            retry::pause(pause, &run.stop).await?;
        }
    }
    Ok(())
}

/// Over one connection.
async fn put_back_over(run: &Run, connection: &str, pool: &Pool) -> Result<()> {
    let sink = run.plan.sinks[connection].as_ref();
    let mut away = match sink.deferred(&run.plan.project).await {
        Ok(away) if away.is_empty() => return Ok(()),
        Ok(away) => away,
        Err(error) if error.kind().policy().retry == Retry::Backoff => return Ok(()),
        Err(error) => return Err(error),
    };
    let checkpoints = sink.checkpoints(&run.plan.project).await?;
    away.retain(|index| !goes_on(run, connection, index, &checkpoints));
    let _permit = pool.permits(1, &run.stop).await?;
    let mut lent = pool.borrow_or_wait(&run.stop).await?;
    let built = async {
        let session = lent.session.as_mut();
        build(&away, session, &run.events, &run.stop).await?;
        let of_these = |key: &Suspended| away.iter().any(|index| is_freed(key, (&index.stream, &index.table)));
        restore_keys(session, &run.stop, of_these).await
    };
    let built = built.await;
    match &built {
        Err(error) if error.kind().policy().retry == Retry::Backoff => pool.lost(lent).await,
        _ => pool.give_back(lent).await,
    }
    built
}

/// Whether this run goes on with the load that an index is away for.
fn goes_on(run: &Run, connection: &str, index: &Deferred, checkpoints: &[Checkpoint]) -> bool {
    let loads = |stream: &PlannedStream| {
        stream.name == index.stream
            && stream.sink_connection == connection
            && stream.write.table == index.table
            && stream.write.options.deferred
    };
    let mut found = checkpoints
        .iter()
        .filter(|checkpoint| checkpoint.stream == index.stream)
        .peekable();
    !run.options.restart
        && !run.options.retry_rejects
        && index.waits
        && found.peek().is_some()
        && run.plan.streams.iter().position(loads).is_some_and(|at| {
            // Of another moment rows may come again that were replaced since: their keys have to be there.
            let come_once =
                |one: &Checkpoint| !matches!(one.position, Some(Position::Stored { .. })) || one.moment == run.moment(at);
            found.all(|checkpoint| checkpoint.target_was_empty && come_once(checkpoint))
        })
}

/// For `stats`, and the end of a run that did not come so far: what is away.
///
/// # Errors
/// Where the target cannot be read.
pub async fn still_away(sink: &dyn Sink, project: &str) -> Result<Vec<String>> {
    let away = away_by_stream(sink, project).await?;
    Ok(away.into_iter().map(|(_, text)| text).collect())
}

/// What is away of each stream's table, in words.
async fn away_by_stream(sink: &dyn Sink, project: &str) -> Result<Vec<(String, String)>> {
    let mut away = sink.deferred(project).await?;
    let mut told = Vec::new();
    while let Some(first) = away.first().cloned() {
        let (same, others) = away
            .into_iter()
            .partition(|index| index.stream == first.stream && index.table == first.table);
        away = others;
        let same: Vec<Deferred> = same;
        let names: Vec<_> = same.iter().map(Deferred::named).collect();
        let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
        let when = if first.waits {
            format!(
                "the run that completes `{}` builds {it}, and any other before it begins",
                first.stream
            )
        } else {
            format!("the next run builds {it} before it begins")
        };
        let text = format!("{} of table `{}` {is} still away; {when}", names.join(", "), first.table);
        told.push((first.stream, text));
    }
    Ok(told)
}
