//! Watching over those who suffer: servers that follow a target, and others who wait for locks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::event::{Event, Events};
use super::super::shutdown::Shutdown;
use super::rate::pause;
use crate::config::limits::Limits;
use crate::data::backfill::{Standby, Strain};
use crate::data::table::TableName;
use crate::sink::Sink;
use crate::{Error, ErrorKind, Result};

/// How often is looked who suffers.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Places of the log that are remembered: with one every half second, of an hour and a half.
const PLACES_MAX: usize = 10_000;
/// Standbys that cannot be looked at.
pub(super) const HIDDEN: &str = "servers follow this one, and the role may not see how far they are: nothing pauses for them; \
                                 `grant pg_monitor` lets it see";

/// Watches over those who suffer.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Watch {
    /// Where the log ended, and when.
    places: VecDeque<(Instant, u64)>,
    looked: Option<Instant>,
    hidden: bool,
    /// Spent in pauses.
    pub(in crate::pipeline) paused: Duration,
}

/// What is watched.
pub(in crate::pipeline) struct Watched<'a> {
    pub(in crate::pipeline) sink: &'a dyn Sink,
    pub(in crate::pipeline) table: &'a TableName,
    pub(in crate::pipeline) stream: &'a str,
    pub(in crate::pipeline) limits: &'a Limits,
    pub(in crate::pipeline) events: &'a Events,
    pub(in crate::pipeline) shutdown: &'a Shutdown,
}

impl Watch {
    /// Pauses as long as somebody suffers more than the limits allow. Nothing is open meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where that takes longer than `pause_seconds_max`; [`ErrorKind::Interrupted`]
    /// on a stop.
    pub(in crate::pipeline) async fn wait(&mut self, watched: &Watched<'_>) -> Result<()> {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK_EVERY) {
            return Ok(());
        }
        let mut told = false;
        loop {
            let strain = watched.sink.strain(watched.table).await?;
            let at = Instant::now();
            self.looked = Some(at);
            self.tell_hidden(&strain, watched);
            let Some(why) = self.too_much(at, &strain, watched.limits) else {
                return Ok(());
            };
            let paused = at.duration_since(now);
            if paused.as_secs() >= watched.limits.pause_seconds_max {
                return Err(paused_too_long(format_args!("backfill `{}`", watched.stream), paused, &why));
            }
            if !told {
                told = true;
                (watched.events)(Event::Held {
                    stream: watched.stream.to_owned(),
                    why,
                });
            }
            pause(LOOK_EVERY, watched.shutdown).await?;
            self.paused += at.elapsed();
        }
    }

    fn tell_hidden(&mut self, strain: &Strain, watched: &Watched<'_>) {
        if strain.standbys_hidden && !self.hidden {
            self.hidden = true;
            (watched.events)(Event::Warning {
                stream: Some(watched.stream.to_owned()),
                message: HIDDEN.to_owned(),
            });
        }
    }

    /// What is above a limit, in words.
    pub(super) fn too_much(&mut self, now: Instant, strain: &Strain, limits: &Limits) -> Option<String> {
        let allowed = Duration::from_secs(limits.replication_lag_seconds_max);
        self.remember(now, strain);
        let behind = strain.standbys.iter().map(|standby| (self.lag(now, standby), standby));
        let worst = behind.filter(|(lag, _)| *lag > allowed).max_by_key(|(lag, _)| *lag);
        if let Some((lag, standby)) = worst {
            return Some(format!(
                "standby `{}` is {} s behind (replication_lag_seconds_max = {})",
                standby.name.escape_debug(),
                lag.as_secs(),
                limits.replication_lag_seconds_max
            ));
        }
        (strain.lock_waits > limits.lock_waits_max).then(|| {
            format!(
                "{} connections wait for locks at the table (lock_waits_max = {})",
                strain.lock_waits, limits.lock_waits_max
            )
        })
    }

    fn remember(&mut self, now: Instant, strain: &Strain) {
        let Some(oldest) = strain.standbys.iter().map(|standby| standby.replayed).min() else {
            self.places.clear();
            return;
        };
        // Of the places that all have reached, none is needed.
        while self.places.front().is_some_and(|(_, place)| *place <= oldest) {
            self.places.pop_front();
        }
        if self.places.back().is_none_or(|(_, place)| *place < strain.log) && self.places.len() < PLACES_MAX {
            self.places.push_back((now, strain.log));
        }
    }

    /// How long ago the log ended where a standby is now. What the server says of it stands still with
    /// a standby that does, so that both are looked at.
    fn lag(&self, now: Instant, standby: &Standby) -> Duration {
        let not_reached = self.places.iter().find(|(_, place)| *place > standby.replayed);
        let ours = not_reached.map_or(Duration::ZERO, |(at, _)| now.duration_since(*at));
        let reached_all = not_reached.is_none();
        // After everything was carried out the server shows the last delay for a while.
        let theirs = standby.lag_milliseconds.filter(|_| !reached_all).unwrap_or(0);
        ours.max(Duration::from_millis(theirs))
    }
}

/// Somebody has suffered for longer than one is willing to pause.
pub(super) fn paused_too_long(who: std::fmt::Arguments<'_>, paused: Duration, why: &str) -> Error {
    Error::new(ErrorKind::Busy, format!("{who} has paused for {} s: {why}", paused.as_secs()))
        .hint("everything up to here is committed: call it again when that is over, or allow more in [limits] of the configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strain(log: u64, replayed: u64) -> Strain {
        Strain {
            log,
            standbys: vec![Standby {
                process: 1,
                name: "a".to_owned(),
                replayed,
                lag_milliseconds: None,
            }],
            ..Strain::default()
        }
    }

    #[test]
    fn a_standby_that_stands_still_falls_behind_and_one_that_follows_does_not() {
        let limits = Limits::default();
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        for second in 0..30 {
            assert_eq!(watch.too_much(at(second), &strain(100 + second, 99 + second), &limits), None);
        }
        for second in 30..40 {
            let held = watch.too_much(at(second), &strain(100 + second, 129), &limits);
            assert_eq!(held, None, "{second}");
        }
        let why = watch.too_much(at(42), &strain(150, 129), &limits).expect("too far behind");
        assert!(why.contains("12 s behind"), "{why}");
        assert_eq!(watch.too_much(at(43), &strain(150, 150), &limits), None, "it has caught up");
        assert_eq!(watch.places.len(), 1, "where the log ends now");
    }

    #[test]
    fn what_nobody_writes_nobody_lags_behind() {
        let mut watch = Watch::default();
        let began = Instant::now();
        let limits = Limits::default();
        for minute in 0..10 {
            let at = began + Duration::from_mins(minute);
            assert_eq!(watch.too_much(at, &strain(7, 7), &limits), None);
        }
    }

    #[test]
    fn more_than_the_allowed_wait_for_locks() {
        let strain = |lock_waits| Strain {
            lock_waits,
            ..Strain::default()
        };
        let mut watch = Watch::default();
        let (now, limits) = (Instant::now(), Limits::default());
        assert_eq!(watch.too_much(now, &strain(limits.lock_waits_max), &limits), None);
        assert!(watch.too_much(now, &strain(limits.lock_waits_max + 1), &limits).is_some());
    }
}
