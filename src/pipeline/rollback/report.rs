//! What is told of a rollback.

use serde::Serialize;
use uuid::Uuid;

use super::Wanted;
use crate::ledger::undo::{ChangedSince, Undoable, Undone, Winner};

/// How a rollback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackStatus {
    /// It would be done; nothing was written.
    Planned,
    /// All that was to be taken back is taken back.
    Done,
    /// Something is in the way; nothing was written.
    Refused,
}

/// A rollback.
#[derive(Debug, Clone, Serialize)]
pub struct RollbackReport {
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// How it ended.
    pub status: RollbackStatus,
    /// Run that is taken back.
    pub run: Uuid,
    /// Run that takes it back; none where nothing was written.
    pub rollback: Option<Uuid>,
    /// Streams in the order in which they are taken back.
    pub streams: Vec<StreamRollback>,
    /// Streams of targets that keep no undo log: what the run wrote there stays.
    pub not_taken_back: Vec<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// A stream of it. Of what is to do before, of what was done (by earlier calls, too) after.
#[derive(Debug, Clone, Serialize)]
pub struct StreamRollback {
    /// Name.
    pub name: String,
    /// Connection and table.
    pub target: String,
    /// Rows that the run inserted.
    pub inserted: u64,
    /// Rows that it changed.
    pub updated: u64,
    /// Inserted rows that are removed.
    pub removed: u64,
    /// Changed rows that are as they were before.
    pub restored: u64,
    /// Inserted rows that were gone already.
    pub gone: u64,
    /// Rows that stay as they are.
    pub kept: u64,
    /// Rows that were changed since the run.
    pub changed_since: Changed,
    /// Rows that refer to those which are to be removed.
    pub referred: Vec<Referred>,
    /// Nothing of it is left to take back.
    pub complete: bool,
}

/// Rows that were changed since the run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changed {
    /// How many.
    pub rows: u64,
    /// Keys of some of them: cell values, for the result alone.
    pub keys: Vec<String>,
}

/// Rows that refer to those which are to be removed.
#[derive(Debug, Clone, Serialize)]
pub struct Referred {
    /// By which key of which table.
    pub by: String,
    /// How many.
    pub rows: u64,
}

impl RollbackReport {
    pub(super) fn new(wanted: &Wanted<'_>) -> Self {
        Self {
            project: wanted.project.name.clone(),
            environment: wanted.environment.to_owned(),
            status: RollbackStatus::Planned,
            run: wanted.run,
            rollback: None,
            streams: Vec::new(),
            not_taken_back: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether something stops the rollback, unless somebody wins.
    pub(super) fn is_in_the_way(&self, winner: Option<Winner>) -> bool {
        let changed = winner.is_none() && self.streams.iter().any(|stream| stream.changed_since.rows > 0);
        // Where the target wins, what others refer to stays.
        let referred = winner != Some(Winner::Target) && self.streams.iter().any(|stream| !stream.referred.is_empty());
        changed || referred
    }

    /// Rows that are removed or restored.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.streams.iter().map(|stream| stream.removed + stream.restored).sum()
    }
}

impl StreamRollback {
    pub(super) fn new(connection: &str, undoable: &Undoable) -> Self {
        let mut told = Self {
            name: undoable.stream.clone(),
            target: format!("{connection}.{}", undoable.table),
            inserted: undoable.inserted,
            updated: undoable.updated,
            removed: 0,
            restored: 0,
            gone: 0,
            kept: 0,
            changed_since: Changed::default(),
            referred: Vec::new(),
            complete: undoable.complete,
        };
        if undoable.complete {
            told.add(undoable.done);
        }
        told
    }

    /// What a look has found.
    pub(super) fn found(&mut self, found: &ChangedSince) {
        (self.removed, self.restored, self.gone) = (found.unchanged.removed, found.unchanged.restored, found.unchanged.gone);
        self.kept = 0;
        self.changed_since = Changed {
            rows: found.rows,
            keys: found.keys.clone(),
        };
        let referred = found.referred.iter().map(|(key, rows)| Referred {
            by: key.described(),
            rows: *rows,
        });
        self.referred = referred.collect();
    }

    /// Rows that a look has found to be taken back or to stay.
    pub(super) const fn left(&self) -> u64 {
        self.removed + self.restored + self.gone + self.changed_since.rows
    }

    /// What was done, instead of what was found.
    pub(super) fn done(&mut self, undone: Undone) {
        (self.removed, self.restored, self.gone, self.kept) = (0, 0, 0, 0);
        self.add(undone);
    }

    fn add(&mut self, undone: Undone) {
        self.removed += undone.removed;
        self.restored += undone.restored;
        self.gone += undone.gone;
        self.kept += undone.kept;
    }
}
