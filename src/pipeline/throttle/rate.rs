//! A rate: how much of something may be moved in a second.

use std::time::{Duration, Instant};

use super::super::retry;
use super::super::shutdown::{self, Shutdown};
use crate::Result;

/// Pieces in a second at least, where a rate is given: rows come evenly, not once in a while.
const PIECES_PER_SECOND: u64 = 10;
/// Delay that is made up for: after a pause no flood comes.
const MADE_UP_MAX: Duration = Duration::from_millis(200);

/// A rate of rows, or of bytes.
#[derive(Debug)]
pub(in crate::pipeline) struct Rate {
    per_second_max: Option<u64>,
    /// When everything that was accounted for has taken its time.
    due: Option<Instant>,
}

impl Rate {
    pub(in crate::pipeline) const fn new(per_second_max: Option<u64>) -> Self {
        Self {
            per_second_max,
            due: None,
        }
    }

    /// Whether there is any.
    pub(super) const fn is_given(&self) -> bool {
        self.per_second_max.is_some()
    }

    /// How much is moved at once at this rate.
    pub(in crate::pipeline) fn piece_max(&self, wanted: u64) -> u64 {
        self.per_second_max
            .map_or(wanted, |rate| wanted.min((rate / PIECES_PER_SECOND).max(1)))
    }

    /// Waits until what was accounted for has taken its time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`] on a stop.
    pub(in crate::pipeline) async fn wait(&self, shutdown: &Shutdown) -> Result<()> {
        wait_until(self.due, shutdown).await
    }

    /// Accounts for so much: the time that it takes at the rate is not to be undercut. Returns when that
    /// time has passed.
    pub(in crate::pipeline) fn spent(&mut self, amount: u64, now: Instant) -> Option<Instant> {
        self.due = self.due_with(amount, now).or(self.due);
        self.due
    }

    /// When so much more may be moved.
    pub(super) fn due_with(&self, amount: u64, now: Instant) -> Option<Instant> {
        let rate = self.per_second_max?;
        let nanoseconds = u128::from(amount) * 1_000_000_000 / u128::from(rate.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let earliest = now.checked_sub(MADE_UP_MAX).unwrap_or(now);
        // What the first piece took is no delay: its connection was still cold.
        let from = self.due.unwrap_or(now).max(earliest);
        from.checked_add(takes)
    }
}

/// Waits for a moment, if there is any and it has not passed.
pub(super) async fn wait_until(due: Option<Instant>, shutdown: &Shutdown) -> Result<()> {
    match due.and_then(|due| due.checked_duration_since(Instant::now())) {
        Some(wait) => pause(wait, shutdown).await,
        None => Ok(()),
    }
}

/// A pause that a stop ends.
pub(super) async fn pause(time: Duration, shutdown: &Shutdown) -> Result<()> {
    retry::pause(time, shutdown).await.map_err(|_| shutdown::interrupted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_what_was_lost_is_not_made_up_at_once() {
        let mut rate = Rate::new(Some(1_000));
        assert_eq!(rate.piece_max(2_000), 100);
        assert_eq!(Rate::new(Some(1)).piece_max(2_000), 1);
        assert_eq!(Rate::new(None).piece_max(2_000), 2_000);
        let began = Instant::now();
        assert_eq!(rate.spent(250, began), Some(began + Duration::from_millis(250)));
        let late = began + Duration::from_millis(300);
        assert_eq!(
            rate.spent(250, late),
            Some(began + Duration::from_millis(500)),
            "50 ms are made up for"
        );
        let later = began + Duration::from_mins(1);
        let made_up = later.checked_sub(MADE_UP_MAX).expect("a minute has passed");
        assert_eq!(
            rate.spent(250, later),
            Some(made_up + Duration::from_millis(250)),
            "a minute is not"
        );
        assert_eq!(Rate::new(None).spent(250, began), None);
    }

    #[test]
    fn several_who_share_a_rate_are_served_one_after_the_other() {
        let mut rate = Rate::new(Some(100));
        let began = Instant::now();
        let dues: Vec<_> = (1..=20).filter_map(|_| rate.spent(10, began)).collect();
        let even: Vec<_> = (1..=20).map(|piece| began + piece * Duration::from_millis(100)).collect();
        assert_eq!(dues, even);
    }
}
