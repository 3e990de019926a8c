//! From values of a key to what its database calls the row: the forms that sources give their keys.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::show;
use crate::data::position::{Key, KeyValue};

/// Keys of rows whose values are in the columns `places` of `keys`, in that order; `None` where a
/// value has no form that is sure to be the stored one.
pub(super) fn keys(keys: &RecordBatch, places: &[usize], in_sqlite: bool) -> Option<Vec<Key>> {
    (0..keys.num_rows())
        .map(|row| {
            let parts = places.iter().map(|place| value(keys, *place, row, in_sqlite));
            Some(Key(parts.collect::<Option<_>>()?))
        })
        .collect()
}

fn value(keys: &RecordBatch, place: usize, row: usize, in_sqlite: bool) -> Option<KeyValue> {
    let (field, column) = (keys.schema_ref().field(place), keys.column(place));
    if column.is_null(row) {
        return Some(KeyValue::Null);
    }
    Some(match field.data_type() {
        DataType::Int16 => KeyValue::Int(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => KeyValue::Int(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => KeyValue::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean if in_sqlite => KeyValue::Int(column.as_boolean().value(row).into()),
        DataType::Float32 if in_sqlite => KeyValue::RealBits(f64::from(column.as_primitive::<Float32Type>().value(row)).to_bits()),
        DataType::Float64 if in_sqlite => KeyValue::RealBits(column.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Binary if show::is_plain(field) => KeyValue::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        _ if in_sqlite => KeyValue::Text(show::stored_text(field, column.as_ref(), row)?),
        _ => KeyValue::Text(show::text(field, column.as_ref(), row)?),
    })
}
