//! Progress on a terminal: a bar for each stream that moves, and one for all of them. A stream
//! that ends leaves a line behind.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::super::figures;
use super::super::output::visible;
use super::meter::Rate;
use super::paid::Paid;
use super::{Moving, time_left};

/// How often a bar is drawn without news, so that a long commit does not look dead.
const TICK: Duration = Duration::from_millis(250);
/// Widest name that is shown whole.
const NAME_MAX: usize = 24;
/// Most streams with a bar of their own; all of them are in the last one.
const BARS_MAX: usize = 8;

/// The bars of a run.
pub(super) struct Bars {
    all: MultiProgress,
    width: usize,
    /// By stream.
    moving: Vec<(String, ProgressBar)>,
    total: Option<ProgressBar>,
    /// By source connection, below all others.
    paid: Vec<(String, ProgressBar)>,
}

impl Bars {
    pub(super) fn new(all: MultiProgress) -> Self {
        Self {
            all,
            width: 0,
            moving: Vec::new(),
            total: None,
            paid: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, streams: &[Moving]) {
        let widest = streams.iter().map(|moving| visible(&moving.name).chars().count()).max();
        self.width = widest.unwrap_or(0).clamp("total".len(), NAME_MAX);
        if streams.len() > 1 {
            let bar = self.all.add(self.bar("total"));
            self.total = Some(bar);
            self.total(streams, None);
        }
    }

    pub(super) fn start(&mut self, moving: &Moving) {
        self.end(&moving.name);
        if self.moving.len() < BARS_MAX {
            let bar = self.all.insert(self.moving.len(), self.bar(&visible(&moving.name)));
            bar.enable_steady_tick(TICK);
            self.moving.push((moving.name.clone(), bar));
        }
    }

    pub(super) fn update(&mut self, moving: &Moving, now: Instant) {
        if let Some((_, bar)) = self.moving.iter().find(|(name, _)| *name == moving.name) {
            bar.set_length(moving.rows);
            bar.set_position(moving.position());
            bar.set_message(format!("{}  {}", share(moving.position(), moving.rows), moving.pace(now)));
        }
    }

    pub(super) fn total(&mut self, streams: &[Moving], rate: Option<Rate>) {
        let Some(bar) = &self.total else { return };
        let rows: u64 = streams.iter().map(|moving| moving.rows).sum();
        let position: u64 = streams
            .iter()
            .map(|moving| {
                if moving.ended {
                    moving.rows.max(moving.position())
                } else {
                    moving.position()
                }
            })
            .sum();
        let ended = streams.iter().filter(|moving| moving.ended).count();
        bar.set_length(rows);
        bar.set_position(position);
        let mut parts = vec![format!("{ended} of {} streams", streams.len())];
        parts.extend(rate.and_then(|rate| time_left(rows.saturating_sub(position), rate)));
        bar.set_message(format!("{}  {}", share(position, rows), parts.join(", ")));
    }

    pub(super) fn paid(&mut self, paid: &Paid, now: Instant) {
        let known = self.paid.iter().position(|(connection, _)| *connection == paid.connection);
        let at = known.unwrap_or_else(|| {
            let bar = ProgressBar::new_spinner().with_prefix(visible(&paid.connection));
            // As above: a constant.
            bar.set_style(
                ProgressStyle::with_template("{prefix}: {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            self.paid.push((paid.connection.clone(), self.all.add(bar)));
            self.paid.len() - 1
        });
        self.paid[at].1.set_message(paid.figures(now));
    }

    pub(super) fn end(&mut self, stream: &str) {
        if let Some(at) = self.moving.iter().position(|(name, _)| name == stream) {
            let (_, bar) = self.moving.remove(at);
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    pub(super) fn clear(&mut self) {
        let moving = self.moving.drain(..).map(|(_, bar)| bar);
        let paid = self.paid.drain(..).map(|(_, bar)| bar);
        for bar in moving.chain(self.total.take()).chain(paid) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    fn bar(&self, name: &str) -> ProgressBar {
        let name: String = name.chars().take(self.width).collect();
        // The template is a constant: where it does not parse, the default one shows as much.
        let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3} %  {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        ProgressBar::new(0)
            .with_style(style)
            .with_prefix(format!("{name:<width$}", width = self.width))
    }
}

fn share(position: u64, rows: u64) -> String {
    if rows == 0 {
        // Nobody knows how many there are.
        return figures::count(position);
    }
    format!("{} / {}", figures::count(position), figures::count(rows))
}
