//! Values that are encoded already, as the driver takes them.

use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::{Error, ErrorKind};

/// Length of a cell that is NULL.
pub(crate) const NULL: i32 = -1;
/// Length of a cell that is not touched.
pub(crate) const UNSET: i32 = -2;

/// Cells of a statement, each with its length before it, in the order of the statement's marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    /// The cells' bytes.
    pub(crate) cells: &'a [u8],
    /// Cells that follow them.
    pub(crate) more: &'a [u8],
}

impl<'a> Bound<'a> {
    /// These cells alone.
    pub(crate) const fn of(cells: &'a [u8]) -> Self {
        Self { cells, more: &[] }
    }
}

impl SerializeRow for Bound<'_> {
    fn serialize(&self, _: &RowSerializationContext<'_>, writer: &mut RowWriter) -> Result<(), SerializationError> {
        for (length, cell) in Walk(self.cells).chain(Walk(self.more)) {
            let place = writer.make_cell_writer();
            let _written = match length {
                UNSET => place.set_unset(),
                ..0 => place.set_null(),
                _ => place.set_value(cell).map_err(|_| too_long())?,
            };
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.more.is_empty()
    }
}

fn too_long() -> SerializationError {
    SerializationError::new(Error::new(ErrorKind::Internal, "a cell is longer than 2 GiB"))
}

/// The cells of some bytes: length and what follows it, nothing behind a length below 0.
pub(crate) struct Walk<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = (i32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let (cell, rest) = rest.split_at_checked(usize::try_from(length).unwrap_or(0))?;
        self.0 = rest;
        Some((length, cell))
    }
}

/// Appends a cell: what `write` adds, behind its length.
pub(crate) fn cell<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    // A row is refused long before a cell has so many bytes.
    let length = i32::try_from(out.len() - at - 4).unwrap_or(i32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_walked_as_they_were_put() {
        let mut cells = Vec::new();
        cell::<()>(&mut cells, |out| {
            out.extend_from_slice(b"ab");
            Ok(())
        })
        .expect("put");
        cells.extend_from_slice(&UNSET.to_be_bytes());
        cells.extend_from_slice(&NULL.to_be_bytes());
        cell::<()>(&mut cells, |_| Ok(())).expect("put");
        let walked: Vec<_> = Walk(&cells).collect();
        let none: &[u8] = &[];
        assert_eq!(walked, [(2, b"ab".as_slice()), (UNSET, none), (NULL, none), (0, none)]);
    }
}
