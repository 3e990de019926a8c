//! Configuration: one TOML file per environment with the connections of all projects.
//!
//! Loading parses and validates without looking at the environment; [`Config::resolve`] then
//! reads the variables and secret files of one connection, when a command needs it.

pub mod connection;
pub mod limits;
pub mod load;
pub mod secret;

pub use load::Config;
