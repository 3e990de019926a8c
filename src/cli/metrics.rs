//! Figures of a run for a monitoring system: events of the engine become series, which are served
//! in the text form of Prometheus while the run goes on.
//!
//! Names of projects, streams and connections are labels; no cell value is anywhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Label, Recorder, Unit, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio::task::JoinHandle;

use crate::data::counts::Counts;
use crate::data::spent::Spent;
use crate::pipeline::event::{Event, Events};
use crate::{Error, ErrorKind, Result};

const ROWS_READ: &str = "dbferry_rows_read_total";
const ROWS_FILTERED: &str = "dbferry_rows_filtered_total";
const ROWS_EXPIRED: &str = "dbferry_rows_expired_total";
const ROWS_INSERTED: &str = "dbferry_rows_inserted_total";
const ROWS_UPDATED: &str = "dbferry_rows_updated_total";
const ROWS_SKIPPED: &str = "dbferry_rows_skipped_total";
const ROWS_REJECTED: &str = "dbferry_rows_rejected_total";
const ROWS_SOURCE: &str = "dbferry_source_rows";
const BYTES_READ: &str = "dbferry_bytes_read_total";
const BATCHES: &str = "dbferry_batches_total";
const BATCH_SECONDS: &str = "dbferry_batch_seconds";
const RETRIES: &str = "dbferry_retries_total";
const STATE: &str = "dbferry_stream_state";
const REQUEST_UNITS: &str = "dbferry_request_units";
const REQUESTS: &str = "dbferry_requests_total";
const THROTTLED: &str = "dbferry_throttled_total";

/// Upper bounds of the seconds that a batch takes.
const SECONDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Counters of a stream, and what they say.
const COUNTERS: [(&str, &str); 10] = [
    (ROWS_READ, "Rows read from the source in committed batches."),
    (ROWS_FILTERED, "Rows that were left out by `where` or by their kind."),
    (ROWS_EXPIRED, "Rows that had expired before they were written."),
    (ROWS_INSERTED, "Rows new in the target."),
    (ROWS_UPDATED, "Rows changed in the target."),
    (ROWS_SKIPPED, "Rows that were in the target already and stayed as they were."),
    (ROWS_REJECTED, "Rows that went to the reject store."),
    (BYTES_READ, "Bytes read from the source, as held in memory, committed or not."),
    (BATCHES, "Batches committed."),
    (RETRIES, "Times that a stream waited for a lost connection."),
];

/// Serves until it is dropped.
pub(super) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    /// Streams that were announced, with their states.
    streams: Arc<Mutex<Vec<(String, State)>>>,
    project: String,
    server: JoinHandle<()>,
}

/// How far a stream is, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Moving,
    Retrying,
    Complete,
}

impl State {
    const ALL: [Self; 4] = [Self::Waiting, Self::Moving, Self::Retrying, Self::Complete];

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Moving => "moving",
            Self::Retrying => "retrying",
            Self::Complete => "complete",
        }
    }
}

impl Metrics {
    /// Begins to serve the figures of a project's run.
    ///
    /// # Errors
    /// Where nothing can listen on the address.
    pub(super) fn serve(address: SocketAddr, project: &str) -> Result<Self> {
        let unfit = |error| {
            Error::new(ErrorKind::Busy, format!("cannot serve metrics on {address}"))
                .hint(
                    "another program may listen there: choose another address with --metrics, or in [metrics] of the configuration",
                )
                .because(error)
        };
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).map_err(unfit)?;
        let (recorder, server) = builder.with_http_listener(address).build().map_err(unfit)?;
        describe(&recorder);
        Ok(Self {
            recorder: Arc::new(recorder),
            streams: Arc::default(),
            project: project.to_owned(),
            // It ends with an error only where nothing more can be accepted: the run matters more.
            server: tokio::spawn(async move { drop(server.await) }),
        })
    }

    /// The same events, counted on their way.
    pub(super) fn count(&self, events: Events) -> Events {
        let (recorder, streams, project) = (Arc::clone(&self.recorder), Arc::clone(&self.streams), self.project.clone());
        Arc::new(move |event| {
            let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
            with_local_recorder(&*recorder, || heard(&project, &mut streams, &event));
            drop(streams);
            events(event);
        })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn describe(recorder: &PrometheusRecorder) {
    for (name, what) in COUNTERS {
        recorder.describe_counter(name.into(), None, what.into());
    }
    recorder.describe_gauge(ROWS_SOURCE.into(), None, "Rows in the source, counted or estimated.".into());
    recorder.describe_gauge(STATE.into(), None, "1 for the state that a stream is in.".into());
    let seconds = "From the first row of a batch to its commit.";
    recorder.describe_histogram(BATCH_SECONDS.into(), Some(Unit::Seconds), seconds.into());
    let since = "since the source connection was opened.";
    recorder.describe_gauge(REQUEST_UNITS.into(), None, format!("Request units spent {since}").into());
    recorder.describe_counter(REQUESTS.into(), None, format!("Requests made {since}").into());
    recorder.describe_counter(
        THROTTLED.into(),
        None,
        format!("Times that the service asked to wait {since}").into(),
    );
}

fn heard(project: &str, streams: &mut Vec<(String, State)>, event: &Event) {
    let labels = |stream: &str| {
        vec![
            Label::new("project", project.to_owned()),
            Label::new("stream", stream.to_owned()),
        ]
    };
    let mut enter = |stream: &str, state: State| {
        match streams.iter_mut().find(|(name, _)| name == stream) {
            Some((_, now)) if *now == state => return,
            Some((_, now)) => *now = state,
            None => streams.push((stream.to_owned(), state)),
        }
        for other in State::ALL {
            let mut labels = labels(stream);
            labels.push(Label::new("state", other.name()));
            gauge!(STATE, labels).set(if other == state { 1.0 } else { 0.0 });
        }
    };
    match event {
        Event::RunStarted { streams, .. } => {
            for (stream, rows) in streams {
                enter(stream, State::Waiting);
                gauge!(ROWS_SOURCE, labels(stream)).set(float(*rows));
                // All series are there from the beginning, with 0.
                for (name, _) in COUNTERS {
                    counter!(name, labels(stream)).increment(0);
                }
            }
        }
        Event::StreamStarted { stream, rows, .. } => {
            enter(stream, State::Moving);
            gauge!(ROWS_SOURCE, labels(stream)).set(float(*rows));
        }
        Event::StreamSkipped { stream, .. } | Event::StreamFinished { stream, .. } => enter(stream, State::Complete),
        Event::Progress { stream, bytes, .. } => {
            enter(stream, State::Moving);
            counter!(BYTES_READ, labels(stream)).increment(*bytes);
        }
        Event::BatchCommitted {
            stream, counts, took, ..
        } => {
            enter(stream, State::Moving);
            committed(&labels(stream), *counts, *took);
        }
        Event::Retrying { stream, .. } => {
            enter(stream, State::Retrying);
            counter!(RETRIES, labels(stream)).increment(1);
        }
        Event::Spent { connection, spent } => paid(project, connection, *spent),
        // What is rejected is counted with its batch.
        Event::Rejected { .. } | Event::Warning { .. } | Event::Held { .. } | Event::Building { .. } | Event::Built { .. } => {}
    }
}

fn committed(labels: &[Label], counts: Counts, took: Duration) {
    let Counts {
        read,
        filtered,
        expired,
        inserted,
        updated,
        skipped,
        rejected,
    } = counts;
    for (name, rows) in [
        (ROWS_READ, read),
        (ROWS_FILTERED, filtered),
        (ROWS_EXPIRED, expired),
        (ROWS_INSERTED, inserted),
        (ROWS_UPDATED, updated),
        (ROWS_SKIPPED, skipped),
        (ROWS_REJECTED, rejected),
        (BATCHES, 1),
    ] {
        counter!(name, labels.to_vec()).increment(rows);
    }
    histogram!(BATCH_SECONDS, labels.to_vec()).record(took);
}

fn paid(project: &str, connection: &str, spent: Spent) {
    let labels = vec![
        Label::new("project", project.to_owned()),
        Label::new("connection", connection.to_owned()),
    ];
    gauge!(REQUEST_UNITS, labels.clone()).set(float(spent.milli_units) / 1000.0);
    counter!(REQUESTS, labels.clone()).absolute(spent.requests);
    counter!(THROTTLED, labels).absolute(spent.throttled);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; figures beyond 2^53 are not told to the last digit"
)]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_series() {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).expect("buckets");
        let recorder = builder.build_recorder();
        describe(&recorder);
        let counts = Counts {
            read: 10,
            inserted: 7,
            rejected: 3,
            ..Counts::default()
        };
        let stream = || "players".to_owned();
        let mut streams = Vec::new();
        for event in [
            Event::RunStarted {
                run: uuid::Uuid::nil(),
                streams: vec![(stream(), 20)],
                dry_run: false,
            },
            Event::Progress {
                stream: stream(),
                rows: 10,
                bytes: 900,
            },
            Event::BatchCommitted {
                stream: stream(),
                sequence: 1,
                counts,
                took: Duration::from_millis(30),
            },
            Event::Spent {
                connection: "cosmos".to_owned(),
                spent: Spent {
                    milli_units: 12_340,
                    requests: 5,
                    throttled: 1,
                },
            },
            Event::StreamFinished {
                stream: stream(),
                counts,
            },
        ] {
            with_local_recorder(&recorder, || heard("game", &mut streams, &event));
        }
        let text = recorder.handle().render();
        for line in [
            r#"dbferry_rows_read_total{project="game",stream="players"} 10"#,
            r#"dbferry_rows_rejected_total{project="game",stream="players"} 3"#,
            r#"dbferry_rows_updated_total{project="game",stream="players"} 0"#,
            r#"dbferry_bytes_read_total{project="game",stream="players"} 900"#,
            r#"dbferry_source_rows{project="game",stream="players"} 20"#,
            r#"dbferry_batch_seconds_bucket{project="game",stream="players",le="0.025"} 0"#,
            r#"dbferry_batch_seconds_bucket{project="game",stream="players",le="0.05"} 1"#,
            r#"dbferry_stream_state{project="game",stream="players",state="complete"} 1"#,
            r#"dbferry_stream_state{project="game",stream="players",state="moving"} 0"#,
            r#"dbferry_request_units{project="game",connection="cosmos"} 12.34"#,
            r#"dbferry_throttled_total{project="game",connection="cosmos"} 1"#,
        ] {
            assert!(text.lines().any(|other| other == line), "no `{line}` in:\n{text}");
        }
    }
}
