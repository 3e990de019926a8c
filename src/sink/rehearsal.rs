//! Claims of a rehearsal: kept in memory, for nothing is written that could be read back.

use std::collections::HashMap;

use crate::data::position::Key;
use crate::ledger::Claim;

/// Claims target keys for source rows; for each that another row has taken, its index and that row's
/// key.
pub(super) fn claim(known: &mut HashMap<u128, Key>, claims: &[Claim]) -> Vec<(usize, Key)> {
    let mut taken = Vec::new();
    for (at, claim) in claims.iter().enumerate() {
        let owner = known.entry(claim.digest).or_insert_with(|| claim.key.clone());
        if *owner != claim.key {
            taken.push((at, owner.clone()));
        }
    }
    taken
}
