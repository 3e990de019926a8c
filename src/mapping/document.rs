//! What a stream reads from documents: which column they are in, which of them it takes, and the
//! fields that become columns.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Located;

/// Name of the column that documents are in, where a mapping names none.
pub const COLUMN: &str = "document";

/// Which documents a stream takes, and where they are (`[stream.document]`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Source column; [`COLUMN`] where it is not named.
    pub column: Option<Located<String>>,
    /// Only documents of these kinds.
    pub kinds: Option<Kinds>,
}

/// Kinds of documents that live side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds {
    /// Path of the text that says the kind.
    pub path: Located<String>,
    /// Texts of the kinds that are taken.
    pub is: Vec<Located<String>>,
}

/// One field: a value of the documents that becomes a source column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name of the column.
    pub name: Located<String>,
    /// Path of the value.
    pub path: Located<String>,
    /// What of the value is read.
    pub content: Content,
    /// What a document without it means.
    pub missing: Absent,
    /// What `null` means.
    pub null: Absent,
}

/// What a field reads of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The value, as this type.
    Value(Located<String>),
    /// Whether it is there at all.
    Present,
}

/// What a value means that is not there, or that is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// NULL.
    #[default]
    Null,
    /// The row is a reject.
    Reject,
}
