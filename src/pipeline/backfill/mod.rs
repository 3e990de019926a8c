//! Backfills: new values for columns of rows where they are, while their application goes on.
//!
//! Rows are gone through in the order of their key. A batch is one short transaction: it locks the
//! next rows, reads them as they are from then on, computes, writes those that differ, and commits
//! with its checkpoint and its entry in the ledger ([`batch`]). Nobody can change a row between its
//! reading and its writing, and nobody waits longer than a batch takes. Between batches nothing is
//! open: no lock, no snapshot. There it is held back ([`super::throttle`]): by a rate, and while servers
//! that follow are behind or others wait for locks.
//!
//! What a value is computed by, exact casts, rejects, checkpoints and the ledger are those of streams.

mod batch;
mod mover;
mod planned;
mod report;

pub use mover::{How, run};
pub use planned::{BackfillPlan, Options, Planned, plan};
pub use report::{BackfillReport, Backfilled};
