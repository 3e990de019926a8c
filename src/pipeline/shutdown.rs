//! Stopping on request: the batch in flight is finished, nothing new is begun.

use tokio_util::sync::CancellationToken;

use crate::{Error, ErrorKind};

/// Cancelled by the first Ctrl-C (or whoever embeds the pipeline).
pub type Shutdown = CancellationToken;

/// The error that a stop becomes once the batch in flight is committed.
#[must_use]
pub fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped on request after a finished batch")
}
