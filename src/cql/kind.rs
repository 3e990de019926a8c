//! Types of CQL, and the types that their values travel as.
//!
//! A scalar has a column type of its own. A list or set of scalars is an array; a map, a tuple, a
//! user-defined type and whatever is nested is a document, in the form that CQL's own JSON has. What
//! a CQL type holds less of than its column type (`tinyint`, `ascii`, `inet`, `timeuuid`, years) is
//! found when a value is encoded.

use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType};

use crate::data::column::ColumnType;

/// Most digits of a `varint` or `decimal` that are taken.
const DIGITS_MAX: u16 = 1_000;

/// What values of a CQL type travel as; `None` where they cannot be written at all (counters).
pub(crate) fn column_type(cql: &CqlType<'_>) -> Option<ColumnType> {
    Some(match cql {
        CqlType::Native(native) => scalar(native)?,
        CqlType::Collection {
            typ: CollectionType::List(element) | CollectionType::Set(element),
            ..
        } => match &**element {
            CqlType::Native(native) => ColumnType::List(Box::new(scalar(native)?)),
            _ => DOCUMENT,
        },
        CqlType::Vector { typ, .. } => match &**typ {
            CqlType::Native(native) => ColumnType::List(Box::new(scalar(native)?)),
            _ => return None,
        },
        CqlType::Collection { .. } | CqlType::UserDefinedType { .. } | CqlType::Tuple(_) => DOCUMENT,
        _ => return None,
    })
}

const DOCUMENT: ColumnType = ColumnType::Json { binary: true };

fn scalar(native: &NativeType) -> Option<ColumnType> {
    Some(match native {
        NativeType::Boolean => ColumnType::Bool,
        NativeType::TinyInt | NativeType::SmallInt => ColumnType::Int16,
        NativeType::Int => ColumnType::Int32,
        NativeType::BigInt => ColumnType::Int64,
        NativeType::Float => ColumnType::Float32,
        NativeType::Double => ColumnType::Float64,
        NativeType::Varint => ColumnType::Numeric {
            limits: Some((DIGITS_MAX, 0)),
        },
        NativeType::Decimal => ColumnType::Numeric { limits: None },
        NativeType::Text | NativeType::Ascii | NativeType::Inet => ColumnType::TEXT,
        NativeType::Blob => ColumnType::Bytes,
        NativeType::Uuid | NativeType::Timeuuid => ColumnType::Uuid,
        NativeType::Timestamp => ColumnType::Timestamp { digits: 3, zoned: true },
        NativeType::Date => ColumnType::Date,
        NativeType::Time => ColumnType::Time { digits: 6 },
        NativeType::Duration => ColumnType::Interval,
        _ => return None,
    })
}

/// A CQL type as CQL writes it.
pub(crate) fn name(cql: &CqlType<'_>) -> String {
    match cql {
        CqlType::Native(native) => format!("{native:?}").to_ascii_lowercase(),
        CqlType::Collection { typ, .. } => match typ {
            CollectionType::List(element) => format!("list<{}>", name(element)),
            CollectionType::Set(element) => format!("set<{}>", name(element)),
            CollectionType::Map(key, value) => format!("map<{}, {}>", name(key), name(value)),
            _ => "collection".to_owned(),
        },
        CqlType::Vector { typ, dimensions } => format!("vector<{}, {dimensions}>", name(typ)),
        CqlType::UserDefinedType { definition, .. } => definition.name.to_string(),
        CqlType::Tuple(elements) => {
            let elements: Vec<_> = elements.iter().map(name).collect();
            format!("tuple<{}>", elements.join(", "))
        }
        _ => "type".to_owned(),
    }
}
