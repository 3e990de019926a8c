//! Compiling a stream.

use crate::Result;
use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::finding::Finding;
use crate::data::stream::ReadColumn;
use crate::data::table::{Column, Table};
use crate::mapping::Stream;

/// A compiled stream.
pub struct Transform {}

impl Transform {
    /// Source columns to read, and as which types.
    #[must_use]
    pub fn read_columns(&self) -> &[ReadColumn] {
        todo!()
    }

    /// Target columns written, in the order of the output.
    #[must_use]
    pub fn target_columns(&self) -> &[Column] {
        todo!()
    }

    /// Whether two source rows can be proven to have two target keys.
    #[must_use]
    pub fn keys_distinct(&self) -> bool {
        todo!()
    }

    /// Type of the expression of a target column, before the cast to the target's type.
    #[must_use]
    pub fn expression_type(&self, _column: &str) -> Option<String> {
        todo!()
    }

    /// Findings that do not stop the run.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        todo!()
    }

    /// Everything that decides what the transform does, as stable text, for the fingerprint.
    #[must_use]
    pub fn describe(&self) -> String {
        todo!()
    }

    /// Acts on a batch.
    ///
    /// # Errors
    /// Only for defects; what is wrong with a row is a reject.
    pub fn apply(&self, _batch: &SourceBatch) -> Result<TargetBatch> {
        todo!()
    }
}

/// Compiles a stream against the shapes of both its ends. `source_key` is the key that the rows
/// are read by (empty for an atomic stream).
///
/// # Errors
/// Every finding of the stream's expressions.
pub fn compile(_stream: &Stream, _source: &Table, _source_key: &[String], _target: &Table) -> Result<Transform, Vec<Finding>> {
    todo!()
}
