//! Rows that end by themselves: which of them a target is expected to hold.
//!
//! A row whose moment is past is not expected any more, and is counted as expired. When a server
//! takes it away is told by the clocks of its nodes in whole seconds, and both sides are read at
//! different times: a row whose moment is near is expected on neither side and looked for on
//! neither. Of a row whose moment is long past, and that is there all the same, the target has one
//! too many.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

use super::side::Handles;
use crate::data::stream::StreamTarget;
use crate::{Error, ErrorKind, Result};

/// So many microseconds around its moment nobody can say whether a row is still there.
const NEAR: i64 = 10_000_000;

/// Place of the column with the moment at which a row ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry(usize);

/// Rows without those that have ended.
pub(super) struct Living {
    pub(super) rows: RecordBatch,
    /// Their numbers among those that were given.
    pub(super) kept: Vec<usize>,
    /// How many have.
    pub(super) expired: u64,
}

impl Expiry {
    /// Of the tables whose rows end.
    pub(super) fn of(write: &StreamTarget) -> Option<Self> {
        let name = write.options.expires_at.as_ref()?;
        write.columns.iter().position(|column| column.name == *name).map(Self)
    }

    /// Rows as they should be in a target by now.
    ///
    /// # Errors
    /// Defects only.
    pub(super) fn expected(self, rows: RecordBatch) -> Result<Living> {
        let now = now();
        self.without(rows, |moment| moment <= now.saturating_add(NEAR))
    }

    /// Rows of a target without those that are about to go, or should just have gone.
    ///
    /// # Errors
    /// Defects only.
    pub(super) fn settled(self, rows: RecordBatch) -> Result<Living> {
        let now = now();
        self.without(rows, |moment| (now - NEAR..=now.saturating_add(NEAR)).contains(&moment))
    }

    fn without(self, rows: RecordBatch, ends: impl Fn(i64) -> bool) -> Result<Living> {
        let moments = rows
            .column(self.0)
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "what rows expire at came as no timestamp"))?;
        let ended = |row: usize| !moments.is_null(row) && ends(moments.value(row));
        let keep: Vec<bool> = (0..rows.num_rows()).map(|row| !ended(row)).collect();
        let kept: Vec<usize> = (0..keep.len()).filter(|row| keep[*row]).collect();
        let expired = (keep.len() - kept.len()) as u64;
        let rows = if expired == 0 {
            rows
        } else {
            filter_record_batch(&rows, &BooleanArray::from(keep))
                .map_err(|error| Error::new(ErrorKind::Internal, "cannot take rows out of a batch").because(error))?
        };
        Ok(Living { rows, kept, expired })
    }
}

impl Living {
    /// Handles of the rows that are left.
    pub(super) fn handles(&self, handles: Handles) -> Handles {
        if self.expired == 0 {
            handles
        } else {
            handles.only(&self.kept)
        }
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, TimestampMicrosecondArray};

    use super::*;
    use crate::data::column::{TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};

    #[test]
    fn what_has_ended_is_not_expected_and_what_is_about_to_is_not_looked_for() {
        let now = now();
        let moments = [
            None,
            Some(TIMESTAMP_INFINITY),
            Some(TIMESTAMP_MINUS_INFINITY),
            Some(now - 60_000_000),
            Some(now - 1_000_000),
            Some(now + 1_000_000),
            Some(now + 60_000_000),
        ];
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(moments.to_vec()));
        let rows = RecordBatch::try_from_iter([("expires_at", column)]).expect("a batch");
        let expected = Expiry(0).expected(rows.clone()).expect("moments");
        assert_eq!((expected.kept, expected.expired), (vec![0, 1, 6], 4));
        assert_eq!(expected.rows.num_rows(), 3);
        let settled = Expiry(0).settled(rows).expect("moments");
        assert_eq!((settled.kept, settled.expired), (vec![0, 1, 2, 3, 6], 2));
    }
}
