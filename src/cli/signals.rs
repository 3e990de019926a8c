//! Ctrl-C and the termination signal: the first asks for a stop, the second ends it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::Console;
use crate::error;
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result};

/// What is said of stopping.
pub(super) struct Stopping {
    /// After the first signal.
    pub(super) asked: &'static str,
    /// After the second one.
    pub(super) aborted: String,
}

/// What would be said now; a command that goes on to something else replaces it.
#[derive(Clone)]
pub(super) struct Said(Arc<Mutex<Stopping>>);

impl Said {
    pub(super) fn replace(&self, stopping: Stopping) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stopping;
    }

    fn asked(&self) -> &'static str {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    fn aborted(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).aborted.clone()
    }
}

/// Watches for both signals until the process ends.
///
/// # Errors
/// Where the system refuses to tell of signals.
pub(super) fn watch(console: Console, shutdown: Shutdown, stopping: Stopping) -> Result<Said> {
    let said = Said(Arc::new(Mutex::new(stopping)));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let saying = said.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        console.note(saying.asked());
        shutdown.cancel();
        either(&mut interrupt, &mut terminate).await;
        console.note(&saying.aborted());
        std::process::exit(error::EXIT_INTERRUPTED.into());
    });
    Ok(said)
}

/// Watches until it is dropped, for work that stands before what [`watch`] is for: the first signal
/// asks for a stop, one after that ends the process, and so does any once the work is done.
pub(super) struct Meanwhile(tokio::task::JoinHandle<()>);

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to watch; whoever is done with the work cancels `shutdown`.
///
/// # Errors
/// As [`watch`].
pub(super) fn meanwhile(shutdown: Shutdown) -> Result<Meanwhile> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(Meanwhile(tokio::spawn(async move {
        loop {
            either(&mut interrupt, &mut terminate).await;
            if shutdown.is_cancelled() {
                std::process::exit(error::EXIT_INTERRUPTED.into());
            }
            shutdown.cancel();
        }
    })))
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
