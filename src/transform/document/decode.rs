//! Taking documents apart, a batch at a time.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::record_batch::RecordBatch;

use super::cells::{Cells, Refused};
use super::declared::{Field, Fields};
use crate::data::kinds::KindCounts;
use crate::data::reject::Reason;
use crate::document::pointer::NAMED_TWICE;
use crate::document::select::{Kind, NoDocument, Selected, Selector};
use crate::mapping::document::Absent;
use crate::transform::apply::Wrong;
use crate::transform::cast::document::{DEEP, INVALID};
use crate::{Error, ErrorKind, Result};

/// What the documents of a batch are.
pub(in crate::transform) struct Decoded<'a> {
    /// Rows whose document is of a kind that is taken, or that cannot be read.
    pub(in crate::transform) taken: BooleanArray,
    /// The fields of the rows that are taken.
    pub(in crate::transform) columns: Vec<ArrayRef>,
    /// What is wrong with rows, by their number among those that are taken.
    pub(in crate::transform) wrong: BTreeMap<u32, Wrong<'a>>,
    /// Documents that are left out, by kind.
    pub(in crate::transform) left: KindCounts,
}

/// Of which kind a document is.
enum Taken {
    Yes,
    /// Of this other kind, or of none.
    No(Option<String>),
    /// It names its kind twice.
    Unknown,
}

impl Fields {
    /// Takes the documents of a batch apart.
    ///
    /// # Errors
    /// Only for defects.
    pub(in crate::transform) fn decode<'a>(&'a self, batch: &RecordBatch) -> Result<Decoded<'a>> {
        let documents = batch
            .column(self.at)
            .as_string_opt::<i32>()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "documents that are no text"))?;
        let mut rows = Rows {
            cells: self
                .fields
                .iter()
                .map(|field| Cells::of(&field.form, documents.len()))
                .collect(),
            wrong: BTreeMap::new(),
            count: 0,
            scratch: String::new(),
        };
        let mut left = KindCounts::default();
        let mut selector = Selector::new(&self.tree);
        let mut taken = Vec::with_capacity(documents.len());
        for document in documents {
            let selected = match document {
                Some(text) => selector.read(text),
                None => Ok(selector.nothing()),
            };
            taken.push(match selected {
                Err(why) => rows.refuse(&self.column, (Reason::Json, told(why).to_owned())),
                Ok(selected) => match self.takes(&selected) {
                    Taken::Yes => rows.read(&self.fields, &selected),
                    Taken::Unknown => rows.refuse(&self.column, (Reason::Json, NAMED_TWICE.to_owned())),
                    Taken::No(kind) => {
                        left.add(kind.as_deref(), 1);
                        false
                    }
                },
            });
        }
        Ok(Decoded {
            columns: rows.finish(&self.fields)?,
            taken: BooleanArray::from(taken),
            wrong: rows.wrong,
            left,
        })
    }

    fn takes(&self, selected: &Selected<'_, '_>) -> Taken {
        let Some(kinds) = &self.kinds else { return Taken::Yes };
        let path = self.fields.len();
        if selected.is_ambiguous(path) {
            return Taken::Unknown;
        }
        let Some(kind) = selected.get(path) else {
            return Taken::No(None);
        };
        // A kind is a text; what is spelt with a backslash is rare.
        let mut scratch = String::new();
        match kind.meant(&mut scratch) {
            Ok(kind) if kinds.iter().any(|taken| taken == kind) => Taken::Yes,
            Ok(kind) => Taken::No(Some(kind.to_owned())),
            Err(_) => Taken::No(None),
        }
    }
}

const fn told(why: NoDocument) -> &'static str {
    match why {
        NoDocument::Invalid => INVALID,
        NoDocument::Deep => DEEP,
    }
}

/// The rows that are taken, so far.
struct Rows<'a> {
    cells: Vec<Cells>,
    wrong: BTreeMap<u32, Wrong<'a>>,
    count: u32,
    scratch: String,
}

impl<'a> Rows<'a> {
    /// A row that cannot be read as a whole.
    fn refuse(&mut self, column: &'a str, refused: Refused) -> bool {
        for cells in &mut self.cells {
            cells.append_null();
        }
        self.wrong.insert(self.count, wrong(column, refused));
        self.count += 1;
        true
    }

    fn read(&mut self, fields: &'a [Field], selected: &Selected<'_, '_>) -> bool {
        for (path, (field, cells)) in fields.iter().zip(&mut self.cells).enumerate() {
            if let Err(refused) = field.read(path, selected, cells, &mut self.scratch) {
                cells.append_null();
                self.wrong.entry(self.count).or_insert_with(|| field.wrong(refused));
            }
        }
        self.count += 1;
        true
    }

    /// The columns; what their types refuse is wrong with its row, unless that is wrong already.
    fn finish(&mut self, fields: &'a [Field]) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(fields.len());
        for (field, cells) in fields.iter().zip(&mut self.cells) {
            let gathered = cells.finish();
            let Some(cast) = &field.cast else {
                columns.push(gathered);
                continue;
            };
            let casted = cast.run(&gathered)?;
            for fault in casted.faults {
                let refused = || field.wrong((fault.reason, fault.detail));
                self.wrong.entry(fault.row).or_insert_with(refused);
            }
            columns.push(casted.array);
        }
        Ok(columns)
    }
}

fn wrong(column: &str, (reason, detail): Refused) -> Wrong<'_> {
    Wrong {
        column: Some(column),
        reason,
        detail,
    }
}

impl Field {
    /// Reads the value of a document into the field's cells. Where it is refused the row has none
    /// yet.
    fn read(&self, path: usize, selected: &Selected<'_, '_>, cells: &mut Cells, scratch: &mut String) -> Result<(), Refused> {
        if selected.is_ambiguous(path) {
            return Err((Reason::Json, NAMED_TWICE.to_owned()));
        }
        let value = selected.get(path);
        if self.is_presence() {
            cells.append_present(value.is_some());
            return Ok(());
        }
        let (absent, word) = match value {
            Some(value) if value.kind != Kind::Null => return cells.append(&self.form, value, scratch),
            Some(_) => (self.null, "null"),
            None => (self.missing, "missing"),
        };
        match absent {
            Absent::Null => {
                cells.append_null();
                Ok(())
            }
            Absent::Reject => Err((Reason::NullValue, format!("{word}, which the mapping refuses"))),
        }
    }

    /// The reject tells the path, which the name of the column may not.
    fn wrong(&self, (reason, detail): Refused) -> Wrong<'_> {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        wrong(&self.name, (reason, format!("{path}: {detail}")))
    }
}
