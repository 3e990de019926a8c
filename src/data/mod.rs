//! The nouns: what all other modules speak about. Pure: no I/O, no clock, no randomness.

pub mod backfill;
pub mod batch;
pub mod column;
pub mod concern;
pub mod counts;
pub mod digest;
pub mod document;
pub mod finding;
pub mod json_schema;
pub mod keyed;
pub mod kinds;
pub(crate) mod list;
pub mod memory;
pub mod piece;
pub mod position;
mod quoted;
pub mod reject;
pub mod render;
pub mod spent;
pub mod stream;
pub mod table;
pub mod text;
