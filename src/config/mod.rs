//! Configuration: one TOML file per environment with the connections of all projects.
//!
//! Loading parses and validates without looking at the environment; [`Config::resolve`] then
//! reads the variables and secret files of one connection, when a command needs it.

mod account;
mod authority;
pub mod connection;
mod cosmos;
mod entry;
mod file;
pub mod limits;
pub mod load;
mod mask;
mod metrics;
mod redis;
mod scylla;
pub mod secret;
pub mod tls;
mod url;

pub use load::Config;
