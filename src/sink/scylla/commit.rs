//! Committing: when all rows of a batch are confirmed, its checkpoint is written, on the condition that
//! the lease is still ours and the checkpoint where we left it. Its entry in the audit trail goes with
//! it, and from there to its own table.

use super::lease;
use super::ledger_read;
use super::session::ScyllaSession;
use super::stream::{no_batch, not_open};
use crate::ledger::{BatchEntry, Checkpoint};
use crate::sink::form;
use crate::{Error, ErrorKind, Result};

/// How often the ledger is asked what became of a change whose answer was lost.
const LOOKS_MAX: u32 = 5;

impl ScyllaSession {
    /// Writes the checkpoint.
    pub(super) async fn write_checkpoint(&mut self, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
        self.batch.as_ref().ok_or_else(no_batch)?;
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let state = form::checkpoint(checkpoint);
        let record = form::batch(entry, &self.clock.text());
        let place = (self.identity.project.as_str(), open.target.stream.as_str(), open.split);
        let set =
            "UPDATE @checkpoint SET sequence = ?, state = ?, entry = ? WHERE project = ? AND stream = ? AND split = ? IF epoch = ?";
        let epoch = self.identity.epoch;
        let mut looks = 0;
        loop {
            let (project, stream, split) = place;
            let values = (checkpoint.sequence, &state, &record, project, stream, split, epoch);
            let outcome = match open.sequence() {
                Some(before) => {
                    let (sequence, state, record, project, stream, split, epoch) = values;
                    let values = (sequence, state, record, project, stream, split, epoch, before);
                    self.shared.ledger.change_if(&format!("{set} AND sequence = ?"), values).await
                }
                None => {
                    self.shared
                        .ledger
                        .change_if(&format!("{set} AND sequence = null"), values)
                        .await
                }
            };
            match outcome {
                Ok(true) => break,
                // It may be our own that was sent before.
                Ok(false) if looks > 0 && self.is_written(place, checkpoint).await? => break,
                Ok(false) => return Err(self.fenced(place).await),
                Err(error) if error.kind() == ErrorKind::Lost && looks < LOOKS_MAX => {
                    looks += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    if self.is_written(place, checkpoint).await? {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.add_entry(&record, (place.1.to_owned(), entry)).await?;
        if checkpoint.split < 0 {
            let stream = checkpoint.stream.clone();
            self.no_longer_empty(&stream).await?;
        }
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        open.settled = Some(checkpoint.clone());
        open.is_first = false;
        self.batch = None;
        Ok(())
    }

    /// Whether the ledger holds this very checkpoint.
    async fn is_written(&self, place: (&str, &str, i32), checkpoint: &Checkpoint) -> Result<bool> {
        let kept = ledger_read::of_split(&self.shared.ledger, place).await?;
        Ok(kept.settled.as_ref() == Some(checkpoint))
    }

    /// Adds an entry to the audit trail; doing so twice changes nothing.
    async fn add_entry(&self, record: &str, (stream, entry): (String, &BatchEntry)) -> Result<()> {
        let text = "INSERT INTO @batch (project, run, stream, split, sequence, record) VALUES (?, ?, ?, ?, ?, ?)";
        let project = &self.identity.project;
        let values = (project, entry.run, &stream, entry.split, entry.sequence, record);
        self.shared.ledger.ask(text, values).await.map(drop)
    }

    /// The entry of the last batch, which may not have reached the audit trail.
    pub(super) async fn settle_entry(&self, stream: &str, record: &str) -> Result<()> {
        let last = form::read_batch(record.as_bytes(), stream)?;
        self.add_entry(record, (stream.to_owned(), &last.entry)).await
    }

    /// Rows are in the table that the stream has not moved: its checkpoints no longer say that it was
    /// empty.
    async fn no_longer_empty(&self, stream: &str) -> Result<()> {
        let project = self.identity.project.as_str();
        for (name, split, kept) in ledger_read::of_project(&self.shared.ledger, project).await? {
            let Some(settled) = kept.settled.filter(|settled| settled.target_was_empty) else {
                continue;
            };
            if name != stream || split < 0 {
                continue;
            }
            let state = form::checkpoint(&Checkpoint {
                target_was_empty: false,
                ..settled
            });
            let text = "UPDATE @checkpoint SET state = ? WHERE project = ? AND stream = ? AND split = ? IF epoch = ?";
            let values = (state, project, stream, split, self.identity.epoch);
            if !self.shared.ledger.change_if(text, values).await? {
                return Err(self.fenced((project, stream, split)).await);
            }
        }
        Ok(())
    }

    /// The checkpoint of a split that has no batch yet.
    pub(super) async fn write_cut(&self, checkpoint: &Checkpoint) -> Result<()> {
        let place = (self.identity.project.as_str(), checkpoint.stream.as_str(), checkpoint.split);
        let (project, stream, split) = place;
        let text = "UPDATE @checkpoint SET sequence = ?, state = ? WHERE project = ? AND stream = ? AND split = ? IF epoch = ?";
        let state = form::checkpoint(checkpoint);
        let values = (checkpoint.sequence, state, project, stream, split, self.identity.epoch);
        if self.shared.ledger.change_if(text, values).await? {
            return Ok(());
        }
        Err(self.fenced(place).await)
    }

    /// Somebody else moved the lease or the checkpoint.
    pub(super) async fn fenced(&self, (project, stream, _): (&str, &str, i32)) -> Error {
        let held = lease::check_held(&self.shared.ledger, project, self.identity.run, self.identity.epoch).await;
        held.err().unwrap_or_else(|| {
            Error::new(
                ErrorKind::Lost,
                format!("the checkpoint of stream `{stream}` is not where it was left: it is read again"),
            )
        })
    }

    /// Keeps, beside the checkpoint, the stream's timestamp and how far rows may be there.
    pub(super) async fn mark(&mut self, reach: u64) -> Result<()> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let place = (self.identity.project.as_str(), open.target.stream.as_str(), open.split);
        let (project, stream, split) = place;
        let text = "UPDATE @checkpoint SET stamp = ?, reach = ? WHERE project = ? AND stream = ? AND split = ? IF epoch = ?";
        let rows = i64::try_from(reach).unwrap_or(i64::MAX);
        let values = (open.stamp, rows, project, stream, split, self.identity.epoch);
        if !self.shared.ledger.change_if(text, values).await? {
            return Err(self.fenced(place).await);
        }
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        open.reach = reach;
        Ok(())
    }

    /// Forgets what the ledger has of a stream but its audit trail; where it was only `attempted`, it
    /// still has to know how far rows may be there.
    pub(super) async fn forget(&self, stream: &str, attempted: bool) -> Result<()> {
        let project = self.identity.project.as_str();
        for (name, split, _) in ledger_read::of_project(&self.shared.ledger, project).await? {
            if name != stream || attempted {
                continue;
            }
            let text = "UPDATE @checkpoint SET sequence = null, state = null, entry = null, stamp = null, reach = null \
                        WHERE project = ? AND stream = ? AND split = ? IF epoch = ?";
            let values = (project, stream, split, self.identity.epoch);
            if !self.shared.ledger.change_if(text, values).await? {
                return Err(self.fenced((project, stream, split)).await);
            }
        }
        super::rejects::forget(&self.shared.ledger, project, stream).await
    }
}
