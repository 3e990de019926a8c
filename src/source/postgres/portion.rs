//! A portion of rows under construction: the fields of COPY into columns, keys and rejects.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value, json};

use super::key::KEY_COLUMNS_MAX;
use super::select::{Selection, null_key};
use super::shape::Shape;
use super::wide;
use crate::data::batch::SourceBatch;
use crate::data::column::ColumnType;
use crate::data::position::{Key, KeyBuffer, KeyRef};
use crate::data::reject::Reason;
use crate::data::stream::{ReadColumn, ReadRequest};
use crate::postgres::decode::{ColumnDecoder, Fields, Unfit};
use crate::postgres::render;
use crate::source::gather::{Gather, RowFacts, Unreadable, too_large};
use crate::{Error, ErrorKind, Result};

/// Gathers rows of one statement.
pub(super) struct Portion {
    columns: Vec<ReadColumn>,
    /// Per column the name of its binary form, to show a value that does not fit.
    forms: Vec<ColumnType>,
    decoders: Vec<ColumnDecoder>,
    gather: Gather,
}

impl Portion {
    pub(super) fn new(request: &ReadRequest, shape: &Shape, selection: &Selection) -> Self {
        let facts = RowFacts {
            ordered: true,
            unique: selection.unique,
            same_key: Key::eq,
            row_json: render::row_json,
        };
        Self {
            decoders: request
                .columns
                .iter()
                .map(|column| ColumnDecoder::new(&column.ty, request.rows_max))
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
            gather: Gather::new(request, facts),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.gather.is_empty()
    }

    /// Whether another row would be too much.
    pub(super) const fn is_full(&self) -> bool {
        self.gather.is_full()
    }

    /// Waits until there is memory for the next portion, unless it has begun.
    pub(super) async fn take_memory(&mut self) {
        self.gather.take_memory().await;
    }

    /// Waits until there is memory for a row that will be a portion of its own.
    pub(super) async fn take_memory_for(&mut self, bytes: usize) -> Result<()> {
        self.gather.take_memory_for(bytes).await
    }

    /// Most bytes of one row.
    pub(super) fn row_bytes_max(&self) -> usize {
        self.gather.row_bytes_max()
    }

    /// Takes in a row as one that is too large. Its long values are not there, only their lengths.
    pub(super) fn refuse(&mut self, tuple: &[u8], selection: &Selection, lengths: &[u64], bytes_max: usize) -> Result<()> {
        let long = || selection.long.iter().copied().zip(lengths.iter().copied());
        let (column, longest) = long().max_by_key(|(_, length)| *length).unwrap_or_default();
        for decoder in &mut self.decoders {
            decoder
                .append(None)
                .map_err(|unfit| Error::new(ErrorKind::Internal, unfit.detail))?;
        }
        let gather = &mut self.gather;
        push_key(tuple, selection, |value| gather.push_key(value))?;
        let mut row = self.row_object(tuple, selection)?;
        for (place, length) in long().filter(|(_, length)| *length > 0) {
            let value = row.entry(self.columns[place].name.as_str()).or_insert(Value::Null);
            if value.is_null() {
                *value = json!({ "bytes": length });
            }
        }
        let unreadable = Unreadable {
            column,
            reason: Reason::TooLarge,
            detail: too_large(longest, lengths.iter().sum(), bytes_max),
            row: Value::Object(row).to_string(),
        };
        self.gather.refuse_row(tuple.len(), unreadable)
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
            part.form.read(bytes, |value| self.gather.push_key(value))?;
        }
        let Some((column, unfit)) = fault else {
            return self.gather.end_row(tuple.len());
        };
        let unreadable = Unreadable {
            column,
            reason: unfit.reason,
            detail: unfit.detail,
            row: Value::Object(self.row_object(tuple, selection)?).to_string(),
        };
        self.gather.refuse_row(tuple.len(), unreadable)
    }

    /// Hands over the rows so far and begins the next portion.
    pub(super) fn finish(&mut self) -> Result<SourceBatch> {
        let columns = self.decoders.iter_mut().map(ColumnDecoder::finish).collect();
        self.gather.finish(columns)
    }

    /// The whole row as one JSON object; a value that does not fit is shown by its binary form.
    fn row_object(&self, tuple: &[u8], selection: &Selection) -> Result<Map<String, Value>> {
        let mut object = Map::with_capacity(self.columns.len());
        let mut fields = Fields::new(tuple, selection.fields);
        for (column, form) in self.columns.iter().zip(&self.forms) {
            let field = fields.next()?;
            let value = shown(&column.ty, field).or_else(|| shown(form, field));
            object.insert(column.name.clone(), value.unwrap_or(Value::Null));
        }
        Ok(object)
    }
}

/// The key of a row.
pub(super) fn key(tuple: &[u8], selection: &Selection) -> Result<Key> {
    let mut key = KeyBuffer::with_capacity(1);
    push_key(tuple, selection, |value| key.push(value))?;
    Ok(key.take_open_row())
}

/// Hands over the parts of a row's key.
fn push_key<'a>(tuple: &'a [u8], selection: &Selection, mut push: impl FnMut(KeyRef<'_>)) -> Result<()> {
    let mut fields = Fields::new(tuple, selection.fields);
    let fields: Vec<Option<&'a [u8]>> = (0..selection.fields).map(|_| fields.next()).collect::<Result<_>>()?;
    for (part, place) in selection.key.iter().zip(&selection.key_fields) {
        let bytes = fields.get(*place).copied().flatten().ok_or_else(null_key)?;
        part.form.read(bytes, &mut push)?;
    }
    Ok(())
}

/// The lengths of a row's long values, where they were left out.
pub(super) fn lengths(tuple: &[u8], selection: &Selection) -> Result<Option<Vec<u64>>> {
    if selection.long.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::new(tuple, selection.fields);
    for _ in 1..selection.fields {
        fields.next()?;
    }
    Ok(fields.next()?.map(wide::told))
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
