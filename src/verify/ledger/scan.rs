//! The quick way: the target alone, read once, as it lies. Where all that a table holds has the digest
//! of all that was committed, every batch is unchanged. Where source and target have the same value for
//! a key, each row also goes to the batch within whose range its key is, in the order of integers or of
//! bytes. A source that orders its texts otherwise proves nothing that way, and nothing wrong.
//!
//! What agrees is proven; what does not is looked at the [careful way](super::walk), for other rows
//! may lie between those of a batch.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};

use super::super::drain::{Watch, drain};
use super::super::side::{Side, Wanted};
use super::trail::Trail;
use crate::Result;
use crate::data::column::ColumnType;
use crate::data::digest::{Digest, hash_rows};
use crate::data::position::{Key, KeyValue};
use crate::data::stream::Order;
use crate::data::text;
use crate::pipeline::plan::PlannedStream;

/// A key of one part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Int(i64),
    Text(String),
}

/// A batch's range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    after: Option<Bound>,
    until: Bound,
    stretch: usize,
    batch: usize,
}

/// What is proven to be unchanged.
#[derive(Debug, Default)]
pub(super) struct Proven {
    /// All that was committed, rejects moved again among it.
    pub(super) all: bool,
    /// Batches, by stretch and place in it.
    batches: HashSet<(usize, usize)>,
}

impl Proven {
    /// Whether a batch is.
    pub(super) fn holds(&self, stretch: usize, batch: usize) -> bool {
        self.all || self.batches.contains(&(stretch, batch))
    }
}

/// Looks through the target, where that can prove anything.
///
/// # Errors
/// What reading the target fails with.
pub(super) async fn scan(stream: &PlannedStream, trail: &Trail, target: &Arc<dyn Side>, watch: &Watch) -> Result<Proven> {
    let keyed = key_place(stream, target).and_then(|place| Some((place, ranges(trail)?)));
    if trail.total.rows == 0 || (keyed.is_none() && !stream.shares_with.is_empty()) {
        return Ok(Proven::default());
    }
    let (place, ranges) = keyed.map_or((None, Vec::new()), |(place, ranges)| (Some(place), ranges));
    let portions = target.read(Wanted::All { handles: false }).await?;
    let state = (Digest::default(), vec![Digest::default(); ranges.len()]);
    let (told, name, bounds) = (watch.clone(), stream.name.clone(), ranges.clone());
    let (all, digests) = drain(portions, watch, state, move |(all, digests), portion| {
        told.progress(&name, portion.read);
        let hashes = hash_rows(portion.rows.columns(), portion.rows.num_rows());
        for hash in &hashes {
            all.add(Digest { rows: 1, sum: *hash });
        }
        let keys = place.map_or_else(Vec::new, |place| keys(portion.rows.column(place)));
        for (key, hash) in keys.into_iter().zip(hashes) {
            if let Some(at) = key.and_then(|key| within(&bounds, &key)) {
                digests[at].add(Digest { rows: 1, sum: hash });
            }
        }
        Ok(())
    })
    .await?;
    let entry = |range: &Range| &trail.stretches[range.stretch].batches[range.batch].entry;
    let same = ranges
        .iter()
        .zip(&digests)
        .filter(|(range, found)| entry(range).digest == **found);
    Ok(Proven {
        all: all == trail.total,
        batches: same.map(|(range, _)| (range.stretch, range.batch)).collect(),
    })
}

/// Place of the one column that is the key on both sides, where keys have an order that is known.
fn key_place(stream: &PlannedStream, target: &Arc<dyn Side>) -> Option<usize> {
    let ([key], [source_key], [place]) = (
        stream.write.key.as_slice(),
        stream.source_key.as_slice(),
        target.form().key.as_slice(),
    ) else {
        return None;
    };
    let ty = &target.form().columns[*place].ty;
    let is_ordered = ty.arrow().is_integer() || matches!(ty, ColumnType::Uuid | ColumnType::Text { padded: false, .. });
    (is_ordered && stream.transform.taken_from(key) == Some(source_key)).then_some(*place)
}

/// Ranges of all batches that have rows, in key order; `None` where they are not in it, or were not
/// read in it.
fn ranges(trail: &Trail) -> Option<Vec<Range>> {
    let mut ranges: Vec<Range> = Vec::new();
    for (place, stretch) in trail.stretches.iter().enumerate() {
        if stretch.order != Order::Key {
            return None;
        }
        for (batch, stored) in stretch.batches.iter().enumerate() {
            if stored.entry.digest.rows == 0 {
                continue;
            }
            let after = match stretch.before(batch) {
                Some(key) => Some(bound(key)?),
                None => None,
            };
            ranges.push(Range {
                after,
                until: bound(stored.entry.last_key.as_ref()?)?,
                stretch: place,
                batch,
            });
        }
    }
    ranges.is_sorted_by(|one, other| one.until <= other.until).then_some(ranges)
}

fn within(ranges: &[Range], key: &Bound) -> Option<usize> {
    let at = ranges.partition_point(|range| range.until < *key);
    let after = &ranges.get(at)?.after;
    after.as_ref().is_none_or(|after| after < key).then_some(at)
}

fn bound(key: &Key) -> Option<Bound> {
    match key.0.as_slice() {
        [KeyValue::Int(value)] => Some(Bound::Int(*value)),
        [KeyValue::Text(value)] => Some(Bound::Text(value.clone())),
        _ => None,
    }
}

fn keys(column: &ArrayRef) -> Vec<Option<Bound>> {
    macro_rules! integers {
        ($ty:ty) => {
            column
                .as_primitive::<$ty>()
                .iter()
                .map(|value| value.map(|value| Bound::Int(i64::from(value))))
                .collect()
        };
    }
    match column.data_type() {
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.map(|text| Bound::Text(text.to_owned()))).collect()
        }
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary().iter();
            values.map(|value| value.map(|value| Bound::Text(uuid(value)))).collect()
        }
        _ => vec![None; column.len()],
    }
}

fn uuid(value: &[u8]) -> String {
    let mut out = String::with_capacity(36);
    text::uuid(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_within_one_range_or_none() {
        let range = |after: Option<i64>, until, batch| Range {
            after: after.map(Bound::Int),
            until: Bound::Int(until),
            stretch: 0,
            batch,
        };
        let ranges = [range(None, 3, 0), range(Some(3), 9, 1), range(Some(12), 20, 2)];
        let found = [i64::MIN, 3, 4, 9, 10, 12, 13, 20, 21].map(|key| within(&ranges, &Bound::Int(key)));
        assert_eq!(
            found,
            [Some(0), Some(0), Some(1), Some(1), None, None, Some(2), Some(2), None]
        );
    }
}
