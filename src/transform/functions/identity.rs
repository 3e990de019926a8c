//! `uuid_v5`: the same name gives the same UUID, everywhere and for ever.

use std::sync::Arc;

use arrow::array::builder::FixedSizeBinaryBuilder;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use uuid::{Uuid, uuid};

use super::arguments::{Answer, Argument, MISTYPED};

/// dbferry's own namespace: `uuid_v5('users', …)` works in the namespace that is the version 5
/// UUID of `users` in this one. It is in every target that was ever written: never change it.
pub(super) const NAMESPACE: Uuid = uuid!("fbceff3e-1ff2-46b3-bf3d-43f8241c5172");

/// `uuid_v5(namespace, name)`: RFC 9562 version 5, by the bytes of the name.
pub(super) fn uuid_v5(arguments: &[Argument], rows: usize) -> Answer {
    let [namespace, name] = arguments else {
        return Err(MISTYPED);
    };
    let names = name.texts()?;
    let namespaces = Namespaces::of(namespace)?;
    let mut out = FixedSizeBinaryBuilder::with_capacity(rows, 16);
    for row in 0..rows {
        match namespaces.get(row).zip(names.get(row)) {
            None => out.append_null(),
            Some((namespace, name)) => {
                let uuid = Uuid::new_v5(&namespace, name.as_bytes());
                out.append_value(uuid.as_bytes()).map_err(|_| MISTYPED)?;
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The namespaces of all rows.
enum Namespaces<'a> {
    One(Option<Uuid>),
    Each(&'a Argument),
}

impl<'a> Namespaces<'a> {
    fn of(argument: &'a Argument) -> Result<Self, &'static str> {
        match argument.values.data_type() {
            DataType::Utf8 | DataType::FixedSizeBinary(16) if argument.constant => Ok(Self::One(read(argument, 0))),
            DataType::Utf8 | DataType::FixedSizeBinary(16) => Ok(Self::Each(argument)),
            _ => Err(MISTYPED),
        }
    }

    fn get(&self, row: usize) -> Option<Uuid> {
        match self {
            Self::One(namespace) => *namespace,
            Self::Each(argument) => read(argument, row),
        }
    }
}

fn read(argument: &Argument, row: usize) -> Option<Uuid> {
    if argument.values.is_null(row) {
        return None;
    }
    match argument.values.as_string_opt::<i32>() {
        Some(texts) => Some(named(texts.value(row))),
        None => Uuid::from_slice(argument.values.as_fixed_size_binary_opt()?.value(row)).ok(),
    }
}

/// A UUID in text form (hyphenated or 32 digits, in any case) is itself; any other text stands
/// for its version 5 UUID in [`NAMESPACE`].
fn named(text: &str) -> Uuid {
    let written = matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok()).flatten();
    written.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, text.as_bytes()))
}
