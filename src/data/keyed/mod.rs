//! Rows as keys: how the rows of a stream become keys of a key-value target, as a mapping declares
//! it. Pure: patterns, layouts, and the exact bytes that values are written as.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod form;
pub mod keys;
pub mod owner;
pub mod pattern;
pub mod read;
pub mod text;

pub use form::Form;
pub use keys::Keys;
pub use pattern::Pattern;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    /// The value of one column, as it is.
    String,
    /// A JSON object with a member for each value column.
    Json,
    /// A field for each value column; those that are NULL are left out.
    Hash,
    /// One column's values of all rows with the same key.
    Set,
    /// The same, each with a score.
    Zset,
    /// The same, in the order of the source's key.
    List,
    /// An entry for each row with a field for each value column, in the order of the source's key.
    Stream,
    /// A whole number that the application goes on counting from.
    Counter,
}

/// When a key expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    /// So long after it was written (whole milliseconds, more than none).
    After(Duration),
    /// At the moment in this column; a row without one stays for ever, one whose moment has passed
    /// is counted as expired and not written.
    At(String),
}

/// How moments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moments {
    /// `2026-11-21T20:37:58.123Z`, with as many of 0, 3 or 6 fraction digits as it takes; without
    /// the `Z` where it is a wall clock's.
    #[default]
    Rfc3339,
    /// Seconds since 1970 in UTC; a fraction is refused.
    UnixSeconds,
    /// Milliseconds since 1970 in UTC; a smaller fraction is refused.
    UnixMilliseconds,
    /// Microseconds since 1970 in UTC.
    UnixMicroseconds,
}

/// What happens to a source row whose key (or member) another source row has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Collision {
    /// It is a reject that names the other.
    #[default]
    Reject,
    /// It goes over the earlier one, and the run tells how many did.
    LaterWins,
}

/// How the rows of one stream become keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What their keys are called.
    pub pattern: Pattern,
    /// What a key holds.
    pub key_type: KeyType,
    /// Columns whose values are written, in the order of the mapping; exactly one for a string,
    /// counter, set, zset or list.
    pub values: Vec<String>,
    /// Column of the score, of a zset.
    pub score: Option<String>,
    /// When keys expire, if they do.
    pub expiry: Option<Expiry>,
    /// How moments are written.
    pub moments: Moments,
    /// What happens to rows that meet in one key.
    pub collision: Collision,
}

impl KeyType {
    /// As a mapping writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Json => "json",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::List => "list",
            Self::Stream => "stream",
            Self::Counter => "counter",
        }
    }

    /// As Redis's TYPE tells it.
    #[must_use]
    pub const fn stored(self) -> &'static str {
        match self {
            Self::String | Self::Json | Self::Counter => "string",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::List => "list",
            Self::Stream => "stream",
        }
    }

    /// Many rows go into one key.
    #[must_use]
    pub const fn gathers(self) -> bool {
        matches!(self, Self::Set | Self::Zset | Self::List | Self::Stream)
    }

    /// Rows are told apart by their place alone: they are moved in order, over one session, into a
    /// key that is put in place when all of them are there.
    #[must_use]
    pub const fn is_ordered(self) -> bool {
        matches!(self, Self::List | Self::Stream)
    }
}

impl Layout {
    /// Columns that tell the rows apart in the target: placeholders of the key, and the member of a
    /// set. Empty where their place does.
    #[must_use]
    pub fn key_columns(&self) -> Vec<String> {
        if self.key_type.is_ordered() {
            return Vec::new();
        }
        let mut columns: Vec<String> = Vec::new();
        for column in self.pattern.columns() {
            if !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        }
        if matches!(self.key_type, KeyType::Set | KeyType::Zset) {
            columns.extend(
                self.values
                    .iter()
                    .filter(|value| !columns.contains(value))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        columns
    }

    /// Whether it matters which of two rows of one key comes first: their rows are moved in the
    /// order of the source's key, not in several splits side by side.
    #[must_use]
    pub const fn order_matters(&self) -> bool {
        self.key_type.is_ordered() || matches!(self.collision, Collision::LaterWins)
    }

    /// Whether a NULL in the column is left out (of a hash, a stream's entry) or written as such
    /// (JSON), rather than refused. A moment of expiry may be NULL too.
    #[must_use]
    pub fn takes_null(&self, column: &str) -> bool {
        let is_value = self.values.iter().any(|value| value == column);
        let is_key = self.pattern.columns().any(|part| part == column) || self.score.as_deref() == Some(column);
        let is_moment = matches!(&self.expiry, Some(Expiry::At(at)) if at == column);
        let optional = matches!(self.key_type, KeyType::Hash | KeyType::Json | KeyType::Stream);
        !is_key && (is_moment || (is_value && optional))
    }

    /// Everything that decides what is written, as stable text, for the fingerprint.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{self:?}")
    }
}
