//! The ledger's records as a target keeps them that has no transaction of several tables: JSON, the
//! same fields as in the other targets.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::reject::Reject;
use crate::ledger::{BatchEntry, Checkpoint, FORM, StoredBatch, StoredReject};
use crate::{Error, ErrorKind, Result};

/// A checkpoint; project, stream and split are told beside it.
#[derive(Serialize, Deserialize)]
struct CheckpointForm {
    form: i32,
    sequence: i64,
    run: Uuid,
    epoch: i64,
    fingerprint: String,
    moment: String,
    one_moment: bool,
    position: Option<String>,
    counts: Counts,
    digest_rows: u64,
    digest: String,
    target_was_empty: bool,
    complete: bool,
}

/// A batch of the audit trail.
#[derive(Serialize, Deserialize)]
struct BatchForm {
    run: Uuid,
    split: i32,
    sequence: i64,
    first_key: Option<Key>,
    last_key: Option<Key>,
    counts: Counts,
    digest_rows: u64,
    digest: String,
    seconds: f64,
    retry: bool,
    committed_at: String,
}

/// A reject.
#[derive(Serialize, Deserialize)]
pub(super) struct RejectForm {
    pub(super) stream: String,
    pub(super) split: i32,
    pub(super) run: Uuid,
    pub(super) sequence: i64,
    pub(super) key: Key,
    pub(super) column: Option<String>,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) row: String,
    pub(super) created_at: String,
    pub(super) resolved_by: Option<Uuid>,
}

pub(super) fn unreadable() -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        "the ledger holds something that this version of dbferry did not write",
    )
    .hint("use the version that wrote it, or move the stream from its beginning with `--restart`")
}

pub(super) fn checkpoint(checkpoint: &Checkpoint) -> String {
    json(&CheckpointForm {
        form: FORM,
        sequence: checkpoint.sequence,
        run: checkpoint.run,
        epoch: checkpoint.epoch,
        fingerprint: checkpoint.fingerprint.clone(),
        moment: checkpoint.moment.clone(),
        one_moment: checkpoint.one_moment,
        position: checkpoint.position.as_ref().map(Position::to_json),
        counts: checkpoint.counts,
        digest_rows: checkpoint.digest.rows,
        digest: checkpoint.digest.to_hex(),
        target_was_empty: checkpoint.target_was_empty,
        complete: checkpoint.complete,
    })
}

pub(super) fn read_checkpoint(text: &[u8], (project, stream, split): (&str, &str, i32)) -> Result<Checkpoint> {
    let form: CheckpointForm = serde_json::from_slice(text).map_err(|_| unreadable())?;
    if form.form != FORM {
        return Err(unreadable());
    }
    Ok(Checkpoint {
        project: project.to_owned(),
        stream: stream.to_owned(),
        split,
        sequence: form.sequence,
        run: form.run,
        epoch: form.epoch,
        fingerprint: form.fingerprint,
        moment: form.moment,
        one_moment: form.one_moment,
        position: form.position.as_deref().map(Position::from_json).transpose()?,
        counts: form.counts,
        digest: Digest::from_hex(form.digest_rows, &form.digest).ok_or_else(unreadable)?,
        target_was_empty: form.target_was_empty,
        complete: form.complete,
    })
}

pub(super) fn batch(entry: &BatchEntry, committed_at: &str) -> String {
    json(&BatchForm {
        run: entry.run,
        split: entry.split,
        sequence: entry.sequence,
        first_key: entry.first_key.clone(),
        last_key: entry.last_key.clone(),
        counts: entry.counts,
        digest_rows: entry.digest.rows,
        digest: entry.digest.to_hex(),
        seconds: entry.seconds,
        retry: entry.retry,
        committed_at: committed_at.to_owned(),
    })
}

pub(super) fn read_batch(text: &[u8], stream: &str) -> Result<StoredBatch> {
    let form: BatchForm = serde_json::from_slice(text).map_err(|_| unreadable())?;
    Ok(StoredBatch {
        entry: BatchEntry {
            run: form.run,
            stream: stream.to_owned(),
            split: form.split,
            sequence: form.sequence,
            first_key: form.first_key,
            last_key: form.last_key,
            counts: form.counts,
            digest: Digest::from_hex(form.digest_rows, &form.digest).ok_or_else(unreadable)?,
            seconds: form.seconds,
            retry: form.retry,
        },
        committed_at: form.committed_at,
    })
}

pub(super) fn reject(reject: &Reject, (stream, split): (&str, i32), run: Uuid, sequence: i64, now: &str) -> String {
    json(&RejectForm {
        stream: stream.to_owned(),
        split,
        run,
        sequence,
        key: reject.key.clone(),
        column: reject.column.clone(),
        reason: reject.reason.name().to_owned(),
        detail: reject.detail.clone(),
        row: reject.row.clone(),
        created_at: now.to_owned(),
        resolved_by: None,
    })
}

impl RejectForm {
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(|_| unreadable())
    }

    pub(super) fn stored(self, id: i64) -> StoredReject {
        StoredReject {
            id,
            run: self.run,
            stream: self.stream,
            key: self.key,
            column: self.column,
            reason: self.reason,
            detail: self.detail,
        }
    }
}

/// These records have text keys and no maps, so that JSON can hold them.
pub(super) fn json(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}
