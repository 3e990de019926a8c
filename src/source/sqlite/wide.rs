//! Wide rows: how they are told before they are read, and what becomes of those that are too large.
//!
//! Rows in the order of their key are read as they are, while the database refuses any value that is
//! longer than a row of a portion has room for; it looks at a value's length before it loads it. Once it
//! has refused one, and wherever there is no going on from a key, the statement itself leaves long values
//! out and tells their lengths in a column more. Such a row is then read alone, when there is memory for
//! it, or it is a reject that was never held whole (Invariants 4 and 7).

use rusqlite::Connection;
use rusqlite::limits::Limit;
use serde_json::{Value, json};

use super::failure::reading;
use super::statement::quoted;
use crate::data::column::ColumnType;
use crate::{Error, ErrorKind, Result};

/// A value of this length is never long, however many columns a row has.
const VALUE_BYTES_MIN: usize = 16 << 10;
/// Columns of a result, as SQLite is built.
const RESULT_COLUMNS_MAX: usize = 2_000;
/// Arguments of one call of a function.
const ARGUMENTS: usize = 50;

/// Whether values read as this may be long. A number or a time that is has no such meaning, and ends the
/// stream as [`too_long`].
pub(super) const fn may_be_long(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Text { .. } | ColumnType::Json { .. } | ColumnType::Bytes | ColumnType::List(_)
    )
}

/// The longest value that a row of so many columns may have to be no wider than a portion.
pub(super) fn value_bytes_max(portion_bytes: usize, columns: usize) -> usize {
    (portion_bytes / columns.max(1)).max(VALUE_BYTES_MIN)
}

/// Whether there is room for the column with the lengths.
pub(super) const fn has_room(columns: usize) -> bool {
    columns < RESULT_COLUMNS_MAX
}

/// A column, NULL where its value is too long.
pub(super) fn unless_long(name: &str, bytes_max: usize) -> String {
    let name = quoted(name);
    format!("case when octet_length(s.{name}) > {bytes_max} then null else s.{name} end")
}

/// The lengths of these columns, where one of them is too long; else NULL.
pub(super) fn lengths<'a>(names: impl Iterator<Item = &'a String>, bytes_max: usize) -> String {
    let lengths: Vec<_> = names
        .map(|name| format!("ifnull(octet_length(s.{}), 0)", quoted(name)))
        .collect();
    let longest = grouped("max(0, ", lengths.clone());
    let all = grouped("concat_ws(',', ", lengths);
    format!("case when {longest} > {bytes_max} then {all} end")
}

/// One call over all of them, of calls over some each.
fn grouped(call: &str, mut parts: Vec<String>) -> String {
    loop {
        parts = parts
            .chunks(ARGUMENTS)
            .map(|some| format!("{call}{})", some.join(", ")))
            .collect();
        if let [whole] = parts.as_slice() {
            return whole.clone();
        }
    }
}

/// Reads the column with the lengths.
pub(super) fn told(lengths: &str) -> Vec<u64> {
    lengths.split(',').map(|length| length.parse().unwrap_or(0)).collect()
}

/// What a reject shows of a value that was left out.
pub(super) fn left_out(bytes: u64) -> Value {
    json!({ "bytes": bytes })
}

/// Sets how long a value may be that the database loads, as long as it stands.
pub(super) struct LengthLimit<'a> {
    connection: &'a Connection,
    before: i32,
}

impl<'a> LengthLimit<'a> {
    pub(super) fn set(connection: &'a Connection, bytes_max: usize) -> Result<Self> {
        let bytes_max = i32::try_from(bytes_max).unwrap_or(i32::MAX);
        let before = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes_max).map_err(reading)?;
        Ok(Self { connection, before })
    }
}

impl Drop for LengthLimit<'_> {
    fn drop(&mut self) {
        let restored = self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, self.before);
        debug_assert!(restored.is_ok(), "an open connection takes back the limit that it had");
    }
}

/// A value is too long where no row may have one.
pub(super) fn too_long(bytes_max: usize) -> Error {
    Error::new(
        ErrorKind::Unreadable,
        format!("a value of more than {bytes_max} bytes is in a column that is not read as text, JSON or bytes"),
    )
    .hint("leave the row out with the stream's `where`, or raise [limits] memory_limit_megabytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_many_columns_are_told_in_their_order() {
        let connection = Connection::open_in_memory().expect("a database");
        for columns in [1, 49, 50, 51, 120, 1_999] {
            let names: Vec<_> = (0..columns).map(|n| format!("c{n}")).collect();
            connection
                .execute_batch(&format!("drop table if exists s; create table s ({})", names.join(", ")))
                .expect("a table");
            let values: Vec<_> = (0..columns).map(|n| format!("zeroblob({n})")).collect();
            // As many values as a statement may have terms.
            connection
                .execute(&format!("insert into s values ({})", values.join(", ")), [])
                .expect("a row");
            let ask = |bytes_max: usize| -> Option<String> {
                let sql = format!("select {} from s", lengths(names.iter(), bytes_max));
                connection.query_row(&sql, [], |row| row.get(0)).expect("one row")
            };
            assert_eq!(ask(columns), None, "{columns} columns, none of them long");
            if columns > 1 {
                let found = told(&ask(columns - 2).expect("the last one is long"));
                assert_eq!(found, (0..columns as u64).collect::<Vec<_>>());
            }
        }
    }
}
