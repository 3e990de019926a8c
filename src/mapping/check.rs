//! Checks without I/O: of a project alone, and of a stream against the shapes of both its ends.

use super::{Project, Stream};
use crate::data::finding::Finding;
use crate::data::table::Table;

/// Checks that need no database: names, duplicates, references between streams and to
/// connections (`connections`: those that the configuration declares).
#[must_use]
pub fn alone(_project: &Project, _connections: &[&str]) -> Vec<Finding> {
    todo!()
}

/// Checks a stream's declarations (not its expressions) against source and target: key columns,
/// unknown and generated target columns, NOT NULL columns without a value, a key that the target
/// does not keep unique.
#[must_use]
pub fn shapes(_stream: &Stream, _source: &Table, _target: &Table) -> Vec<Finding> {
    todo!()
}
