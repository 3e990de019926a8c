//! Progress of a backup or restore: a line that turns on a terminal, a line now and then elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::backup::Step;
use crate::cli::figures;
use crate::cli::output::{Console, visible};

/// How often a line is written where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);
/// How often the line on a terminal turns.
const TICK: Duration = Duration::from_millis(200);

/// Who is told. The line is gone when it is dropped.
pub(in crate::cli) struct Watch {
    console: Console,
    state: Mutex<Heard>,
    bar: Option<ProgressBar>,
}

struct Heard {
    doing: String,
    table: String,
    bytes: u64,
    told: Instant,
}

impl Watch {
    pub(in crate::cli) fn new(console: &Console) -> Self {
        let bar = console.bars().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            console: console.clone(),
            state: Mutex::new(Heard {
                doing: String::new(),
                table: String::new(),
                bytes: 0,
                told: Instant::now(),
            }),
            bar,
        }
    }

    pub(in crate::cli) fn heard(&self, step: Step<'_>) {
        let mut heard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Begun { connection, doing } => {
                heard.doing = format!("{doing} {connection}");
                heard.table.clear();
                heard.bytes = 0;
                heard.told = Instant::now();
                if self.bar.is_none() {
                    self.console.note(&visible(&heard.doing));
                }
            }
            Step::Table { table, .. } => table.clone_into(&mut heard.table),
            Step::Bytes { bytes, .. } => heard.bytes += bytes,
            Step::Removed(what) => self.console.note(&visible(&format!("removed {what}"))),
            Step::Remark(text) => self.console.note(&visible(text)),
        }
        if let Some(bar) = &self.bar {
            bar.set_message(heard.line());
        } else if heard.told.elapsed() >= PAUSE {
            heard.told = Instant::now();
            self.console.note(&heard.line());
        }
    }
}

impl Heard {
    fn line(&self) -> String {
        let mut line = self.doing.clone();
        if !self.table.is_empty() {
            line = format!("{line}: {}", self.table);
        }
        if self.bytes > 0 {
            line = format!("{line}, {} so far", figures::bytes(self.bytes));
        }
        visible(&line)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
