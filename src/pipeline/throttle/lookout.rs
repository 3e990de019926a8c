//! Looking out for those who suffer from a run, beside its way: a lane never waits for a look, it only
//! hears what the last one saw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::FutureExt as _;
use tokio::task::JoinHandle;

use super::super::event::{Event, Events};
use super::watch::{HIDDEN, LOOK_EVERY, Watch};
use crate::config::limits::Limits;
use crate::data::backfill::Strain;
use crate::data::table::TableName;
use crate::error::Retry;
use crate::sink::Sink;
use crate::{ErrorKind, Result};

/// Looks at the table of one stream, for all of its splits.
pub(super) struct Lookout {
    sink: Arc<dyn Sink>,
    table: TableName,
    pub(super) stream: String,
    pub(super) limits: Limits,
    events: Events,
    /// Of the whole run: that standbys are hidden was told.
    hidden: Arc<AtomicBool>,
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// A look that goes on.
    looking: Option<JoinHandle<Result<Strain>>>,
    /// When the last one began.
    looked: Instant,
    /// What it found to be above a limit.
    why: Option<String>,
    /// Nothing can be seen.
    blind: bool,
}

impl Lookout {
    pub(super) fn new(
        (sink, table): (&Arc<dyn Sink>, &TableName),
        stream: &str,
        limits: Limits,
        events: &Events,
        hidden: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            sink: Arc::clone(sink),
            table: table.clone(),
            stream: stream.to_owned(),
            limits,
            events: Arc::clone(events),
            hidden: Arc::clone(hidden),
            state: Mutex::new(State {
                watch: Watch::default(),
                looking: None,
                // What is over at once is not worth a look.
                looked: Instant::now(),
                why: None,
                blind: false,
            }),
        }
    }

    /// Why nothing more is to be written now, as far as the last look saw. Begins the next one where it is
    /// time for it; outside of a runtime, or where nothing can be seen, never.
    pub(super) fn why_not(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.blind {
            return None;
        }
        if let Some(mut looking) = state.looking.take() {
            match (&mut looking).now_or_never() {
                Some(Ok(outcome)) => self.take_in(&mut state, outcome),
                // It was given up with its runtime.
                Some(Err(_)) => {}
                None => state.looking = Some(looking),
            }
        }
        if state.looking.is_none() && !state.blind && state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let (sink, table) = (Arc::clone(&self.sink), self.table.clone());
            state.looking = Some(tokio::spawn(async move { sink.strain(&table).await }));
        }
        state.why.clone()
    }

    fn take_in(&self, state: &mut State, outcome: Result<Strain>) {
        let strain = match outcome {
            Ok(strain) => strain,
            // Whoever writes will hear it soon enough that the server is away.
            Err(error) if error.kind().policy().retry == Retry::Backoff => return,
            Err(error) => {
                state.blind = true;
                state.why = None;
                if error.kind() != ErrorKind::Usage {
                    self.warn(format!("nothing pauses for others, for nobody can see how they are: {error}"));
                }
                return;
            }
        };
        if strain.standbys_hidden && !self.hidden.swap(true, Ordering::Relaxed) {
            self.warn(HIDDEN.to_owned());
        }
        let before = state.why.take();
        state.why = state.watch.too_much(Instant::now(), &strain, &self.limits);
        if let (None, Some(why)) = (before, &state.why) {
            (self.events)(Event::Held {
                stream: self.stream.clone(),
                why: why.clone(),
            });
        }
    }

    fn warn(&self, message: String) {
        (self.events)(Event::Warning {
            stream: Some(self.stream.clone()),
            message,
        });
    }
}
