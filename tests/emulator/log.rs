//! The log of requests: what a test needs to say what was asked of the account, and nothing more.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// Requests that are kept; older ones are forgotten.
const KEPT_MAX: usize = 100_000;

/// One request and its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What it asked for.
    pub(crate) kind: Kind,
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// Path as sent.
    pub(crate) path: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub(crate) version: String,
    /// The partition key that it is bound to, as JSON.
    pub(crate) partition_key: Option<String>,
    /// The physical partition that it is bound to.
    pub(crate) partition: Option<String>,
    /// The part of the partition that it is bound to.
    pub(crate) part: Option<String>,
    /// Documents asked for at most.
    pub(crate) page: Option<String>,
    /// Whether it goes on after a page: with a continuation, or the change feed's etag.
    pub(crate) continued: bool,
    /// The body of a query.
    pub(crate) query: Option<String>,
    /// Status of the answer; none where the connection was closed.
    pub(crate) status: Option<u16>,
    /// Documents in the answer.
    pub(crate) documents: Option<u64>,
    /// Request units of the answer.
    pub(crate) charge: f64,
    /// The fault that it met.
    pub(crate) fault: Option<String>,
}

impl Entry {
    /// The request alone.
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Self {
        let kind = Kind::of(parts);
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let part = header("x-ms-start-epk")
            .zip(header("x-ms-end-epk"))
            .map(|(start, end)| format!("{start}-{end}"));
        Self {
            kind,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            version: format!("{:?}", parts.version),
            partition_key: header("x-ms-documentdb-partitionkey"),
            partition: header("x-ms-documentdb-partitionkeyrangeid"),
            part,
            page: header("x-ms-max-item-count"),
            continued: header("x-ms-continuation").is_some() || (kind == Kind::Feed && header("if-none-match").is_some()),
            query: matches!(kind, Kind::Query | Kind::Plan).then(|| String::from_utf8_lossy(body).into_owned()),
            status: None,
            documents: None,
            charge: 0.0,
            fault: None,
        }
    }
}

/// The requests in the order in which they were answered.
#[derive(Default)]
pub(crate) struct Log(Mutex<VecDeque<Entry>>);

impl Log {
    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub(crate) fn push(&self, entry: Entry) {
        let mut entries = self.entries();
        if entries.len() == KEPT_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// All that is kept.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.entries().iter().cloned().collect()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.entries().clear();
    }
}
