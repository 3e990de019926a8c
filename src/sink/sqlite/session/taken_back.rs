//! What a session does with undo logs: it begins them, and takes runs back by them.

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::super::undo::{self, Record};
use super::{OpenStream, SqliteSession};
use crate::data::stream::StreamTarget;
use crate::data::table::Table;
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undone};
use crate::{Error, ErrorKind, Result};

impl SqliteSession {
    /// The run's log of a stream that is opened, where it keeps one; within the caller's transaction.
    pub(super) fn begin_log(&self, target: &StreamTarget, table: &Table, split: i32, restart: bool) -> Result<Option<Record>> {
        if split == UNDO_SPLIT {
            return Ok(None);
        }
        let project = self.identity.project.as_str();
        undo::check_whole(&self.connection, project, &target.stream)?;
        if !target.undo {
            return Ok(None);
        }
        undo::begin(&self.connection, (project, self.identity.run), target, table, restart).map(Some)
    }

    /// The log that a run left of a stream.
    fn log_of(&self, run: Uuid, stream: &OpenStream) -> Result<Record> {
        let found = undo::find(&self.connection, &self.identity.project, run, &stream.name)?;
        let Some(record) = found else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("run {run} left no undo log of stream `{}`", stream.name),
            )
            .hint("restore a backup instead: `dbferry restore FOLDER`"));
        };
        if record.fits(&stream.table, &stream.key) {
            return Ok(record);
        }
        Err(Error::new(
            ErrorKind::Mapping,
            format!(
                "stream `{}` has another table or key than when run {run} wrote its undo log",
                stream.name
            ),
        )
        .hint("take the run back with the mapping that it was made with"))
    }

    pub(super) fn look_back(&self, run: Uuid, only: Option<&RecordBatch>, keys_max: usize) -> Result<ChangedSince> {
        let stream = self.stream()?;
        self.transaction(|| {
            let record = self.log_of(run, stream)?;
            if record.is_complete() {
                return Ok(ChangedSince::default());
            }
            let whose = (self.identity.project.as_str(), run);
            undo::changed_since(&self.connection, (&stream.writer, &record), whose, only, keys_max)
        })
    }

    pub(super) fn take_back(&mut self, step: UndoStep, only: Option<&RecordBatch>) -> Result<Undone> {
        let stream = self.batch()?;
        let record = self.log_of(step.run, stream)?;
        if record.is_complete() {
            return Ok(Undone::default());
        }
        let only = only.map(|keys| stream.writer.key_values(keys)).transpose()?;
        let project = &self.identity.project;
        let Some(stream) = &mut self.stream else {
            return Ok(Undone::default());
        };
        undo::undo(
            &self.connection,
            (&stream.writer, &record, &mut stream.back),
            project,
            step,
            only,
        )
    }

    pub(super) fn took_back(&self, run: Uuid) -> Result<()> {
        let stream = self.batch()?;
        let record = self.log_of(run, stream)?;
        undo::finish(&self.connection, &record, (&self.identity.project, &stream.name), run)
    }

    pub(super) fn forget_log(&self, run: Uuid) -> Result<u64> {
        self.transaction(|| {
            self.check_epoch()?;
            undo::forget(&self.connection, &self.identity.project, run)
        })
    }
}
