//! Checks of what a stream reads from documents, and the columns that its fields are.

use std::collections::HashSet;

use crate::data::column::ColumnType;
use crate::data::finding::{Finding, Located};
use crate::data::table::{Column, Table};
use crate::document::pointer::Pointer;
use crate::mapping::Stream;
use crate::mapping::document::{Absent, Content, Field};

/// Types as a mapping writes them.
pub(super) const TYPE_NAMES: [&str; 19] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric(7,2)",
    "text",
    "varchar(50)",
    "char(3)",
    "bytea",
    "date",
    "time",
    "timestamp(3)",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
];

/// The type that a field has, where the mapping names one that documents can hold.
#[must_use]
pub fn field_type(field: &Field) -> Option<ColumnType> {
    match &field.content {
        Content::Present => Some(ColumnType::Bool),
        Content::Value(ty) => ColumnType::parse(&ty.value).filter(is_in_documents),
    }
}

/// Whether there is one way in which JSON holds values of a type.
fn is_in_documents(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Bytes | ColumnType::Opaque { .. } => false,
        ColumnType::List(element) => !matches!(**element, ColumnType::List(_)) && is_in_documents(element),
        _ => true,
    }
}

/// Checks fields and kinds, as far as no database is needed.
pub(super) fn fields(stream: &Stream, findings: &mut Vec<Finding>) {
    let kinds = stream.document.as_ref().and_then(|document| document.kinds.as_ref());
    let paths = stream.fields.iter().map(|field| &field.path);
    for path in paths.chain(kinds.map(|kinds| &kinds.path)) {
        if let Err(why) = Pointer::parse(&path.value) {
            findings.push(
                error("mapping::path", path, format!("this is {why}"))
                    .label("not a path")
                    .help("`~` is written ~0 and `/` within a name ~1, as in /a~1b"),
            );
        }
    }
    if let Some(kinds) = kinds {
        if kinds.is.is_empty() {
            findings.push(
                error("mapping::document", &kinds.path, "`is` names no kind of documents".to_owned())
                    .label("of these, none is taken")
                    .help("is = [\"account\"]"),
            );
        }
        let mut seen = HashSet::new();
        for kind in kinds.is.iter().filter(|kind| !seen.insert(&kind.value)) {
            findings.push(
                error("mapping::duplicate_column", kind, format!("`{}` is named twice", kind.value)).label("the second time"),
            );
        }
    }
    for field in &stream.fields {
        named(stream, field, findings);
    }
}

fn error<T>(code: &'static str, at: &Located<T>, message: String) -> Finding {
    Finding::error(code, Some(at.place.clone()), message)
}

/// Name and type of a field.
fn named(stream: &Stream, field: &Field, findings: &mut Vec<Finding>) {
    let name = &field.name.value;
    if name.is_empty() || name.contains('\0') {
        findings.push(
            error(
                "mapping::bad_identifier",
                &field.name,
                "no column can have this name".to_owned(),
            )
            .label("not a name"),
        );
    }
    if let Content::Value(ty) = &field.content
        && field_type(field).is_none()
    {
        findings.push(if ColumnType::parse(&ty.value).is_none() {
            error(
                "mapping::unknown_type",
                ty,
                format!("field `{name}` cannot be read as `{}`, which is not a type", ty.value),
            )
            .label("not a type")
            .help_nearest(&ty.value, TYPE_NAMES.iter().copied())
        } else {
            error(
                "mapping::unknown_type",
                ty,
                format!("field `{name}` cannot be read as `{}`, for which JSON has no form", ty.value),
            )
            .label("not in documents")
            .help("read it as text and convert it: decode(field, 'base64')")
        });
    }
    let typed = stream.types.iter().map(|(column, _)| column);
    for other in typed.chain(stream.source_key.iter().flatten()) {
        if other.value == *name {
            findings.push(
                error(
                    "mapping::field",
                    other,
                    format!("`{name}` is a field of the documents, not a column that is stored"),
                )
                .label("a field")
                .help("a field has its type in [stream.fields], and rows are read in the order of stored columns"),
            );
        }
    }
}

/// Adds the fields of a stream to the shape of its source, as columns behind the stored ones.
/// Returns those whose name is taken.
#[must_use]
pub fn add_fields(stream: &Stream, source: &mut Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for field in &stream.fields {
        let Some(ty) = field_type(field) else { continue };
        if source.column(&field.name.value).is_some() {
            findings.push(
                error(
                    "mapping::duplicate_column",
                    &field.name,
                    format!("the source {} has a column `{}` already", source.name, field.name.value),
                )
                .label("the name of a column")
                .help("give the field another name"),
            );
            continue;
        }
        let sure = field.missing == Absent::Reject && field.null == Absent::Reject;
        source.columns.push(Column {
            nullable: !sure && field.content != Content::Present,
            ..Column::new(field.name.value.clone(), ty)
        });
    }
    findings
}
