//! Values as a report shows them: text, masked, cut to a readable length.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};

use super::report::Value;
use crate::data::column::ColumnType;
use crate::data::keyed::form;
use crate::data::text;
use crate::postgres::render;

/// Characters of a value that are shown.
const CHARS_MAX: usize = 200;

/// Characters before the first that differs, where the beginning is not shown.
const CHARS_BEFORE: usize = 40;

/// Whether a column's values are bytes, and no form of something else.
pub(super) fn is_plain(field: &Field) -> bool {
    !matches!(ColumnType::of_field(field), Some(ColumnType::Opaque { .. }))
}

/// A value as text, as Postgres reads it; `None` for NULL.
pub(super) fn text(field: &Field, column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    if field.data_type() == &DataType::FixedSizeBinary(16) {
        let mut out = String::new();
        text::uuid(&mut out, column.as_fixed_size_binary().value(row));
        return Some(out);
    }
    if form::is_shown_as_text(field) {
        return Some(form::as_text(column.as_binary::<i32>().value(row)));
    }
    Some(match render::value_json(field, column, row) {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => return None,
        other => other.to_string(),
    })
}

/// A value as SQLite keeps it in a column with text affinity; `None` where it has none.
pub(super) fn stored_text(field: &Field, column: &dyn Array, row: usize) -> Option<String> {
    let mut out = String::new();
    match ColumnType::of_field(field)? {
        ColumnType::Decimal { scale, .. } => text::decimal(&mut out, column.as_primitive::<Decimal128Type>().value(row), scale),
        ColumnType::Uuid => text::uuid(&mut out, column.as_fixed_size_binary().value(row)),
        ColumnType::Date => text::date(&mut out, i64::from(column.as_primitive::<Date32Type>().value(row))).then_some(())?,
        ColumnType::Time { .. } => text::time(&mut out, column.as_primitive::<Time64MicrosecondType>().value(row)),
        ColumnType::Timestamp { zoned, .. } => {
            text::timestamp(&mut out, column.as_primitive::<TimestampMicrosecondType>().value(row), zoned).then_some(())?;
        }
        ColumnType::Interval => text::interval(&mut out, column.as_primitive::<IntervalMonthDayNanoType>().value(row)),
        _ if field.data_type() == &DataType::Utf8 => out.push_str(column.as_string::<i32>().value(row)),
        _ => return None,
    }
    Some(out)
}

/// A value of a report.
pub(super) fn value(field: &Field, column: &dyn Array, row: usize, masked: bool) -> Value {
    cut(whole(field, column, row, masked), 0)
}

/// Two values that differ, so that where they do can be seen.
pub(super) fn pair(field: &Field, source: (&dyn Array, usize), target: (&dyn Array, usize), masked: bool) -> (Value, Value) {
    let source = whole(field, source.0, source.1, masked);
    let target = whole(field, target.0, target.1, masked);
    let from = match (&source.value.text, &target.value.text) {
        (Some(one), Some(other)) => {
            let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
            if same < CHARS_MAX - CHARS_BEFORE {
                0
            } else {
                same - CHARS_BEFORE
            }
        }
        _ => 0,
    };
    (cut(source, from), cut(target, from))
}

struct Whole {
    value: Value,
    /// In bytes, of what is binary.
    bytes: Option<usize>,
}

fn whole(field: &Field, column: &dyn Array, row: usize, masked: bool) -> Whole {
    let binary = field.data_type() == &DataType::Binary && is_plain(field) && !form::is_shown_as_text(field);
    let binary = binary && !column.is_null(row);
    Whole {
        bytes: binary.then(|| column.as_binary::<i32>().value(row).len()),
        value: Value {
            text: if masked { None } else { text(field, column, row) },
            masked: masked && !column.is_null(row),
            cut_from: None,
        },
    }
}

fn cut(whole: Whole, from: usize) -> Value {
    let mut value = whole.value;
    let Some(text) = &value.text else { return value };
    let chars = text.chars().count();
    if chars <= CHARS_MAX {
        return value;
    }
    let from = from.min(chars);
    let shown: String = text.chars().skip(from).take(CHARS_MAX).collect();
    value.cut_from = Some(whole.bytes.unwrap_or(chars) as u64);
    value.text = Some(if from == 0 { shown } else { format!("…{shown}") });
    value
}

/// Something of a report that is no value of a column.
pub(super) fn said(text: impl Into<String>) -> Value {
    Value {
        text: Some(text.into()),
        masked: false,
        cut_from: None,
    }
}
