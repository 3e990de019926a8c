//! Gathers rows into a [`SourceBatch`]: what every source does alike once it has read a row.
//!
//! A source decodes the values of a row into columns of its own. Everything else of a batch is
//! here: how large it may grow, the keys of its rows, the rows that could not be read, whether the
//! key moved on, and the position at its end. Promises:
//!
//! - Every row ends in the batch's rows or in its rejects, never in both (Invariant 4).
//! - Rows read in key order whose keys do not move on are an error, never a position after which
//!   rows would be passed over (Invariant 2).
//! - A batch has at most the request's rows; of its bytes only the last row exceeds the limit
//!   (Invariant 7).
//! - Taking in a row that can be read allocates nothing of its own, except where its key must be
//!   compared with the one before.
//!
//! Per row: the values into the source's columns (NULL where one cannot be read), each part of
//! the key to [`Gather::push_key`], then either [`Gather::end_row`] or [`Gather::refuse_row`].
//! Once it [is full](Gather::is_full), and after the last row unless it [is
//! empty](Gather::is_empty), [`Gather::finish`]; the next batch begins then.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::data::batch::{RowJson, SourceBatch};
use crate::data::memory::{self, Held, Share};
use crate::data::position::{Key, KeyBuffer, KeyRef, Position};
use crate::data::reject::{Reason, Reject};
use crate::data::stream::{Order, ReadRequest};
use crate::{Error, ErrorKind, Result};

/// A column's text and bytes are addressed with 31 bits. Together with the largest row that a
/// source can hold (10^9 bytes) a batch of this size stays below.
const BATCH_BYTES_END: usize = 1 << 30;

/// What a source knows of the rows that it reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowFacts {
    /// Rows come in the order of their keys, unless the request names single ones.
    pub(super) ordered: bool,
    /// The key cannot repeat: the source itself sees to it.
    pub(super) unique: bool,
    /// Whether the source takes two keys for equal.
    pub(super) same_key: fn(&Key, &Key) -> bool,
    /// Shows a row that was read, should it be refused later.
    pub(super) row_json: RowJson,
}

/// Why a row could not be read, and the row as the source shows it.
pub(super) struct Unreadable {
    /// Place of the column among those of the request.
    pub(super) column: usize,
    pub(super) reason: Reason,
    /// In words that name no value (Invariant 9).
    pub(super) detail: String,
    /// The whole row as one JSON object.
    pub(super) row: String,
}

/// Why a row was refused whose longest value has so many bytes, and which has so many in all.
pub(super) fn too_large(longest: u64, whole: u64, bytes_max: usize) -> String {
    let of = if longest == whole {
        String::new()
    } else {
        format!(", of a row of {whole}")
    };
    format!("a value of {longest} bytes{of}; a row may have {bytes_max} within the memory limit")
}

/// When a key is compared with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// Rows come in any order.
    Never,
    /// The source sees to it within a batch.
    AtBatchEnds,
    EveryRow,
}

/// A batch under construction, without the columns, which are the source's.
pub(super) struct Gather {
    schema: SchemaRef,
    rows_max: usize,
    bytes_max: usize,
    /// There is a key, and with it a position after every row.
    keyed: bool,
    compared: Compared,
    facts: RowFacts,
    keys: KeyBuffer,
    rejects: Vec<Reject>,
    /// Numbers of the rejects' rows within the columns.
    refused: Vec<usize>,
    rows: usize,
    bytes: usize,
    /// Key of the row before, of this batch or of one before.
    last: Option<Key>,
    share: Share,
    /// Taken for the batch.
    held: Held,
}

/// The request with portions of a size that the process has memory for.
pub(super) fn fitted(mut request: ReadRequest) -> ReadRequest {
    let memory = memory::process();
    request.bytes_max = request.bytes_max.min(memory.portion_bytes());
    request.rows_max = request.rows_max.min(memory.rows_max(request.columns.len()));
    request
}

impl Gather {
    /// Gathers the rows of a request.
    pub(super) fn new(request: &ReadRequest, facts: RowFacts) -> Self {
        let columns = request.columns.iter();
        let fields: Vec<_> = columns.map(|column| column.ty.field(&column.name, true)).collect();
        let rows_max = request.rows_max.max(1);
        let keyed = !request.key.is_empty();
        Self {
            schema: Arc::new(Schema::new(fields)),
            rows_max,
            bytes_max: request.bytes_max.min(BATCH_BYTES_END),
            keyed,
            compared: match (
                facts.ordered && keyed && request.order != Order::Any && request.only.is_none(),
                facts.unique,
            ) {
                (false, _) => Compared::Never,
                (true, true) => Compared::AtBatchEnds,
                (true, false) => Compared::EveryRow,
            },
            facts,
            keys: KeyBuffer::with_capacity(rows_max),
            rejects: Vec::new(),
            refused: Vec::new(),
            rows: 0,
            bytes: 0,
            last: request.after.as_ref().and_then(Position::after).cloned(),
            share: Share::new(request.only.is_some()),
            held: Held::default(),
        }
    }

    /// Waits until there is memory for the next batch, unless it has begun.
    pub(super) async fn take_memory(&mut self) {
        if self.is_empty() && self.held.is_empty() {
            self.held = self.share.portion().await;
        }
    }

    /// Waits until there is memory for a row of so many bytes that will be a batch of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Lost`] where none comes free.
    pub(super) async fn take_memory_for(&mut self, bytes: usize) -> Result<()> {
        self.held = Held::default();
        self.held = self.share.row(bytes).await?;
        Ok(())
    }

    /// Most bytes of one row.
    pub(super) fn row_bytes_max(&self) -> usize {
        self.share.memory().row_bytes_max()
    }

    /// Whether no row was taken in since the last batch.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether another row would be too much. The row that reaches the limit of bytes is the
    /// last one: its size is known only when it is there.
    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= self.bytes_max
    }

    /// Takes in the next part of the key of the row being read.
    #[inline]
    pub(super) fn push_key(&mut self, value: KeyRef<'_>) {
        self.keys.push(value);
    }

    /// Ends a row whose values are all in their columns. `bytes`: what it takes in the source,
    /// roughly.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] where its key is that of the row before.
    #[inline]
    pub(super) fn end_row(&mut self, bytes: usize) -> Result<()> {
        self.keys.end_row();
        self.count_row(bytes)
    }

    /// Ends a row that is a reject; what its columns hold for it is left out of the batch.
    ///
    /// # Errors
    /// As [`Self::end_row`].
    #[cold]
    pub(super) fn refuse_row(&mut self, bytes: usize, unreadable: Unreadable) -> Result<()> {
        let bytes = bytes.max(unreadable.row.len());
        self.rejects.push(Reject {
            key: self.keys.take_open_row(),
            column: Some(self.schema.field(unreadable.column).name().clone()),
            reason: unreadable.reason,
            detail: unreadable.detail,
            row: unreadable.row,
        });
        self.refused.push(self.rows);
        self.count_row(bytes)
    }

    #[inline]
    fn count_row(&mut self, bytes: usize) -> Result<()> {
        self.rows += 1;
        self.bytes += bytes;
        if self.compared == Compared::EveryRow {
            self.advance()?;
        }
        Ok(())
    }

    /// The key must have moved on since the row before: the source orders the rows, so that equal
    /// neighbours are all that can go wrong.
    fn advance(&mut self) -> Result<()> {
        let key = self.last_key();
        if self.last.as_ref().is_some_and(|last| (self.facts.same_key)(last, &key)) {
            return Err(Error::new(ErrorKind::Mapping, "two rows have one source key")
                .hint("name columns in `source_key` that tell every row from every other, or none"));
        }
        self.last = Some(key);
        Ok(())
    }

    /// Key of the last row that was taken in.
    pub(super) fn last_key(&self) -> Key {
        if self.refused.last() == Some(&(self.rows - 1)) {
            self.rejects.last().map_or(Key(Vec::new()), |reject| reject.key.clone())
        } else {
            self.keys.get(self.keys.len() - 1)
        }
    }

    /// Hands over the rows so far, of which there is at least one, and begins the next batch.
    /// `columns` are those of the request, with a value for every row, refused ones among them.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] where the last key is that of the batch before.
    pub(super) fn finish(&mut self, columns: Vec<ArrayRef>) -> Result<SourceBatch> {
        if self.compared == Compared::AtBatchEnds {
            self.advance()?;
        }
        let position = if self.keyed {
            Position::Key(self.last_key())
        } else {
            Position::End
        };
        self.finish_at(columns, position)
    }

    /// The same where the place to go on from is not a row's key. There may be no row.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the columns do not fit together.
    pub(super) fn finish_at(&mut self, columns: Vec<ArrayRef>, position: Position) -> Result<SourceBatch> {
        let rows = self.readable(columns)?;
        self.rows = 0;
        let rejects = self.rejects.iter().map(|reject| reject.row.len()).sum::<usize>();
        let mut held = std::mem::take(&mut self.held);
        self.share.settle(&mut held, rows.get_array_memory_size() + rejects);
        Ok(SourceBatch {
            memory: held,
            rows,
            keys: Arc::new(std::mem::replace(&mut self.keys, KeyBuffer::with_capacity(self.rows_max))),
            rejects: std::mem::take(&mut self.rejects),
            position,
            row_json: self.facts.row_json,
            bytes: std::mem::take(&mut self.bytes) as u64,
        })
    }

    /// The columns without the rows that are rejects.
    fn readable(&mut self, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        let unfit = |error| Error::new(ErrorKind::Internal, "the columns read do not fit together").because(error);
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(unfit)?;
        if self.refused.is_empty() {
            return Ok(rows);
        }
        let mut keep = vec![true; self.rows];
        for row in self.refused.drain(..) {
            keep[row] = false;
        }
        filter_record_batch(&rows, &BooleanArray::from(keep)).map_err(unfit)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray as _, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::data::column::ColumnType;
    use crate::data::position::KeyValue;
    use crate::data::render::row_json;
    use crate::data::stream::{Origin, ReadColumn};
    use crate::data::table::TableName;

    fn request() -> ReadRequest {
        ReadRequest {
            origin: Origin::Table(TableName::new("t")),
            columns: vec![ReadColumn {
                name: "n".to_owned(),
                ty: ColumnType::Int64,
                json_is_checked: false,
            }],
            key: vec!["n".to_owned()],
            order: Order::Key,
            after: None,
            subject: None,
            only: None,
            piece: None,
            rows_max: 3,
            bytes_max: 100,
            patience: std::time::Duration::ZERO,
        }
    }

    fn gather(request: &ReadRequest, unique: bool) -> Gather {
        let facts = RowFacts {
            ordered: true,
            unique,
            same_key: Key::eq,
            row_json,
        };
        Gather::new(request, facts)
    }

    fn add(gather: &mut Gather, key: i64, bytes: usize) -> Result<()> {
        gather.push_key(KeyRef::Int(key));
        gather.end_row(bytes)
    }

    fn refuse(gather: &mut Gather, key: i64) -> Result<()> {
        gather.push_key(KeyRef::Int(key));
        let unreadable = Unreadable {
            column: 0,
            reason: Reason::Unreadable,
            detail: "not a number".to_owned(),
            row: "{}".to_owned(),
        };
        gather.refuse_row(1, unreadable)
    }

    fn column(values: &[Option<i64>]) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(values.to_vec()))]
    }

    fn key(value: i64) -> Key {
        Key(vec![KeyValue::Int(value)])
    }

    #[test]
    fn a_row_is_in_the_rows_or_in_the_rejects() {
        let mut gather = gather(&request(), true);
        refuse(&mut gather, 1).expect("the first key");
        add(&mut gather, 2, 10).expect("another key");
        refuse(&mut gather, 3).expect("another key");
        let batch = gather.finish(column(&[None, Some(2), None])).expect("a batch");
        assert_eq!(batch.rows.column(0).as_primitive::<Int64Type>().values(), &[2]);
        assert_eq!((batch.keys.len(), batch.keys.get(0)), (1, key(2)));
        let rejected: Vec<_> = batch
            .rejects
            .iter()
            .map(|reject| (reject.key.clone(), reject.column.as_deref()))
            .collect();
        assert_eq!(rejected, [(key(1), Some("n")), (key(3), Some("n"))]);
        assert_eq!(batch.position, Position::Key(key(3)), "a reject was read too");
        assert_eq!(
            (batch.read(), batch.bytes),
            (3, 14),
            "a reject is as large as its record at least"
        );

        assert!(gather.is_empty(), "the next batch begins");
        add(&mut gather, 4, 5).expect("another key");
        let batch = gather.finish(column(&[Some(4)])).expect("a batch");
        assert_eq!((batch.rows.num_rows(), batch.rejects.len(), batch.bytes), (1, 0, 5));
        assert_eq!(batch.position, Position::Key(key(4)));
    }

    #[test]
    fn a_batch_is_full_with_its_rows_or_with_the_row_that_reaches_its_bytes() {
        let mut gather = gather(&request(), true);
        for n in 0..3 {
            assert!(!gather.is_full(), "{n} rows");
            add(&mut gather, n, 1).expect("another key");
        }
        assert!(gather.is_full());
        gather.finish(column(&[Some(0), Some(1), Some(2)])).expect("a batch");
        add(&mut gather, 3, 99).expect("another key");
        assert!(!gather.is_full());
        add(&mut gather, 4, 1).expect("another key");
        assert!(gather.is_full());
    }

    #[test]
    fn a_key_that_does_not_move_on_is_an_error() {
        let mut every_row = gather(&request(), false);
        add(&mut every_row, 1, 1).expect("the first key");
        add(&mut every_row, 2, 1).expect("another key");
        assert_eq!(
            refuse(&mut every_row, 2).expect_err("a reject has a key too").kind(),
            ErrorKind::Mapping
        );

        let after = ReadRequest {
            after: Some(Position::Key(key(7))),
            ..request()
        };
        assert!(add(&mut gather(&after, false), 7, 1).is_err(), "the key of the run before");
        let mut batch_ends = gather(&after, true);
        add(&mut batch_ends, 7, 1).expect("compared at the end");
        assert!(batch_ends.finish(column(&[Some(7)])).is_err());
    }

    #[test]
    fn rows_in_any_order_are_not_compared() {
        let only = ReadRequest {
            only: Some(vec![key(1)]),
            ..request()
        };
        let mut listed = gather(&only, false);
        add(&mut listed, 1, 1).expect("not compared");
        add(&mut listed, 1, 1).expect("not compared");
        let batch = listed.finish(column(&[Some(1), Some(1)])).expect("a batch");
        assert_eq!(batch.position, Position::Key(key(1)));

        let atomic = ReadRequest {
            key: Vec::new(),
            ..request()
        };
        let mut atomic = gather(&atomic, false);
        atomic.end_row(1).expect("no key");
        atomic.end_row(1).expect("no key");
        assert_eq!(
            atomic.finish(column(&[Some(1), Some(1)])).expect("a batch").position,
            Position::End
        );
    }
}
