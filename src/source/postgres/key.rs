//! Keys: by what rows are ordered and compared, and what their values are called elsewhere.
//!
//! A key is ordered in its own type and collation, so that its index serves. Where two values
//! that are not the same bytes may be equal (citext, a nondeterministic collation; numeric and
//! the like in a key that nothing holds unique), it is ordered by its text in binary collation
//! instead, because a page boundary between equal values would hide rows.

use super::shape::Shape;
use crate::data::column::ColumnType;
use crate::data::position::{Key, KeyRef, KeyValue};
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
    pub(super) form: Form,
    pub(super) nullable: bool,
}

/// How a key's value arrives, and what it is as a [`KeyRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Int2,
    Int4,
    Int8,
    Bool,
    /// Also labels.
    Text,
    Bytes,
    Uuid,
    /// The server writes it as text.
    Rendered,
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
                form: Form::of(&column.ty),
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

impl Form {
    const fn of(ty: &ColumnType) -> Self {
        match ty {
            ColumnType::Int16 => Self::Int2,
            ColumnType::Int32 => Self::Int4,
            ColumnType::Int64 => Self::Int8,
            ColumnType::Bool => Self::Bool,
            ColumnType::Text { .. } | ColumnType::Enum { .. } => Self::Text,
            ColumnType::Bytes => Self::Bytes,
            ColumnType::Uuid => Self::Uuid,
            _ => Self::Rendered,
        }
    }

    /// Calls `with` with a field's bytes as a value of a key.
    pub(super) fn read<T>(self, bytes: &[u8], with: impl FnOnce(KeyRef<'_>) -> T) -> Result<T> {
        fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
            bytes
                .try_into()
                .map_err(|_| Error::new(ErrorKind::Internal, "a value of the key is not of the size that its type has"))
        }
        let text = |bytes| std::str::from_utf8(bytes).map_or(KeyRef::RawText(bytes), KeyRef::Text);
        Ok(match self {
            Self::Int2 => with(KeyRef::Int(i64::from(i16::from_be_bytes(fixed(bytes)?)))),
            Self::Int4 => with(KeyRef::Int(i64::from(i32::from_be_bytes(fixed(bytes)?)))),
            Self::Int8 => with(KeyRef::Int(i64::from_be_bytes(fixed(bytes)?))),
            Self::Bool => with(KeyRef::Text(if fixed::<1>(bytes)? == [0] { "false" } else { "true" })),
            Self::Text | Self::Rendered => with(text(bytes)),
            Self::Bytes => with(KeyRef::Bytes(bytes)),
            Self::Uuid => {
                let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
                let uuid = uuid::Uuid::from_bytes(fixed(bytes)?);
                with(KeyRef::Text(uuid.as_hyphenated().encode_lower(&mut buffer)))
            }
        })
    }

    /// The value that a text of the server's stands for.
    pub(super) fn parse(self, text: String) -> Option<KeyValue> {
        Some(match self {
            Self::Int2 | Self::Int4 | Self::Int8 => KeyValue::Int(text.parse().ok()?),
            Self::Bytes => KeyValue::Bytes(hex::decode(text.strip_prefix("\\x")?).ok()?),
            _ => KeyValue::Text(text),
        })
    }

    fn holds(self, value: &KeyValue) -> bool {
        match self {
            Self::Int2 | Self::Int4 | Self::Int8 => matches!(value, KeyValue::Int(_)),
            Self::Bytes => matches!(value, KeyValue::Bytes(_)),
            _ => matches!(value, KeyValue::Text(_)),
        }
    }
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
    let fits = key.0.len() == parts.len() && key.0.iter().zip(parts).all(|(value, part)| part.form.holds(value));
    if !fits {
        return Err(Error::new(
            ErrorKind::Checkpoint,
            "the source's key has other columns or types than the one reading stopped at",
        ));
    }
    Ok(key
        .0
        .iter()
        .map(|value| match value {
            KeyValue::Int(value) => value.to_string(),
            KeyValue::Bytes(bytes) => format!("\\x{}", hex::encode(bytes)),
            KeyValue::Text(text) => text.clone(),
            KeyValue::Null | KeyValue::RealBits(_) | KeyValue::RawText(_) => String::new(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_called_the_same_whether_it_was_read_or_rendered() {
        let read = |form: Form, bytes: &[u8]| {
            form.read(bytes, |value| match value {
                KeyRef::Int(value) => KeyValue::Int(value),
                KeyRef::Text(text) => KeyValue::Text(text.to_owned()),
                KeyRef::Bytes(bytes) => KeyValue::Bytes(bytes.to_vec()),
                _ => KeyValue::Null,
            })
            .expect("well formed")
        };
        for (form, bytes, text) in [
            (Form::Int2, &[0xff, 0xfe][..], "-2"),
            (Form::Int8, &[0, 0, 0, 0, 0, 0, 1, 0][..], "256"),
            (Form::Bool, &[1][..], "true"),
            (Form::Text, "é".as_bytes(), "é"),
            (Form::Bytes, &[0, 255][..], "\\x00ff"),
            (Form::Uuid, &[0x1f; 16][..], "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f"),
        ] {
            assert_eq!(form.parse(text.to_owned()), Some(read(form, bytes)), "{form:?}");
        }
        assert_eq!(
            Form::Int4.read(&[0], |_| ()).expect_err("four bytes").kind(),
            ErrorKind::Internal
        );
    }
}
