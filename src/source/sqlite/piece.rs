//! Pieces of a table: ranges of its row ids.
//!
//! SQLite tells of no row when it was written. So pieces of two times fit together only where the
//! whole file is as it was: its content is part of their layout.

use rusqlite::Connection;

use super::catalog::Shape;
use super::failure::reading;
use super::meaning::Meanings;
use super::statement::quoted;
use super::{read, statement};
use crate::data::piece::{Piece, Pieces, bounds};
use crate::data::stream::Origin;
use crate::{Error, ErrorKind, Result};

/// Bytes of a row, where only its file's size is known.
const ROW_BYTES: u64 = 512;

/// Ranges of row ids of about so many bytes; `None` of what has no row ids.
pub(super) fn pieces(
    connection: &Connection,
    meanings: &Meanings,
    origin: &Origin,
    piece_bytes: u64,
    moment: String,
) -> Result<Option<Pieces>> {
    let Some(id) = read::shape(connection, meanings, origin)?.row_id else {
        return Ok(None);
    };
    let from = statement::from(origin);
    // Apart from each other both are found at the ends of the table.
    let sql = format!(
        "select (select min(s.{id}) from {from}), (select max(s.{id}) from {from}), page_count * page_size from pragma_page_count, pragma_page_size"
    );
    let (first, last, file_bytes): (Option<i64>, Option<i64>, i64) = connection
        .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(reading)?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(None);
    };
    let rows = last.abs_diff(first).saturating_add(1);
    let bytes = file_bytes.unsigned_abs().min(rows.saturating_mul(ROW_BYTES));
    Ok(Some(Pieces {
        bounds: bounds(first, last, bytes, piece_bytes),
        layout: moment.clone(),
        mark: moment,
    }))
}

/// The rows of a piece.
///
/// # Errors
/// Defects only: where [`pieces`] gave none.
pub(super) fn condition(shape: &Shape, piece: Option<&Piece>) -> Result<Option<String>> {
    let Some(piece) = piece else { return Ok(None) };
    let (Some(id), Piece::Range { from, until }) = (shape.row_id, piece) else {
        return Err(Error::new(ErrorKind::Internal, "a piece was asked for of what has none"));
    };
    let id = quoted(id);
    let from = from.map(|from| format!("s.{id} >= {from}"));
    let until = until.map(|until| format!("s.{id} < {until}"));
    let conditions: Vec<String> = from.into_iter().chain(until).collect();
    Ok((!conditions.is_empty()).then(|| conditions.join(" and ")))
}
