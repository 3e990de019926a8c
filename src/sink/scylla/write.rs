//! Writing a portion: what becomes of each row is decided, the ledger is told how far rows may be there,
//! then they are sent, and read back where the batch is one of those.

use arrow::record_batch::RecordBatch;

use super::portion::{Layout, Portion};
use super::session::ScyllaSession;
use super::stream::{OpenStream, no_batch, not_open};
use super::{decide, look, read_back, send};
use crate::data::counts::Written;
use crate::{Error, ErrorKind, Result};

/// By how many rows the ledger is ahead of what is written.
const REACH: u64 = 262_144;

impl ScyllaSession {
    /// Encodes rows of the open stream.
    pub(super) fn portion(&self, rows: &RecordBatch) -> Result<Portion> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        Portion::of(&open.layout, rows, self.clock.now())
    }

    /// Writes rows that are encoded. Where the table is not as it was planned, that is what is told,
    /// whoever noticed it: a statement that the server refuses, or a row that was read back.
    pub(super) async fn place(&mut self, portion: Portion) -> Result<Written> {
        match self.place_rows(portion).await {
            Err(error) if matches!(error.kind(), ErrorKind::Missing | ErrorKind::Validation) => Err(self.changed(error).await),
            placed => placed,
        }
    }

    async fn place_rows(&mut self, mut portion: Portion) -> Result<Written> {
        let stamp = self.stamp();
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let batch = self.batch.as_ref().ok_or_else(no_batch)?;
        let all: Vec<usize> = (0..portion.len()).collect();
        let (wanted, written) = if batch.direct {
            if open.is_replaying() {
                // What an earlier attempt wrote may hold something where this one has NULL.
                portion.erase(|_, _| true);
            }
            let inserted = portion.len() as u64;
            let expired = portion.expired;
            (
                all,
                Written {
                    inserted,
                    expired,
                    ..Written::default()
                },
            )
        } else {
            let found = look::rows(&self.shared, &open.statements, &portion, &all).await?;
            let decided = decide::decide(open, &portion, &found, stamp)?;
            let erased = decided.erased;
            portion.erase(|row, column| {
                let place = erased.binary_search_by_key(&row, |(row, _)| *row);
                place.is_ok_and(|place| erased[place].1[column])
            });
            (decided.wanted, decided.written)
        };
        let read_back = batch.read_back;
        if self.identity.dry_run {
            self.rehearse(&portion, &written)?;
            return Ok(written);
        }
        self.reach(portion.len() as u64).await?;
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let confirmed = send::rows(&self.shared, &open.statements, &portion, &wanted).await?;
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        if confirmed != wanted.len() as u64 {
            return Err(read_back::unconfirmed(open, wanted.len() as u64, confirmed));
        }
        if read_back {
            read_back::check(&self.shared, open, &portion, &wanted, stamp).await?;
        }
        open.written += written.total();
        Ok(written)
    }

    /// Where the table is not as it was: which of its columns is gone.
    async fn changed(&self, error: Error) -> Error {
        let Some(open) = &self.stream else { return error };
        let wrong_rows = error.kind() == ErrorKind::Validation;
        let table = match self.shared.keyspace.refresh().await {
            Ok(()) => self.shared.keyspace.described(&open.target.table),
            Err(away) => return if wrong_rows { error } else { away },
        };
        match table.map(|table| Layout::of(&table, &open.target)) {
            Some(Err(gone)) => gone,
            Some(Ok(_)) if wrong_rows => error,
            Some(Ok(_)) => error.during(format_args!("stream `{}`", open.target.stream)),
            None => Error::new(
                ErrorKind::Missing,
                format!("stream `{}`: table `{}` is gone", open.target.stream, open.target.table),
            ),
        }
    }

    /// Timestamp of what the session writes of the open stream, in microseconds. It grows with every
    /// lease, so that of two attempts the later one holds.
    pub(super) fn stamp(&self) -> i64 {
        let base = self.stream.as_ref().and_then(|open| open.stamp).unwrap_or_default();
        base.saturating_add(self.identity.epoch)
    }

    /// Tells the ledger, before rows are sent, how far they may be there: whoever goes on after a crash
    /// takes them for the stream's own.
    async fn reach(&mut self, rows: u64) -> Result<()> {
        let open = self.stream.as_ref().ok_or_else(not_open)?;
        let end = open.written + rows;
        if end <= open.reach {
            return Ok(());
        }
        let reach = end + REACH;
        self.mark(reach).await
    }

    fn rehearse(&mut self, portion: &Portion, written: &Written) -> Result<()> {
        let open = self.stream.as_mut().ok_or_else(not_open)?;
        open.rehearsed.inserted += written.inserted;
        if open.split < 0 {
            let keys = (0..portion.len()).map(|row| OpenStream::identity(portion.key(row).cells));
            open.rehearsed.rows.extend(keys);
        }
        Ok(())
    }
}

impl OpenStream {
    /// A short name of a key.
    pub(super) fn identity(key: &[u8]) -> u128 {
        use sha2::{Digest as _, Sha256};
        let hash = Sha256::digest(key);
        hash.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
    }
}
