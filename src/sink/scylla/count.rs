//! Counting rows: by ranges of tokens, so that no request takes longer than a server lets it.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::frame::types::Consistency;

use crate::cql::connect::Keyspace;
use crate::cql::{fault, quote};
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// Into how many ranges the ring is cut.
const RANGES: i64 = 64;
/// How many of them are counted at once.
const IN_FLIGHT: usize = 4;
/// What it says of itself in errors.
const WHAT: &str = "counting rows";

/// Exact number of rows of a table.
pub(super) async fn rows(keyspace: &Keyspace, name: &TableName) -> Result<u64> {
    let partition = partition(keyspace, name)?;
    let text = format!(
        "SELECT count(*) FROM {} WHERE token({partition}) >= ? AND token({partition}) <= ?",
        quote::table(&keyspace.name, name)?
    );
    let statement = keyspace.statement(&text, Consistency::LocalQuorum, WHAT).await?;
    let step = (i128::from(i64::MAX) - i128::from(i64::MIN) + 1) / i128::from(RANGES);
    let bound = |at: i64| i64::try_from(i128::from(i64::MIN) + step * i128::from(at)).unwrap_or(i64::MAX);
    let count = |at: i64| {
        let last = if at + 1 == RANGES { i64::MAX } else { bound(at + 1) - 1 };
        let statement = &statement;
        async move {
            let rows = keyspace.ask(statement, (bound(at), last), WHAT).await?.into_rows_result();
            let rows = fault::expected(rows, &keyspace.connection, WHAT)?;
            let (count,) = fault::expected(rows.single_row::<(i64,)>(), &keyspace.connection, WHAT)?;
            Ok::<_, Error>(u64::try_from(count).unwrap_or(0))
        }
    };
    stream::iter(0..RANGES)
        .map(count)
        .buffer_unordered(IN_FLIGHT)
        .try_fold(0, |sum, count| async move { Ok(sum + count) })
        .await
}

/// Whether a table holds no row.
pub(super) async fn is_empty(keyspace: &Keyspace, name: &TableName) -> Result<bool> {
    let partition = partition(keyspace, name)?;
    let text = format!("SELECT {partition} FROM {} LIMIT 1", quote::table(&keyspace.name, name)?);
    let statement = keyspace.statement(&text, Consistency::LocalQuorum, WHAT).await?;
    let rows = keyspace.ask(&statement, &[], WHAT).await?.into_rows_result();
    Ok(fault::expected(rows, &keyspace.connection, WHAT)?.rows_num() == 0)
}

fn partition(keyspace: &Keyspace, name: &TableName) -> Result<String> {
    let table = keyspace.described(name).ok_or_else(|| {
        Error::new(
            ErrorKind::Missing,
            format!("connection `{}`: there is no table `{name}`", keyspace.connection),
        )
    })?;
    quote::idents(table.key.iter().take(table.partition).map(String::as_str))
}
