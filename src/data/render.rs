//! A row of a batch as JSON text: for the reject store, where a refused row is kept whole, but for
//! values that are long: their beginnings are kept, and their lengths in bytes.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value, json};

/// A value that is longer is shown by its beginning.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// What is shown of it.
const BEGINNING_BYTES: usize = 1 << 10;

/// A text, or its beginning.
pub(crate) fn text(text: &str) -> Value {
    if text.len() <= VALUE_BYTES_MAX {
        return text.into();
    }
    json!({ "begins": &text[..text.floor_char_boundary(BEGINNING_BYTES)], "bytes": text.len() })
}

/// Bytes in hexadecimal, or their beginning.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    if bytes.len() <= VALUE_BYTES_MAX {
        return hex::encode(bytes).into();
    }
    json!({ "begins": hex::encode(&bytes[..BEGINNING_BYTES]), "bytes": bytes.len() })
}

/// One row as a JSON object. Numbers, decimals and times are text where JSON's own form might
/// lose digits; bytes are hexadecimal.
#[must_use]
pub fn row_json(batch: &RecordBatch, row: usize) -> String {
    let mut object = Map::with_capacity(batch.num_columns());
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        object.insert(field.name().clone(), value_json(field, column.as_ref(), row));
    }
    Value::Object(object).to_string()
}

/// One value, as [`row_json`] shows it.
pub(crate) fn value_json(field: &Field, column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match field.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int16 => column.as_primitive::<arrow::datatypes::Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<arrow::datatypes::Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<arrow::datatypes::Int64Type>().value(row).into(),
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::Binary => bytes(column.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex::encode(column.as_fixed_size_binary().value(row)).into(),
        _ => {
            let options = FormatOptions::default().with_display_error(true);
            ArrayFormatter::try_new(column, &options).map_or(Value::Null, |formatter| formatter.value(row).to_string().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shown_by_its_beginning_and_length() {
        assert_eq!(text("short"), "short");
        let long = "ä".repeat(VALUE_BYTES_MAX);
        let shown = text(&long);
        assert_eq!(shown["bytes"], 2 * VALUE_BYTES_MAX);
        assert_eq!(shown["begins"].as_str().map(str::len), Some(BEGINNING_BYTES));
        let shown = bytes(&vec![0; VALUE_BYTES_MAX + 1]);
        assert_eq!(shown["bytes"], VALUE_BYTES_MAX + 1);
    }
}
