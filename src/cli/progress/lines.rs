//! Progress where stderr is no terminal: a line at the boundaries of streams, and one every few
//! seconds in between.

use std::time::{Duration, Instant};

use super::super::figures;
use super::super::output::{Console, visible};
use super::Moving;

/// Between two lines of one stream.
const PAUSE: Duration = Duration::from_secs(5);

/// When something was last told.
#[derive(Default)]
pub(super) struct Lines {
    last: Option<Instant>,
}

impl Lines {
    pub(super) fn start(&mut self, console: &Console, moving: &Moving, now: Instant) {
        self.last = Some(now);
        let rows = figures::counted(moving.rows, "row");
        let name = visible(&moving.name);
        if moving.before > 0 {
            console.note(&format!("{name}: goes on after {} of {rows}", figures::count(moving.before)));
        } else {
            console.note(&format!("{name}: begins, {rows}"));
        }
    }

    pub(super) fn update(&mut self, console: &Console, moving: &Moving, now: Instant) {
        if self.last.is_some_and(|last| now - last < PAUSE) {
            return;
        }
        self.last = Some(now);
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
