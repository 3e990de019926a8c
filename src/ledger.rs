//! The ledger: what a sink stores beside the rows, in the same transaction, and reads back.
//!
//! These are records; the sinks decide how they are laid out in their database. All of them are
//! persisted forms: adding a field takes a new [`FORM`] and a migration in each sink.

use serde::{Deserialize, Serialize};

use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::table::{ForeignKey, TableName};
use crate::{Error, ErrorKind, Result};

pub mod deferred;
pub mod undo;

/// No checkpoints and no validation, to measure what they cost: only in a program built for the
/// benchmark.
pub(crate) const BARE: bool = cfg!(feature = "bench-bare");

/// Version of the persisted forms.
pub const FORM: i32 = 1;

/// Split under which the rows of subjects (`--for`) are checkpointed: one checkpoint for each
/// stream, whoever's rows were moved, apart from those of the stream itself (0 and up). It counts
/// batches, and is no place to go on from: a subject's rows are always read from the beginning.
pub const SUBJECT_SPLIT: i32 = -1;

/// Split under which the changes of a split's rows are followed (`--since-last`): apart from the
/// split's own, whose figures stay those of the copy.
#[must_use]
pub const fn changes_split(split: i32) -> i32 {
    -2 - split
}

/// Split under which rows are moved again that a verification found missing or different (`repair`).
/// It counts batches, and is no place to go on from.
pub const REPAIR_SPLIT: i32 = i32::MIN;

/// Split under which rows are deleted that a verification found in the target alone (`repair
/// --delete-extra`). Of its batches `read` are the rows looked at, `updated` those deleted, and
/// `skipped` those that stay.
pub const DELETION_SPLIT: i32 = i32::MIN + 1;

/// How far a split of a stream is durably in the target or in the reject store (Invariant 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Project name.
    pub project: String,
    /// Stream name.
    pub stream: String,
    /// Split within the stream; 0 while streams are not split, [`SUBJECT_SPLIT`] for subjects,
    /// [`changes_split`] for what has changed since, [`REPAIR_SPLIT`] and [`DELETION_SPLIT`] for
    /// what was repaired.
    pub split: i32,
    /// Number of batches committed; moves forward by one at a time (Invariant 2).
    pub sequence: i64,
    /// Run that wrote it.
    pub run: uuid::Uuid,
    /// Lease epoch under which it was written.
    pub epoch: i64,
    /// Fingerprint of the mapping and both shapes (Invariant 8), hexadecimal.
    pub fingerprint: String,
    /// Moment of the source that the last batch was read from (Invariant 14).
    pub moment: String,
    /// Whether all batches so far were read from one moment.
    pub one_moment: bool,
    /// Position after the last committed batch; `None` before the first.
    pub position: Option<Position>,
    /// Counts over all batches.
    pub counts: Counts,
    /// Digest of all rows sent to the target.
    pub digest: Digest,
    /// The target was empty when the stream began, so that a plain COPY can meet no older row.
    pub target_was_empty: bool,
    /// Nothing is left to read.
    pub complete: bool,
}

/// A batch follows the one that the target's checkpoint shows (Invariant 2).
///
/// # Errors
/// [`ErrorKind::Checkpoint`] where that is another one.
pub(crate) fn check_follows(stream: &str, found: i64, sequence: i64) -> Result<()> {
    if found == sequence {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("stream `{stream}` is at batch {found}, not at {sequence}: another run was here"),
    )
    .hint("run again: it goes on after the last committed batch"))
}

impl Checkpoint {
    /// The sum of a stream's splits: how far the whole stream is. `None` where it never began. It
    /// has a position only where the stream is not split.
    pub fn whole<'a>(splits: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut splits = splits.into_iter();
        let mut whole = splits.next()?.clone();
        for split in splits {
            // Before its first batch a split has seen no moment.
            let moments_agree = whole.sequence == 0 || split.sequence == 0 || whole.moment == split.moment;
            whole.one_moment = whole.one_moment && split.one_moment && moments_agree;
            if whole.sequence == 0 {
                whole.moment.clone_from(&split.moment);
            }
            whole.sequence += split.sequence;
            whole.counts += split.counts;
            whole.digest.add(split.digest);
            whole.target_was_empty &= split.target_was_empty;
            whole.complete &= split.complete;
            whole.position = None;
            if split.epoch > whole.epoch {
                whole.epoch = split.epoch;
                whole.run = split.run;
            }
        }
        Some(whole)
    }
}

/// One committed batch: the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchEntry {
    /// Run.
    pub run: uuid::Uuid,
    /// Stream.
    pub stream: String,
    /// Split.
    pub split: i32,
    /// Sequence within the split, from 1.
    pub sequence: i64,
    /// First source key of the batch, where rows were read.
    pub first_key: Option<Key>,
    /// Last source key.
    pub last_key: Option<Key>,
    /// Counts of the batch.
    pub counts: Counts,
    /// Digest of the rows sent.
    pub digest: Digest,
    /// Seconds from its first row read to its commit.
    pub seconds: f64,
    /// It moved rows that were rejects before (`run --retry-rejects`).
    pub retry: bool,
}

/// A batch of the audit trail as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBatch {
    /// What was recorded of it.
    pub entry: BatchEntry,
    /// When it was recorded, RFC 3339 in UTC, by the target's clock.
    pub committed_at: String,
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Identity.
    pub run: uuid::Uuid,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Where it runs: host name and process id.
    pub holder: String,
    /// Version of dbferry.
    pub version: String,
    /// When it began, RFC 3339 in UTC; read from the target.
    pub started_at: String,
    /// When it ended, if it ended in order.
    pub ended_at: Option<String>,
    /// `running`, `done`, `rejects`, `interrupted`, `failed`.
    pub status: String,
}

/// A reject as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReject {
    /// Identity within the target.
    pub id: i64,
    /// Run that recorded it.
    pub run: uuid::Uuid,
    /// Stream.
    pub stream: String,
    /// Source key.
    pub key: Key,
    /// Column.
    pub column: Option<String>,
    /// Persisted name of the reason.
    pub reason: String,
    /// In words.
    pub detail: String,
}

/// A backup that was made before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupNote {
    /// Run.
    pub run: uuid::Uuid,
    /// Folder of the backup, as an absolute path on the machine of the run.
    pub folder: String,
    /// When it was complete, RFC 3339 in UTC.
    pub taken_at: String,
    /// SHA-256 of its manifest, hexadecimal.
    pub manifest_sha256: String,
}

/// A target key that a source row claims (Invariant 13).
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Hash of the target key's values.
    pub digest: u128,
    /// The claiming source row.
    pub key: Key,
}

/// A foreign key that is taken away for the load of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended {
    /// Stream for which it is taken away.
    pub stream: String,
    /// Table that has it.
    pub table: TableName,
    /// The key.
    pub key: ForeignKey,
    /// Whether every row keeps it, as far as the target knows; a key that was never validated is
    /// put back as such.
    pub validated: bool,
    /// Streams that have to be complete before it is put back. Read from a target: those of them
    /// that are not complete yet.
    pub until: Vec<String>,
}

impl Suspended {
    /// For messages: the constraint's name, or its columns.
    #[must_use]
    pub fn key_named(&self) -> String {
        if self.key.name.is_empty() {
            format!("foreign key ({})", self.key.columns.join(", "))
        } else {
            format!("foreign key `{}`", self.key.name)
        }
    }

    /// For messages: with its table.
    #[must_use]
    pub fn described(&self) -> String {
        format!("{} of table `{}`", self.key_named(), self.table)
    }
}

/// What became of rows of the target that were to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Rows deleted.
    pub deleted: u64,
    /// Rows that stay because others refer to them: what refers to them, and how many they are.
    pub referred: Vec<(Suspended, u64)>,
}

/// What became of rows that were to be taken out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// These of the rows given were orphans, and are gone.
    Removed(Vec<usize>),
    /// Nothing is gone, for rows refer to them by these keys, which are to be suspended first.
    Referred(Vec<Suspended>),
}
