//! Invariant 13, the part that a plan can prove: no two source rows have one target key.
//!
//! The proof needs that the source's key tells its rows apart, that every part of it goes into
//! the target's key by itself, and that nothing on its way makes two values one. A flexible
//! column may hold `1` and `'1'` side by side, which read as one type are the same; the proof
//! holds for keys of one storage class, and [`Proof::classes`] says which to insist on.

use crate::data::column::ColumnType;
use crate::data::position::KeyClass;
use crate::data::table::Table;

use super::cast::Cast;

/// A target key column and the one source column that it is made of.
pub(super) struct Part<'a> {
    /// Source column, taken as it is or through `uuid_v5`.
    pub(super) column: &'a str,
    /// As which type it is read.
    pub(super) read: &'a ColumnType,
    /// Through `uuid_v5('a constant', column)`.
    pub(super) hashed: bool,
    /// From there to the target's type.
    pub(super) cast: &'a Cast,
}

/// The proof, and what it rests on.
#[derive(Debug)]
pub(super) struct Proof {
    /// For each part of the source key the class that its values must have.
    pub(super) classes: Vec<KeyClass>,
}

/// Tries to prove it.
pub(super) fn prove(source: &Table, source_key: &[String], parts: &[Part<'_>]) -> Option<Proof> {
    if source_key.is_empty() || !is_unique(source, source_key) {
        return None;
    }
    let classes = source_key.iter().map(|name| {
        let part = parts.iter().find(|part| part.column == name && part.is_injective())?;
        let column = source.column(name)?;
        if column.flexible {
            class(part.read)
        } else {
            Some(KeyClass::Any)
        }
    });
    Some(Proof {
        classes: classes.collect::<Option<_>>()?,
    })
}

/// Whether the source's rows differ in these columns. A view or query names no unique columns:
/// there the reader insists that the key moves on from row to row.
fn is_unique(source: &Table, source_key: &[String]) -> bool {
    let covered = |columns: &[String]| !columns.is_empty() && columns.iter().all(|column| source_key.contains(column));
    (source.key.is_empty() && source.uniques.is_empty())
        || covered(&source.key)
        || source.uniques.iter().any(|unique| covered(unique))
}

impl Part<'_> {
    fn is_injective(&self) -> bool {
        let kept = !self.hashed || matches!(self.read, ColumnType::Text { .. }) || class(self.read) == Some(KeyClass::Int);
        kept && self.cast.keeps_distinct()
    }
}

/// The class whose values stay apart when they are read as this type.
const fn class(read: &ColumnType) -> Option<KeyClass> {
    match read {
        ColumnType::Text { .. } => Some(KeyClass::Text),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => Some(KeyClass::Int),
        ColumnType::Bytes => Some(KeyClass::Bytes),
        _ => None,
    }
}
