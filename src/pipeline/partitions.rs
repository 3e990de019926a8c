//! Partitions: how large the largest ones of a stream's target will be, counted from the source's
//! rows before any is moved.
//!
//! A target that keeps all rows of one partition together serves a very large one badly. What is read
//! is no more than the columns which the partition's key is made of; of a big table some parts of it,
//! spread over the whole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use super::plan::{Plan, PlannedStream};
use crate::config::limits::Limits;
use crate::data::piece::Piece;
use crate::data::stream::{Order, ReadRequest};
use crate::sink::Sink;
use crate::source::Source;
use crate::transform::Transform;
use crate::{Error, ErrorKind, Result};

/// From so many bytes on a partition is warned of.
const BYTES_MAX: u64 = 100_000_000;
/// Rows whose partitions are counted; of more, about as many are chosen.
const ROWS_MAX: u64 = 2_000_000;
/// Rows that tell how large a row is.
const ROWS_MEASURED: usize = 2_000;
/// Bytes of the parts that some of are chosen.
const PIECE_BYTES: u64 = 4 << 20;
/// Partitions that are counted at once; with more of them small ones are forgotten again.
const COUNTED_MAX: usize = 500_000;

/// What the largest partition of a stream's target will be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitions {
    /// Columns of the partition's key.
    pub key: Vec<String>,
    /// Rows that were looked at.
    pub rows_read: u64,
    /// Rows of the largest partition; where not all rows were looked at, what those say.
    pub largest_rows: u64,
    /// Bytes of them, by the size of some rows.
    pub largest_bytes: u64,
    /// Whether all rows were looked at.
    pub exact: bool,
}

impl Partitions {
    /// What the operator should know before rows are moved.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        (self.largest_bytes > BYTES_MAX).then(|| {
            format!(
                "its largest partition ({}) will have about {} rows and {} MB, more than the {} MB up to which partitions are served well: \
                 add a column that divides it to the partition's key, such as day_bucket(moment, days)",
                self.key.join(", "),
                self.largest_rows,
                self.largest_bytes / 1_000_000,
                BYTES_MAX / 1_000_000
            )
        })
    }
}

/// Looks at the partitions of every stream of a plan, and notes those that are too large.
///
/// # Errors
/// What reading a source fails with.
pub(super) async fn look(plan: &mut Plan) -> Result<()> {
    for stream in &mut plan.streams {
        let (source, sink) = (&plan.sources[&stream.source_connection], &plan.sinks[&stream.sink_connection]);
        stream.partitions = estimate(stream, source, sink.as_ref(), &plan.limits).await?;
        stream.notes.extend(stream.partitions.as_ref().and_then(Partitions::warning));
    }
    Ok(())
}

/// Looks at the partitions of a stream; `None` where its target has none, or nothing is read yet to
/// tell (a subject's few rows).
///
/// # Errors
/// What reading the source fails with.
async fn estimate(
    stream: &PlannedStream,
    source: &Arc<dyn Source>,
    sink: &dyn Sink,
    limits: &Limits,
) -> Result<Option<Partitions>> {
    let Some(key) = sink.partition_key(&stream.write.table).await? else {
        return Ok(None);
    };
    let is_paid = source.spent().is_some();
    if stream.subject.is_some() || stream.follows || is_paid {
        return Ok(None);
    }
    let Some(places) = places(stream, &key) else { return Ok(None) };
    let mut counted = Counted::default();
    let row_bytes = row_bytes(stream, source.as_ref(), limits).await?;
    let estimate = stream.rows_estimate.unwrap_or(0);
    let step = estimate.div_ceil(ROWS_MAX).max(1);
    let pieces = if step > 1 {
        source.pieces(&stream.origin, PIECE_BYTES).await?
    } else {
        None
    };
    // Rules and `where` may leave rows out: then everything is made of them, else the key alone.
    let narrow = (!stream.filtered).then(|| stream.transform.narrowed(&key)).flatten();
    let (transform, places) = match narrow {
        Some(narrow) => (Arc::new(narrow), (0..key.len()).collect()),
        None => (Arc::clone(&stream.transform), places),
    };
    let mut whole = true;
    let reading = Reading {
        source,
        stream,
        limits,
        places: &places,
    };
    if let Some(pieces) = &pieces {
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        for number in (0..pieces.count()).step_by(step) {
            reading.count(&transform, Some(pieces.piece(number)), &mut counted).await?;
        }
        whole = false;
    } else {
        whole &= reading.count(&transform, None, &mut counted).await?;
    }
    let rows = counted.largest();
    let rows = if whole || counted.rows == 0 {
        rows
    } else {
        rows.saturating_mul(estimate.max(counted.rows)) / counted.rows
    };
    Ok(Some(Partitions {
        key,
        rows_read: counted.rows,
        largest_rows: rows,
        largest_bytes: rows.saturating_mul(row_bytes),
        exact: whole,
    }))
}

/// Where the columns of the partition's key are among those written.
fn places(stream: &PlannedStream, key: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| stream.write.columns.iter().position(|column| column.name == *name);
    key.iter().map(place).collect()
}

fn request(stream: &PlannedStream, transform: &Transform, rows_max: usize, limits: &Limits) -> ReadRequest {
    ReadRequest {
        origin: stream.origin.clone(),
        columns: transform.read_columns().to_vec(),
        key: if transform.judges_keys() {
            stream.source_key.clone()
        } else {
            Vec::new()
        },
        order: Order::Any,
        after: None,
        subject: None,
        only: None,
        piece: None,
        rows_max,
        bytes_max: limits.portion_bytes_max,
        patience: std::time::Duration::ZERO,
    }
}

/// Bytes of a row, on the average of the first ones.
async fn row_bytes(stream: &PlannedStream, source: &dyn Source, limits: &Limits) -> Result<u64> {
    let mut batches = source.read(request(stream, &stream.transform, ROWS_MEASURED, limits)).await?;
    let Some(batch) = batches.recv().await else { return Ok(0) };
    let rows = stream.transform.apply(&batch?)?.rows;
    let bytes = |column: &arrow::array::ArrayRef| column.to_data().get_slice_memory_size().unwrap_or_default();
    let bytes: usize = rows.columns().iter().map(bytes).sum();
    Ok(bytes.checked_div(rows.num_rows()).map_or(0, |bytes| bytes as u64))
}

/// One reading of the source.
struct Reading<'a> {
    source: &'a Arc<dyn Source>,
    stream: &'a PlannedStream,
    limits: &'a Limits,
    places: &'a [usize],
}

impl Reading<'_> {
    /// Counts the rows of a piece, or of everything; `false` where it stopped before the end.
    async fn count(&self, transform: &Arc<Transform>, piece: Option<Piece>, counted: &mut Counted) -> Result<bool> {
        let bound = if piece.is_some() { u64::MAX } else { ROWS_MAX };
        let request = request(self.stream, transform, self.limits.portion_rows_max, self.limits);
        let mut batches = self.source.read(ReadRequest { piece, ..request }).await?;
        while let Some(batch) = batches.recv().await {
            let (transform, batch) = (Arc::clone(transform), batch?);
            let made = tokio::task::spawn_blocking(move || transform.apply(&batch)).await;
            let rows = made
                .map_err(|_| Error::new(ErrorKind::Internal, "making rows ended early"))??
                .rows;
            counted.add(&rows, self.places)?;
            if counted.rows >= bound {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Rows by partition, known by hashes of their keys.
#[derive(Default)]
struct Counted {
    rows: u64,
    by_partition: HashMap<u64, u64>,
    /// What was taken from every count, to make room.
    taken: u64,
    hasher: RandomState,
}

impl Counted {
    fn add(&mut self, rows: &RecordBatch, places: &[usize]) -> Result<()> {
        let columns: Vec<_> = places.iter().map(|place| Arc::clone(rows.column(*place))).collect();
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
        let fault = |error| Error::new(ErrorKind::Internal, "the key of a partition cannot be compared").because(error);
        let converter = RowConverter::new(fields.collect()).map_err(fault)?;
        for row in &converter.convert_columns(&columns).map_err(fault)? {
            self.rows += 1;
            match self.by_partition.entry(self.hasher.hash_one(row.data())) {
                Entry::Occupied(mut count) => *count.get_mut() += 1,
                Entry::Vacant(place) => drop(place.insert(1)),
            }
        }
        while self.by_partition.len() > COUNTED_MAX {
            // Every partition loses one row: large ones stay, and none is off by more than was taken.
            self.taken += 1;
            self.by_partition.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
        Ok(())
    }

    /// Rows of the largest partition, at most.
    fn largest(&self) -> u64 {
        self.by_partition
            .values()
            .max()
            .map_or(self.taken, |count| count + self.taken)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn rows(values: impl Iterator<Item = i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(values.collect::<Int64Array>());
        RecordBatch::try_from_iter([("id", column)]).expect("rows")
    }

    #[test]
    fn the_largest_partition_is_found_among_many_small_ones() {
        let mut counted = Counted::default();
        for part in 0..8_i64 {
            let small = (0..100_000).map(|number| part * 100_000 + number);
            counted
                .add(&rows(small.chain((0..1_000).map(|_| -1))), &[0])
                .expect("counted");
        }
        assert_eq!(counted.rows, 808_000);
        let largest = counted.largest();
        assert!((8_000..8_000 + 16).contains(&largest), "{largest}");
    }

    #[test]
    fn only_a_large_partition_is_warned_of() {
        let partitions = |largest_bytes| Partitions {
            key: vec!["conv_id".to_owned()],
            rows_read: 1,
            largest_rows: 1,
            largest_bytes,
            exact: true,
        };
        assert_eq!(partitions(BYTES_MAX).warning(), None);
        assert!(partitions(250_000_000).warning().is_some_and(|text| text.contains("250 MB")));
    }
}
