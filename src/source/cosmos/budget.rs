//! Request units: what reading may spend in a second, and what it has spent.
//!
//! The charge of a page is known only when the page is there. A page that is asked for takes as
//! much ahead as the last one has cost, so that pages follow each other evenly, and the difference
//! is settled when it comes: the average keeps to the limit however much one page costs. A page
//! that nobody waits for any more gives back what it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::data::spent::Spent;
use crate::{Error, ErrorKind, Result};

/// Shared by all readers of a connection.
pub(super) struct Budget {
    units_per_second: Option<u64>,
    pages: Semaphore,
    ranges: Semaphore,
    debt: Mutex<Debt>,
    /// Thousandths, so that they add up without loss.
    spent: AtomicU64,
    requests: AtomicU64,
    throttled: AtomicU64,
}

/// What is owed to the limit.
#[derive(Debug, Default)]
struct Debt {
    /// When it is paid; in the past where nothing is owed.
    paid: Option<Instant>,
    /// How long the last page took to pay.
    last: Duration,
}

/// Leave to ask for one page.
pub(super) struct Leave<'a> {
    budget: &'a Budget,
    /// Taken ahead.
    ahead: Duration,
    _page: SemaphorePermit<'a>,
}

impl Budget {
    pub(super) fn new(units_per_second: Option<u64>, pages_in_flight_max: usize) -> Self {
        Self {
            units_per_second,
            pages: Semaphore::new(pages_in_flight_max.max(1)),
            ranges: Semaphore::new(pages_in_flight_max.max(1)),
            debt: Mutex::default(),
            spent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        }
    }

    /// Waits until a range may be read, to its end: what is in memory does not grow with the number of
    /// ranges. Whoever has one waits for nobody who has none.
    pub(super) async fn range(&self) -> Result<SemaphorePermit<'_>> {
        self.ranges.acquire().await.map_err(|_| closed())
    }

    /// Waits until a page may be asked for. May be dropped meanwhile.
    pub(super) async fn page(&self) -> Result<Leave<'_>> {
        let permit = self.pages.acquire().await.map_err(|_| closed())?;
        let (turn, ahead) = self.take_turn();
        let leave = Leave {
            budget: self,
            ahead,
            _page: permit,
        };
        if let Some(turn) = turn {
            tokio::time::sleep_until(turn).await;
        }
        Ok(leave)
    }

    /// Takes note of an answer and of what it has cost; tells that in thousandths.
    pub(super) fn charge(&self, units: f64) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a charge is a small positive number; a cast saturates"
        )]
        let milli_units = (units * 1000.0).round() as u64;
        self.spent.fetch_add(milli_units, Ordering::Relaxed);
        if let Some(limit) = self.units_per_second {
            let pause = Duration::from_micros(milli_units.saturating_mul(1000) / limit.max(1));
            let mut debt = self.debt();
            debt.owe(pause);
            debt.last = pause;
        }
        milli_units
    }

    /// Takes note of a request that was refused, perhaps because it came too soon.
    pub(super) fn refused(&self, throttled: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn spent(&self) -> Spent {
        Spent {
            milli_units: self.spent.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// When the next page may be asked for, and what it takes ahead.
    fn take_turn(&self) -> (Option<Instant>, Duration) {
        let mut debt = self.debt();
        let (turn, ahead) = (debt.paid, debt.last);
        if self.units_per_second.is_some() {
            debt.owe(ahead);
        }
        (turn, ahead)
    }

    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Internal, "the connection is closed")
}

impl Debt {
    fn owe(&mut self, time: Duration) {
        let now = Instant::now();
        self.paid = Some(self.paid.filter(|paid| *paid > now).unwrap_or(now) + time);
    }
}

impl Drop for Leave<'_> {
    /// By now its own charge is owed, or nothing is.
    fn drop(&mut self) {
        let mut debt = self.budget.debt();
        debt.paid = debt.paid.and_then(|paid| paid.checked_sub(self.ahead));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_page_waits_until_the_last_one_is_paid() {
        let budget = Budget::new(Some(1000), 2);
        let began = Instant::now();
        for _ in 0..5 {
            drop(budget.page().await.expect("open"));
            budget.charge(50.0);
        }
        drop(budget.page().await.expect("open"));
        assert!(began.elapsed().as_millis() >= 250, "250 units at 1000 in a second");
        assert_eq!(
            budget.spent(),
            Spent {
                milli_units: 250_000,
                requests: 5,
                throttled: 0,
            }
        );
    }

    #[tokio::test]
    async fn pages_side_by_side_follow_each_other_evenly() {
        let budget = Budget::new(Some(100), 4);
        drop(budget.page().await.expect("open"));
        budget.charge(5.0);
        let began = Instant::now();
        let ask = || async {
            let page = budget.page().await.expect("open");
            let asked = began.elapsed().as_millis();
            budget.charge(5.0);
            drop(page);
            asked
        };
        let (first, second, third, fourth) = tokio::join!(ask(), ask(), ask(), ask());
        let mut asked = [first, second, third, fourth];
        asked.sort_unstable();
        for (number, at) in asked.iter().enumerate() {
            assert!(*at >= 50 * number as u128, "5 units at 100 in a second: {asked:?}");
        }
        drop(budget.page().await.expect("open"));
        assert!(began.elapsed().as_millis() >= 200, "all of it is paid");
    }

    #[tokio::test]
    async fn a_page_that_nobody_waits_for_gives_back_its_turn() {
        let budget = Budget::new(Some(10), 1);
        drop(budget.page().await.expect("open"));
        budget.charge(5.0);
        for _ in 0..20 {
            let given_up = tokio::time::timeout(Duration::from_millis(5), budget.page()).await;
            assert!(given_up.is_err(), "half a second is to be waited");
        }
        let began = Instant::now();
        drop(budget.page().await.expect("open"));
        assert!(began.elapsed().as_millis() < 600, "the others took nothing");
        assert_eq!(budget.spent().requests, 1);
    }

    #[tokio::test]
    async fn without_a_limit_nothing_waits() {
        let budget = Budget::new(None, 1);
        drop(budget.page().await.expect("open"));
        budget.charge(1_000_000.0);
        let page = tokio::time::timeout(Duration::from_mins(1), budget.page()).await;
        assert!(
            page.expect("at 1000 units in a second it would wait for 1000 seconds")
                .is_ok()
        );
    }
}
