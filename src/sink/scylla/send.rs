//! Sending rows: many requests on their way at once, each confirmed by as many replicas as the stream
//! asks for.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::errors::DbError;
use scylla::statement::batch::Batch as Statements;

use super::Shared;
use super::chunk;
use super::portion::Portion;
use super::stream::Prepared;
use crate::Error;
use crate::Result;
use crate::cql::connect::pauses;
use crate::cql::fault::Fault;
use crate::data::reject::Reason;
use crate::error::Refusal;

/// What it says of itself in errors.
const WHAT: &str = "writing rows";

/// Writes rows of a portion; returns how many were confirmed.
///
/// # Errors
/// [`crate::ErrorKind::Refused`] where the server refuses one of them; rows that were written all the
/// same are written again, with no other effect.
pub(super) async fn rows(shared: &Shared, statements: &Prepared, portion: &Portion, wanted: &[usize]) -> Result<u64> {
    let chunks = chunk::chunks(portion, wanted, statements.several.len() > 1);
    let send = |rows: Vec<usize>| async move {
        one(shared, statements, portion, &rows).await?;
        Ok::<_, Error>(rows.len() as u64)
    };
    stream::iter(chunks)
        .map(send)
        .buffer_unordered(shared.in_flight)
        .try_fold(0, |sum, confirmed| async move { Ok(sum + confirmed) })
        .await
}

async fn one(shared: &Shared, statements: &Prepared, portion: &Portion, rows: &[usize]) -> Result<()> {
    let session = &shared.keyspace.session;
    let mut pauses = pauses();
    loop {
        let outcome = match rows {
            [row] => {
                // The statement knows the stream's timestamp already.
                session.execute_unpaged(&statements.insert, portion.row(*row)).await
            }
            rows => {
                let values: Vec<_> = rows.iter().map(|row| portion.row(*row)).collect();
                session.batch(&statements.several[rows.len()], values).await
            }
        };
        let Err(error) = outcome else { return Ok(()) };
        let fault = Fault::of(&error);
        if let Fault::Server(DbError::Invalid, text) = &fault
            && !is_of_the_table(text)
        {
            return Err(refused(text));
        }
        shared.keyspace.pause(&fault, &mut pauses, WHAT).await?;
    }
}

/// Whether it is the table that the server does not know any more as it was, rather than a row.
fn is_of_the_table(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "undefined column",
        "unknown identifier",
        "unconfigured table",
        "unknown column",
        "does not exist",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// A row that the server does not take. What it says is known by its words, and none of them goes on.
fn refused(text: &str) -> Error {
    let (reason, detail) = if text.contains("too big") || text.contains("too large") || text.contains("longer than maximum") {
        (Reason::TooLarge, "the row is larger than what the server takes")
    } else if text.contains("ttl") || text.contains("TTL") || text.contains("expiration") {
        (Reason::OutOfRange, "the server keeps no row for so long")
    } else {
        (Reason::Refused, "the server refuses the row")
    };
    Error::refused(Refusal {
        column: None,
        reason,
        detail: detail.to_owned(),
    })
}

/// The statement for so many rows of one partition, from 0 rows on.
pub(super) fn several(insert: &scylla::statement::prepared::PreparedStatement, stamp: i64) -> Vec<Statements> {
    use scylla::statement::batch::{BatchStatement, BatchType};
    let of = |rows: usize| {
        let statements = vec![BatchStatement::from(insert.clone()); rows];
        let mut batch = Statements::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        batch.set_timestamp(Some(stamp));
        if let Some(consistency) = insert.get_consistency() {
            batch.set_consistency(consistency);
        }
        batch
    };
    (0..=chunk::ROWS_MAX).map(of).collect()
}
