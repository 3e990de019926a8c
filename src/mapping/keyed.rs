//! What a stream says of the keys that it writes, where its target is no table.

use std::sync::Arc;

use super::Located;
use crate::data::finding::Place;
use crate::data::keyed::{Collision, Expiry, Layout};

/// How a stream's rows become keys, with the places of what the mapping says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// All of it.
    pub layout: Arc<Layout>,
    /// `key`: the pattern as it is written.
    pub pattern: Located<String>,
    /// `value`, where the mapping names the columns.
    pub values: Option<Located<Vec<Located<String>>>>,
    /// `score`.
    pub score: Option<Located<String>>,
    /// `expires_at`.
    pub expires_at: Option<Located<String>>,
    /// `on_collision`, where it is written.
    pub collision: Option<Located<Collision>>,
}

impl Keyed {
    /// Where a placeholder stands.
    #[must_use]
    pub fn placeholder(&self, column: &str) -> Place {
        let written = format!("{{{column}}}");
        match self.pattern.value.find(&written) {
            Some(at) => self.pattern.inside(&(at..at + written.len())),
            None => self.pattern.place.clone(),
        }
    }
}

/// When the keys of a layout expire, in words.
#[must_use]
pub fn told(layout: &Layout) -> Option<String> {
    match layout.expiry.as_ref()? {
        Expiry::After(after) => {
            let milliseconds = after.as_millis();
            let fits = |(_, length): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*length));
            let (unit, length) = UNITS.iter().rev().find(fits)?;
            Some(format!("expires after {}{unit}", milliseconds / u128::from(*length)))
        }
        Expiry::At(column) => Some(format!("expires at `{column}`")),
    }
}

/// Units of a time to live with their milliseconds, the smallest first.
pub const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
