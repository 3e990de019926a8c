//! A reader's task: it ends when nobody receives any more, and whoever receives learns of its end.
//! A reader's thread: it gives way to others.

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

/// By how much a thread that works ahead is less urgent than others, in steps of the scheduler.
const NICENESS: i32 = 5;

/// Lets this thread, which reads or makes rows ready ahead, give way to those that wait for the target,
/// and to a target on the same machine: what they do not need is still its own. The thread stays so.
pub(crate) fn give_way() {
    // Elsewhere it would be the priority of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread that works ahead is as urgent as others");
    }
}
