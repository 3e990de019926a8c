//! Ctrl-C and the termination signal: the first asks the run to stop, the second ends it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::intent::RunIntent;
use super::output::Console;
use crate::error;
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result};

/// Watches for both signals until the process ends.
///
/// # Errors
/// Where the system refuses to tell of signals.
pub(super) fn watch(console: Console, shutdown: Shutdown, intent: &RunIntent) -> Result<()> {
    let aborted = if intent.run.dry_run {
        "aborted: nothing was written".to_owned()
    } else {
        format!(
            "aborted: the batch in flight is rolled back; go on after the last committed one with\n  {}",
            intent.resume()
        )
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        console.note("finishing the batch in flight; press Ctrl-C again to abort");
        shutdown.cancel();
        either(&mut interrupt, &mut terminate).await;
        console.note(&aborted);
        std::process::exit(error::EXIT_INTERRUPTED.into());
    });
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::new(ErrorKind::Internal, "cannot listen for signals").because(error))
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
