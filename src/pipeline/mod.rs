//! The pipeline: plan, then move stream after stream, batch by batch.

pub mod claim;
pub mod event;
pub mod feed;
pub mod isolate;
pub mod plan;
pub mod report;
pub mod retry;
pub mod retry_rejects;
pub mod run;
pub mod shutdown;
pub mod tally;
pub mod worker;
