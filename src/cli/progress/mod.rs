//! Progress: events of the engine become bars on a terminal, and lines elsewhere.
//!
//! What is shown as moved may still be rolled back with its batch; a lost connection takes it
//! back, so that bars never run ahead of what the target will hold.

mod bars;
mod lines;
mod meter;
mod moving;
mod paid;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::bars::Bars;
use self::lines::Lines;
use self::meter::Meter;
use self::moving::{Moving, time_left};
use self::paid::Paid;
use super::figures;
use super::output::{Console, Tone, visible};
use crate::data::counts::Counts;
use crate::data::spent::Spent;
use crate::pipeline::event::{Event, Events};

/// How a run is shown.
enum View {
    Bars(Bars),
    Lines(Lines),
    /// How many rows there are is not known before they have come.
    Uncounted,
}

/// What is done with the rows, and with which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// They are moved.
    Moving,
    /// Stored rejects are moved, again.
    MovingRejects,
    /// What has changed since a copy is moved.
    MovingChanges,
    /// Those that a verification has named are mended.
    Repairing,
    /// They are taken back.
    TakingBack,
    /// They are compared with what is there.
    Comparing,
    /// Their own columns are filled in; how many rows there are is an estimate.
    FillingIn,
}

impl Doing {
    /// Whether somebody has counted them.
    const fn counted(self) -> bool {
        matches!(self, Self::Moving | Self::Comparing | Self::FillingIn)
    }
}

/// What was heard of a run so far.
struct Watch {
    console: Console,
    /// What runs, for the first line.
    title: String,
    doing: Doing,
    streams: Vec<Moving>,
    /// Speed of the whole run.
    meter: Meter,
    /// Source connections that are paid for by what is asked of them.
    paid: Vec<Paid>,
    view: View,
}

/// The progress of one run. Bars are gone when it is dropped.
pub(super) struct Progress(Arc<Mutex<Watch>>);

impl Progress {
    pub(super) fn new(console: &Console, title: &str, doing: Doing) -> Self {
        let view = match console.bars() {
            _ if !doing.counted() => View::Uncounted,
            Some(bars) => View::Bars(Bars::new(bars.clone())),
            None => View::Lines(Lines::default()),
        };
        Self(Arc::new(Mutex::new(Watch {
            console: console.clone(),
            title: title.to_owned(),
            doing,
            streams: Vec::new(),
            meter: Meter::new(Instant::now()),
            paid: Vec::new(),
            view,
        })))
    }

    /// Where the pipeline sends its events.
    pub(super) fn events(&self) -> Events {
        let watch = Arc::clone(&self.0);
        Arc::new(move |event| {
            let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.heard(event, Instant::now());
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let View::Bars(bars) = &mut watch.view {
            bars.clear();
        }
    }
}

impl Watch {
    fn heard(&mut self, event: Event, now: Instant) {
        match event {
            Event::RunStarted { run, streams, dry_run } => self.run_started(&run.to_string(), streams, dry_run, now),
            Event::StreamStarted { stream, rows, resumed } => self.stream_started(&stream, rows, resumed, now),
            Event::StreamSkipped { stream, counts } => self.stream_skipped(&stream, counts, now),
            Event::Progress { stream, rows, bytes } => {
                self.meter.add(now, rows, bytes);
                self.change(&stream, now, |moving| {
                    moving.in_flight += rows;
                    moving.meter.add(now, rows, bytes);
                });
            }
            Event::BatchCommitted { stream, counts, .. } => self.change(&stream, now, |moving| {
                moving.committed += counts.read;
                moving.in_flight = moving.in_flight.saturating_sub(counts.read);
            }),
            Event::Rejected { stream, reasons, .. } => self.rejected(&stream, &reasons, now),
            Event::Retrying {
                stream,
                connection,
                error,
                attempt,
                pause,
            } => {
                self.change(&stream, now, |moving| moving.in_flight = 0);
                self.caution(&format!(
                    "{} waits for `{}`: {}; attempt {attempt} in {}",
                    visible(&stream),
                    visible(&connection),
                    visible(&error),
                    figures::duration(pause)
                ));
            }
            Event::Held { stream, why } => self.caution(&format!("{} pauses: {}", visible(&stream), visible(&why))),
            Event::Building { stream, what } => self
                .console
                .note(&format!("{}: building {}", visible(&stream), visible(&what))),
            Event::Built { stream, what, took } => self.console.note(&format!(
                "{}: {} is built, in {}",
                visible(&stream),
                visible(&what),
                figures::duration(took)
            )),
            Event::StreamFinished { stream, .. } => self.stream_finished(&stream, now),
            Event::Spent { connection, spent } => self.spent(connection, spent, now),
            Event::Warning { stream, message } => {
                let stream = stream.map(|stream| format!("{}: ", visible(&stream))).unwrap_or_default();
                self.caution(&format!("{stream}{}", visible(&message)));
            }
        }
    }

    fn run_started(&mut self, run: &str, streams: Vec<(String, u64)>, dry_run: bool, now: Instant) {
        let rows = match (self.doing, streams.iter().map(|(_, rows)| rows).sum()) {
            (Doing::MovingRejects, _) => ", only their rejects".to_owned(),
            (Doing::MovingChanges, _) => ", only what has changed".to_owned(),
            (Doing::Repairing, rows) => format!(", {} of the report", figures::counted(rows, "row")),
            // Nobody has counted them.
            (Doing::Comparing | Doing::FillingIn, 0) => String::new(),
            (Doing::Comparing | Doing::FillingIn, rows) => format!(", about {}", figures::counted(rows, "row")),
            (Doing::Moving | Doing::TakingBack, rows) => format!(", {}", figures::counted(rows, "row")),
        };
        let count = u64::try_from(streams.len()).unwrap_or(u64::MAX);
        let rehearsal = if dry_run { " (dry run: all of it is rolled back)" } else { "" };
        let what = if self.doing == Doing::Comparing {
            "verification"
        } else {
            "run"
        };
        self.console.note(&format!(
            "{what} {run}: {}: {}{rows}{rehearsal}",
            visible(&self.title),
            figures::counted(count, "stream"),
        ));
        self.streams = streams.into_iter().map(|(name, rows)| Moving::new(name, rows, now)).collect();
        if let View::Bars(bars) = &mut self.view {
            bars.begin(&self.streams);
            self.meter = Meter::new(now);
        }
    }

    fn stream_started(&mut self, stream: &str, rows: u64, resumed: Option<Counts>, now: Instant) {
        let Some(moving) = self.streams.iter_mut().find(|moving| moving.name == stream) else {
            return;
        };
        moving.rows = rows;
        let before = resumed.map_or(0, |counts| counts.read);
        moving.before = if rows == 0 { before } else { before.min(rows) };
        moving.began = now;
        moving.meter = Meter::new(now);
        match &mut self.view {
            View::Bars(bars) => bars.start(moving),
            View::Lines(lines) => lines.start(&self.console, moving, self.doing, now),
            View::Uncounted => {
                let doing = match self.doing {
                    Doing::MovingRejects => "moving its rejects again",
                    Doing::MovingChanges => "following its changes",
                    Doing::Repairing => "moving what is missing or different",
                    Doing::TakingBack => "going back",
                    Doing::Moving | Doing::Comparing | Doing::FillingIn => "begins",
                };
                self.console.note(&format!("{}: {doing}", visible(stream)));
            }
        }
        self.change(stream, now, |_| ());
    }

    fn stream_skipped(&mut self, stream: &str, counts: Counts, now: Instant) {
        if let Some(moving) = self.streams.iter_mut().find(|moving| moving.name == stream) {
            moving.before = moving.rows;
            moving.ended = true;
        }
        let rows = figures::counted(counts.read, "row");
        self.console.note(&format!("{}: already complete, {rows}", visible(stream)));
        self.total(now);
    }

    /// A stream's figures change; the view follows.
    fn change(&mut self, stream: &str, now: Instant, how: impl FnOnce(&mut Moving)) {
        if let Some(moving) = self.streams.iter_mut().find(|moving| moving.name == stream) {
            how(moving);
            match &mut self.view {
                View::Bars(bars) => bars.update(moving, now),
                View::Lines(lines) => lines.update(&self.console, moving, now),
                View::Uncounted => {}
            }
        }
        self.total(now);
    }

    fn total(&mut self, now: Instant) {
        if let View::Bars(bars) = &mut self.view {
            bars.total(&self.streams, self.meter.rate(now));
        }
    }

    /// Shown like the streams, but for each connection once.
    fn spent(&mut self, connection: String, spent: Spent, now: Instant) {
        let at = self.paid.iter().position(|paid| paid.connection == connection);
        let at = at.unwrap_or_else(|| {
            self.paid.push(Paid::new(connection, now));
            self.paid.len() - 1
        });
        let paid = &mut self.paid[at];
        paid.add(spent, now);
        match &mut self.view {
            View::Bars(bars) => bars.paid(paid, now),
            View::Lines(lines) => lines.paid(&self.console, paid, now),
            View::Uncounted => {}
        }
    }

    fn rejected(&mut self, stream: &str, reasons: &[(crate::data::reject::Reason, u64)], now: Instant) {
        let mut news = Vec::new();
        self.change(stream, now, |moving| {
            for (reason, rows) in reasons {
                if !moving.rejected.contains_key(reason.name()) {
                    news.push(reason.name());
                }
                *moving.rejected.entry(reason.name()).or_default() += rows;
            }
        });
        // Told once for each kind: the counts go on in the figures.
        if !news.is_empty() {
            self.caution(&format!("{}: rejects: {}", visible(stream), news.join(", ")));
        }
    }

    fn stream_finished(&mut self, stream: &str, now: Instant) {
        let Some(moving) = self.streams.iter_mut().find(|moving| moving.name == stream) else {
            return;
        };
        moving.ended = true;
        let outcome = match self.doing {
            Doing::Comparing => moving.compared(now),
            _ => moving.outcome(now),
        };
        match &mut self.view {
            View::Bars(bars) => bars.end(stream),
            View::Lines(lines) => lines.end(stream),
            View::Uncounted => {}
        }
        self.console.note(&outcome);
        self.total(now);
    }

    fn caution(&self, text: &str) {
        let color = self.console.note_color;
        self.console
            .note(&format!("{} {text}", Tone::Caution.paint("warning:", color)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lost_connection_takes_back_what_was_not_committed() {
        let now = Instant::now();
        let mut moving = Moving::new("s".to_owned(), 100, now);
        moving.before = 10;
        moving.in_flight = 40;
        assert_eq!(moving.position(), 50);
        moving.committed = 40;
        moving.in_flight = 0;
        moving.meter.add(now, 40, 4000);
        moving.rejected.insert("duplicate", 2);
        let later = now + Duration::from_secs(1);
        assert_eq!(moving.pace(later), "40 rows/s, 4.0 kB/s, 1 s left, 2 rejected");
        assert_eq!(
            moving.outcome(later),
            "s: complete, 40 rows in 1.00 s, after 10 of earlier runs, 2 rejected"
        );
        moving.committed = 1000;
        assert_eq!(moving.position(), 100, "a bar does not run over");
    }
}
