//! The log: tracing events of this crate to stderr.
//!
//! Other crates are left out whatever the level: a driver's log holds statements, notices and
//! values (Invariants 9 and 15).

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::output::Console;

/// Starts logging for the process.
pub(super) fn start(console: &Console, level: LevelFilter) {
    let writer = console.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(console.note_color)
        .with_target(level >= LevelFilter::DEBUG)
        .with_writer(move || writer.clone());
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    // A second start in one process keeps the first: nothing else sets a subscriber.
    drop(tracing_subscriber::registry().with(layer.with_filter(ours)).try_init());
}
