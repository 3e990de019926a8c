//! Validation at the end of a stream. (Each batch is validated before it commits, by the worker
//! and by the sink.)

use super::plan::PlannedStream;
use super::report::StreamReport;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

/// At the end of a stream: the source's own count against what the ledger accounts for, and the
/// target's own count against what was inserted. Returns a warning where figures differ for a
/// reason that is known.
pub(super) fn stream(stream: &PlannedStream, checkpoint: &Checkpoint, report: &StreamReport) -> Result<Option<String>> {
    let (Some(source), Some(target)) = (report.source_rows, report.target_rows) else {
        return Ok(None);
    };
    let counts = checkpoint.counts;
    let disagree = |what: String| Err(Error::new(ErrorKind::Validation, format!("stream `{}`: {what}", stream.name)));
    if source != counts.read {
        if checkpoint.one_moment {
            return disagree(format!("the source holds {source} rows, but {} were read", counts.read));
        }
        return Ok(Some(format!(
            "stream `{}`: the source holds {source} rows now, {} were read over several moments; `run --restart` reads it in one",
            stream.name, counts.read
        )));
    }
    let arrived = counts.inserted + counts.updated + counts.skipped;
    let exact = checkpoint.target_was_empty && stream.only_writer;
    if exact && target != counts.inserted {
        return disagree(format!(
            "{} rows were inserted into an empty table, but it holds {target}",
            counts.inserted
        ));
    }
    if target < arrived && stream.write.keys_distinct {
        return disagree(format!("{arrived} rows arrived, but the table holds {target}"));
    }
    Ok(None)
}
