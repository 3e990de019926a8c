//! Cosmos DB: tests against an account of their own.

pub(crate) mod harness;

mod account;
mod copy;
mod faults;
mod foreign;
mod killed;
mod sample;
mod since_last;
mod split;
mod subject;
pub(crate) mod toy;
mod units;
mod void;
