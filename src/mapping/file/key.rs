//! Wire form of `key`, which is a list of columns or the pattern of keys.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::data::document::Marked;

/// `key`: the columns of a table, or the pattern of keys.
#[derive(Debug)]
pub(super) enum KeyEntry {
    Columns(Vec<Marked<String>>),
    Pattern(String),
}

impl<'de> Deserialize<'de> for KeyEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeyEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of columns, or the pattern of keys in quotes")
    }

    fn visit_str<E>(self, text: &str) -> Result<KeyEntry, E> {
        Ok(KeyEntry::Pattern(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeyEntry, A::Error> {
        let mut columns = Vec::new();
        while let Some(column) = list.next_element()? {
            columns.push(column);
        }
        Ok(KeyEntry::Columns(columns))
    }
}

impl JsonSchema for KeyEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "string" },
        ] })
    }
}
