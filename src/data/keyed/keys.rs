//! Rendered keys: what the rows of a batch are called in a key-value target.

use arrow::record_batch::RecordBatch;

use super::pattern::{Piece, push_encoded};
use super::text::Values;
use super::{Layout, Moments};
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::data::table::Column;
use crate::error::Refusal;

/// The keys of all rows of a batch, without the prefix of a rehearsal.
#[derive(Debug)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Vec<usize>,
}

/// A part of a key, ready to be written.
enum Part<'a> {
    Literal(&'a [u8]),
    /// The value of the column at this place among those that are used.
    Column(usize),
}

impl Keys {
    /// Renders the keys of `rows`, whose columns are `columns`.
    ///
    /// # Errors
    /// The first value that has no form in a key; which row it is in can be told by rendering
    /// fewer of them.
    pub fn render(layout: &Layout, columns: &[Column], rows: &RecordBatch) -> Result<Self, Refusal> {
        let mut names: Vec<&str> = Vec::new();
        let mut values = Vec::new();
        let mut parts = Vec::new();
        for piece in layout.pattern.pieces() {
            parts.push(match piece {
                Piece::Literal(text) => Part::Literal(text.as_bytes()),
                Piece::Column(name) => {
                    let known = names.iter().position(|known| known == name);
                    Part::Column(if let Some(known) = known {
                        known
                    } else {
                        values.push(values_of(name, columns, rows, layout.moments)?);
                        names.push(name);
                        names.len() - 1
                    })
                }
            });
        }
        let mut keys = Self {
            bytes: Vec::with_capacity(rows.num_rows() * KEY_BYTES_GUESSED),
            ends: Vec::with_capacity(rows.num_rows()),
        };
        for row in 0..rows.num_rows() {
            for part in &parts {
                match part {
                    Part::Literal(text) => keys.bytes.extend_from_slice(text),
                    Part::Column(at) if values[*at].is_null(row) => {
                        return Err(Refusal {
                            column: Some(names[*at].to_owned()),
                            reason: Reason::NullValue,
                            detail: "NULL, which has no form in a key".to_owned(),
                        });
                    }
                    Part::Column(at) => push_encoded(&values[*at].bytes(row)?, &mut keys.bytes),
                }
            }
            keys.ends.push(keys.bytes.len());
        }
        Ok(keys)
    }

    /// The key of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> &[u8] {
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[begin..self.ends[row]]
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Room for a key until it is known how long they are.
const KEY_BYTES_GUESSED: usize = 32;

/// The values of a column of `rows`, ready to be written.
///
/// # Errors
/// Where there is no such column, or nobody interprets its type; a plan lets neither pass.
pub fn values_of(name: &str, columns: &[Column], rows: &RecordBatch, moments: Moments) -> Result<Values, Refusal> {
    let place = columns.iter().position(|column| column.name == name);
    place
        .and_then(|place| {
            let ty: &ColumnType = &columns[place].ty;
            Values::of(name, ty, rows.columns().get(place)?, moments)
        })
        .ok_or_else(|| Refusal {
            column: Some(name.to_owned()),
            reason: Reason::Refused,
            detail: "this column has no form in a key-value target".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray};
    use arrow::datatypes::Schema;

    use super::*;
    use crate::data::column::DATE_INFINITY;
    use crate::data::keyed::{Collision, KeyType, Pattern};

    fn layout(pattern: &str) -> Layout {
        Layout {
            pattern: Pattern::parse(pattern).expect("a pattern"),
            key_type: KeyType::Hash,
            values: Vec::new(),
            score: None,
            expiry: None,
            moments: Moments::Rfc3339,
            collision: Collision::Reject,
        }
    }

    fn rows(columns: Vec<(&str, ColumnType, ArrayRef)>) -> (Vec<Column>, RecordBatch) {
        let shapes: Vec<_> = columns.iter().map(|(name, ty, _)| Column::new(*name, ty.clone())).collect();
        let fields: Vec<_> = shapes.iter().map(|column| column.ty.field(&column.name, true)).collect();
        let arrays = columns.into_iter().map(|(.., array)| array).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of these types");
        (shapes, rows)
    }

    #[test]
    fn keys_are_the_pattern_with_the_values_of_each_row() {
        let (columns, rows) = rows(vec![
            ("name", ColumnType::TEXT, Arc::new(StringArray::from(vec!["ann", "{b}%", ""]))),
            ("id", ColumnType::Int64, Arc::new(Int64Array::from(vec![1, -22, 333]))),
        ]);
        let keys = Keys::render(&layout("u:{{{id}}}:{name}:{id}"), &columns, &rows).expect("keys");
        let told: Vec<_> = (0..keys.len()).map(|row| String::from_utf8_lossy(keys.get(row))).collect();
        assert_eq!(told, ["u:{1}:ann:1", "u:{-22}:%7Bb%7D%25:-22", "u:{333}::333"]);
        let same = Keys::render(&layout("queue"), &columns, &rows).expect("keys");
        assert_eq!((same.len(), same.get(0), same.get(2)), (3, &b"queue"[..], &b"queue"[..]));
    }

    #[test]
    fn a_value_without_a_form_is_refused_by_name() {
        let (columns, rows) = rows(vec![
            ("day", ColumnType::Date, Arc::new(Date32Array::from(vec![0, DATE_INFINITY]))),
            ("id", ColumnType::Int64, Arc::new(Int64Array::from(vec![Some(1), None]))),
        ]);
        let refused = |pattern: &str, rows: &RecordBatch| {
            let refusal = Keys::render(&layout(pattern), &columns, rows).expect_err("a refusal");
            (refusal.column.unwrap_or_default(), refusal.reason)
        };
        assert_eq!(refused("d:{day}", &rows), ("day".to_owned(), Reason::OutOfRange));
        assert_eq!(refused("i:{id}", &rows), ("id".to_owned(), Reason::NullValue));
        assert_eq!(refused("i:{other}", &rows), ("other".to_owned(), Reason::Refused));
        let first = Keys::render(&layout("d:{day}:{id}"), &columns, &rows.slice(0, 1)).expect("a key");
        assert_eq!(first.get(0), b"d:1970-01-01:1");
    }
}
