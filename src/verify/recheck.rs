//! Looking again at what differs, where the application goes on writing.
//!
//! Between two looks, a key whose rows became the same has settled; one whose rows were the same
//! both times on either side, and differ, is a difference; one whose rows changed again is looked
//! at once more, and unsettled in the end.

use std::collections::{HashMap, HashSet};

use super::report::DifferenceKind;
use super::tally::{Outcome, State};

/// What several looks came to.
pub(super) struct Looks {
    /// Keys that differed and changed at the last look.
    pending: HashMap<u128, State>,
    /// Keys that differed twice in the same way.
    sure: HashMap<u128, State>,
    last: Outcome,
}

impl Looks {
    /// After the first look.
    pub(super) fn new(mut first: Outcome) -> Self {
        Self {
            pending: std::mem::take(&mut first.states),
            sure: HashMap::new(),
            last: first,
        }
    }

    /// Keys to look at again.
    pub(super) fn pending(&self) -> HashSet<u128> {
        self.pending.keys().copied().collect()
    }

    /// Whether there are any.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes in another look at (at least) the pending keys.
    pub(super) fn look(&mut self, mut outcome: Outcome) {
        let mut pending = HashMap::new();
        let (mut list, listed): (Vec<_>, HashSet<String>) = {
            let old = std::mem::take(&mut self.last.differences);
            let kept: Vec<_> = old
                .into_iter()
                .filter(|(_, difference)| self.holds_sure(&difference.id))
                .collect();
            let ids = kept.iter().map(|(_, difference)| difference.id.clone()).collect();
            (kept, ids)
        };
        for (key, before) in std::mem::take(&mut self.pending) {
            match outcome.states.remove(&key) {
                None => {}
                Some(now) if now.seen == before.seen => drop(self.sure.insert(key, now)),
                Some(now) => drop(pending.insert(key, now)),
            }
        }
        let fresh = std::mem::take(&mut outcome.differences).into_iter();
        list.extend(fresh.filter(|(_, difference)| !listed.contains(&difference.id)));
        self.last.differences = list;
        self.pending = pending;
    }

    fn holds_sure(&self, id: &str) -> bool {
        u128::from_str_radix(id, 16).is_ok_and(|key| self.sure.contains_key(&key))
    }

    /// The differences that are sure, and the number of keys that never settled.
    pub(super) fn end(mut self) -> (Outcome, u64) {
        for figures in &mut self.last.members {
            (figures.missing, figures.different) = (0, 0);
        }
        self.last.extra = 0;
        for state in self.sure.values() {
            let figures = &mut self.last.members[state.member];
            figures.missing += state.figures.missing;
            figures.different += state.figures.different;
            self.last.extra += state.extra;
        }
        let (sure, pending) = (&self.sure, &self.pending);
        self.last.differences.retain_mut(|(_, difference)| {
            let Ok(key) = u128::from_str_radix(&difference.id, 16) else {
                return false;
            };
            if pending.contains_key(&key) {
                difference.kind = DifferenceKind::Unsettled;
                return true;
            }
            sure.contains_key(&key)
        });
        let unsettled = self.pending.len() as u64;
        self.last.states = self.sure;
        (self.last, unsettled)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Figures;
    use super::*;

    fn outcome(states: &[(u128, u128)]) -> Outcome {
        let state = |seen: u128| State {
            seen,
            member: 0,
            figures: Figures {
                different: 1,
                ..Figures::default()
            },
            extra: 0,
        };
        Outcome {
            members: vec![Figures::default()],
            states: states.iter().map(|(key, seen)| (*key, state(*seen))).collect(),
            ..Outcome::default()
        }
    }

    #[test]
    fn what_settles_is_equal_what_stays_differs_and_what_goes_on_is_unsettled() {
        let mut looks = Looks::new(outcome(&[(1, 10), (2, 20), (3, 30)]));
        looks.look(outcome(&[(2, 20), (3, 31)]));
        assert_eq!(looks.pending(), HashSet::from([3]));
        looks.look(outcome(&[(3, 32)]));
        let (end, unsettled) = looks.end();
        assert_eq!((end.members[0].different, unsettled), (1, 1));
        let mut looks = Looks::new(outcome(&[(3, 30)]));
        looks.look(outcome(&[]));
        assert!(looks.is_settled());
        assert_eq!(looks.end().1, 0);
    }
}
