//! Pieces: parts of a table that can be read one by one, in no order, at different times.

use serde::{Deserialize, Serialize};

/// A part of a table. Its numbers are the source's own: blocks in Postgres, row ids in SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What lies from one number on (inclusive) and before another.
    Range {
        /// `None` from the first.
        from: Option<i64>,
        /// `None` to the end, however far that is by then.
        until: Option<i64>,
    },
    /// Rows that were written after the moment of this [`Pieces::mark`], wherever they lie, and
    /// perhaps some more; none of what was deleted.
    Since(String),
}

/// How a table can be read in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pieces {
    /// Where every piece but the last ends, ascending.
    pub bounds: Vec<i64>,
    /// What the numbers mean. While it is the same text, a row that nobody writes stays in its
    /// piece.
    pub layout: String,
    /// Names the moment that is read, for [`Piece::Since`]. Two equal texts mean the same content.
    pub mark: String,
}

impl Pieces {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.bounds.len() + 1
    }

    /// One of them; together they are the whole table.
    #[must_use]
    pub fn piece(&self, number: usize) -> Piece {
        Piece::Range {
            from: number.checked_sub(1).and_then(|before| self.bounds.get(before)).copied(),
            until: self.bounds.get(number).copied(),
        }
    }
}

/// Where pieces of about so many bytes end, of numbers from `first` to `last` that stand for
/// `bytes` in all.
#[must_use]
pub(crate) fn bounds(first: i64, last: i64, bytes: u64, piece_bytes: u64) -> Vec<i64> {
    let numbers = u64::try_from(last.saturating_sub(first)).unwrap_or(0).saturating_add(1);
    let pieces = bytes.div_ceil(piece_bytes.max(1)).clamp(1, PIECES_MAX.min(numbers));
    let step = i64::try_from(numbers.div_ceil(pieces)).unwrap_or(i64::MAX);
    let ends = (1..pieces).map_while(|number| first.checked_add(step.checked_mul(i64::try_from(number).ok()?)?));
    ends.take_while(|end| *end <= last).collect()
}

/// Most pieces of a table.
const PIECES_MAX: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_numbers_and_each_once() {
        assert_eq!(bounds(1, 100, 1_000, 250), [26, 51, 76]);
        assert_eq!(bounds(0, 0, 1 << 40, 1), [0_i64; 0]);
        assert_eq!(bounds(5, 4, 0, 1), [0_i64; 0]);
        assert_eq!(bounds(i64::MIN, i64::MAX, 100, 60).len(), 1);
        let pieces = Pieces {
            bounds: bounds(1, 3, 300, 100),
            layout: String::new(),
            mark: String::new(),
        };
        let range = |from, until| Piece::Range { from, until };
        let all: Vec<Piece> = (0..pieces.count()).map(|number| pieces.piece(number)).collect();
        assert_eq!(all, [range(None, Some(2)), range(Some(2), Some(3)), range(Some(3), None)]);
    }
}
