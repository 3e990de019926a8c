//! From what was counted to the report.

use std::time::{Duration, SystemTime};

use arrow::temporal_conversions::timestamp_us_to_datetime;

use super::VerifyOptions;
use super::report::{FORMAT, StreamVerdict, Verdict, VerifyReport};
use crate::pipeline::plan::{Plan, PlannedStream};

/// Now, RFC 3339 in UTC.
pub(super) fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(timestamp_us_to_datetime)
        .map(|at| format!("{}Z", at.format("%Y-%m-%dT%H:%M:%S%.6f")))
        .unwrap_or_default()
}

/// A report of nothing yet.
pub(super) fn report(plan: &Plan, options: &VerifyOptions) -> VerifyReport {
    VerifyReport {
        format: FORMAT,
        id: uuid::Uuid::new_v4().to_string(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        status: Verdict::Unchecked,
        started_at: now(),
        ended_at: String::new(),
        seconds: 0.0,
        restrictions: restrictions(plan, options),
        connections: Vec::new(),
        streams: Vec::new(),
        warnings: plan.warnings.clone(),
    }
}

/// What it is restricted to, in words that name no key (Invariant 9).
fn restrictions(plan: &Plan, options: &VerifyOptions) -> Vec<String> {
    let mut restrictions = Vec::new();
    if plan.streams.len() < plan.stream_names.len() {
        let names: Vec<_> = plan.streams.iter().map(|stream| stream.name.as_str()).collect();
        restrictions.push(match names.as_slice() {
            [] => "no stream at all".to_owned(),
            names => format!("only the streams {}", names.join(", ")),
        });
    }
    if plan.streams.iter().any(|stream| stream.subject.is_some()) {
        restrictions.push("only the rows of one subject".to_owned());
    }
    if let Some(condition) = &options.condition {
        restrictions.push(format!("only source rows where {condition}"));
    }
    if let Some(rows) = options.sample {
        restrictions.push(format!("only a sample of about {rows} rows of each stream"));
    }
    restrictions
}

/// A stream of which nothing was compared yet (Invariant 16).
pub(super) fn unchecked(stream: &PlannedStream) -> StreamVerdict {
    StreamVerdict {
        name: stream.name.clone(),
        source: stream.source.clone(),
        target: stream.target.clone(),
        status: Verdict::Unchecked,
        fingerprint: stream.fingerprint.clone(),
        source_rows: 0,
        filtered: 0,
        expired: 0,
        rejected: 0,
        covered_rows: 0,
        target_rows: 0,
        missing: 0,
        extra: 0,
        extra_checked: false,
        extra_before: None,
        different: 0,
        unsettled: 0,
        sampled: None,
        source_read_at: String::new(),
        target_read_at: String::new(),
        seconds: 0.0,
        rows_per_second: 0,
        differences: Vec::new(),
        not_listed: 0,
        notes: Vec::new(),
    }
}

/// Ends the report: the worst verdict of its streams is its own. Without any stream nothing was
/// compared (Invariant 16).
pub(super) fn close(report: &mut VerifyReport, took: Duration) {
    report.ended_at = now();
    report.seconds = took.as_secs_f64();
    let verdicts = || report.streams.iter().map(|stream| stream.status);
    report.status = [Verdict::Different, Verdict::Unsettled, Verdict::Unchecked]
        .into_iter()
        .find(|worse| verdicts().any(|verdict| verdict == *worse))
        .unwrap_or(if report.streams.is_empty() {
            Verdict::Unchecked
        } else {
            Verdict::Equal
        });
}
