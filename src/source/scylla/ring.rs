//! Cutting the ring of tokens, so that ranges can be read side by side.

use crate::cql::connect::Keyspace;

/// Ranges at least.
const RANGES_MIN: usize = 64;

/// Tokens above the first (exclusive) and up to the second. No partition has the least token.
pub(super) type Range = (i64, i64);

/// All tokens: cut where nodes begin, so that each range is one node's, and further where these are
/// few.
pub(super) fn ranges(keyspace: &Keyspace) -> Vec<Range> {
    let state = keyspace.session.get_cluster_state();
    let tokens = state.replica_locator().ring().iter().map(|(token, _)| token.value());
    cut(tokens.collect())
}

fn cut(mut tokens: Vec<i64>) -> Vec<Range> {
    tokens.extend([i64::MIN, i64::MAX]);
    tokens.sort_unstable();
    tokens.dedup();
    let parts = RANGES_MIN.div_ceil(tokens.len() - 1);
    let mut ranges = Vec::new();
    for pair in tokens.windows(2) {
        let (mut from, until) = (pair[0], pair[1]);
        let step = (i128::from(until) - i128::from(from)) / i128::try_from(parts).unwrap_or(1);
        for part in 1..=parts {
            let end = if part == parts || step == 0 {
                until
            } else {
                // Between two numbers of 64 bits.
                i64::try_from(i128::from(from) + step).unwrap_or(until)
            };
            if from < end {
                ranges.push((from, end));
            }
            from = end;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_one_range() {
        for tokens in [
            vec![],
            vec![0],
            vec![i64::MIN, i64::MAX],
            vec![-1, 0, 1, 2, 3],
            (-50..50).map(|token| token * 184_467_440_737_095_516).collect(),
        ] {
            let count = tokens.len();
            let ranges = cut(tokens);
            // Where tokens are neighbours there is nothing between them to cut.
            assert!(
                ranges.len() >= if count == 5 { 26 } else { RANGES_MIN },
                "{count}: {}",
                ranges.len()
            );
            assert_eq!(ranges.first().map(|range| range.0), Some(i64::MIN));
            assert_eq!(ranges.last().map(|range| range.1), Some(i64::MAX));
            for pair in ranges.windows(2) {
                assert!(pair[0].0 < pair[0].1 && pair[0].1 == pair[1].0, "{pair:?}");
            }
        }
    }
}
