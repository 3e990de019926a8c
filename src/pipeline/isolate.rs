//! Isolation: which rows of a portion does the target refuse?
//!
//! The whole is tried first. A refusal halves the rows (slices share their buffers) until single
//! rows are left: those become rejects, and no good row is lost to a bad neighbour. The cost is
//! logarithmic in the portion for each refused row, and nothing where none is.

use arrow::record_batch::RecordBatch;

use crate::Result;
use crate::data::counts::Written;
use crate::data::reject::Reason;
use crate::error::{Refusal, Retry};
use crate::sink::{Encoded, Session};

/// Writes all rows that the target accepts; returns what it did and, by row number, why the
/// others were refused. `encoded` are these rows, ready to be sent. In a table that `refers_to_itself` a row may need another of the same
/// portion that comes after it: such rows are tried again until no more of them is accepted.
///
/// # Errors
/// Anything but a refusal, at once.
pub async fn write(
    session: &mut dyn Session,
    (rows, encoded): (&RecordBatch, Option<Encoded>),
    refers_to_itself: bool,
) -> Result<(Written, Vec<(usize, Refusal)>)> {
    let (mut written, mut refused) = bisect(session, (rows, encoded), 0, rows.num_rows()).await?;
    let mut waiting = usize::MAX;
    loop {
        let (retry, keep): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .partition(|(_, refusal)| refusal.reason == Reason::ForeignKey);
        refused = keep;
        if !refers_to_itself || retry.is_empty() || retry.len() >= waiting || written.total() == 0 {
            refused.extend(retry);
            break;
        }
        waiting = retry.len();
        for (row, _) in retry {
            let (more, again) = bisect(session, (rows, None), row, 1).await?;
            written += more;
            refused.extend(again);
        }
    }
    refused.sort_by_key(|(row, _)| *row);
    Ok((written, refused))
}

async fn bisect(
    session: &mut dyn Session,
    (rows, mut encoded): (&RecordBatch, Option<Encoded>),
    start: usize,
    length: usize,
) -> Result<(Written, Vec<(usize, Refusal)>)> {
    let mut written = Written::default();
    let mut refused = Vec::new();
    // At most one range per level waits, so the stack is as deep as the logarithm of `length`.
    let mut ranges = vec![(start, length)];
    while let Some((start, length)) = ranges.pop() {
        if length == 0 {
            continue;
        }
        let part = rows.slice(start, length);
        // The whole is the first to be tried.
        let outcome = match encoded.take() {
            Some(encoded) => session.write_encoded(&part, encoded).await,
            None => session.write(&part).await,
        };
        match outcome {
            Ok(done) => written += done,
            Err(error) if error.kind().policy().retry == Retry::Isolate => {
                if length > 1 {
                    let half = length / 2;
                    ranges.push((start + half, length - half));
                    ranges.push((start, half));
                } else {
                    let refusal = error.refusal().cloned().unwrap_or_else(|| Refusal {
                        column: None,
                        reason: Reason::Refused,
                        detail: error.message().to_owned(),
                    });
                    refused.push((start, refusal));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok((written, refused))
}
