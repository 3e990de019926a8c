//! What is told while schemas are changed.

use crate::cli::output::{Console, visible};
use crate::pipeline::shutdown::Shutdown;
use crate::schema::{Event, Watch};

/// Tells what happens on stderr, and stops when that is asked for.
pub(super) struct Follower {
    console: Console,
    shutdown: Shutdown,
    /// Each migration, too: where no table tells of them afterwards.
    tells_all: bool,
}

impl Follower {
    pub(super) fn new(console: &Console, shutdown: Shutdown) -> Self {
        Self {
            console: console.clone(),
            shutdown,
            tells_all: false,
        }
    }

    /// One that tells of each migration.
    pub(super) fn telling(console: &Console, shutdown: Shutdown) -> Self {
        Self {
            tells_all: true,
            ..Self::new(console, shutdown)
        }
    }
}

impl Watch for Follower {
    fn tell(&self, event: &Event<'_>) {
        let text = match event {
            Event::Waiting { connection, holder } => {
                let holder = holder.unwrap_or("another process");
                format!("{connection}: waiting for {holder}, which is migrating it")
            }
            Event::Applied { connection, migration } if self.tells_all => {
                format!(
                    "{connection}: applied migration {} {}",
                    migration.version, migration.description
                )
            }
            Event::Applied { .. } | Event::Reverted { .. } => return,
        };
        self.console.note(&visible(&text));
    }

    fn is_over(&self) -> bool {
        self.shutdown.is_cancelled()
    }
}
