//! A compiled stream that makes only some of its target columns, and reads no more than these need.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::{Output, Parts, Transform};
use crate::data::column::ColumnType;

impl Transform {
    /// Types of the target columns as they come: of one that is passed on, that of its binary form.
    #[must_use]
    pub fn written_types(&self) -> Vec<ColumnType> {
        self.parts.outputs.iter().map(|output| output.cast.to().clone()).collect()
    }

    /// Whether what becomes of a row depends on its source key, so that rows must come with theirs.
    #[must_use]
    pub const fn judges_keys(&self) -> bool {
        !self.parts.key_classes.is_empty()
    }

    /// The same for these target columns alone, without `where` and rules: rows that the stream
    /// leaves out or refuses come too. `None` where documents have to be taken apart for it, which
    /// is most of the work.
    #[must_use]
    pub fn narrowed(&self, columns: &[String]) -> Option<Self> {
        if self.parts.fields.is_some() {
            return None;
        }
        let wanted = |column: &String| self.parts.outputs.iter().position(|output| output.column == *column);
        let wanted: Vec<usize> = columns.iter().map(wanted).collect::<Option<_>>()?;
        let outputs = || wanted.iter().map(|place| &self.parts.outputs[*place]);
        let mut kept: Vec<usize> = outputs().flat_map(|output| output.expression.places()).collect();
        kept.sort_unstable();
        kept.dedup();
        let read = Arc::new(self.parts.read.project(&kept).ok()?);
        let written = wanted.iter().map(|place| Arc::clone(&self.parts.written.fields()[*place]));
        let narrow = |output: &Output| {
            Some(Output {
                column: output.column.clone(),
                bare: output.bare.clone(),
                expression: output.expression.over(&kept)?,
                cast: output.cast.clone(),
                not_null: output.not_null,
                nul: output.nul,
            })
        };
        Some(Self {
            reads: kept.iter().map(|place| self.reads[*place].clone()).collect(),
            moved: Vec::new(),
            columns: wanted.iter().map(|place| self.columns[*place].clone()).collect(),
            warnings: Vec::new(),
            description: String::new(),
            keys_distinct: false,
            parts: Parts {
                written: Arc::new(Schema::new(written.collect::<Vec<_>>())),
                seen: Arc::clone(&read),
                read,
                fields: None,
                key_classes: Vec::new(),
                filter: None,
                rules: Vec::new(),
                outputs: outputs().map(narrow).collect::<Option<_>>()?,
            },
        })
    }
}
