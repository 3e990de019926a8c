//! The pipeline: plan, then move streams side by side, batch by batch.
//!
//! `run` puts the streams into a `schedule`; a `unit` of streams that read the same rows moves
//! its splits (`cut`) in lanes, each over a session from its sink's `pool` and from a reader
//! that they share (`shared_read`); in every lane the `worker` moves batches.

mod ahead;
pub mod backfill;
mod batch_size;
mod charge;
pub mod claim;
mod commit;
pub mod coverage;
mod cut;
pub mod deferred;
mod difference;
mod ending;
pub mod ends;
pub mod event;
pub mod feed;
pub mod fingerprint;
mod follow;
pub mod foreign_keys;
mod hold;
mod holder;
pub mod isolate;
mod lane;
mod later;
mod memory;
pub mod mend;
mod not_covered;
mod orphans;
pub mod partitions;
pub mod passes;
pub mod plan;
mod planned;
mod pool;
mod privilege;
pub mod report;
pub mod resume;
pub mod retry;
pub mod retry_rejects;
pub mod rollback;
pub mod run;
mod schedule;
pub mod shape;
pub(crate) mod shared_read;
pub mod shutdown;
mod spending;
mod stream_end;
pub mod subject;
pub mod tally;
mod throttle;
mod undo;
mod unit;
pub mod validate;
mod work;
pub mod worker;
mod writers;
