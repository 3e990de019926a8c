//! Reading a table as it is stored: in the order of its row ids. In the order of a key that is not the
//! row id each row is a detour over an index to some other page of the file.
//!
//! A row keeps its id until it is deleted, replaced or the file is rebuilt (`vacuum`, which changes the
//! version of the schema, too). So reading goes on behind a row only where that very row is still at
//! its place under the same version; otherwise the place is void ([`ErrorKind::Void`]), and whoever
//! reads begins again, over what is there.

use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::catalog::Shape;
use super::failure::reading;
use super::statement::{self, Selection};
use crate::data::position::{Key, Position};
use crate::data::stream::{Order, ReadRequest};
use crate::{Error, ErrorKind, Result};

/// A table whose rows have places, and where reading begins in it.
#[derive(Debug)]
pub(super) struct Stored {
    /// Version of the schema.
    layout: i64,
    /// The row after which reading begins.
    after: Option<(i64, Key)>,
}

impl Stored {
    /// Whether, and from where on, a request is read so; makes its selection fit.
    ///
    /// # Errors
    /// [`ErrorKind::Void`] where it was, and cannot go on.
    pub(super) fn of(
        connection: &Connection,
        request: &ReadRequest,
        shape: &Shape,
        selection: &mut Selection,
    ) -> Result<Option<Self>> {
        let before = match &request.after {
            None => None,
            Some(Position::Stored { place, key, layout, .. }) => Some((*place, key.as_ref(), *layout)),
            Some(_) => return Ok(None),
        };
        let parts = request.only.is_none() && request.subject.is_none() && request.piece.is_none();
        let row_id = shape.place().filter(|_| selection.unique && parts);
        let Some(row_id) = row_id.filter(|_| request.order == Order::Stored && !selection.is_by_row_id(shape)) else {
            return before.map_or(Ok(None), |_| Err(void()));
        };
        selection.in_places(row_id);
        let layout = connection
            .query_row("pragma main.schema_version", [], |row| row.get(0))
            .map_err(reading)?;
        let after = match before {
            Some((place, Some(key), known)) => {
                let found = find(connection, selection, key)?.ok_or_else(void)?;
                if place.is_some_and(|place| place != found) || known.is_some_and(|known| known != layout) {
                    return Err(void());
                }
                Some((found, key.clone()))
            }
            _ => None,
        };
        Ok(Some(Self { layout, after }))
    }

    /// The position from which on rows are read.
    pub(super) fn begins(&self) -> Option<Position> {
        self.after.clone().map(|(place, key)| self.position(place, key))
    }

    /// The position behind the row with this key.
    pub(super) const fn position(&self, place: i64, key: Key) -> Position {
        Position::Stored {
            place: Some(place),
            key: Some(key),
            layout: Some(self.layout),
            again: false,
        }
    }
}

/// Where the row with a key is.
fn find(connection: &Connection, selection: &Selection, key: &Key) -> Result<Option<i64>> {
    selection.check(key)?;
    let values = key.0.iter().map(statement::parameter);
    connection
        .query_row(&selection.place_of(), params_from_iter(values), |row| row.get(0))
        .optional()
        .map_err(reading)
}

fn void() -> Error {
    Error::new(
        ErrorKind::Void,
        "the row that was read last is not where it was: the table was changed or the file rebuilt since",
    )
}
