//! What a source connection has cost so far, where it is paid for by what is asked of it.

use std::time::Instant;

use super::super::figures;
use super::meter::Meter;
use crate::data::spent::{Spent, Units};

/// One connection.
pub(super) struct Paid {
    pub(super) connection: String,
    spent: Spent,
    /// Of thousandths of units.
    meter: Meter,
}

impl Paid {
    pub(super) fn new(connection: String, now: Instant) -> Self {
        Self {
            connection,
            spent: Spent::default(),
            meter: Meter::new(now),
        }
    }

    /// It is so much by now.
    pub(super) fn add(&mut self, spent: Spent, now: Instant) {
        self.meter
            .add(now, spent.milli_units.saturating_sub(self.spent.milli_units), 0);
        self.spent = spent;
    }

    /// `1,234 RU · 120 RU/s · throttled 3×`.
    pub(super) fn figures(&self, now: Instant) -> String {
        let whole = |milli| figures::count(Units(milli).whole());
        let mut parts = vec![format!("{} RU", whole(self.spent.milli_units))];
        if let Some(rate) = self.meter.rate(now) {
            parts.push(format!("{} RU/s", whole(rate.rows)));
        }
        if self.spent.throttled > 0 {
            parts.push(format!("throttled {}×", figures::count(self.spent.throttled)));
        }
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_shows_what_it_costs() {
        let now = Instant::now();
        let mut paid = Paid::new("cosmos".to_owned(), now);
        assert_eq!(paid.figures(now), "0 RU");
        let mut spent = Spent {
            milli_units: 0,
            requests: 0,
            throttled: 0,
        };
        for second in 1..=10 {
            spent.milli_units += 123_450;
            spent.requests += 10;
            paid.add(spent, now + Duration::from_secs(second));
        }
        let later = now + Duration::from_secs(10);
        assert_eq!(paid.figures(later), "1,234 RU · 123 RU/s");
        spent.throttled = 3;
        paid.add(spent, later);
        assert_eq!(paid.figures(later), "1,234 RU · 123 RU/s · throttled 3×");
    }
}
