//! A reader's task: it ends when nobody receives any more, and whoever receives learns of its end.

use tokio::sync::mpsc::Sender;

use crate::data::batch::SourceBatch;
use crate::{Error, ErrorKind, Result};

/// Reads in a task of its own, which is dropped, whatever it waits for, when the receiver is. What
/// it fails with is the last that comes through the channel; so is that it panicked, for whoever
/// cannot be told that the rows end early would take what came for everything.
pub(super) fn spawn(output: Sender<Result<SourceBatch>>, reading: impl Future<Output = Result<()>> + Send + 'static) {
    let sender = output.clone();
    let reader = tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => Ok(()),
            end = reading => end,
        }
    });
    // This task outlives a panic of the other and holds the channel open until it is told.
    tokio::spawn(async move {
        let end = reader
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the task that reads the source panicked")));
        if let Err(error) = end {
            // Fails only where nobody receives any more.
            drop(output.send(Err(error)).await);
        }
    });
}
