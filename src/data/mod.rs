//! The nouns: what all other modules speak about. Pure: no I/O, no clock, no randomness.

pub mod batch;
pub mod column;
pub mod counts;
pub mod digest;
pub mod finding;
pub mod position;
pub mod reject;
pub mod render;
pub mod stream;
pub mod table;
