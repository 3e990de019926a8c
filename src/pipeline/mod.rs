//! The pipeline: plan, then move stream after stream, batch by batch.

pub mod event;
pub mod isolate;
pub mod plan;
pub mod report;
pub mod retry;
pub mod run;
pub mod shutdown;
pub mod worker;
