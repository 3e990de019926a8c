//! COPY into a table: rows encoded chunk by chunk while the server works on the one before.

use arrow::record_batch::RecordBatch;
use sqlx::PgConnection;

use super::encode::{Encoder, WireTable};
use super::error::{classify, classify_write};
use crate::Result;

/// Bytes sent at once: enough that a system call does not count, little enough that the server
/// has something to do while the next ones are encoded.
const CHUNK_BYTES: usize = 256 << 10;
/// Most bytes that the driver is given at once; a chunk of ordinary rows is less.
const SENT_BYTES_MAX: usize = 4 * CHUNK_BYTES;

/// Sends `rows` through `statement` (`copy … from stdin (format binary)`), whose columns are
/// those of `table`; returns the number of rows that the server says it took. `buffer` is only a place
/// to work in, kept for the next call.
///
/// # Errors
/// [`crate::ErrorKind::Refused`] for a row that has no wire form or that the server refuses; the
/// connection is usable, its transaction or savepoint has to be rolled back.
pub(crate) async fn copy_in(
    connection: &mut PgConnection,
    statement: &str,
    rows: &RecordBatch,
    table: &WireTable,
    buffer: &mut Vec<u8>,
) -> Result<u64> {
    let mut encoder = Encoder::new(rows, &table.columns)?;
    let mut copy = connection.copy_in_raw(statement).await.map_err(|error| classify(&error))?;
    let mut refused = None;
    loop {
        buffer.clear();
        let more = encoder.encode(buffer, CHUNK_BYTES).unwrap_or_else(|error| {
            refused = Some(error);
            false
        });
        // The driver keeps room for as much as it was ever given at once.
        for part in buffer.chunks(SENT_BYTES_MAX) {
            copy.send(part).await.map_err(|error| classify(&error))?;
        }
        if !more {
            break;
        }
    }
    // Also after a refusal: a COPY that is given up half-way leaves the driver out of step when
    // the server has failed as well. What it wrote is rolled back by the caller.
    if refused.is_some() {
        copy.send(Encoder::TRAILER.as_slice())
            .await
            .map_err(|error| classify(&error))?;
    }
    buffer.clear();
    buffer.shrink_to(SENT_BYTES_MAX);
    let taken = copy.finish().await.map_err(|error| classify_write(&error, table));
    match refused {
        None => taken,
        Some(refusal) => match taken {
            Err(error) if error.refusal().is_none() => Err(error),
            _ => Err(refusal),
        },
    }
}
