//! The undo log: what a run leaves beside the rows it writes, in the same transaction, so that it can
//! be taken back.
//!
//! How it is laid out is the sink's affair, and so is how it knows a row that was changed since. What
//! it holds of a row is gone with the row's way back: a log that is empty is a run that is taken back.

use uuid::Uuid;

use crate::data::table::TableName;

/// Split under which the rows of a run are taken back. It counts batches, and is no place to go on
/// from: what is left of the undo log is. Of its batches `read` are the rows looked at, `updated` those
/// removed or restored, and `skipped` those that stay as they are.
///
/// Its checkpoint changes nothing of what others of the stream say, of an empty target neither.
pub const UNDO_SPLIT: i32 = i32::MIN + 2;

/// Status of a run of which nothing is left.
pub const ROLLED_BACK: &str = "rolled_back";

/// What a run wrote of one stream, as far as the target can take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoable {
    /// Stream.
    pub stream: String,
    /// Its table; of keys, the pattern. Without a name where there is no undo log.
    pub table: TableName,
    /// Columns of its key, of a table, as the undo log knows them; empty without one.
    pub key: Vec<String>,
    /// Rows that the run inserted, as its batches in the ledger say.
    pub inserted: u64,
    /// Rows that it changed.
    pub updated: u64,
    /// Whether there is an undo log (or was, and all of it is done), and it holds every row that the
    /// batches say was written. Where not, the run cannot be taken back.
    pub logged: bool,
    /// Rows that were taken back already, by a rollback that was interrupted or of a subject.
    pub done: Undone,
    /// Nothing of it is left to take back.
    pub complete: bool,
    /// What the undo log takes, where that is cheap to tell.
    pub bytes: Option<u64>,
}

/// What became of rows that were to be taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undone {
    /// Inserted by the run, and removed now.
    pub removed: u64,
    /// Changed by the run, and as they were before it now.
    pub restored: u64,
    /// Inserted by the run, and gone already: there is nothing to do, and nobody to ask.
    pub gone: u64,
    /// Changed since by somebody else, and left as they are.
    pub kept: u64,
    /// Of one step: more was taken back than what counts as rows, so that another step has to look
    /// whether anything is left.
    pub more: bool,
}

impl Undone {
    /// All of them.
    #[must_use]
    pub const fn rows(self) -> u64 {
        self.removed + self.restored + self.gone + self.kept
    }
}

impl std::ops::AddAssign for Undone {
    fn add_assign(&mut self, other: Self) {
        self.removed += other.removed;
        self.restored += other.restored;
        self.gone += other.gone;
        self.kept += other.kept;
    }
}

/// What a way back would meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedSince {
    /// Rows that can be taken back as they are; none is `kept`. A row that the run wrote several times
    /// counts as often as it did.
    pub unchanged: Undone,
    /// Rows of the run that are not as it left them, counted in the same way: changed since, or changed by
    /// the run and deleted since.
    pub rows: u64,
    /// Keys of some of them, as text for a person: never for logs (Invariant 9).
    pub keys: Vec<String>,
    /// Rows that refer to rows which the run inserted, and that are not in its undo logs themselves: by
    /// which key, and how many. Nothing is removed with them, and they are not removed with it.
    pub referred: Vec<(super::Suspended, u64)>,
}

/// Who wins where a row was changed since the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    /// The row stays as it is now, and so does one that it refers to.
    Target,
    /// It becomes what it was before the run all the same.
    Undo,
}

/// A step on the way back.
#[derive(Debug, Clone, Copy)]
pub struct UndoStep {
    /// Run that is taken back.
    pub run: Uuid,
    /// Most rows of the step; more where what was written at once has to go at once.
    pub rows_max: u64,
    /// Who wins where a row was changed since; without it such a row is an error.
    pub winner: Option<Winner>,
}
