//! Carrying out a repair: deletions first, from what refers to others to what is referred to, for a
//! row in excess may hold a value that another needs; then what is missing or different, in the order
//! of a run; then deletions once more that were refused before it, for a corrected row may have let go
//! of what it referred to; and then rows that were refused, as long as more of them are accepted.

use super::report::{RepairReport, RepairStatus};
use super::{Group, Now, Repair};
use crate::data::position::Key;
use crate::pipeline::event::{Event, Events};
use crate::pipeline::mend::{Mending, Rows};
use crate::pipeline::shutdown::Shutdown;
use crate::source::Source;
use crate::verify::look::Found;
use crate::verify::report::DifferenceKind;
use crate::{Error, ErrorKind, Result};

/// Rows of one batch: each is a question to the source of its own.
const ROWS_AT_ONCE: usize = 1_000;

/// Repairs under the leases of the targets concerned, and records it as a run.
pub(super) async fn carry_out(repair: &Repair, report: &mut RepairReport, watch: (&Events, &Shutdown)) -> Result<()> {
    let (events, shutdown) = watch;
    let writes = |place: &usize| {
        let name = &repair.plan.streams[*place].name;
        report
            .streams
            .iter()
            .any(|stream| stream.name == *name && stream.writes() > 0)
    };
    let places: Vec<usize> = (0..repair.plan.streams.len()).filter(writes).collect();
    let mut mending = Mending::begin(&repair.plan, &places, events.clone(), shutdown.clone()).await?;
    report.run = Some(mending.run.to_string());
    let streams = places.iter().map(|place| {
        let name = &repair.plan.streams[*place].name;
        let rows = report.streams.iter().filter(|stream| stream.name == *name);
        (name.clone(), rows.map(super::report::StreamRepair::writes).sum())
    });
    events(Event::RunStarted {
        run: mending.run,
        streams: streams.collect(),
        dry_run: false,
    });
    let outcome = Box::pin(all(repair, &places, report, &mut mending, watch)).await;
    let rejected = report.streams.iter().any(|stream| stream.rejected > 0);
    mending
        .finish(match &outcome {
            Ok(()) if rejected => "rejects",
            Ok(()) => "done",
            Err(error) if error.kind() == ErrorKind::Interrupted => "interrupted",
            Err(_) => "failed",
        })
        .await;
    outcome.map_err(|error| {
        report.status = RepairStatus::Left;
        let hint = format!(
            "{}; what was repaired is kept, and repairing again does the rest",
            error.advice()
        );
        error.hint(hint)
    })
}

async fn all(
    repair: &Repair,
    places: &[usize],
    report: &mut RepairReport,
    mending: &mut Mending<'_>,
    watch: (&Events, &Shutdown),
) -> Result<()> {
    // Under the lease, and at a moment of now: what has changed since the plan was shown counts.
    let Now { moment, groups } = repair.look(report, watch).await?;
    let mut stay: Vec<Vec<&Found>> = Vec::new();
    for group in groups.iter().rev() {
        let extra = |found: &&Found| repair.delete_extra && found.kind == DifferenceKind::Extra && found.has_key();
        let found: Vec<&Found> = group.looked.found.iter().filter(extra).collect();
        stay.push(delete(group, found, places, report, mending, watch).await?);
    }
    for group in &groups {
        for place in group.places.iter().filter(|place| places.contains(place)) {
            let source = moment.source(&repair.plan.streams[*place].source_connection)?;
            write(source.as_ref(), group, *place, report, mending, watch).await?;
        }
    }
    for stream in &mut report.streams {
        stream.kept.clear();
    }
    for (group, found) in groups.iter().rev().zip(stay) {
        delete(group, found, places, report, mending, watch).await?;
    }
    for place in places {
        let source = moment.source(&repair.plan.streams[*place].source_connection)?;
        again(source.as_ref(), *place, report, mending, watch.1).await?;
    }
    Ok(())
}

/// Rows of a stream that this repair has made rejects are tried again, as long as more are accepted.
async fn again(
    source: &dyn Source,
    place: usize,
    report: &mut RepairReport,
    mending: &mut Mending<'_>,
    shutdown: &Shutdown,
) -> Result<()> {
    let told = report.stream_or_new(mending.stream(place));
    while told.rejected > 0 {
        let before = told.rejected;
        let keys = mending.rejected(place).await?;
        told.rejected = 0;
        for some in keys.chunks(ROWS_AT_ONCE) {
            going_on(shutdown)?;
            let rows = Rows {
                place,
                source,
                keys: some.to_vec(),
                anew: None,
                again: true,
            };
            let counts = mending.rows(rows).await?;
            told.inserted += counts.inserted;
            told.corrected += counts.updated;
            told.rejected += counts.rejected;
        }
        if told.rejected >= before {
            break;
        }
    }
    Ok(())
}

/// Deletes rows of a group; returns those of batches of which not all are gone.
async fn delete<'g>(
    group: &Group,
    found: Vec<&'g Found>,
    places: &[usize],
    report: &mut RepairReport,
    mending: &mut Mending<'_>,
    (_, shutdown): (&Events, &Shutdown),
) -> Result<Vec<&'g Found>> {
    let mut stay = Vec::new();
    for some in found.chunks(ROWS_AT_ONCE) {
        let Some(keys) = group.looked.target_keys(some.iter().copied())? else {
            continue;
        };
        let place = some[0].stream;
        if !places.contains(&place) {
            continue;
        }
        going_on(shutdown)?;
        let told = report.stream_or_new(mending.stream(place));
        match mending.delete(place, &keys).await {
            Ok(deletion) => {
                told.deleted += deletion.deleted;
                for (key, rows) in &deletion.referred {
                    told.keeps(format!("rows refer to them by {}", key.described()), *rows);
                }
                if !deletion.referred.is_empty() {
                    stay.extend_from_slice(some);
                }
            }
            Err(error) if error.kind() == ErrorKind::Refused => {
                told.keeps(error.message().to_owned(), some.len() as u64);
                stay.extend_from_slice(some);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(stay)
}

/// Writes what is missing or different of one stream.
async fn write(
    source: &dyn Source,
    group: &Group,
    place: usize,
    report: &mut RepairReport,
    mending: &mut Mending<'_>,
    (events, shutdown): (&Events, &Shutdown),
) -> Result<()> {
    let stream = mending.stream(place);
    // A key is written anew as a whole: what it holds besides goes with it.
    let whole = stream.keyed.as_ref().is_some_and(|layout| !layout.key_type.gathers());
    let told = report.stream_or_new(stream);
    if told.refused.is_some() {
        return Ok(());
    }
    let written = |found: &&Found| {
        found.stream == place && found.source.is_some() && matches!(found.kind, DifferenceKind::Missing | DifferenceKind::Different)
    };
    let mine: Vec<&Found> = group.looked.found.iter().filter(written).collect();
    if mine.is_empty() {
        return Ok(());
    }
    events(Event::StreamStarted {
        stream: told.name.clone(),
        rows: mine.len() as u64,
        resumed: None,
    });
    for some in mine.chunks(ROWS_AT_ONCE) {
        going_on(shutdown)?;
        let differing = some.iter().copied().filter(|found| found.kind == DifferenceKind::Different);
        let anew = if whole { group.looked.target_keys(differing)? } else { None };
        let replaced = anew.as_ref().map_or(0, |rows| rows.num_rows() as u64);
        let keys: Vec<Key> = some.iter().filter_map(|found| found.source.clone()).collect();
        let counts = mending
            .rows(Rows {
                place,
                source,
                keys,
                anew,
                again: false,
            })
            .await?;
        let replaced = replaced.min(counts.inserted);
        told.inserted += counts.inserted - replaced;
        told.corrected += counts.updated + replaced;
        told.rejected += counts.rejected;
    }
    Ok(())
}

fn going_on(shutdown: &Shutdown) -> Result<()> {
    if shutdown.is_cancelled() {
        return Err(Error::new(ErrorKind::Interrupted, "stopped on request after a finished batch").hint("repair again"));
    }
    Ok(())
}
