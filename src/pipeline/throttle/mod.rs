//! Holding back for the sake of others: rates of rows and bytes, and pauses while servers that follow
//! a target are behind, or others wait for locks.
//!
//! Whoever waits here holds no transaction open, but for an atomic stream, which is one transaction.
//! What was delayed is not made up for by a flood, and a wait ends at once when a stop is asked for.

mod lookout;
mod pace;
mod rate;
mod watch;

pub(super) use pace::{Held, Pace, Throttle, make_portions_small};
pub(super) use rate::Rate;
pub(super) use watch::{Watch, Watched};
