//! Reading a side to its end, on a thread of its own: what is done with rows is computation.

use std::sync::Arc;

use super::kept::GroupKept;
use super::report::{StreamVerdict, VerifyReport};
use super::side::{Portion, Portions};
use crate::data::counts::Counts;
use crate::pipeline::event::{Event, Events};
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result};

/// Who is told of progress, who may stop it, and where it is noted.
#[derive(Clone)]
pub(super) struct Watch {
    /// How far the group that is looked at is.
    pub(super) kept: Arc<GroupKept>,
    pub(super) events: Events,
    pub(super) shutdown: Shutdown,
}

impl Watch {
    /// Of something of which nothing is kept.
    pub(super) fn new(events: Events, shutdown: Shutdown) -> Self {
        Self {
            kept: Arc::new(GroupKept::nothing(Arc::clone(&events))),
            events,
            shutdown,
        }
    }

    /// The same of this group.
    pub(super) fn of(&self, kept: &Arc<GroupKept>) -> Self {
        Self {
            kept: Arc::clone(kept),
            ..self.clone()
        }
    }

    /// Rows of a stream's source were read.
    pub(super) fn progress(&self, stream: &str, rows: u64) {
        (self.events)(Event::Progress {
            stream: stream.to_owned(),
            rows,
            bytes: 0,
        });
    }

    /// The verification begins.
    pub(super) fn begun(&self, report: &VerifyReport, plan: &Plan) {
        let streams = plan.streams.iter();
        (self.events)(Event::RunStarted {
            run: report.id.parse().unwrap_or_default(),
            streams: streams.map(|stream| (stream.name.clone(), rows(stream))).collect(),
            dry_run: false,
        });
    }

    /// A stream is looked at.
    pub(super) fn stream_begun(&self, stream: &PlannedStream) {
        (self.events)(Event::StreamStarted {
            stream: stream.name.clone(),
            rows: rows(stream),
            resumed: None,
        });
    }

    /// A stream goes on after rows that an earlier sitting has read.
    pub(super) fn goes_on(&self, stream: &str, rows: u64, before: u64) {
        (self.events)(Event::StreamStarted {
            stream: stream.to_owned(),
            rows,
            resumed: Some(Counts {
                read: before,
                ..Counts::default()
            }),
        });
    }

    /// A stream was compared by an earlier sitting.
    pub(super) fn skipped(&self, verdict: &StreamVerdict) {
        (self.events)(Event::StreamSkipped {
            stream: verdict.name.clone(),
            counts: counts(verdict),
        });
    }

    /// A stream was compared.
    pub(super) fn stream_ended(&self, verdict: &StreamVerdict) {
        (self.events)(Event::StreamFinished {
            stream: verdict.name.clone(),
            counts: counts(verdict),
        });
    }
}

fn counts(verdict: &StreamVerdict) -> Counts {
    Counts {
        read: verdict.source_rows,
        filtered: verdict.filtered,
        expired: verdict.expired,
        rejected: verdict.rejected,
        ..Counts::default()
    }
}

/// Rows of a stream's source, as far as they are known.
fn rows(stream: &PlannedStream) -> u64 {
    stream.subject_rows.or(stream.rows_estimate).unwrap_or_default()
}

/// Calls `each` with every portion, and returns the state that it works on.
///
/// # Errors
/// What reading or `each` fails with; [`ErrorKind::Interrupted`] where it was stopped.
pub(super) async fn drain<S, F>(mut portions: Portions, watch: &Watch, state: S, mut each: F) -> Result<S>
where
    S: Send + 'static,
    F: FnMut(&mut S, Portion) -> Result<()> + Send + 'static,
{
    let shutdown = watch.shutdown.clone();
    let work = move || {
        let mut state = state;
        while let Some(portion) = portions.blocking_recv() {
            if shutdown.is_cancelled() {
                return Err(super::stopped());
            }
            each(&mut state, portion?)?;
        }
        Ok(state)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Internal, "the thread that compares rows panicked"))?
}
