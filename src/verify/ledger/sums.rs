//! What is summed up of the rows of one batch, on both sides.

use crate::data::digest::Digest;

/// Rows of a batch as they are now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// Rows read from the source.
    pub(super) read: u64,
    /// Rows of the source, through the mapping, but for those that are rejects now.
    pub(super) source: Digest,
    /// Rows that are rejects now and that the mapping does not refuse.
    pub(super) rejects: Digest,
    /// Rows of the target with the keys of the source's rows.
    pub(super) target: Digest,
    /// Sum of the canonical hashes of the source's rows: what they mean, not how it is spelt.
    pub(super) source_meaning: u128,
    /// The same of the target's.
    pub(super) target_meaning: u128,
    /// Rows of the target that are there and cannot be read.
    pub(super) broken: u64,
    /// The target does not tell rows by the values of their keys.
    pub(super) unfindable: bool,
}

impl Sums {
    /// Rows of the target that are there.
    pub(super) const fn there(&self) -> u64 {
        self.target.rows + self.broken
    }

    /// Both sides hold rows of one meaning.
    pub(super) const fn agree(&self) -> bool {
        self.broken == 0 && self.source.rows == self.target.rows && self.source_meaning == self.target_meaning
    }

    /// The source still gives the rows with this digest.
    pub(super) fn gives(&self, then: Digest) -> bool {
        let mut all = self.source;
        all.add(self.rejects);
        // Rejects of the batch itself are not in its digest; those that came later are.
        self.source == then || all == then
    }
}
