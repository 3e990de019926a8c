//! Applying a compiled stream to a batch: fields of documents, `where`, rules, columns, exact casts.
//!
//! A row that anything refuses becomes one reject, with the first thing that is wrong with it;
//! its neighbours go on. An expression that fails somewhere in a batch is halved until the rows
//! at fault stand alone. While nothing is wrong no row costs an allocation, and a column that
//! passes unchanged is the same array.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatchOptions, new_null_array};
use arrow::compute::{concat, filter, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::kinds::KindCounts;
use crate::data::position::KeyClass;
use crate::data::reject::{Reason, Reject};
use crate::{Error, ErrorKind, Result};

use super::cast::Fault;
use super::compile::{Output, Parts};
use super::document::Fields;
use super::expression::{Expression, Failure};

/// Rows on their way, and which rows of the source batch they are.
struct Rows {
    batch: RecordBatch,
    origin: Vec<u32>,
}

/// What is wrong with a row.
pub(super) struct Wrong<'a> {
    pub(super) column: Option<&'a str>,
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Acts on a batch.
///
/// # Errors
/// Only for defects.
pub(super) fn apply(parts: &Parts, source: &SourceBatch) -> Result<TargetBatch> {
    let mut rows = Rows::all(parts, source)?;
    let mut rejects = Vec::new();
    if !parts.key_classes.is_empty() {
        let wrong = of_other_classes(source, &parts.key_classes);
        rows.reject(wrong, source, &mut rejects)?;
    }
    let mut filtered = 0;
    let mut kinds = KindCounts::default();
    if let Some(fields) = &parts.fields {
        kinds = rows.decode(fields, &parts.seen, source, &mut rejects)?;
        filtered += kinds.total();
    }
    if let Some(condition) = &parts.filter {
        filtered += rows.filter(condition, source, &mut rejects)?;
    }
    for (name, rule) in &parts.rules {
        let wrong = broken(name, rule, &rows.batch)?;
        rows.reject(wrong, source, &mut rejects)?;
    }
    let mut wrong = BTreeMap::new();
    let mut columns = Vec::with_capacity(parts.outputs.len());
    for output in &parts.outputs {
        columns.push(column(output, &rows.batch, &mut wrong)?);
    }
    if !wrong.is_empty() {
        let keep = rows.reject(wrong, source, &mut rejects)?;
        for column in &mut columns {
            *column = filter(column.as_ref(), &keep).map_err(|error| defect(&error))?;
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.origin.len()));
    let written = std::sync::Arc::clone(&parts.written);
    Ok(TargetBatch {
        rows: RecordBatch::try_new_with_options(written, columns, &options).map_err(|error| defect(&error))?,
        origin: rows.origin,
        rejects,
        filtered,
        kinds,
    })
}

impl Rows {
    fn all(parts: &Parts, source: &SourceBatch) -> Result<Self> {
        let batch = source.rows.clone();
        let types = |schema: &arrow::datatypes::Schema| {
            schema
                .fields()
                .iter()
                .map(|field| field.data_type().clone())
                .collect::<Vec<_>>()
        };
        if types(&batch.schema()) != types(&parts.read) {
            return Err(Error::new(
                ErrorKind::Internal,
                "the source handed over other columns than were asked for",
            ));
        }
        let rows = u32::try_from(batch.num_rows()).map_err(|error| {
            Error::new(ErrorKind::Internal, "the source handed over more rows than a batch can hold").because(error)
        })?;
        Ok(Self {
            batch,
            origin: (0..rows).collect(),
        })
    }

    /// Takes documents apart: the rows that are taken have their fields as further columns. Returns
    /// which kinds were left out.
    fn decode(&mut self, fields: &Fields, seen: &SchemaRef, source: &SourceBatch, rejects: &mut Vec<Reject>) -> Result<KindCounts> {
        let decoded = fields.decode(&self.batch)?;
        if decoded.left.total() > 0 {
            self.keep(&decoded.taken)?;
        }
        let columns = self.batch.columns().iter().cloned().chain(decoded.columns).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.origin.len()));
        let seen = std::sync::Arc::clone(seen);
        self.batch = RecordBatch::try_new_with_options(seen, columns, &options).map_err(|error| defect(&error))?;
        self.reject(decoded.wrong, source, rejects)?;
        Ok(decoded.left)
    }

    /// Leaves out the rows for which the condition is not true, and returns how many they are.
    fn filter(&mut self, condition: &Expression, source: &SourceBatch, rejects: &mut Vec<Reject>) -> Result<u64> {
        let (values, failures) = evaluate(condition, &self.batch)?;
        let values = booleans(&values)?;
        let mut keep = true_rows(values);
        let mut wrong = BTreeMap::new();
        if !failures.is_empty() {
            // They stay for a moment, to leave as rejects.
            let mut kept: Vec<bool> = keep.values().iter().collect();
            for (row, failure) in failures {
                kept[row as usize] = true;
                wrong.insert(row, Wrong::failed("`where`", None, failure));
            }
            keep = BooleanArray::from(kept);
            let before: Vec<usize> = keep.values().set_indices().collect();
            let now = |row: u32| u32::try_from(before.partition_point(|old| *old < row as usize)).unwrap_or(u32::MAX);
            wrong = wrong.into_iter().map(|(row, why)| (now(row), why)).collect();
        }
        let left = self.batch.num_rows() - keep.true_count();
        if left > 0 {
            self.keep(&keep)?;
        }
        self.reject(wrong, source, rejects)?;
        Ok(left as u64)
    }

    /// Takes rows out as rejects, and returns which rows stay.
    fn reject(&mut self, wrong: BTreeMap<u32, Wrong<'_>>, source: &SourceBatch, rejects: &mut Vec<Reject>) -> Result<BooleanArray> {
        let mut keep = vec![true; if wrong.is_empty() { 0 } else { self.origin.len() }];
        for (row, why) in wrong {
            keep[row as usize] = false;
            let origin = self.origin[row as usize] as usize;
            rejects.push(Reject {
                key: source.keys.get(origin),
                column: why.column.map(str::to_owned),
                reason: why.reason,
                detail: why.detail,
                row: (source.row_json)(&source.rows, origin),
            });
        }
        let keep = BooleanArray::from(keep);
        if !keep.is_empty() {
            self.keep(&keep)?;
        }
        Ok(keep)
    }

    fn keep(&mut self, keep: &BooleanArray) -> Result<()> {
        self.batch = filter_record_batch(&self.batch, keep).map_err(|error| defect(&error))?;
        let mut row = 0;
        self.origin.retain(|_| {
            row += 1;
            keep.value(row - 1)
        });
        Ok(())
    }
}

impl Wrong<'_> {
    fn failed<'a>(what: &str, column: Option<&'a str>, failure: Failure) -> Wrong<'a> {
        let Failure { reason, detail } = failure;
        let detail = format!("{what}: {detail}");
        Wrong { column, reason, detail }
    }
}

/// Rows whose key is of another storage class than the proof of distinct keys rests on: read as
/// one type, such a key might become that of another row (Invariant 13).
fn of_other_classes<'a>(source: &SourceBatch, classes: &[KeyClass]) -> BTreeMap<u32, Wrong<'a>> {
    (0_u32..)
        .take(source.keys.len())
        .filter(|row| !source.keys.is_of(*row as usize, classes))
        .map(|row| {
            let wrong = Wrong {
                column: None,
                reason: Reason::Unreadable,
                detail: "the source key is stored as another class than its column's type, and might be that of another row"
                    .to_owned(),
            };
            (row, wrong)
        })
        .collect()
}

/// Rows that break a rule. NULL breaks none.
fn broken<'a>(name: &'a str, rule: &Expression, rows: &RecordBatch) -> Result<BTreeMap<u32, Wrong<'a>>> {
    let (values, failures) = evaluate(rule, rows)?;
    let values = booleans(&values)?;
    let mut wrong = BTreeMap::new();
    if values.has_false() {
        for (row, value) in (0_u32..).zip(values) {
            if value == Some(false) {
                let detail = format!("rule `{name}` is broken");
                let reason = Reason::Rule;
                wrong.insert(
                    row,
                    Wrong {
                        column: Some(name),
                        reason,
                        detail,
                    },
                );
            }
        }
    }
    for (row, failure) in failures {
        wrong.insert(row, Wrong::failed(&format!("rule `{name}`"), Some(name), failure));
    }
    Ok(wrong)
}

/// Values of a target column. A row that is wrong already stays wrong for its first reason.
fn column<'a>(output: &'a Output, rows: &RecordBatch, wrong: &mut BTreeMap<u32, Wrong<'a>>) -> Result<ArrayRef> {
    let column = Some(output.column.as_str());
    let (values, failures) = evaluate(&output.expression, rows)?;
    for (row, failure) in failures {
        let Failure { reason, detail } = failure;
        wrong.entry(row).or_insert(Wrong { column, reason, detail });
    }
    let casted = output.cast.run(&values)?;
    for Fault { row, reason, detail } in casted.faults {
        wrong.entry(row).or_insert(Wrong { column, reason, detail });
    }
    if output.not_null && casted.array.null_count() > 0 {
        for row in 0..casted.array.len() {
            if casted.array.is_null(row) {
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                wrong.entry(row).or_insert_with(|| Wrong {
                    column,
                    reason: Reason::NullValue,
                    detail: "NULL, which the column refuses".to_owned(),
                });
            }
        }
    }
    Ok(casted.array)
}

/// Values for all rows, NULL for those for which the expression fails. Halves what fails until
/// single rows are left: the depth is the logarithm of the rows, and no good row is lost.
fn evaluate(expression: &Expression, rows: &RecordBatch) -> Result<(ArrayRef, Vec<(u32, Failure)>)> {
    if rows.num_rows() == 0 {
        return Ok((new_null_array(expression.field().data_type(), 0), Vec::new()));
    }
    if let Ok(values) = expression.evaluate(rows) {
        return Ok((values, Vec::new()));
    }
    let mut failures = Vec::new();
    let mut pieces: Vec<ArrayRef> = Vec::new();
    // At most one range per level waits.
    let mut ranges = vec![(0, rows.num_rows())];
    while let Some((start, length)) = ranges.pop() {
        match expression.evaluate(&rows.slice(start, length)) {
            Ok(values) => pieces.push(values),
            Err(failure) if length <= 1 => {
                failures.push((u32::try_from(start).unwrap_or(u32::MAX), failure));
                pieces.push(new_null_array(expression.field().data_type(), length));
            }
            Err(_) => {
                let half = length / 2;
                ranges.push((start + half, length - half));
                ranges.push((start, half));
            }
        }
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    Ok((concat(&pieces).map_err(|error| defect(&error))?, failures))
}

fn booleans(values: &ArrayRef) -> Result<&BooleanArray> {
    values
        .as_boolean_opt()
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a condition that is not boolean"))
}

/// Which rows are true, without NULLs.
fn true_rows(values: &BooleanArray) -> BooleanArray {
    match values.nulls() {
        None => values.clone(),
        Some(valid) => BooleanArray::new(values.values() & valid.inner(), None),
    }
}

/// The cause may quote a value: only where it went wrong is told (Invariant 9).
fn defect(error: &ArrowError) -> Error {
    tracing::debug!(kind = error_class(error), "arrow refused a batch");
    Error::new(ErrorKind::Internal, "the mapped columns do not fit together")
}

const fn error_class(error: &ArrowError) -> &'static str {
    match error {
        ArrowError::InvalidArgumentError(_) => "invalid argument",
        ArrowError::SchemaError(_) => "schema",
        ArrowError::ComputeError(_) => "compute",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
