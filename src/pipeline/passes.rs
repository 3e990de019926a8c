//! Passes: how often a source is read for the streams of a plan, and what each reading will cost.

use super::plan::Plan;
use super::schedule::{Candidate, Schedule};
use crate::Result;
use crate::data::spent::{Sample, Units};

/// One reading of a source that is paid for by what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Source connection.
    pub connection: String,
    /// `connection.table` it reads.
    pub source: String,
    /// Streams that it is read for.
    pub streams: Vec<String>,
    /// Rows, if the source has an estimate.
    pub rows_estimate: Option<u64>,
    /// What the estimate is based on.
    pub sample: Sample,
}

impl Pass {
    /// What it will cost, as far as that can be told.
    #[must_use]
    pub fn request_units(&self) -> Option<Units> {
        self.sample.of_rows(self.rows_estimate?)
    }
}

/// Which streams of a plan are moved together. `sessions_max` says over how many sessions a sink
/// connection may be written at once.
pub(super) fn schedule(plan: &Plan, retry_rejects: bool, sessions_max: impl Fn(&str) -> usize) -> Schedule {
    let streams = &plan.streams;
    let candidates: Vec<_> = streams
        .iter()
        .map(|stream| Candidate {
            // Retrying reads single rows by their keys, and a subject has few of its own: there is
            // nothing to share.
            reads: if retry_rejects || stream.subject.is_some() {
                stream.name.clone()
            } else {
                format!("{} {:?} {:?}", stream.source_connection, stream.origin, stream.source_key)
            },
            columns: stream.transform.read_columns(),
            resumable: stream.resumable,
            paid: plan.sources[&stream.source_connection].has_ranges(),
            sink: &stream.sink_connection,
            needs: streams
                .iter()
                .enumerate()
                .filter(|(_, other)| stream.after.contains(&other.name))
                .map(|(index, _)| index)
                .collect(),
        })
        .collect();
    Schedule::new(&candidates, sessions_max)
}

/// The readings that a run of the plan will pay for. What is complete is not read again.
///
/// # Errors
/// Where a source cannot be asked.
pub(super) async fn paid(plan: &Plan) -> Result<Vec<Pass>> {
    if plan.sources.values().all(|source| source.spent().is_none()) {
        return Ok(Vec::new());
    }
    let schedule = schedule(plan, false, |sink| plan.sinks[sink].sessions_max().max(1));
    let mut passes: Vec<Pass> = Vec::new();
    for unit in schedule.units() {
        let members = unit.iter().map(|index| &plan.streams[*index]);
        let members: Vec<_> = members
            .filter(|stream| stream.checkpoint.as_ref().is_none_or(|checkpoint| !checkpoint.complete))
            .collect();
        let Some(first) = members.first() else { continue };
        // What was measured once holds for all readings.
        let known = passes.iter().find(|pass| pass.source == first.source).map(|pass| pass.sample);
        let sample = match known {
            Some(sample) => Some(sample),
            None => plan.sources[&first.source_connection].sample(&first.origin).await?,
        };
        passes.extend(sample.map(|sample| Pass {
            connection: first.source_connection.clone(),
            source: first.source.clone(),
            streams: members.iter().map(|stream| stream.name.clone()).collect(),
            rows_estimate: first.rows_estimate,
            sample,
        }));
    }
    Ok(passes)
}
