//! Whether a run can be taken back at all: undo logs of all that it wrote, and no later run of the same rows.

use uuid::Uuid;

use crate::data::finding::listed;
use crate::ledger::undo::{ROLLED_BACK, UNDO_SPLIT};
use crate::ledger::{RunRecord, StoredBatch};
use crate::sink::Sink;
use crate::{Error, ErrorKind, Result};

/// Streams of which rows were written.
pub(super) fn wrote(batches: &[StoredBatch]) -> Vec<String> {
    let writing = batches
        .iter()
        .filter(|batch| batch.entry.counts.inserted + batch.entry.counts.updated > 0);
    let mut names: Vec<String> = writing.map(|batch| batch.entry.stream.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Later runs, newest first, that have written rows or rejects of the same streams and are not taken back.
pub(super) async fn later_runs(
    sink: &dyn Sink,
    project: &str,
    runs: &[RunRecord],
    streams: &[String],
) -> Result<Vec<(String, Uuid)>> {
    let mut found = Vec::new();
    for record in runs.iter().filter(|record| record.status != ROLLED_BACK) {
        let batches = sink.batches(project, record.run).await?;
        let touches = |batch: &StoredBatch| {
            let (entry, counts) = (&batch.entry, batch.entry.counts);
            entry.split != UNDO_SPLIT && streams.contains(&entry.stream) && counts.inserted + counts.updated + counts.rejected > 0
        };
        if batches.iter().any(touches) {
            found.push((record.started_at.clone(), record.run));
        }
    }
    Ok(found)
}

pub(super) fn not_possible(run: Uuid, not_logged: &[String]) -> Result<()> {
    if not_logged.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "run {run} cannot be taken back: there is no undo log of all that it wrote of {}",
            listed(not_logged)
        ),
    )
    .hint("the way back is a backup that is restored: `dbferry restore FOLDER`; a run leaves undo logs with `undo = true` or `--undo`"))
}

pub(super) fn first_those(run: Uuid, mut later: Vec<(String, Uuid)>) -> Result<()> {
    later.sort();
    later.reverse();
    let mut runs: Vec<String> = later.into_iter().map(|(_, run)| run.to_string()).collect();
    runs.dedup();
    let Some(first) = runs.first() else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Usage,
        format!("later runs have written the same streams as run {run}: {}", listed(&runs)),
    )
    .hint(format!("take the newest back first: `dbferry rollback {first} PROJECT`")))
}
