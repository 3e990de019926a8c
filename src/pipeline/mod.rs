//! The pipeline: plan, then move stream after stream, batch by batch.

pub mod claim;
pub mod ends;
pub mod event;
pub mod feed;
pub mod fingerprint;
mod holder;
pub mod isolate;
pub mod plan;
pub mod report;
pub mod resume;
pub mod retry;
pub mod retry_rejects;
pub mod run;
pub mod shape;
pub mod shutdown;
pub mod tally;
pub mod validate;
pub mod worker;
