//! Wire forms of what a stream reads from documents, and what they mean.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Place};
use crate::mapping::Located;
use crate::mapping::document::{Absent, Content, Document, Field, Kinds};

/// Which documents a stream takes, and the column that they are in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [stream.document]")]
pub(super) struct DocumentEntry {
    /// Source column of the documents: `column = "payload"`. The default is "document".
    #[schemars(example = &"payload")]
    column: Option<Marked<String>>,
    /// Path of the text that says of what kind a document is, as a JSON pointer:
    /// `path = "/type"`. Together with `is`.
    #[schemars(example = &"/type")]
    path: Option<Marked<String>>,
    /// Kinds that this stream takes; others are left out and counted as filtered, before anything
    /// else of them is looked at: `is = ["account"]`.
    #[schemars(example = ["account"])]
    is: Option<Marked<Vec<Marked<String>>>>,
}

/// A value of the documents that becomes a source column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { path = \"/created\", type = \"bigint\" }"
)]
pub(super) struct FieldEntry {
    /// Where the value is, as a JSON pointer: `path = "/subscription/tier"`. The empty path is
    /// the whole document.
    #[schemars(required, example = &"/subscription/tier")]
    path: Option<Marked<String>>,
    /// Type that the value has, written as in PostgreSQL: `type = "bigint"`. A value of another
    /// kind, or without an exact form in it, makes the row a reject.
    #[schemars(example = &"bigint")]
    r#type: Option<Marked<String>>,
    /// A document without the value, or with `null` there, is a reject: `required = true`. The
    /// default is false.
    #[schemars(example = true)]
    required: Option<Marked<bool>>,
    /// What a document without the value means: `missing = "reject"`. The default is "null".
    #[schemars(example = &"reject")]
    missing: Option<Marked<Absent>>,
    /// What an explicit `null` means: `null = "reject"`. The default is "null".
    #[schemars(example = &"reject")]
    null: Option<Marked<Absent>>,
    /// Instead of `type`: whether the document has the value at all, be it `null`, as a boolean:
    /// `present = true`.
    #[schemars(example = true)]
    present: Option<Marked<bool>>,
}

/// `[stream.document]`.
pub(super) fn document(reader: &mut Reader, entry: Marked<DocumentEntry>) -> Document {
    let span = entry.span();
    let entry = entry.into_inner();
    let kinds = match (entry.path, entry.is) {
        (Some(path), Some(is)) => Some(Kinds {
            path: reader.locate(path),
            is: is.into_inner().into_iter().map(|kind| reader.locate(kind)).collect(),
        }),
        (None, None) => None,
        _ if reader.is_damaged(&span) => None,
        (path, _) => {
            let missing = if path.is_none() { "path" } else { "is" };
            reader.findings.push(
                Finding::error(
                    "mapping::document",
                    Some(reader.place(span)),
                    format!("`document` has no `{missing}`"),
                )
                .label("only one of two")
                .help("both or none: path = \"/type\" and is = [\"account\"]"),
            );
            None
        }
    };
    Document {
        column: entry.column.map(|column| reader.locate(column)),
        kinds,
    }
}

/// `[stream.fields]`, in file order.
pub(super) fn fields(reader: &mut Reader, entries: BTreeMap<Marked<String>, Marked<FieldEntry>>) -> Vec<Field> {
    let mut fields: Vec<Field> = entries
        .into_iter()
        .filter_map(|(name, entry)| {
            let name = reader.locate(name);
            field(reader, name, entry)
        })
        .collect();
    fields.sort_by_key(|field| field.name.place.span.start);
    fields
}

fn field(reader: &mut Reader, name: Located<String>, entry: Marked<FieldEntry>) -> Option<Field> {
    let span = entry.span();
    let entry = entry.into_inner();
    let owner = format!("field `{}`", name.value.escape_debug());
    let present = entry.present.filter(|present| *present.get());
    let required = entry.required.filter(|required| *required.get());
    let absent = entry.missing.as_ref().or(entry.null.as_ref()).map(Marked::span);
    let other = entry
        .r#type
        .as_ref()
        .map(Marked::span)
        .or(required.as_ref().map(Marked::span));
    if present.is_some()
        && let Some(span) = other.or(absent.clone())
    {
        contradiction(
            reader,
            span,
            &format!("{owner} tells whether a value is present, and nothing else of it"),
        );
    }
    if required.is_some()
        && let Some(span) = absent
    {
        contradiction(
            reader,
            span,
            &format!("{owner} is required, which says what missing and null mean"),
        );
    }
    let path = reader.required(entry.path, &span, &owner, "path = \"/created\"");
    let content = if present.is_some() {
        Content::Present
    } else {
        let ty = reader.required(entry.r#type, &span, &owner, "type = \"bigint\"");
        Content::Value(ty?)
    };
    let absence = |entry: Option<Marked<Absent>>| match &required {
        Some(_) => Absent::Reject,
        None => entry.map_or(Absent::Null, Marked::into_inner),
    };
    Some(Field {
        name,
        path: path?,
        content,
        missing: absence(entry.missing),
        null: absence(entry.null),
    })
}

fn contradiction(reader: &mut Reader, span: std::ops::Range<usize>, message: &str) {
    let place: Place = reader.place(span);
    reader.findings.push(
        Finding::error("mapping::field", Some(place), message.to_owned())
            .label("cannot be said beside it")
            .help("leave it out"),
    );
}
