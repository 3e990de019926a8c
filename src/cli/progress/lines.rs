//! Progress where stderr is no terminal: a line at the boundaries of streams, and one every few
//! seconds in between, of whichever stream moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::figures;
use super::super::output::{Console, visible};
use super::Moving;

/// Between two lines, divided among the streams that move.
const PAUSE: Duration = Duration::from_secs(5);

/// When something was last told of the streams that move.
#[derive(Default)]
pub(super) struct Lines {
    last: BTreeMap<String, Instant>,
}

impl Lines {
    pub(super) fn start(&mut self, console: &Console, moving: &Moving, now: Instant) {
        self.last.insert(moving.name.clone(), now);
        let rows = figures::counted(moving.rows, "row");
        let name = visible(&moving.name);
        if moving.before > 0 {
            console.note(&format!("{name}: goes on after {} of {rows}", figures::count(moving.before)));
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
        console.note(&format!(
            "{}: {} of {} ({} %), {}",
            visible(&moving.name),
            figures::count(moving.position()),
            figures::counted(moving.rows, "row"),
            figures::percent(moving.position(), moving.rows),
            moving.pace(now)
        ));
    }
}
