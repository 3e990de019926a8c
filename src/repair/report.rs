//! What a repair is to do, and what came of it: the form that `--output json` prints.

use serde::Serialize;

use crate::pipeline::plan::{Plan, PlannedStream};
use crate::verify::report::{StreamVerdict, VerifyReport};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairStatus {
    /// Nothing was done yet.
    Planned,
    /// Of what the report lists nothing differs any more.
    Done,
    /// The same, but some rows became rejects.
    Rejects,
    /// Some of it differs still.
    Left,
}

/// A repair.
#[derive(Debug, Clone, Serialize)]
pub struct RepairReport {
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// What came of it.
    pub status: RepairStatus,
    /// Id of the verification whose report it is.
    pub verification: String,
    /// Run that the ledger records it as; `None` where nothing was to be written.
    pub run: Option<String>,
    /// Rows that the target alone has were to be deleted.
    pub delete_extra: bool,
    /// Streams of which the report lists rows, and those that write the same targets where something
    /// is to be done.
    pub streams: Vec<StreamRepair>,
}

/// One stream.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StreamRepair {
    /// Stream.
    pub name: String,
    /// `connection.table` it writes.
    pub target: String,
    /// Rows that the report lists.
    pub listed: u64,
    /// Differences that the report counts and does not list.
    pub not_listed: u64,
    /// Why nothing of it can be repaired by key.
    pub refused: Option<String>,
    /// Rows that are missing.
    pub insert: u64,
    /// Rows that differ.
    pub correct: u64,
    /// Rows of the target alone that are to be deleted.
    pub delete: u64,
    /// Rows of the target alone that are left where they are.
    pub extra: u64,
    /// Rows that are listed and do not differ any more.
    pub equal: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows corrected.
    pub corrected: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows that became rejects.
    pub rejected: u64,
    /// Rows that could not be deleted, and what kept them.
    pub kept: Vec<Kept>,
    /// What differs still of what was listed; `None` before anything was done.
    pub left: Option<Left>,
}

/// Rows that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What kept them, in words.
    pub by: String,
    /// How many.
    pub rows: u64,
}

/// What differs still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Not in the target.
    pub missing: u64,
    /// In the target alone.
    pub extra: u64,
    /// On both sides, and not the same.
    pub different: u64,
}

impl Left {
    /// Number of rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.missing + self.extra + self.different
    }
}

impl RepairReport {
    pub(super) fn new(plan: &Plan, verified: &VerifyReport, delete_extra: bool) -> Self {
        Self {
            project: plan.project.clone(),
            environment: plan.environment.clone(),
            status: RepairStatus::Planned,
            verification: verified.id.clone(),
            run: None,
            delete_extra,
            streams: Vec::new(),
        }
    }

    /// A stream by its name.
    pub(super) fn stream(&mut self, name: &str) -> Option<&mut StreamRepair> {
        self.streams.iter_mut().find(|stream| stream.name == name)
    }

    /// The same; one of which nothing was listed comes with what writes the same target.
    pub(super) fn stream_or_new(&mut self, planned: &PlannedStream) -> &mut StreamRepair {
        let known = self.streams.iter().position(|stream| stream.name == planned.name);
        let place = known.unwrap_or_else(|| {
            self.streams.push(StreamRepair::new(planned));
            self.streams.len() - 1
        });
        &mut self.streams[place]
    }

    /// Whether anything is to be written.
    #[must_use]
    pub fn is_to_do(&self) -> bool {
        self.streams.iter().any(|stream| stream.writes() > 0)
    }

    /// What came of it, where nothing was to be written or everything was.
    pub fn close(&mut self) {
        let left = |stream: &StreamRepair| {
            stream.refused.is_some() && stream.listed > 0 || stream.left.map_or(stream.extra, |left| left.rows()) > 0
        };
        self.status = if self.streams.iter().any(left) {
            RepairStatus::Left
        } else if self.streams.iter().any(|stream| stream.rejected > 0) {
            RepairStatus::Rejects
        } else {
            RepairStatus::Done
        };
    }

    /// Differences that the report counts and does not list.
    #[must_use]
    pub fn not_listed(&self) -> u64 {
        self.streams.iter().map(|stream| stream.not_listed).sum()
    }
}

impl StreamRepair {
    pub(super) fn new(stream: &PlannedStream) -> Self {
        Self {
            name: stream.name.clone(),
            target: stream.target.clone(),
            ..Self::default()
        }
    }

    /// One that is not planned, because a connection of it is disabled.
    pub(super) fn left_out(verdict: &StreamVerdict) -> Self {
        Self {
            name: verdict.name.clone(),
            target: verdict.target.clone(),
            listed: verdict.differences.len() as u64,
            not_listed: verdict.not_listed,
            refused: Some("a connection of it is disabled".to_owned()),
            ..Self::default()
        }
    }

    /// Rows to be written or deleted.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.insert + self.correct + self.delete
    }

    pub(super) fn keeps(&mut self, by: String, rows: u64) {
        match self.kept.iter_mut().find(|kept| kept.by == by) {
            Some(kept) => kept.rows += rows,
            None => self.kept.push(Kept { by, rows }),
        }
    }
}
