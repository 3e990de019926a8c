//! Schema migrations of targets.
