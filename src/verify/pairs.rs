//! The rows of one key on both sides: which are the same, and what is left of either.
//!
//! Rows with one key are a set with repetitions on each side. Those that are the same go away in
//! pairs. What is left are different rows as long as there is one of each side, then missing or
//! extra ones. A recorded reject that is not in the target is neither missing nor different, and
//! covers no row of the target.

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    /// Hash of the whole row.
    pub(super) row: u128,
    /// It is the source's.
    pub(super) source: bool,
    /// It is a recorded reject.
    pub(super) recorded: bool,
}

/// What is left of the rows of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left<P> {
    pub(super) rejected: Vec<P>,
    pub(super) different: Vec<(P, P)>,
    pub(super) missing: Vec<P>,
    pub(super) extra: Vec<P>,
}

/// Pairs rows of one key. `rows` are in the order of their hashes; `keyed`: rows of one key that
/// are not the same are one row that differs.
pub(super) fn left<P: Copy>(rows: &[P], keyed: bool, fact: impl Fn(P) -> Fact) -> Left<P> {
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    for same in rows.chunk_by(|one, other| fact(*one).row == fact(*other).row) {
        let (mut source, target): (Vec<P>, Vec<P>) = same.iter().partition(|place| fact(**place).source);
        let pairs = source.len().min(target.len());
        if pairs > 0 && source.len() > pairs {
            // Of rows that are the same, those are in the target that are no recorded rejects.
            source.sort_by_key(|place| fact(*place).recorded);
        }
        sources.extend_from_slice(&source[pairs..]);
        targets.extend_from_slice(&target[pairs..]);
    }
    let (rejected, sources): (Vec<P>, Vec<P>) = sources.into_iter().partition(|place| fact(*place).recorded);
    let pairs = if keyed { sources.len().min(targets.len()) } else { 0 };
    Left {
        rejected,
        different: sources[..pairs]
            .iter()
            .copied()
            .zip(targets[..pairs].iter().copied())
            .collect(),
        missing: sources[pairs..].to_vec(),
        extra: targets[pairs..].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn source(row: u128) -> Fact {
        Fact {
            row,
            source: true,
            recorded: false,
        }
    }

    const fn target(row: u128) -> Fact {
        Fact {
            source: false,
            ..source(row)
        }
    }

    const fn recorded(row: u128) -> Fact {
        Fact {
            recorded: true,
            ..source(row)
        }
    }

    fn counts(rows: &[Fact], keyed: bool) -> (usize, usize, usize, usize) {
        let left = left(rows, keyed, |fact| fact);
        (
            left.rejected.len(),
            left.different.len(),
            left.missing.len(),
            left.extra.len(),
        )
    }

    #[test]
    fn equal_rows_go_away_in_pairs_however_many_there_are() {
        assert_eq!(counts(&[source(1), target(1)], true), (0, 0, 0, 0));
        assert_eq!(counts(&[source(1), target(1), target(1)], true), (0, 0, 0, 1));
        assert_eq!(counts(&[source(1), source(1), target(1)], true), (0, 0, 1, 0));
        assert_eq!(counts(&[source(1), target(2)], true), (0, 1, 0, 0));
        assert_eq!(counts(&[source(1), target(2)], false), (0, 0, 1, 1));
        assert_eq!(counts(&[source(1), source(2), target(2), target(3)], true), (0, 1, 0, 0));
    }

    #[test]
    fn a_recorded_reject_is_rejected_only_where_it_is_not_in_the_target() {
        assert_eq!(counts(&[recorded(1)], true), (1, 0, 0, 0));
        assert_eq!(counts(&[recorded(1), target(1)], true), (0, 0, 0, 0));
        // Two source rows with one key, of which one was moved.
        assert_eq!(counts(&[source(1), target(1), recorded(2)], true), (1, 0, 0, 0));
        assert_eq!(counts(&[recorded(1), source(1), target(1)], true), (1, 0, 0, 0));
        // A row that was there before.
        assert_eq!(counts(&[recorded(1), target(2)], true), (1, 0, 0, 1));
    }
}
