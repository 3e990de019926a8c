//! A portion of rows under construction: columns, keys and the rows that could not be read.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::{Map, Number, Value, json};

use super::catalog::Shape;
use super::decode::ColumnReader;
use super::failure::reading;
use super::problem::Fault;
use super::statement::Selection;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, KeyBuffer, KeyRef, KeyValue, Position};
use crate::data::reject::Reject;
use crate::data::stream::{ReadColumn, ReadRequest};
use crate::{Error, ErrorKind, Result};

/// A column's text and bytes are addressed with 31 bits. Together with the largest row that
/// SQLite can hold (10^9 bytes) a portion of this size stays below.
const PORTION_BYTES_END: usize = 1 << 30;

/// Gathers rows of one statement.
pub(super) struct Portion {
    columns: Vec<ReadColumn>,
    readers: Vec<ColumnReader>,
    schema: SchemaRef,
    rows_max: usize,
    bytes_max: usize,
    keys: KeyBuffer,
    rejects: Vec<Reject>,
    /// Row numbers within the columns of the rows that are rejects: NULLs stand there.
    bad: Vec<usize>,
    rows: usize,
    bytes: usize,
    /// Rows come in key order, not by a list of keys.
    ordered: bool,
    /// Key of the row before, of this portion or of one before.
    last: Option<Key>,
}

impl Portion {
    pub(super) fn new(request: &ReadRequest, shape: &Shape) -> Result<Self> {
        let reader = |column: &ReadColumn| {
            ColumnReader::new(&column.ty, shape.empty(&column.name), request.rows_max)
                .map_err(|error| error.during(format_args!("column `{}`", column.name)))
        };
        let fields: Vec<_> = request
            .columns
            .iter()
            .map(|column| column.ty.field(&column.name, true))
            .collect();
        Ok(Self {
            readers: request.columns.iter().map(reader).collect::<Result<_>>()?,
            columns: request.columns.clone(),
            schema: Arc::new(Schema::new(fields)),
            rows_max: request.rows_max.max(1),
            bytes_max: request.bytes_max.min(PORTION_BYTES_END),
            keys: KeyBuffer::with_capacity(request.rows_max),
            rejects: Vec::new(),
            bad: Vec::new(),
            rows: 0,
            bytes: 0,
            ordered: request.only.is_none() && !request.key.is_empty(),
            last: match &request.after {
                Some(Position::Key(key)) => Some(key.clone()),
                _ => None,
            },
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether another row would be too much. The row that reaches the limit of bytes is the
    /// last one: its size is known only when it is read.
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= self.bytes_max
    }

    /// Takes in the row that the statement stands at.
    pub(super) fn add(&mut self, row: &Row<'_>, selection: &Selection) -> Result<()> {
        let mut fault: Option<(usize, Fault)> = None;
        for (i, reader) in self.readers.iter_mut().enumerate() {
            let value = row.get_ref(i).map_err(reading)?;
            self.bytes += size(value);
            if let Err(found) = reader.append(value) {
                reader.append_null();
                fault.get_or_insert((i, found));
            }
        }
        for place in &selection.key {
            self.keys.push(key_ref(row.get_ref(*place).map_err(reading)?));
        }
        if let Some((column, fault)) = fault {
            self.rejects.push(Reject {
                key: self.keys.take_open_row(),
                column: Some(self.columns[column].name.clone()),
                reason: fault.reason,
                detail: fault.detail,
                row: row_text(row, &selection.columns)?,
            });
            self.bad.push(self.rows);
        } else {
            self.keys.end_row();
        }
        self.rows += 1;
        if self.ordered && !selection.unique {
            self.advance()?;
        }
        Ok(())
    }

    /// The key must have moved on since the row before: the database orders the rows, so that
    /// equal neighbours are all that can go wrong.
    fn advance(&mut self) -> Result<()> {
        let key = self.last_key();
        if self.last.as_ref().is_some_and(|last| same(last, &key)) {
            return Err(Error::new(ErrorKind::Mapping, "two rows have one source key")
                .hint("name columns in `source_key` that tell every row from every other, or none"));
        }
        self.last = Some(key);
        Ok(())
    }

    fn last_key(&self) -> Key {
        if self.bad.last() == Some(&(self.rows - 1)) {
            self.rejects.last().map_or(Key(Vec::new()), |reject| reject.key.clone())
        } else {
            self.keys.get(self.keys.len() - 1)
        }
    }

    /// Hands over the rows so far and begins the next portion.
    pub(super) fn finish(&mut self, selection: &Selection) -> Result<SourceBatch> {
        let position = if selection.key.is_empty() {
            Position::End
        } else {
            if self.ordered && selection.unique {
                self.advance()?;
            }
            Position::Key(self.last_key())
        };
        let arrays = self
            .readers
            .iter_mut()
            .map(ColumnReader::finish)
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let unfit = |error| Error::new(ErrorKind::Internal, "the columns read do not fit together").because(error);
        let mut rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(unfit)?;
        let bad = std::mem::take(&mut self.bad);
        if !bad.is_empty() {
            let mut keep = vec![true; self.rows];
            for row in bad {
                keep[row] = false;
            }
            rows = filter_record_batch(&rows, &BooleanArray::from(keep)).map_err(unfit)?;
        }
        self.rows = 0;
        Ok(SourceBatch {
            rows,
            keys: Arc::new(std::mem::replace(&mut self.keys, KeyBuffer::with_capacity(self.rows_max))),
            rejects: std::mem::take(&mut self.rejects),
            position,
            row_json: crate::data::render::row_json,
            bytes: std::mem::take(&mut self.bytes) as u64,
        })
    }
}

const fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Null => 1,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() + 4,
    }
}

fn key_ref(value: ValueRef<'_>) -> KeyRef<'_> {
    match value {
        ValueRef::Null => KeyRef::Null,
        ValueRef::Integer(value) => KeyRef::Int(value),
        ValueRef::Real(value) => KeyRef::Real(value),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(KeyRef::RawText(bytes), KeyRef::Text),
        ValueRef::Blob(bytes) => KeyRef::Bytes(bytes),
    }
}

/// Whether SQLite takes two keys for equal: it compares integers and reals by value.
fn same(left: &Key, right: &Key) -> bool {
    left.0.len() == right.0.len()
        && left.0.iter().zip(&right.0).all(|pair| match pair {
            (KeyValue::RealBits(a), KeyValue::RealBits(b)) => {
                // -0.0 equals 0.0.
                f64::from_bits(*a)
                    .partial_cmp(&f64::from_bits(*b))
                    .is_some_and(std::cmp::Ordering::is_eq)
            }
            (KeyValue::Int(int), KeyValue::RealBits(bits)) | (KeyValue::RealBits(bits), KeyValue::Int(int)) => {
                super::number::float_equals(f64::from_bits(*bits), *int)
            }
            (a, b) => a == b,
        })
}

/// The whole row as one JSON object, every storage class told from the others: blobs and text
/// that is not UTF-8 are objects with their bytes, infinities are objects too.
fn row_text(row: &Row<'_>, columns: &[String]) -> Result<String> {
    let mut object = Map::with_capacity(columns.len());
    for (i, name) in columns.iter().enumerate() {
        let value = match row.get_ref(i).map_err(reading)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => value.into(),
            ValueRef::Real(value) => Number::from_f64(value).map_or_else(|| json!({ "real": value.to_string() }), Value::Number),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_or_else(|_| json!({ "text_hex": hex::encode(bytes) }), Value::from)
            }
            ValueRef::Blob(bytes) => json!({ "hex": hex::encode(bytes) }),
        };
        object.insert(name.clone(), value);
    }
    Ok(Value::Object(object).to_string())
}
