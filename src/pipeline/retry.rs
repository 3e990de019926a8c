//! Trying again after a lost connection: pauses that grow, within a limit of time.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::shutdown::Shutdown;
use crate::error::Retry;
use crate::{Error, ErrorKind, Result};

/// Shortest pause.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Patience with one stream: full again after every committed batch.
pub struct Patience {
    limit: Duration,
    since: Option<Instant>,
    /// Time that was spent on trying before.
    spent: Duration,
    pauses: backon::ExponentialBackoff,
    attempt: u32,
}

impl Patience {
    /// Tries again for at most `limit` after the first of several failures in a row.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            spent: Duration::ZERO,
            pauses: pauses(),
            attempt: 0,
        }
    }

    /// Something went well: the next failure is a first one.
    pub fn restore(&mut self) {
        *self = Self::new(self.limit);
    }

    /// How long to pause before trying again after `error`, and the number of the attempt.
    ///
    /// # Errors
    /// `error` itself where trying again makes no sense or the limit is reached.
    pub fn next(&mut self, error: Error) -> Result<(Duration, u32, Error)> {
        if error.kind().policy().retry != Retry::Backoff {
            return Err(error);
        }
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.spent = error.tried_for();
        }
        let spent = self.spent + self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let pause = self.pauses.next().unwrap_or(PAUSE_MAX);
        if spent + pause > self.limit {
            let seconds = spent.as_secs();
            // Without an attempt of ours the time was spent where it happened.
            return Err(if self.attempt == 0 && seconds > 0 {
                error.during(format!("gave up after {seconds} s"))
            } else {
                error.during(format!("gave up after {seconds} s and {} attempts", self.attempt))
            });
        }
        self.attempt += 1;
        Ok((pause, self.attempt, error))
    }
}

fn pauses() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Waits, unless a stop is asked for meanwhile.
///
/// # Errors
/// [`ErrorKind::Interrupted`] on a stop.
pub async fn pause(time: Duration, shutdown: &Shutdown) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = shutdown.cancelled() => Err(Error::new(ErrorKind::Interrupted, "stopped on request while waiting for the connection")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_at_its_limit_and_only_for_lost_connections() {
        let mut patience = Patience::new(Duration::from_millis(900));
        let lost = || Error::new(ErrorKind::Lost, "connection reset");
        let (pause, attempt, _) = patience.next(lost()).expect("within the limit");
        assert!(pause >= PAUSE_MIN && attempt == 1);
        while let Ok((pause, ..)) = patience.next(lost()) {
            std::thread::sleep(pause);
        }
        patience.restore();
        assert!(patience.next(lost()).is_ok());
        patience.restore();
        let tried = lost().after_trying(Duration::from_millis(900));
        assert!(patience.next(tried).is_err(), "that it was tried for so long counts");
        patience.restore();
        assert!(patience.next(Error::new(ErrorKind::Full, "no room")).is_err());
    }
}
