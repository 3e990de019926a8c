//! Positions: the place in a stream after which reading goes on. Opaque to all but the source
//! that made it; persisted as JSON in the checkpoint, so its wire form is a promise.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One value of a key, with its storage class kept: `1`, `1.0` and `'1'` are three keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyValue {
    /// NULL (only where the source's key allows it).
    Null,
    /// An integer.
    Int(i64),
    /// A float, by its bits, so that it comes back exactly.
    RealBits(u64),
    /// Text.
    Text(String),
    /// Bytes, in hexadecimal.
    Bytes(#[serde(with = "hex::serde")] Vec<u8>),
    /// Text that is not valid UTF-8, in hexadecimal.
    RawText(#[serde(with = "hex::serde")] Vec<u8>),
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => write!(f, "{value}"),
            Self::RealBits(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => write!(f, "x'{}'", hex::encode(value)),
            Self::RawText(value) => write!(f, "text x'{}'", hex::encode(value)),
        }
    }
}

/// Source key of a row: its values in key order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Vec<KeyValue>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

/// Source keys of many rows in one buffer: no allocation per row.
#[derive(Debug, Clone, Default)]
pub struct KeyBuffer {
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// One value of a key, borrowed from where it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeyRef<'a> {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text that is not valid UTF-8.
    RawText(&'a [u8]),
}

/// Storage class of a part of a key, where a proof depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClass {
    /// Integers only.
    Int,
    /// Text only.
    Text,
    /// Bytes only.
    Bytes,
    /// Whatever it is.
    Any,
}

impl KeyBuffer {
    /// Room for `rows` keys of about 16 bytes.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            ends: Vec::with_capacity(rows),
            bytes: Vec::with_capacity(rows * 24),
        }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends one value to the key being built; [`Self::end_row`] closes it.
    pub fn push(&mut self, value: KeyRef<'_>) {
        let (tag, payload): (u8, &[u8]) = match &value {
            KeyRef::Null => (0, &[]),
            KeyRef::Int(v) => (1, &v.to_le_bytes()),
            KeyRef::Real(v) => (2, &v.to_bits().to_le_bytes()),
            KeyRef::Text(v) => (3, v.as_bytes()),
            KeyRef::Bytes(v) => (4, v),
            KeyRef::RawText(v) => (5, v),
        };
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(payload);
    }

    /// Ends the key of one row.
    pub fn end_row(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// Drops the values pushed since the last [`Self::end_row`] (the row became a reject),
    /// and returns them as a key.
    pub fn take_open_row(&mut self) -> Key {
        let start = self.ends.last().copied().unwrap_or(0);
        let key = decode(&self.bytes[start..]);
        self.bytes.truncate(start);
        key
    }

    /// The key of a row.
    ///
    /// # Panics
    /// When `row` is not below [`Self::len`].
    #[must_use]
    pub fn get(&self, row: usize) -> Key {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        decode(&self.bytes[start..self.ends[row]])
    }

    /// The encoded bytes of a row's key: equal bytes, equal key.
    ///
    /// # Panics
    /// When `row` is not below [`Self::len`].
    #[must_use]
    pub fn raw(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// Whether the parts of a row's key are of these classes, in order.
    ///
    /// # Panics
    /// When `row` is not below [`Self::len`].
    #[must_use]
    pub fn is_of(&self, row: usize, classes: &[KeyClass]) -> bool {
        let mut bytes = self.raw(row);
        classes.iter().all(|class| {
            let [tag, rest @ ..] = bytes else { return false };
            let length = usize::try_from(word(rest)).unwrap_or(usize::MAX);
            bytes = &rest[8 + length..];
            match class {
                KeyClass::Int => *tag == 1,
                KeyClass::Text => *tag == 3,
                KeyClass::Bytes => *tag == 4,
                KeyClass::Any => true,
            }
        })
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

fn decode(mut bytes: &[u8]) -> Key {
    let mut values = Vec::new();
    while let [tag, rest @ ..] = bytes {
        let length = usize::try_from(word(rest)).unwrap_or(usize::MAX);
        let payload = &rest[8..8 + length];
        values.push(match tag {
            0 => KeyValue::Null,
            1 => KeyValue::Int(word(payload).cast_signed()),
            2 => KeyValue::RealBits(word(payload)),
            3 => std::str::from_utf8(payload).map_or_else(
                |_| KeyValue::RawText(payload.to_vec()),
                |text| KeyValue::Text(text.to_owned()),
            ),
            4 => KeyValue::Bytes(payload.to_vec()),
            _ => KeyValue::RawText(payload.to_vec()),
        });
        bytes = &rest[8 + length..];
    }
    Key(values)
}

/// The place after which a split goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// After the row with this key, in key order.
    Key(Key),
    /// Only the end is known: a stream without a usable key order is atomic.
    End,
    /// Within a split, which holds the rows whose keys are after its lower bound (exclusive) and
    /// up to its upper one (inclusive).
    Within {
        /// The last row read, or the split's lower bound; `None` at the beginning of the stream.
        after: Option<Key>,
        /// The split's upper bound; `None` for the stream's last split.
        until: Option<Key>,
    },
    /// Within a table that is read as it is stored, whose rows have numbered places there.
    Stored {
        /// Place of the last row read; `None` before the first one, and where only its key is known.
        place: Option<i64>,
        /// Key of that row. Whoever goes on makes sure that the place is still that row's.
        key: Option<Key>,
        /// Version of the source's layout: another one may have given every row another place.
        layout: Option<i64>,
        /// The table is read over what an earlier reading of it brought, whose place is void.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Within a range of a source that hands out pages in an order of its own. The texts are the
    /// source's and opaque to everybody else.
    Range {
        /// What the range is called.
        range: String,
        /// Token after the last page read; `None` at the beginning of the range.
        after: Option<String>,
        /// Token from which the range's changes are followed later, made before its first page.
        changes: Option<String>,
        /// The range is read over what an earlier reading of it brought, whose token is void.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Among the changes of a range since it was read.
    Changes {
        /// What the range is called.
        range: String,
        /// Token after the last change seen.
        after: String,
    },
}

impl Position {
    /// Positions at which the splits begin that keys cut a stream into: one up to each key, one
    /// for what comes after the last.
    #[must_use]
    pub fn between(keys: &[Key]) -> Vec<Self> {
        let bounds = std::iter::once(None).chain(keys.iter().cloned().map(Some));
        let ends = keys.iter().cloned().map(Some).chain([None]);
        bounds.zip(ends).map(|(after, until)| Self::Within { after, until }).collect()
    }

    /// Whether rows may come from here that were brought before.
    #[must_use]
    pub const fn meets_again(&self) -> bool {
        matches!(
            self,
            Self::Range { again: true, .. } | Self::Stored { again: true, .. } | Self::Changes { .. }
        )
    }

    /// The beginning of the range or the table, to read it over what is there; `None` where there is
    /// no such thing.
    #[must_use]
    pub fn anew(&self) -> Option<Self> {
        match self {
            Self::Range { range, changes, .. } => Some(Self::Range {
                range: range.clone(),
                after: None,
                changes: changes.clone(),
                again: true,
            }),
            Self::Stored { .. } => Some(Self::Stored {
                place: None,
                key: None,
                layout: None,
                again: true,
            }),
            _ => None,
        }
    }

    /// The place behind the row with this key, in a table that is read as it is stored.
    #[must_use]
    pub const fn behind(key: Key) -> Self {
        Self::Stored {
            place: None,
            key: Some(key),
            layout: None,
            again: false,
        }
    }

    /// Where following the changes of a range begins; `None` where that was not recorded.
    #[must_use]
    pub fn followed(&self) -> Option<Self> {
        let Self::Range { range, changes, .. } = self else {
            return None;
        };
        Some(Self::Changes {
            range: range.clone(),
            after: changes.clone()?,
        })
    }

    /// Whether it is in one of several splits of a stream.
    #[must_use]
    pub const fn is_within_split(&self) -> bool {
        matches!(self, Self::Within { .. } | Self::Range { .. } | Self::Changes { .. })
    }

    /// Key of the row after which reading goes on, in key order or as rows are stored; `None` from
    /// the beginning, and where the place is no row's.
    #[must_use]
    pub const fn after(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Within { after, .. } => after.as_ref(),
            Self::Stored { key, .. } => key.as_ref(),
            Self::End | Self::Range { .. } | Self::Changes { .. } => None,
        }
    }

    /// The key with which the split ends.
    #[must_use]
    pub const fn until(&self) -> Option<&Key> {
        match self {
            Self::Within { until, .. } => until.as_ref(),
            Self::Key(_) | Self::End | Self::Stored { .. } | Self::Range { .. } | Self::Changes { .. } => None,
        }
    }

    /// The position of a checkpoint after a batch was read up to `read`: a split keeps its end, and
    /// a range that it is read again.
    #[must_use]
    pub fn moved_on(before: Option<&Self>, read: Self) -> Self {
        match (before, read) {
            (Some(Self::Within { until, .. }), Self::Key(key)) => Self::Within {
                after: Some(key),
                until: until.clone(),
            },
            (
                Some(Self::Range { again, changes, .. }),
                Self::Range {
                    range,
                    after,
                    changes: read,
                    ..
                },
            ) => Self::Range {
                range,
                after,
                changes: read.or_else(|| changes.clone()),
                again: *again,
            },
            (Some(Self::Stored { again, .. }), Self::Stored { place, key, layout, .. }) => Self::Stored {
                place,
                key,
                layout,
                again: *again,
            },
            (_, read) => read,
        }
    }

    /// The persisted form.
    ///
    /// # Panics
    /// Never: every value of the type has a JSON form.
    #[must_use]
    #[expect(clippy::expect_used, reason = "integers, text and lists always have a JSON form")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a position always has a JSON form")
    }

    /// Reads the persisted form.
    ///
    /// # Errors
    /// When `text` was not written by [`Self::to_json`].
    pub fn from_json(text: &str) -> crate::Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            crate::Error::new(
                crate::ErrorKind::Checkpoint,
                "the checkpoint holds a position that this version cannot read",
            )
            .because(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_the_buffer() {
        let mut buffer = KeyBuffer::with_capacity(2);
        buffer.push(KeyRef::Int(-1));
        buffer.push(KeyRef::Text("é"));
        buffer.end_row();
        buffer.push(KeyRef::Bytes(&[1, 2]));
        assert_eq!(buffer.take_open_row(), Key(vec![KeyValue::Bytes(vec![1, 2])]));
        buffer.push(KeyRef::Null);
        buffer.push(KeyRef::Real(0.5));
        buffer.end_row();
        assert_eq!(buffer.len(), 2);
        assert!(buffer.is_of(0, &[KeyClass::Int, KeyClass::Text]));
        assert!(buffer.is_of(1, &[KeyClass::Any, KeyClass::Any]));
        assert!(!buffer.is_of(0, &[KeyClass::Text, KeyClass::Text]));
        assert!(
            !buffer.is_of(0, &[KeyClass::Int, KeyClass::Text, KeyClass::Any]),
            "there is no third part"
        );
        assert_eq!(buffer.get(0), Key(vec![KeyValue::Int(-1), KeyValue::Text("é".to_owned())]));
        assert_eq!(buffer.get(1), Key(vec![KeyValue::Null, KeyValue::RealBits(0.5f64.to_bits())]));
    }

    #[test]
    fn the_wire_form_is_pinned() {
        let position = Position::Key(Key(vec![
            KeyValue::Int(9_007_199_254_740_993),
            KeyValue::Text("a\u{0}'".to_owned()),
            KeyValue::RealBits(0.1f64.to_bits()),
            KeyValue::Bytes(vec![0, 255]),
            KeyValue::Null,
        ]));
        let json = position.to_json();
        assert_eq!(
            json,
            r#"{"key":[{"int":9007199254740993},{"text":"a\u0000'"},{"real_bits":4591870180066957722},{"bytes":"00ff"},"null"]}"#
        );
        assert_eq!(Position::from_json(&json).expect("what was just written"), position);
        assert_eq!(Position::from_json("\"end\"").expect("the other form"), Position::End);
        let within = Position::Within {
            after: None,
            until: Some(Key(vec![KeyValue::Int(7)])),
        };
        assert_eq!(within.to_json(), r#"{"within":{"after":null,"until":[{"int":7}]}}"#);
        assert_eq!(Position::from_json(&within.to_json()).expect("what was just written"), within);
    }

    #[test]
    fn a_range_keeps_its_changes_and_that_it_is_read_again() {
        let range = |after: Option<&str>, changes: Option<&str>, again| Position::Range {
            range: "r".to_owned(),
            after: after.map(str::to_owned),
            changes: changes.map(str::to_owned),
            again,
        };
        let first = range(Some("p1"), Some("c"), false);
        assert_eq!(
            first.to_json(),
            r#"{"range":{"range":"r","after":"p1","changes":"c"}}"#,
            "as earlier versions wrote it"
        );
        assert_eq!(Position::from_json(&first.to_json()).expect("what was just written"), first);
        let anew = first.anew().expect("a range");
        assert_eq!(anew, range(None, Some("c"), true));
        assert_eq!(Position::from_json(&anew.to_json()).expect("what was just written"), anew);
        assert_eq!(
            Position::moved_on(Some(&anew), range(Some("p2"), None, false)),
            range(Some("p2"), Some("c"), true)
        );
        let followed = first.followed().expect("it has a token of changes");
        assert_eq!(followed.to_json(), r#"{"changes":{"range":"r","after":"c"}}"#);
        assert!(followed.meets_again() && anew.meets_again() && !first.meets_again());
        assert_eq!(range(Some("p1"), None, false).followed(), None);
    }

    #[test]
    fn a_table_that_is_read_as_it_is_stored_keeps_that_it_is_read_again() {
        let stored = |place: i64, again| Position::Stored {
            place: Some(place),
            key: Some(Key(vec![KeyValue::Text("k".to_owned())])),
            layout: Some(3),
            again,
        };
        let json = r#"{"stored":{"place":7,"key":[{"text":"k"}],"layout":3}}"#;
        assert_eq!(stored(7, false).to_json(), json);
        assert_eq!(Position::from_json(json).expect("what was just written"), stored(7, false));
        let anew = stored(7, false).anew().expect("it has a beginning");
        assert!(anew.meets_again() && !stored(7, false).meets_again());
        assert_eq!(anew.after(), None);
        assert_eq!(Position::moved_on(Some(&anew), stored(9, false)), stored(9, true));
        assert_eq!(Position::moved_on(None, stored(9, false)), stored(9, false));
    }

    #[test]
    fn a_split_keeps_its_end_while_it_moves_on() {
        let key = |number| Key(vec![KeyValue::Int(number)]);
        let split = Position::Within {
            after: None,
            until: Some(key(7)),
        };
        let moved = Position::moved_on(Some(&split), Position::Key(key(5)));
        assert_eq!((moved.after(), moved.until()), (Some(&key(5)), Some(&key(7))));
        assert_eq!(Position::moved_on(None, Position::Key(key(5))), Position::Key(key(5)));
        assert_eq!(Position::moved_on(None, Position::End), Position::End);
    }
}
