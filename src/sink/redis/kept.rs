//! What a run has committed is still there when it comes back after a lost connection.
//!
//! A server without persistence, or one that was set back to an older state, takes rows away whose
//! streams this run has told as complete. Its ledger goes with them: it then knows less than we do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::ledger_read;
use super::link::Link;
use super::names::Names;
use super::session::RedisSession;
use crate::{Error, ErrorKind, Result};

/// The last batch of each stream and split that this program has seen committed.
#[derive(Default)]
pub(super) struct Committed(Mutex<BTreeMap<(String, i32), i64>>);

impl Committed {
    /// A batch is durable.
    pub(super) fn add(&self, stream: &str, split: i32, sequence: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((stream.to_owned(), split), sequence);
    }

    /// Whether the last batch of the split that was seen committed is this one.
    pub(super) fn has(&self, stream: &str, split: i32, sequence: i64) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(stream.to_owned(), split)) == Some(&sequence)
    }

    /// Whether the ledger still knows of all of them, but for a last one that was not proven there.
    ///
    /// # Errors
    /// [`ErrorKind::Checkpoint`] where it does not.
    pub(super) async fn check(&self, link: &mut Link, names: &Names, (server, project): (&str, &str)) -> Result<()> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((stream, split), sequence) in known {
            let found = ledger_read::kept(link, names, (project, &stream, split)).await?;
            if found.is_none_or(|found| found.sequence + 1 < sequence) {
                return Err(Error::new(
                    ErrorKind::Checkpoint,
                    format!("connection `{server}` has lost what this run had written: its ledger is behind, at stream `{stream}`"),
                )
                .hint("the server came back without its data or with an older state; see that it keeps them, then run again: every stream goes on from what is there"));
            }
        }
        Ok(())
    }
}

/// A server that throws away keys which may expire has lost rows.
pub(super) async fn check_evicted(session: &mut RedisSession) -> Result<()> {
    let evicted = session.server.check_keeps(&mut session.reader).await?;
    let since = evicted.saturating_sub(session.evicted);
    let layout = &session.open()?.layout;
    if since == 0 || layout.expiry.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "connection `{}` has evicted {since} keys because memory was short while rows were moved",
            session.server.name
        ),
    )
    .hint("give it more memory, then move the stream again: `run --only STREAM --restart`"))
}
