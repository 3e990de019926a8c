//! Documents as text: reading JSON strictly, and finding many values in one reading.
//!
//! Pure, and without a type of its own for a value: a value is the place where it stands in its
//! document, so that no digit and no spelling is lost on the way (Invariant 6).

pub mod pointer;
pub(crate) mod scan;
pub mod select;
