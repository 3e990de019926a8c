//! Who follows a change of schemas: is told of it as it happens, and may stop it between two migrations.

use super::Migration;

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// Somebody else is migrating: it goes on when they have ended.
    Waiting {
        /// The connection's name.
        connection: &'a str,
        /// Who it is, where that can be told.
        holder: Option<&'a str>,
    },
    /// A migration was applied.
    Applied {
        /// The connection's name.
        connection: &'a str,
        /// Which.
        migration: &'a Migration,
    },
    /// A migration was reverted.
    Reverted {
        /// The connection's name.
        connection: &'a str,
        /// Which.
        migration: &'a Migration,
    },
}

/// Follows a change.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn tell(&self, event: &Event<'_>);

    /// Whether nothing more is to be begun.
    fn is_over(&self) -> bool;
}

/// Nobody follows, and nothing is stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn tell(&self, _: &Event<'_>) {}

    fn is_over(&self) -> bool {
        false
    }
}
