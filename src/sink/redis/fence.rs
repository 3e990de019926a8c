//! What a session proves with every change: that the lease is still its own and its checkpoint where
//! it left it; and what it looks up before anything is written.

use arrow::record_batch::RecordBatch;

use super::encoder::Ahead;
use super::portion::Portion;
use super::session::RedisSession;
use super::stream::{OpenStream, Writing, no_batch, not_open};
use super::transact::{Condition, Outcome, transact};
use super::{lease, ledger_read, member, ordered, plain};
use crate::data::keyed::KeyType;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind, Result};

impl RedisSession {
    /// The stream that is open.
    pub(super) fn open(&self) -> Result<&OpenStream> {
        self.stream.as_ref().ok_or_else(not_open)
    }

    /// The lease is ours, and the checkpoint is at this sequence number.
    pub(super) fn fence(&self, sequence: i64) -> Result<[Condition; 2]> {
        let open = self.open()?;
        let shown = if open.is_kept { sequence.to_string() } else { String::new() };
        Ok([
            self.epoch_holds(),
            Condition {
                key: self.names.checkpoint(&open.target.stream, open.split),
                field: "sequence",
                value: shown.into_bytes(),
            },
        ])
    }

    pub(super) fn epoch_holds(&self) -> Condition {
        Condition {
            key: self.names.epoch(),
            field: "",
            value: self.identity.epoch.to_string().into_bytes(),
        }
    }

    /// A change of the ledger on its own, under the lease.
    pub(super) async fn change(&mut self, commands: &[super::transact::Words]) -> Result<()> {
        let condition = self.epoch_holds();
        match transact(&mut self.link, &[condition], commands).await? {
            Outcome::Done => Ok(()),
            Outcome::Unmet(_) => Err(self.fenced(0).await),
        }
    }

    /// Somebody else moved the lease or the checkpoint.
    pub(super) async fn fenced(&mut self, unmet: usize) -> Error {
        if unmet == 0 {
            let whose = (self.identity.project.as_str(), self.identity.run);
            return lease::fenced_off(&mut self.reader, &self.names, whose).await;
        }
        let stream = self.stream.as_ref().map_or("", |open| open.target.stream.as_str());
        if self.link.is_cluster() {
            // The lease is ours: what moved the checkpoint is this very change, which the driver has
            // sent twice because it did not hear of the first.
            return Error::new(
                ErrorKind::Lost,
                format!("it is not known whether a batch of stream `{stream}` is there: its checkpoint is read again"),
            );
        }
        Error::new(
            ErrorKind::Checkpoint,
            format!("the checkpoint of stream `{stream}` has moved: another run was here"),
        )
        .hint("run again: it goes on after the last committed batch")
    }

    pub(super) async fn open_rehearsal(&mut self, split: i32, restart: bool, open: &mut OpenStream) -> Result<Option<Checkpoint>> {
        let same = |found: &&Checkpoint| found.stream == open.target.stream && found.split == split;
        if let Some(found) = self.rehearsed.iter().rfind(same) {
            open.settled = Some(found.clone());
            return Ok(open.settled.clone());
        }
        let place = (self.identity.project.as_str(), open.target.stream.as_str(), split);
        let kept = ledger_read::kept(&mut self.reader, &self.names, place).await?;
        open.settled = kept.and_then(|kept| kept.settled).filter(|_| !restart);
        Ok(open.settled.clone())
    }

    /// Whether what was made ahead of the batch may go into it: nothing has to be looked up, and the
    /// moments of expiry are those of now.
    pub(super) fn may_send(&self, ahead: &Ahead) -> bool {
        let (Some(open), Some(batch)) = (&self.stream, &self.batch) else {
            return false;
        };
        Writing::new(open, batch).direct && ahead.is_of(batch.now)
    }

    pub(super) async fn plan(&mut self, rows: &RecordBatch) -> Result<super::planned::Planned> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let batch = self.batch.as_ref().ok_or_else(no_batch)?;
        let writing = Writing::new(open, batch);
        let limits = (self.names.prefix(), self.server.bytes_max);
        let portion = Portion::of(&open.target, &open.layout, limits, rows)?;
        match open.layout.key_type {
            KeyType::Set | KeyType::Zset => member::plan(&writing, &mut self.reader, portion).await,
            KeyType::List | KeyType::Stream => ordered::plan(&writing, &mut self.reader, &self.names, portion).await,
            _ => plain::plan(&writing, &mut self.reader, portion).await,
        }
    }
}
