//! Documents become columns: the fields that a stream declares, read exactly or refused.
//!
//! A value has the kind that its type has in JSON, or the row is a reject: numbers are read from
//! numbers, text, times and UUIDs from strings, booleans from `true` and `false`. Nothing is
//! taken for what it might be. From there on it is the exact cast of the type ([`super::cast`])
//! that reads it from its own spelling: `1.7e12` is the whole number 1700000000000, `1.5` is
//! none, and no digit passes through a float.

mod cells;
mod declared;
mod decode;

pub(super) use declared::{Fields, plan};

#[cfg(test)]
mod tests;
