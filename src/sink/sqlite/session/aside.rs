//! What a session does aside from the rows of a batch: cutting a stream into splits, taking
//! foreign keys away and putting them back, and taking out orphans.

use arrow::record_batch::RecordBatch;

use super::super::{foreign_key, ledger_write, orphan};
use super::{Identity, SqliteSession};
use crate::Result;
use crate::ledger::{Checkpoint, Removal, Suspended};

impl SqliteSession {
    /// Writes the checkpoints that a stream is cut into.
    pub(super) fn cut(&self, splits: &[Checkpoint]) -> Result<()> {
        self.transaction(|| {
            self.check_epoch()?;
            if let Some(first) = splits.first() {
                ledger_write::forget(&self.connection, &self.identity.project, &first.stream)
                    .map_err(|error| self.failed(&error, "forgetting the earlier run"))?;
            }
            for checkpoint in splits {
                ledger_write::write_checkpoint(&self.connection, checkpoint)
                    .map_err(|error| self.failed(&error, "writing a checkpoint"))?;
            }
            Ok(())
        })
    }

    /// Switches this connection's enforcement of foreign keys. Within a transaction, which a
    /// rehearsal never leaves, it can only be put off until a commit that never comes.
    pub(super) fn enforce(&self, on: bool) -> Result<()> {
        let pragma = match (self.identity.dry_run, on) {
            (false, true) => "pragma foreign_keys = on",
            (false, false) => "pragma foreign_keys = off",
            (true, true) => "pragma defer_foreign_keys = off",
            (true, false) => "pragma defer_foreign_keys = on",
        };
        self.execute(pragma, "switching foreign keys")
    }

    pub(super) fn take_away(&mut self, keys: &[Suspended]) -> Result<()> {
        let Identity { project, run, .. } = &self.identity;
        self.transaction(|| {
            self.check_epoch()?;
            foreign_key::record(&self.connection, project, *run, keys)
        })?;
        self.enforce(false)?;
        if let Some(stream) = &mut self.stream {
            let own = keys.iter().filter(|key| key.table == stream.table);
            stream.writer.suspend(&own.map(|key| &key.key).collect::<Vec<_>>());
        }
        Ok(())
    }

    pub(super) fn put_back(&self, key: &Suspended) -> Result<bool> {
        self.transaction(|| {
            self.check_epoch()?;
            foreign_key::restore(&self.connection, &self.identity.project, key)
        })
    }

    pub(super) fn take_out(&self, rows: &RecordBatch) -> Result<Removal> {
        let stream = self.batch()?;
        let found = stream.writer.orphans(&self.connection, rows)?;
        if found.is_empty() {
            return Ok(Removal::Removed(found));
        }
        let away = foreign_key::suspended(&self.connection, &self.identity.project)?;
        let referring = |acting| orphan::referring(&self.connection, &stream.table, &stream.key, &away, acting);
        let referred = referring(false)?;
        if !referred.is_empty() {
            return Ok(Removal::Referred(referred));
        }
        if self.identity.dry_run {
            let acting = referring(true)?;
            if !acting.is_empty() {
                return Err(orphan::not_in_a_rehearsal(&acting));
            }
        }
        stream.writer.delete(&self.connection, rows, &found)?;
        Ok(Removal::Removed(found))
    }
}
