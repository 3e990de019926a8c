//! From values of a key to what its database calls the row: the forms that sources give their keys.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::show;
use crate::config::connection::ConnectionKind;
use crate::data::position::{Key, KeyValue};

/// How a database calls the values of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Sqlite,
    Postgres,
    Cql,
}

impl Spelling {
    pub(super) const fn of(kind: &ConnectionKind) -> Self {
        match kind {
            ConnectionKind::Sqlite { .. } => Self::Sqlite,
            ConnectionKind::Scylla(_) => Self::Cql,
            _ => Self::Postgres,
        }
    }
}

/// Keys of rows whose values are in the columns `places` of `keys`, in that order; `None` where a
/// value has no form that is sure to be the stored one.
pub(super) fn keys(keys: &RecordBatch, places: &[usize], spelling: Spelling) -> Option<Vec<Key>> {
    (0..keys.num_rows())
        .map(|row| {
            let parts = places.iter().map(|place| value(keys, *place, row, spelling));
            Some(Key(parts.collect::<Option<_>>()?))
        })
        .collect()
}

fn value(keys: &RecordBatch, place: usize, row: usize, spelling: Spelling) -> Option<KeyValue> {
    let (in_sqlite, exact) = (spelling == Spelling::Sqlite, spelling != Spelling::Postgres);
    let (field, column) = (keys.schema_ref().field(place), keys.column(place));
    if column.is_null(row) {
        return Some(KeyValue::Null);
    }
    Some(match field.data_type() {
        DataType::Int16 => KeyValue::Int(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => KeyValue::Int(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => KeyValue::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean if in_sqlite => KeyValue::Int(column.as_boolean().value(row).into()),
        DataType::Boolean if exact => KeyValue::Text(column.as_boolean().value(row).to_string()),
        DataType::Float32 if exact => KeyValue::RealBits(f64::from(column.as_primitive::<Float32Type>().value(row)).to_bits()),
        DataType::Float64 if exact => KeyValue::RealBits(column.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Binary if show::is_plain(field) => KeyValue::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        _ if exact => KeyValue::Text(show::stored_text(field, column.as_ref(), row)?),
        _ => KeyValue::Text(show::text(field, column.as_ref(), row)?),
    })
}
