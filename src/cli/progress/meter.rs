//! A meter: rows and bytes per second over the last moments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back a rate looks.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples closer together than this are one.
const GRAIN: Duration = Duration::from_millis(200);
/// No rate is told before this much time was measured.
const TIME_MIN: Duration = Duration::from_millis(500);

/// Sums at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    rows: u64,
    bytes: u64,
}

/// Per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Sums over time; bounded by window and grain.
pub(super) struct Meter {
    samples: VecDeque<Sample>,
    rows: u64,
    bytes: u64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        let first = Sample {
            at: now,
            rows: 0,
            bytes: 0,
        };
        Self {
            samples: VecDeque::from([first]),
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn add(&mut self, now: Instant, rows: u64, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
        if self.samples.back().is_none_or(|last| now - last.at >= GRAIN) {
            let (rows, bytes) = (self.rows, self.bytes);
            self.samples.push_back(Sample { at: now, rows, bytes });
        }
        while self.samples.len() > 2 && self.samples.get(1).is_some_and(|second| now - second.at >= WINDOW) {
            self.samples.pop_front();
        }
    }

    pub(super) fn rate(&self, now: Instant) -> Option<Rate> {
        let first = self.samples.front()?;
        let time = now - first.at;
        (time >= TIME_MIN).then(|| Rate {
            rows: super::figures::per_second(self.rows - first.rows, time),
            bytes: super::figures::per_second(self.bytes - first.bytes, time),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_moments() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        assert_eq!(meter.rate(start), None);
        // A slow minute, then a fast one.
        for second in 1..=60 {
            meter.add(start + Duration::from_secs(second), 10, 100);
        }
        for second in 61..=120 {
            meter.add(start + Duration::from_secs(second), 1000, 10_000);
        }
        let rate = meter.rate(start + Duration::from_mins(2)).expect("a rate");
        assert_eq!(
            rate,
            Rate {
                rows: 1000,
                bytes: 10_000
            }
        );
        assert!(meter.samples.len() < 60, "{} samples", meter.samples.len());
    }
}
