//! The SQL that reads a stream in key order, and goes on after any key; or in the order of row ids.
//!
//! Rows are ordered byte by byte (`collate binary`) whatever the column's own collation, because
//! a page boundary in the middle of values that NOCASE takes for equal would hide rows. NULLs
//! come first, as SQLite sorts them, and are compared with `is`, so that none is passed over.

use rusqlite::types::{ToSqlOutput, ValueRef};

use super::catalog::Shape;
use super::wide;
use crate::data::position::{Key, KeyValue};
use crate::data::stream::{Order, Origin, Subject};
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// What is selected from where, and by which key it is ordered.
#[derive(Debug)]
pub(super) struct Selection {
    from: String,
    /// Condition of a subject.
    subject: Option<String>,
    order: Order,
    /// Name of the row id, where rows come in its order; it is selected behind the columns.
    place: Option<String>,
    /// Condition of a piece.
    piece: Option<String>,
    /// Selected columns: those that were asked for, then the parts of the key not among them.
    pub(super) columns: Vec<String>,
    /// Places of the key's parts among the selected columns; empty for an atomic stream.
    pub(super) key: Vec<usize>,
    /// How many of them were asked for; the others are tie-breakers.
    asked: usize,
    /// The key cannot repeat: the database itself sees to it.
    pub(super) unique: bool,
    /// Places of columns whose values may be long, no part of the key among them.
    pub(super) long: Vec<usize>,
}

impl Selection {
    /// Selects `columns` ordered by `key`, to which the shape's own tie-breakers are added where
    /// it might repeat.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] for a column that is not there.
    pub(super) fn new(origin: &Origin, shape: &Shape, columns: impl Iterator<Item = String>, key: &[String]) -> Result<Self> {
        let mut selection = Self {
            from: from(origin),
            subject: None,
            order: Order::Key,
            place: None,
            piece: None,
            columns: Vec::new(),
            key: Vec::new(),
            asked: key.len(),
            unique: false,
            long: Vec::new(),
        };
        for column in columns {
            known(shape, &column)?;
            selection.columns.push(column);
        }
        if key.is_empty() {
            return Ok(selection);
        }
        let mut key = key.to_vec();
        selection.unique = shape.is_unique(&key);
        if !selection.unique && !shape.tie_breakers.is_empty() {
            key.extend(
                shape
                    .tie_breakers
                    .iter()
                    .filter(|part| !key.contains(part))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            selection.unique = true;
        }
        for part in key {
            known(shape, &part)?;
            let place = selection.columns.iter().position(|column| *column == part);
            selection.key.push(place.unwrap_or(selection.columns.len()));
            if place.is_none() {
                selection.columns.push(part);
            }
        }
        Ok(selection)
    }

    /// Selects the rows of a subject only.
    pub(super) fn of_subject(mut self, subject: Option<&Subject>) -> Self {
        self.subject = subject.map(|subject| subject.condition.clone());
        self
    }

    /// Selects rows in this order; in key order instead of that of places until these are known.
    pub(super) const fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Selects rows in the order of their row ids, which are called so.
    pub(super) fn in_places(&mut self, row_id: &str) {
        self.place = Some(row_id.to_owned());
    }

    /// Whether the key begins with the row id: its order is that of places.
    pub(super) fn is_by_row_id(&self, shape: &Shape) -> bool {
        let first = self.key.first().map(|place| self.columns[*place].as_str());
        first.is_some() && (first == shape.row_id || first == shape.row_id_column.as_deref())
    }

    /// All rows in the order of their row ids, those after one of them where it is `bounded`.
    fn scan_places(&self, row_id: &str, bounded: bool, long: Option<usize>) -> String {
        let place = format!("s.{}", quoted(row_id));
        let after = if bounded {
            format!(" where {place} > ?1")
        } else {
            String::new()
        };
        format!("{}{after} order by {place}", self.select(long))
    }

    /// Finds the row id of the row with a key.
    pub(super) fn place_of(&self) -> String {
        let parts: Vec<_> = (0..self.key.len()).map(|i| self.equal(i)).collect();
        let place = self.place.as_deref().map_or_else(|| "null".to_owned(), quoted);
        format!("select s.{place} from {} where {}", self.from, parts.join(" and "))
    }

    /// Selects rows of a piece only.
    pub(super) fn of_piece(mut self, piece: Option<String>) -> Self {
        self.piece = piece;
        self
    }

    /// Names the columns whose values may be long, among those that were asked for.
    pub(super) fn with_long(mut self, long: impl Fn(usize) -> bool) -> Self {
        let places = (0..self.columns.len()).filter(|place| !self.key.contains(place) && long(*place));
        self.long = places.collect();
        self
    }

    /// All rows (of a subject, of a piece), or those after a key, in key order, without values that are
    /// longer than `long`. Parameters are the key's values, or `$key` of the subject.
    pub(super) fn scan(&self, after: Option<&Key>, long: Option<usize>) -> Result<String> {
        if let Some(row_id) = &self.place {
            return Ok(self.scan_places(row_id, after.is_some(), long));
        }
        let mut sql = self.select(long);
        if let Some(condition) = &self.subject {
            sql.push_str(&belongs(condition));
        } else if let Some(piece) = &self.piece {
            sql.push_str(" where ");
            sql.push_str(piece);
        } else if let Some(after) = after {
            self.check(after)?;
            sql.push_str(" where ");
            sql.push_str(&self.after(after));
        }
        if !self.key.is_empty() && self.order != Order::Any {
            let order: Vec<_> = self.key.iter().map(|place| self.part(*place)).collect();
            sql.push_str(" order by ");
            sql.push_str(&order.join(", "));
        }
        Ok(sql)
    }

    /// The row with a key of so many parts; all such rows where tie-breakers are left out.
    pub(super) fn lookup(&self, parts: usize, long: Option<usize>) -> String {
        let parts: Vec<_> = (0..parts).map(|i| self.equal(i)).collect();
        format!("{} where {}", self.select(long), parts.join(" and "))
    }

    /// Whether rows can be looked up by such a key, with tie-breakers or without.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] if not: the table has changed since.
    pub(super) fn check_lookup(&self, key: &Key) -> Result<()> {
        if key.0.len() == self.asked { Ok(()) } else { self.check(key) }
    }

    /// Whether a key has the form that this selection's keys have.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] if not: the table has changed since.
    pub(super) fn check(&self, key: &Key) -> Result<()> {
        if key.0.len() == self.key.len() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Checkpoint,
            "the source's key has another number of columns than the one reading stopped at",
        ))
    }

    /// The place of the column that tells the lengths of long values, where they are left out.
    pub(super) fn lengths(&self, long: Option<usize>) -> Option<usize> {
        let before = self.columns.len() + usize::from(self.place.is_some());
        let told = long.is_some() && !self.long.is_empty() && wide::has_room(before);
        told.then_some(before)
    }

    fn select(&self, long: Option<usize>) -> String {
        let long = long.filter(|_| self.lengths(long).is_some());
        let mut columns: Vec<_> = self.columns.iter().map(|column| format!("s.{}", quoted(column))).collect();
        let place = self.place.iter().map(|row_id| format!("s.{}", quoted(row_id)));
        columns.extend(place);
        if let Some(bytes_max) = long {
            for place in &self.long {
                columns[*place] = wide::unless_long(&self.columns[*place], bytes_max);
            }
            columns.push(wide::lengths(self.long.iter().map(|place| &self.columns[*place]), bytes_max));
        }
        let columns = if columns.is_empty() {
            "null".to_owned()
        } else {
            columns.join(", ")
        };
        format!("select {columns} from {}", self.from)
    }

    fn part(&self, place: usize) -> String {
        format!("s.{} collate binary", quoted(&self.columns[place]))
    }

    fn equal(&self, i: usize) -> String {
        format!("{} is ?{}", self.part(self.key[i]), i + 1)
    }

    /// `k1 > ?1 or (k1 is ?1 and (k2 > ?2 or …))`, led by `k1 >= ?1`, which lets an index find
    /// the place.
    fn after(&self, key: &Key) -> String {
        let greater = |i: usize| match key.0[i] {
            KeyValue::Null => format!("{} is not null", self.part(self.key[i])),
            _ => format!("{} > ?{}", self.part(self.key[i]), i + 1),
        };
        let last = self.key.len() - 1;
        let condition = (0..last).rev().fold(greater(last), |inner, i| {
            format!("({} or ({} and {inner}))", greater(i), self.equal(i))
        });
        if last == 0 || key.0[0] == KeyValue::Null {
            condition
        } else {
            format!("{} >= ?1 and {condition}", self.part(self.key[0]))
        }
    }
}

/// Counts the rows of an origin.
pub(super) fn count(origin: &Origin) -> String {
    format!("select count(*) from {}", from(origin))
}

/// Counts the rows for which a subject's condition holds.
pub(super) fn count_subject(origin: &Origin, condition: &str) -> String {
    format!("{}{}", count(origin), belongs(condition))
}

/// Selects all columns of those rows.
pub(super) fn subject(origin: &Origin, condition: &str) -> String {
    format!("select * from {}{}", from(origin), belongs(condition))
}

/// On lines of its own: the condition may end in a comment.
fn belongs(condition: &str) -> String {
    format!(" where (\n{condition}\n)")
}

/// That the shape has a column.
///
/// # Errors
/// [`ErrorKind::Mapping`] if not.
pub(super) fn known(shape: &Shape, column: &str) -> Result<()> {
    if shape.table.column(column).is_some() || shape.row_id == Some(column) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Mapping,
        format!("`{}` has no column `{column}`", shape.table.name),
    ))
}

/// What rows are selected from, under the name `s`.
pub(super) fn from(origin: &Origin) -> String {
    match origin {
        Origin::Table(TableName { name, .. }) => format!("main.{} as s", quoted(name)),
        // On lines of its own: the text may end in a comment.
        Origin::Query { sql } => format!("(\n{sql}\n) as s"),
    }
}

/// An identifier in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A key's value as a parameter, in its storage class.
pub(super) fn parameter(value: &KeyValue) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        KeyValue::Null => ValueRef::Null,
        KeyValue::Int(value) => ValueRef::Integer(*value),
        KeyValue::RealBits(bits) => ValueRef::Real(f64::from_bits(*bits)),
        KeyValue::Text(value) => ValueRef::Text(value.as_bytes()),
        KeyValue::RawText(value) => ValueRef::Text(value),
        KeyValue::Bytes(value) => ValueRef::Blob(value),
    })
}
