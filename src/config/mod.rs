//! Configuration: one TOML file per environment with the connections of all projects.
//!
//! Loading parses and validates without looking at the environment; [`Config::resolve`] then
//! reads the variables and secret files of one connection, when a command needs it.

pub mod connection;
mod file;
pub mod limits;
pub mod load;
mod mask;
pub mod secret;
mod url;

pub use load::Config;
