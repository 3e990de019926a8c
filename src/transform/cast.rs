//! Exact casts to the target types.
