//! What becomes of rows of which some may be in the target already.

use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType};

use super::look::Found;
use super::portion::{Layout, Portion};
use super::stream::OpenStream;
use crate::cql::bound::{UNSET, Walk};
use crate::data::counts::Written;
use crate::data::reject::Reason;
use crate::data::stream::OnConflict;
use crate::error::Refusal;
use crate::{Error, Result};

/// Which rows are written, and what that makes of them.
pub(super) struct Decided {
    /// Rows of the portion.
    pub(super) wanted: Vec<usize>,
    /// Of each of them, whether a column behind its key holds what it must not any more.
    pub(super) erased: Vec<(usize, Vec<bool>)>,
    /// Figures.
    pub(super) written: Written,
}

/// Decides for each row, by what was found under its key. `stamp` is what the rows would be written
/// with.
///
/// # Errors
/// [`crate::ErrorKind::Refused`] where the stream wants no row to be there already.
pub(super) fn decide(open: &OpenStream, portion: &Portion, found: &[Option<Found>], stamp: i64) -> Result<Decided> {
    let mut decided = Decided {
        wanted: Vec::with_capacity(found.len()),
        erased: Vec::new(),
        written: Written {
            expired: portion.expired,
            ..Written::default()
        },
    };
    for (row, found) in found.iter().enumerate() {
        let Some(found) = found else {
            decided.written.inserted += 1;
            decided.wanted.push(row);
            continue;
        };
        let difference = difference(&open.layout, portion, row, found, stamp);
        let replayed = open.is_replaying() && is_own(open, found, stamp, difference.differs);
        if replayed {
            decided.written.inserted += 1;
        } else {
            match (open.target.on_conflict, difference.differs) {
                (OnConflict::Error, _) | (OnConflict::ErrorUnlessEqual, true) => return Err(duplicate()),
                (OnConflict::Update, true) if difference.effective => decided.written.updated += 1,
                // What the application has written since stays, as it would have if it came first.
                (OnConflict::Skip | OnConflict::Update | OnConflict::ErrorUnlessEqual, _) => {
                    decided.written.skipped += 1;
                    continue;
                }
            }
        }
        decided.wanted.push(row);
        if difference.erased.iter().any(|erased| *erased) {
            decided.erased.push((row, difference.erased));
        }
    }
    Ok(decided)
}

struct Difference {
    /// Some column holds something else.
    differs: bool,
    /// Writing it would change that, for it was not written later.
    effective: bool,
    /// Columns that hold something and are to be NULL.
    erased: Vec<bool>,
}

fn difference(layout: &Layout, portion: &Portion, row: usize, found: &Found, stamp: i64) -> Difference {
    let mut difference = Difference {
        differs: false,
        effective: false,
        erased: Vec::new(),
    };
    let columns = &layout.columns[layout.key..];
    for (at, ((length, cell), column)) in portion.values(row).zip(columns).enumerate() {
        let there = found.cells.get(at).and_then(Option::as_deref);
        let wanted = (length != UNSET && length >= 0).then_some(cell);
        let same = same(&column.ty, wanted, there);
        difference.erased.push(!same && wanted.is_none());
        if !same {
            difference.differs = true;
            let written = found.stamps.get(at).copied().flatten();
            difference.effective |= written.is_none_or(|written| written <= stamp);
        }
    }
    difference
}

/// Whether a column holds what it should. Sets and maps are kept in an order of their own; one that is
/// empty is NULL.
pub(super) fn same(ty: &CqlType<'_>, wanted: Option<&[u8]>, there: Option<&[u8]>) -> bool {
    if wanted == there {
        return true;
    }
    let CqlType::Collection { frozen, typ } = ty else {
        return false;
    };
    if !frozen && there.is_none() {
        return wanted.is_some_and(|wanted| wanted == [0; 4]);
    }
    let each = match typ {
        CollectionType::Set(_) => 1,
        CollectionType::Map(..) => 2,
        _ => return false,
    };
    let parts = |cells: &[u8]| {
        let elements: Vec<Vec<u8>> = Walk(cells.get(4..).unwrap_or_default())
            .map(|(_, cell)| cell.to_vec())
            .collect();
        let mut parts: Vec<Vec<Vec<u8>>> = elements.chunks(each).map(<[Vec<u8>]>::to_vec).collect();
        parts.sort();
        parts
    };
    matches!((wanted, there), (Some(wanted), Some(there)) if parts(wanted) == parts(there))
}

/// Whether a row is one that this stream has written, as far as its columns tell.
fn is_own(open: &OpenStream, found: &Found, stamp: i64, differs: bool) -> bool {
    let first = open.stamp.unwrap_or(stamp);
    let mut stamps = found.stamps.iter().flatten().peekable();
    if stamps.peek().is_none() {
        // Nothing tells when it was written: every column is NULL, or there is none.
        return !differs;
    }
    stamps.any(|written| (first..=stamp).contains(written))
}

fn duplicate() -> Error {
    Error::refused(Refusal {
        column: None,
        reason: Reason::Duplicate,
        detail: "the table has a row with this key already".to_owned(),
    })
}
