//! Deleting rows, and looking whether rows are there, by their keys.

use arrow::record_batch::RecordBatch;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::look;
use super::portion::{Layout, Portion};
use super::session::ScyllaSession;
use super::stream::{OpenStream, not_open};
use crate::data::stream::{RowOptions, StreamTarget};
use crate::data::table::TableName;
use crate::ledger::Deletion;
use crate::{Error, ErrorKind, Result};

/// What it says of itself in errors.
const WHAT: &str = "deleting rows";

/// Number of rows of the open stream whose keys are in its table, or in what a rehearsal would have
/// written; those that have expired are where they ought to be, too.
pub(super) async fn present(session: &mut ScyllaSession, rows: &RecordBatch) -> Result<u64> {
    let portion = session.portion(rows)?;
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let all: Vec<usize> = (0..portion.len()).collect();
    let found = look::rows(&session.shared, &open.statements, &portion, &all).await?;
    let there = |(row, found): (usize, &Option<look::Found>)| {
        let rehearsed = || open.rehearsed.rows.contains(&OpenStream::identity(portion.key(row).cells));
        found.is_some() || rehearsed()
    };
    let present = found.iter().enumerate().filter(|pair| there(*pair)).count();
    Ok(present as u64 + portion.expired)
}

/// Deletes the rows with these keys, given in the order of the stream's own key.
pub(super) async fn delete(session: &mut ScyllaSession, keys: &RecordBatch) -> Result<Deletion> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let portion = Portion::of(&keys_alone(session, open)?, keys, 0)?;
    let all: Vec<usize> = (0..portion.len()).collect();
    let found = look::rows(&session.shared, &open.statements, &portion, &all).await?;
    let there: Vec<usize> = all.into_iter().filter(|row| found[*row].is_some()).collect();
    if !session.identity.dry_run {
        let (shared, portion) = (&session.shared, &portion);
        let statement = &open.statements.delete;
        let forget = |row: usize| async move { shared.keyspace.ask(statement, portion.key(row), WHAT).await.map(drop) };
        stream::iter(there.iter().copied())
            .map(forget)
            .buffer_unordered(shared.in_flight)
            .try_collect::<()>()
            .await?;
    }
    Ok(Deletion {
        deleted: there.len() as u64,
        referred: Vec::new(),
    })
}

/// How keys alone become cells: their batch holds no other column.
fn keys_alone(session: &ScyllaSession, open: &OpenStream) -> Result<Layout> {
    let gone = || Error::new(ErrorKind::Missing, format!("table `{}` is gone", open.target.table));
    let table = session.shared.keyspace.described(&open.target.table).ok_or_else(gone)?;
    let column = |name: &String| open.target.columns.iter().find(|column| column.name == *name).cloned();
    let target = StreamTarget {
        columns: open.target.key.iter().filter_map(column).collect(),
        options: RowOptions::default(),
        table: TableName::clone(&open.target.table),
        ..open.target.clone()
    };
    Layout::of(&table, &target)
}
