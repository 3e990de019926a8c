//! Reading the ledger, without a lease.

use uuid::Uuid;

use super::ledger::Ledger;
use crate::Result;
use crate::ledger::{Checkpoint, RunRecord, StoredBatch};
use crate::sink::form;

/// What is kept of a split of a stream.
#[derive(Default)]
pub(super) struct Kept {
    /// Its checkpoint, once a batch was committed.
    pub(super) settled: Option<Checkpoint>,
    /// The record of the last batch, which may not have reached the audit trail.
    pub(super) entry: Option<String>,
    /// Write timestamp of the stream, in microseconds, before the epoch is added.
    pub(super) stamp: Option<i64>,
    /// Rows up to this one, of all that the split writes, may be there.
    pub(super) reach: u64,
}

type Row = (
    Option<String>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

const COLUMNS: &str = "SELECT stream, split, state, entry, stamp, reach FROM @checkpoint";

fn kept(project: &str, (stream, split, state, entry, stamp, reach): Row) -> Result<Option<(String, i32, Kept)>> {
    // A partition that holds the lease alone shows one row without a split.
    let (Some(stream), Some(split)) = (stream, split) else {
        return Ok(None);
    };
    let settled = match state {
        Some(state) => Some(form::read_checkpoint(state.as_bytes(), (project, &stream, split))?),
        None => None,
    };
    let kept = Kept {
        settled,
        entry,
        stamp,
        reach: reach.and_then(|reach| u64::try_from(reach).ok()).unwrap_or_default(),
    };
    Ok(Some((stream, split, kept)))
}

/// What is kept of one split.
pub(super) async fn of_split(ledger: &Ledger, (project, stream, split): (&str, &str, i32)) -> Result<Kept> {
    if !ledger.exists() {
        return Ok(Kept::default());
    }
    let text = format!("{COLUMNS} WHERE project = ? AND stream = ? AND split = ?");
    let rows = ledger.ask_settled(&text, (project, stream, split)).await?.rows::<Row>()?;
    for row in rows {
        if let Some((.., kept)) = kept(project, row)? {
            return Ok(kept);
        }
    }
    Ok(Kept::default())
}

/// What is kept of all splits, by stream and split.
pub(super) async fn of_project(ledger: &Ledger, project: &str) -> Result<Vec<(String, i32, Kept)>> {
    if !ledger.exists() {
        return Ok(Vec::new());
    }
    let text = format!("{COLUMNS} WHERE project = ?");
    let rows = ledger.ask_settled(&text, (project,)).await?.rows::<Row>()?;
    let mut found = Vec::new();
    for row in rows {
        found.extend(kept(project, row)?);
    }
    Ok(found)
}

/// Checkpoints of streams.
pub(super) async fn checkpoints(ledger: &Ledger, project: &str) -> Result<Vec<Checkpoint>> {
    let all = of_project(ledger, project).await?;
    let of_streams = all.into_iter().filter(|(_, split, _)| *split >= 0);
    Ok(of_streams.filter_map(|(.., kept)| kept.settled).collect())
}

/// Runs, newest first.
pub(super) async fn runs(ledger: &Ledger, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
    if !ledger.exists() {
        return Ok(Vec::new());
    }
    let rows = ledger.ask("SELECT record FROM @run WHERE project = ?", (project,)).await?;
    let mut runs = Vec::new();
    for (record,) in rows.rows::<(String,)>()? {
        runs.push(serde_json::from_str::<RunRecord>(&record).map_err(|_| form::unreadable())?);
    }
    runs.sort_by(|one, other| other.started_at.cmp(&one.started_at));
    runs.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
    Ok(runs)
}

/// A run by its id.
pub(super) async fn run(ledger: &Ledger, project: &str, run: Uuid) -> Result<Option<RunRecord>> {
    let rows = ledger
        .ask("SELECT record FROM @run WHERE project = ? AND run = ?", (project, run))
        .await?;
    let record = rows.rows::<(String,)>()?.into_iter().next();
    Ok(record.and_then(|(record,)| serde_json::from_str(&record).ok()))
}

/// Batches that a run has committed, by stream, split and sequence; one that has not reached the audit
/// trail is with its checkpoint.
pub(super) async fn batches(ledger: &Ledger, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
    if !ledger.exists() {
        return Ok(Vec::new());
    }
    let rows = ledger
        .ask(
            "SELECT stream, record FROM @batch WHERE project = ? AND run = ?",
            (project, run),
        )
        .await?;
    let mut found = Vec::new();
    for (stream, record) in rows.rows::<(String, String)>()? {
        found.push(form::read_batch(record.as_bytes(), &stream)?);
    }
    for (stream, _, kept) in of_project(ledger, project).await? {
        let Some(entry) = kept.entry else { continue };
        let last = form::read_batch(entry.as_bytes(), &stream)?;
        let place = |batch: &StoredBatch| (batch.entry.stream.clone(), batch.entry.split, batch.entry.sequence);
        if last.entry.run == run && !found.iter().any(|batch| place(batch) == place(&last)) {
            found.push(last);
        }
    }
    found.sort_by(|one, other| {
        let place = |batch: &StoredBatch| (batch.entry.split, batch.entry.sequence);
        (&one.entry.stream, place(one)).cmp(&(&other.entry.stream, place(other)))
    });
    Ok(found)
}
