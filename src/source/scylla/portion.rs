//! A portion of rows under construction: fields of pages into columns, keys and rejects.

use scylla::cluster::metadata::ColumnType as CqlType;
use serde_json::{Map, Value};

use super::key;
use super::selection::Selection;
use crate::cql::decode::{ColumnDecoder, Unfit, json};
use crate::cql::kind;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, KeyRef, KeyValue};
use crate::data::render;
use crate::data::stream::ReadRequest;
use crate::source::gather::{Gather, RowFacts, Unreadable};
use crate::{Error, ErrorKind, Result};

/// Gathers rows of one table.
pub(super) struct Portion {
    decoders: Vec<ColumnDecoder>,
    gather: Gather,
    text: String,
}

impl Portion {
    pub(super) fn new(request: &ReadRequest, selection: &Selection) -> Result<Self> {
        let facts = RowFacts {
            ordered: false,
            unique: true,
            same_key: Key::eq,
            row_json: render::row_json,
        };
        let mut decoders = Vec::new();
        for (column, field) in request.columns.iter().zip(&selection.fields) {
            let decoder = ColumnDecoder::new(&field.ty, &column.ty, request.rows_max);
            decoders.push(decoder.ok_or_else(|| {
                Error::new(
                    ErrorKind::Mapping,
                    format!(
                        "column `{}` of table `{}` is {}, which is not read as {}",
                        column.name,
                        selection.name,
                        kind::name(&field.ty),
                        column.ty
                    ),
                )
            })?);
        }
        Ok(Self {
            decoders,
            gather: Gather::new(request, facts),
            text: String::new(),
        })
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

    /// Takes in a row, under the name that it was asked for by, if it was.
    pub(super) fn add(&mut self, row: &[Option<&[u8]>], known: Option<&Key>, selection: &Selection) -> Result<()> {
        let mut fault: Option<(usize, Unfit)> = None;
        for (at, decoder) in self.decoders.iter_mut().enumerate() {
            if let Err(unfit) = decoder.append(row[at]) {
                fault.get_or_insert((at, unfit));
            }
        }
        match known {
            Some(known) => known.0.iter().for_each(|part| self.gather.push_key(borrowed(part))),
            None => {
                for place in &selection.key {
                    let ty = &selection.fields[*place].ty;
                    key::push(ty, row[*place], &mut self.text, |part| self.gather.push_key(part));
                }
            }
        }
        let bytes = row.iter().map(|field| 4 + field.map_or(0, <[u8]>::len)).sum();
        let Some((column, unfit)) = fault else {
            return self.gather.end_row(bytes);
        };
        let unreadable = Unreadable {
            column,
            reason: unfit.reason,
            detail: unfit.detail,
            row: row_text(row, selection, self.decoders.len()),
        };
        self.gather.refuse_row(bytes, unreadable)
    }

    /// Hands over the rows so far and begins the next portion.
    pub(super) fn finish(&mut self) -> Result<SourceBatch> {
        let columns = self.decoders.iter_mut().map(ColumnDecoder::finish).collect();
        self.gather.finish(columns)
    }
}

fn borrowed(part: &KeyValue) -> KeyRef<'_> {
    match part {
        KeyValue::Null => KeyRef::Null,
        KeyValue::Int(number) => KeyRef::Int(*number),
        KeyValue::RealBits(bits) => KeyRef::Real(f64::from_bits(*bits)),
        KeyValue::Text(text) => KeyRef::Text(text),
        KeyValue::Bytes(bytes) => KeyRef::Bytes(bytes),
        KeyValue::RawText(bytes) => KeyRef::RawText(bytes),
    }
}

/// The whole row as one JSON object; a value that cannot be read is shown by its bytes.
fn row_text(row: &[Option<&[u8]>], selection: &Selection, columns: usize) -> String {
    let mut object = Map::with_capacity(columns);
    for (field, bytes) in selection.fields.iter().zip(row).take(columns) {
        object.insert(field.name.clone(), bytes.map_or(Value::Null, |bytes| shown(&field.ty, bytes)));
    }
    Value::Object(object).to_string()
}

fn shown(ty: &CqlType<'_>, bytes: &[u8]) -> Value {
    let mut text = String::new();
    let written = json::write(ty, bytes, &mut text).is_ok();
    let read = if written { serde_json::from_str(&text).ok() } else { None };
    read.unwrap_or_else(|| serde_json::json!({ "type": kind::name(ty), "hex": hex::encode(bytes) }))
}
