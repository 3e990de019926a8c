//! Rejects: rows that could not be moved, each with its key, column and reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::position::Key;

/// Why a row cannot be moved. The names are persisted: never rename one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The source's value is not what its column or the mapping says (text in a number column,
    /// malformed date, invalid UTF-8).
    Unreadable,
    /// An expression failed on this row (division by zero, overflow, unparsable text).
    Expression,
    /// The value has no exact form in the target's type.
    Inexact,
    /// The value is outside the target type's range.
    OutOfRange,
    /// Longer than `varchar(n)` allows.
    TooLong,
    /// NULL into a column that refuses it.
    NullValue,
    /// A NUL byte, which the target's text cannot hold.
    NulByte,
    /// Not valid JSON, or JSON that the target would change.
    Json,
    /// A label that the target's enum does not have.
    EnumLabel,
    /// A rule of the mapping was broken.
    Rule,
    /// A row with this key, or another unique value, exists.
    Duplicate,
    /// Two source rows map to one target key.
    KeyCollision,
    /// The row that this one refers to does not exist.
    ForeignKey,
    /// A check or exclusion constraint.
    Constraint,
    /// A trigger raised an error or dropped the row.
    Trigger,
    /// Larger than the limit of a row.
    TooLarge,
    /// Another refusal by the target.
    Refused,
}

impl Reason {
    /// The persisted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Expression => "expression",
            Self::Inexact => "inexact",
            Self::OutOfRange => "out_of_range",
            Self::TooLong => "too_long",
            Self::NullValue => "null_value",
            Self::NulByte => "nul_byte",
            Self::Json => "json",
            Self::EnumLabel => "enum_label",
            Self::Rule => "rule",
            Self::Duplicate => "duplicate",
            Self::KeyCollision => "key_collision",
            Self::ForeignKey => "foreign_key",
            Self::Constraint => "constraint",
            Self::Trigger => "trigger",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A source row that was not moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Reject {
    /// Source key, by which the row is found again.
    pub key: Key,
    /// Column concerned: of the target, or of the source where reading failed.
    pub column: Option<String>,
    /// Class of the reason.
    pub reason: Reason,
    /// In words; names columns, types and constraints, not values.
    pub detail: String,
    /// The whole source row as one JSON object (values as text where JSON has no type).
    /// Only for the reject store: never logged or printed (Invariant 9).
    pub row: String,
}
