//! TLS of the drivers that take it from rustls: one provider for all of them, and whether it was
//! TLS that failed.

use std::error::Error as StdError;
use std::io;

/// Installs the provider, for drivers that bring none. Safe to call again: an error says that it
/// is there already.
pub fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Whether TLS is what failed: found among the causes of an error.
#[must_use]
pub fn is_behind(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An error of input and output passes over the one that it wraps.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
