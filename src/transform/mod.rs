//! The transform: a stream's mapping compiled to act on batches.
//!
//! Compiling type-checks every expression against source and target before a row is read and
//! collects all findings. Applying is pure and deterministic (Invariant 5); a row that an
//! expression or an exact cast refuses becomes a reject and its neighbours go on (Invariant 6).

pub mod cast;
pub mod compile;
pub mod functions;

mod apply;
mod distinct;
mod document;
mod expression;
mod natural;
mod passing;
mod reading;

pub use compile::{Transform, compile};
pub use expression::column_expression;
pub use natural::natural;

#[cfg(test)]
mod sample;
