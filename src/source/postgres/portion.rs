//! A portion of rows under construction: columns, keys and the rows that could not be read.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::{Map, Value};

use super::key::KEY_COLUMNS_MAX;
use super::select::{Selection, null_key};
use super::shape::Shape;
use crate::data::batch::SourceBatch;
use crate::data::column::ColumnType;
use crate::data::position::{Key, KeyBuffer, Position};
use crate::data::reject::Reject;
use crate::data::stream::{ReadColumn, ReadRequest};
use crate::postgres::decode::{ColumnDecoder, Fields, Unfit};
use crate::postgres::render;
use crate::{Error, ErrorKind, Result};

/// A column's text and bytes are addressed with 31 bits. Together with the largest row that the
/// server sends (10^9 bytes) a portion of this size stays below.
const PORTION_BYTES_END: usize = 1 << 30;

/// Gathers rows of one statement.
pub(super) struct Portion {
    columns: Vec<ReadColumn>,
    /// Per column the name of its binary form, to show a value that does not fit.
    forms: Vec<ColumnType>,
    decoders: Vec<ColumnDecoder>,
    schema: SchemaRef,
    rows_max: usize,
    bytes_max: usize,
    keys: KeyBuffer,
    rejects: Vec<Reject>,
    /// Row numbers within the columns of the rows that are rejects.
    bad: Vec<usize>,
    rows: usize,
    bytes: usize,
    /// Key of the row before, of this portion or of one before.
    last: Option<Key>,
}

impl Portion {
    pub(super) fn new(request: &ReadRequest, shape: &Shape) -> Self {
        let fields: Vec<_> = request
            .columns
            .iter()
            .map(|column| column.ty.field(&column.name, true))
            .collect();
        let rows_max = request.rows_max.max(1);
        Self {
            decoders: request
                .columns
                .iter()
                .map(|column| ColumnDecoder::new(&column.ty, rows_max))
                .collect(),
            forms: request
                .columns
                .iter()
                .map(|column| ColumnType::Opaque {
                    name: shape
                        .table
                        .column(&column.name)
                        .and_then(|column| column.wire.clone())
                        .unwrap_or_else(|| column.ty.to_string()),
                })
                .collect(),
            columns: request.columns.clone(),
            schema: Arc::new(Schema::new(fields)),
            rows_max,
            bytes_max: request.bytes_max.min(PORTION_BYTES_END),
            keys: KeyBuffer::with_capacity(rows_max),
            rejects: Vec::new(),
            bad: Vec::new(),
            rows: 0,
            bytes: 0,
            last: match &request.after {
                Some(Position::Key(key)) => Some(key.clone()),
                _ => None,
            },
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether another row would be too much. The row that reaches the limit of bytes is the
    /// last one: its size is known only when it is there.
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= self.bytes_max
    }

    /// Takes in the fields of the next row.
    pub(super) fn add(&mut self, tuple: &[u8], selection: &Selection) -> Result<()> {
        let mut fields = Fields::new(tuple, selection.fields);
        let mut fault: Option<(usize, Unfit)> = None;
        let mut key: [Option<&[u8]>; KEY_COLUMNS_MAX] = [None; KEY_COLUMNS_MAX];
        for at in 0..selection.fields {
            let field = fields.next()?;
            if let Some(decoder) = self.decoders.get_mut(at)
                && let Err(unfit) = decoder.append(field)
            {
                fault.get_or_insert((at, unfit));
            }
            for (part, place) in key.iter_mut().zip(&selection.key_fields) {
                if *place == at {
                    *part = field;
                }
            }
        }
        for (part, bytes) in selection.key.iter().zip(key) {
            let bytes = bytes.ok_or_else(null_key)?;
            part.form.read(bytes, |value| self.keys.push(value))?;
        }
        if let Some((column, unfit)) = fault {
            self.rejects.push(Reject {
                key: self.keys.take_open_row(),
                column: Some(self.columns[column].name.clone()),
                reason: unfit.reason,
                detail: unfit.detail,
                row: self.row_text(tuple, selection)?,
            });
            self.bad.push(self.rows);
        } else {
            self.keys.end_row();
        }
        self.rows += 1;
        self.bytes += tuple.len();
        if selection.ordered && !selection.unique {
            self.advance()?;
        }
        Ok(())
    }

    /// The key must have moved on since the row before: the server orders the rows, so that equal
    /// neighbours are all that can go wrong.
    fn advance(&mut self) -> Result<()> {
        let key = self.last_key();
        if self.last.as_ref() == Some(&key) {
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
            if selection.ordered && selection.unique {
                self.advance()?;
            }
            Position::Key(self.last_key())
        };
        let arrays = self.decoders.iter_mut().map(ColumnDecoder::finish).collect();
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
            row_json: render::row_json,
            bytes: std::mem::take(&mut self.bytes) as u64,
        })
    }

    /// The whole row as one JSON object; a value that does not fit is shown by its binary form.
    fn row_text(&self, tuple: &[u8], selection: &Selection) -> Result<String> {
        let mut object = Map::with_capacity(self.columns.len());
        let mut fields = Fields::new(tuple, selection.fields);
        for (column, form) in self.columns.iter().zip(&self.forms) {
            let field = fields.next()?;
            let value = shown(&column.ty, field).or_else(|| shown(form, field));
            object.insert(column.name.clone(), value.unwrap_or(Value::Null));
        }
        Ok(Value::Object(object).to_string())
    }
}

/// A single value as the rows of a portion are shown.
fn shown(ty: &ColumnType, field: Option<&[u8]>) -> Option<Value> {
    let mut decoder = ColumnDecoder::new(ty, 1);
    decoder.append(field).ok()?;
    let schema = Schema::new(vec![ty.field("value", true)]);
    let row = RecordBatch::try_new(Arc::new(schema), vec![decoder.finish()]).ok()?;
    let mut object: Map<String, Value> = serde_json::from_str(&render::row_json(&row, 0)).ok()?;
    object.remove("value")
}
