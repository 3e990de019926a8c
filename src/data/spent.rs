//! What reading a source has cost so far, where the source is paid for by what is asked of it.

use std::fmt;
use std::ops::AddAssign;

/// Request units and requests of a connection. Kept in thousandths, so that they add up exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Request units, in thousandths.
    pub milli_units: u64,
    /// Requests made.
    pub requests: u64,
    /// Times that the service asked to wait.
    pub throttled: u64,
}

impl Spent {
    /// Request units in words without loss, such as `12.34`.
    #[must_use]
    pub const fn units(&self) -> Units {
        Units(self.milli_units)
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.milli_units += other.milli_units;
        self.requests += other.requests;
        self.throttled += other.throttled;
    }
}

/// What a few rows have cost, to tell what all of them will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Rows read.
    pub rows: u64,
    /// Request units of those, in thousandths.
    pub milli_units: u64,
}

impl Sample {
    /// What so many rows cost, if all are like these; `None` where there was none to measure.
    #[must_use]
    pub fn of_rows(&self, rows: u64) -> Option<Units> {
        let all = u128::from(self.milli_units) * u128::from(rows);
        let each = all.checked_div(u128::from(self.rows))?;
        u64::try_from(each).ok().map(Units)
    }
}

/// Request units, of thousandths: shown as a decimal number with as many digits as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units(pub u64);

impl Units {
    /// The whole units, rounded down.
    #[must_use]
    pub const fn whole(self) -> u64 {
        self.0 / 1000
    }

    /// What is left of them, such as `.34`; nothing where they are whole.
    #[must_use]
    pub fn fraction(self) -> String {
        let digits = format!(".{:03}", self.0 % 1000);
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.whole(), self.fraction())
    }
}

impl serde::Serialize for Units {
    /// As a number, digit by digit.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = serde_json::value::RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_what_all_will_cost() {
        let sample = Sample {
            rows: 100,
            milli_units: 2_830,
        };
        assert_eq!(sample.of_rows(1_000_000), Some(Units(28_300_000)));
        assert_eq!(Sample { rows: 0, ..sample }.of_rows(5), None);
    }

    #[test]
    fn units_are_exact() {
        let shown = [0, 1, 1000, 12_340, 1_234_567].map(|milli| Units(milli).to_string());
        assert_eq!(shown, ["0", "0.001", "1", "12.34", "1234.567"]);
        let json = serde_json::to_string(&[Units(12_340), Units(9_007_199_254_740_993)]).expect("JSON");
        assert_eq!(json, "[12.34,9007199254740.993]");
    }
}
