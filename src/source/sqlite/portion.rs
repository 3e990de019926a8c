//! A portion of rows under construction: SQLite's values into columns, keys and rejects.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::{Map, Number, Value, json};

use super::catalog::Shape;
use super::decode::ColumnReader;
use super::failure::reading;
use super::problem::Fault;
use super::statement::Selection;
use super::stored::Stored;
use super::wide;
use crate::Result;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, KeyBuffer, KeyRef, KeyValue};
use crate::data::reject::Reason;
use crate::data::render;
use crate::data::stream::{ReadColumn, ReadRequest};
use crate::source::gather::{Gather, RowFacts, Unreadable, too_large};

/// Gathers rows of one statement.
pub(super) struct Portion {
    readers: Vec<ColumnReader>,
    gather: Gather,
    /// Rows come in the order of their places.
    stored: Option<Stored>,
    /// Place of the row before.
    place: i64,
}

impl Portion {
    pub(super) fn new(request: &ReadRequest, shape: &Shape, selection: &Selection, stored: Option<Stored>) -> Result<Self> {
        let reader = |column: &ReadColumn| {
            ColumnReader::new(&column.ty, shape.empty(&column.name), request.rows_max)
                .map(|reader| {
                    if column.json_is_checked {
                        reader.unchecked_json()
                    } else {
                        reader
                    }
                })
                .map_err(|error| error.during(format_args!("column `{}`", column.name)))
        };
        let facts = RowFacts {
            ordered: stored.is_none(),
            unique: selection.unique,
            same_key: same,
            row_json: render::row_json,
        };
        Ok(Self {
            readers: request.columns.iter().map(reader).collect::<Result<_>>()?,
            gather: Gather::new(request, facts),
            stored,
            place: 0,
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

    /// Waits until there is memory for a row that will be a portion of its own.
    pub(super) async fn take_memory_for(&mut self, bytes: usize) -> Result<()> {
        self.gather.take_memory_for(bytes).await
    }

    /// Most bytes of one row.
    pub(super) fn row_bytes_max(&self) -> usize {
        self.gather.row_bytes_max()
    }

    /// Takes in the row that the statement stands at as one that is too large. Its `long` values are not
    /// there, only their lengths.
    pub(super) fn refuse(&mut self, row: &Row<'_>, selection: &Selection, lengths: &[u64], bytes_max: usize) -> Result<()> {
        let long = || selection.long.iter().copied().zip(lengths.iter().copied());
        let (column, longest) = long().max_by_key(|(_, length)| *length).unwrap_or_default();
        self.readers.iter_mut().for_each(ColumnReader::append_null);
        for place in &selection.key {
            self.gather.push_key(key_ref(row.get_ref(*place).map_err(reading)?));
        }
        self.stand_at(row, selection)?;
        let mut shown = row_object(row, &selection.columns)?;
        for (place, length) in long().filter(|(_, length)| *length > 0) {
            let value = &mut shown[selection.columns[place].as_str()];
            if value.is_null() {
                *value = wide::left_out(length);
            }
        }
        let whole: u64 = lengths.iter().sum();
        let unreadable = Unreadable {
            column,
            reason: Reason::TooLarge,
            detail: too_large(longest, whole, bytes_max),
            row: shown.to_string(),
        };
        self.gather.refuse_row(1, unreadable)
    }

    /// Remembers the place of a row, where places count.
    fn stand_at(&mut self, row: &Row<'_>, selection: &Selection) -> Result<()> {
        if self.stored.is_some() {
            self.place = row.get(selection.columns.len()).map_err(reading)?;
        }
        Ok(())
    }

    /// Takes in the row that the statement stands at.
    pub(super) fn add(&mut self, row: &Row<'_>, selection: &Selection) -> Result<()> {
        let mut bytes = 0;
        let mut fault: Option<(usize, Fault)> = None;
        for (i, reader) in self.readers.iter_mut().enumerate() {
            let value = row.get_ref(i).map_err(reading)?;
            bytes += size(value);
            if let Err(found) = reader.append(value) {
                reader.append_null();
                fault.get_or_insert((i, found));
            }
        }
        for place in &selection.key {
            self.gather.push_key(key_ref(row.get_ref(*place).map_err(reading)?));
        }
        self.stand_at(row, selection)?;
        let Some((column, fault)) = fault else {
            return self.gather.end_row(bytes);
        };
        let unreadable = Unreadable {
            column,
            reason: fault.reason,
            detail: fault.detail,
            row: row_object(row, &selection.columns)?.to_string(),
        };
        self.gather.refuse_row(bytes, unreadable)
    }

    /// Hands over the rows so far and begins the next portion.
    pub(super) fn finish(&mut self) -> Result<SourceBatch> {
        let columns = self.readers.iter_mut().map(ColumnReader::finish);
        let columns = columns.collect::<Result<_>>()?;
        let Some(stored) = &self.stored else {
            return self.gather.finish(columns);
        };
        let position = stored.position(self.place, self.gather.last_key());
        self.gather.finish_at(columns, position)
    }
}

/// The key of the row that a statement stands at.
pub(super) fn key(row: &Row<'_>, selection: &Selection) -> Result<Key> {
    let mut key = KeyBuffer::with_capacity(1);
    for place in &selection.key {
        key.push(key_ref(row.get_ref(*place).map_err(reading)?));
    }
    Ok(key.take_open_row())
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
fn row_object(row: &Row<'_>, columns: &[String]) -> Result<Value> {
    let mut object = Map::with_capacity(columns.len());
    for (i, name) in columns.iter().enumerate() {
        let value = match row.get_ref(i).map_err(reading)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => value.into(),
            ValueRef::Real(value) => Number::from_f64(value).map_or_else(|| json!({ "real": value.to_string() }), Value::Number),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => render::text(text),
                Err(_) => json!({ "text_hex": render::bytes(bytes) }),
            },
            ValueRef::Blob(bytes) => json!({ "hex": render::bytes(bytes) }),
        };
        object.insert(name.clone(), value);
    }
    Ok(Value::Object(object))
}
