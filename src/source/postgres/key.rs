//! Keys: by what rows are ordered and compared.
//!
//! A key is ordered in its own type and collation, so that its index serves. Where two values
//! that are not the same bytes may be equal (citext, a nondeterministic collation; numeric and
//! the like in a key that nothing holds unique), it is ordered by its text in binary collation
//! instead, because a page boundary between equal values would hide rows.

use super::shape::Shape;
use crate::data::column::ColumnType;
use crate::data::position::Key;
use crate::postgres::key_form::KeyForm;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Most columns of a key: as many as an index has.
pub(super) const KEY_COLUMNS_MAX: usize = 32;

/// One column of a key.
#[derive(Debug, Clone)]
pub(super) struct KeyPart {
    /// The column itself.
    pub(super) column: String,
    /// By what rows are ordered.
    pub(super) order: String,
    /// Type to cast a text to that is compared with the column itself.
    cast: String,
    /// The same for what rows are ordered by.
    order_cast: String,
    /// Ordered by its text.
    pub(super) by_text: bool,
    /// An array, of which there is no list as an array.
    pub(super) is_array: bool,
    pub(super) form: KeyForm,
    pub(super) nullable: bool,
}

/// The parts of a key, in order.
///
/// # Errors
/// [`ErrorKind::Mapping`] for a column that is not there.
pub(super) fn parts(shape: &Shape, key: &[String]) -> Result<Vec<KeyPart>> {
    if key.len() > KEY_COLUMNS_MAX {
        return Err(Error::new(
            ErrorKind::Mapping,
            format!("a source key of more than {KEY_COLUMNS_MAX} columns"),
        ));
    }
    let unique = shape.is_unique(key);
    key.iter()
        .map(|name| {
            let (column, fact) = shape.column(name)?;
            let quoted = format!("s.{}", quote::ident(name)?);
            let by_text = fact.loose || !(unique || is_bytewise(&column.ty));
            let collation = |cast: &str| match &fact.collation {
                Some(collation) => format!("{cast} collate {collation}"),
                None => cast.to_owned(),
            };
            let cast = collation(&fact.cast);
            Ok(KeyPart {
                order: if by_text {
                    format!("({quoted})::text collate \"C\"")
                } else {
                    quoted.clone()
                },
                order_cast: if by_text {
                    "text collate \"C\"".to_owned()
                } else {
                    cast.clone()
                },
                column: quoted,
                cast,
                by_text,
                is_array: fact.cast.ends_with("[]"),
                form: KeyForm::of(&column.ty),
                nullable: column.nullable,
            })
        })
        .collect()
}

/// Whether equal values are equal bytes.
fn is_bytewise(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Bool
            | ColumnType::Int16
            | ColumnType::Int32
            | ColumnType::Int64
            | ColumnType::Text { padded: false, .. }
            | ColumnType::Bytes
            | ColumnType::Date
            | ColumnType::Time { .. }
            | ColumnType::Timestamp { .. }
            | ColumnType::Uuid
            | ColumnType::Enum { .. }
    )
}

impl KeyPart {
    /// The value of a setting, to be compared with what rows are ordered by.
    pub(super) fn bound(&self, setting: &str) -> String {
        format!("pg_catalog.current_setting('{setting}')::{}", self.order_cast)
    }

    /// A text to be compared with the column itself.
    pub(super) fn as_column(&self, text: &str) -> String {
        format!("{text}::{}", self.cast)
    }

    /// The array of a setting, to be compared with the column itself.
    pub(super) fn as_columns(&self, setting: &str) -> String {
        let (ty, collation) = self.cast.split_once(" collate ").unwrap_or((&self.cast, ""));
        let array = format!("pg_catalog.current_setting('{setting}')::text[]::{ty}[]");
        if collation.is_empty() {
            array
        } else {
            format!("({array}) collate {collation}")
        }
    }
}

/// Texts of a key's values, as the server reads them.
///
/// # Errors
/// [`ErrorKind::Checkpoint`] where the key is not of this form: the table has changed since.
pub(super) fn texts(parts: &[KeyPart], key: &Key) -> Result<Vec<String>> {
    let fits = key.0.len() == parts.len();
    let texts = key.0.iter().zip(parts).map(|(value, part)| part.form.text(value));
    texts.collect::<Option<Vec<_>>>().filter(|_| fits).ok_or_else(|| {
        Error::new(
            ErrorKind::Checkpoint,
            "the source's key has other columns or types than the one reading stopped at",
        )
    })
}
