//! The server's clock: by it rows expire, and by it the moments of writes are told apart from those of
//! the application.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use scylla::frame::types::Consistency;

use super::ledger::Ledger;
use crate::Result;
use crate::cql::fault;
use crate::data::text;

/// A clock that goes with the server's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Milliseconds since 1970 at the server.
    then: i64,
    /// When it was asked.
    asked: Instant,
}

impl Clock {
    /// Asks a node.
    pub(super) async fn of(ledger: &Ledger) -> Result<Self> {
        const WHAT: &str = "asking for the time";
        let keyspace = &ledger.keyspace;
        let asked = Instant::now();
        let text = "SELECT toUnixTimestamp(now()) FROM system.local";
        let statement = keyspace.statement(text, Consistency::One, WHAT).await?;
        let rows = keyspace.ask(&statement, &[], WHAT).await?.into_rows_result();
        let rows = fault::expected(rows, &keyspace.connection, WHAT)?;
        let (then,) = fault::expected(rows.single_row::<(i64,)>(), &keyspace.connection, WHAT)?;
        Ok(Self { then, asked })
    }

    /// Milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.then
            .saturating_add(i64::try_from(self.asked.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// How far the server's clock is from ours, in seconds.
    pub(super) fn skew_seconds(&self) -> i64 {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        (self.now() - i64::try_from(ours).unwrap_or(i64::MAX)) / 1_000
    }

    /// RFC 3339 in UTC.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if !text::timestamp(&mut out, self.now().saturating_mul(1_000), true) {
            out.clear();
        }
        out.replace(' ', "T")
    }
}
