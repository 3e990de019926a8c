//! Concerns: what may go wrong with the rows of a source where a target is narrower, as a
//! condition that a source can count before the run.

use super::column::FractionDigits;

/// Rows for which a difference between source and target matters. Columns are the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// NULL where the target refuses it.
    Null {
        /// Column.
        column: String,
    },
    /// Text of more code points than the target's `varchar(n)` takes.
    Longer {
        /// Column.
        column: String,
        /// Most code points that fit.
        max_chars: u32,
    },
    /// Times with more fraction digits than the target keeps.
    FinerTime {
        /// Column.
        column: String,
        /// Fraction digits that the target keeps.
        digits: FractionDigits,
    },
    /// Numbers that do not fit `numeric(precision, scale)`, by their size or their fraction.
    WiderNumber {
        /// Column.
        column: String,
        /// Digits in all.
        precision: u16,
        /// Digits after the point.
        scale: i16,
    },
    /// Integers outside of a range.
    OutOfRange {
        /// Column.
        column: String,
        /// Smallest that fits.
        min: i64,
        /// Largest that fits.
        max: i64,
    },
    /// Labels that the target's enum does not have.
    OtherLabel {
        /// Column.
        column: String,
        /// The target's labels.
        labels: Vec<String>,
    },
    /// Rows that share these columns' values with an earlier row, where the target is unique:
    /// of three equal rows two count. Rows with a NULL among them do not.
    Repeated {
        /// Columns.
        columns: Vec<String>,
    },
}
