//! Patience: how long and with what pauses a request is made again that may succeed later.
//!
//! The SDK tries again a few times within a second. What lasts longer (an account that is asked for
//! more than it sells, a partition that is being split, a network that is away) is waited for
//! here, until something came or the time is over. Counted is the time since the first failure:
//! waiting for the budget or for a place among the pages is no failure.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::Error;

/// First and longest pause between two attempts, where the service names none.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Shortest and longest time for one answer: a page of 4 MB over a slow line takes its time, and
/// the SDK would wait for one that does not come at all once more with each of its own attempts.
const ANSWER_MIN: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(65);

/// Patience with one request.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    since: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            pause: PAUSE_MIN,
        }
    }

    /// How long an answer may take.
    pub(super) fn answer(&self) -> Duration {
        self.limit.clamp(ANSWER_MIN, ANSWER_MAX)
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure in words, where it does not pass or the time is over.
    pub(super) async fn wait(&mut self, failure: Failure, doing: &str) -> Result<(), Error> {
        if !failure.may_pass() {
            return Err(failure.tell(doing));
        }
        let tried = self.since.get_or_insert_with(Instant::now).elapsed();
        if tried >= self.limit {
            return Err(failure.tell(doing).after_trying(tried));
        }
        let pause = failure.retry_after().unwrap_or(self.pause);
        // The last attempt is made when the time is over, not later.
        tokio::time::sleep(pause.min(self.limit.saturating_sub(tried))).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
