//! Streams, tables and batches for the tests of this folder, as a mapping file would give them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use crate::data::batch::SourceBatch;
use crate::data::column::ColumnType;
use crate::data::finding::{Finding, Place, SourceFile};
use crate::data::position::{KeyBuffer, KeyRef, Position};
use crate::data::stream::ReadColumn;
use crate::data::table::{Column, Table, TableName};
use crate::mapping::Stream;
use crate::mapping::stream::{From, Located, TableRef};

/// A text as it stands between quotes in a file of its own.
pub(super) fn text(value: &str) -> Located<String> {
    let quoted = format!("'''{value}'''");
    Located {
        value: value.to_owned(),
        place: Place {
            span: 0..quoted.len(),
            file: Arc::new(SourceFile {
                path: "mapping.toml".to_owned(),
                text: quoted,
            }),
        },
    }
}

pub(super) fn texts(pairs: &[(&str, &str)]) -> Vec<(Located<String>, Located<String>)> {
    pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// `name type`, with ` not null` behind the type where it is; of a source with ` flexible`.
pub(super) fn table(name: &str, columns: &[&str], key: &[&str]) -> Table {
    let key: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
    let column = |text: &&str| {
        let (name, ty) = text.split_once(' ').expect("a name and a type");
        let (ty, flexible) = ty.strip_suffix(" flexible").map_or((ty, false), |ty| (ty, true));
        let (ty, nullable) = ty.strip_suffix(" not null").map_or((ty, true), |ty| (ty, false));
        Column {
            nullable,
            flexible,
            ..Column::new(name, ColumnType::parse(ty).unwrap_or_else(|| panic!("{ty} is no type")))
        }
    };
    Table {
        uniques: if key.is_empty() { Vec::new() } else { vec![key.clone()] },
        key,
        ..Table::new(TableName::new(name), columns.iter().map(column).collect())
    }
}

/// A stream with these columns and nothing else.
pub(super) fn stream(key: &[&str], columns: &[(&str, &str)]) -> Stream {
    let end = |name: &str| Located {
        value: TableRef {
            connection: "here".to_owned(),
            table: TableName::new(name),
        },
        place: text(name).place,
    };
    let from = From::Table(end("users"));
    Stream {
        key: key.iter().map(|name| text(name)).collect(),
        columns: texts(columns),
        ..Stream::new(text("players"), from, end("players"), text("[[stream]]").place)
    }
}

/// Rows as they are read, with the integers from 0 on as their keys.
pub(super) fn batch(reads: &[ReadColumn], columns: Vec<ArrayRef>, rows: usize) -> SourceBatch {
    let fields: Vec<_> = reads.iter().map(|column| column.ty.field(&column.name, true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let mut keys = KeyBuffer::with_capacity(rows);
    for row in 0..rows {
        keys.push(KeyRef::Int(i64::try_from(row).expect("few rows")));
        keys.end_row();
    }
    SourceBatch {
        rows: RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).expect("columns of these types"),
        keys: Arc::new(keys),
        rejects: Vec::new(),
        position: Position::End,
        row_json: crate::data::render::row_json,
        bytes: 0,
        memory: crate::data::memory::Held::default(),
    }
}

/// A column as texts, NULL as `null`.
pub(super) fn shown(array: &ArrayRef) -> Vec<String> {
    (0..array.len())
        .map(|row| {
            if array.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
                "null".to_owned()
            } else {
                array_value_to_string(array, row).expect("a value that has a text")
            }
        })
        .collect()
}

/// `code: "what the caret is on": message (help)`.
pub(super) fn told(finding: &Finding) -> String {
    let at = finding.place.as_ref().map_or("", |place| place.text());
    let help = finding.help.as_deref().unwrap_or("no help");
    format!("{}: {at:?}: {} ({help})", finding.code, finding.message)
}
