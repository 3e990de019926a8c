//! Rows as the cells that are bound to statements: one buffer for a whole portion.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

use super::clock::Clock;
use crate::cql::bound::{self, Bound, NULL, UNSET, Walk};
use crate::cql::encode::{Cells, Refused};
use crate::cql::shape::{CqlColumn, CqlTable};
use crate::data::column::{TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};
use crate::data::reject::Reason;
use crate::data::stream::StreamTarget;
use crate::error::Refusal;
use crate::sink::{Encode, Encoded};
use crate::{Error, ErrorKind, Result};

/// Most bytes of a row: what servers take in one frame, less what goes round it.
const ROW_BYTES_MAX: usize = (16 << 20) - (64 << 10);
/// Most bytes of a partition's key, and of one of its rows within it.
const KEY_BYTES_MAX: usize = 65_535;
/// Longest time to live.
const TTL_SECONDS_MAX: i64 = 20 * 365 * 86_400;

/// How rows of a stream become cells: the columns of the table's key first, then the others that are
/// written, each with its place in a batch.
#[derive(Clone)]
pub(super) struct Layout {
    /// Columns in the order of the statements.
    pub(super) columns: Vec<CqlColumn>,
    /// Of each its place in a batch.
    places: Vec<usize>,
    /// How many of them are the partition's key.
    pub(super) partition: usize,
    /// How many of them are the row's key.
    pub(super) key: usize,
    /// Place in a batch of the moment at which a row expires.
    expires_at: Option<usize>,
}

/// Rows of one portion.
pub(super) struct Portion {
    /// Cells of one row behind those of another.
    cells: Vec<u8>,
    rows: Vec<Row>,
    /// Rows that had expired, which are not among them.
    pub(super) expired: u64,
}

/// Where a row's cells are.
struct Row {
    all: Range<usize>,
    partition_end: usize,
    key_end: usize,
    /// Seconds to live, as a cell.
    ttl: Option<[u8; 8]>,
}

impl Layout {
    /// For the columns of a stream's batches.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where the table is not as it was planned.
    pub(super) fn of(table: &CqlTable, target: &StreamTarget) -> Result<Self> {
        let changed = |column: &str| {
            Error::new(
                ErrorKind::Missing,
                format!(
                    "stream `{}`: column `{column}` of table `{}` is gone",
                    target.stream, target.table
                ),
            )
            .hint("see `dbferry plan PROJECT` and `dbferry schema status PROJECT`")
        };
        let place = |name: &str| target.columns.iter().position(|column| column.name == name);
        let rest = target
            .columns
            .iter()
            .map(|column| &column.name)
            .filter(|name| !table.key.contains(name));
        let mut columns = Vec::new();
        let mut places = Vec::new();
        for name in table.key.iter().chain(rest) {
            places.push(place(name).ok_or_else(|| changed(name))?);
            columns.push(table.column(name).ok_or_else(|| changed(name))?.clone());
        }
        Ok(Self {
            columns,
            places,
            partition: table.partition,
            key: table.key.len(),
            expires_at: target
                .options
                .expires_at
                .as_deref()
                .map(|name| place(name).ok_or_else(|| changed(name)))
                .transpose()?,
        })
    }

    /// Whether rows are written with a time to live.
    pub(super) const fn expires(&self) -> bool {
        self.expires_at.is_some()
    }
}

impl Portion {
    /// Encodes rows; those that have expired by `now` are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for the first value that CQL does not hold.
    pub(super) fn of(layout: &Layout, rows: &RecordBatch, now: i64) -> Result<Self> {
        let arrays: Vec<&ArrayRef> = layout.places.iter().map(|place| rows.column(*place)).collect();
        let columns: Vec<Cells<'_>> = layout
            .columns
            .iter()
            .zip(&arrays)
            .map(|(column, array)| Cells::of(&column.ty, array))
            .collect::<Result<_>>()?;
        let moments = match layout.expires_at {
            Some(place) => Some(
                rows.column(place)
                    .as_primitive_opt::<TimestampMicrosecondType>()
                    .ok_or_else(|| Error::new(ErrorKind::Internal, "what rows expire at came as no timestamp"))?,
            ),
            None => None,
        };
        let mut portion = Self {
            cells: Vec::with_capacity(rows.get_array_memory_size() + rows.num_rows() * 4 * arrays.len()),
            rows: Vec::with_capacity(rows.num_rows()),
            expired: 0,
        };
        for row in 0..rows.num_rows() {
            let moment = moments
                .filter(|moments| moments.is_valid(row))
                .map(|moments| moments.value(row));
            let ttl = match time_to_live(moment, now) {
                Ok(Life::Over) => {
                    portion.expired += 1;
                    continue;
                }
                Ok(Life::Forever) => None,
                Ok(Life::Seconds(seconds)) => Some(seconds),
                Err(refused) => {
                    let column = layout.expires_at.map(|place| rows.schema_ref().field(place).name().clone());
                    return Err(refusal(column, refused));
                }
            };
            portion.put(layout, &columns, &arrays, row, ttl.filter(|_| layout.expires()))?;
        }
        Ok(portion)
    }

    fn put(&mut self, layout: &Layout, columns: &[Cells<'_>], arrays: &[&ArrayRef], row: usize, ttl: Option<i32>) -> Result<()> {
        let start = self.cells.len();
        let (mut partition_end, mut key_end) = (start, start);
        for (at, (cells, array)) in columns.iter().zip(arrays).enumerate() {
            let named = |refused| refusal(Some(layout.columns[at].name.clone()), refused);
            if array.is_valid(row) {
                bound::cell(&mut self.cells, |out| cells.put(row, out)).map_err(named)?;
            } else if at < layout.key {
                return Err(named(Refused::new(Reason::NullValue, "a key of CQL holds no NULL")));
            } else {
                self.cells.extend_from_slice(&UNSET.to_be_bytes());
            }
            if at + 1 == layout.partition {
                partition_end = self.cells.len();
                // The only column of a partition's key; of several, some may be empty.
                if layout.partition == 1 && partition_end - start == 4 {
                    return Err(named(Refused::new(
                        Reason::Constraint,
                        "the key of a partition must not be empty",
                    )));
                }
            }
            if at + 1 == layout.key {
                key_end = self.cells.len();
                if partition_end - start > KEY_BYTES_MAX || key_end - partition_end > KEY_BYTES_MAX {
                    return Err(named(Refused::new(Reason::TooLarge, "a key of CQL has at most 65,535 bytes")));
                }
            }
        }
        if self.cells.len() - start > ROW_BYTES_MAX {
            let refused = Refused::new(
                Reason::TooLarge,
                "the row has more than the 16 MiB that a server takes at once",
            );
            return Err(refusal(self.largest(layout, start), refused));
        }
        self.rows.push(Row {
            all: start..self.cells.len(),
            partition_end,
            key_end,
            ttl: layout.expires().then(|| ttl_cell(ttl)),
        });
        Ok(())
    }

    /// The column of the largest cell of a row.
    fn largest(&self, layout: &Layout, start: usize) -> Option<String> {
        let cells = Walk(&self.cells[start..]).zip(&layout.columns);
        cells
            .max_by_key(|((length, _), _)| *length)
            .map(|(_, column)| column.name.clone())
    }

    /// How many rows are to be written.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What is bound to the statement that writes a row.
    pub(super) fn row(&self, row: usize) -> Bound<'_> {
        let found = &self.rows[row];
        Bound {
            cells: &self.cells[found.all.clone()],
            more: found.ttl.as_ref().map_or(&[], |ttl| ttl.as_slice()),
        }
    }

    /// What is bound to a statement that looks for a row.
    pub(super) fn key(&self, row: usize) -> Bound<'_> {
        let found = &self.rows[row];
        Bound::of(&self.cells[found.all.start..found.key_end])
    }

    /// What tells the row's partition from others.
    pub(super) fn partition(&self, row: usize) -> &[u8] {
        let found = &self.rows[row];
        &self.cells[found.all.start..found.partition_end]
    }

    /// Cells behind the key.
    pub(super) fn values(&self, row: usize) -> Walk<'_> {
        let found = &self.rows[row];
        Walk(&self.cells[found.key_end..found.all.end])
    }

    /// Bytes of a row.
    pub(super) fn bytes(&self, row: usize) -> usize {
        self.rows[row].all.len()
    }

    /// Seconds that a row lives; `None` for ever.
    pub(super) fn seconds(&self, row: usize) -> Option<i32> {
        let [.., a, b, c, d] = self.rows[row].ttl?;
        Some(i32::from_be_bytes([a, b, c, d])).filter(|seconds| *seconds > 0)
    }

    /// Cells that are not touched become NULL, of the rows and columns for which that is wanted.
    pub(super) fn erase(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        for (row, found) in self.rows.iter().enumerate() {
            let mut at = found.key_end;
            let mut column = 0;
            while at < found.all.end {
                let mut length = [0; 4];
                length.copy_from_slice(&self.cells[at..at + 4]);
                let length = i32::from_be_bytes(length);
                if length == UNSET && wanted(row, column) {
                    self.cells[at..at + 4].copy_from_slice(&NULL.to_be_bytes());
                }
                at += 4 + usize::try_from(length).unwrap_or(0);
                column += 1;
            }
        }
    }
}

enum Life {
    Forever,
    Seconds(i32),
    Over,
}

/// How long a row lives that expires at a moment, in microseconds, by the server's clock, in
/// milliseconds.
fn time_to_live(moment: Option<i64>, now: i64) -> std::result::Result<Life, Refused> {
    let Some(moment) = moment.filter(|moment| *moment != TIMESTAMP_INFINITY) else {
        return Ok(Life::Forever);
    };
    let left = moment.div_euclid(1_000) - now;
    if moment == TIMESTAMP_MINUS_INFINITY || left <= 0 {
        return Ok(Life::Over);
    }
    // It does not vanish before its moment.
    let seconds = (left + 999) / 1_000;
    match i32::try_from(seconds) {
        Ok(seconds) if i64::from(seconds) <= TTL_SECONDS_MAX => Ok(Life::Seconds(seconds)),
        _ => Err(Refused::new(Reason::OutOfRange, "no row of CQL lives longer than 20 years")),
    }
}

fn ttl_cell(seconds: Option<i32>) -> [u8; 8] {
    let mut cell = [0, 0, 0, 4, 0, 0, 0, 0];
    // 0: for ever, whatever the table says of rows without a time to live.
    cell[4..].copy_from_slice(&seconds.unwrap_or(0).to_be_bytes());
    cell
}

/// As an error of the first row of the portion that has such a value.
fn refusal(column: Option<String>, refused: Refused) -> Error {
    Error::refused(Refusal {
        column,
        reason: refused.reason,
        detail: refused.detail,
    })
}

/// Encodes rows of a stream where they are transformed.
pub(super) struct Encoder {
    pub(super) layout: Arc<Layout>,
    pub(super) clock: Clock,
}

impl Encode for Encoder {
    fn encode(&self, rows: &RecordBatch) -> Option<Encoded> {
        Portion::of(&self.layout, rows, self.clock.now()).ok().map(Encoded::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_lives_until_its_moment_and_no_shorter() {
        let seconds = |moment, now| match time_to_live(moment, now) {
            Ok(Life::Forever) => Some(0),
            Ok(Life::Seconds(seconds)) => Some(seconds),
            Ok(Life::Over) => Some(-1),
            Err(_) => None,
        };
        assert_eq!(seconds(None, 5_000), Some(0));
        assert_eq!(seconds(Some(TIMESTAMP_INFINITY), 5_000), Some(0));
        assert_eq!(seconds(Some(TIMESTAMP_MINUS_INFINITY), 5_000), Some(-1));
        assert_eq!(seconds(Some(5_000_000), 5_000), Some(-1));
        assert_eq!(seconds(Some(5_001_000), 5_000), Some(1));
        assert_eq!(seconds(Some(6_001_000), 5_000), Some(2));
        let longest = TTL_SECONDS_MAX * 1_000_000;
        assert_eq!(seconds(Some(longest), 0), Some(630_720_000));
        assert_eq!(seconds(Some(longest + 1_000_000), 0), None);
    }
}
