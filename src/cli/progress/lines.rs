//! Progress where stderr is no terminal: a line at the boundaries of streams, and one every few
//! seconds in between, of whichever stream moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::figures;
use super::super::output::{Console, visible};
use super::paid::Paid;
use super::{Doing, Moving};

/// Between two lines, divided among the streams that move.
const PAUSE: Duration = Duration::from_secs(5);

/// When something was last told of the streams that move.
#[derive(Default)]
pub(super) struct Lines {
    last: BTreeMap<String, Instant>,
    /// When a connection's cost was last told, by its name.
    paid: BTreeMap<String, Instant>,
}

impl Lines {
    pub(super) fn start(&mut self, console: &Console, moving: &Moving, doing: Doing, now: Instant) {
        self.last.insert(moving.name.clone(), now);
        let rows = figures::counted(moving.rows, "row");
        let name = visible(&moving.name);
        if moving.before > 0 && moving.rows == 0 {
            console.note(&format!("{name}: goes on after {}", figures::counted(moving.before, "row")));
        } else if moving.before > 0 {
            console.note(&format!("{name}: goes on after {} of {rows}", figures::count(moving.before)));
        } else if doing == Doing::Comparing {
            // An estimate, where there is one.
            console.note(&format!("{name}: being compared"));
        } else if doing == Doing::FillingIn {
            console.note(&format!("{name}: begins"));
        } else {
            console.note(&format!("{name}: begins, {rows}"));
        }
    }

    pub(super) fn end(&mut self, stream: &str) {
        self.last.remove(stream);
    }

    pub(super) fn update(&mut self, console: &Console, moving: &Moving, now: Instant) {
        let pause = PAUSE * u32::try_from(self.last.len().max(1)).unwrap_or(u32::MAX);
        if self.last.get(&moving.name).is_none_or(|last| now - *last < pause) {
            return;
        }
        self.last.insert(moving.name.clone(), now);
        let share = if moving.rows == 0 {
            figures::counted(moving.position(), "row")
        } else {
            format!(
                "{} of {} ({} %)",
                figures::count(moving.position()),
                figures::counted(moving.rows, "row"),
                figures::percent(moving.position(), moving.rows)
            )
        };
        console.note(&format!("{}: {share}, {}", visible(&moving.name), moving.pace(now)));
    }

    pub(super) fn paid(&mut self, console: &Console, paid: &Paid, now: Instant) {
        let last = *self.paid.entry(paid.connection.clone()).or_insert(now);
        if now - last >= PAUSE {
            self.paid.insert(paid.connection.clone(), now);
            console.note(&format!("{}: {}", visible(&paid.connection), paid.figures(now)));
        }
    }
}
