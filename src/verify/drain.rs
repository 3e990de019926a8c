//! Reading a side to its end, on a thread of its own: what is done with rows is computation.

use super::report::{StreamVerdict, VerifyReport};
use super::side::{Portion, Portions};
use crate::data::counts::Counts;
use crate::pipeline::event::{Event, Events};
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result};

/// Who is told of progress, and who may stop it.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) events: Events,
    pub(super) shutdown: Shutdown,
}

impl Watch {
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

    /// A stream was compared.
    pub(super) fn stream_ended(&self, verdict: &StreamVerdict) {
        (self.events)(Event::StreamFinished {
            stream: verdict.name.clone(),
            counts: Counts {
                read: verdict.source_rows,
                filtered: verdict.filtered,
                expired: verdict.expired,
                rejected: verdict.rejected,
                ..Counts::default()
            },
        });
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
