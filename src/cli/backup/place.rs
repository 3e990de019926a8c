//! The connections of a backup, looked up in a configuration.

use crate::Result;
use crate::backup::manifest::Manifest;
use crate::cli::intent::{Configured, Invocation};
use crate::config::Config;
use crate::config::connection::Connection;

/// The configuration of a backup's environment, or of the one that was typed.
pub(in crate::cli) fn configuration(place: &Configured, manifest: &Manifest) -> Result<Config> {
    let environment = place.environment.as_deref().unwrap_or(&manifest.environment);
    let mut config = Config::load(&place.config_dir, environment)?;
    config.key_prefix.clone_from(&manifest.key_prefix);
    Ok(config)
}

/// A connection of it.
pub(in crate::cli) fn resolver(config: &Config) -> impl Fn(&str) -> Result<Connection> + Send + Sync {
    |name: &str| config.resolve(name)
}

/// What advice speaks of.
pub(in crate::cli) fn invocation(place: &Configured, manifest: &Manifest) -> Invocation {
    Invocation {
        project: std::path::PathBuf::from("mappings").join(&manifest.project),
        environment: place.environment.clone().unwrap_or_else(|| manifest.environment.clone()),
        config_dir: place.config_dir.clone(),
        key_prefix: None,
    }
}
