//! Compiling a stream: every expression is read, typed and bound, and all that is wrong with any
//! of them is found before a row is read.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::Result;
use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::column::ColumnType;
use crate::data::finding::{Finding, Severity};
use crate::data::position::KeyClass;
use crate::data::stream::ReadColumn;
use crate::data::table::{Column, Table};
use crate::mapping::Stream;

use super::apply;
use super::cast::{Cast, Rules};
use super::distinct::{self, Part};
use super::document::{self, Fields};
use super::expression::{Expression, Parsed};
use super::{passing, reading};

mod describe;
mod narrow;
mod texts;

use texts::{Texts, Wanted};

/// A compiled stream.
#[derive(Debug)]
pub struct Transform {
    reads: Vec<ReadColumn>,
    moved: Vec<String>,
    columns: Vec<Column>,
    warnings: Vec<Finding>,
    description: String,
    keys_distinct: bool,
    pub(super) parts: Parts,
}

/// What a batch goes through.
#[derive(Debug)]
pub(super) struct Parts {
    /// Columns of a source batch.
    pub(super) read: SchemaRef,
    /// What becomes of documents.
    pub(super) fields: Option<Fields>,
    /// Columns that expressions see: those of a source batch, and fields behind them.
    pub(super) seen: SchemaRef,
    /// Columns of a target batch.
    pub(super) written: SchemaRef,
    /// Classes of the source key that the proof of distinct keys rests on; empty without one.
    pub(super) key_classes: Vec<KeyClass>,
    /// `where`.
    pub(super) filter: Option<Expression>,
    /// Rules by name.
    pub(super) rules: Vec<(String, Expression)>,
    /// One for each target column.
    pub(super) outputs: Vec<Output>,
}

/// How a target column gets its values.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) column: String,
    /// The source column that it is and nothing else.
    bare: Option<String>,
    pub(super) expression: Expression,
    pub(super) cast: Cast,
    /// NULL is refused: by the target, or because the column is part of the key.
    pub(super) not_null: bool,
    /// Text may hold NUL characters.
    nul: bool,
}

impl Transform {
    /// Source columns to read, and as which types.
    #[must_use]
    pub fn read_columns(&self) -> &[ReadColumn] {
        &self.reads
    }

    /// Columns of the source, fields of documents among them, that the outcome depends on.
    #[must_use]
    pub fn moved_columns(&self) -> &[String] {
        &self.moved
    }

    /// Target columns written, in the order of the output.
    #[must_use]
    pub fn target_columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether two source rows can be proven to have two target keys.
    #[must_use]
    pub const fn keys_distinct(&self) -> bool {
        self.keys_distinct
    }

    /// Type of the expression of a target column, before the cast to the target's type.
    #[must_use]
    pub fn expression_type(&self, column: &str) -> Option<String> {
        let output = self.parts.outputs.iter().find(|output| output.column == column)?;
        Some(output.expression.type_name())
    }

    /// The source column that a target column takes as it is, where it is nothing else.
    #[must_use]
    pub fn taken_from(&self, column: &str) -> Option<&str> {
        let output = self.parts.outputs.iter().find(|output| output.column == column)?;
        output.bare.as_deref()
    }

    /// Findings that do not stop the run.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// Everything that decides what the transform does, as stable text, for the fingerprint.
    #[must_use]
    pub fn describe(&self) -> String {
        self.description.clone()
    }

    /// Acts on a batch.
    ///
    /// # Errors
    /// Only for defects; what is wrong with a row is a reject.
    pub fn apply(&self, batch: &SourceBatch) -> Result<TargetBatch> {
        apply::apply(&self.parts, batch)
    }
}

/// Compiles a stream against the shapes of both its ends. `source_key` is the key that the rows
/// are read by (empty for an atomic stream).
///
/// # Errors
/// Every finding of the stream's expressions.
pub fn compile(stream: &Stream, source: &Table, source_key: &[String], target: &Table) -> Result<Transform, Vec<Finding>> {
    let mut findings = Vec::new();
    let texts = texts::read(stream, source, target, &mut findings);
    let uses = texts::uses(&texts);
    let is_field = |column: &str| stream.fields.iter().any(|field| field.name.value == column);
    let stored = source.columns.iter().filter(|column| !is_field(&column.name));
    let mut reads = reading::plan(stored, &stream.types, &uses, &mut findings);
    let fields = document::plan(stream, source, &mut reads, &mut findings);
    if fields.is_none() && !stream.fields.is_empty() {
        return Err(findings);
    }
    let taken = uses.bare.iter().map(|bare| bare.column).chain(uses.computed.iter().copied());
    let stored = reads.iter().map(|read| read.name.as_str());
    let moved = stored
        .chain(taken.filter(|column| is_field(column)))
        .map(str::to_owned)
        .collect();
    let read: Vec<_> = reads
        .iter()
        .map(|column| Arc::new(column.ty.field(&column.name, true)))
        .collect();
    let of_fields = fields.iter().flat_map(Fields::columns);
    let schema = Arc::new(Schema::new(read.iter().cloned().chain(of_fields).collect::<Vec<_>>()));
    let filter = texts
        .filter
        .as_ref()
        .and_then(|parsed| condition(parsed, "`where`", &schema, &mut findings));
    let rules = texts
        .rules
        .iter()
        .filter_map(|(name, parsed)| {
            let compiled = condition(parsed, &format!("rule `{name}`"), &schema, &mut findings)?;
            Some(((*name).to_owned(), compiled))
        })
        .collect();
    let outputs: Vec<Output> = texts
        .wanted
        .iter()
        .filter_map(|wanted| output(wanted, source, &schema, target, &mut findings))
        .collect();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    let proof = distinct::prove(source, source_key, &key_parts(stream, &texts, &reads, &outputs));
    let columns: Vec<Column> = texts.wanted.iter().map(|wanted| wanted.column.clone()).collect();
    let written = columns
        .iter()
        .zip(&outputs)
        .map(|(column, output)| output.cast.to().field(&column.name, !output.not_null));
    let parts = Parts {
        written: Arc::new(Schema::new(written.collect::<Vec<_>>())),
        read: Arc::new(Schema::new(read)),
        fields,
        seen: schema,
        key_classes: proof.as_ref().map_or_else(Vec::new, |proof| proof.classes.clone()),
        filter,
        rules,
        outputs,
    };
    Ok(Transform {
        description: describe::describe(&texts, &reads, &parts),
        moved,
        reads,
        columns,
        warnings: findings,
        keys_distinct: proof.is_some(),
        parts,
    })
}

fn condition(parsed: &Parsed<'_>, what: &str, schema: &Schema, findings: &mut Vec<Finding>) -> Option<Expression> {
    match parsed.compile(schema) {
        Ok(compiled) if compiled.is_boolean() => Some(compiled),
        Ok(compiled) => {
            findings.push(
                parsed
                    .finding("mapping::not_boolean", format!("{what} is not a condition"))
                    .label(format!("this is {}", compiled.type_name()))
                    .help("such as \"score >= 0\""),
            );
            None
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

fn output(wanted: &Wanted<'_>, source: &Table, schema: &Schema, target: &Table, findings: &mut Vec<Finding>) -> Option<Output> {
    let column = wanted.column;
    let compiled = match &wanted.parsed {
        Some(parsed) => parsed.compile(schema),
        None => Expression::column(&column.name, schema).ok_or_else(|| type_mismatch(wanted, "nothing", "it is not read")),
    };
    let expression = match compiled {
        Ok(expression) => expression,
        Err(finding) => {
            findings.push(finding);
            return None;
        }
    };
    let rules = Rules {
        lossy: wanted.lossy,
        nul: target.text_holds_nul,
        explicit: false,
    };
    let bare = wanted.bare().and_then(|name| source.column(name));
    let planned = match (ColumnType::of_field(expression.field()), bare) {
        (Some(ColumnType::Opaque { .. }), Some(from)) => passed_on(wanted, from),
        _ => Cast::plan(expression.field(), &column.ty, rules).map_err(|why| type_mismatch(wanted, &expression.type_name(), &why)),
    };
    match planned {
        Ok(cast) => Some(Output {
            column: column.name.clone(),
            bare: wanted.bare().map(str::to_owned),
            expression,
            cast,
            not_null: !column.nullable || wanted.key,
            nul: rules.nul,
        }),
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

/// A column that is not interpreted: it arrives as it is or not at all.
fn passed_on(wanted: &Wanted<'_>, from: &Column) -> Result<Cast, Finding> {
    let to = wanted.column;
    if let Some(form) = to.wire.as_ref().filter(|_| passing::passes(from, to)) {
        return Ok(Cast::passed_on(form));
    }
    let Column { name, ty, .. } = from;
    let (why, help) = match (&from.wire, &to.wire) {
        (None, _) => (
            "it has no binary form that means the same in another database".to_owned(),
            format!("leave it out, or take it as text where that will do: a `query` with {name}::text"),
        ),
        (Some(_), Some(_)) if ty == &to.ty => (
            "the two are not made of the same types, or the target's limits are narrower".to_owned(),
            format!("make the target's type like the source's, or convert it in a `query`, such as {name}::text"),
        ),
        _ => (
            format!("{ty} is not interpreted and only passes into a column of the same type"),
            format!("convert it in a `query`, such as {name}::text, or make the target column {ty}"),
        ),
    };
    Err(type_mismatch(wanted, &ty.to_string(), &why).help(help))
}

fn type_mismatch(wanted: &Wanted<'_>, from: &str, why: &str) -> Finding {
    let Column { name, ty, .. } = wanted.column;
    let finding = match &wanted.parsed {
        Some(parsed) => parsed.finding("plan::type_mismatch", format!("column `{name}` is {ty}, and {why}")),
        None => Finding::error(
            "plan::type_mismatch",
            Some(wanted.place.clone()),
            format!("column `{name}` is {ty}, and that of the same name does not fit: {why}"),
        ),
    };
    finding.label(format!("this is {from}")).help(match &wanted.parsed {
        Some(_) => format!("convert it to {ty} in the expression"),
        None => format!("write its expression: [stream.columns] {name} = \"…\""),
    })
}

fn key_parts<'a>(stream: &Stream, texts: &'a Texts<'_>, reads: &'a [ReadColumn], outputs: &'a [Output]) -> Vec<Part<'a>> {
    let in_key = |name: &str| stream.key.iter().any(|key| key.value == name);
    texts
        .wanted
        .iter()
        .zip(outputs)
        .filter(|(wanted, _)| in_key(&wanted.column.name))
        .filter_map(|(wanted, output)| {
            let hashed = wanted.parsed.as_ref().and_then(Parsed::uuid_of);
            let column = wanted.bare().or(hashed)?;
            Some(Part {
                column,
                read: reads.iter().find(|read| read.name == column).map(|read| &read.ty)?,
                hashed: hashed.is_some(),
                cast: &output.cast,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;
