//! Invariant 13: two source rows never end in one target key.
//!
//! Where the mapping cannot be proven to keep keys apart, every target key is claimed for its
//! source row, durably and in the batch's own transaction, before the row is written. A key that
//! another source row holds makes the later row a reject that names both.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::digest;
use crate::data::reject::{Reason, Reject};
use crate::data::stream::StreamTarget;
use crate::ledger::Claim;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// Claims the keys of all rows, takes the rows that collide out of `target`, and returns them as
/// rejects.
///
/// # Errors
/// What the session fails with.
pub async fn claim(
    session: &mut dyn Session,
    stream: &StreamTarget,
    source: &SourceBatch,
    target: &mut TargetBatch,
) -> Result<Vec<Reject>> {
    let columns: Vec<_> = stream
        .key
        .iter()
        .filter_map(|key| target.rows.column_by_name(key).map(std::sync::Arc::clone))
        .collect();
    let claims: Vec<Claim> = digest::hash_rows(&columns, target.rows.num_rows())
        .into_iter()
        .zip(&target.origin)
        .map(|(digest, origin)| Claim {
            digest,
            key: source.keys.get(*origin as usize),
        })
        .collect();
    let taken = session.claim(&claims).await?;
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let mut keep = vec![true; claims.len()];
    let mut rejects = Vec::with_capacity(taken.len());
    for (row, owner) in taken {
        keep[row] = false;
        let origin = target.origin[row] as usize;
        rejects.push(Reject {
            key: source.keys.get(origin),
            column: Some(stream.key.join(", ")),
            reason: Reason::KeyCollision,
            detail: "another source row has the same target key".to_owned(),
            row: with_owner(&(source.row_json)(&source.rows, origin), &owner.to_string()),
        });
    }
    let mask = BooleanArray::from(keep.clone());
    target.rows = filter_record_batch(&target.rows, &mask)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take colliding rows out of a batch").because(error))?;
    let mut keep = keep.into_iter();
    target.origin.retain(|_| keep.next().unwrap_or(true));
    Ok(rejects)
}

/// The reject names both rows; keys are cell values, so the other one goes with the stored row.
fn with_owner(row: &str, owner: &str) -> String {
    let owner = serde_json::Value::from(owner).to_string();
    format!("{{\"row\":{row},\"collides_with\":{owner}}}")
}
