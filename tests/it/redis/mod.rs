//! Redis: servers and clusters of the tests' own, what they hold, and the program writing there.

mod behind;
pub(crate) mod cluster;
pub(crate) mod dump;
mod faults;
mod killed;
mod on_cluster;
mod policies;
mod rehearsed;
mod rights;
pub(crate) mod server;
pub(crate) mod store;
mod toy;
mod undo;
mod values;
mod verify;
