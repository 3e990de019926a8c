//! A row of a batch as JSON text: for the reject store, where a refused row is kept whole.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

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
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Binary => hex::encode(column.as_binary::<i32>().value(row)).into(),
        DataType::FixedSizeBinary(_) => hex::encode(column.as_fixed_size_binary().value(row)).into(),
        _ => {
            let options = FormatOptions::default().with_display_error(true);
            ArrayFormatter::try_new(column, &options).map_or(Value::Null, |formatter| formatter.value(row).to_string().into())
        }
    }
}
