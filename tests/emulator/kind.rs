//! What a request asks for, told by its method, path and headers.

use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};

/// Kinds of requests, as the log names them and faults choose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The account, a database or a container is looked at.
    Open,
    /// A container's physical partitions.
    Partitions,
    /// How a query is to be spread; the SDK asks for it where it cannot tell by itself.
    Plan,
    /// A page of a query.
    Query,
    /// A page of the change feed.
    Feed,
    /// One document by its id.
    Read,
    /// A document is written.
    Write,
}

impl Kind {
    /// The kind of a request.
    pub(crate) fn of(parts: &Parts) -> Self {
        let path = parts.uri.path().trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            [_, _, _, _, "pkranges"] => Self::Partitions,
            [_, _, _, _, "docs"] if parts.headers.contains_key("a-im") => Self::Feed,
            [_, _, _, _, "docs"] if is_true(parts, "x-ms-cosmos-is-query-plan-request") => Self::Plan,
            [_, _, _, _, "docs"] if parts.method == hyper::Method::GET || is_true(parts, "x-ms-documentdb-isquery") => Self::Query,
            [_, _, _, _, "docs", _] if parts.method == hyper::Method::GET => Self::Read,
            [_, _, _, _, "docs", ..] => Self::Write,
            _ => Self::Open,
        }
    }

    /// Whether the answer is a page of documents.
    pub(crate) fn is_page(self) -> bool {
        matches!(self, Self::Query | Self::Feed)
    }
}

fn is_true(parts: &Parts, name: &str) -> bool {
    parts
        .headers
        .get(name)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}
