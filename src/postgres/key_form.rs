//! Values of keys: how they arrive from the server, what they are called elsewhere, and how they are
//! given back to it.

use crate::data::column::ColumnType;
use crate::data::position::{KeyRef, KeyValue};
use crate::{Error, ErrorKind, Result};

/// How a key's value arrives, and what it is as a [`KeyRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
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

impl KeyForm {
    /// That of a column of this type.
    pub(crate) const fn of(ty: &ColumnType) -> Self {
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
    pub(crate) fn read<T>(self, bytes: &[u8], with: impl FnOnce(KeyRef<'_>) -> T) -> Result<T> {
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
    pub(crate) fn parse(self, text: String) -> Option<KeyValue> {
        Some(match self {
            Self::Int2 | Self::Int4 | Self::Int8 => KeyValue::Int(text.parse().ok()?),
            Self::Bytes => KeyValue::Bytes(hex::decode(text.strip_prefix("\\x")?).ok()?),
            _ => KeyValue::Text(text),
        })
    }

    /// A value as the server reads it; `None` where it is not of this form: the table has changed since.
    pub(crate) fn text(self, value: &KeyValue) -> Option<String> {
        match (self, value) {
            (Self::Int2 | Self::Int4 | Self::Int8, KeyValue::Int(value)) => Some(value.to_string()),
            (Self::Bytes, KeyValue::Bytes(bytes)) => Some(format!("\\x{}", hex::encode(bytes))),
            (Self::Int2 | Self::Int4 | Self::Int8 | Self::Bytes, _) => None,
            (_, KeyValue::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_called_the_same_whether_it_was_read_or_rendered() {
        let read = |form: KeyForm, bytes: &[u8]| {
            form.read(bytes, |value| match value {
                KeyRef::Int(value) => KeyValue::Int(value),
                KeyRef::Text(text) => KeyValue::Text(text.to_owned()),
                KeyRef::Bytes(bytes) => KeyValue::Bytes(bytes.to_vec()),
                _ => KeyValue::Null,
            })
            .expect("well formed")
        };
        for (form, bytes, text) in [
            (KeyForm::Int2, &[0xff, 0xfe][..], "-2"),
            (KeyForm::Int8, &[0, 0, 0, 0, 0, 0, 1, 0][..], "256"),
            (KeyForm::Bool, &[1][..], "true"),
            (KeyForm::Text, "é".as_bytes(), "é"),
            (KeyForm::Bytes, &[0, 255][..], "\\x00ff"),
            (KeyForm::Uuid, &[0x1f; 16][..], "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f"),
        ] {
            assert_eq!(form.parse(text.to_owned()), Some(read(form, bytes)), "{form:?}");
            assert_eq!(form.text(&read(form, bytes)).as_deref(), Some(text), "{form:?}");
        }
        assert_eq!(
            KeyForm::Int4.read(&[0], |_| ()).expect_err("four bytes").kind(),
            ErrorKind::Internal
        );
    }
}
