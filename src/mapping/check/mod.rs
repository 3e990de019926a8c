//! Checks without I/O: of a project alone, and of a stream against the shapes of both its ends.

mod alone;
mod backfill;
mod expiry;
mod fields;
mod ignored;
mod indexes;
mod key_types;
mod keyed;
mod pii;
mod shapes;
mod subject;

pub use alone::alone;
pub use backfill::backfill_key;
pub use fields::{add_fields, field_type};
pub use key_types::keyed_shapes;
pub use keyed::{kinds, prefix};
pub use shapes::{shapes, taken_over};
