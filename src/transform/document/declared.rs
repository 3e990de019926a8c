//! The fields of a stream, checked against its source.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::FieldRef;

use super::cells::Form;
use crate::data::column::ColumnType;
use crate::data::finding::Finding;
use crate::data::stream::ReadColumn;
use crate::data::table::{Column, Table};
use crate::document::pointer::Pointer;
use crate::document::select::Tree;
use crate::mapping::document::{Absent, COLUMN, Content, Field as Declared};
use crate::mapping::{Stream, check};
use crate::transform::cast::{Cast, Rules};

/// What is read from the documents of a stream.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "what mappings call fields is among what they are read with"
)]
pub(in crate::transform) struct Fields {
    /// The column that they are in.
    pub(super) column: String,
    /// Where that is among those that are read.
    pub(super) at: usize,
    /// All paths: of the fields, in their order, then of the kind.
    pub(super) tree: Tree,
    pub(super) fields: Vec<Field>,
    /// Kinds that are taken; of any kind where there are none.
    pub(super) kinds: Option<Vec<String>>,
    description: String,
}

/// A field, ready to be read.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// As the mapping writes it, for messages.
    pub(super) path: String,
    pub(super) form: Form,
    pub(super) ty: ColumnType,
    /// From the text that its values are gathered as; `None` where that is the value.
    pub(super) cast: Option<Cast>,
    pub(super) missing: Absent,
    pub(super) null: Absent,
}

impl Field {
    /// Whether it tells only if there is a value.
    pub(super) const fn is_presence(&self) -> bool {
        matches!(self.form, Form::Present)
    }
}

impl Fields {
    /// Columns that the fields are, behind those of the source.
    pub(in crate::transform) fn columns(&self) -> impl Iterator<Item = FieldRef> {
        self.fields.iter().map(|field| Arc::new(field.ty.field(&field.name, true)))
    }

    /// Everything that decides what becomes of a document, as stable text.
    pub(in crate::transform) fn describe(&self) -> &str {
        &self.description
    }
}

/// Plans what the stream reads from documents, if it reads any, and adds their column to those
/// that are read.
pub(in crate::transform) fn plan(
    stream: &Stream,
    source: &Table,
    reads: &mut Vec<ReadColumn>,
    findings: &mut Vec<Finding>,
) -> Option<Fields> {
    let kinds = stream.document.as_ref().and_then(|document| document.kinds.as_ref());
    if stream.fields.is_empty() && kinds.is_none() {
        return None;
    }
    let column = column(stream, source, findings)?;
    let at = read(stream, column, reads, findings)?;
    let paths = stream.fields.iter().map(|field| &field.path);
    let paths: Option<Vec<Pointer<'_>>> = paths
        .chain(kinds.map(|kinds| &kinds.path))
        .map(|path| Pointer::parse(&path.value).ok())
        .collect();
    // What is wrong with a path or type was told by the checks that need no database.
    let fields: Option<Vec<Field>> = stream.fields.iter().map(field).collect();
    let (paths, fields) = (paths?, fields?);
    Some(Fields {
        column: column.name.clone(),
        at,
        tree: Tree::of(paths),
        description: description(stream, &column.name, &fields),
        fields,
        kinds: kinds.map(|kinds| kinds.is.iter().map(|kind| kind.value.clone()).collect()),
    })
}

/// The column of the documents.
fn column<'a>(stream: &Stream, source: &'a Table, findings: &mut Vec<Finding>) -> Option<&'a Column> {
    let named = stream.document.as_ref().and_then(|document| document.column.as_ref());
    let name = named.map_or(COLUMN, |named| named.value.as_str());
    let is_field = stream.fields.iter().any(|field| field.name.value == name);
    let column = source.column(name).filter(|_| !is_field);
    if column.is_none() {
        let first = stream.fields.first().map_or(&stream.place, |field| &field.name.place);
        let place = named.map_or(first, |named| &named.place);
        findings.push(
            Finding::error(
                "plan::no_document",
                Some(place.clone()),
                format!("the source {} has no column `{name}` with documents", source.name),
            )
            .label("read from documents")
            .help("name their column: [stream.document] column = \"…\""),
        );
    }
    column
}

/// Where the column of the documents is among those that are read.
fn read(stream: &Stream, column: &Column, reads: &mut Vec<ReadColumn>, findings: &mut Vec<Finding>) -> Option<usize> {
    let at = reads.iter().position(|read| read.name == column.name).unwrap_or_else(|| {
        reads.push(ReadColumn {
            name: column.name.clone(),
            // Whether it is JSON is found while it is taken apart.
            ty: if column.flexible {
                ColumnType::TEXT
            } else {
                column.ty.clone()
            },
            json_is_checked: true,
        });
        reads.len() - 1
    });
    let ty = &reads[at].ty;
    if matches!(ty, ColumnType::Text { .. } | ColumnType::Json { .. }) {
        return Some(at);
    }
    let named = stream.document.as_ref().and_then(|document| document.column.as_ref());
    findings.push(
        Finding::error(
            "plan::no_document",
            Some(named.map_or(&stream.place, |named| &named.place).clone()),
            format!("`{}` is read as {ty}, and documents are text or json", column.name),
        )
        .label("not documents")
        .help("name the column of the documents: [stream.document] column = \"…\""),
    );
    None
}

fn field(declared: &Declared) -> Option<Field> {
    let ty = check::field_type(declared)?;
    let form = match declared.content {
        Content::Present => Form::Present,
        Content::Value(_) => Form::of(&ty)?,
    };
    let rules = Rules {
        lossy: false,
        // Whether the target holds it is its own cast's to say.
        nul: true,
        explicit: false,
    };
    let cast = match form.gathered() {
        Some(gathered) if gathered != ty => Some(Cast::plan(&gathered.field("value", true), &ty, rules).ok()?),
        _ => None,
    };
    Some(Field {
        name: declared.name.value.clone(),
        path: declared.path.value.clone(),
        form,
        ty,
        cast,
        missing: declared.missing,
        null: declared.null,
    })
}

fn description(stream: &Stream, column: &str, fields: &[Field]) -> String {
    let mut lines = String::new();
    let mut line = |what: std::fmt::Arguments<'_>| {
        let written = writeln!(lines, "{what}");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    line(format_args!("documents in {column:?}"));
    if let Some(kinds) = stream.document.as_ref().and_then(|document| document.kinds.as_ref()) {
        let is: Vec<&str> = kinds.is.iter().map(|kind| kind.value.as_str()).collect();
        line(format_args!("kinds {:?} of {is:?}", kinds.path.value));
    }
    for field in fields {
        let absent = [(field.missing, " not missing"), (field.null, " not null")];
        let absent: String = absent
            .iter()
            .filter(|(absent, _)| *absent == Absent::Reject)
            .map(|(_, text)| *text)
            .collect();
        let what = if field.is_presence() { "presence" } else { "value" };
        line(format_args!(
            "field {:?} {}{absent} = {what} of {:?}",
            field.name, field.ty, field.path
        ));
    }
    lines
}
