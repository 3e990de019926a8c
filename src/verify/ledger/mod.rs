//! The ledger check: which committed batches the target still holds as they were committed.
//!
//! Unlike a verification it believes the ledger: the digest of each batch is computed anew from the
//! target's rows and compared with the one that was recorded when the batch committed. What was never
//! committed it does not see. It writes nothing (Invariant 10).

use std::collections::BTreeMap;
use std::time::Instant;

use super::drain::Watch;
use super::outcome::{self, now};
use super::{Targets, VerifyOptions};
use crate::config::Config;
use crate::data::counts::Counts;
use crate::pipeline::event::{Event, Events};
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result};

pub mod report;

mod comparison;
mod gathered;
mod judge;
mod scan;
mod sums;
mod told;
mod trail;
mod walk;

use comparison::Comparison;
use gathered::Gathered;
use report::{BatchOutcome, FORMAT, LedgerReport, LedgerStatus, LedgerStream};
use trail::{Recorded, Trail};

/// Why the batches of rejects that are moved again, of subjects and of changes are not compared.
const WITHOUT_RANGE: &str =
    "its rows were moved by their keys (rejects moved again, a subject, changes, a repair): it has no range of its own";

/// Checks the batches of every stream of a plan. Batches that changed are no error: they are in the
/// report, at most `findings_max` of each stream.
///
/// # Errors
/// What reading either side or the ledger fails with; [`crate::ErrorKind::Interrupted`] where it was
/// stopped on request.
pub async fn check(plan: Plan, config: &Config, findings_max: usize, events: Events, shutdown: &Shutdown) -> Result<LedgerReport> {
    let began = Instant::now();
    let mut report = begun(&plan);
    let watch = Watch::new(events, shutdown.clone());
    (watch.events)(Event::RunStarted {
        run: report.id.parse().unwrap_or_default(),
        streams: plan
            .streams
            .iter()
            .map(|stream| (stream.name.clone(), rows(stream)))
            .collect(),
        dry_run: false,
    });
    // The ledger comes first: what a run commits from now on is none of this check's.
    let mut ledgers = BTreeMap::new();
    for stream in &plan.streams {
        let name = &stream.sink_connection;
        if let Some(sink) = plan.sinks.get(name)
            && !ledgers.contains_key(name)
        {
            ledgers.insert(name.clone(), Recorded::read(sink.as_ref(), &plan.project).await?);
        }
    }
    let targets = Targets::open(config, &plan).await?;
    for stream in &plan.streams {
        let Some(ledger) = ledgers.get(&stream.sink_connection) else {
            continue;
        };
        let began = Instant::now();
        watch.stream_begun(stream);
        let told = of_stream(&plan, stream, &targets, ledger, findings_max, &watch).await;
        let mut told = told.map_err(with_hint)?;
        told.seconds = began.elapsed().as_secs_f64();
        (watch.events)(Event::StreamFinished {
            stream: stream.name.clone(),
            counts: Counts {
                read: told.rows,
                ..Counts::default()
            },
        });
        report.streams.push(told);
    }
    report.ended_at = now();
    report.seconds = began.elapsed().as_secs_f64();
    report.status = worst(report.streams.iter().map(|stream| stream.status));
    Ok(report)
}

fn rows(stream: &PlannedStream) -> u64 {
    stream.rows_estimate.unwrap_or_default()
}

fn begun(plan: &Plan) -> LedgerReport {
    let verify = outcome::report(plan, &VerifyOptions::default());
    LedgerReport {
        format: FORMAT,
        id: verify.id,
        project: verify.project,
        environment: verify.environment,
        version: verify.version,
        status: LedgerStatus::Unchecked,
        started_at: verify.started_at,
        ended_at: verify.ended_at,
        seconds: 0.0,
        restrictions: verify.restrictions,
        streams: Vec::new(),
        warnings: verify.warnings,
    }
}

/// Nothing is kept of a check that was interrupted.
fn with_hint(error: Error) -> Error {
    if error.kind() == ErrorKind::Interrupted {
        error.hint("nothing was written: check again, with `--only` for the streams that are left")
    } else {
        error
    }
}

/// Changed where any is; else unchanged where anything was compared at all (Invariant 16).
fn worst(of: impl Iterator<Item = LedgerStatus>) -> LedgerStatus {
    let mut worst = LedgerStatus::Unchecked;
    for status in of {
        match status {
            LedgerStatus::Changed => return LedgerStatus::Changed,
            LedgerStatus::Unchanged => worst = LedgerStatus::Unchanged,
            LedgerStatus::Unchecked => {}
        }
    }
    worst
}

async fn of_stream(
    plan: &Plan,
    stream: &PlannedStream,
    targets: &Targets,
    ledger: &Recorded,
    findings_max: usize,
    watch: &Watch,
) -> Result<LedgerStream> {
    let trail = Trail::of(stream, ledger);
    let mut gathered = Gathered::new(stream);
    if trail.lost > 0 {
        gathered.note(format!("{} of its batches are not in the ledger any more", trail.lost));
    }
    let wholly = if stream.keyed.is_some() {
        Some("keys are not read back by batch: `dbferry verify` compares them".to_owned())
    } else {
        trail
            .other
            .map(|what| format!("the {what} is another than when it was moved"))
    };
    let mut all = false;
    if let Some(why) = wholly {
        for stretch in &trail.stretches {
            gathered.none_of(&stretch.batches, &why);
        }
    } else {
        let comparison = Comparison::open(plan, stream, targets, (ledger, &trail)).await?;
        all = comparison.run(&mut gathered, watch).await?;
    }
    for batch in &trail.later {
        if all && batch.entry.split >= 0 {
            gathered.add(batch, (BatchOutcome::Unchanged, None), None);
        } else {
            gathered.none_of(std::slice::from_ref(batch), WITHOUT_RANGE);
        }
    }
    Ok(gathered.close(findings_max))
}
