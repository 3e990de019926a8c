//! Invariant 13: two source rows never end in one target key.
//!
//! Where the mapping cannot be proven to keep keys apart, every target key is claimed for its
//! source row, durably and in the batch's own transaction, before the row is written. A key that
//! another source row holds makes the later row a reject that names both, or goes over the earlier
//! one where the mapping says so, and is counted.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;

use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::digest;
use crate::data::keyed::keys::values_of;
use crate::data::keyed::{Collision, KeyType, Keys, Layout};
use crate::data::reject::{Reason, Reject};
use crate::data::stream::StreamTarget;
use crate::error::Refusal;
use crate::ledger::Claim;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// Rows of a batch whose target keys other source rows have.
#[derive(Debug, Default)]
pub struct Collisions {
    /// Those that are refused.
    pub rejects: Vec<Reject>,
    /// How many go over the earlier ones.
    pub over: u64,
}

/// Claims the keys of all rows. Rows that collide are taken out of `target` and returned as
/// rejects, unless the later one wins.
///
/// # Errors
/// What the session fails with.
pub async fn claim(
    session: &mut dyn Session,
    stream: &StreamTarget,
    source: &SourceBatch,
    target: &mut TargetBatch,
) -> Result<Collisions> {
    let (rows, claims): (Vec<usize>, Vec<Claim>) = digests(stream, &target.rows)
        .into_iter()
        .zip(&target.origin)
        .enumerate()
        .filter_map(|(row, (digest, origin))| {
            let key = source.keys.get(*origin as usize);
            Some((row, Claim { digest: digest?, key }))
        })
        .unzip();
    let taken = session.claim(&claims).await?;
    let later_wins = stream
        .keyed
        .as_ref()
        .is_some_and(|layout| layout.collision == Collision::LaterWins);
    if taken.is_empty() || later_wins {
        return Ok(Collisions {
            rejects: Vec::new(),
            over: taken.len() as u64,
        });
    }
    let mut keep = vec![true; target.rows.num_rows()];
    let mut rejects = Vec::with_capacity(taken.len());
    for (claim, owner) in taken {
        let row = rows[claim];
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
    Ok(Collisions { rejects, over: 0 })
}

/// What is claimed for each row; nothing for one whose key cannot be rendered, which the sink is
/// going to refuse.
fn digests(stream: &StreamTarget, rows: &RecordBatch) -> Vec<Option<u128>> {
    let Some(layout) = &stream.keyed else {
        let columns: Vec<_> = stream
            .key
            .iter()
            .filter_map(|key| rows.column_by_name(key).map(std::sync::Arc::clone))
            .collect();
        let hashes = digest::hash_rows(&columns, rows.num_rows());
        return hashes.into_iter().map(Some).collect();
    };
    if let Ok(all) = rendered(layout, stream, rows) {
        return all.into_iter().map(Some).collect();
    }
    // Some row is at fault: each for itself.
    let alone = |row| rendered(layout, stream, &rows.slice(row, 1)).ok()?.pop();
    (0..rows.num_rows()).map(alone).collect()
}

/// Digests of the keys as they are rendered, not of the columns: `a:b` and `c` give the key that
/// `a` and `b:c` give. In a set a row is a member of its key.
fn rendered(layout: &Layout, stream: &StreamTarget, rows: &RecordBatch) -> Result<Vec<u128>, Refusal> {
    let keys = Keys::render(layout, &stream.columns, rows)?;
    let mut member = match (layout.key_type, layout.values.first()) {
        (KeyType::Set | KeyType::Zset, Some(value)) => Some(values_of(value, &stream.columns, rows, layout.moments)?),
        _ => None,
    };
    let digest = |row| match &mut member {
        None => Ok(digest::hash_parts([keys.get(row)])),
        Some(values) => Ok(digest::hash_parts([keys.get(row), &values.bytes(row)?])),
    };
    (0..keys.len()).map(digest).collect()
}

/// The reject names both rows; keys are cell values, so the other one goes with the stored row.
fn with_owner(row: &str, owner: &str) -> String {
    let owner = serde_json::Value::from(owner).to_string();
    format!("{{\"row\":{row},\"collides_with\":{owner}}}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use arrow::datatypes::Schema;

    use super::*;
    use crate::data::column::ColumnType;
    use crate::data::keyed::{Moments, Pattern};
    use crate::data::stream::{OnConflict, RowOptions, Triggers};
    use crate::data::table::{Column, TableName};

    fn target(key_type: KeyType, pattern: &str) -> StreamTarget {
        let layout = Layout {
            pattern: Pattern::parse(pattern).expect("a pattern"),
            key_type,
            values: vec!["c".to_owned()],
            score: None,
            expiry: None,
            moments: Moments::Rfc3339,
            collision: Collision::Reject,
        };
        StreamTarget {
            stream: "s".to_owned(),
            table: TableName::new(pattern),
            columns: ["a", "b", "c"].map(|name| Column::new(name, ColumnType::TEXT)).to_vec(),
            key: layout.key_columns(),
            on_conflict: OnConflict::Update,
            triggers: Triggers::Off,
            keys_distinct: false,
            keyed: Some(Arc::new(layout)),
            options: RowOptions::default(),
            undo: false,
        }
    }

    fn rows(rows: &[[Option<&str>; 3]]) -> RecordBatch {
        let column = |index: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index]).collect::<StringArray>()) };
        let fields = ["a", "b", "c"].map(|name| ColumnType::TEXT.field(name, true)).to_vec();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..3).map(column).collect()).expect("three columns")
    }

    #[test]
    fn what_renders_alike_is_one_key() {
        let rows = rows(&[
            [Some("x:y"), Some("z"), Some("1")],
            [Some("x"), Some("y:z"), Some("2")],
            [Some("x"), Some("z"), Some("1")],
        ]);
        let found = digests(&target(KeyType::String, "{a}:{b}"), &rows);
        assert_eq!(found[0], found[1]);
        assert_ne!(found[0], found[2]);
        let members = digests(&target(KeyType::Set, "{a}:{b}"), &rows);
        assert_ne!(members[0], members[1], "two members of one set");
    }

    #[test]
    fn a_row_without_a_key_claims_none() {
        let rows = rows(&[[Some("x"), Some("y"), Some("1")], [Some("x"), None, Some("1")]]);
        let found = digests(&target(KeyType::String, "{a}:{b}"), &rows);
        assert!(found[0].is_some() && found[1].is_none());
    }
}
