//! Verdicts: a group is compared, looked at again where that is asked for, and told by stream.

use std::time::Instant;

use super::drain::Watch;
use super::group::{Ends, Group};
use super::kept::End;
use super::outcome::{now, unchecked};
use super::picked::{self, Chosen};
use super::recheck::Looks;
use super::report::{Difference, StreamVerdict, Verdict};
use super::tally::Outcome;
use super::together::Seats;
use super::work::{self, Extent, Seen};
use super::{Recheck, Targets, VerifyOptions};
use crate::Result;
use crate::data::stream::OnConflict;
use crate::pipeline::plan::{Plan, PlannedStream};

/// Compares the streams of a group; verdicts in their order.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn compare(
    plan: &Plan,
    places: &[usize],
    targets: &Targets,
    ends: &Ends<'_>,
    options: &VerifyOptions,
    watch: &Watch,
) -> Result<Vec<StreamVerdict>> {
    let streams: Vec<&PlannedStream> = places.iter().map(|place| &plan.streams[*place]).collect();
    let mut verdicts: Vec<StreamVerdict> = streams.iter().map(|stream| unchecked(stream)).collect();
    if let Some(why) = super::keyed::not_compared(streams[0], options.condition.is_some()) {
        verdicts[0].notes.push(why);
        return Ok(verdicts);
    }
    let (began, at) = (Instant::now(), now());
    for stream in &streams {
        watch.stream_begun(stream);
    }
    let condition = options.condition.as_deref();
    let extent = extent(&streams, ends, options).await?;
    let group = open(plan, places, ends, condition, &extent).await?;
    let seen = work::compare(&group, &extent, options, watch).await?;
    let (seen, unsettled) = match options.recheck {
        Some(recheck) if seen.outcome.differs() => again(plan, places, targets, (options, recheck), (&extent, seen), watch).await?,
        _ => (seen, 0),
    };
    let took = began.elapsed().as_secs_f64();
    for verdict in &mut verdicts {
        verdict.source_read_at = watch.kept.began(End::Source).unwrap_or_else(|| at.clone());
        verdict.target_read_at = watch.kept.began(End::Target).unwrap_or_else(|| at.clone());
        verdict.notes.extend(watch.kept.told());
        verdict.seconds = took;
    }
    let (extras, before) = (seen.extras, watch.kept.rows_before());
    fill(&mut verdicts, &streams, &group, seen, unsettled);
    for verdict in &mut verdicts {
        verdict.extra_checked = extras;
        if before > 0 {
            let now = (verdict.source_rows + verdict.target_rows).saturating_sub(before);
            verdict.rows_per_second = per_second(now, took);
        }
        watch.stream_ended(verdict);
    }
    Ok(verdicts)
}

async fn open(plan: &Plan, places: &[usize], ends: &Ends<'_>, condition: Option<&str>, extent: &Extent) -> Result<Group> {
    let mut group = Group::open(plan, places, ends, condition).await?;
    if matches!(extent, Extent::Chosen(_)) {
        group.extras = false;
    }
    Ok(group)
}

/// What of a group is compared.
async fn extent(streams: &[&PlannedStream], ends: &Ends<'_>, options: &VerifyOptions) -> Result<Extent> {
    let restricted = options.condition.is_some() || streams.iter().any(|stream| stream.subject.is_some());
    let Some(rows) = options.sample else {
        return Ok(if restricted {
            Extent::Chosen(vec![Chosen::All; streams.len()])
        } else {
            Extent::Whole
        });
    };
    let mut chosen = Vec::new();
    for stream in streams {
        let all = match ends.sources.get(&stream.source_connection) {
            Some(source) if !restricted => source.count(&stream.origin).await?,
            _ => None,
        };
        chosen.push(picked::sample(rows, all));
    }
    Ok(Extent::Chosen(chosen))
}

/// Looks again at what differs, at later moments.
async fn again(
    plan: &Plan,
    places: &[usize],
    targets: &Targets,
    (options, recheck): (&VerifyOptions, Recheck),
    (extent, mut seen): (&Extent, Seen),
    watch: &Watch,
) -> Result<(Seen, u64)> {
    if !seen.complete {
        seen.notes.push(not_again(&seen.outcome, options));
        return Ok((seen, 0));
    }
    let mut looks = Looks::new(std::mem::take(&mut seen.outcome));
    for _ in 0..recheck.times {
        if looks.is_settled() {
            break;
        }
        tokio::select! {
            () = watch.shutdown.cancelled() => return Err(super::stopped()),
            () = tokio::time::sleep(recheck.wait) => {}
        }
        let (sources, tables) = targets.anew(plan, places).await?;
        let seats = Seats::default();
        let ends = Ends {
            sources: &sources,
            tables: &tables,
            ..targets.ends(plan, &seats)
        };
        let group = open(plan, places, &ends, options.condition.as_deref(), extent).await?;
        let outcome = match extent {
            Extent::Whole => work::look(&group, looks.pending(), options, watch).await?,
            Extent::Chosen(_) => work::compare(&group, extent, options, watch).await?.outcome,
        };
        looks.look(outcome);
    }
    let (mut outcome, unsettled) = looks.end();
    outcome.differences.truncate(options.max_differences);
    seen.outcome = outcome;
    Ok((seen, unsettled))
}

/// That nothing was looked at again, although that was asked for.
fn not_again(outcome: &Outcome, options: &VerifyOptions) -> String {
    let members = outcome.members.iter();
    let rows = outcome.extra + members.map(|figures| figures.missing + figures.different).sum::<u64>();
    format!(
        "none of the {rows} rows that differ was looked at again: up to {} keys are, all of which can be read",
        options.recheck_keys_max
    )
}

/// Puts what was seen into the verdicts of a group's streams.
fn fill(verdicts: &mut [StreamVerdict], streams: &[&PlannedStream], group: &Group, seen: Seen, unsettled: u64) {
    let Seen {
        reads,
        target_rows,
        sampled,
        outcome,
        notes,
        ..
    } = seen;
    let Outcome {
        members,
        extra,
        differences,
        ..
    } = outcome;
    for (place, verdict) in verdicts.iter_mut().enumerate() {
        let (read, figures) = (reads[place], members[place]);
        verdict.source_rows = read.rows;
        verdict.filtered = read.filtered;
        verdict.expired = read.expired;
        verdict.rejected = read.refused + figures.rejected;
        verdict.covered_rows = read.rows.saturating_sub(read.filtered + read.expired + verdict.rejected);
        verdict.target_rows = target_rows;
        verdict.missing = figures.missing;
        verdict.different = figures.different;
        verdict.sampled = sampled.as_ref().map(|sampled| sampled[place]);
        verdict.rows_per_second = per_second(read.rows + target_rows, verdict.seconds);
        verdict.notes.extend(notes.iter().cloned());
        verdict.notes.extend(told(streams[place], group, streams));
        let member = &group.members[place];
        for side in [&member.source, &group.targets[member.form]] {
            verdict.notes.extend(side.notes(verdict.missing > 0));
        }
    }
    // What no stream covers belongs to all that write the table: the first of them tells it.
    verdicts[0].extra = extra;
    verdicts[0].unsettled = unsettled;
    verdicts[0].extra_before = before(streams);
    for (place, difference) in differences {
        verdicts[place].differences.push(difference);
    }
    for verdict in verdicts {
        verdict.differences.sort_by_cached_key(order);
        let all = verdict.missing + verdict.extra + verdict.different + verdict.unsettled;
        verdict.not_listed = all.saturating_sub(verdict.differences.len() as u64);
        verdict.status = if verdict.missing + verdict.extra + verdict.different > 0 {
            Verdict::Different
        } else if verdict.unsettled > 0 {
            Verdict::Unsettled
        } else if verdict.sampled.is_some() {
            Verdict::Unchecked
        } else {
            Verdict::Equal
        };
    }
}

/// Numbers in the order of numbers, texts in that of texts.
fn order(difference: &Difference) -> Vec<(Option<i128>, String)> {
    let parts = difference.key.iter().map(|part| part.value.text.clone().unwrap_or_default());
    parts.map(|text| (text.parse().ok(), text)).collect()
}

/// Of the extra rows, how many were there before the first run: the ledger tells it only of a
/// target that was empty then.
fn before(streams: &[&PlannedStream]) -> Option<u64> {
    let checkpoints = streams.iter().filter_map(|stream| stream.checkpoint.as_ref());
    checkpoints.clone().any(|checkpoint| checkpoint.target_was_empty).then_some(0)
}

fn told(stream: &PlannedStream, group: &Group, streams: &[&PlannedStream]) -> Vec<String> {
    let mut notes = Vec::new();
    if stream.on_conflict == OnConflict::Skip {
        notes.push("on_conflict = \"skip\": rows that were in the target before stay as they were, and may differ".to_owned());
    }
    if streams.len() > 1 {
        notes.push(format!(
            "{} streams write this table: its rows are counted as a whole, and extra ones with stream `{}`",
            streams.len(),
            group.name()
        ));
    }
    if !group.extras && !stream.shares_with.is_empty() && stream.subject.is_none() {
        notes.push(format!(
            "rows that are in the target alone were not looked for: {} write the same table",
            stream.shares_with.join(", ")
        ));
    }
    notes
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn per_second(rows: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (rows as f64 / seconds) as u64 } else { rows }
}
