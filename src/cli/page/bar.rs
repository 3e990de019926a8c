//! A bar: of a hundred, so many rows agree, are missing, and so on. Drawn as shapes, which paper
//! takes and a screen without styles, too.

use crate::cli::verdict::Counted;

/// Units of its whole length.
const WIDTH: u64 = 1000;
/// A share that is not nothing is seen.
const WIDTH_MIN: u64 = 8;

/// A part of a bar.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) x: u64,
    pub(super) width: u64,
}

/// The parts from left to right, and what they say in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) parts: Vec<Part>,
    pub(super) words: String,
}

impl Bar {
    /// The rows of both sides, each once: those that should be in the target, the rejected ones, and
    /// the extra ones.
    pub(super) fn of(counted: &Counted, unchecked: bool) -> Self {
        let same = if unchecked { "unchecked" } else { "equal" };
        let rows = [
            (same, counted.same()),
            ("different", counted.different),
            ("unsettled", counted.unsettled),
            ("missing", counted.missing),
            ("extra", counted.extra),
            ("rejected", counted.rejected),
        ];
        let rows: Vec<_> = rows.into_iter().filter(|(_, rows)| *rows > 0).collect();
        let words = rows
            .iter()
            .map(|(class, rows)| format!("{} {class}", crate::cli::figures::count(*rows)))
            .collect::<Vec<_>>();
        let words = if words.is_empty() {
            "no rows".to_owned()
        } else {
            words.join(", ")
        };
        Self {
            parts: parts(&rows),
            words,
        }
    }
}

fn parts(rows: &[(&'static str, u64)]) -> Vec<Part> {
    let whole: u128 = rows.iter().map(|(_, rows)| u128::from(*rows)).sum();
    let share = |rows: u64| {
        let share = u128::from(rows) * u128::from(WIDTH) / whole.max(1);
        u64::try_from(share).unwrap_or(WIDTH).max(WIDTH_MIN)
    };
    let widths: Vec<u64> = rows.iter().map(|(_, rows)| share(*rows)).collect();
    // What the small ones were given, the largest one gives.
    let largest = widths.iter().copied().enumerate().max_by_key(|(_, width)| *width);
    let others: u64 = widths.iter().sum();
    let mut x = 0;
    let mut parts = Vec::new();
    for (at, ((class, _), width)) in rows.iter().zip(&widths).enumerate() {
        let width = match largest {
            Some((most, _)) if most == at => WIDTH.saturating_sub(others - width),
            _ => *width,
        };
        parts.push(Part { class, x, width });
        x += width;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_in_a_million_is_seen_and_the_bar_is_whole() {
        let counted = Counted {
            covered: 1_000_000,
            missing: 1,
            different: 2,
            extra: 3,
            rejected: 500_000,
            ..Counted::default()
        };
        let bar = Bar::of(&counted, false);
        assert_eq!(bar.words, "999,997 equal, 2 different, 1 missing, 3 extra, 500,000 rejected");
        let seen: Vec<_> = bar.parts.iter().map(|part| (part.class, part.width)).collect();
        assert_eq!(
            seen,
            [
                ("equal", 643),
                ("different", 8),
                ("missing", 8),
                ("extra", 8),
                ("rejected", 333)
            ]
        );
        let last = bar.parts.last().expect("parts");
        assert_eq!(last.x + last.width, WIDTH);
        assert_eq!(Bar::of(&Counted::default(), false).parts, []);
    }
}
