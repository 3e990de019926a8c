//! What a Postgres source and a Postgres sink share: connecting, catalog, quoting, COPY codec.
//!
//! Server text ends here (Invariant 15): everything that leaves this module towards the rest of
//! the program was classified by [`error`], built from SQLSTATE and the names of objects.

pub mod carried;
pub(crate) mod catalog;
pub(crate) mod connect;
pub(crate) mod constraint;
pub(crate) mod copy;
pub mod decode;
pub mod encode;
pub(crate) mod error;
mod field;
mod instant;
pub(crate) mod key_form;
mod nodelay;
mod numeric;
pub(crate) mod quote;
pub mod render;
pub(crate) mod server;
pub(crate) mod tuple;
pub(crate) mod type_row;
pub(crate) mod wire_type;
