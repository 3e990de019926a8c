//! Kinds of documents that a stream leaves to others, counted by name.

use std::collections::BTreeMap;

/// Names that are kept apart (Invariant 7).
const NAMES_MAX: usize = 100;
/// Longest name that is kept: beyond it, it names no kind.
const NAME_BYTES_MAX: usize = 63;

/// How many documents of which kind were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindCounts {
    named: BTreeMap<String, u64>,
    unnamed: u64,
    others: u64,
}

impl KindCounts {
    /// Counts documents of a kind; `None` is a document that names none.
    pub fn add(&mut self, kind: Option<&str>, count: u64) {
        let Some(kind) = kind else {
            self.unnamed += count;
            return;
        };
        if let Some(known) = self.named.get_mut(kind) {
            *known += count;
        } else if self.named.len() < NAMES_MAX && kind.len() <= NAME_BYTES_MAX {
            self.named.insert(kind.to_owned(), count);
        } else {
            self.others += count;
        }
    }

    /// Adds what another batch counted.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.named {
            self.add(Some(kind), *count);
        }
        self.unnamed += other.unnamed;
        self.others += other.others;
    }

    /// Kinds with a name, in the order of their names.
    pub fn named(&self) -> impl Iterator<Item = (&str, u64)> {
        self.named.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// Documents that name no kind.
    #[must_use]
    pub const fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// Documents of kinds beyond those that are kept apart.
    #[must_use]
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named.values().sum::<u64>() + self.unnamed + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_counted_once_and_names_are_bounded() {
        let mut counts = KindCounts::default();
        for number in 0..150 {
            counts.add(Some(&format!("kind {number}")), 2);
        }
        counts.add(Some("kind 0"), 1);
        counts.add(Some(&"x".repeat(64)), 1);
        counts.add(None, 4);
        let mut all = KindCounts::default();
        all.merge(&counts);
        all.merge(&counts);
        assert_eq!(all.named().count(), NAMES_MAX);
        assert_eq!(all.named().next(), Some(("kind 0", 6)));
        assert_eq!((all.unnamed(), all.others()), (8, 2 * (50 * 2 + 1)));
        assert_eq!(all.total(), 2 * (300 + 1 + 1 + 4));
    }
}
