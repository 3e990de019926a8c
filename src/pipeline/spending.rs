//! What a run's sources are paid for: told while it goes on, and summed up at its end.
//!
//! Read from the sources themselves, each once: streams that share a reader share its cost. A
//! source that costs nothing is never asked again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::event::{Event, Events};
use super::report::SpentReport;
use crate::source::Source;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Sources by their connections.
type Sources = BTreeMap<String, Arc<dyn Source>>;

/// Watches what is spent until it is ended or dropped.
pub(super) struct Spending {
    sources: Sources,
    events: Events,
    watch: Option<JoinHandle<()>>,
}

impl Spending {
    /// Begins to tell.
    pub(super) fn watch(sources: &Sources, events: &Events) -> Self {
        let paid = sources.iter().filter(|(_, source)| source.spent().is_some());
        let sources: Sources = paid.map(|(name, source)| (name.clone(), Arc::clone(source))).collect();
        let watch = (!sources.is_empty()).then(|| {
            let (sources, events) = (sources.clone(), Arc::clone(events));
            tokio::spawn(async move {
                loop {
                    tell(&sources, &events);
                    tokio::time::sleep(PAUSE).await;
                }
            })
        });
        Self {
            sources,
            events: Arc::clone(events),
            watch,
        }
    }

    /// What was spent, from the opening of the connections on.
    pub(super) fn end(self) -> Vec<SpentReport> {
        tell(&self.sources, &self.events);
        report(&self.sources)
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

fn tell(sources: &Sources, events: &Events) {
    for (connection, source) in sources {
        if let Some(spent) = source.spent() {
            events(Event::Spent {
                connection: connection.clone(),
                spent,
            });
        }
    }
}

/// What was spent so far, by connection; nothing of those that cost nothing.
pub(super) fn report(sources: &Sources) -> Vec<SpentReport> {
    let spent = sources.iter().filter_map(|(connection, source)| {
        let spent = source.spent()?;
        Some(SpentReport {
            connection: connection.clone(),
            request_units: spent.units(),
            requests: spent.requests,
            throttled: spent.throttled,
        })
    });
    spent.collect()
}
