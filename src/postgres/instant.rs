//! Dates and timestamps between Postgres, which counts from 2000-01-01, and Arrow, which counts
//! from 1970-01-01. The ends of the number are infinity on both sides.

use crate::data::column::{DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// First day that `date` and `timestamp` hold (4714-11-24 BC), from 2000-01-01.
const DAYS_MIN: i32 = -2_451_545;
/// First day that `date` does not hold any more.
const DAYS_END: i32 = 2_145_031_949;
const MICROSECONDS_MIN: i64 = -211_813_488_000_000_000;
const MICROSECONDS_END: i64 = 9_223_371_331_200_000_000;

/// Days since 1970 of a `date` as it is sent; `None` where there is no such number.
pub(super) fn date_of(sent: i32) -> Option<i32> {
    match sent {
        i32::MAX => Some(DATE_INFINITY),
        i32::MIN => Some(DATE_MINUS_INFINITY),
        days => days
            .checked_add(EPOCH_DAYS)
            .filter(|days| !matches!(*days, DATE_INFINITY | DATE_MINUS_INFINITY)),
    }
}

/// A `date` as it is sent; `None` where Postgres has no such date.
pub(super) fn date_sent(days: i32) -> Option<i32> {
    match days {
        DATE_INFINITY => Some(i32::MAX),
        DATE_MINUS_INFINITY => Some(i32::MIN),
        days => days
            .checked_sub(EPOCH_DAYS)
            .filter(|days| (DAYS_MIN..DAYS_END).contains(days)),
    }
}

/// Microseconds since 1970 of a `timestamp` as it is sent; `None` for the last years that
/// Postgres has, which are beyond that number.
pub(super) fn timestamp_of(sent: i64) -> Option<i64> {
    match sent {
        i64::MAX => Some(TIMESTAMP_INFINITY),
        i64::MIN => Some(TIMESTAMP_MINUS_INFINITY),
        micros => micros
            .checked_add(EPOCH_MICROSECONDS)
            .filter(|micros| !matches!(*micros, TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY)),
    }
}

/// A `timestamp` as it is sent; `None` where Postgres has no such timestamp.
pub(super) fn timestamp_sent(micros: i64) -> Option<i64> {
    match micros {
        TIMESTAMP_INFINITY => Some(i64::MAX),
        TIMESTAMP_MINUS_INFINITY => Some(i64::MIN),
        micros => micros
            .checked_sub(EPOCH_MICROSECONDS)
            .filter(|micros| (MICROSECONDS_MIN..MICROSECONDS_END).contains(micros)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_is_sent_again_as_it_was() {
        for sent in [i32::MIN, DAYS_MIN, -1, 0, 8_000, DAYS_END - 1, i32::MAX] {
            assert_eq!(date_of(sent).and_then(date_sent), Some(sent));
        }
        for sent in [i64::MIN, MICROSECONDS_MIN, -1, 0, 800_000_000_000_000, i64::MAX] {
            assert_eq!(timestamp_of(sent).and_then(timestamp_sent), Some(sent));
        }
    }

    #[test]
    fn a_last_year_never_reads_as_infinity() {
        assert_eq!(timestamp_of(i64::MAX - EPOCH_MICROSECONDS), None);
        assert_eq!(timestamp_of(i64::MAX - EPOCH_MICROSECONDS - 1), Some(i64::MAX - 1));
        assert_eq!(timestamp_of(MICROSECONDS_END - 1), None);
        assert_eq!(timestamp_sent(i64::MIN + 1), None);
        assert_eq!(date_sent(DAYS_END + EPOCH_DAYS), None);
    }
}
