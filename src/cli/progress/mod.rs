//! Progress: events of the engine become bars on a terminal, and lines elsewhere.
//!
//! What is shown as moved may still be rolled back with its batch; a lost connection takes it
//! back, so that bars never run ahead of what the target will hold.

mod bars;
mod lines;
mod meter;
mod paid;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::bars::Bars;
use self::lines::Lines;
use self::meter::{Meter, Rate};
use self::paid::Paid;
use super::figures;
use super::output::{Console, Tone, visible};
use crate::data::counts::Counts;
use crate::data::spent::Spent;
use crate::pipeline::event::{Event, Events};

/// One stream on its way.
struct Moving {
    name: String,
    /// Rows that its source holds; 0 also where nobody knows.
    rows: u64,
    /// Rows read by earlier runs.
    before: u64,
    /// Rows read in committed batches of this run.
    committed: u64,
    /// Rows read since.
    in_flight: u64,
    rejected: BTreeMap<&'static str, u64>,
    began: Instant,
    meter: Meter,
    ended: bool,
}

impl Moving {
    fn new(name: String, rows: u64, now: Instant) -> Self {
        Self {
            name,
            rows,
            before: 0,
            committed: 0,
            in_flight: 0,
            rejected: BTreeMap::new(),
            began: now,
            meter: Meter::new(now),
            ended: false,
        }
    }

    fn position(&self) -> u64 {
        let position = self.before.saturating_add(self.committed).saturating_add(self.in_flight);
        if self.rows == 0 { position } else { position.min(self.rows) }
    }

    fn rejects(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// `12,345 rows/s, 3.2 MB/s, 1m 20s left, 2 rejected`.
    fn pace(&self, now: Instant) -> String {
        let mut parts = Vec::new();
        if let Some(rate) = self.meter.rate(now) {
            parts.push(format!("{} rows/s", figures::count(rate.rows)));
            parts.push(format!("{}/s", figures::bytes(rate.bytes)));
            parts.extend(time_left(self.rows.saturating_sub(self.position()), rate));
        }
        if self.rejects() > 0 {
            parts.push(format!("{} rejected", figures::count(self.rejects())));
        }
        parts.join(", ")
    }

    /// How it ended, for good.
    fn outcome(&self, now: Instant) -> String {
        let took = now - self.began;
        let mut text = format!(
            "{}: complete, {} in {}",
            visible(&self.name),
            figures::counted(self.committed, "row"),
            figures::duration(took)
        );
        if self.before > 0 {
            text = format!("{text}, after {} of earlier runs", figures::count(self.before));
        }
        if self.rejects() > 0 {
            text = format!("{text}, {} rejected", figures::count(self.rejects()));
        }
        text
    }
}

/// `1m 20s left`, where there is something left and it moves.
fn time_left(rows: u64, rate: Rate) -> Option<String> {
    let seconds = rows.checked_div(rate.rows).filter(|_| rows > 0)?;
    // An estimate has no fractions.
    Some(match seconds {
        0 => "less than 1 s left".to_owned(),
        1..60 => format!("{seconds} s left"),
        _ => format!("{} left", figures::duration(Duration::from_secs(seconds))),
    })
}

/// How a run is shown.
enum View {
    Bars(Bars),
    Lines(Lines),
    /// How many rows there are is not known before they have come.
    Uncounted(Uncounted),
}

/// Which rows are moved, where nobody has counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uncounted {
    /// Stored rejects, again.
    Rejects,
    /// What has changed since a copy.
    Changes,
}

/// What was heard of a run so far.
struct Watch {
    console: Console,
    /// What runs, for the first line.
    title: String,
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
    pub(super) fn new(console: &Console, title: &str, uncounted: Option<Uncounted>) -> Self {
        let view = match (uncounted, console.bars()) {
            (Some(uncounted), _) => View::Uncounted(uncounted),
            (None, Some(bars)) => View::Bars(Bars::new(bars.clone())),
            (None, None) => View::Lines(Lines::default()),
        };
        Self(Arc::new(Mutex::new(Watch {
            console: console.clone(),
            title: title.to_owned(),
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
            Event::StreamFinished { stream, .. } => self.stream_finished(&stream, now),
            Event::Spent { connection, spent } => self.spent(connection, spent, now),
            Event::Warning { stream, message } => {
                let stream = stream.map(|stream| format!("{}: ", visible(&stream))).unwrap_or_default();
                self.caution(&format!("{stream}{}", visible(&message)));
            }
        }
    }

    fn run_started(&mut self, run: &str, streams: Vec<(String, u64)>, dry_run: bool, now: Instant) {
        let rows = match self.view {
            View::Uncounted(Uncounted::Rejects) => "only their rejects".to_owned(),
            View::Uncounted(Uncounted::Changes) => "only what has changed".to_owned(),
            _ => figures::counted(streams.iter().map(|(_, rows)| rows).sum(), "row"),
        };
        let count = u64::try_from(streams.len()).unwrap_or(u64::MAX);
        let rehearsal = if dry_run { " (dry run: all of it is rolled back)" } else { "" };
        self.console.note(&format!(
            "run {run}: {}: {}, {rows}{rehearsal}",
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
            View::Lines(lines) => lines.start(&self.console, moving, now),
            View::Uncounted(what) => {
                let doing = match what {
                    Uncounted::Rejects => "moving its rejects again",
                    Uncounted::Changes => "following its changes",
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
                View::Uncounted(_) => {}
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
            View::Uncounted(_) => {}
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
        let outcome = moving.outcome(now);
        match &mut self.view {
            View::Bars(bars) => bars.end(stream),
            View::Lines(lines) => lines.end(stream),
            View::Uncounted(_) => {}
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
