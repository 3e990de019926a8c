//! Mappings: what the author declares, checked as far as it can be without opening anything.
//!
//! [`load`](file::load) parses a project folder and keeps the place of every value, so that any
//! later finding points at file, line and column. Expressions are text here; the transform
//! compiles them.

pub mod backfill;
pub mod check;
pub mod coverage;
pub mod difference;
pub mod document;
pub mod file;
pub mod keyed;
pub mod order;
pub mod stream;

pub use backfill::Backfill;
pub use stream::{Located, Project, Stream};
