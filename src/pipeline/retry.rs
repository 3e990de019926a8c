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
        let since = *self.since.get_or_insert_with(Instant::now);
        let pause = self.pauses.next().unwrap_or(PAUSE_MAX);
        if since.elapsed() + pause > self.limit {
            return Err(error.during(format!(
                "gave up after {} s and {} attempts",
                since.elapsed().as_secs(),
                self.attempt
            )));
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
        assert!(patience.next(Error::new(ErrorKind::Full, "no room")).is_err());
    }
}
