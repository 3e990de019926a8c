//! Replies to commands that read, taken apart.

use redis::Value;

use super::form::{bytes, parts};

/// An entry of a stream: its id, and its fields with their values.
pub(super) fn entry(element: Value) -> Option<(String, Vec<Value>)> {
    let mut element = parts(element);
    let fields = parts(element.pop()?);
    let id = std::str::from_utf8(bytes(element.first()?)?).ok()?.to_owned();
    Some((id, fields))
}

/// Names and values, one after the other.
pub(super) fn pairs(fields: &[Value]) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields
        .chunks_exact(2)
        .filter_map(|pair| Some((bytes(&pair[0])?, bytes(&pair[1])?)))
}

/// A score, which is text in the older protocol.
pub(super) fn score(told: &Value) -> Option<f64> {
    match told {
        Value::Double(score) => Some(*score),
        told => std::str::from_utf8(bytes(told)?).ok()?.parse().ok(),
    }
}

/// Whether the key turned out to hold another type.
pub(super) fn is_of_another_type(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "WRONGTYPE")
}

/// Bytes of a reply, roughly.
pub(super) fn weight(reply: &Value) -> u64 {
    match reply {
        Value::BulkString(bytes) => bytes.len() as u64 + 16,
        Value::Array(parts) | Value::Set(parts) => parts.iter().map(weight).sum(),
        Value::Map(pairs) => pairs.iter().map(|(name, value)| weight(name) + weight(value)).sum(),
        _ => 16,
    }
}
