//! Applying a transform to a batch.
