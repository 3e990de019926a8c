//! A project in an environment, and command lines about it.

use std::path::PathBuf;

use super::{ENVIRONMENT, quoted};
use crate::cli::arguments::{EnvironmentArguments, ProjectArguments};
use crate::cli::key_prefix::KeyPrefix;

/// A project in an environment, as it was typed: enough to type the next command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Invocation {
    pub(in crate::cli) project: PathBuf,
    pub(in crate::cli) environment: String,
    pub(in crate::cli) config_dir: PathBuf,
    /// What every key begins with, in a rehearsal.
    pub(in crate::cli) key_prefix: Option<KeyPrefix>,
}

impl Invocation {
    pub(super) fn of(project: ProjectArguments, environment: &EnvironmentArguments) -> Self {
        Self {
            project: project.project,
            environment: environment.env.clone().unwrap_or_else(|| ENVIRONMENT.to_owned()),
            config_dir: environment.config_dir.clone(),
            key_prefix: project.key_prefix,
        }
    }

    /// A command line about the same project in the same environment, ready to be typed:
    /// `dbferry run mappings/game --env embedded --retry-rejects`.
    pub(in crate::cli) fn command(&self, name: &str, more: &[&str]) -> String {
        let mut line = format!("dbferry {name}{}", self.suffix());
        for word in more {
            line.push(' ');
            line.push_str(word);
        }
        line
    }

    /// Advice speaks of `dbferry run PROJECT`: here it is known which.
    pub(in crate::cli) fn fill_in(&self, advice: &str) -> String {
        advice.replace(" PROJECT", &self.suffix())
    }

    pub(super) fn suffix(&self) -> String {
        let mut line = format!(" {}", quoted(&self.project.display().to_string()));
        if self.environment != ENVIRONMENT {
            line.push_str(" --env ");
            line.push_str(&quoted(&self.environment));
        }
        line.push_str(&self.rest());
        line
    }
}
