//! Looking rows up by their keys.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::deserialize::row::ColumnIterator;

use super::Shared;
use super::portion::Portion;
use super::stream::Prepared;
use crate::Result;
use crate::cql::bound::Bound;
use crate::cql::fault;

/// What it says of itself in errors.
const WHAT: &str = "looking rows up";

/// A row as it is in the target: the columns behind its key.
pub(super) struct Found {
    /// What they hold; `None` for NULL.
    pub(super) cells: Vec<Option<Bytes>>,
    /// When each was written, in microseconds, where that can be told.
    pub(super) stamps: Vec<Option<i64>>,
}

/// The rows of a portion that are `wanted`, as they are in the target; `None` where one is not.
pub(super) async fn rows(
    shared: &Shared,
    statements: &Prepared,
    portion: &Portion,
    wanted: &[usize],
) -> Result<Vec<Option<Found>>> {
    stream::iter(wanted.iter().copied())
        .map(|row| one(shared, statements, portion.key(row)))
        .buffered(shared.in_flight)
        .try_collect()
        .await
}

async fn one(shared: &Shared, statements: &Prepared, key: Bound<'_>) -> Result<Option<Found>> {
    let connection = &shared.keyspace.connection;
    let rows = shared.keyspace.ask(&statements.select, key, WHAT).await?.into_rows_result();
    let rows = fault::expected(rows, connection, WHAT)?;
    let mut rows = fault::expected(rows.rows::<ColumnIterator<'_, '_>>(), connection, WHAT)?;
    let Some(row) = rows.next() else { return Ok(None) };
    let mut cells = Vec::new();
    for column in fault::expected(row, connection, WHAT)? {
        let column = fault::expected(column, connection, WHAT)?;
        cells.push(column.slice.map(|slice| slice.to_bytes()));
    }
    // Behind the first column, which is one of the key: a table may have no other.
    let moments = cells.split_off(1 + statements.stamps.len());
    let stamp = |place: &Option<usize>| {
        let cell = moments.get((*place)?)?.as_deref()?;
        Some(i64::from_be_bytes(cell.try_into().ok()?))
    };
    let stamps = statements.stamps.iter().map(stamp).collect();
    cells.remove(0);
    Ok(Some(Found { cells, stamps }))
}
