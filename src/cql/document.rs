//! Collections, vectors, tuples and user-defined types: an array or a document as the bytes of CQL,
//! exact or refused with the reason.
//!
//! What is taken comes back as it was: the same elements, the same members, texts in the same
//! spelling. So no element of a set may be there twice, nothing within may be NULL (but in a tuple),
//! and a collection that CQL cannot tell from NULL when it is empty may not be empty.

use arrow::array::{Array, ArrayRef, AsArray};
use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType};

use super::decode::element::fixed_size;
use super::encode::{Cells, Refused};
use super::{kind, vint};
use crate::data::reject::Reason;

mod json;
mod order;

pub(crate) use json::put as put_json;

/// Appends the value of a row, which is not NULL: of a list of scalars, or of JSON text.
///
/// # Errors
/// [`Refused`] with what stands in the way; what was appended is no value then.
pub(crate) fn encode(ty: &CqlType<'_>, array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
    if let Some(text) = array.as_string_opt::<i32>() {
        let start = out.len();
        put_json(ty, text.value(row), out)?;
        return kept(ty, &out[start..]);
    }
    let (Some(lists), Some(element)) = (array.as_list_opt::<i32>(), element(ty)) else {
        return Err(other(ty));
    };
    let offset = |at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or_default();
    let rows = offset(row)..offset(row + 1);
    let items = lists.values();
    let cells = Cells::of(element, items).map_err(|_| other(ty))?;
    let start = out.len();
    let mut parts = Parts::begin(ty, rows.len(), out)?;
    for row in rows {
        if items.is_null(row) {
            return Err(no_null(ty));
        }
        parts.add(out, |out| cells.put(row, out))?;
    }
    parts.end()?;
    kept(ty, &out[start..])
}

/// What the elements of a list, set or vector are.
fn element<'a, 'b>(ty: &'a CqlType<'b>) -> Option<&'a CqlType<'b>> {
    match ty {
        CqlType::Collection {
            typ: CollectionType::List(element) | CollectionType::Set(element),
            ..
        }
        | CqlType::Vector { typ: element, .. } => Some(element),
        _ => None,
    }
}

/// Elements on their way, each behind its length where it needs one.
struct Parts<'a> {
    ty: &'a CqlType<'a>,
    form: Form,
    /// Of a set, what tells its elements apart.
    distinct: Option<order::Distinct<'a>>,
    bytes: Vec<u8>,
}

enum Form {
    Counted,
    Bare,
    Varying,
}

impl<'a> Parts<'a> {
    fn begin(ty: &'a CqlType<'_>, count: usize, out: &mut Vec<u8>) -> Result<Self, Refused> {
        let form = if let CqlType::Vector { typ, dimensions } = ty {
            if count != usize::from(*dimensions) {
                return Err(Refused::new(
                    Reason::OutOfRange,
                    format!("a {} has {dimensions} elements, neither more nor less", kind::name(ty)),
                ));
            }
            if fixed_size(typ).is_some() {
                Form::Bare
            } else {
                Form::Varying
            }
        } else {
            put_length(count, out)?;
            Form::Counted
        };
        let distinct = match ty {
            CqlType::Collection {
                typ: CollectionType::Set(element),
                ..
            } => Some(order::Distinct::new(element)),
            _ => None,
        };
        Ok(Self {
            ty,
            form,
            distinct,
            bytes: Vec::new(),
        })
    }

    fn add(&mut self, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> Result<(), Refused>) -> Result<(), Refused> {
        if let (Form::Bare, None) = (&self.form, &self.distinct) {
            return put(out);
        }
        self.bytes.clear();
        put(&mut self.bytes)?;
        match self.form {
            Form::Counted => put_length(self.bytes.len(), out)?,
            Form::Varying => vint::put_unsigned(self.bytes.len() as u64, out),
            Form::Bare => {}
        }
        out.extend_from_slice(&self.bytes);
        if let Some(distinct) = &mut self.distinct {
            distinct.add(&self.bytes);
        }
        Ok(())
    }

    fn end(self) -> Result<(), Refused> {
        match self.distinct {
            Some(distinct) if distinct.has_equal() => Err(Refused::new(
                Reason::Duplicate,
                format!("two elements of a {} are the same, and it keeps one", kind::name(self.ty)),
            )),
            _ => Ok(()),
        }
    }
}

/// What is not frozen is a number of cells: without any, there is no value at all.
fn kept(ty: &CqlType<'_>, bytes: &[u8]) -> Result<(), Refused> {
    let empty = match ty {
        CqlType::Collection { frozen: false, .. } => bytes == [0; 4],
        CqlType::UserDefinedType { frozen: false, .. } => bytes.chunks(4).all(|length| length == [0xff; 4]),
        _ => false,
    };
    if empty {
        return Err(Refused::new(
            Reason::Inexact,
            format!(
                "an empty {} is the same as NULL where it is not frozen: make the column frozen<…>, or the value NULL",
                kind::name(ty)
            ),
        ));
    }
    Ok(())
}

fn put_length(length: usize, out: &mut Vec<u8>) -> Result<(), Refused> {
    let length = i32::try_from(length).map_err(|_| Refused::new(Reason::TooLarge, "it has too many bytes"))?;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(())
}

fn no_null(ty: &CqlType<'_>) -> Refused {
    Refused::new(Reason::NullValue, format!("a {} holds no NULL", kind::name(ty)))
}

fn other(ty: &CqlType<'_>) -> Refused {
    Refused::new(Reason::Json, format!("the value is no {}", kind::name(ty)))
}

#[cfg(test)]
mod tests;
