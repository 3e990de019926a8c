//! The pace of a run: one rate for all that its lanes move together, and pauses of each stream.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::event::Events;
use super::super::shutdown::Shutdown;
use super::lookout::Lookout;
use super::rate::{Rate, pause, wait_until};
use super::watch::{LOOK_EVERY, paused_too_long};
use crate::Result;
use crate::config::limits::Limits;
use crate::data::table::TableName;
use crate::sink::Sink;

/// What holds back a whole run: shared by all lanes, so that the rates are those of all together.
pub(in crate::pipeline) struct Throttle {
    rates: Mutex<Rates>,
    is_given: bool,
    hidden: Arc<AtomicBool>,
}

struct Rates {
    rows: Rate,
    bytes: Rate,
}

/// How long something was held back.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pipeline) struct Held {
    /// By a rate.
    pub(in crate::pipeline) waited: Duration,
    /// While others suffered.
    pub(in crate::pipeline) paused: Duration,
}

/// Makes portions small enough for the rates of a run, so that its rows come evenly.
pub(in crate::pipeline) fn make_portions_small(limits: &mut Limits) {
    let at_most = |wanted: usize, rate: Option<u64>| {
        let piece = Rate::new(rate).piece_max(u64::try_from(wanted).unwrap_or(u64::MAX));
        usize::try_from(piece).unwrap_or(wanted)
    };
    limits.portion_rows_max = at_most(limits.portion_rows_max, limits.max_rows_per_second);
    limits.portion_bytes_max = at_most(limits.portion_bytes_max, limits.max_bytes_per_second);
}

impl Throttle {
    pub(in crate::pipeline) fn new(limits: &Limits) -> Self {
        let rates = Rates {
            rows: Rate::new(limits.max_rows_per_second),
            bytes: Rate::new(limits.max_bytes_per_second),
        };
        Self {
            is_given: rates.rows.is_given() || rates.bytes.is_given(),
            rates: Mutex::new(rates),
            hidden: Arc::default(),
        }
    }

    /// Whether a portion of this size may be written at once.
    fn is_due(&self, rows: u64, bytes: u64) -> bool {
        let now = Instant::now();
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let due = rates.rows.due_with(rows, now).max(rates.bytes.due_with(bytes, now));
        due.is_none_or(|due| due <= now)
    }

    /// Waits until a portion of this size may be written.
    async fn wait(&self, rows: u64, bytes: u64, shutdown: &Shutdown) -> Result<Duration> {
        if !self.is_given {
            return Ok(Duration::ZERO);
        }
        let began = Instant::now();
        let due = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.rows.spent(rows, began).max(rates.bytes.spent(bytes, began))
        };
        wait_until(due, shutdown).await?;
        Ok(began.elapsed())
    }
}

/// The pace of one stream of a run.
pub(in crate::pipeline) struct Pace {
    throttle: Arc<Throttle>,
    lookout: Option<Lookout>,
}

impl Pace {
    /// Of a stream whose rows go to this table. Nothing is paused in a rehearsal, which is one transaction.
    pub(in crate::pipeline) fn new(
        throttle: &Arc<Throttle>,
        target: Option<(&Arc<dyn Sink>, &TableName)>,
        stream: &str,
        limits: &Limits,
        events: &Events,
    ) -> Self {
        Self {
            throttle: Arc::clone(throttle),
            lookout: target.map(|target| Lookout::new(target, stream, *limits, events, &throttle.hidden)),
        }
    }

    /// Whether there is a rate.
    pub(in crate::pipeline) fn has_rate(&self) -> bool {
        self.throttle.is_given
    }

    /// Whether a portion of so many rows and bytes may be written without waiting: where there is a rate,
    /// each has its own time. Only what is late goes into one batch with what came before.
    pub(in crate::pipeline) fn is_due(&self, rows: u64, bytes: u64) -> bool {
        !self.throttle.is_given || self.throttle.is_due(rows, bytes)
    }

    /// Whether others suffer now. Told by what was seen last; nothing is waited for.
    pub(in crate::pipeline) fn is_strained(&self) -> bool {
        self.lookout.as_ref().and_then(Lookout::why_not).is_some()
    }

    /// Pauses while others suffer. The caller has no transaction open.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] where that takes longer than `pause_seconds_max`;
    /// [`crate::ErrorKind::Interrupted`] on a stop.
    pub(in crate::pipeline) async fn pause(&self, held: &mut Held, shutdown: &Shutdown) -> Result<()> {
        let Some(lookout) = &self.lookout else { return Ok(()) };
        let began = Instant::now();
        let before = held.paused;
        while let Some(why) = lookout.why_not() {
            let paused = began.elapsed();
            if paused.as_secs() >= lookout.limits.pause_seconds_max {
                return Err(paused_too_long(format_args!("stream `{}`", lookout.stream), paused, &why));
            }
            let waited = pause(LOOK_EVERY, shutdown).await;
            held.paused = before + began.elapsed();
            waited?;
        }
        Ok(())
    }

    /// Waits until a portion of so many rows and bytes of the source may be written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Interrupted`] on a stop.
    pub(in crate::pipeline) async fn wait(&self, rows: u64, bytes: u64, held: &mut Held, shutdown: &Shutdown) -> Result<()> {
        held.waited += self.throttle.wait(rows, bytes, shutdown).await?;
        Ok(())
    }
}
