//! Writing a portion of rows: straight into the table, or through a temporary one where rows may
//! be there already. The figures are the server's own, counted in the transaction that writes.

use arrow::record_batch::RecordBatch;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::deferred_index;
use super::look::Look;
use super::session::execute;
use super::target::{Staged, Target};
use crate::data::counts::Written;
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::ledger::deferred::IndexKind;
use crate::postgres::catalog::get;
use crate::postgres::copy::copy_in;
use crate::postgres::error::classify_write;
use crate::{Error, ErrorKind, Result};

const UNDO: &str = "rollback to savepoint dbferry_rows; release savepoint dbferry_rows";

/// What changes from portion to portion of a batch.
pub(super) struct Batch {
    /// No row of the stream can be in the target yet; false once one was found all the same.
    direct: bool,
    /// The temporary table may hold rows of an earlier portion.
    staged: bool,
}

impl Batch {
    /// A batch that begins.
    pub(super) fn new(direct: bool) -> Self {
        Self { direct, staged: false }
    }
}

/// Writes all rows or, on any error, none.
pub(super) async fn write(
    connection: &mut PgConnection,
    target: &Target,
    batch: &mut Batch,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<Written> {
    if rows.num_rows() == 0 {
        return Ok(Written::default());
    }
    if !batch.direct {
        is_whole(target)?;
    }
    execute(connection, "savepoint dbferry_rows").await?;
    let staged = target.staged.as_ref();
    if let Some(staged) = staged.filter(|_| !batch.direct) {
        let merged = match staged.look.as_ref().filter(|look| look.is_due(rows)) {
            Some(look) => merge_others(connection, target, (staged, look), batch, rows, buffer).await,
            None => merge(connection, target, staged, batch, rows, buffer).await,
        };
        return settle(connection, merged).await;
    }
    let copied = copy(connection, target, rows, buffer).await;
    let copied = settle(connection, copied).await;
    match (copied, staged) {
        // While keys are away for the load, what is a duplicate all the same is one by another key.
        (Err(error), Some(staged)) if is_duplicate(&error) && target.away.is_empty() => {
            // Somebody else writes here, too: from now on with care.
            batch.direct = false;
            execute(connection, "savepoint dbferry_rows").await?;
            let merged = merge(connection, target, staged, batch, rows, buffer).await;
            settle(connection, merged).await
        }
        (copied, _) => copied,
    }
}

/// Rows that are there are found by keys.
fn is_whole(target: &Target) -> Result<()> {
    if target.away.iter().any(|index| index.kind != IndexKind::Index) {
        return Err(deferred_index::needed(&target.away));
    }
    Ok(())
}

/// Keeps what was written, or undoes it.
async fn settle(connection: &mut PgConnection, outcome: Result<Written>) -> Result<Written> {
    match &outcome {
        Ok(_) => execute(connection, "release savepoint dbferry_rows").await?,
        Err(error) if error.kind() == ErrorKind::Lost => {}
        Err(_) => execute(connection, UNDO).await?,
    }
    outcome
}

fn is_duplicate(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| refusal.reason == Reason::Duplicate)
}

async fn copy(connection: &mut PgConnection, target: &Target, rows: &RecordBatch, buffer: &mut Vec<u8>) -> Result<Written> {
    let sent = rows.num_rows() as u64;
    let inserted = copy_in(connection, &target.copy, rows, &target.wire, buffer).await?;
    if inserted != sent {
        return Err(dropped());
    }
    if let Some(log) = &target.undo {
        log.copied(connection, rows, buffer).await?;
    }
    Ok(Written {
        inserted,
        ..Written::default()
    })
}

/// As [`merge`], without the rows that are there already as they are.
async fn merge_others(
    connection: &mut PgConnection,
    target: &Target,
    (staged, look): (&Staged, &Look),
    batch: &mut Batch,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<Written> {
    clear(connection, staged, batch).await?;
    batch.staged = true;
    let others = look.others(connection, &target.wire, rows, buffer).await?;
    let skipped = (rows.num_rows() - others.num_rows()) as u64;
    let written = if others.num_rows() > 0 {
        merge(connection, target, staged, batch, &others, buffer).await?
    } else {
        Written::default()
    };
    Ok(Written {
        skipped: written.skipped + skipped,
        ..written
    })
}

async fn merge(
    connection: &mut PgConnection,
    target: &Target,
    staged: &Staged,
    batch: &mut Batch,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<Written> {
    let sent = rows.num_rows() as u64;
    let there = stage(connection, target, staged, batch, rows, buffer).await?;
    if let Some(log) = target.undo.as_ref().filter(|_| there == sent) {
        return log.merged(connection, target, sent).await;
    }
    let row = connection
        .fetch_one(AssertSqlSafe(staged.merge.as_str()))
        .await
        .map_err(|error| classify_write(&error, &target.wire))?;
    let (inserted, updated, written) = (figure(&row, 0)?, figure(&row, 1)?, figure(&row, 2)?);
    if staged.refuses_differing && updated > 0 {
        return Err(differing());
    }
    if there != sent || inserted + updated > sent {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{sent} rows sent, but {there} in the temporary table, of which {inserted} are new and {updated} differ"),
        ));
    }
    if written == inserted + updated {
        return Ok(Written {
            inserted,
            updated,
            skipped: sent - inserted - updated,
            expired: 0,
        });
    }
    if written < inserted + updated && (target.firing.before_insert || target.firing.before_update) {
        return Err(dropped());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("{inserted} rows are new and {updated} differ, but the server wrote {written}"),
    ))
}

/// Puts rows into the temporary table, alone; returns how many the server took.
async fn stage(
    connection: &mut PgConnection,
    target: &Target,
    staged: &Staged,
    batch: &mut Batch,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<u64> {
    clear(connection, staged, batch).await?;
    let there = copy_in(connection, &staged.copy, rows, &target.wire, buffer).await?;
    batch.staged = true;
    Ok(there)
}

/// Empties the temporary table.
async fn clear(connection: &mut PgConnection, staged: &Staged, batch: &Batch) -> Result<()> {
    if batch.staged {
        execute(connection, &format!("truncate {}", staged.table)).await?;
    }
    Ok(())
}

/// Number of these rows whose keys are in the table.
pub(super) async fn present(
    connection: &mut PgConnection,
    target: &Target,
    batch: &mut Batch,
    rows: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<u64> {
    let Some(staged) = &target.staged else {
        return Err(Error::new(
            ErrorKind::Internal,
            "keys of a stream that finds no row by its key",
        ));
    };
    is_whole(target)?;
    stage(connection, target, staged, batch, rows, buffer).await?;
    let row = connection
        .fetch_one(AssertSqlSafe(staged.present.as_str()))
        .await
        .map_err(|error| classify_write(&error, &target.wire))?;
    figure(&row, 0)
}

pub(super) fn figure(row: &PgRow, index: usize) -> Result<u64> {
    u64::try_from(get::<i64>(row, index)?).map_err(|_| Error::new(ErrorKind::Internal, "a negative number of rows"))
}

/// A row that differs is there, where it must not.
pub(super) fn differing() -> Error {
    Error::refused(Refusal {
        column: None,
        reason: Reason::Duplicate,
        detail: "a row with this key is there, and differs".to_owned(),
    })
}

/// Silence of a trigger that returns NULL is a refusal.
pub(super) fn dropped() -> Error {
    Error::refused(Refusal {
        column: None,
        reason: Reason::Trigger,
        detail: "a trigger of the target dropped the row".to_owned(),
    })
}
