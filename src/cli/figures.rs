//! Numbers as people read them.

use std::time::Duration;

use crate::data::spent::Units;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`: a count with its noun.
pub(super) fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix("ch")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(_)) => format!("{} {noun}es", count(number)),
        (_, None) => format!("{} {noun}s", count(number)),
    }
}

/// `512 B`, `3.4 MB`.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1000 {
        return format!("{number} B");
    }
    // Tenths, in whole numbers: no rounding surprises, no casts.
    let mut tenths = number / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1,234.56 RU`: request units with every digit that they have.
pub(super) fn units(units: Units) -> String {
    format!("{}{} RU", count(units.whole()), units.fraction())
}

/// `0.42 s`, `12.3 s`, `3m 05s`, `2h 07m`.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Whole per second, at least over a millisecond.
pub(super) fn per_second(number: u64, time: Duration) -> u64 {
    let milliseconds = time.as_millis().max(1);
    u64::try_from(u128::from(number) * 1000 / milliseconds).unwrap_or(u64::MAX)
}

/// Whole percent, rounded down: 100 only where it is all.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    if part >= whole {
        return 100;
    }
    u64::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators_and_nouns() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned),
            [0, 999, 1000, 1_234_567].map(count)
        );
        assert_eq!(counted(1, "batch"), "1 batch");
        assert_eq!(counted(2, "batch"), "2 batches");
        assert_eq!(counted(1000, "row"), "1,000 rows");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(
            [0, 999, 1000, 1_999_999, 5_400_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "1.9 MB", "5.4 GB"].map(str::to_owned)
        );
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn request_units_keep_their_digits() {
        let shown = [0, 2_830, 1_234_560, 7_000_000].map(|milli| units(Units(milli)));
        assert_eq!(shown, ["0 RU", "2.83 RU", "1,234.56 RU", "7,000 RU"]);
    }

    #[test]
    fn durations_grow_coarser() {
        let shown = [420, 12_340, 185_000, 7_620_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["0.42 s", "12.3 s", "3m 05s", "2h 07m"].map(str::to_owned));
    }

    #[test]
    fn rates_and_shares() {
        assert_eq!(per_second(500, Duration::from_millis(250)), 2000);
        assert_eq!(per_second(5, Duration::ZERO), 5000);
        assert_eq!([percent(0, 0), percent(999, 1000), percent(3, 2)], [100, 99, 100]);
    }
}
