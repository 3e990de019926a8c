//! Keys of rows: what a value of a primary key is called, and the value that goes by a name.
//!
//! Integers, floats and bytes are what they are; everything else is text as CQL spells it.

use scylla::cluster::metadata::{ColumnType as CqlType, NativeType};
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::cql::decode::json;
use crate::cql::{document, literal};
use crate::data::position::{Key, KeyRef, KeyValue};

/// Values in the bytes that CQL has for them.
pub(super) struct Values(Vec<Vec<u8>>);

impl SerializeRow for Values {
    fn serialize(&self, _context: &RowSerializationContext<'_>, writer: &mut RowWriter) -> Result<(), SerializationError> {
        for value in &self.0 {
            writer.make_cell_writer().set_value(value).map_err(SerializationError::new)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The values that a key's parts go by; `None` where no row can have that key.
pub(super) fn values(types: &[&CqlType<'_>], key: &Key) -> Option<Values> {
    if types.len() != key.0.len() {
        return None;
    }
    let parts = types.iter().zip(&key.0);
    parts.map(|(ty, part)| value(ty, part)).collect::<Option<_>>().map(Values)
}

fn value(ty: &CqlType<'_>, part: &KeyValue) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match (ty, part) {
        (CqlType::Native(NativeType::Blob), KeyValue::Bytes(bytes)) => out.extend_from_slice(bytes),
        (CqlType::Native(NativeType::Double), KeyValue::RealBits(bits)) => out.extend_from_slice(&bits.to_be_bytes()),
        (CqlType::Native(NativeType::Float), KeyValue::RealBits(bits)) => {
            out.extend_from_slice(&single(f64::from_bits(*bits))?.to_be_bytes());
        }
        (CqlType::Native(native), KeyValue::Int(number)) if !is_text(native) => {
            literal::put(native, &number.to_string(), &mut out).ok()?;
        }
        (CqlType::Native(NativeType::Blob), _) => return None,
        (CqlType::Native(native), KeyValue::Text(text)) => literal::put(native, text, &mut out).ok()?,
        (CqlType::Native(_), _) => return None,
        (ty, KeyValue::Text(text)) => document::put_json(ty, text, &mut out).ok()?,
        _ => return None,
    }
    Some(out)
}

const fn is_text(native: &NativeType) -> bool {
    matches!(native, NativeType::Text | NativeType::Ascii)
}

/// The single-precision float that a double is.
#[expect(clippy::cast_possible_truncation, reason = "what is lost is found")]
fn single(number: f64) -> Option<f32> {
    let narrow = number as f32;
    (number.is_nan() || f64::from(narrow).to_bits() == number.to_bits()).then_some(narrow)
}

/// Hands on what a part of a key is called. What cannot be read goes by its bytes.
pub(super) fn push(ty: &CqlType<'_>, bytes: Option<&[u8]>, text: &mut String, push: impl FnOnce(KeyRef<'_>)) {
    let Some(bytes) = bytes else {
        return push(KeyRef::Null);
    };
    let integer = |bytes: &[u8]| {
        let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) {
            0xff
        } else {
            0
        };
        let mut whole = [sign; 8];
        whole[8 - bytes.len()..].copy_from_slice(bytes);
        KeyRef::Int(i64::from_be_bytes(whole))
    };
    let named = match ty {
        CqlType::Native(NativeType::TinyInt) if bytes.len() == 1 => integer(bytes),
        CqlType::Native(NativeType::SmallInt) if bytes.len() == 2 => integer(bytes),
        CqlType::Native(NativeType::Int) if bytes.len() == 4 => integer(bytes),
        CqlType::Native(NativeType::BigInt) if bytes.len() == 8 => integer(bytes),
        CqlType::Native(NativeType::Blob) => KeyRef::Bytes(bytes),
        CqlType::Native(NativeType::Float) => match <[u8; 4]>::try_from(bytes) {
            Ok(bytes) => KeyRef::Real(f64::from(f32::from_be_bytes(bytes))),
            Err(_) => KeyRef::Bytes(bytes),
        },
        CqlType::Native(NativeType::Double) => match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => KeyRef::Real(f64::from_be_bytes(bytes)),
            Err(_) => KeyRef::Bytes(bytes),
        },
        CqlType::Native(NativeType::Text | NativeType::Ascii) => match std::str::from_utf8(bytes) {
            Ok(text) => KeyRef::Text(text),
            Err(_) => KeyRef::Bytes(bytes),
        },
        ty => {
            text.clear();
            let spelt = match ty {
                CqlType::Native(native) => json::spell(native, bytes, text),
                ty => json::write(ty, bytes, text),
            };
            match spelt {
                Ok(()) => KeyRef::Text(text),
                Err(_) => KeyRef::Bytes(bytes),
            }
        }
    };
    push(named);
}
