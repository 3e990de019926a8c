//! Wire form of `project.toml` and stream files, and loading them.

use std::path::Path;

use super::Project;
use crate::Result;

/// Loads `<folder>/project.toml` and every other `*.toml` in the folder (by name), and collects
/// all mistakes of all files before it returns.
pub fn load(_folder: &Path) -> Result<Project> {
    todo!()
}

/// JSON Schema of project and stream files.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    todo!()
}
