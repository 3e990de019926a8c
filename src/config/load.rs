//! Loading `config/<environment>.toml`.

use std::path::{Path, PathBuf};

use super::connection::Connection;
use super::limits::Limits;
use crate::Result;

/// A configuration file, parsed and validated, with nothing resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Environment: the file's name without `.toml`.
    pub environment: String,
    /// Path of the file.
    pub path: PathBuf,
    /// Limits.
    pub limits: Limits,
}

impl Config {
    /// Loads `<folder>/<environment>.toml`.
    pub fn load(_folder: &Path, _environment: &str) -> Result<Self> {
        todo!()
    }

    /// Names of all connections, in file order.
    #[must_use]
    pub fn connections(&self) -> Vec<&str> {
        todo!()
    }

    /// Whether a connection says `disabled = true`.
    #[must_use]
    pub fn is_disabled(&self, _name: &str) -> bool {
        todo!()
    }

    /// Reads the variables and files of one connection.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming the unset variable, unreadable file or bad URL, with
    /// its place; never the value.
    pub fn resolve(&self, _name: &str) -> Result<Connection> {
        todo!()
    }
}

/// JSON Schema of the file format.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    todo!()
}
