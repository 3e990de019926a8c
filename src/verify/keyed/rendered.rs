//! Rows of a mapping, as keys hold them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Float64Builder, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::{filter, filter_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::data::digest::hash_parts;
use crate::data::keyed::form::{self, KeyFacts};
use crate::data::keyed::keys::values_of;
use crate::data::keyed::text::Values;
use crate::data::keyed::{Expiry, Form, KeyType, Keys, Layout};
use crate::data::table::Column;
use crate::data::text::quoted;
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

/// Bytes that the sink's own name for a key may have besides the key, twice: a key for which there is
/// no room is refused there.
const STAGED_BYTES: usize = 256;

/// How rows are rendered.
pub(super) struct Renderer<'a> {
    pub(super) layout: &'a Layout,
    pub(super) form: &'a Form,
    /// Columns of the mapping's rows.
    pub(super) columns: &'a [Column],
    pub(super) facts: KeyFacts,
    /// Only what tells the rows apart is made, of what has expired, too.
    pub(super) keys_alone: bool,
}

/// Rows of the form, as far as they have one.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) keys: BinaryArray,
    /// Members, of sets.
    pub(super) members: Option<ArrayRef>,
    /// All columns behind those that tell the rows apart.
    pub(super) rest: Vec<ArrayRef>,
    /// For each row its number among those that were given.
    pub(super) origin: Vec<u32>,
    /// Rows whose moment of expiry is past.
    pub(super) expired: u64,
    /// Rows that have no form.
    pub(super) refused: u64,
}

impl Rendered {
    /// What tells each row apart, but for its place in a list.
    pub(super) fn identities(&self) -> Vec<u128> {
        let members = self.members.as_ref().map(AsArray::as_binary::<i32>);
        let of = |row: usize| {
            let member = members.map_or(&[][..], |members| members.value(row));
            hash_parts([self.keys.value(row), member])
        };
        (0..self.keys.len()).map(of).collect()
    }

    /// Keeps the rows that are marked.
    pub(super) fn keep(&mut self, keep: &BooleanArray) -> Result<()> {
        let kept = |array: &dyn Array| filter(array, keep).map_err(|error| defect(&error));
        self.keys = kept(&self.keys)?
            .as_any()
            .downcast_ref::<BinaryArray>()
            .cloned()
            .ok_or_else(lost)?;
        if let Some(members) = &mut self.members {
            *members = kept(members.as_ref())?;
        }
        for column in &mut self.rest {
            *column = kept(column.as_ref())?;
        }
        let origin = UInt32Array::from(std::mem::take(&mut self.origin));
        let origin = kept(&origin)?;
        let origin = origin.as_any().downcast_ref::<UInt32Array>().ok_or_else(lost)?;
        self.origin = origin.values().to_vec();
        Ok(())
    }
}

impl Renderer<'_> {
    /// Renders all rows; those that cannot be are counted.
    pub(super) fn render(&self, rows: &RecordBatch) -> Result<Rendered> {
        let (live, expired, refused) = self.live(rows)?;
        let origin: Vec<u32> = (0..).zip(&live).filter(|(_, live)| **live).map(|(row, _)| row).collect();
        let filtered;
        let rows = if origin.len() == rows.num_rows() {
            rows
        } else {
            filtered = filter_record_batch(rows, &BooleanArray::from(live)).map_err(|error| defect(&error))?;
            &filtered
        };
        let keys = Keys::render(self.layout, self.columns, rows).map_err(|refusal| wrong(&refusal))?;
        let mut good = vec![true; rows.num_rows()];
        if self.keys_alone {
            let values = if self.is_set() { self.values(rows)? } else { Vec::new() };
            let mut made = Made {
                values,
                rows: rows.num_rows(),
                bytes_max: self.facts.bytes_max,
                good: &mut good,
            };
            let members = self.is_set().then(|| made.column(0));
            return finished(&keys, members, Vec::new(), good, (origin, expired, refused));
        }
        let mut made = Made {
            values: self.values(rows)?,
            rows: rows.num_rows(),
            bytes_max: self.facts.bytes_max,
            good: &mut good,
        };
        let (mut members, mut rest) = (None, Vec::new());
        match self.layout.key_type {
            _ if self.is_set() => members = Some(made.column(0)),
            KeyType::Json => rest.push(made.json(&self.layout.values)),
            KeyType::Hash | KeyType::Stream => {
                rest.extend(made.fields());
                rest.push(Arc::new(BinaryArray::new_null(rows.num_rows())) as ArrayRef);
            }
            _ => rest.push(made.column(0)),
        }
        if let Some(score) = &self.layout.score {
            let values = values_of(score, self.columns, rows, self.layout.moments).map_err(|refusal| wrong(&refusal))?;
            rest.push(scores(values, &mut good));
        }
        let kind = std::iter::repeat_n(self.layout.key_type.stored(), rows.num_rows());
        rest.push(Arc::new(StringArray::from_iter_values(kind)));
        rest.push(self.ttls(rows)?);
        finished(&keys, members, rest, good, (origin, expired, refused))
    }

    const fn is_set(&self) -> bool {
        matches!(self.layout.key_type, KeyType::Set | KeyType::Zset)
    }

    /// Rows whose keys can be written and have not expired; how many have, and how many cannot be.
    fn live(&self, rows: &RecordBatch) -> Result<(Vec<bool>, u64, u64)> {
        let mut live = vec![true; rows.num_rows()];
        let (mut expired, mut refused) = (0, 0);
        let fits = |keys: &Keys, row: usize| keys.get(row).len() * 2 + STAGED_BYTES <= self.facts.bytes_max;
        match Keys::render(self.layout, self.columns, rows) {
            Ok(keys) => {
                for (row, live) in live.iter_mut().enumerate() {
                    *live = fits(&keys, row);
                    refused += u64::from(!*live);
                }
            }
            // One of them has none; which ones, is seen one by one.
            Err(_) => {
                for (row, live) in live.iter_mut().enumerate() {
                    let alone = Keys::render(self.layout, self.columns, &rows.slice(row, 1));
                    *live = alone.is_ok_and(|keys| fits(&keys, 0));
                    refused += u64::from(!*live);
                }
            }
        }
        if let Some(Expiry::At(column)) = self.layout.expiry.as_ref().filter(|_| !self.keys_alone) {
            let moments = values_of(column, self.columns, rows, self.layout.moments).map_err(|refusal| wrong(&refusal))?;
            for (row, live) in live.iter_mut().enumerate().filter(|(_, live)| **live) {
                let is_past = moments.milliseconds(row).is_some_and(|moment| moment <= self.facts.now);
                *live = !is_past;
                expired += u64::from(is_past);
            }
        }
        Ok((live, expired, refused))
    }

    fn values(&self, rows: &RecordBatch) -> Result<Vec<Values>> {
        let of = |name: &String| values_of(name, self.columns, rows, self.layout.moments).map_err(|refusal| wrong(&refusal));
        self.layout.values.iter().map(of).collect()
    }

    fn ttls(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let Some(Expiry::At(column)) = &self.layout.expiry else {
            let ttl = self.form.ttl_wanted(None);
            let all = std::iter::repeat_n(ttl.as_str(), rows.num_rows());
            return Ok(Arc::new(StringArray::from_iter_values(all)));
        };
        let moments = values_of(column, self.columns, rows, self.layout.moments).map_err(|refusal| wrong(&refusal))?;
        let mut ttls = StringBuilder::new();
        for row in 0..rows.num_rows() {
            ttls.append_value(self.form.ttl_wanted(moments.milliseconds(row)));
        }
        Ok(Arc::new(ttls.finish()))
    }
}

/// Rows as far as they are good; where they come from, and how many are not there.
fn finished(
    keys: &Keys,
    members: Option<ArrayRef>,
    rest: Vec<ArrayRef>,
    good: Vec<bool>,
    (origin, expired, refused): (Vec<u32>, u64, u64),
) -> Result<Rendered> {
    let good = BooleanArray::from(good);
    let mut rendered = Rendered {
        keys: BinaryArray::from_iter_values((0..keys.len()).map(|row| keys.get(row))),
        members,
        rest,
        origin,
        expired,
        refused: refused + good.false_count() as u64,
    };
    if good.has_false() {
        rendered.keep(&good)?;
    }
    Ok(rendered)
}

/// Values on their way, and which rows have all of theirs.
struct Made<'a> {
    values: Vec<Values>,
    rows: usize,
    bytes_max: usize,
    good: &'a mut [bool],
}

impl Made<'_> {
    /// The values of a column; NULL is none.
    fn column(&mut self, column: usize) -> ArrayRef {
        let mut built = BinaryBuilder::with_capacity(self.rows, self.rows * 16);
        let values = &mut self.values[column];
        for (row, good) in self.good.iter_mut().enumerate() {
            if values.is_null(row) {
                built.append_null();
                continue;
            }
            match values.bytes(row) {
                Ok(bytes) if bytes.len() <= self.bytes_max => built.append_value(&bytes),
                _ => {
                    built.append_null();
                    *good = false;
                }
            }
        }
        Arc::new(built.finish())
    }

    /// One column for each field; a row without any is none.
    fn fields(&mut self) -> Vec<ArrayRef> {
        let columns: Vec<ArrayRef> = (0..self.values.len()).map(|column| self.column(column)).collect();
        for (row, good) in self.good.iter_mut().enumerate() {
            *good &= self.values.iter().any(|values| !values.is_null(row));
        }
        columns
    }

    /// Objects with a member for each of the values.
    fn json(&mut self, names: &[String]) -> ArrayRef {
        let mut built = BinaryBuilder::with_capacity(self.rows, self.rows * 64);
        let mut object = String::new();
        for (row, good) in self.good.iter_mut().enumerate() {
            object.clear();
            let mut opening = '{';
            for (name, values) in names.iter().zip(&self.values) {
                object.push(opening);
                opening = ',';
                quoted(&mut object, name);
                object.push(':');
                *good &= values.push_json(row, &mut object).is_ok();
            }
            object.push('}');
            *good &= object.len() <= self.bytes_max;
            built.append_value(&object);
        }
        Arc::new(built.finish())
    }
}

fn scores(mut values: Values, good: &mut [bool]) -> ArrayRef {
    let mut built = Float64Builder::with_capacity(good.len());
    for (row, good) in good.iter_mut().enumerate() {
        let score = if values.is_null(row) { None } else { values.score(row).ok() };
        *good &= score.is_some();
        built.append_option(score.map(form::score));
    }
    Arc::new(built.finish())
}

/// A plan lets no column pass that cannot be written at all.
fn wrong(refusal: &Refusal) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("a column of keys has no form: {}", refusal.detail),
    )
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "rows of keys lost their form")
}

/// The cause may quote a value (Invariant 9).
fn defect(_: &ArrowError) -> Error {
    lost()
}

#[cfg(test)]
mod tests;
