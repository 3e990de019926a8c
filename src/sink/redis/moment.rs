//! The server's clock: when rows expire and when a run began is told by it, not by ours.

use redis::Value;

use super::command::Command;
use super::form::{number, parts};
use super::link::Link;
use super::names::Names;
use crate::Result;
use crate::data::text;

/// A moment.
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) milliseconds: i64,
    /// RFC 3339 in UTC.
    pub(super) text: String,
}

/// The moment at the server that keeps the ledger.
pub(super) async fn now(link: &mut Link, names: &Names) -> Result<Moment> {
    Ok(of(link.ask(Command::keyless("TIME", &names.epoch())).await?))
}

/// What a reply to TIME says.
pub(super) fn of(reply: Value) -> Moment {
    let reply = parts(reply);
    let part = |at: usize| reply.get(at).and_then(number).unwrap_or_default();
    let micros = part(0) * 1_000_000 + part(1);
    let milliseconds = micros / 1000;
    let mut text = String::new();
    if !text::timestamp(&mut text, milliseconds * 1000, true) {
        text.clear();
    }
    Moment {
        milliseconds,
        text: text.replace(' ', "T"),
    }
}
