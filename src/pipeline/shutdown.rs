//! Stopping on request.
