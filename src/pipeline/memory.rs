//! What of a plan fits the memory limit: fewer units and splits side by side where all of them do not.

use super::plan::Plan;
use crate::Result;
use crate::data::memory::{self, Load};

/// Ranges of a source that comes in ranges which are read at once: as many as its pages on their way, by
/// default.
const RANGES_AT_ONCE: usize = 4;

/// Sets the bound of this process for a plan.
///
/// # Errors
/// [`crate::ErrorKind::Config`] where the limit is too small for any of it.
pub(super) fn fit(plan: &mut Plan) -> Result<()> {
    let limits = &mut plan.limits;
    let streams = &plan.streams;
    let is_cut = streams
        .iter()
        .any(|stream| stream.rows_estimate.is_some_and(|rows| rows >= limits.split_rows_min));
    let in_ranges = plan.sources.values().any(|source| source.has_ranges());
    let readers = |stream: &super::plan::PlannedStream| {
        let same = |other: &&super::plan::PlannedStream| {
            other.source_connection == stream.source_connection && other.origin == stream.origin
        };
        streams.iter().filter(same).count()
    };
    let load = Load {
        streams: streams.len(),
        jobs: limits.jobs,
        splits: match (in_ranges, is_cut) {
            (true, _) => limits.splits_max.max(RANGES_AT_ONCE),
            (false, true) => limits.splits_max,
            (false, false) => 1,
        },
        members: streams.iter().map(readers).max().unwrap_or(1),
        kept: streams.iter().any(|stream| stream.write.keyed.is_some()),
    };
    let fitting = memory::bound(limits.memory_limit_megabytes, load)?;
    if fitting == load {
        return Ok(());
    }
    plan.warnings.push(format!(
        "the memory limit of {} megabytes has room for {} streams side by side, {} splits of each, instead of {} and {}",
        limits.memory_limit_megabytes, fitting.jobs, fitting.splits, load.jobs, load.splits
    ));
    limits.jobs = fitting.jobs;
    limits.splits_max = limits.splits_max.min(fitting.splits);
    Ok(())
}
