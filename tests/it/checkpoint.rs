//! What a session is given to commit with a batch: a checkpoint, and the entry of the ledger.

use dbferry::data::counts::Counts;
use dbferry::data::digest::Digest;
use dbferry::ledger::{BatchEntry, Checkpoint};
use dbferry::sink::{LeaseRequest, Session};

/// A checkpoint after a number of batches.
pub(crate) fn checkpoint(lease: &LeaseRequest, session: &dyn Session, stream: &str, sequence: i64) -> Checkpoint {
    Checkpoint {
        project: lease.project.clone(),
        stream: stream.to_owned(),
        split: 0,
        sequence,
        run: lease.run,
        epoch: session.epoch(),
        fingerprint: "f00d".to_owned(),
        moment: "then".to_owned(),
        one_moment: true,
        position: None,
        counts: Counts::default(),
        digest: Digest::default(),
        target_was_empty: true,
        complete: false,
    }
}

/// The ledger entry beside it.
pub(crate) fn entry(checkpoint: &Checkpoint) -> BatchEntry {
    BatchEntry {
        run: checkpoint.run,
        stream: checkpoint.stream.clone(),
        split: 0,
        sequence: checkpoint.sequence,
        first_key: None,
        last_key: None,
        counts: checkpoint.counts,
        digest: checkpoint.digest,
        seconds: 0.5,
        retry: false,
    }
}
