//! Replies of the server, as text, numbers and parts; the ledger's records are those of
//! [`super::super::form`].

use redis::Value;

pub(super) use super::super::form::{RejectForm, batch, checkpoint, json, read_batch, read_checkpoint, reject, unreadable};

/// The bytes of a reply that is text.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The number of a reply, which may be text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        value => std::str::from_utf8(bytes(value)?).ok()?.parse().ok(),
    }
}

/// The parts of a reply, of a map its keys and values one after the other.
pub(super) fn parts(value: Value) -> Vec<Value> {
    match value {
        Value::Array(parts) | Value::Set(parts) => parts,
        Value::Map(pairs) => pairs.into_iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => Vec::new(),
    }
}
